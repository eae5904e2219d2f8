// What comes in, from the IP header down to the socket that it is for.
#include <cassert>

#include "stack/impl.hpp"
#include "tcp/emit.hpp"
#include "wire/checksum.hpp"
#include "wire/tcp.hpp"

namespace ff {

void Stack::Impl::handle_packet(Instant now, InterfaceId interface, RxPacket packet) {
  assert(interface < interfaces_.size());
  if (packet.link_header_size != 0 && !unwrap_frame(now, interface, packet)) return;
  Counters& counters = env_.counters;
  const auto ip = wire::parse_ip(packet.bytes.span(), packet.segment_size == 0);
  const bool looks_v6 = !packet.bytes.empty() && packet.bytes.data()[0] >> 4 == 6;
  counters.add(looks_v6 ? Counter::Ip6_InReceives : Counter::Ip_InReceives);
  if (!ip) {
    // A super-segment never is one: its length field says nothing.
    if (ip.error() == DropReason::IpFragment && packet.segment_size == 0)
      return fragment_arrives(now, interface, packet);
    counters.add(looks_v6 ? Counter::Ip6_InHdrErrors : Counter::Ip_InHdrErrors);
    return counters.drop(ip.error());
  }
  count_codepoint(ip->header, 1);
  deliver_ip(now, interface, packet, *ip);
}

void Stack::Impl::count_codepoint(const wire::IpHeader& ip, std::uint32_t packets) noexcept {
  // By the two bits of RFC 3168 §5.
  static constexpr Counter kV4[] = {Counter::IpExt_InNoECTPkts, Counter::IpExt_InECT1Pkts, Counter::IpExt_InECT0Pkts,
                                    Counter::IpExt_InCEPkts};
  static constexpr Counter kV6[] = {Counter::Ip6_InNoECTPkts, Counter::Ip6_InECT1Pkts, Counter::Ip6_InECT0Pkts,
                                    Counter::Ip6_InCEPkts};
  const auto codepoint = static_cast<std::size_t>(ip.ecn());
  env_.counters.add(ip.source.is_v4() ? kV4[codepoint] : kV6[codepoint], packets);
}

void Stack::Impl::deliver_ip(Instant now, InterfaceId interface, const RxPacket& packet, const wire::IpView& ip) {
  Counters& counters = env_.counters;
  const bool v4 = ip.header.destination.is_v4();
  // RFC 1122 §3.2.1.3 g, RFC 4291 §2.5.3: such addresses are never seen on a link.
  if ((ip.header.source.is_loopback() || ip.header.destination.is_loopback()) && !interfaces_[interface].loopback) {
    counters.add(v4 ? Counter::Ip_InAddrErrors : Counter::Ip6_InAddrErrors);
    return counters.drop(ip.header.source.is_loopback() ? DropReason::IpMartianSource : DropReason::IpNotForUs);
  }
  if (!interfaces_.takes(interface, ip.header.destination)) {
    if (is_neighbour_discovery(interface, packet, ip))
      return icmp_arrives(now, interface, ip.header, packet, ip.payload_offset, ip.payload_size);
    counters.add(v4 ? Counter::Ip_InAddrErrors : Counter::Ip6_InAddrErrors);
    return counters.drop(DropReason::IpNotForUs);
  }
  switch (ip.header.protocol) {
    case wire::protocol::kTcp:
      counters.add(v4 ? Counter::Ip_InDelivers : Counter::Ip6_InDelivers);
      return tcp_arrives(now, interface, ip.header, packet, ip.payload_offset, ip.payload_size);
    case wire::protocol::kUdp:
      counters.add(v4 ? Counter::Ip_InDelivers : Counter::Ip6_InDelivers);
      return udp_arrives(now, interface, ip, packet);
    case wire::protocol::kIcmp:
    case wire::protocol::kIcmp6:
      if ((ip.header.protocol == wire::protocol::kIcmp) != v4) break;
      counters.add(v4 ? Counter::Ip_InDelivers : Counter::Ip6_InDelivers);
      return icmp_arrives(now, interface, ip.header, packet, ip.payload_offset, ip.payload_size);
    default:
      break;
  }
  counters.add(v4 ? Counter::Ip_InUnknownProtos : Counter::Ip6_InUnknownProtos);
  counters.drop(DropReason::IpProtocol);
  refuse_protocol(now, interface, packet, ip);
}

void Stack::Impl::refuse_protocol(Instant now, InterfaceId interface, const RxPacket& packet, const wire::IpView& ip) {
  constexpr std::uint8_t kNoNextHeader = 59;  // RFC 8200 §4.7
  const bool v4 = ip.header.source.is_v4();
  if (!v4 && ip.header.protocol == kNoNextHeader) return;
  // For IPv6 it is a parameter problem, which tells where the value stands (RFC 4443 §3.4).
  const std::uint32_t pointer = v4 ? 0 : wire::next_header_field(packet.bytes.span().first(ip.end()));
  send_icmp_error(now, interface, wire::IcmpKind::ProtocolUnreachable, packet, ip, pointer);
}

void Stack::Impl::tcp_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                              std::uint32_t offset, std::uint32_t size) {
  // RFC 1122 §4.2.3.10, and as Linux not only SYNs: TCP is between two.
  if (came_to_group(packet)) return env_.counters.drop(DropReason::TcpGroup);
  const ByteSpan bytes = packet.bytes.span().subspan(offset, size);
  const auto tcp = wire::parse_tcp(bytes);
  if (!tcp) {
    env_.counters.add(Counter::Tcp_InErrs);
    return env_.counters.drop(tcp.error());
  }
  if (packet.checksum == RxChecksum::Unverified && !wire::verify_transport_checksum(ip, bytes)) {
    env_.counters.add(Counter::Tcp_InErrs);
    env_.counters.add(Counter::Tcp_InCsumErrors);
    return env_.counters.drop(DropReason::TcpChecksum);
  }
  const wire::TcpHeader& header = tcp->header;
  tcp::Segment segment;
  segment.seq = header.seq;
  segment.ack = header.ack;
  segment.flags = header.flags;
  segment.window = header.window;
  segment.urgent_pointer = header.urgent_pointer;
  segment.options = header.options;
  segment.ecn = ip.ecn();
  segment.payload = packet.bytes.sub(offset + tcp->payload_offset, tcp->payload_size);
  segment.headers = packet.bytes.span().first(offset + tcp->payload_offset);
  segment.link_header_size = packet.link_header_size;
  if (packet.segment_size > 0)
    segment.count = std::max(1u, (tcp->payload_size + packet.segment_size - 1) / packet.segment_size);
  if (segment.count > 1) count_codepoint(ip, segment.count - 1);
  const FourTuple tuple{{ip.destination, header.destination_port}, {ip.source, header.source_port}};
  deliver(now, interface, tuple, segment);
}

