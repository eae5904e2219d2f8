#include "ip/routes.hpp"

#include <algorithm>
#include <tuple>

namespace ff::ip {
namespace {

// The prefix with the bits of the host cleared, so that 10.0.0.7/24 and 10.0.0.0/24 are one.
Cidr network_of(const Cidr& prefix) noexcept {
  const bool v4 = prefix.address.is_v4();
  std::array<std::uint8_t, 16> bytes;
  std::copy_n(prefix.address.bytes().begin(), bytes.size(), bytes.begin());
  for (std::size_t bit = prefix.prefix_length + (v4 ? 96u : 0u); bit < 128; ++bit)
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0x80u >> bit % 8));
  return {IpAddress::v6(bytes), prefix.prefix_length};
}

bool is_before(const Route& a, const Route& b) noexcept {
  return std::tuple(-a.prefix.prefix_length, a.metric) < std::tuple(-b.prefix.prefix_length, b.metric);
}

}  // namespace

Result<void> RouteTable::add(Route route) {
  const bool v4 = route.prefix.address.is_v4();
  if (route.prefix.prefix_length > (v4 ? 32 : 128)) return std::unexpected(Error::InvalidArgument);
  if (route.gateway && (route.gateway->is_v4() != v4 || route.gateway->is_any() || route.gateway->is_multicast() ||
                        route.gateway->is_broadcast()))
    return std::unexpected(Error::InvalidArgument);
  route.prefix = network_of(route.prefix);
  const bool exists = std::ranges::any_of(routes_, [&](const Route& other) {
    return other.prefix == route.prefix && other.gateway == route.gateway && other.interface == route.interface &&
           other.metric == route.metric;
  });
  if (exists) return std::unexpected(Error::AlreadyExists);
  routes_.insert(std::ranges::upper_bound(routes_, route, is_before), std::move(route));
  return {};
}

Result<void> RouteTable::remove(const Cidr& prefix, const std::optional<IpAddress>& gateway,
                                const std::optional<InterfaceId>& interface,
                                const std::optional<std::uint32_t>& metric) {
  const Cidr network = network_of(prefix);
  const auto found = std::ranges::find_if(routes_, [&](const Route& route) {
    return route.prefix == network && (!gateway || route.gateway == gateway) &&
           (!interface || route.interface == *interface) && (!metric || route.metric == *metric);
  });
  if (found == routes_.end()) return std::unexpected(Error::NotFound);
  routes_.erase(found);
  return {};
}

const Route* RouteTable::find(const IpAddress& destination, std::optional<InterfaceId> interface) const noexcept {
  for (const Route& route : routes_)
    if (route.prefix.contains(destination) && (!interface || route.interface == *interface)) return &route;
  return nullptr;
}

}  // namespace ff::ip
