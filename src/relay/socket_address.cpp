#include "relay/socket_address.hpp"

#include <netinet/in.h>

#include <cerrno>
#include <cstring>

namespace ff::relay {

SocketAddress SocketAddress::of(const Endpoint& endpoint) noexcept {
  SocketAddress address;
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.v4_bytes().data(), 4);
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
  }
  return address;
}

Endpoint SocketAddress::endpoint() const noexcept {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof v4);
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return {IpAddress::v4(bytes), ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, &storage, sizeof v6);
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return {IpAddress::v6(bytes), ntohs(v6.sin6_port)};
}

Error error_of(int error_number) noexcept {
  switch (error_number) {
    case EAGAIN:
    case EINPROGRESS:
      return Error::WouldBlock;
    case ECONNREFUSED:
      return Error::ConnectionRefused;
    case ENETUNREACH:
    case ENETDOWN:
      return Error::NetworkUnreachable;
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return Error::HostUnreachable;
    case EACCES:
    case EPERM:
      return Error::PermissionDenied;
    case ETIMEDOUT:
      return Error::TimedOut;
    case EPIPE:
      return Error::BrokenPipe;
    case EADDRINUSE:
      return Error::AddressInUse;
    case EADDRNOTAVAIL:
      return Error::AddressNotAvailable;
    case EMSGSIZE:
      return Error::MessageTooLong;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return Error::NoBufferSpace;
    case EAFNOSUPPORT:
      return Error::NetworkUnreachable;
    case EINVAL:
      return Error::InvalidArgument;
    default:
      return Error::ConnectionReset;
  }
}

}  // namespace ff::relay
