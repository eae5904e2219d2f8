// What the stack holds, socket by socket: listeners first, as ss shows them, then requests, connections, TIME_WAIT
// entries and datagram sockets.
#include <algorithm>

#include "stack/impl.hpp"

namespace ff {

namespace {

enum Kind : std::uint8_t { kListeners, kRequests, kConnections, kTimeWaits, kDatagrams };

// Ids are told apart by what they name, then by slot and generation.
std::uint64_t id_of(Kind kind, std::uint32_t index, std::uint32_t generation) noexcept {
  return std::uint64_t{kind} << 60 | std::uint64_t{generation & 0x0fffffff} << 32 | index;
}

template <typename T>
std::uint32_t generation_of(const Pool<T>& pool, std::uint32_t index) noexcept {
  return pool.generation(index);
}
// Nobody holds a handle of an entry in TIME_WAIT, and none has a generation.
std::uint32_t generation_of(const TimeWaits&, std::uint32_t) noexcept { return 0; }

void set_timer(SocketInfo& socket, SocketTimer timer, Instant due, Instant now) noexcept {
  socket.timer = timer;
  socket.timer_left = std::max(due - now, Duration::zero());
}

// As Linux has it, a socket at an IPv6 address of its own takes no IPv4.
bool takes_v6_only(const IpAddress& local, bool ipv6_only) noexcept {
  return ipv6_only || (local.is_v6() && !local.is_any());
}

SocketInfo describe(const Listener& listener) {
  SocketInfo socket;
  socket.state = TcpState::Listen;
  socket.tuple.local = listener.options.local;
  if (listener.options.local.address.is_v4()) socket.tuple.remote.address = IpAddress::any_v4();
  socket.ipv6_only = takes_v6_only(listener.options.local.address, listener.options.ipv6_only);
  socket.recv_queue = static_cast<std::uint32_t>(listener.accept_queue.size());
  socket.send_queue = listener.accept_limit;
  return socket;
}

SocketInfo describe(const tcp::Request& request, Instant now) {
  SocketInfo socket;
  socket.state = TcpState::SynReceived;
  socket.tuple = request.tuple();
  if (!request.held()) set_timer(socket, SocketTimer::Retransmit, request.timer.deadline, now);
  socket.timer_retries = request.timeouts();
  return socket;
}

SocketInfo describe(const TimeWaits::View& entry, Instant now) {
  SocketInfo socket;
  socket.state = TcpState::TimeWait;
  socket.tuple = entry.tuple;
  set_timer(socket, SocketTimer::TimeWait, entry.ends_at, now);
  return socket;
}

SocketInfo describe(const tcp::Connection& connection, const tcp::Environment& env, Instant now) {
  SocketInfo socket;
  socket.connection = connection.info(env.settings);
  const ConnectionInfo& info = *socket.connection;
  socket.state = info.state;
  socket.tuple = info.tuple;
  socket.recv_queue = info.unread;
  socket.send_queue = info.unacked + info.notsent;
  socket.memory = connection.memory(env);
  if (const auto timer = connection.timer_to_show()) {
    set_timer(socket, timer->timer, timer->due, now);
    socket.timer_retries = timer->timer == SocketTimer::Persist ? info.probes : info.retransmits;
  }
  return socket;
}

SocketInfo describe(const udp::Socket& datagram) {
  const DatagramInfo info = datagram.info();
  SocketInfo socket;
  socket.protocol = SocketProtocol::Udp;
  socket.state = info.remote ? TcpState::Established : TcpState::Closed;
  socket.tuple.local = info.local;
  socket.tuple.remote =
      info.remote.value_or(Endpoint{info.local.address.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6(), 0});
  socket.ipv6_only = takes_v6_only(datagram.binding.local.address, datagram.binding.ipv6_only);
  socket.recv_queue = info.receive_queue;
  socket.send_queue = info.send_queue;
  socket.memory = {.rmem_alloc = info.receive_queue,
                   .rcvbuf = info.receive_buffer,
                   .wmem_alloc = info.send_queue,
                   .sndbuf = info.send_buffer,
                   .wmem_queued = info.send_queue,
                   .drops = static_cast<std::uint32_t>(info.drops)};
  return socket;
}

}  // namespace

std::vector<SocketInfo> Stack::sockets(Instant now, SocketCursor& cursor, std::size_t most) const {
  std::vector<SocketInfo> found;
  const Impl& impl = *impl_;
  // Holes in the pools cost time, too, where many sockets have gone.
  std::size_t looks_left = 64 * most;

  const auto scan = [&](const auto& pool, Kind kind, auto&& describe_one) {
    while (cursor.kind_ == kind && found.size() < most && looks_left > 0) {
      if (cursor.index_ >= pool.slots()) {
        ++cursor.kind_;
        cursor.index_ = 0;
        return;
      }
      const std::uint32_t index = cursor.index_++;
      --looks_left;
      if (const auto object = pool.at(index)) {
        if (auto socket = describe_one(*object)) {
          socket->id = id_of(kind, index, generation_of(pool, index));
          found.push_back(*std::move(socket));
        }
      }
    }
  };
  // States are looked at before anything is described: of a million TIME_WAIT entries most lists want none.
  const auto wanted = [&](TcpState state) { return cursor.wants(SocketProtocol::Tcp, state); };

  scan(impl.listeners_, kListeners, [&](const Listener& listener) {
    return wanted(TcpState::Listen) ? std::optional(describe(listener)) : std::nullopt;
  });
  scan(impl.forms_.requests, kRequests, [&](const tcp::Request& request) {
    return wanted(TcpState::SynReceived) ? std::optional(describe(request, now)) : std::nullopt;
  });
  scan(impl.forms_.connections, kConnections, [&](const Socket& socket) {
    // One that is over stays until the application lets go of it; it has no four-tuple any more.
    const bool shown = socket.in_demux && wanted(socket.tcp.state());
    return shown ? std::optional(describe(socket.tcp, impl.env_, now)) : std::nullopt;
  });
  scan(impl.time_waits_, kTimeWaits, [&](const TimeWaits::View& entry) {
    return wanted(TcpState::TimeWait) ? std::optional(describe(entry, now)) : std::nullopt;
  });
  scan(impl.datagrams_.all(), kDatagrams, [&](const udp::Socket& socket) {
    // Echo sockets have identifiers, no ports: ss would list them under raw.
    const TcpState state = socket.remote ? TcpState::Established : TcpState::Closed;
    const bool shown = socket.protocol == DatagramProtocol::Udp && cursor.wants(SocketProtocol::Udp, state);
    return shown ? std::optional(describe(socket)) : std::nullopt;
  });
  return found;
}

std::vector<SocketInfo> Stack::sockets(Instant now) const {
  SocketCursor cursor;
  std::vector<SocketInfo> all;
  while (!cursor.at_end()) {
    std::vector<SocketInfo> more = sockets(now, cursor, 1024);
    std::ranges::move(more, std::back_inserter(all));
  }
  return all;
}

std::string_view to_string(SocketTimer timer) noexcept {
  switch (timer) {
    case SocketTimer::None:
      return "";
    case SocketTimer::Retransmit:
      return "on";
    case SocketTimer::Keepalive:
      return "keepalive";
    case SocketTimer::TimeWait:
      return "timewait";
    case SocketTimer::Persist:
      return "persist";
  }
  return "";
}

std::uint8_t fastopen_client_fail_of(FastOpenOutcome outcome) noexcept {
  switch (outcome) {
    case FastOpenOutcome::NoCookieYet:
    case FastOpenOutcome::CookieNotGranted:
      return 1;
    case FastOpenOutcome::DataNotAcked:
    case FastOpenOutcome::CookieRefused:
      return 2;
    case FastOpenOutcome::SynRetransmitted:
      return 3;
    default:
      return 0;
  }
}

std::string_view to_string(CaState state) noexcept {
  switch (state) {
    case CaState::Open:
      return "Open";
    case CaState::Disorder:
      return "Disorder";
    case CaState::Cwr:
      return "CWR";
    case CaState::Recovery:
      return "Recovery";
    case CaState::Loss:
      return "Loss";
  }
  return "";
}

}  // namespace ff
