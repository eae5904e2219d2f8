// The TCP header (RFC 9293 §3.1).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "base/seq.hpp"
#include "base/units.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "wire/ip.hpp"
#include "wire/tcp_options.hpp"

namespace ff::wire {

inline constexpr std::size_t kTcpHeaderSize = 20;

struct TcpFlags {
  static constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20,
                                kEce = 0x40, kCwr = 0x80;
  std::uint8_t bits = 0;

  [[nodiscard]] constexpr bool fin() const noexcept { return (bits & kFin) != 0; }
  [[nodiscard]] constexpr bool syn() const noexcept { return (bits & kSyn) != 0; }
  [[nodiscard]] constexpr bool rst() const noexcept { return (bits & kRst) != 0; }
  [[nodiscard]] constexpr bool psh() const noexcept { return (bits & kPsh) != 0; }
  [[nodiscard]] constexpr bool ack() const noexcept { return (bits & kAck) != 0; }
  [[nodiscard]] constexpr bool urg() const noexcept { return (bits & kUrg) != 0; }
  friend constexpr bool operator==(TcpFlags, TcpFlags) noexcept = default;
};

struct TcpHeader {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  Seq seq;
  Seq ack;
  TcpFlags flags;
  WireWindow window;
  std::uint16_t urgent_pointer = 0;
  TcpOptions options;
};

// A segment whose header holds together; `payload_offset` counts from the TCP header.
struct TcpView {
  // Written out so that making one sets the members' defaults and does not fill all of it with zeros before.
  TcpView() noexcept {}

  TcpHeader header;
  std::uint32_t payload_offset = 0;
  std::uint32_t payload_size = 0;
};

// Checks header, data offset, ports (0 is refused) and options. A segment whose option lengths lead astray is dropped
// whole (Linux takes it and ignores the options from there on): a header that cannot be read to its end is not to be
// trusted. The checksum is checked by verify_transport_checksum(), which the caller may leave out when the device has
// done it.
std::expected<TcpView, DropReason> parse_tcp(ByteSpan segment) noexcept;

// The ports and sequence number from the first 8 bytes, which is all that an ICMP error must quote (RFC 792).
struct QuotedTcp {
  std::uint16_t source_port, destination_port;
  Seq seq;
};
std::optional<QuotedTcp> parse_quoted_tcp(ByteSpan segment) noexcept;

// The checksum of TCP, or of UDP when there is one, over `segment` and the pseudo-header that `ip` gives.
bool verify_transport_checksum(const IpHeader& ip, ByteSpan segment) noexcept;

// Writes header and options with checksum field 0; says their size (20 to 60).
std::size_t emit_tcp(const TcpHeader& header, std::uint8_t* to) noexcept;

}  // namespace ff::wire
