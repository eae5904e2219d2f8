// ICMP: echo, errors that come in, and those that we send (RFC 1122 §3.2.2, RFC 4443).
#include "wire/icmp.hpp"

#include <algorithm>

#include "stack/impl.hpp"
#include "wire/endian.hpp"
#include "wire/neighbour_discovery.hpp"
#include "wire/tcp.hpp"
#include "wire/udp.hpp"

namespace ff {
namespace {

using wire::IcmpKind;

// Types of errors: RFC 792 for IPv4; for IPv6 all of those below 128 (RFC 4443 §2.1).
namespace type_v4 {
constexpr std::uint8_t kEchoReply = 0, kUnreachable = 3, kSourceQuench = 4, kRedirect = 5, kTimeExceeded = 11,
                       kParameterProblem = 12;
}
namespace type_v6 {
constexpr std::uint8_t kUnreachable = 1, kPacketTooBig = 2, kTimeExceeded = 3, kParameterProblem = 4, kEchoReply = 129;
constexpr std::uint8_t kFirstInformational = 128;
}  // namespace type_v6

bool is_error(bool v4, std::uint8_t type) noexcept {
  if (!v4) return type < type_v6::kFirstInformational;
  return type == type_v4::kUnreachable || type == type_v4::kSourceQuench || type == type_v4::kRedirect ||
         type == type_v4::kTimeExceeded || type == type_v4::kParameterProblem;
}

std::optional<Counter> arrival_counter(bool v4, std::uint8_t type) noexcept {
  if (v4) {
    switch (type) {
      case type_v4::kUnreachable:
        return Counter::Icmp_InDestUnreachs;
      case type_v4::kTimeExceeded:
        return Counter::Icmp_InTimeExcds;
      case type_v4::kParameterProblem:
        return Counter::Icmp_InParmProbs;
      default:
        return std::nullopt;
    }
  }
  switch (type) {
    case type_v6::kUnreachable:
      return Counter::Icmp6_InDestUnreachs;
    case type_v6::kPacketTooBig:
      return Counter::Icmp6_InPktTooBigs;
    case type_v6::kTimeExceeded:
      return Counter::Icmp6_InTimeExcds;
    case type_v6::kParameterProblem:
      return Counter::Icmp6_InParmProblems;
    default:
      return std::nullopt;
  }
}

Counter departure_counter(bool v4, std::uint8_t type) noexcept {
  if (v4) {
    if (type == type_v4::kUnreachable) return Counter::Icmp_OutDestUnreachs;
    return Counter::Icmp_OutTimeExcds;  // there is no third: parameter problems are told over IPv6 alone
  }
  if (type == type_v6::kUnreachable) return Counter::Icmp6_OutDestUnreachs;
  return type == type_v6::kTimeExceeded ? Counter::Icmp6_OutTimeExcds : Counter::Icmp6_OutParmProblems;
}

// The size that the quoted packet had when we sent it.
std::uint32_t original_size(ByteSpan quoted, bool v4) noexcept {
  return v4 ? wire::load_be16(quoted.data() + 2)
            : static_cast<std::uint32_t>(wire::kIpv6HeaderSize) + wire::load_be16(quoted.data() + 4);
}

}  // namespace

// ---- what comes in -------------------------------------------------------------------------------------------------

void Stack::Impl::icmp_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, const RxPacket& packet,
                               std::uint32_t offset, std::uint32_t size) {
  const bool v4 = ip.source.is_v4();
  Counters& counters = env_.counters;
  counters.add(v4 ? Counter::Icmp_InMsgs : Counter::Icmp6_InMsgs);
  const ByteSpan message = packet.bytes.span().subspan(offset, size);
  const auto icmp = wire::parse_icmp(ip, message);
  if (!icmp) {
    counters.add(v4 ? Counter::Icmp_InErrors : Counter::Icmp6_InErrors);
    if (icmp.error() == DropReason::IcmpChecksum)
      counters.add(v4 ? Counter::Icmp_InCsumErrors : Counter::Icmp6_InCsumErrors);
    return counters.drop(icmp.error());
  }
  switch (icmp->kind) {
    case IcmpKind::EchoRequest:
      counters.add(v4 ? Counter::Icmp_InEchos : Counter::Icmp6_InEchos);
      return answer_echo(now, interface, ip, *icmp, message);
    case IcmpKind::EchoReply:
      counters.add(v4 ? Counter::Icmp_InEchoReps : Counter::Icmp6_InEchoReplies);
      return echo_reply_arrives(now, interface, ip, *icmp, message);
    case IcmpKind::Other:
      if (packet.link_header_size != 0 && !v4 && wire::is_discovery_type(icmp->type))
        return discovery_arrives(now, interface, ip, packet, message);
      return counters.drop(DropReason::IcmpUnknown);
    default:
      break;
  }
  if (const auto counter = arrival_counter(v4, icmp->type)) counters.add(*counter);
  icmp_error_arrives(now, ip, *icmp, message.subspan(icmp->body_offset, icmp->body_size));
}

