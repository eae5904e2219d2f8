// Endpoints and errors as the host's socket calls have them.
#pragma once

#include <sys/socket.h>

#include "firstflight/address.hpp"
#include "firstflight/error.hpp"

namespace ff::relay {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  static SocketAddress of(const Endpoint& endpoint) noexcept;
  [[nodiscard]] Endpoint endpoint() const noexcept;
  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

// What an errno value of a connection says; to_errno() the other way round.
Error error_of(int error_number) noexcept;

}  // namespace ff::relay
