#include "posix/socket.hpp"

#include <netinet/in.h>

#include <cerrno>

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
