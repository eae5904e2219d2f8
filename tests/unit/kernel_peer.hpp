// The kernel as the peer at the other end of a TUN device.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/ipv6_route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "device/file_descriptor.hpp"
#include "device/link.hpp"
#include "device/tun.hpp"
#include "packet_samples.hpp"

namespace ff::test {

// The kernel takes packets for an IPv6 address only once it has made the route to it, which a work queue does later.
inline void await_local_route(const std::string& address_in_hex) {
  for (int tries = 0; tries < 2000; ++tries) {
    std::ifstream routes("/proc/net/ipv6_route");
    for (std::string line; std::getline(routes, line);) {
      const bool local = line.size() > 141 && (std::stoul(line.substr(132, 8), nullptr, 16) & RTF_LOCAL) != 0;
      if (local && line.starts_with(address_in_hex)) return;
    }
    ::usleep(1000);
  }
  ADD_FAILURE() << "no local route for " << address_in_hex;
}

// The kernel is 10.77.0.1 and fd77::1 (the destination of samples), we are 10.77.0.2 and fd77::2 (their source).
inline std::unique_ptr<TunDevice> open_with_addresses(bool offload) {
  auto device = TunDevice::open({.name = "ff-test", .offload = offload});
  if (!device) throw std::runtime_error(device.error());
  EXPECT_TRUE((*device)->created());
  EXPECT_EQ((*device)->name(), "ff-test");
  EXPECT_EQ((*device)->offload(), offload);
  for (const char* address : {"10.77.0.1/24", "fd77::1/64"}) {
    const auto added = link::add_address("ff-test", *Cidr::parse(address));
    EXPECT_TRUE(added.has_value()) << added.error();
  }
  const auto up = link::set_up("ff-test");
  EXPECT_TRUE(up.has_value()) << up.error();
  await_local_route("fd770000000000000000000000000001");
  return std::move(*device);
}

// A kernel socket, and its peer's address: ours.
struct KernelSocket {
  KernelSocket(bool v6, int type, std::uint16_t peer_port) : socket(::socket(v6 ? AF_INET6 : AF_INET, type, 0)) {
    if (v6) {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = htons(peer_port);
      ::inet_pton(AF_INET6, "fd77::2", &to.sin6_addr);
      std::memcpy(&peer, &to, peer_size = sizeof to);
    } else {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(peer_port);
      ::inet_pton(AF_INET, "10.77.0.2", &to.sin_addr);
      std::memcpy(&peer, &to, peer_size = sizeof to);
    }
  }
  [[nodiscard]] int connect() const {
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&peer), peer_size);
  }
  [[nodiscard]] std::uint16_t local_port() const {
    sockaddr_in6 local{};
    socklen_t size = sizeof local;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&local), &size);
    return ntohs(local.sin6_port);  // at the same place for both families
  }

  // Waits for `size` bytes, and not for ever.
  [[nodiscard]] Bytes read(std::size_t size) const {
    Bytes all;
    pollfd wait{.fd = socket.get(), .events = POLLIN, .revents = 0};
    while (all.size() < size && ::poll(&wait, 1, 2000) == 1) {
      std::array<std::uint8_t, 65536> part;
      const ssize_t got = ::recv(socket.get(), part.data(), part.size(), MSG_DONTWAIT);
      if (got <= 0) break;
      all.insert(all.end(), part.begin(), part.begin() + got);
    }
    return all;
  }

  FileDescriptor socket;
  sockaddr_storage peer{};
  socklen_t peer_size = 0;
};

}  // namespace ff::test
