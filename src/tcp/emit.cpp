#include "tcp/emit.hpp"

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::tcp {

using wire::TcpFlags;

void emit(const FourTuple& tuple, const Delivery& delivery, const SegmentToSend& segment, std::uint32_t mss,
          TxPacket& packet) noexcept {
  const bool v4 = tuple.local.address.is_v4();
  const std::size_t ip_size = v4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
  std::uint8_t* const tcp = packet.header_bytes.data() + ip_size;

  wire::TcpHeader header;
  header.source_port = tuple.local.port;
  header.destination_port = tuple.remote.port;
  header.seq = segment.seq;
  header.ack = segment.ack;
  header.flags = segment.flags;
  header.window = segment.window;
  header.urgent_pointer = segment.urgent_pointer;
  header.options = segment.options;
  const std::size_t tcp_size = wire::emit_tcp(header, tcp);
  const std::uint32_t transport_size = static_cast<std::uint32_t>(tcp_size) + packet.payload_size;

  wire::IpHeader ip;
  ip.source = tuple.local.address;
  ip.destination = tuple.remote.address;
  ip.protocol = wire::protocol::kTcp;
  ip.ttl = delivery.ttl;
  ip.traffic_class = static_cast<std::uint8_t>(delivery.traffic_class | static_cast<std::uint8_t>(segment.ecn));
  // What is never fragmented may have any identification, and has 0 (RFC 6864 §4.1).
  ip.dont_fragment = !delivery.may_fragment;
  if (delivery.may_fragment) [[unlikely]]
    ip.identification = delivery.identification;
  wire::emit_ip(ip, transport_size, packet.header_bytes.data());

  wire::ChecksumAccumulator pseudo_header;
  pseudo_header.add_pseudo_header(ip.source, ip.destination, ip.protocol, transport_size);
  wire::store_be16(tcp + 16, pseudo_header.folded());

  packet.header_size = static_cast<std::uint16_t>(ip_size + tcp_size);
  packet.checksum_wanted = true;
  packet.checksum_start = static_cast<std::uint16_t>(ip_size);
  packet.checksum_offset = 16;
  packet.segment_size = packet.payload_size > mss ? static_cast<std::uint16_t>(mss) : 0;
  packet.interface = delivery.interface;
}

SegmentToSend reset_for(const Segment& segment) noexcept {
  SegmentToSend reset;
  if (segment.flags.ack()) {
    reset.seq = segment.ack;
    reset.flags.bits = TcpFlags::kRst;
  } else {
    reset.ack = segment.end();
    reset.flags.bits = TcpFlags::kRst | TcpFlags::kAck;
  }
  return reset;
}

}  // namespace ff::tcp
