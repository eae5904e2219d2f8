#include "firstflight/stack.hpp"

#include "stack/impl.hpp"
#include "tcp/fastopen/key_ring.hpp"

namespace ff {

std::string_view to_string(TcpState state) noexcept {
  switch (state) {
    case TcpState::Closed:
      return "CLOSED";
    case TcpState::Listen:
      return "LISTEN";
    case TcpState::SynSent:
      return "SYN-SENT";
    case TcpState::SynReceived:
      return "SYN-RECEIVED";
    case TcpState::Established:
      return "ESTABLISHED";
    case TcpState::FinWait1:
      return "FIN-WAIT-1";
    case TcpState::FinWait2:
      return "FIN-WAIT-2";
    case TcpState::CloseWait:
      return "CLOSE-WAIT";
    case TcpState::Closing:
      return "CLOSING";
    case TcpState::LastAck:
      return "LAST-ACK";
    case TcpState::TimeWait:
      return "TIME-WAIT";
  }
  return "";
}

Stack::Stack(StackConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Stack::~Stack() = default;
Stack::Stack(Stack&&) noexcept = default;
Stack& Stack::operator=(Stack&&) noexcept = default;

void Stack::handle_packet(Instant now, InterfaceId interface, RxPacket packet) {
  impl_->handle_packet(now, interface, std::move(packet));
}
void Stack::handle_deadline(Instant now) { impl_->handle_deadline(now); }

Result<InterfaceId> Stack::add_interface(InterfaceConfig config) { return impl_->add_interface(std::move(config)); }
std::expected<void, std::string> Stack::set_setting(std::string_view name, std::string_view value) {
  auto done = ff::set_setting(impl_->env_.settings, name, value);
  impl_->env_.fast_open_cache.trim();
  return done;
}
std::expected<void, std::string> Stack::set_settings(std::span<const SettingAssignment> assignments) {
  auto done = ff::set_settings(impl_->env_.settings, assignments);
  impl_->env_.fast_open_cache.trim();
  return done;
}

Result<void> Stack::add_congestion_control(CongestionControlFactory factory) {
  const auto added = impl_->env_.congestion_controls.add(std::move(factory));
  impl_->env_.settings.tcp_available_congestion_control = impl_->env_.congestion_controls.names();
  return added;
}

Result<BindingId> Stack::bind(const BindOptions& options) { return impl_->bind(options); }
Result<void> Stack::close(BindingId binding) { return impl_->close_binding(binding); }
Result<ListenerId> Stack::listen(const ListenOptions& options) { return impl_->listen(options); }
Result<void> Stack::set_backlog(ListenerId id, std::uint32_t backlog) {
  Listener* listener = impl_->listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  listener->options.backlog = backlog;
  listener->accept_limit = std::min(backlog, settings().somaxconn);
  return {};
}
Result<void> Stack::set_fast_open(ListenerId listener, std::uint32_t queue) {
  return impl_->set_fast_open(listener, queue);
}
Result<void> Stack::set_fast_open_keys(ListenerId listener, const std::optional<FastOpenKeys>& keys) {
  return impl_->set_fast_open_keys(listener, keys);
}
Result<ConnectionId> Stack::accept(ListenerId listener) { return impl_->accept(listener); }
Result<HeldRequest> Stack::next_request(ListenerId listener) { return impl_->next_request(listener); }
Result<void> Stack::answer(Instant now, RequestId request) { return impl_->answer(now, request); }
Result<void> Stack::refuse(Instant now, RequestId request, Error why) { return impl_->refuse(now, request, why); }
Result<void> Stack::close(Instant now, ListenerId listener) { return impl_->close_listener(now, listener); }
Result<ConnectionId> Stack::connect(Instant now, const ConnectOptions& options) { return impl_->connect(now, options); }

Result<std::size_t> Stack::write(Instant now, ConnectionId connection, ByteSpan bytes, std::uint8_t flags) {
  return impl_->with(now, connection,
                     [&](tcp::Connection& tcp, tcp::Context& c) { return tcp.write(c, bytes, flags); });
}
Result<void> Stack::write(Instant now, ConnectionId connection, Slice bytes, std::uint8_t flags) {
  return impl_->with(now, connection,
                     [&](tcp::Connection& tcp, tcp::Context& c) { return tcp.write(c, std::move(bytes), flags); });
}
Result<void> Stack::await_room(ConnectionId connection) {
  Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  socket->tcp.await_room();
  return {};
}
Result<std::size_t> Stack::read(Instant now, ConnectionId connection, MutableByteSpan into) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) { return tcp.read(c, into); });
}
Result<Slice> Stack::read_slice(Instant now, ConnectionId connection, std::uint32_t max) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) { return tcp.read_slice(c, max); });
}
Result<std::size_t> Stack::peek(ConnectionId connection, MutableByteSpan into, std::uint32_t offset) const {
  const Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->tcp.peek(into, offset);
}
Result<std::optional<std::uint8_t>> Stack::read_urgent(Instant now, ConnectionId connection) {
  return impl_->with(now, connection, [](tcp::Connection& tcp, tcp::Context&) { return tcp.read_urgent(); });
}
Result<bool> Stack::at_urgent_mark(ConnectionId connection) const {
  const Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->tcp.at_urgent_mark();
}

