// The interfaces of a stack, their addresses, and which of them leads to a destination.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "firstflight/stack.hpp"
#include "ip/routes.hpp"

namespace ff::ip {

class Interfaces {
 public:
  // InvalidArgument: an MTU under the family's least, no address, an address that no host can have, or one that is
  // taken. The prefixes of its addresses become routes, its gateways default routes.
  Result<InterfaceId> add(InterfaceConfig config);

  // See Stack::add_route().
  Result<void> add_route(const Route& route);
  [[nodiscard]] RouteTable& routes() noexcept { return routes_; }
  [[nodiscard]] const RouteTable& routes() const noexcept { return routes_; }

  [[nodiscard]] bool is_local(const IpAddress& address) const noexcept;
  // Whether a packet to `destination` that comes in by `interface` is for us.
  [[nodiscard]] bool takes(InterfaceId interface, const IpAddress& destination) const noexcept {
    return is_local(destination) || takes_any(interfaces_[interface], destination);
  }
  // Whether packets may leave from it, because it is ours or because of an interface with any_destination.
  [[nodiscard]] bool stands_for(const IpAddress& address) const noexcept;
  // Such as 192.0.2.255 where we are 192.0.2.1/24.
  [[nodiscard]] bool is_subnet_broadcast(const IpAddress& address) const noexcept;

  // What leads to ourselves; nothing: there is no such interface.
  [[nodiscard]] std::optional<InterfaceId> loopback() const noexcept { return loopback_; }

  struct Hop {
    InterfaceId interface;
    IpAddress source;  // which of our addresses fits best
  };
  [[nodiscard]] std::optional<Hop> route(const IpAddress& destination) const noexcept;
  // The same for a packet from one of our addresses: the interface that owns it if it leads there.
  [[nodiscard]] std::optional<InterfaceId> interface_to(const IpAddress& source,
                                                        const IpAddress& destination) const noexcept;
  // Whom a packet to `destination` is to be handed to on the link of `interface`: a gateway, or the destination itself.
  [[nodiscard]] IpAddress next_hop(InterfaceId interface, const IpAddress& destination) const noexcept;
  // An address of ours whose prefix has `address` in it; nothing: it is not on the link.
  [[nodiscard]] const IpAddress* own_address_near(InterfaceId interface, const IpAddress& address) const noexcept;
  [[nodiscard]] bool owns(InterfaceId interface, const IpAddress& address) const noexcept;

  [[nodiscard]] const InterfaceConfig& operator[](InterfaceId id) const noexcept { return interfaces_[id]; }
  [[nodiscard]] std::size_t size() const noexcept { return interfaces_.size(); }

 private:
  static bool takes_any(const InterfaceConfig& interface, const IpAddress& destination) noexcept;
  [[nodiscard]] const IpAddress* best_source(const Route& route, const IpAddress& destination) const noexcept;

  std::vector<InterfaceConfig> interfaces_;
  std::optional<InterfaceId> loopback_;
  RouteTable routes_;
};

}  // namespace ff::ip
