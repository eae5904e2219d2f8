// Datagram sockets: the application's calls, what comes in for them, and what they send.
#include <algorithm>

#include "stack/impl.hpp"
#include "wire/endian.hpp"
#include "wire/icmp.hpp"
#include "wire/tcp.hpp"
#include "wire/udp.hpp"

namespace ff {
namespace {

constexpr std::uint32_t kIcmpHeaderSize = 8;

std::uint32_t ip_header_size(bool v4) noexcept {
  return static_cast<std::uint32_t>(v4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize);
}

// Whether a socket that was opened so can send to this address.
bool reaches_family(const udp::Binding& binding, const IpAddress& destination) noexcept {
  if (binding.local.address.is_v4() == destination.is_v4()) return true;
  return binding.local.address == IpAddress::any_v6() && !binding.ipv6_only;
}

// IPv4 counts in the Udp line, IPv6 in Linux's Udp6.
Counter by_family(bool v4, Counter udp, Counter udp6) noexcept { return v4 ? udp : udp6; }

}  // namespace

// ---- calls ---------------------------------------------------------------------------------------------------------

Result<DatagramId> Stack::Impl::open_datagram(const DatagramOptions& options) {
  if (!options.local.address.is_any() && !interfaces_.stands_for(options.local.address))
    return std::unexpected(Error::AddressNotAvailable);
  if (options.every_port && (options.local != Endpoint{options.local.address, 0} || !options.local.address.is_any() ||
                             options.protocol != DatagramProtocol::Udp))
    return std::unexpected(Error::InvalidArgument);
  return datagrams_.open(options);
}

Result<void> Stack::Impl::close_datagram(DatagramId id) {
  udp::Socket* socket = datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  datagrams_.close(*socket);
  return {};
}

Result<void> Stack::Impl::connect_datagram(DatagramId id, const Endpoint& remote) {
  udp::Socket* socket = datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  const auto hop = hop_of(*socket, remote);
  if (!hop) return std::unexpected(hop.error());
  const bool echo = socket->protocol == DatagramProtocol::Echo;
  const IpAddress& bound = socket->binding.local.address;
  datagrams_.connect(*socket, {remote.address, echo ? std::uint16_t{0} : remote.port},
                     bound.is_any() ? hop->source : bound);
  return {};
}

Result<void> Stack::Impl::disconnect_datagram(DatagramId id) {
  udp::Socket* socket = datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  datagrams_.disconnect(*socket);
  return {};
}

// By which interface, and from which of our addresses, a datagram of this socket gets to `remote`.
Result<ip::Interfaces::Hop> Stack::Impl::hop_of(const udp::Socket& socket, const Endpoint& remote,
                                                const DatagramExtras& extras) const {
  const bool wants_port = socket.protocol == DatagramProtocol::Udp;
  if (remote.address.is_any() || (wants_port && socket.binding.local.port == 0))
    return std::unexpected(Error::InvalidArgument);
  if (!reaches_family(socket.binding, remote.address)) return std::unexpected(Error::InvalidArgument);
  // Linux wants SO_BROADCAST for it, which there is not.
  if (remote.address.is_broadcast() || interfaces_.is_subnet_broadcast(remote.address))
    return std::unexpected(Error::PermissionDenied);
  auto hop = interfaces_.route(remote.address);
  if (!hop) return std::unexpected(Error::NetworkUnreachable);
  const IpAddress source = extras.source.value_or(socket.source);
  if (extras.source && source.is_v4() != remote.address.is_v4()) return std::unexpected(Error::InvalidArgument);
  // As Linux, who has no route from such an address over IPv4, and over IPv6 looks at it before.
  if (extras.source && !interfaces_.stands_for(source))
    return std::unexpected(source.is_v4() ? Error::NetworkUnreachable : Error::InvalidArgument);
  if (!source.is_any() && source.is_v4() == remote.address.is_v4()) {
    hop->source = source;
    hop->interface = interfaces_.interface_to(hop->source, remote.address).value_or(hop->interface);
  }
  if (extras.interface && *extras.interface >= interfaces_.size()) return std::unexpected(Error::NotFound);
  if (extras.interface) hop->interface = *extras.interface;
  return *hop;
}

Result<void> Stack::Impl::send_datagram(Instant now, DatagramId id, Slice bytes, const std::optional<Endpoint>& to,
                                        const DatagramExtras& extras) {
  udp::Socket* socket = datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  if (const auto error = socket->take_pending_error()) return std::unexpected(*error);
  if (!to && !socket->remote) return std::unexpected(Error::DestinationRequired);
  const Endpoint remote = to ? *to : *socket->remote;
  const bool v4 = remote.address.is_v4();
  const bool udp = socket->protocol == DatagramProtocol::Udp;
  // As Linux, who lets a socket be connected to port 0.
  if (udp && to && to->port == 0) return std::unexpected(Error::InvalidArgument);
  const auto hop = hop_of(*socket, remote, extras);
  if (!hop) {
    if (hop.error() == Error::NetworkUnreachable)
      env_.counters.add(v4 ? Counter::Ip_OutNoRoutes : Counter::Ip6_OutNoRoutes);
    return std::unexpected(hop.error());
  }
  if (!udp && !wire::is_echo_request(v4, bytes.span())) return std::unexpected(Error::InvalidArgument);

  // What the length fields of UDP, IPv4 and IPv6 can say.
  const std::uint32_t payload = bytes.size() + (udp ? static_cast<std::uint32_t>(wire::kUdpHeaderSize) : 0);
  if (payload > 65535 - (v4 ? wire::kIpv4HeaderSize : 0)) return std::unexpected(Error::MessageTooLong);
  if (socket->header.path_mtu_discovery == PathMtuDiscovery::Do &&
      ip_header_size(v4) + payload > path_mtu_.lookup(now, remote.address, interfaces_[hop->interface].mtu))
    return std::unexpected(Error::MessageTooLong);
  if (!socket->may_send()) {
    socket->wants_room();
    if (udp) env_.counters.add(by_family(v4, Counter::Udp_SndbufErrors, Counter::Udp6_SndbufErrors));
    return std::unexpected(Error::WouldBlock);
  }
  DatagramHeader header = socket->header;
  if (extras.ttl) header.ttl = extras.ttl;
  header.traffic_class = extras.traffic_class.value_or(header.traffic_class);
  datagrams_.queue(
      *socket,
      {{{hop->source, socket->binding.local.port}, remote}, hop->interface, header, std::move(bytes), extras.stamp});
  return {};
}

Result<Datagram> Stack::Impl::receive_datagram(DatagramId id) {
  udp::Socket* socket = datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  Result<Datagram> datagram = socket->receive();
  // Linux counts what was read, not what came.
  if (datagram && socket->protocol == DatagramProtocol::Udp)
    env_.counters.add(by_family(datagram->source.address.is_v4(), Counter::Udp_InDatagrams, Counter::Udp6_InDatagrams));
  return datagram;
}

// The error quotes what the peer sent, as far as its kernel looks: the ports.
Result<void> Stack::Impl::refuse_datagrams(Instant now, DatagramId id, Error why) {
  const udp::Socket* socket = datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  const auto kind = why == Error::ConnectionRefused ? wire::IcmpKind::PortUnreachable : unreachable_kind(why);
  if (!kind || !socket->tuple || socket->protocol != DatagramProtocol::Udp)
    return std::unexpected(Error::InvalidArgument);
  std::array<std::uint8_t, wire::kUdpHeaderSize> header{};
  wire::store_be16(header.data(), socket->tuple->remote.port);
  wire::store_be16(header.data() + 2, socket->tuple->local.port);
  wire::store_be16(header.data() + 4, wire::kUdpHeaderSize);
  report_undeliverable(now, *kind, *socket->tuple, wire::protocol::kUdp, header);
  return {};
}

// ---- what comes in -------------------------------------------------------------------------------------------------

void Stack::Impl::udp_arrives(Instant now, InterfaceId interface, const wire::IpView& ip, const RxPacket& packet) {
  const bool v4 = ip.header.source.is_v4();
  Counters& counters = env_.counters;
  const ByteSpan bytes = packet.bytes.span().subspan(ip.payload_offset, ip.payload_size);
  const auto udp = wire::parse_udp(ip.header, bytes);
  const auto reject = [&](DropReason reason) {
    counters.add(by_family(v4, Counter::Udp_InErrors, Counter::Udp6_InErrors));
    if (reason == DropReason::UdpChecksum)
      counters.add(by_family(v4, Counter::Udp_InCsumErrors, Counter::Udp6_InCsumErrors));
    counters.drop(reason);
  };
  if (!udp) return reject(udp.error());
  const ByteSpan datagram = bytes.first(udp->payload_offset + udp->payload_size);
  if (packet.checksum == RxChecksum::Unverified && udp->has_checksum &&
      !wire::verify_transport_checksum(ip.header, datagram))
    return reject(DropReason::UdpChecksum);

  const FourTuple tuple{{ip.header.destination, udp->destination_port}, {ip.header.source, udp->source_port}};
  udp::Socket* socket = datagrams_.find(DatagramProtocol::Udp, tuple);
  if (socket == nullptr) {
    counters.add(by_family(v4, Counter::Udp_NoPorts, Counter::Udp6_NoPorts));
    counters.drop(DropReason::UdpNoSocket);
    return send_icmp_error(now, interface, wire::IcmpKind::PortUnreachable, packet, ip);
  }
  // Copied: a datagram that waits must not keep the device's whole slab, or the bound on the queue would be none.
  if (datagrams_.deliver(*socket, {.source = tuple.remote,
                                   .destination = tuple.local.address,
                                   .destination_port = tuple.local.port,
                                   .interface = interface,
                                   .ttl = ip.header.ttl,
                                   .traffic_class = ip.header.traffic_class,
                                   .at = now,
                                   .bytes = Slice::copy_of(datagram.subspan(udp->payload_offset))}))
    return;
  counters.add(by_family(v4, Counter::Udp_RcvbufErrors, Counter::Udp6_RcvbufErrors));
  reject(DropReason::UdpReceiveBufferFull);
}

// ---- what goes out -------------------------------------------------------------------------------------------------

namespace {

// The first eight bytes of both kinds of datagram, in front of `rest` of the payload. Says how many bytes of the
// application's stand in them.
std::uint32_t write_udp(const wire::IpHeader& ip, const FourTuple& tuple, const Slice& bytes, std::uint8_t* to) {
  wire::emit_udp(ip, tuple.local.port, tuple.remote.port, bytes.span(), to);
  return 0;
}

std::uint32_t write_echo(const wire::IpHeader& ip, const FourTuple& tuple, const Slice& bytes, std::uint8_t* to) {
  const std::uint16_t sequence = wire::load_be16(bytes.data() + 6);
  wire::emit_echo_header(ip, tuple.local.port, sequence, bytes.span().subspan(kIcmpHeaderSize), to);
  return kIcmpHeaderSize;
}

}  // namespace

bool Stack::Impl::next_datagram(Instant now, TxPacket& packet) {
  DatagramId id;
  const udp::Outgoing next = datagrams_.take_outgoing(id);
  udp::Socket& sender = *datagrams_.find(id);
  const DatagramProtocol protocol = sender.protocol;
  const bool v4 = next.tuple.remote.address.is_v4();
  const bool udp = protocol == DatagramProtocol::Udp;
  const std::uint32_t payload = next.bytes.size() + (udp ? static_cast<std::uint32_t>(wire::kUdpHeaderSize) : 0);
  const std::uint16_t mtu = path_mtu_.lookup(now, next.tuple.remote.address, interfaces_[next.interface].mtu);
  const bool fits = ip_header_size(v4) + payload <= mtu;

  wire::IpHeader ip;
  ip.source = next.tuple.local.address;
  ip.destination = next.tuple.remote.address;
  ip.protocol = udp ? wire::protocol::kUdp : (v4 ? wire::protocol::kIcmp : wire::protocol::kIcmp6);
  const bool to_group = ip.destination.is_multicast();
  ip.ttl =
      next.header.ttl.value_or(to_group ? std::uint8_t{1} : static_cast<std::uint8_t>(env_.settings.ip_default_ttl));
  ip.traffic_class = next.header.traffic_class;
  switch (next.header.path_mtu_discovery) {
    case PathMtuDiscovery::Want:
      ip.dont_fragment = fits;
      break;
    case PathMtuDiscovery::Dont:
      ip.dont_fragment = false;
      break;
    case PathMtuDiscovery::Do:
      ip.dont_fragment = true;
      break;
  }
  if (!fits && next.header.path_mtu_discovery == PathMtuDiscovery::Do) {
    // The path has become narrower since the call.
    env_.counters.add(v4 ? Counter::Ip_FragFails : Counter::Ip6_FragFails);
    env_.counters.drop(DropReason::IpTooBig);
    if (udp::Socket* socket = datagrams_.find(protocol, next.tuple))
      datagrams_.report(*socket, {wire::IcmpKind::PacketTooBig, 0, 0, mtu, std::nullopt}, next.tuple.remote,
                        next.bytes.span());
    return false;
  }
  if (!ip.dont_fragment && v4)
    ip.identification = static_cast<std::uint16_t>(fragment_ids_.next(ip.source, ip.destination, ip.protocol));

  const std::size_t ip_size = wire::emit_ip(ip, payload, packet.header_bytes.data());
  std::uint8_t* const transport = packet.header_bytes.data() + ip_size;
  const std::uint32_t in_header =
      udp ? write_udp(ip, next.tuple, next.bytes, transport) : write_echo(ip, next.tuple, next.bytes, transport);
  packet.header_size = static_cast<std::uint16_t>(ip_size + wire::kUdpHeaderSize);
  packet.payload_size = next.bytes.size() - in_header;
  if (packet.payload_size > 0) {
    packet.payload_pieces[0] = next.bytes.sub(in_header);
    packet.payload_piece_count = 1;
  }
  packet.interface = next.interface;
  count_datagram(v4, udp);
  stamp_datagram(now, sender, next.stamp, packet);
  return true;
}

void Stack::Impl::stamp_datagram(Instant now, udp::Socket& sender, const StampRequest& wanted, const TxPacket& packet) {
  if (wanted.kinds == 0) return;
  std::string bytes;
  if (wanted.with_packet) {
    bytes.append(as_text(packet.header()));
    for (const Slice& piece : packet.payload()) bytes.append(piece.text());
  }
  const Slice whole = Slice::adopt(std::move(bytes));
  for (const std::uint8_t kind : {stamp_bits::kScheduled, stamp_bits::kSent})
    if ((wanted.kinds & kind) != 0) datagrams_.stamp(sender, {kind, wanted.key, now, whole});
}

void Stack::Impl::count_datagram(bool v4, bool udp) noexcept {
  if (udp) return env_.counters.add(by_family(v4, Counter::Udp_OutDatagrams, Counter::Udp6_OutDatagrams));
  env_.counters.add(v4 ? Counter::Icmp_OutMsgs : Counter::Icmp6_OutMsgs);
  env_.counters.add(v4 ? Counter::Icmp_OutEchos : Counter::Icmp6_OutEchos);
}

}  // namespace ff
