// What comes in, from the IP header down to the socket that it is for.
#include <cassert>

#include "stack/impl.hpp"
#include "tcp/emit.hpp"
#include "wire/checksum.hpp"
#include "wire/tcp.hpp"
#include "wire/udp.hpp"

namespace ff {

void Stack::Impl::handle_packet(Instant now, InterfaceId interface, RxPacket packet) {
  assert(interface < interfaces_.size());
  Counters& counters = env_.counters;
  const auto ip = wire::parse_ip(packet.bytes.span(), packet.segment_size == 0);
  const bool looks_v6 = !packet.bytes.empty() && packet.bytes.data()[0] >> 4 == 6;
  counters.add(looks_v6 ? Counter::Ip6_InReceives : Counter::Ip_InReceives);
  if (!ip) {
    counters.add(looks_v6 ? Counter::Ip6_InHdrErrors : Counter::Ip_InHdrErrors);
    return counters.drop(ip.error());
  }
  const bool v4 = ip->header.destination.is_v4();
  if (!interfaces_.is_local(ip->header.destination)) {
    counters.add(v4 ? Counter::Ip_InAddrErrors : Counter::Ip6_InAddrErrors);
    return counters.drop(DropReason::IpNotForUs);
  }
  switch (ip->header.protocol) {
    case wire::protocol::kTcp:
      counters.add(v4 ? Counter::Ip_InDelivers : Counter::Ip6_InDelivers);
      return tcp_arrives(now, interface, ip->header, packet, ip->payload_offset, ip->payload_size);
    case wire::protocol::kUdp:
      counters.add(v4 ? Counter::Ip_InDelivers : Counter::Ip6_InDelivers);
      return udp_arrives(ip->header, packet.bytes.span().subspan(ip->payload_offset, ip->payload_size),
                         packet.checksum);
    case wire::protocol::kIcmp:
    case wire::protocol::kIcmp6:
      if ((ip->header.protocol == wire::protocol::kIcmp) != v4) break;
      counters.add(v4 ? Counter::Ip_InDelivers : Counter::Ip6_InDelivers);
      return icmp_arrives(now, interface, ip->header, packet, ip->payload_offset, ip->payload_size);
    default:
      break;
  }
  counters.add(v4 ? Counter::Ip_InUnknownProtos : Counter::Ip6_InUnknownProtos);
  counters.drop(DropReason::IpProtocol);
}

void Stack::Impl::tcp_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                              std::uint32_t offset, std::uint32_t size) {
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
  segment.options = header.options;
  segment.payload = packet.bytes.sub(offset + tcp->payload_offset, tcp->payload_size);
  if (packet.segment_size > 0)
    segment.count = std::max(1u, (tcp->payload_size + packet.segment_size - 1) / packet.segment_size);
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
      case Form::TimeWait:
        env_.counters.add(Counter::Tcp_InSegs, segment.count);
        return time_wait_arrives(now, interface, found->index, tuple, segment);
    }
  }
  env_.counters.add(Counter::Tcp_InSegs, segment.count);
  if (Listener* listener = find_listener(tuple.local))
    return listener_arrives(now, interface, tuple, *listener, segment);
  refuse(interface, tuple, segment);
}

// RFC 9293 §3.10.7.1: CLOSED.
void Stack::Impl::refuse(InterfaceId interface, const FourTuple& tuple, const tcp::Segment& segment) {
  if (segment.flags.rst()) return env_.counters.drop(DropReason::TcpResetForNoSocket);
  env_.counters.drop(DropReason::TcpNoSocket);
  if (TxPacket* packet = control_.add()) {
    tcp::emit(tuple, path_of(interface).delivery, tcp::reset_for(segment), UINT32_MAX, *packet);
    env_.counters.add(Counter::Tcp_OutRsts);
    env_.counters.add(Counter::Tcp_OutSegs);
  }
}