Result<void> Stack::shutdown_write(Instant now, ConnectionId connection) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) { return tcp.shutdown_write(c); });
}
Result<void> Stack::shutdown_read(Instant now, ConnectionId connection) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) { return tcp.shutdown_read(c); });
}
Result<void> Stack::close(Instant now, ConnectionId connection) { return impl_->close(now, connection, false); }
Result<void> Stack::abort(Instant now, ConnectionId connection) { return impl_->close(now, connection, true); }

Result<void> Stack::set_no_delay(Instant now, ConnectionId connection, bool on) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) -> Result<void> {
    tcp.set_no_delay(c, on);
    return {};
  });
}
Result<void> Stack::set_options(Instant now, ConnectionId connection, const SocketOptions& options) {
  return impl_->set_options(now, connection, options);
}
Result<void> Stack::set_options(ListenerId listener, const SocketOptions& options) {
  return impl_->set_options(listener, options);
}
Result<void> Stack::set_options(BindingId binding, const SocketOptions& options) {
  return impl_->set_options(binding, options);
}
Result<void> Stack::set_quick_ack(Instant now, ConnectionId connection, bool on) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) -> Result<void> {
    tcp.set_quick_ack(c, on);
    return {};
  });
}
Result<std::string> Stack::take_saved_syn(ConnectionId connection) { return impl_->take_saved_syn(connection); }
Result<SocketOptions> Stack::options(ConnectionId connection) const {
  const Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  SocketOptions options = socket->tcp.options_now();
  options.reuse_addr = socket->use.reuse_addr;
  options.reuse_port = socket->use.reuse_port;
  return options;
}
Result<Endpoint> Stack::local(BindingId binding) const { return impl_->local(binding); }
Result<Endpoint> Stack::local(ListenerId id) const {
  const Listener* listener = impl_->listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  return listener->options.local;
}
Result<void> Stack::stamp_last_byte(Instant now, ConnectionId connection, const StampRequest& what) {
  return impl_->with(now, connection, [&](tcp::Connection& tcp, tcp::Context& c) -> Result<void> {
    tcp.stamp_last_byte(c, what);
    return {};
  });
}
Result<TransmitStamp> Stack::next_stamp(ConnectionId connection) {
  Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  if (auto stamp = socket->tcp.next_stamp()) return *std::move(stamp);
  return std::unexpected(Error::WouldBlock);
}
Result<DatagramError> Stack::receive_error(ConnectionId connection) {
  Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  if (auto error = socket->tcp.next_network_error()) return *std::move(error);
  return std::unexpected(Error::WouldBlock);
}
Result<std::optional<Error>> Stack::take_soft_error(ConnectionId connection) {
  Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->tcp.take_soft_error();
}
Result<std::optional<Instant>> Stack::last_arrival(ConnectionId connection, std::uint32_t peeked) const {
  const Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->tcp.last_arrival(peeked);
}
Result<void> Stack::set_user_data(ConnectionId connection, std::uint64_t user_data) {
  Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  socket->user_data = user_data;
  return {};
}

Result<void> Stack::add_route(const Route& route) { return impl_->interfaces_.add_route(route); }
Result<void> Stack::remove_route(const Cidr& prefix, std::optional<IpAddress> gateway,
                                 std::optional<InterfaceId> interface, std::optional<std::uint32_t> metric) {
  return impl_->interfaces_.routes().remove(prefix, gateway, interface, metric);
}

