#include "device/link.hpp"

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "device/file_descriptor.hpp"

namespace ff::link {
namespace {

// `doing`: what was tried, such as "setting the MTU of tun0".
std::unexpected<std::string> failure(const std::string& doing, const std::string& name, int error) {
  switch (error) {
    case ENODEV:
      return std::unexpected(fmt::format("{}: there is no network interface {}", doing, name));
    case EPERM:
    case EACCES:
      return std::unexpected(fmt::format("{} needs the capability CAP_NET_ADMIN: run as root", doing));
    default:
      return std::unexpected(fmt::format("{}: {}", doing, std::strerror(error)));
  }
}

std::expected<ifreq, std::string> request_for(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) {
    return std::unexpected(
        fmt::format("\"{}\" is no name for a network interface: it must have 1 to {} characters", name, IFNAMSIZ - 1));
  }
  name.copy(request.ifr_name, name.size());
  return request;
}

// One ioctl on an interface; fills in `request`.
Outcome interface_ioctl(unsigned long code, ifreq& request, const std::string& doing) {
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::ioctl(socket.get(), code, &request) != 0) return failure(doing, request.ifr_name, errno);
  return {};
}

// A request of rtnetlink(7): a header, a body and attributes.
template <typename Body>
class NetlinkRequest {
 public:
  NetlinkRequest(std::uint16_t type, std::uint16_t flags, const Body& body) {
    nlmsghdr head{};
    head.nlmsg_type = type;
    head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    std::memcpy(bytes_.data(), &head, sizeof head);
    std::memcpy(bytes_.data() + NLMSG_HDRLEN, &body, sizeof body);
  }

  void add(std::uint16_t type, std::span<const std::uint8_t> value) {
    rtattr attribute{};
    attribute.rta_type = type;
    attribute.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size()));
    std::memcpy(bytes_.data() + size_, &attribute, sizeof attribute);
    if (!value.empty()) std::memcpy(bytes_.data() + size_ + RTA_LENGTH(0), value.data(), value.size());
    size_ += RTA_SPACE(value.size());
  }
  void add(std::uint16_t type, std::uint32_t value) {
    std::array<std::uint8_t, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    add(type, std::span<const std::uint8_t>(bytes));
  }

  void add(std::uint16_t type, std::string_view text) {
    add(type, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

  // What `fill` adds stands inside one attribute, behind `head`.
  template <typename Fill>
  void add_nested(std::uint16_t type, std::span<const std::uint8_t> head, Fill&& fill) {
    const std::size_t start = size_;
    add(type, head);
    fill();
    rtattr attribute{};
    attribute.rta_type = type;
    attribute.rta_len = static_cast<std::uint16_t>(size_ - start);
    std::memcpy(bytes_.data() + start, &attribute, sizeof attribute);
  }

  // Sends it and waits for the answer: 0 or an errno value.
  int perform() {
    const auto size = static_cast<std::uint32_t>(size_);
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
    const FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket || ::send(socket.get(), bytes_.data(), size_, 0) < 0) return errno;
    std::array<std::uint8_t, 1024> answer;
    const ssize_t received = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (received < 0) return errno;
    nlmsgerr error{};
    if (static_cast<std::size_t>(received) < NLMSG_HDRLEN + sizeof error) return EPROTO;
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    return -error.error;
  }

 private:
  std::array<std::uint8_t, 256> bytes_{};
  std::size_t size_ = NLMSG_SPACE(sizeof(Body));
};

std::span<const std::uint8_t> wire_bytes(const IpAddress& address) {
  if (address.is_v4()) return address.v4_bytes();
  return address.bytes();
}

std::uint8_t family_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

// The kernel refuses a route whose prefix has bits behind its length.
std::array<std::uint8_t, 16> masked(const Cidr& prefix) {
  const std::span<const std::uint8_t> bytes = wire_bytes(prefix.address);
  std::array<std::uint8_t, 16> result{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int kept = std::clamp(static_cast<int>(prefix.prefix_length) - static_cast<int>(i) * 8, 0, 8);
    result[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00 >> kept));
  }
  return result;
}

}  // namespace

bool exists(const std::string& name) { return ::if_nametoindex(name.c_str()) != 0; }

std::expected<std::uint16_t, std::string> mtu(const std::string& name) {
  auto request = request_for(name);
  if (!request) return std::unexpected(request.error());
  if (auto done = interface_ioctl(SIOCGIFMTU, *request, "asking for the MTU of " + name); !done) {
    return std::unexpected(done.error());
  }
  return static_cast<std::uint16_t>(std::min(request->ifr_mtu, 65535));
}

