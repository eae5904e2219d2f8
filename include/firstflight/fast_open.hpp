// TCP Fast Open (RFC 7413): what an application sees of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "firstflight/bytes.hpp"

namespace ff {

// A server's secret: 16 bytes, from which the cookies of all clients follow.
struct FastOpenKey {
  std::array<std::uint8_t, 16> bytes{};

  // Linux's text form, "00112233-44556677-8899aabb-ccddeeff" (each group one little-endian 32-bit word).
  static std::optional<FastOpenKey> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const FastOpenKey&, const FastOpenKey&) noexcept = default;
};

// The key that makes cookies, and an older one whose cookies are still accepted (a fresh one is granted then).
struct FastOpenKeys {
  FastOpenKey primary;
  std::optional<FastOpenKey> backup;

  // One key or two with a comma between, as in net.ipv4.tcp_fastopen_key.
  static std::optional<FastOpenKeys> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const FastOpenKeys&, const FastOpenKeys&) noexcept = default;
};

// A cookie as it stands in the option: 4 to 16 bytes, even length (RFC 7413 §4.1.1).
struct FastOpenCookie {
  static constexpr std::size_t kMinSize = 4;
  static constexpr std::size_t kMaxSize = 16;

  std::array<std::uint8_t, kMaxSize> bytes{};
  std::uint8_t size = 0;

  [[nodiscard]] ByteSpan span() const noexcept { return {bytes.data(), size}; }
  [[nodiscard]] static bool valid_size(std::size_t size) noexcept {
    return size >= kMinSize && size <= kMaxSize && size % 2 == 0;
  }
  friend bool operator==(const FastOpenCookie& a, const FastOpenCookie& b) noexcept {
    return as_text(a.span()) == as_text(b.span());
  }
};

// Why the data of a connection did, or did not, ride in the SYN.
enum class FastOpenOutcome : std::uint8_t {
  NotTried,          // the application did not ask for Fast Open
  Pending,           // the SYN is out, the answer is not in
  Accepted,          // client: the server acknowledged the data in the SYN; server: we took it
  Disabled,          // net.ipv4.tcp_fastopen does not allow it, or the client has no cache for cookies
  NoCookieYet,       // client: a cookie was asked for, and granted for the next time; server: we granted one
  CookieNotGranted,  // client: a cookie was asked for, and the server did not grant one
  CookieRefused,     // client: the server took no data and granted a fresh cookie; server: the cookie was not ours
  DataNotAcked,      // client: the SYN-ACK acknowledged the SYN alone
  SynRetransmitted,  // client: the SYN with data, or with the option alone, was lost and went again without
  PathBlackholed,    // client: this path swallowed Fast Open lately and is left alone for a while
  NoData,            // client: there was nothing to put into the SYN
  ListenerFull,      // server: the listener's bound on half-open Fast Open connections was reached
  NotEnabled,        // server: the listener has Fast Open off
  SynRepeated,       // server: the same SYN with the same data has come before
};
inline constexpr std::size_t kFastOpenOutcomes = static_cast<std::size_t>(FastOpenOutcome::SynRepeated) + 1;

// "CookieRefused", the name of the outcome's counter.
std::string_view name_of(FastOpenOutcome) noexcept;

// One plain phrase, for example "no cookie yet: one was granted for next time".
std::string_view to_string(FastOpenOutcome) noexcept;

}  // namespace ff
