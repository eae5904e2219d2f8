#include "device/raw_link.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "device/link.hpp"
#include "wire/endian.hpp"

namespace ff {
namespace {

// What waits in either direction, in bytes of the kernel's memory: a few windows, where the default is a few packets.
constexpr int kSocketBuffer = 8 << 20;

std::unexpected<std::string> failure(const std::string& name, const char* doing) {
  if (errno == EPERM || errno == EACCES)
    return std::unexpected(
        fmt::format("the frames of {} take the capability CAP_NET_RAW: run as root, or go by tun:NAME", name));
  return std::unexpected(fmt::format("{} {}: {}", doing, name, std::strerror(errno)));
}

std::expected<void, std::string> check_interface(const FileDescriptor& socket, const std::string& name) {
  if (!link::exists(name))
    return std::unexpected(fmt::format("there is no network interface {}: \"ip link\" shows those there are", name));
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) return failure(name, "asking for the address of");
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return std::unexpected(fmt::format("{} is no Ethernet interface: take another one, or tun:NAME", name));
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return failure(name, "asking for the state of");
  if ((request.ifr_flags & IFF_UP) == 0)
    return std::unexpected(fmt::format("{} is down: bring it up with \"ip link set {} up\"", name, name));
  return {};
}

// Frames to `mac` or to a group, and without a VLAN tag; all others never leave the kernel.
bool filter(const FileDescriptor& socket, const MacAddress& mac) {
  const auto statement = [](unsigned code, std::uint32_t k) {
    return sock_filter{static_cast<std::uint16_t>(code), 0, 0, k};
  };
  const auto jump = [](unsigned code, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
    return sock_filter{static_cast<std::uint16_t>(code), yes, no, k};
  };
  constexpr auto kTagged = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
  std::array program{
      statement(BPF_LD | BPF_W | BPF_ABS, kTagged),
      jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7),
      statement(BPF_LD | BPF_B | BPF_ABS, 0),
      jump(BPF_JMP | BPF_JSET | BPF_K, 1, 4, 0),
      statement(BPF_LD | BPF_W | BPF_ABS, 2),
      jump(BPF_JMP | BPF_JEQ | BPF_K, wire::load_be32(mac.bytes.data() + 2), 0, 3),
      statement(BPF_LD | BPF_H | BPF_ABS, 0),
      jump(BPF_JMP | BPF_JEQ | BPF_K, wire::load_be16(mac.bytes.data()), 0, 1),
      statement(BPF_RET | BPF_K, UINT32_MAX),
      statement(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

bool set(const FileDescriptor& socket, int level, int option, int value) {
  return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

// What the hardware is to let in, beside what it does for the kernel.
bool join(const FileDescriptor& socket, int interface, unsigned short kind, const MacAddress& mac) {
  packet_mreq request{};
  request.mr_ifindex = interface;
  request.mr_type = kind;
  request.mr_alen = static_cast<unsigned short>(mac.bytes.size());
  std::ranges::copy(mac.bytes, request.mr_address);
  return ::setsockopt(socket.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) == 0;
}

}  // namespace

std::expected<std::unique_ptr<TunDevice>, std::string> open_raw_link(const std::string& name, const MacAddress& mac) {
  // Protocol 0: nothing is received before all is set.
  FileDescriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return failure(name, "opening a packet socket on");
  if (const auto good = check_interface(socket, name); !good) return std::unexpected(good.error());
  const int index = static_cast<int>(::if_nametoindex(name.c_str()));
  const bool ready = filter(socket, mac) && set(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) &&
                     set(socket, SOL_PACKET, PACKET_VNET_HDR, 1) && join(socket, index, PACKET_MR_UNICAST, mac) &&
                     join(socket, index, PACKET_MR_ALLMULTI, {});
  if (!ready) return failure(name, "setting up a packet socket on");
  (void)set(socket, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBuffer);
  (void)set(socket, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBuffer);
  sockaddr_ll place{};
  place.sll_family = AF_PACKET;
  place.sll_protocol = htons(ETH_P_ALL);
  place.sll_ifindex = index;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
    return failure(name, "binding a packet socket to");
  const auto mtu = link::mtu(name);
  if (!mtu) return std::unexpected(mtu.error());
  return TunDevice::adopt(std::move(socket), {.name = name, .offload = true, .ethernet = true}, *mtu);
}

}  // namespace ff
