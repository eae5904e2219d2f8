// IP addresses, endpoints and prefixes. IPv4 and IPv6 share one type, so that everything above the wire is written
// once.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ff {

// An IPv4 address is kept as its IPv4-mapped IPv6 form (RFC 4291 §2.5.5.2). A packet on the wire never carries that
// form: the parser drops IPv6 packets that do.
class IpAddress {
 public:
  constexpr IpAddress() noexcept = default;  // ::, "any"

  static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept {
    return IpAddress({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d});
  }
  static IpAddress v4(std::span<const std::uint8_t, 4> bytes) noexcept {
    return v4(bytes[0], bytes[1], bytes[2], bytes[3]);
  }
  static IpAddress v6(std::span<const std::uint8_t, 16> bytes) noexcept {
    IpAddress result;
    std::memcpy(result.bytes_.data(), bytes.data(), 16);
    return result;
  }
  static constexpr IpAddress any_v4() noexcept { return v4(0, 0, 0, 0); }
  static constexpr IpAddress any_v6() noexcept { return {}; }

  // "192.0.2.1" or "2001:db8::1"; nothing when the text is neither.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const noexcept {
    static constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(bytes_.data(), kPrefix.data(), kPrefix.size()) == 0;
  }
  [[nodiscard]] bool is_v6() const noexcept { return !is_v4(); }
  // 0.0.0.0 or ::
  [[nodiscard]] bool is_any() const noexcept { return *this == any_v6() || *this == any_v4(); }
  [[nodiscard]] bool is_multicast() const noexcept { return is_v4() ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }
  [[nodiscard]] bool is_loopback() const noexcept;
  // 255.255.255.255
  [[nodiscard]] bool is_broadcast() const noexcept { return *this == v4(255, 255, 255, 255); }

  // The 16 bytes of the (possibly mapped) IPv6 form, in network order.
  [[nodiscard]] std::span<const std::uint8_t, 16> bytes() const noexcept { return bytes_; }
  // The last four bytes: the IPv4 address, for an address that is one.
  [[nodiscard]] std::span<const std::uint8_t, 4> v4_bytes() const noexcept {
    return std::span<const std::uint8_t, 4>(bytes_.data() + 12, 4);
  }

  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) noexcept = default;
  // Written out because compilers make two loads of it, and a call of the default.
  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) noexcept {
    return __builtin_memcmp(a.bytes_.data(), b.bytes_.data(), 16) == 0;
  }

 private:
  constexpr explicit IpAddress(std::array<std::uint8_t, 16> bytes) noexcept : bytes_(bytes) {}
  std::array<std::uint8_t, 16> bytes_{};
};

// An address and a TCP or UDP port (host byte order).
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "192.0.2.1:80", "[2001:db8::1]:80".
  [[nodiscard]] std::string to_string() const;
  static std::optional<Endpoint> parse(std::string_view text);

  friend auto operator<=>(const Endpoint&, const Endpoint&) noexcept = default;
};

// A prefix such as 192.0.2.0/24, or an interface's address with its prefix length, such as 192.0.2.1/24.
struct Cidr {
  IpAddress address;
  std::uint8_t prefix_length = 0;  // 0 to 32 for IPv4, 0 to 128 for IPv6

  [[nodiscard]] bool contains(const IpAddress&) const noexcept;
  [[nodiscard]] std::string to_string() const;
  // An address without "/n" is the prefix of that one host.
  static std::optional<Cidr> parse(std::string_view text);

  friend bool operator==(const Cidr&, const Cidr&) noexcept = default;
};

// What names a connection, seen from this side.
struct FourTuple {
  Endpoint local;
  Endpoint remote;

  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const FourTuple&, const FourTuple&) noexcept = default;
};

}  // namespace ff
