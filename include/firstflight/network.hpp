// The network layer as the application sees it: interfaces, routes and neighbours.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firstflight/address.hpp"

namespace ff {

using InterfaceId = std::uint16_t;

// The address of an Ethernet-like device.
struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  // "02:00:5e:10:00:01"; nothing when the text is none.
  static std::optional<MacAddress> parse(std::string_view text);
  static constexpr MacAddress broadcast() noexcept { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
  // A group: broadcast included. No host has such an address.
  [[nodiscard]] bool is_group() const noexcept { return (bytes[0] & 1) != 0; }
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const MacAddress&, const MacAddress&) noexcept = default;
};

struct InterfaceConfig {
  std::string name{};
  std::uint16_t mtu = 1500;           // bytes of IP packet; at least 68 (IPv4) or 1280 (IPv6)
  std::vector<Cidr> addresses{};      // our own, each with its prefix
  std::vector<IpAddress> gateways{};  // at most one per family; makes this the default interface of the family
  // The largest super-segment to hand out, IP header included; at most 65535. The MTU switches super-segments off.
  std::uint32_t max_super_segment = 65535;
  // Our address on an Ethernet-like device, whose packets have an Ethernet header: next hops are then found by ARP and
  // neighbour discovery.
  std::optional<MacAddress> mac{};
  // What it sends comes back to us: packets to addresses of our own leave by it, whichever interface has the address.
  // All of its prefixes are ours, as 127.0.0.0/8 is on Linux. Without one, our own addresses cannot be reached from
  // here.
  bool loopback = false;
  // Whatever address a packet that comes in by here is sent to, of a family that `addresses` has, it is for us, as
  // behind Linux's "ip route add local default": the stack stands for every host that this interface could ask for.
  bool any_destination = false;
};

// What may be done about packets that are larger than the path carries; the names of IP_MTU_DISCOVER.
enum class PathMtuDiscovery : std::uint8_t {
  // Datagrams: small ones are not to be fragmented by routers, large ones are fragmented here. TCP: none is to be
  // fragmented, segments are made to fit.
  Want,
  Dont,  // all may be fragmented, datagrams here, too, and anything by IPv4 routers; TCP does not heed what these say
  Do,    // none may. Datagrams: MessageTooLong; TCP: as Want
};

// One line of the routing table. The longest prefix decides, among equals the smallest metric.
struct Route {
  Cidr prefix;                       // what it leads to; /0: everything of that family
  std::optional<IpAddress> gateway;  // nothing: the destination itself is on the link
  InterfaceId interface = 0;
  std::uint32_t metric = 0;
  std::optional<IpAddress> source;  // which of our addresses packets leave with; nothing: the interface's best

  friend bool operator==(const Route&, const Route&) noexcept = default;
};

// RFC 4861 §7.3.2, with Linux's FAILED.
enum class NeighbourState : std::uint8_t { Incomplete, Reachable, Stale, Delay, Probe, Failed };
std::string_view to_string(NeighbourState) noexcept;  // "REACHABLE"

// One line of `ip neighbour`.
struct Neighbour {
  IpAddress address;
  InterfaceId interface = 0;
  std::optional<MacAddress> mac;  // not known while Incomplete or Failed
  NeighbourState state = NeighbourState::Incomplete;
};

}  // namespace ff