void Stack::Impl::icmp_error_arrives(Instant now, const wire::IpHeader& carrier, const wire::IcmpView& icmp,
                                     ByteSpan quoted) {
  const auto ip = wire::parse_quoted_ip(quoted);
  if (!ip) return env_.counters.drop(DropReason::IcmpNoSocket);
  const ByteSpan transport = quoted.subspan(ip->payload_offset, ip->payload_size);
  switch (ip->header.protocol) {
    case wire::protocol::kTcp:
      return icmp_error_about_tcp(now, carrier, icmp, ip->header, transport);
    case wire::protocol::kUdp:
    case wire::protocol::kIcmp:
    case wire::protocol::kIcmp6:
      return icmp_error_about_datagram(now, carrier, icmp, ip->header, quoted, transport);
    default:
      return env_.counters.drop(DropReason::IcmpNoSocket);
  }
}

void Stack::Impl::icmp_error_about_tcp(Instant now, const wire::IpHeader& carrier, const wire::IcmpView& icmp,
                                       const wire::IpHeader& ip, ByteSpan transport) {
  const auto tcp = wire::parse_quoted_tcp(transport);
  if (!tcp) return env_.counters.drop(DropReason::IcmpTruncated);
  // What is quoted is a packet of ours: its source is our end.
  const FourTuple tuple{{ip.source, tcp->source_port}, {ip.destination, tcp->destination_port}};
  const auto found = demux_.find(tuple);
  if (found && found->form == Form::Request) return icmp_error_about_request(forms_.requests[found->index], icmp, *tcp);
  if (!found || found->form != Form::Connection) return env_.counters.drop(DropReason::IcmpNoSocket);
  Socket& socket = forms_.connections[found->index];
  tcp::Context c = context(now);
  socket.tcp.icmp_error(c, {icmp.kind, icmp.type, icmp.code, icmp.mtu, carrier, tcp->seq, transport},
                        !socket.waits_for_accept);
  settle(socket, now);
}

// As Linux's tcp_req_err(): a client that cannot be reached has no place in the queue.
void Stack::Impl::icmp_error_about_request(tcp::Request& request, const wire::IcmpView& icmp,
                                           const wire::QuotedTcp& quoted) {
  if (quoted.seq != request.iss()) {
    env_.counters.add(Counter::TcpExt_OutOfWindowIcmps);
    return env_.counters.drop(DropReason::IcmpSequence);
  }
  const bool v4 = request.tuple().local.address.is_v4();
  const bool ends = icmp.kind == IcmpKind::ParameterProblem ||
                    (v4 ? icmp.kind == IcmpKind::NetworkUnreachable || icmp.kind == IcmpKind::HostUnreachable ||
                              icmp.kind == IcmpKind::TimeExceeded
                        : icmp.kind == IcmpKind::PortUnreachable || icmp.kind == IcmpKind::AdministrativelyProhibited);
  if (!ends) return env_.counters.drop(DropReason::IcmpIgnored);
  env_.counters.add(Counter::TcpExt_ListenDrops);
  remove(request);
}

