#include "posix/socket.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "posix/address.hpp"
#include "posix/message.hpp"

namespace ff::posix {

Socket::Socket(System& system, int family, int type)
    : system_(system), family_(family), type_(type), id_(++system.last_id) {
  system_.sockets.emplace(id_, this);
}

Socket::~Socket() { system_.sockets.erase(id_); }

Instant Socket::receive_deadline(int flags) {
  if (!may_wait(flags)) return kAtOnce;
  return call_options_.receive_timeout ? system_.now() + *call_options_.receive_timeout : kNever;
}

Instant Socket::send_deadline(int flags) {
  if (!may_wait(flags)) return kAtOnce;
  return call_options_.send_timeout ? system_.now() + *call_options_.send_timeout : kNever;
}

long Socket::broken_pipe(int flags) {
  if ((flags & MSG_NOSIGNAL) == 0) system_.host.broken_pipe();
  return -EPIPE;
}

// Linux's __sock_cmsg_send(). A mark of one packet's own would do nothing, nor would its priority: as little as there.
long Socket::read_socket_control(const Control& control, std::uint32_t& timestamping) const noexcept {
  std::uint32_t number = 0;
  switch (control.type) {
    case SO_TIMESTAMPING:
      return read_timestamping(control, timestamping);
    case SO_MARK:
    case SO_PRIORITY:
      return control.read(number) ? 0 : -EINVAL;
    case SCM_RIGHTS:
    case SCM_CREDENTIALS:
      return 0;
    default:
      return -EINVAL;
  }
}

// ---- the error queue

// Linux's ip_recv_error() and ipv6_recv_error().
long Socket::receive_error(msghdr& message) {
  ControlWriter control(message);
  const socklen_t room_for_name = message.msg_namelen;
  message.msg_namelen = 0;
  const std::optional<QueuedError> error = errors_.take(error_);
  if (!error) return -EAGAIN;
  struct {
    sock_extended_err said{};
    sockaddr_in6 offender{};
  } told;
  told.said = error->said;
  if (error->offender) {
    socklen_t length = sizeof told.offender;
    (void)write_address(family_, {*error->offender, 0}, reinterpret_cast<sockaddr*>(&told.offender), &length);
  }
  if (error->destination && message.msg_name != nullptr) {
    socklen_t length = room_for_name;
    (void)write_address(family_, *error->destination, static_cast<sockaddr*>(message.msg_name), &length);
    message.msg_namelen = length;
  }
  const std::size_t copied = scatter(message, error->bytes.span());
  if (copied < error->bytes.size()) message.msg_flags |= MSG_TRUNC;
  tell_time(error->at, true, control);
  if (error->from_network())
    tell_header(error->said.ee_origin == SO_EE_ORIGIN_ICMP, error->ttl, error->traffic_class, control);
  const bool v4 = family_ == AF_INET;
  control.add(v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &told,
              sizeof told.said + (v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
  message.msg_flags |= MSG_ERRQUEUE;
  if (!errors_.empty()) tell_watches(EPOLLERR);
  return static_cast<long>(copied);
}

void Socket::tell_header(bool v4, int hops, std::uint8_t traffic_class, ControlWriter& control) const noexcept {
  const CallOptions& wanted = call_options_;
  if (v4 && wanted.receive_ttl) control.add(IPPROTO_IP, IP_TTL, hops);
  if (v4 && wanted.receive_tos) control.add(IPPROTO_IP, IP_TOS, traffic_class);
  if (!v4 && wanted.receive_hop_limit) control.add(IPPROTO_IPV6, IPV6_HOPLIMIT, hops);
  if (!v4 && wanted.receive_traffic_class) control.add(IPPROTO_IPV6, IPV6_TCLASS, int{traffic_class});
}

// A connection has no receive buffer before it has heard of the peer.
void Socket::queue(QueuedError error) {
  errors_.add(std::move(error), std::max(memory().rcvbuf, stack().settings().tcp_rmem.initial));
}

// ---- MSG_ZEROCOPY

std::optional<Loan> Socket::lend(std::size_t size, int flags, std::uint32_t& call) {
  if (!zero_copy_ || size == 0 || (flags & MSG_ZEROCOPY) == 0) return std::nullopt;
  call = zero_copy_calls_++;
  // What is over after the socket is told to nobody.
  return std::optional<Loan>(std::in_place, static_cast<std::uint32_t>(size),
                             [socket = weak_from_this(), call](bool copied) {
                               const auto alive = socket.lock();
                               if (alive == nullptr) return;
                               alive->errors_.add_completion(call, copied);
                               ++alive->system_.changes;
                               alive->tell_watches(EPOLLERR);
                             });
}

void Socket::take_back(Loan& loan, std::uint32_t call) noexcept {
  loan.cancel();
  if (zero_copy_calls_ == call + 1) --zero_copy_calls_;
}

long Socket::set_option(int level, int name, const OptionValue& value) {
  if (level == SOL_SOCKET) return set_socket_option(name, value);
  if (level == IPPROTO_IP) return set_ip_option(name, value);
  if (level == IPPROTO_IPV6 && family_ == AF_INET6) return set_ipv6_option(name, value);
  return set_own_option(level, name, value);
}

long Socket::get_option(int level, int name, const OptionRoom& room) {
  if (level == SOL_SOCKET) return get_socket_option(name, room);
  if (level == IPPROTO_IP) return get_ip_option(name, room);
  if (level == IPPROTO_IPV6 && family_ == AF_INET6) return get_ipv6_option(name, room);
  const long result = get_own_option(level, name, room);
  // What no protocol knows is do_ip_getsockopt()'s to refuse.
  return result == -ENOPROTOOPT && level != protocol() && family_ == AF_INET ? -EOPNOTSUPP : result;
}

}  // namespace ff::posix