Outcome set_mtu(const std::string& name, std::uint16_t mtu) {
  auto request = request_for(name);
  if (!request) return std::unexpected(request.error());
  request->ifr_mtu = mtu;
  return interface_ioctl(SIOCSIFMTU, *request, fmt::format("setting the MTU of {} to {}", name, mtu));
}

Outcome add_veth(const std::string& name, const std::string& peer, int peer_namespace) {
  const std::string doing = fmt::format("joining {} and {} by a cable", name, peer);
  for (const std::string& one : {name, peer}) {
    if (const auto request = request_for(one); !request) return std::unexpected(request.error());
  }
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  request.add(IFLA_IFNAME, name);
  request.add_nested(IFLA_LINKINFO, {}, [&] {
    request.add(IFLA_INFO_KIND, "veth");
    request.add_nested(IFLA_INFO_DATA, {}, [&] {
      const std::array<std::uint8_t, sizeof(ifinfomsg)> any_interface{};
      request.add_nested(VETH_INFO_PEER, any_interface, [&] {
        request.add(IFLA_IFNAME, peer);
        request.add(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_namespace));
      });
    });
  });
  if (const int error = request.perform(); error != 0) return failure(doing, name, error);
  return {};
}

Outcome set_queue_length(const std::string& name, std::uint32_t packets) {
  auto request = request_for(name);
  if (!request) return std::unexpected(request.error());
  request->ifr_qlen = static_cast<int>(packets);
  return interface_ioctl(SIOCSIFTXQLEN, *request, fmt::format("setting the queue length of {} to {}", name, packets));
}

Outcome set_up(const std::string& name, bool up) {
  auto request = request_for(name);
  if (!request) return std::unexpected(request.error());
  const std::string doing = fmt::format("setting {} {}", name, up ? "up" : "down");
  if (auto done = interface_ioctl(SIOCGIFFLAGS, *request, doing); !done) return done;
  const int flags = up ? request->ifr_flags | IFF_UP : request->ifr_flags & ~IFF_UP;
  request->ifr_flags = static_cast<short>(flags);
  return interface_ioctl(SIOCSIFFLAGS, *request, doing);
}

bool is_settled(const std::string& name) {
  auto request = request_for(name);
  if (!request || !interface_ioctl(SIOCGIFFLAGS, *request, "asking for the state of " + name)) return true;
  return (request->ifr_flags & IFF_UP) == 0 || (request->ifr_flags & IFF_RUNNING) != 0;
}

Outcome add_address(const std::string& name, const Cidr& address) {
  const std::string doing = fmt::format("giving {} the address {}", name, address.to_string());
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return failure(doing, name, ENODEV);
  ifaddrmsg body{};
  body.ifa_family = family_of(address.address);
  body.ifa_prefixlen = address.prefix_length;
  body.ifa_flags = IFA_F_NODAD;
  body.ifa_index = index;
  NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body);
  request.add(IFA_LOCAL, wire_bytes(address.address));
  request.add(IFA_ADDRESS, wire_bytes(address.address));
  if (const int error = request.perform(); error != 0 && error != EEXIST) return failure(doing, name, error);
  return {};
}

// An IPv4 address counts from the moment it is there, an IPv6 address from the moment its local route is.
bool is_in_use(const IpAddress& address) {
  if (address.is_v4()) return true;
  std::string start;
  for (const std::uint8_t byte : address.bytes()) start += fmt::format("{:02x}", byte);
  start += " 80 ";  // the prefix length, hexadecimal
  std::ifstream routes("/proc/thread-self/net/ipv6_route");
  for (std::string line; std::getline(routes, line);) {
    if (line.starts_with(start)) return true;
  }
  return false;
}

Outcome add_route(const std::string& name, const Cidr& prefix, std::optional<IpAddress> via) {
  const std::string doing = fmt::format("routing {} into {}", prefix.to_string(), name);
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return failure(doing, name, ENODEV);
  rtmsg body{};
  body.rtm_family = family_of(prefix.address);
  body.rtm_dst_len = prefix.prefix_length;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body);
  const std::array<std::uint8_t, 16> destination = masked(prefix);
  request.add(RTA_DST, std::span(destination).first(wire_bytes(prefix.address).size()));
  request.add(RTA_OIF, index);
  if (via) request.add(RTA_GATEWAY, wire_bytes(*via));
  if (const int error = request.perform(); error != 0) return failure(doing, name, error);
  return {};
}

}  // namespace ff::link