// Whoever can guess the ports can forge such an error: nothing in a datagram proves that it was seen (RFC 8085 §5.2).
// So it does no more than what a datagram's loss would, and shrinks no path below the least.
void Stack::Impl::icmp_error_about_datagram(Instant now, const wire::IpHeader& carrier, const wire::IcmpView& icmp,
                                            const wire::IpHeader& ip, ByteSpan quoted, ByteSpan transport) {
  if (transport.size() < wire::kUdpHeaderSize) return env_.counters.drop(DropReason::IcmpTruncated);
  const bool v4 = ip.source.is_v4();
  FourTuple tuple{{ip.source, 0}, {ip.destination, 0}};
  auto protocol = DatagramProtocol::Udp;
  std::size_t header = wire::kUdpHeaderSize;
  if (ip.protocol == wire::protocol::kUdp) {
    tuple.local.port = wire::load_be16(transport.data());
    tuple.remote.port = wire::load_be16(transport.data() + 2);
  } else {
    if (!wire::is_echo_request(v4, transport)) return env_.counters.drop(DropReason::IcmpNoSocket);
    protocol = DatagramProtocol::Echo;
    tuple.local.port = wire::load_be16(transport.data() + 4);
    header = 0;
  }
  udp::Socket* socket = interfaces_.stands_for(ip.source) ? datagrams_.find(protocol, tuple) : nullptr;
  if (socket == nullptr) return env_.counters.drop(DropReason::IcmpNoSocket);
  if (icmp.kind == IcmpKind::PacketTooBig) {
    // A router that complains of a packet it could have carried is none.
    if (original_size(quoted, v4) <= icmp.mtu) return env_.counters.drop(DropReason::IcmpIgnored);
    path_mtu_.learn(now, ip.destination, icmp.mtu);
  }
  datagrams_.report(*socket,
                    {icmp.kind, icmp.type, icmp.code, icmp.mtu, carrier.source, carrier.ttl, carrier.traffic_class},
                    tuple.remote, transport.subspan(header));
}

void Stack::Impl::echo_reply_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip,
                                     const wire::IcmpView& icmp, ByteSpan message) {
  const FourTuple tuple{{ip.destination, icmp.identifier}, {ip.source, 0}};
  udp::Socket* socket = datagrams_.find(DatagramProtocol::Echo, tuple);
  if (socket == nullptr) return env_.counters.drop(DropReason::IcmpNoSocket);
  if (!datagrams_.deliver(*socket, {.source = tuple.remote,
                                    .destination = ip.destination,
                                    .interface = interface,
                                    .ttl = ip.ttl,
                                    .traffic_class = ip.traffic_class,
                                    .at = now,
                                    .bytes = Slice::copy_of(message)}))
    env_.counters.drop(DropReason::UdpReceiveBufferFull);
}

// ---- what goes out -------------------------------------------------------------------------------------------------

void Stack::Impl::answer_echo(Instant now, InterfaceId interface, const wire::IpHeader& ip, const wire::IcmpView& icmp,
                              ByteSpan message) {
  // Whether a host that we stand for is alive, we do not know.
  const bool own = interfaces_.is_local(ip.destination);
  if (!own || env_.settings.icmp_echo_ignore_all) return env_.counters.drop(DropReason::IcmpIgnored);
  const bool v4 = ip.source.is_v4();
  if (!may_send_icmp(now, ip.source, v4 ? type_v4::kEchoReply : type_v6::kEchoReply)) return;
  wire::IpHeader reply = icmp_header(ip.destination, ip.source);
  reply.traffic_class = ip.traffic_class & 0xfc;  // RFC 1122 §3.2.2.6; ECN belongs to each packet alone
  std::string body(message.size(), '\0');
  wire::emit_echo(IcmpKind::EchoReply, reply, icmp.identifier, icmp.sequence,
                  message.subspan(icmp.body_offset, icmp.body_size), reinterpret_cast<std::uint8_t*>(body.data()));
  if (!send_icmp(interface, reply, std::move(body))) return;
  env_.counters.add(v4 ? Counter::Icmp_OutEchoReps : Counter::Icmp6_OutEchoReplies);
}

void Stack::Impl::send_icmp_error(Instant now, InterfaceId interface, IcmpKind kind, const RxPacket& packet,
                                  const wire::IpView& ip, std::uint32_t detail) {
  if (!deserves_icmp_error(interface, packet, ip)) return;
  const wire::IpHeader header = icmp_header(ip.header.destination, ip.header.source);
  std::string body(wire::kMaxIcmpError, '\0');
  const auto to = reinterpret_cast<std::uint8_t*>(body.data());
  body.resize(wire::emit_icmp_error(kind, header, detail, packet.bytes.span().first(ip.end()), to));
  const auto type = static_cast<std::uint8_t>(body[0]);
  if (!may_send_icmp(now, ip.header.source, type)) return;
  if (send_icmp(interface, header, std::move(body)))
    env_.counters.add(departure_counter(ip.header.source.is_v4(), type));
}