void Stack::Impl::deliver(Instant now, InterfaceId interface, const FourTuple& tuple, tcp::Segment& segment) {
  if (const auto found = demux_.find(tuple)) {
    switch (found->form) {
      case Form::Connection: {
        Socket& socket = forms_.connections[found->index];
        tcp::Context c = context(now);
        socket.tcp.arrives(c, segment);
        return settle(socket, now);
      }
      case Form::Request:
        env_.counters.add(Counter::Tcp_InSegs, segment.count);
        return request_arrives(now, forms_.requests[found->index], segment);
    }
  }
  env_.counters.add(Counter::Tcp_InSegs, segment.count);
  if (const auto entry = time_waits_.find(tuple)) return time_wait_arrives(now, interface, *entry, tuple, segment);
  if (Listener* listener = listening_.find(tuple)) return listener_arrives(now, interface, tuple, *listener, segment);
  refuse(interface, tuple, segment);
}

// RFC 9293 §3.10.7.1: CLOSED.
void Stack::Impl::refuse(InterfaceId interface, const FourTuple& tuple, const tcp::Segment& segment) {
  if (segment.flags.rst()) return env_.counters.drop(DropReason::TcpResetForNoSocket);
  env_.counters.drop(DropReason::TcpNoSocket);
  if (TxPacket* packet = control_.add(tuple.local.address.is_v4())) {
    tcp::emit(tuple, path_of(interface).delivery, tcp::reset_for(segment), UINT32_MAX, *packet);
    env_.counters.add(Counter::Tcp_OutRsts);
    env_.counters.add(Counter::Tcp_OutSegs);
  }
}

// ---- what goes out without a connection ----------------------------------------------------------------------------

TxPacket* ControlQueue::add(bool v4) {
  if (waiting_.size() >= kMax) {
    counters_.drop(DropReason::TransmitQueueFull);
    counters_.add(v4 ? Counter::Ip_OutDiscards : Counter::Ip6_OutDiscards);
    return nullptr;
  }
  std::unique_ptr<TxPacket> packet;
  if (spare_.empty()) {
    packet = std::make_unique<TxPacket>();
  } else {
    packet = std::move(spare_.back());
    spare_.pop_back();
  }
  packet->clear();
  return waiting_.push_back(std::move(packet)).get();
}

bool ControlQueue::take(TxPacket& packet) {
  if (waiting_.empty()) return false;
  std::unique_ptr<TxPacket> first = std::move(waiting_.front());
  waiting_.pop_front();
  packet.take(*first);
  spare_.push_back(std::move(first));
  return true;
}

}  // namespace ff
