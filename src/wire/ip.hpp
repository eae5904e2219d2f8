// IPv4 (RFC 791) and IPv6 (RFC 8200) headers, as one value for what lies above.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"

namespace ff::wire {

namespace protocol {
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kIcmp6 = 58;
}  // namespace protocol

inline constexpr std::size_t kIpv4HeaderSize = 20;
inline constexpr std::size_t kIpv6HeaderSize = 40;

// RFC 3168 §5: what the low two bits of the traffic class say of congestion.
enum class Ecn : std::uint8_t {
  NotEct,  // the transport would not understand a mark
  Ect1,    // it would
  Ect0,    // it would, and this is the codepoint that classic ECN uses
  Ce,      // marked: congestion experienced
};

struct IpHeader {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;         // of the payload, behind any IPv6 extension headers
  std::uint8_t ttl = 64;             // IPv6: hop limit
  std::uint8_t traffic_class = 0;    // DSCP and ECN: the low two bits are ECN (RFC 3168)
  std::uint16_t identification = 0;  // IPv4 only
  bool dont_fragment = true;         // IPv4 only

  [[nodiscard]] Ecn ecn() const noexcept { return static_cast<Ecn>(traffic_class & 3); }
};

// A packet whose IP header holds together: the header's value, and where the payload lies in the packet.
struct IpView {
  IpView() noexcept {}  // not defaulted, which would fill it with zeros before the members' defaults

  IpHeader header;
  std::uint32_t payload_offset = 0;
  std::uint32_t payload_size = 0;
  [[nodiscard]] std::uint32_t end() const noexcept { return payload_offset + payload_size; }
};

// Checks everything that can be checked without knowing whose packet it is: version, lengths, IPv4 checksum, addresses
// that no packet may carry (IPv4-mapped ones in IPv6, a multicast or broadcast source), IPv6 extension headers
// (hop-by-hop, routing with segments left 0, destination options are skipped). Fragments are refused as such:
// parse_fragment() is for them.
// `trust_length_field` false: a super-segment, whose length field may be 0 or wrong; the length is then that of
// `packet`.
std::expected<IpView, DropReason> parse_ip(ByteSpan packet, bool trust_length_field = true) noexcept;

// A packet of which parse_ip() said that it is a fragment.
struct FragmentView {
  IpHeader header;  // of the whole packet, as far as this fragment knows it
  std::uint32_t identification = 0;
  std::uint32_t offset = 0;  // of its payload in the whole
  bool more = false;         // it is not the last
  std::uint32_t payload_offset = 0;
  std::uint32_t payload_size = 0;
  std::uint32_t header_size = 0;  // what each fragment begins with: the IP header and what IPv6 has before the cut
  std::uint32_t next_header_field = 0;  // IPv6: where in it stands what follows

  // The fragment as if it were a packet, for ICMP errors about it.
  [[nodiscard]] IpView as_packet() const noexcept;
};
std::expected<FragmentView, DropReason> parse_fragment(ByteSpan packet) noexcept;

// What makes a fragment one that no packet can have: RFC 8200 §4.5 names the offset of the field that is wrong.
std::optional<std::uint32_t> complaint_about(const FragmentView& fragment) noexcept;

// A datagram that an ICMP error quotes: only as much as is there is checked, no checksum and no total length.
std::expected<IpView, DropReason> parse_quoted_ip(ByteSpan packet) noexcept;

// Where an IPv6 packet that parse_ip() has found good says what its payload is: the offset of that next-header field.
std::uint32_t next_header_field(ByteSpan packet) noexcept;

// Writes a header (20 or 40 bytes, by the family of the addresses) for `payload_size` bytes, checksum included; says
// its size.
std::size_t emit_ip(const IpHeader& header, std::size_t payload_size, std::uint8_t* to) noexcept;

}  // namespace ff::wire
