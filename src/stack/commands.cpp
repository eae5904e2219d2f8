// The application's calls.
#include <algorithm>

#include "stack/impl.hpp"
#include "stack/tuple_hash.hpp"

namespace ff {

namespace {
SipHashKey key_for(const Seed& seed, std::string_view purpose) noexcept { return derive_key(seed.bytes, purpose); }
}  // namespace

Stack::Impl::Impl(StackConfig config)
    : env_(key_for(config.seed, "metrics of paths")),
      config_(std::move(config)),
      isn_key_(key_for(config_.seed, "initial sequence numbers")),
      default_fast_open_key_{key_for(config_.seed, "Fast Open cookies").bytes},
      fast_open_replays_(key_for(config_.seed, "Fast Open replays")),
      demux_(forms_, key_for(config_.seed, "demultiplexer")),
      time_waits_(key_for(config_.seed, "TIME_WAIT")),
      syn_cookies_(key_for(config_.seed, "SYN cookies")),
      listening_(listeners_, key_for(config_.seed, "listeners that share a port")),
      port_choice_(key_for(config_.seed, "ephemeral ports"), Random(derive_secret(config_.seed.bytes, "port choice"))),
      control_(env_.counters),
      datagrams_(env_.settings, env_.counters, config_.seed),
      icmp_limiter_(env_.settings, env_.counters, key_for(config_.seed, "ICMP limits"),
                    Random(derive_secret(config_.seed.bytes, "ICMP credit"))),
      fragment_ids_(key_for(config_.seed, "fragments"), Random(derive_secret(config_.seed.bytes, "IPv6 fragments"))),
      fragments_v4_(true, env_.settings, env_.counters, key_for(config_.seed, "IPv4 reassembly")),
      fragments_v6_(false, env_.settings, env_.counters, key_for(config_.seed, "IPv6 reassembly")),
      path_mtu_(env_.settings, key_for(config_.seed, "path MTUs")) {
  env_.settings = config_.settings;
  env_.settings.tcp_available_congestion_control = env_.congestion_controls.names();
  env_.timestamp_key = key_for(config_.seed, "timestamp offsets");
  env_.outbox = &control_;
}

tcp::Path Stack::Impl::path_of(InterfaceId interface) const noexcept {
  const InterfaceConfig& config = interfaces_[interface];
  tcp::Path path;
  path.delivery.interface = interface;
  path.delivery.ttl = static_cast<std::uint8_t>(env_.settings.ip_default_ttl);
  path.mtu = config.mtu;
  path.max_super_segment = config.max_super_segment;
  return path;
}

// RFC 6528 §3: a clock of 4 µs a tick, plus a keyed hash of the four-tuple.
Seq Stack::Impl::initial_sequence_number(Instant now, const FourTuple& tuple) const noexcept {
  if (config_.initial_sequence_number) return Seq(*config_.initial_sequence_number);
  const auto ticks = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() / 4);
  return Seq(ticks + static_cast<std::uint32_t>(tuple_hash(isn_key_, tuple)));
}

// RFC 7323 §7.1: one offset for a pair of hosts, so that timestamps of successive connections between them go on
// growing (for E8 and PAWS in TIME_WAIT), and tell nobody else anything.
std::uint32_t Stack::Impl::timestamp_offset(const FourTuple& tuple) const noexcept {
  FourTuple hosts = tuple;
  hosts.local.port = hosts.remote.port = 0;
  return static_cast<std::uint32_t>(tuple_hash(env_.timestamp_key, hosts));
}

// A connection could have these options.
Result<void> Stack::Impl::check_options(const SocketOptions& options) const {
  if (!ff::check(options)) return std::unexpected(Error::InvalidArgument);
  if (!options.congestion.empty() && env_.congestion_controls.find(options.congestion.view()) == nullptr)
    return std::unexpected(Error::NoSuchName);
  return {};
}

Result<ListenerId> Stack::Impl::listen(const ListenOptions& options) {
  if (const auto good = check_options(options.options); !good) return std::unexpected(good.error());
  if (options.every_port && (options.binding || options.local.port != 0 || !options.local.address.is_any()))
    return std::unexpected(Error::InvalidArgument);
  const auto binding =
      options.every_port ? Result<Binding>({options.local, options.ipv6_only}) : binding_to_listen(options);
  if (!binding) return std::unexpected(binding.error());
  Listener& listener = listeners_.create();
  listener.options = options;
  listener.options.local = binding->local;
  listener.options.ipv6_only = binding->ipv6_only;
  listener.options.binding.reset();
  listener.accept_limit = std::min(options.backlog, env_.settings.somaxconn);
  listener.fast_open_limit = fast_open_limit(options);
  if (!options.every_port) ports_.hold(*binding, use_of(listener));
  listening_.add(listener);
  return ListenerId{listener.index, listeners_.generation(listener.index)};
}

