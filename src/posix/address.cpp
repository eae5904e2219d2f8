#include "posix/address.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace ff::posix {
namespace {

constexpr socklen_t kShortestIn6 = 24;  // SIN6_LEN_RFC2133: without sin6_scope_id

socklen_t build(int family, const Endpoint& endpoint, sockaddr_storage& storage) noexcept {
  std::memset(&storage, 0, sizeof storage);
  if (family == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    // A socket that has no address yet shows 0.0.0.0, whatever "any" it keeps.
    if (endpoint.address.is_v4()) std::memcpy(&in.sin_addr, endpoint.address.v4_bytes().data(), 4);
    std::memcpy(&storage, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(endpoint.port);
  std::memcpy(&in6.sin6_addr, endpoint.address.bytes().data(), 16);
  std::memcpy(&storage, &in6, sizeof in6);
  return sizeof in6;
}

}  // namespace

long read_address(int family, const sockaddr* address, socklen_t length, Endpoint& endpoint) noexcept {
  if (address == nullptr) return length == 0 ? -EINVAL : -EFAULT;
  if (length > sizeof(sockaddr_storage)) return -EINVAL;
  if (length < (family == AF_INET ? sizeof(sockaddr_in) : kShortestIn6)) return -EINVAL;
  if (address->sa_family != family) return -EAFNOSUPPORT;
  if (family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, 4);
    endpoint = {IpAddress::v4(bytes), ntohs(in.sin_port)};
  } else {
    sockaddr_in6 in6{};
    std::memcpy(&in6, address, kShortestIn6);
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, 16);
    endpoint = {IpAddress::v6(bytes), ntohs(in6.sin6_port)};
  }
  return 0;
}

long read_own_address(int family, const sockaddr* address, socklen_t length, Endpoint& endpoint) noexcept {
  const long wrong = read_address(family, address, length, endpoint);
  if (wrong != -EAFNOSUPPORT || family != AF_INET || address->sa_family != AF_UNSPEC) return wrong;
  sockaddr_in in;
  std::memcpy(&in, address, sizeof in);
  if (in.sin_addr.s_addr != INADDR_ANY) return wrong;
  endpoint = {IpAddress::any_v4(), ntohs(in.sin_port)};
  return 0;
}

long write_address(int family, const Endpoint& endpoint, sockaddr* to, socklen_t* length) noexcept {
  if (length == nullptr) return -EFAULT;
  if (*length > INT_MAX) return -EINVAL;
  sockaddr_storage storage;
  const socklen_t size = build(family, endpoint, storage);
  const socklen_t room = std::min(*length, size);
  if (room > 0 && to == nullptr) return -EFAULT;
  if (room > 0) std::memcpy(to, &storage, room);
  *length = size;
  return 0;
}

IpAddress any_of(int family) noexcept { return family == AF_INET ? IpAddress::any_v4() : IpAddress::any_v6(); }

IpAddress loopback_of(const IpAddress& any) noexcept {
  if (any.is_v4()) return IpAddress::v4(127, 0, 0, 1);
  std::array<std::uint8_t, 16> bytes{};
  bytes[15] = 1;
  return IpAddress::v6(bytes);
}

}  // namespace ff::posix
