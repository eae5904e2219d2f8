#include "device/packet_tap.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "device/segmenter.hpp"

namespace ff {

namespace {

std::unexpected<std::string> failure(const std::string& doing) {
  if (errno == EPERM || errno == EACCES)
    return std::unexpected(fmt::format("{} needs the capability CAP_NET_RAW; run as root", doing));
  return std::unexpected(fmt::format("{}: {}", doing, std::strerror(errno)));
}

}  // namespace

std::expected<PacketTap, std::string> PacketTap::open(const std::string& interface) {
  PacketTap tap;
  // Protocol 0: nothing is received before the socket is bound to the interface that is meant.
  tap.watch_ = FileDescriptor(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!tap.watch_) return failure("watching an interface");
  sockaddr_ll place{};
  place.sll_family = AF_PACKET;
  place.sll_protocol = htons(ETH_P_ALL);
  place.sll_ifindex = interface.empty() ? 0 : static_cast<int>(::if_nametoindex(interface.c_str()));
  if (!interface.empty() && place.sll_ifindex == 0) return failure("watching " + interface);
  if (::bind(tap.watch_.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
    return failure("watching " + interface);
  tap.send_v4_ = FileDescriptor(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!tap.send_v4_) return failure("sending packets");
  // A kernel without IPv6 has nothing that would want the other.
  tap.send_v6_ = FileDescriptor(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  return tap;
}

ByteSpan PacketTap::next() {
  for (;;) {
    sockaddr_ll from{};
    socklen_t from_size = sizeof from;
    const ssize_t size =
        ::recvfrom(watch_.get(), buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return {};
    const std::uint16_t protocol = ntohs(from.sll_protocol);
    if (size > 0 && (protocol == ETH_P_IP || protocol == ETH_P_IPV6))
      return ByteSpan(buffer_.data(), static_cast<std::size_t>(size));
  }
}

std::expected<void, std::string> PacketTap::send(const TxPacket& packet) {
  std::array<std::uint8_t, 1500> bytes;
  const std::uint32_t size = write_completed(packet, bytes.data());
  const bool v4 = bytes[0] >> 4 == 4;
  sockaddr_storage to{};
  socklen_t to_size = 0;
  if (v4) {
    auto& address = reinterpret_cast<sockaddr_in&>(to);
    address.sin_family = AF_INET;
    std::memcpy(&address.sin_addr, bytes.data() + 16, 4);
    to_size = sizeof address;
  } else {
    auto& address = reinterpret_cast<sockaddr_in6&>(to);
    address.sin6_family = AF_INET6;
    std::memcpy(&address.sin6_addr, bytes.data() + 24, 16);
    to_size = sizeof address;
  }
  const int socket = v4 ? send_v4_.get() : send_v6_.get();
  if (::sendto(socket, bytes.data(), size, 0, reinterpret_cast<const sockaddr*>(&to), to_size) < 0)
    return std::unexpected(std::string(std::strerror(errno)));
  return {};
}

std::vector<std::string> interface_names() {
  std::vector<std::string> names;
  const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> list(::if_nameindex(), ::if_freenameindex);
  for (const auto* entry = list.get(); entry != nullptr && entry->if_index != 0; ++entry)
    names.emplace_back(entry->if_name);
  return names;
}

}  // namespace ff