// As Linux's inet_listen(), both bits must be set when the listener begins; what becomes of kServer later is another
// matter.
std::uint32_t Stack::Impl::fast_open_limit(const ListenOptions& options) const noexcept {
  constexpr std::uint32_t kBoth = fast_open_bits::kServer | fast_open_bits::kAllListeners;
  if (options.hold_requests) return 0;
  const bool all_listeners = (env_.settings.tcp_fastopen & kBoth) == kBoth;
  const std::uint32_t wanted = options.fast_open_queue.value_or(all_listeners ? options.backlog : 0);
  return std::min(wanted, env_.settings.somaxconn);
}

Result<void> Stack::Impl::set_fast_open(ListenerId id, std::uint32_t queue) {
  Listener* listener = listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  listener->options.fast_open_queue = queue;
  listener->fast_open_limit = fast_open_limit(listener->options);
  return {};
}

Result<void> Stack::Impl::set_fast_open_keys(ListenerId id, const std::optional<FastOpenKeys>& keys) {
  Listener* listener = listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  listener->options.fast_open_keys = keys;
  return {};
}

Result<ConnectionId> Stack::Impl::accept(ListenerId id) {
  Listener* listener = listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  if (listener->accept_queue.empty()) return std::unexpected(Error::WouldBlock);
  Socket& socket = forms_.connections[listener->accept_queue.front()];
  listener->accept_queue.pop_front();
  socket.owned = true;
  socket.waits_for_accept = false;
  if (socket.events != 0) event_list_.push_back(socket);
  return ConnectionId{socket.index, forms_.connections.generation(socket.index)};
}

Result<HeldRequest> Stack::Impl::next_request(ListenerId id) {
  Listener* listener = listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  while (!listener->held_requests.empty()) {
    const RequestId next = listener->held_requests.front();
    listener->held_requests.pop_front();
    const tcp::Request* request = forms_.requests.find(next.index, next.generation);
    if (request != nullptr) return HeldRequest{next, request->tuple()};
  }
  return std::unexpected(Error::WouldBlock);
}

Result<void> Stack::Impl::answer(Instant now, RequestId id) {
  tcp::Request* request = forms_.requests.find(id.index, id.generation);
  if (request == nullptr) return std::unexpected(Error::StaleHandle);
  if (!request->held()) return std::unexpected(Error::InvalidArgument);
  request->hold(false);
  send_syn_ack(now, *request);
  wheel_.arm(request->timer, request->next_timeout(now));
  return {};
}

Result<void> Stack::Impl::refuse(Instant now, RequestId id, Error why) {
  tcp::Request* request = forms_.requests.find(id.index, id.generation);
  if (request == nullptr) return std::unexpected(Error::StaleHandle);
  if (!request->held()) return std::unexpected(Error::InvalidArgument);
  tcp::Segment syn;
  syn.seq = request->irs();
  syn.flags.bits = wire::TcpFlags::kSyn;
  if (why == Error::ConnectionRefused) {
    refuse(request->interface(), request->tuple(), syn);
  } else if (const auto kind = unreachable_kind(why)) {
    // Its kernel looks at the ports and the number.
    std::array<std::uint8_t, wire::kTcpHeaderSize> header{};
    wire::TcpHeader quoted;
    quoted.source_port = request->tuple().remote.port;
    quoted.destination_port = request->tuple().local.port;
    quoted.seq = syn.seq;
    quoted.flags = syn.flags;
    const std::size_t size = wire::emit_tcp(quoted, header.data());
    report_undeliverable(now, *kind, request->tuple(), wire::protocol::kTcp, ByteSpan(header).first(size));
  }
  env_.counters.add(Counter::Tcp_AttemptFails);
  remove(*request);
  return {};
}

Result<std::string> Stack::Impl::take_saved_syn(ConnectionId id) {
  const Socket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  const auto saved = connection_syns_.find(socket->index);
  if (saved == connection_syns_.end()) return std::unexpected(Error::NotFound);
  std::string syn = std::move(saved->second);
  connection_syns_.erase(saved);
  return syn;
}

Result<void> Stack::Impl::close_listener(Instant now, ListenerId id) {
  Listener* listener = listeners_.find(id.index, id.generation);
  if (listener == nullptr) return std::unexpected(Error::StaleHandle);
  listening_.remove(*listener);
  std::vector<std::uint32_t> requests;
  forms_.requests.for_each([&](const tcp::Request& request) {
    if (request.listener == listener->index) requests.push_back(request.index);
  });
  for (const std::uint32_t index : requests) bequeath(*listener, forms_.requests[index]);
  while (!listener->accept_queue.empty()) {
    Socket& socket = forms_.connections[listener->accept_queue.front()];
    listener->accept_queue.pop_front();
    bequeath(*listener, socket, now);
  }
  // Accepted ones whose handshake is not over have nobody to count for any more.
  forms_.connections.for_each([&](Socket& socket) {
    if (socket.listener == listener->index) socket.counts_as_half_open = false;
  });
  if (!listener->options.every_port) ports_.release(binding_of(*listener), use_of(*listener));
  listeners_.destroy(listener->index);
  return {};
}