std::optional<IcmpKind> Stack::Impl::unreachable_kind(Error why) noexcept {
  switch (why) {
    case Error::NetworkUnreachable:
      return IcmpKind::NetworkUnreachable;
    case Error::HostUnreachable:
      return IcmpKind::HostUnreachable;
    case Error::PermissionDenied:
      return IcmpKind::AdministrativelyProhibited;
    default:
      return std::nullopt;
  }
}

void Stack::Impl::report_undeliverable(Instant now, IcmpKind kind, const FourTuple& tuple, std::uint8_t protocol,
                                       ByteSpan transport) {
  const auto hop = interfaces_.route(tuple.remote.address);
  if (!hop) return;
  wire::IpHeader original;
  original.source = tuple.remote.address;
  original.destination = tuple.local.address;
  original.protocol = protocol;
  original.ttl = static_cast<std::uint8_t>(env_.settings.ip_default_ttl);
  std::string bytes(wire::kIpv6HeaderSize + transport.size(), '\0');
  const auto to = reinterpret_cast<std::uint8_t*>(bytes.data());
  const std::size_t header = wire::emit_ip(original, transport.size(), to);
  std::ranges::copy(transport, to + header);
  bytes.resize(header + transport.size());
  const RxPacket packet{.bytes = Slice::adopt(std::move(bytes))};
  if (const auto ip = wire::parse_ip(packet.bytes.span())) send_icmp_error(now, hop->interface, kind, packet, *ip);
}

// RFC 1122 §3.2.2, RFC 4443 §2.4 e: never about an error, never to or about a group, never about a fragment but the
// first. (Those do not get here, nor do packets to a group, but in a frame to one.)
bool Stack::Impl::deserves_icmp_error(InterfaceId interface, const RxPacket& packet,
                                      const wire::IpView& ip) const noexcept {
  const IpAddress& source = ip.header.source;
  if (source.is_any() || interfaces_.is_subnet_broadcast(source)) return false;
  if (source.is_loopback() && !interfaces_[interface].loopback) return false;
  if (came_to_group(packet)) return false;
  const bool v4 = source.is_v4();
  if (ip.header.protocol != (v4 ? wire::protocol::kIcmp : wire::protocol::kIcmp6)) return true;
  return ip.payload_size > 0 && !is_error(v4, packet.bytes.data()[ip.payload_offset]);
}

bool Stack::Impl::may_send_icmp(Instant now, const IpAddress& destination, std::uint8_t type) noexcept {
  if (interfaces_.loopback() && interfaces_.is_local(destination)) return true;  // as Linux: to ourselves without limit
  const Route* route = interfaces_.routes().find(destination);
  return icmp_limiter_.allow(now, destination, type, route == nullptr ? 0 : route->prefix.prefix_length);
}

wire::IpHeader Stack::Impl::icmp_header(const IpAddress& from, const IpAddress& to) noexcept {
  wire::IpHeader header;
  header.source = from;
  header.destination = to;
  header.protocol = from.is_v4() ? wire::protocol::kIcmp : wire::protocol::kIcmp6;
  header.ttl = static_cast<std::uint8_t>(env_.settings.ip_default_ttl);
  header.dont_fragment = false;
  header.identification =
      from.is_v4() ? static_cast<std::uint16_t>(fragment_ids_.next(from, to, header.protocol)) : std::uint16_t{0};
  return header;
}

// Where it came in, the answer goes out, unless the routes know better.
bool Stack::Impl::send_icmp(InterfaceId interface, const wire::IpHeader& header, std::string message) {
  const bool v4 = header.source.is_v4();
  TxPacket* packet = control_.add(v4);
  if (packet == nullptr) {
    env_.counters.add(v4 ? Counter::Icmp_OutErrors : Counter::Icmp6_OutErrors);
    return false;
  }
  packet->header_size = static_cast<std::uint16_t>(wire::emit_ip(header, message.size(), packet->header_bytes.data()));
  packet->payload_size = static_cast<std::uint32_t>(message.size());
  packet->payload_pieces[0] = Slice::adopt(std::move(message));
  packet->payload_piece_count = 1;
  packet->interface = interfaces_.interface_to(header.source, header.destination).value_or(interface);
  env_.counters.add(v4 ? Counter::Icmp_OutMsgs : Counter::Icmp6_OutMsgs);
  return true;
}

}  // namespace ff
