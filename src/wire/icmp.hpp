// ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443): echo, and the errors that concern a transport.
#pragma once

#include <cstdint>
#include <expected>

#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "wire/ip.hpp"

namespace ff::wire {

// One list for both versions.
enum class IcmpKind : std::uint8_t {
  EchoRequest,
  EchoReply,
  NetworkUnreachable,
  HostUnreachable,
  ProtocolUnreachable,
  PortUnreachable,
  AdministrativelyProhibited,
  PacketTooBig,            // IPv4: fragmentation needed
  TimeExceeded,            // in transit, or (received) in reassembly
  ReassemblyTimeExceeded,  // to be sent; what is received counts as TimeExceeded
  ParameterProblem,
  Other,
};

struct IcmpView {
  IcmpKind kind = IcmpKind::Other;
  std::uint8_t type = 0, code = 0;
  std::uint16_t mtu = 0;  // PacketTooBig: the next hop's, cut to 65535; 0: an old router did not say (RFC 1191 §5)
  std::uint16_t identifier = 0;   // echo
  std::uint16_t sequence = 0;     // echo
  std::uint32_t body_offset = 0;  // echo: the data; errors: the quoted packet
  std::uint32_t body_size = 0;
};

// `message`: the IP payload. The checksum is verified (with the pseudo-header for ICMPv6).
std::expected<IcmpView, DropReason> parse_icmp(const IpHeader& ip, ByteSpan message) noexcept;

// Writes an echo request or reply that `ip` will carry, checksum included; `to` has room for 8 + data.size() bytes.
// Says the size.
std::size_t emit_echo(IcmpKind kind, const IpHeader& ip, std::uint16_t identifier, std::uint16_t sequence,
                      ByteSpan data, std::uint8_t* to) noexcept;

// Whether `message` begins as an echo request, header complete.
bool is_echo_request(bool v4, ByteSpan message) noexcept;

// Writes the eight bytes of an echo request's header, whose data stand elsewhere.
void emit_echo_header(const IpHeader& ip, std::uint16_t identifier, std::uint16_t sequence, ByteSpan data,
                      std::uint8_t* to) noexcept;

// The largest message that emit_icmp_error() writes.
inline constexpr std::size_t kMaxIcmpError = 1240;

// Writes an error that `ip` will carry, checksum included. It quotes as much of `offending`, an IP packet, as fits a
// packet of 576 bytes (RFC 1812 §4.3.2.3) or, for IPv6, 1280 (RFC 4443 §2.4 c). `detail`: the MTU of PacketTooBig; of
// ParameterProblem, and of IPv6's ProtocolUnreachable, which is one, where in the packet the trouble stands. `to` has
// room for kMaxIcmpError bytes. Says the size; 0 when `kind` is no error.
std::size_t emit_icmp_error(IcmpKind kind, const IpHeader& ip, std::uint32_t detail, ByteSpan offending,
                            std::uint8_t* to) noexcept;

}  // namespace ff::wire
