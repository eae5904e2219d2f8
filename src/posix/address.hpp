// struct sockaddr, read and written with Linux's checks.
#pragma once

#include <sys/socket.h>

#include "firstflight/address.hpp"

namespace ff::posix {

// Addresses of an AF_INET6 socket may be IPv4-mapped; an Endpoint tells those apart by itself.
// 0; -EINVAL: too short; -EAFNOSUPPORT.
long read_address(int family, const sockaddr* address, socklen_t length, Endpoint& endpoint) noexcept;

// The same for bind(): to inet_bind() AF_UNSPEC stands for AF_INET where the address is "any".
long read_own_address(int family, const sockaddr* address, socklen_t length, Endpoint& endpoint) noexcept;

// As move_addr_to_user(): cut to `*length`, which then says how long it is. 0; -EINVAL, -EFAULT.
long write_address(int family, const Endpoint& endpoint, sockaddr* to, socklen_t* length) noexcept;

// "Any" of that family.
IpAddress any_of(int family) noexcept;

// Where connecting to "any" leads.
IpAddress loopback_of(const IpAddress& any) noexcept;

}  // namespace ff::posix