// Who has this four-tuple when `listener` is gone: by tcp_migrate_req, one of those that share its port.
Listener* Stack::Impl::heir_of(const Listener& listener, const FourTuple& tuple) noexcept {
  if (!env_.settings.tcp_migrate_req) return nullptr;
  Listener* heir = listening_.heir_of(listener, tuple);
  if (heir == nullptr) return nullptr;
  const bool has_room = !heir->accept_queue_full();
  env_.counters.add(has_room ? Counter::TcpExt_TCPMigrateReqSuccess : Counter::TcpExt_TCPMigrateReqFailure);
  return has_room ? heir : nullptr;
}

void Stack::Impl::bequeath(Listener& listener, tcp::Request& request) {
  Listener* heir = request.held() ? nullptr : heir_of(listener, request.tuple());
  if (heir == nullptr) return remove(request);
  --listener.requests;
  ++heir->requests;
  request.listener = heir->index;
}

void Stack::Impl::bequeath(Listener& listener, Socket& socket, Instant now) {
  if (Listener* heir = heir_of(listener, socket.tcp.tuple())) {
    if (socket.counts_as_half_open) {
      --listener.fast_open_half_open;
      ++heir->fast_open_half_open;
    }
    return offer_to_acceptor(*heir, socket);
  }
  tcp::Context c = context(now);
  socket.tcp.abort(c);
  socket.counts_as_half_open = false;
  socket.waits_for_accept = false;
  settle(socket, now);
}

Result<ConnectionId> Stack::Impl::connect(Instant now, const ConnectOptions& options) {
  if (const auto good = check_options(options.options); !good) return std::unexpected(good.error());
  const Endpoint& remote = options.remote;
  if (remote.address.is_any() || remote.address.is_multicast() || remote.address.is_broadcast())
    return std::unexpected(Error::InvalidArgument);
  const auto route = interfaces_.route(remote.address);
  if (!route) return std::unexpected(Error::NetworkUnreachable);
  const auto end = local_end(options, route->source);
  if (!end) return std::unexpected(end.error());
  FourTuple tuple{end->binding.local, remote};
  if (end->use.chosen) {
    const auto port = choose_port(now, tuple);
    if (!port) return std::unexpected(port.error());
    tuple.local.port = *port;
  } else if (!is_unused(now, tuple)) {
    return std::unexpected(Error::AddressNotAvailable);
  }
  if (forms_.connections.size() + forms_.requests.size() >= config_.max_connections)
    return std::unexpected(Error::NoBufferSpace);
  if (end->bound != nullptr) let_go(*end->bound);

  tcp::ActiveOpen how;
  how.tuple = tuple;
  how.path = path_of(tuple.local.address == route->source
                         ? route->interface
                         : interfaces_.interface_to(tuple.local.address, remote.address).value_or(route->interface));
  how.iss = initial_sequence_number(now, tuple);
  how.ts_offset = timestamp_offset(tuple);
  how.options = &options.options;
  if (const auto old = time_waits_.find(tuple)) {
    // RFC 6191 §3: beyond the numbers, and the timestamps, of the one before.
    how.iss = time_waits_[*old].next_iss();
    how.ts_recent = time_waits_[*old].ts_recent().value_or(Timestamp());
    env_.counters.add(Counter::TcpExt_TWRecycled);
    remove_time_wait(*old);
  }
  how.fast_open = options.fast_open;
  how.fast_open_partition = options.fast_open_partition;
  if (options.fast_open != FastOpenMode::Off)
    how.plan = tcp::plan_client(env_.fast_open_cache, env_.settings,
                                {tuple.local.address, remote.address, options.fast_open_partition},
                                options.fast_open_no_cookie, now);
  Socket& socket = new_socket();
  socket.owned = true;
  socket.user_data = options.user_data;
  tcp::Context c = context(now);
  socket.tcp.open(c, how, options.data);
  enter_demux(socket, end->use);
  settle(socket, now);
  return ConnectionId{socket.index, forms_.connections.generation(socket.index)};
}

Result<void> Stack::Impl::close(Instant now, ConnectionId id, bool abort) {
  Socket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::StaleHandle);
  socket->owned = false;
  socket->event_hook.unlink();
  socket->events = 0;
  tcp::Context c = context(now);
  if (abort) {
    socket->tcp.abort(c);
  } else {
    const auto linger = socket->tcp.options_now().linger;
    socket->lingers = linger && *linger > 0;
    socket->tcp.close(c);
    if (!socket->lingers) count_orphan(*socket, now);
  }
  settle(*socket, now);
  return {};
}

}  // namespace ff
