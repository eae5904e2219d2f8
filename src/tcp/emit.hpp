// From a segment's fields to a packet.
#pragma once

#include "base/seq.hpp"
#include "base/units.hpp"
#include "firstflight/address.hpp"
#include "firstflight/packet.hpp"
#include "tcp/segment.hpp"
#include "wire/tcp.hpp"

namespace ff::tcp {

struct SegmentToSend {
  Seq seq;
  Seq ack;
  wire::TcpFlags flags;
  WireWindow window;
  std::uint16_t urgent_pointer = 0;
  wire::Ecn ecn = wire::Ecn::NotEct;
  wire::TcpOptions options;
};

// How the network layer carries a segment.
struct Delivery {
  std::uint16_t interface = 0;
  std::uint8_t ttl = 64;
  std::uint8_t traffic_class = 0;  // DSCP; the ECN bits are each segment's own
  bool may_fragment = false;       // IPv4 routers may; each packet's identification is one more than that of the last
  std::uint16_t identification = 0;
};

// Writes IP and TCP header in front of the payload that `packet` holds already, the checksum left to be completed. A
// payload over `mss` makes it a super-segment.
void emit(const FourTuple& tuple, const Delivery& delivery, const SegmentToSend& segment, std::uint32_t mss,
          TxPacket& packet) noexcept;

// The answer to a segment that no socket wants (RFC 9293 §3.10.7.1), itself not a RST.
SegmentToSend reset_for(const Segment& segment) noexcept;

}  // namespace ff::tcp
