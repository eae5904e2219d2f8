// The routing table: the longest prefix decides, among equals the smallest metric, then who came first.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "firstflight/error.hpp"
#include "firstflight/network.hpp"

namespace ff::ip {

// A host has a handful of routes, so that a sorted row beats any tree.
class RouteTable {
 public:
  // AlreadyExists: the same prefix, gateway, interface and metric. InvalidArgument: a gateway of another family, or one
  // that no host can be.
  Result<void> add(Route route);
  // NotFound.
  Result<void> remove(const Cidr& prefix, const std::optional<IpAddress>& gateway,
                      const std::optional<InterfaceId>& interface, const std::optional<std::uint32_t>& metric);

  // Null: no route leads there.
  [[nodiscard]] const Route* find(const IpAddress& destination,
                                  std::optional<InterfaceId> interface = std::nullopt) const noexcept;
  [[nodiscard]] std::span<const Route> all() const noexcept { return routes_; }

 private:
  std::vector<Route> routes_;  // in the order in which they are tried
};

}  // namespace ff::ip
