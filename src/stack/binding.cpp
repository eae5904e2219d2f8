// bind(), by itself and as a part of listen() and connect(): who gets which local port.
#include "stack/impl.hpp"

namespace ff {

namespace {

PortUse reuse_of(const SocketOptions& options) noexcept {
  return {.reuse_addr = options.reuse_addr, .reuse_port = options.reuse_port};
}

}  // namespace

// What Linux's inet_csk_get_port() does, but for taking the port.
Result<Binding> Stack::Impl::claim(const Endpoint& local, bool ipv6_only, PortUse use, bool freebind) {
  Binding binding{local, ipv6_only};
  if (!local.address.is_any() && !freebind && !interfaces_.stands_for(local.address))
    return std::unexpected(Error::AddressNotAvailable);
  if (local.port == 0) {
    const auto port = port_choice_.for_bind(env_.settings, ports_.held(), [&](std::uint16_t candidate) {
      binding.local.port = candidate;
      return ports_.is_free(binding);
    });
    if (!port) return std::unexpected(Error::AddressInUse);
    binding.local.port = *port;
  } else if (ports_.conflicts(binding, use)) {
    return std::unexpected(Error::AddressInUse);
  }
  return binding;
}

Result<BindingId> Stack::Impl::bind(const BindOptions& options) {
  if (const auto good = check_options(options.options); !good) return std::unexpected(good.error());
  const PortUse use = reuse_of(options.options);
  const auto binding = claim(options.local, options.ipv6_only, use, options.options.freebind);
  if (!binding) return std::unexpected(binding.error());
  BoundPort& port = bindings_.create();
  port.binding = *binding;
  port.use = use;
  ports_.hold(port.binding, port.use);
  return BindingId{port.index, bindings_.generation(port.index)};
}

Result<void> Stack::Impl::close_binding(BindingId id) {
  BoundPort* port = bindings_.find(id.index, id.generation);
  if (port == nullptr) return std::unexpected(Error::StaleHandle);
  let_go(*port);
  return {};
}

void Stack::Impl::let_go(BoundPort& port) noexcept {
  ports_.release(port.binding, port.use);
  bindings_.destroy(port.index);
}

// SO_REUSEADDR and SO_REUSEPORT count from now on, for whoever comes; nobody is asked again whether it is right.
Result<void> Stack::Impl::set_options(BindingId id, const SocketOptions& options) {
  BoundPort* port = bindings_.find(id.index, id.generation);
  if (port == nullptr) return std::unexpected(Error::StaleHandle);
  if (const auto good = check_options(options); !good) return std::unexpected(good.error());
  ports_.release(port->binding, port->use);
  port->use = reuse_of(options);
  ports_.hold(port->binding, port->use);
  return {};
}

Result<Endpoint> Stack::Impl::local(BindingId id) const {
  const BoundPort* port = bindings_.find(id.index, id.generation);
  if (port == nullptr) return std::unexpected(Error::StaleHandle);
  return port->binding.local;
}

// ---- listeners -----------------------------------------------------------------------------------------------------

Binding Stack::Impl::binding_of(const Listener& listener) noexcept {
  return {listener.options.local, listener.options.ipv6_only};
}

PortUse Stack::Impl::use_of(const Listener& listener) noexcept {
  PortUse use = reuse_of(listener.options.options);
  use.listening = true;
  return use;
}

PortUse Stack::Impl::inherited_use(const Listener& listener) noexcept { return reuse_of(listener.options.options); }

Result<Binding> Stack::Impl::binding_to_listen(const ListenOptions& options) {
  const PortUse use = reuse_of(options.options);
  if (!options.binding) return claim(options.local, options.ipv6_only, use, options.options.freebind);
  BoundPort* port = bindings_.find(options.binding->index, options.binding->generation);
  if (port == nullptr) return std::unexpected(Error::StaleHandle);
  // Of several that SO_REUSEADDR let bind the same, one may listen.
  ports_.release(port->binding, port->use);
  const bool conflicts = ports_.conflicts(port->binding, use);
  ports_.hold(port->binding, port->use);
  if (conflicts) return std::unexpected(Error::AddressInUse);
  const Binding binding = port->binding;
  let_go(*port);
  return binding;
}

Result<void> Stack::Impl::set_options(ListenerId id, const SocketOptions& options) {
  Listener* listener = listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  if (const auto good = check_options(options); !good) return std::unexpected(good.error());
  const bool has_port = !listener->options.every_port;
  if (has_port) ports_.release(binding_of(*listener), use_of(*listener));
  listener->options.options = options;
  if (has_port) ports_.hold(binding_of(*listener), use_of(*listener));
  return {};
}

// ---- connections ---------------------------------------------------------------------------------------------------

// The address and port that an outgoing connection has before a port is chosen for it, if one is to be.
Result<Stack::Impl::LocalEnd> Stack::Impl::local_end(const ConnectOptions& options, const IpAddress& route_source) {
  LocalEnd end{{options.local.value_or(Endpoint{})}, reuse_of(options.options)};
  if (options.binding) {
    end.bound = bindings_.find(options.binding->index, options.binding->generation);
    if (end.bound == nullptr) return std::unexpected(Error::StaleHandle);
    end.binding = end.bound->binding;
  }
  const IpAddress& remote = options.remote.address;
  const IpAddress asked = end.binding.local.address;
  const bool both_families = asked == IpAddress::any_v6() && !end.binding.ipv6_only;
  if (asked.is_v4() != remote.is_v4() && !both_families) return std::unexpected(Error::InvalidArgument);
  if (!asked.is_any() && !options.options.freebind && !interfaces_.stands_for(asked))
    return std::unexpected(Error::AddressNotAvailable);
  end.use.by_bind = end.binding.local.port != 0;
  end.use.chosen = !end.use.by_bind;
  if (end.use.by_bind && end.bound == nullptr) {
    const auto claimed = claim(end.binding.local, false, end.use, options.options.freebind);
    if (!claimed) return std::unexpected(claimed.error());
  }
  if (asked.is_any()) end.binding.local.address = route_source;
  return end;
}

// As Linux's __inet_check_established(). An entry in TIME_WAIT gives way where PAWS tells old segments from new (RFC
// 6191 §3): by tcp_tw_reuse, or because bind() was asked for this port and so the application knows what it does.
bool Stack::Impl::gives_way(Instant now, std::uint32_t time_wait, bool by_bind) const noexcept {
  if (!env_.settings.tcp_timestamps || !time_waits_[time_wait].ts_recent()) return false;
  const Instant since = time_waits_.ends_at(time_wait) - tcp::kTimeWaitLength;
  return by_bind || now - since >= std::chrono::milliseconds(env_.settings.tcp_tw_reuse_delay);
}

bool Stack::Impl::may_reuse_time_wait(const FourTuple& tuple) const noexcept {
  const std::uint32_t allowed = env_.settings.tcp_timestamps ? env_.settings.tcp_tw_reuse : 0;
  const bool loopback = tuple.local.address.is_loopback() && tuple.remote.address.is_loopback();
  return allowed == 1 || (allowed == 2 && loopback);
}

bool Stack::Impl::is_unused(Instant now, const FourTuple& tuple) const noexcept {
  if (demux_.find(tuple)) return false;
  const auto time_wait = time_waits_.find(tuple);
  return !time_wait || gives_way(now, *time_wait, true);
}

Result<std::uint16_t> Stack::Impl::choose_port(Instant now, FourTuple tuple) {
  const auto holder_of = [&](std::uint16_t port) {
    tuple.local.port = port;
    if (demux_.find(tuple)) return PortChoice::Holder::Taken;
    const auto time_wait = time_waits_.find(tuple);
    if (!time_wait) return PortChoice::Holder::Nobody;
    return time_waits_[*time_wait].ts_recent() ? PortChoice::Holder::TimeWait : PortChoice::Holder::Taken;
  };
  const auto gives_way_now = [&](std::uint16_t port) {
    tuple.local.port = port;
    return gives_way(now, *time_waits_.find(tuple), false);
  };
  tuple.local.port = 0;
  const FourTuple destination = tuple;
  const auto port = port_choice_.for_connect(destination, env_.settings, ports_.bound(),
                                             may_reuse_time_wait(destination), holder_of, gives_way_now);
  return port ? Result<std::uint16_t>(*port) : std::unexpected(Error::AddressNotAvailable);
}

Result<void> Stack::Impl::set_options(Instant now, ConnectionId id, const SocketOptions& options) {
  if (const auto good = check_options(options); !good) return std::unexpected(good.error());
  Socket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  const Binding binding{socket->tcp.tuple().local};
  if (socket->holds_port()) ports_.release(binding, socket->use);
  socket->use.reuse_addr = options.reuse_addr;
  socket->use.reuse_port = options.reuse_port;
  if (socket->holds_port()) ports_.hold(binding, socket->use);
  return with(now, id, [&](tcp::Connection& tcp, tcp::Context& c) {
    tcp.set_options(c, options);
    return Result<void>();
  });
}

}  // namespace ff
