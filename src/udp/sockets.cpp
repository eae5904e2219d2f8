#include "udp/sockets.hpp"

namespace ff::udp {

Sockets::Sockets(const Settings& settings, Counters& counters, const Seed& seed)
    : settings_(settings),
      counters_(counters),
      random_(derive_secret(seed.bytes, "ports of datagram sockets")),
      udp_(derive_key(seed.bytes, "UDP sockets")),
      echo_(derive_key(seed.bytes, "echo sockets")) {}

Result<DatagramId> Sockets::open(const DatagramOptions& options) {
  Binding binding{options.local, options.ipv6_only, options.reuse_port};
  if (binding.local.port == 0) {
    const auto port = ephemeral_port(options.protocol);
    if (!port) return std::unexpected(Error::AddressNotAvailable);
    binding.local.port = *port;
  } else if (table(options.protocol).conflicts(binding)) {
    return std::unexpected(Error::AddressInUse);
  }
  Socket& socket = pool_.create();
  socket.open(options, settings_);
  socket.binding = binding;
  socket.source = binding.local.address;
  table(socket.protocol).bind(binding, socket.index);
  return DatagramId{socket.index, pool_.generation(socket.index)};
}

// RFC 6056 §3.3.1: a random start, then the next free one. Datagram sockets are few and have no destination to key it
// with.
std::optional<std::uint16_t> Sockets::ephemeral_port(DatagramProtocol protocol) {
  const PortRange range = settings_.ip_local_port_range;
  const std::uint32_t count = static_cast<std::uint32_t>(range.last - range.first) + 1;
  const auto start = static_cast<std::uint32_t>(random_.below(count));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(range.first + (start + i) % count);
    if (table(protocol).is_free(port)) return port;
  }
  return std::nullopt;
}

void Sockets::close(Socket& socket) noexcept {
  if (socket.tuple) disconnect(socket);
  table(socket.protocol).unbind(socket.binding, socket.index);
  pool_.destroy(socket.index);
}

Result<void> Sockets::connect(Socket& socket, const Endpoint& remote, const IpAddress& source) {
  const FourTuple tuple{{source, socket.binding.local.port}, remote};
  const std::optional<FourTuple> before = socket.tuple;
  PortTable& ports = table(socket.protocol);
  if (before) ports.disconnect(socket.binding, socket.index, *before);
  if (!ports.connect(socket.binding, socket.index, tuple)) {
    if (before) ports.connect(socket.binding, socket.index, *before);
    return std::unexpected(Error::AddressInUse);
  }
  socket.remote = remote;
  socket.tuple = tuple;
  socket.source = source;
  return {};
}

void Sockets::disconnect(Socket& socket) {
  if (!socket.tuple) return;
  table(socket.protocol).disconnect(socket.binding, socket.index, *socket.tuple);
  socket.tuple.reset();
  socket.remote.reset();
  socket.source = socket.binding.local.address;
}

Socket* Sockets::find(DatagramProtocol protocol, const FourTuple& tuple) noexcept {
  const auto index = table(protocol).find(tuple);
  return index ? &pool_[*index] : nullptr;
}

std::vector<DatagramId> Sockets::list() const {
  std::vector<DatagramId> ids;
  const_cast<Pool<Socket>&>(pool_).for_each(
      [&](const Socket& socket) { ids.push_back({socket.index, pool_.generation(socket.index)}); });
  return ids;
}

bool Sockets::deliver(Socket& socket, Datagram datagram) {
  if (!socket.deliver(std::move(datagram))) return false;
  tell(socket);
  return true;
}

void Sockets::report(Socket& socket, const Report& report, const Endpoint& destination, ByteSpan quoted) {
  if (!socket.report(report, destination, quoted)) return counters_.drop(DropReason::IcmpIgnored);
  tell(socket);
}

void Sockets::queue(Socket& socket, Outgoing datagram) {
  socket.queue(std::move(datagram));
  if (!socket.transmit_hook.is_linked()) transmit_ring_.push_back(socket);
}

Outgoing Sockets::take_outgoing(DatagramProtocol& protocol) {
  Socket& socket = transmit_ring_.front();
  transmit_ring_.pop_front();
  Outgoing next = socket.take_outgoing();
  if (socket.has_outgoing()) transmit_ring_.push_back(socket);
  if (socket.events != 0) tell(socket);
  protocol = socket.protocol;
  return next;
}

void Sockets::tell(Socket& socket) noexcept {
  if (!socket.event_hook.is_linked()) event_list_.push_back(socket);
}

std::optional<Event> Sockets::poll_event() {
  if (event_list_.empty()) return std::nullopt;
  Socket& socket = event_list_.front();
  event_list_.pop_front();
  Event event;
  event.bits = socket.take_events();
  event.datagram = {socket.index, pool_.generation(socket.index)};
  event.user_data = socket.user_data;
  return event;
}

}  // namespace ff::udp
