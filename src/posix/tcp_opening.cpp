// bind(), listen(), accept() and connect(), after Linux's inet_bind(), inet_listen(), inet_csk_accept() and
// __inet_stream_connect().
#include <netinet/in.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "posix/address.hpp"
#include "posix/tcp_socket.hpp"

namespace ff::posix {
namespace {

long minus_errno(Error error) noexcept { return -static_cast<long>(to_errno(error)); }

}  // namespace

// ---- what there is now ---------------------------------------------------------------------------------------------

TcpSocket::Now TcpSocket::look() {
  Now now;
  if (listening()) now.state = TcpState::Listen;
  if (!has_connection()) return now;
  static_cast<ConnectionStatus&>(now) = *stack().status(connection());
  if (now.state == TcpState::TimeWait) now.state = TcpState::Closed;  // the stack's affair, as on Linux
  if (now.peer_closed) {
    done_ = true;
    shutdown_ |= kReceiveShut;
  }
  if (now.closed()) {
    shutdown_ = kBothShut;
    if (now.error && !error_noted_) error_ = to_errno(*now.error);
    error_noted_ = true;
  }
  return now;
}

void TcpSocket::hear() {
  if (!has_connection()) return;
  while (const auto stamp = stack().next_stamp(connection())) add_stamp(*stamp);
  // As Linux: over IPv4 also where nobody asked for it by IP_RECVERR.
  while (const auto error = stack().receive_error(connection()))
    if (call_options_.receive_errors6 || error->destination.address.is_v4()) queue(error_of(*error));
  if (!options_.receive_errors || look().closed()) return;
  // Linux's tcp_v4_err(): it is an error of the socket then, although the connection goes on.
  if (const auto soft = *stack().take_soft_error(connection())) error_ = to_errno(*soft);
}

void TcpSocket::happened(const Event& event) {
  using namespace event_bits;
  look();
  if ((event.bits & (kError | kClosed)) != 0) hear();
  constexpr std::uint8_t kChange = kEstablished | kPeerClosed | kClosed;
  std::uint32_t events = 0;
  if ((event.bits & (kReadable | kAcceptable | kUrgent)) != 0) events |= EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND;
  if ((event.bits & kError) != 0) events |= EPOLLERR;
  if ((event.bits & kWritable) != 0) events |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  if ((event.bits & kChange) != 0) events = 0;
  tell_watches(events);
}

// Linux's tcp_poll().
std::uint32_t TcpSocket::poll() {
  const Now now = look();
  std::uint32_t events = 0;
  if (listening()) {
    if (stack().status(std::get<ListenerId>(end_))->waiting > 0) events = EPOLLIN | EPOLLRDNORM;
    return events;
  }
  if (error_ != 0 || !errors_.empty()) events |= EPOLLERR;
  if (shutdown_ == kBothShut || now.closed()) events |= EPOLLHUP;
  if ((shutdown_ & kReceiveShut) != 0) events |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
  if (now.opening()) return now.syn_room ? events | EPOLLOUT | EPOLLWRNORM : events;
  std::uint32_t wanted = static_cast<std::uint32_t>(call_options_.receive_lowat);
  // An urgent byte that stands first is none to read.
  if (now.urgent_announced && now.at_urgent_mark && !options_.oob_inline) ++wanted;
  if (now.unread >= wanted) events |= EPOLLIN | EPOLLRDNORM;
  if (now.urgent_here) events |= EPOLLPRI;
  if ((shutdown_ & kSendShut) != 0 || now.writable || !has_connection()) {
    events |= EPOLLOUT | EPOLLWRNORM;
  } else {
    (void)stack().await_room(connection());
  }
  return events;
}

long TcpSocket::name(Endpoint& endpoint) {
  endpoint = local_;
  if (local_.address.is_any()) endpoint.address = local_.address.is_v4() ? local_.address : any_of(family());
  return 0;
}

long TcpSocket::peer(Endpoint& endpoint) {
  const Now now = look();
  if (!remote_ || now.closed() || now.in(TcpState::SynSent)) return -ENOTCONN;
  endpoint = *remote_;
  return 0;
}

// ---- bind(), listen(), accept() ------------------------------------------------------------------------------------

long TcpSocket::bind(const sockaddr* address, socklen_t length) {
  Endpoint endpoint;
  if (const long wrong = read_own_address(family(), address, length, endpoint); wrong != 0) return wrong;
  if (family() == AF_INET6 && endpoint.address.is_v4() && call_options_.ipv6_only) return -EINVAL;
  if (family() == AF_INET6 && endpoint.address.is_v6() && endpoint.address.is_multicast()) return -EINVAL;
  if (!look().closed()) return -EINVAL;
  leave_connection(false);
  if (has_port()) return -EINVAL;
  bound_to_ = endpoint;
  if (endpoint.port == 0 && call_options_.bind_no_port) {
    local_ = endpoint;
    return 0;
  }
  const long result = take_port(endpoint);
  if (result != 0) bound_to_.reset();
  return result;
}

long TcpSocket::take_port(const Endpoint& endpoint) {
  const auto binding =
      stack().bind({.local = endpoint, .ipv6_only = call_options_.ipv6_only, .options = options_for_stack()});
  if (!binding) return minus_errno(binding.error());
  end_ = *binding;
  local_ = *stack().local(*binding);
  return 0;
}

long TcpSocket::listen(int backlog) {
  if (stage_ != Stage::Unconnected) return -EINVAL;
  const auto limit = static_cast<std::uint32_t>(backlog);  // a negative one is a large one, which somaxconn cuts
  if (listening()) {
    (void)stack().set_backlog(std::get<ListenerId>(end_), limit);
    return 0;
  }
  if (!look().closed()) return -EINVAL;
  leave_connection(false);
  ListenOptions how;
  how.local = bound_to_.value_or(Endpoint{any_of(family()), 0});
  how.ipv6_only = call_options_.ipv6_only;
  if (const auto* binding = std::get_if<BindingId>(&end_)) how.binding = *binding;
  how.backlog = limit;
  if (fast_open_.queue.value_or(0) != 0) how.fast_open_queue = fast_open_.queue;
  how.fast_open_keys = fast_open_.keys;
  how.options = options_for_stack();
  how.user_data = id();
  const auto listener = stack().listen(how);
  if (!listener) return minus_errno(listener.error());
  end_ = *listener;
  local_ = *stack().local(*listener);
  shutdown_ = 0;
  return 0;
}

long TcpSocket::accept(std::shared_ptr<Socket>& accepted, Endpoint& peer) {
  if (!listening()) return -EINVAL;
  ConnectionId taken;
  const long result = system_.until(receive_deadline(0), [&]() -> long {
    if (!listening()) return -EINVAL;
    const auto next = stack().accept(std::get<ListenerId>(end_));
    if (!next) return minus_errno(next.error());
    taken = *next;
    return 0;
  });
  if (result != 0) return result;
  const auto child = std::make_shared<TcpSocket>(system_, family());
  child->options_ = options_;
  child->call_options_ = call_options_;
  child->inq_ = inq_;
  child->stamping_ = stamping_;
  child->zero_copy_ = zero_copy_;
  child->end_ = taken;
  child->stage_ = Stage::Connected;
  const auto info = stack().info(taken);
  child->local_ = info->tuple.local;
  child->remote_ = peer = info->tuple.remote;
  (void)stack().set_user_data(taken, child->id());
  accepted = child;
  return 0;
}

// ---- connect() -----------------------------------------------------------------------------------------------------

long TcpSocket::connect(const sockaddr* address, socklen_t length) {
  const FastOpenMode mode = fast_open_.connect ? FastOpenMode::OnFirstWrite : FastOpenMode::Off;
  return connect_until(address, length, send_deadline(0), mode, false);
}

long TcpSocket::connect_until(const sockaddr* address, socklen_t length, Instant deadline, FastOpenMode mode,
                              bool by_send) {
  if (address != nullptr && length < sizeof(sa_family_t)) return -EINVAL;
  if (address != nullptr && address->sa_family == AF_UNSPEC) return disconnect();
  long otherwise = 0;  // what it is where the handshake goes on
  switch (stage_) {
    case Stage::Disconnecting:
      return -EINVAL;
    case Stage::Connected:
      return -EISCONN;
    case Stage::Connecting:
      otherwise = look().syn_room ? (by_send ? -EINPROGRESS : -EISCONN) : -EALREADY;
      break;
    case Stage::Unconnected: {
      if (!look().closed()) return -EISCONN;
      if (const long wrong = open(address, length, mode); wrong != 0) return wrong;
      stage_ = Stage::Connecting;
      if (look().syn_room && !by_send) return 0;  // TCP_FASTOPEN_CONNECT
      otherwise = -EINPROGRESS;
      break;
    }
  }
  if (by_send && look().syn_room) return 0;  // it is the caller's to fill
  return await_handshake(deadline, otherwise);
}

long TcpSocket::await_handshake(Instant deadline, long otherwise) {
  if (deadline == kAtOnce && look().opening()) return otherwise;
  const std::uint64_t before = disconnects_;
  const long waited = system_.until(deadline, [&]() -> long {
    if (before != disconnects_) return -EPIPE;
    return look().opening() ? -EAGAIN : 0;
  });
  if (waited == -EAGAIN) return otherwise;
  if (waited != 0) return waited;
  if (!look().closed()) {
    stage_ = Stage::Connected;
    return 0;
  }
  const int error = take_error();
  (void)disconnect();
  return error != 0 ? -error : -ECONNABORTED;
}

long TcpSocket::read_destination(const sockaddr* address, socklen_t length, Endpoint& remote) const noexcept {
  if (const long wrong = read_address(family(), address, length, remote); wrong != 0) return wrong;
  if (remote.address.is_any()) remote.address = loopback_of(remote.address);
  if (remote.address.is_multicast() || remote.address.is_broadcast()) return -ENETUNREACH;
  if (family() == AF_INET6 && remote.address.is_v4() && call_options_.ipv6_only) return -ENETUNREACH;
  return 0;
}

long TcpSocket::open(const sockaddr* address, socklen_t length, FastOpenMode mode) {
  ConnectOptions how;
  if (const long wrong = read_destination(address, length, how.remote); wrong != 0) return wrong;
  leave_connection(false);
  if (const auto* binding = std::get_if<BindingId>(&end_)) how.binding = *binding;
  if (bound_to_ && !how.binding) how.local = *bound_to_;
  how.fast_open = mode;
  how.fast_open_no_cookie = fast_open_.no_cookie;
  remote_ = how.remote;
  how.options = options_for_stack();
  how.user_data = id();
  const auto opened = stack().connect(system_.now(), how);
  if (!opened) {
    remote_.reset();
    return minus_errno(opened.error());
  }
  end_ = *opened;
  active_ = true;
  error_ = 0;
  error_noted_ = done_ = false;
  shutdown_ = 0;
  local_ = stack().info(*opened)->tuple.local;
  return 0;
}

// ---- the way back --------------------------------------------------------------------------------------------------

// connect() to AF_UNSPEC: Linux's tcp_disconnect().
long TcpSocket::disconnect() {
  const Now now = look();
  ++disconnects_;
  stage_ = Stage::Unconnected;
  if (listening()) {
    (void)stack().close(system_.now(), std::get<ListenerId>(end_));
    end_ = std::monostate();
    keep_port();
    return 0;
  }
  const bool resets = has_connection() && !now.closed();
  leave_connection(true);
  if (resets) error_ = ECONNRESET;
  shutdown_ = 0;
  done_ = false;
  if (!bound_to_ || bound_to_->address.is_any()) local_.address = any_of(family());
  tell_watches(0);
  return 0;
}

// What is left of a connection goes.
void TcpSocket::leave_connection(bool reset) {
  if (!has_connection()) return;
  const ConnectionId old = connection();
  end_ = std::monostate();
  remote_.reset();
  if (reset) {
    (void)stack().abort(system_.now(), old);
  } else {
    (void)stack().close(system_.now(), old);
  }
  keep_port();
}

// A port that bind() was asked for stays the socket's; one that it chose goes (SOCK_BINDPORT_LOCK).
void TcpSocket::keep_port() {
  if (bound_to_ && bound_to_->port != 0) (void)take_port(*bound_to_);
}

}  // namespace ff::posix