Result<DatagramId> Stack::open(const DatagramOptions& options) { return impl_->open_datagram(options); }
Result<void> Stack::connect(DatagramId socket, const Endpoint& remote) {
  return impl_->connect_datagram(socket, remote);
}
Result<void> Stack::disconnect(DatagramId socket) { return impl_->disconnect_datagram(socket); }
Result<void> Stack::send(Instant now, DatagramId socket, Slice bytes, const std::optional<Endpoint>& to,
                         const DatagramExtras& extras) {
  return impl_->send_datagram(now, socket, std::move(bytes), to, extras);
}
Result<TransmitStamp> Stack::next_stamp(DatagramId id) {
  udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->next_stamp();
}
Result<Datagram> Stack::receive(DatagramId socket) { return impl_->receive_datagram(socket); }
Result<DatagramError> Stack::receive_error(DatagramId id) {
  udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->next_error();
}
Result<void> Stack::set_header(DatagramId id, const DatagramHeader& header) {
  udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  if (header.ttl == 0) return std::unexpected(Error::InvalidArgument);
  socket->header = header;
  return {};
}
Result<void> Stack::set_options(DatagramId id, const DatagramOptions& options) {
  udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  socket->set_options(options, impl_->env_.settings);
  return {};
}
Result<std::optional<Error>> Stack::take_error(DatagramId id) {
  udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->take_pending_error();
}
Result<void> Stack::set_user_data(DatagramId id, std::uint64_t user_data) {
  udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  socket->user_data = user_data;
  return {};
}
Result<void> Stack::refuse(Instant now, DatagramId socket, Error why) {
  return impl_->refuse_datagrams(now, socket, why);
}
Result<void> Stack::close(DatagramId socket) { return impl_->close_datagram(socket); }

Result<void> Stack::set_fast_open_cache(const FastOpenCacheEntry& entry) {
  if (entry.source.is_any() || entry.destination.is_any() || entry.source.is_v4() != entry.destination.is_v4())
    return std::unexpected(Error::InvalidArgument);
  if (!impl_->env_.fast_open_cache.set(entry)) return std::unexpected(Error::NoBufferSpace);
  return {};
}
void Stack::clear_fast_open_cache(std::optional<std::uint64_t> partition) {
  impl_->env_.fast_open_cache.clear(partition);
}

void Stack::clear_tcp_metrics() noexcept { impl_->env_.metrics.clear(); }

bool Stack::poll_transmit(Instant now, TxPacket& packet) { return impl_->poll_transmit(now, packet); }
std::optional<Event> Stack::poll_event() { return impl_->poll_event(); }
Instant Stack::next_deadline() const { return impl_->next_deadline(); }

void Stack::set_trace(TraceSink* sink) noexcept { impl_->env_.trace = sink; }

Result<ConnectionInfo> Stack::info(ConnectionId connection) const {
  const Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->tcp.info(settings());
}
Result<ConnectionStatus> Stack::status(ConnectionId connection) const {
  const Socket* socket = impl_->find(connection);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->tcp.status(impl_->env_);
}
Result<ListenerStatus> Stack::status(ListenerId id) const {
  const Listener* listener = impl_->listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  return ListenerStatus{static_cast<std::uint32_t>(listener->accept_queue.size()), listener->accept_limit};
}
Result<DatagramInfo> Stack::info(DatagramId id) const {
  const udp::Socket* socket = impl_->datagrams_.find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  return socket->info();
}
std::vector<DatagramId> Stack::datagram_sockets() const { return impl_->datagrams_.list(); }
std::vector<Route> Stack::routes() const {
  const auto all = impl_->interfaces_.routes().all();
  return {all.begin(), all.end()};
}
std::vector<Neighbour> Stack::neighbours() const {
  return impl_->ethernet_ == nullptr ? std::vector<Neighbour>() : impl_->ethernet_->neighbours();
}
Result<std::uint16_t> Stack::path_mtu(Instant now, const IpAddress& destination) const {
  const auto hop = impl_->interfaces_.route(destination);
  if (!hop) return std::unexpected(Error::NetworkUnreachable);
  return impl_->path_mtu_.lookup(now, destination, impl_->interfaces_[hop->interface].mtu);
}
std::size_t Stack::fragment_memory() const noexcept {
  return impl_->fragments_v4_.memory() + impl_->fragments_v6_.memory();
}
const Settings& Stack::settings() const noexcept { return impl_->env_.settings; }
const Counters& Stack::counters() const noexcept { return impl_->env_.counters; }
std::vector<FastOpenCacheEntry> Stack::fast_open_cache(Instant now) const {
  return impl_->env_.fast_open_cache.entries(now);
}
std::vector<TcpMetrics> Stack::tcp_metrics(Instant now) const { return impl_->env_.metrics.entries(now); }
FastOpenKeys Stack::fast_open_keys() const { return impl_->fast_open_keys(); }
FastOpenCookie Stack::fast_open_cookie(const IpAddress& client, const IpAddress& server) const {
  return tcp::make_cookie(impl_->fast_open_keys().primary, client, server);
}
Stack::MemoryUse Stack::memory() const noexcept {
  return {impl_->env_.memory.held.bytes(), impl_->env_.memory.under_pressure()};
}
Stack::Population Stack::population() const noexcept {
  return {impl_->forms_.connections.size(), impl_->forms_.requests.size(), impl_->time_waits_.size(),
          impl_->listeners_.size()};
}
std::string Stack::check() const { return impl_->check(); }

}  // namespace ff
