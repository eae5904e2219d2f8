#include "posix/sockets.hpp"

#include <netinet/in.h>

#include <cerrno>
#include <climits>

#include "posix/address.hpp"
#include "posix/datagram_socket.hpp"
#include "posix/tcp_socket.hpp"

namespace ff::posix {
namespace {

constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
constexpr int kTypes = 11;  // SOCK_MAX

// Linux's inet_create(): what there is for this type and protocol.
long make_socket(System& system, int domain, int type, int protocol, std::shared_ptr<Socket>& socket) {
  if (domain != AF_INET && domain != AF_INET6) return -EAFNOSUPPORT;
  if (type < 0 || type >= kTypes) return -EINVAL;
  if (protocol < 0 || protocol >= IPPROTO_MAX) return -EINVAL;
  const bool echo = protocol == (domain == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  if (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) {
    socket = std::make_shared<TcpSocket>(system, domain);
  } else if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP)) {
    socket = std::make_shared<DatagramSocket>(system, domain, DatagramProtocol::Udp);
  } else if (type == SOCK_DGRAM && echo) {
    socket = std::make_shared<DatagramSocket>(system, domain, DatagramProtocol::Echo);
  } else {
    return type == SOCK_STREAM || type == SOCK_DGRAM ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
  }
  return 0;
}

}  // namespace

void Sockets::handle(const Event& event) {
  ++system_.changes;
  if (const auto waits = system_.lingering.find(event.user_data); waits != system_.lingering.end())
    waits->second = waits->second || (event.bits & event_bits::kClosed) != 0;
  const auto found = system_.sockets.find(event.user_data);
  if (found != system_.sockets.end()) found->second->happened(event);
}

long Sockets::socket(int domain, int type, int protocol) {
  const int flags = type & ~0xf;
  if ((flags & ~kFlags) != 0) return -EINVAL;
  std::shared_ptr<Socket> socket;
  if (const long wrong = make_socket(system_, domain, type & 0xf, protocol, socket); wrong != 0) return wrong;
  socket->nonblocking = (flags & SOCK_NONBLOCK) != 0;
  return add(std::move(socket), (flags & SOCK_CLOEXEC) != 0);
}

long Sockets::bind(int descriptor, const sockaddr* address, socklen_t length) {
  if (length > sizeof(sockaddr_storage) && has(descriptor)) return -EINVAL;
  return with(descriptor, [&](Socket& socket) { return socket.bind(address, length); });
}

long Sockets::listen(int descriptor, int backlog) {
  return with(descriptor, [&](Socket& socket) { return socket.listen(backlog); });
}

long Sockets::accept4(int descriptor, sockaddr* address, socklen_t* length, int flags) {
  if ((flags & ~kFlags) != 0) return -EINVAL;
  std::shared_ptr<Socket> accepted;
  Endpoint peer;
  const long result = with(descriptor, [&](Socket& socket) { return socket.accept(accepted, peer); });
  if (result != 0) return result;
  if (address != nullptr)
    if (const long wrong = write_address(accepted->family(), peer, address, length); wrong != 0) {
      (void)accepted->release();
      return wrong;
    }
  accepted->nonblocking = (flags & SOCK_NONBLOCK) != 0;
  return add(std::move(accepted), (flags & SOCK_CLOEXEC) != 0);
}

long Sockets::connect(int descriptor, const sockaddr* address, socklen_t length) {
  return with(descriptor, [&](Socket& socket) -> long {
    if (length > sizeof(sockaddr_storage)) return -EINVAL;
    if (address == nullptr && length > 0) return -EFAULT;
    return socket.connect(address, length);
  });
}

long Sockets::shutdown(int descriptor, int how) {
  return with(descriptor, [&](Socket& socket) { return socket.shutdown(how); });
}

long Sockets::getsockname(int descriptor, sockaddr* address, socklen_t* length) {
  return with(descriptor, [&](Socket& socket) {
    Endpoint endpoint;
    const long wrong = socket.name(endpoint);
    return wrong != 0 ? wrong : write_address(socket.family(), endpoint, address, length);
  });
}

long Sockets::getpeername(int descriptor, sockaddr* address, socklen_t* length) {
  return with(descriptor, [&](Socket& socket) {
    Endpoint endpoint;
    const long wrong = socket.peer(endpoint);
    return wrong != 0 ? wrong : write_address(socket.family(), endpoint, address, length);
  });
}

long Sockets::setsockopt(int descriptor, int level, int name, const void* value, socklen_t length) {
  return with(descriptor, [&](Socket& socket) -> long {
    if (length > INT_MAX) return -EINVAL;
    return socket.set_option(level, name, {value, length});
  });
}

long Sockets::getsockopt(int descriptor, int level, int name, void* value, socklen_t* length) {
  return with(descriptor, [&](Socket& socket) { return socket.get_option(level, name, {value, length}); });
}

// ---- data ----------------------------------------------------------------------------------------------------------

long Sockets::sendmsg(int descriptor, const msghdr* message, int flags) {
  return with(descriptor, [&](Socket& socket) -> long {
    if (message == nullptr) return -EFAULT;
    return socket.send(*message, flags);
  });
}

long Sockets::recvmsg(int descriptor, msghdr* message, int flags) {
  return with(descriptor, [&](Socket& socket) -> long {
    if (message == nullptr) return -EFAULT;
    msghdr received = *message;
    const long result = socket.receive(received, flags);
    if (result >= 0) *message = received;
    return result;
  });
}

long Sockets::sendto(int descriptor, const void* data, std::size_t size, int flags, const sockaddr* address,
                     socklen_t length) {
  iovec piece{const_cast<void*>(data), size};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(address);
  message.msg_namelen = address == nullptr ? 0 : length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (message.msg_namelen > sizeof(sockaddr_storage) && has(descriptor)) return -EINVAL;
  return sendmsg(descriptor, &message, flags);
}

long Sockets::recvfrom(int descriptor, void* data, std::size_t size, int flags, sockaddr* address, socklen_t* length) {
  iovec piece{data, size};
  sockaddr_storage from{};
  msghdr message{};
  message.msg_name = address == nullptr ? nullptr : &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  const long result = recvmsg(descriptor, &message, flags);
  if (result < 0 || address == nullptr) return result;
  if (length == nullptr) return -EFAULT;
  if (*length > INT_MAX) return -EINVAL;
  std::memcpy(address, &from, std::min(*length, message.msg_namelen));
  *length = message.msg_namelen;
  return result;
}

// An epoll instance is a file that cannot be read.
long Sockets::check_file_io(int descriptor, int count) const {
  const auto file = find(descriptor);
  if (file == nullptr) return -EBADF;
  const bool is_socket = std::dynamic_pointer_cast<Socket>(file) != nullptr;
  return count < 0 || count > IOV_MAX || !is_socket ? -EINVAL : 0;
}

long Sockets::readv(int descriptor, const iovec* pieces, int count) {
  if (const long wrong = check_file_io(descriptor, count); wrong != 0) return wrong;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return recvmsg(descriptor, &message, 0);
}

long Sockets::writev(int descriptor, const iovec* pieces, int count) {
  if (const long wrong = check_file_io(descriptor, count); wrong != 0) return wrong;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return sendmsg(descriptor, &message, 0);
}

}  // namespace ff::posix