void Stack::Impl::udp_arrives(const wire::IpHeader& ip, ByteSpan datagram, RxChecksum checksum) {
  const auto udp = wire::parse_udp(ip, datagram);
  if (!udp) {
    env_.counters.add(Counter::Udp_InErrors);
    return env_.counters.drop(udp.error());
  }
  if (checksum == RxChecksum::Unverified && udp->has_checksum && !wire::verify_transport_checksum(ip, datagram)) {
    env_.counters.add(Counter::Udp_InErrors);
    env_.counters.add(Counter::Udp_InCsumErrors);
    return env_.counters.drop(DropReason::UdpChecksum);
  }
  env_.counters.add(Counter::Udp_NoPorts);
  env_.counters.drop(DropReason::UdpNoSocket);
}

void Stack::Impl::icmp_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                               std::uint32_t offset, std::uint32_t size) {
  env_.counters.add(Counter::Icmp_InMsgs);
  const ByteSpan message = packet.bytes.span().subspan(offset, size);
  const auto icmp = wire::parse_icmp(ip, message);
  if (!icmp) {
    env_.counters.add(Counter::Icmp_InErrors);
    if (icmp.error() == DropReason::IcmpChecksum) env_.counters.add(Counter::Icmp_InCsumErrors);
    return env_.counters.drop(icmp.error());
  }
  switch (icmp->kind) {
    case wire::IcmpKind::EchoRequest:
      env_.counters.add(Counter::Icmp_InEchos);
      return answer_echo(interface, ip, *icmp, message);
    case wire::IcmpKind::EchoReply:
    case wire::IcmpKind::Other:
      return env_.counters.drop(DropReason::IcmpUnknown);
    case wire::IcmpKind::TimeExceeded:
      env_.counters.add(Counter::Icmp_InTimeExcds);
      break;
    default:
      env_.counters.add(Counter::Icmp_InDestUnreachs);
      break;
  }
  icmp_error_arrives(now, *icmp, message.subspan(icmp->body_offset, icmp->body_size));
}

void Stack::Impl::icmp_error_arrives(Instant now, const wire::IcmpView& icmp, ByteSpan quoted) {
  const auto ip = wire::parse_quoted_ip(quoted);
  if (!ip || ip->header.protocol != wire::protocol::kTcp) return env_.counters.drop(DropReason::IcmpNoSocket);
  const auto tcp = wire::parse_quoted_tcp(quoted.subspan(ip->payload_offset, ip->payload_size));
  if (!tcp) return env_.counters.drop(DropReason::IcmpTruncated);
  // What is quoted is a packet of ours: its source is our end.
  const FourTuple tuple{{ip->header.source, tcp->source_port}, {ip->header.destination, tcp->destination_port}};
  const auto found = demux_.find(tuple);
  if (!found || found->form != Form::Connection) return env_.counters.drop(DropReason::IcmpNoSocket);
  Socket& socket = forms_.connections[found->index];
  tcp::Context c = context(now);
  socket.tcp.icmp_error(c, icmp.kind, icmp.mtu, tcp->seq);
  settle(socket, now);
}

void Stack::Impl::answer_echo(InterfaceId interface, const wire::IpHeader& ip, const wire::IcmpView& icmp,
                              ByteSpan message) {
  TxPacket* packet = control_.add();
  if (packet == nullptr) return;
  wire::IpHeader reply;
  reply.source = ip.destination;
  reply.destination = ip.source;
  reply.protocol = ip.protocol;
  reply.ttl = static_cast<std::uint8_t>(env_.settings.ip_default_ttl);
  std::string body(message.size(), '\0');
  wire::emit_echo(wire::IcmpKind::EchoReply, reply, icmp.identifier, icmp.sequence,
                  message.subspan(icmp.body_offset, icmp.body_size), reinterpret_cast<std::uint8_t*>(body.data()));
  packet->header_size = static_cast<std::uint16_t>(wire::emit_ip(reply, body.size(), packet->header_bytes.data()));
  packet->payload_size = static_cast<std::uint32_t>(body.size());
  packet->payload_pieces[0] = Slice::adopt(std::move(body));
  packet->payload_piece_count = 1;
  packet->interface = interface;
  env_.counters.add(Counter::Icmp_OutMsgs);
  env_.counters.add(Counter::Icmp_OutEchoReps);
}

// ---- what goes out without a connection
// ---------------------------------------------------------------------------------

TxPacket* ControlQueue::add() {
  if (waiting_.size() >= kMax) {
    counters_.drop(DropReason::TransmitQueueFull);
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
