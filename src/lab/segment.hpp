// TCP segments as a scenario reads them off the wire, and forges them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"
#include "wire/icmp.hpp"
#include "wire/tcp.hpp"

namespace ff::lab {

struct Segment {
  Instant time{};
  bool from_client = true;
  bool lost = false;
  bool forged = false;
  Endpoint source, destination;
  wire::TcpHeader tcp;
  std::string payload;

  [[nodiscard]] bool is(std::uint8_t flags) const noexcept { return tcp.flags.bits == flags; }
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(payload.size()); }
  // The sequence number behind it; SYN and FIN count.
  [[nodiscard]] Seq end() const noexcept {
    return tcp.seq + size() + (tcp.flags.syn() ? 1u : 0u) + (tcp.flags.fin() ? 1u : 0u);
  }
};

// What kind of segment is meant. A plain function, so that scenarios can name what they look for.
using Kind = bool (*)(const Segment&);
inline bool any(const Segment&) { return true; }
inline bool syn(const Segment& s) { return s.tcp.flags.syn() && !s.tcp.flags.ack(); }
inline bool syn_ack(const Segment& s) { return s.tcp.flags.syn() && s.tcp.flags.ack(); }
inline bool syn_with_data(const Segment& s) { return syn(s) && s.size() > 0; }
inline bool fin(const Segment& s) { return s.tcp.flags.fin(); }
inline bool rst(const Segment& s) { return s.tcp.flags.rst(); }
inline bool data(const Segment& s) { return s.size() > 0; }
inline bool pure_ack(const Segment& s) { return s.is(wire::TcpFlags::kAck) && s.size() == 0; }

// Nothing when the packet is not a well-formed TCP segment.
std::optional<Segment> parse_segment(ByteSpan packet);
// The packet that carries it, checksums included. Its options and flags may be as odd as they like.
Slice packet_of(const Segment& segment);
// The error that a router of this address sends about `packet`.
Slice icmp_error(wire::IcmpKind kind, const IpAddress& router, std::uint16_t mtu, ByteSpan packet);

}  // namespace ff::lab
