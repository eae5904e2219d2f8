#include "udp/sockets.hpp"

namespace ff::udp {

Sockets::Sockets(const Settings& settings, Counters& counters, const Seed& seed)
    : settings_(settings),
      counters_(counters),
      random_(derive_secret(seed.bytes, "ports of datagram sockets")),
      udp_(derive_key(seed.bytes, "UDP sockets")),
      echo_(derive_key(seed.bytes, "echo sockets")) {}

Result<DatagramId> Sockets::open(const DatagramOptions& options) {
  Binding binding{options.local, options.ipv6_only, options.reuse_addr, options.reuse_port};
  if (binding.local.port == 0 && !options.every_port) {
    const auto port = ephemeral_port(options.protocol);
    if (!port) return std::unexpected(Error::AddressInUse);
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
  const PortSet& ephemeral = ephemeral_.of(settings_);
  const PortSet& held = table(protocol).held();
  const auto free = [&](std::uint32_t index) { return ephemeral.word(index) & ~held.word(index); };
  const PortRange range = settings_.ip_local_port_range;
  const std::uint64_t count = static_cast<std::uint64_t>(range.last - range.first) + 1;
  const auto start = static_cast<std::uint32_t>(range.first + random_.below(count));
  if (const auto port = first_port(start, PortSet::kPorts, free)) return port;
  return first_port(0, start, free);
}

void Sockets::close(Socket& socket) noexcept {
  if (socket.tuple) disconnect(socket);
  table(socket.protocol).unbind(socket.binding, socket.index);
  pool_.destroy(socket.index);
}

void Sockets::connect(Socket& socket, const Endpoint& remote, const IpAddress& source) {
  const FourTuple tuple{{source, socket.binding.local.port}, remote};
  PortTable& ports = table(socket.protocol);
  if (socket.tuple) ports.disconnect(socket.binding, socket.index, *socket.tuple);
  ports.connect(socket.binding, socket.index, tuple);
  socket.remote = remote;
  socket.tuple = tuple;
  socket.source = source;
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

Outgoing Sockets::take_outgoing(DatagramId& id) {
  Socket& socket = transmit_ring_.front();
  transmit_ring_.pop_front();
  Outgoing next = socket.take_outgoing();
  if (socket.has_outgoing()) transmit_ring_.push_back(socket);
  if (socket.events != 0) tell(socket);
  id = {socket.index, pool_.generation(socket.index)};
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
