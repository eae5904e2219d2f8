// A stack and a peer's bytes, for the tests of what lies beside TCP: UDP, ICMP, fragments. Packets are built and taken
// apart by code that shares nothing with the library; every IP header and checksum that the stack sends is verified.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firstflight/stack.hpp"

namespace ff::wiretest {

using namespace std::chrono_literals;
using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kIcmp4 = 1, kUdp = 17, kIcmp6 = 58;

// An IP packet taken apart.
struct Packet {
  IpAddress source, destination;
  std::uint8_t protocol = 0;  // behind a fragment header
  std::uint8_t ttl = 0, traffic_class = 0;
  bool dont_fragment = false;
  bool fragment = false, more = false;
  std::uint32_t offset = 0, identification = 0;
  Bytes payload;
  std::size_t size = 0;  // of the packet

  [[nodiscard]] std::uint32_t at16(std::size_t i) const { return payload.at(i) * 256u + payload.at(i + 1); }
  [[nodiscard]] std::uint32_t at32(std::size_t i) const { return at16(i) << 16 | at16(i + 2); }
};

struct IpFields {
  std::uint8_t ttl = 64, traffic_class = 0;
  std::optional<std::uint32_t> fragment_id{};  // makes it a fragment
  std::uint32_t offset = 0;
  bool more = false;
};

class Net {
 public:
  explicit Net(bool is_v6, std::uint16_t mtu = 1500, const Settings& settings = {});

  const bool v6;
  const IpAddress own, peer, stranger;
  Stack stack;
  Instant now{1000s};
  InterfaceId interface = 0;

  void set(std::string_view name, std::string_view value);

  // ---- packets of the peer's ----
  [[nodiscard]] Bytes ip(std::uint8_t protocol, const Bytes& payload, const IpFields& fields = {}) const {
    return ip(peer, own, protocol, payload, fields);
  }
  [[nodiscard]] Bytes ip(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, const Bytes& payload,
                         const IpFields& fields = {}) const;
  // A UDP datagram without IP header, its checksum right.
  [[nodiscard]] Bytes udp(std::uint16_t from, std::uint16_t to, std::string_view payload) const {
    return udp(peer, own, from, to, payload);
  }
  [[nodiscard]] Bytes udp(const IpAddress& from_address, const IpAddress& to_address, std::uint16_t from,
                          std::uint16_t to, std::string_view payload) const;
  // An ICMP message without IP header: type and code, four bytes, body.
  [[nodiscard]] Bytes icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& body) const;
  [[nodiscard]] Bytes echo_request(std::uint16_t id, std::uint16_t sequence, std::string_view data) const {
    return icmp(v6 ? 128 : 8, 0, static_cast<std::uint32_t>(id) << 16 | sequence, bytes(data));
  }
  [[nodiscard]] std::uint8_t icmp_protocol() const { return v6 ? kIcmp6 : kIcmp4; }
  static Bytes bytes(std::string_view text) { return {text.begin(), text.end()}; }
  // An error about what we sent last.
  [[nodiscard]] Bytes error_about(const Bytes& packet, std::uint8_t type, std::uint8_t code,
                                  std::uint32_t rest = 0) const {
    return ip(stranger, own, icmp_protocol(), icmp_from(stranger, type, code, rest, packet));
  }
  [[nodiscard]] Bytes icmp_from(const IpAddress& from, std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                                const Bytes& body) const;

  void in(const Bytes& packet, RxChecksum checksum = RxChecksum::Unverified);
  void in_udp(std::uint16_t from, std::uint16_t to, std::string_view payload) { in(ip(kUdp, udp(from, to, payload))); }

  // ---- what the stack does ----
  // Everything that is to be sent now, as it stands on the wire.
  std::vector<Bytes> raw_out();
  std::vector<Packet> out();
  // The one packet that is to be sent.
  Packet one();
  void silent() { EXPECT_TRUE(out().empty()); }
  void advance(Duration span);

  // ---- the application ----
  DatagramId open(std::uint16_t port, DatagramOptions options = {});
  void expect(DatagramId socket, std::string_view payload, std::uint16_t from_port);
  void expect_error(DatagramId socket, Error error);
  void expect_nothing(DatagramId socket) { expect_error(socket, Error::WouldBlock); }
  [[nodiscard]] std::uint64_t count(Counter v4, Counter v6_counter) const {
    return stack.counters()[v6 ? v6_counter : v4];
  }
};

// Takes a packet apart, and fails the test if a length or checksum is wrong.
Packet take_apart(const Bytes& packet);
// Puts fragments of one packet together, by the simplest way there is; empty when they do not fit each other.
Bytes put_together(const std::vector<Packet>& fragments);

// A test that holds for both IP versions.
#define DATAGRAM_TEST(suite, name)                  \
  static void suite##_##name(bool v6);              \
  TEST(suite, name) {                               \
    for (const bool v6 : {false, true}) {           \
      SCOPED_TRACE(v6 ? "over IPv6" : "over IPv4"); \
      suite##_##name(v6);                           \
    }                                               \
  }                                                 \
  static void suite##_##name([[maybe_unused]] bool v6)

}  // namespace ff::wiretest

using namespace ff;            // NOLINT
using namespace ff::wiretest;  // NOLINT
