#include "ip/interfaces.hpp"

#include <algorithm>

#include "wire/endian.hpp"

namespace ff::ip {

namespace {
constexpr std::uint16_t kMinMtuV4 = 68;    // RFC 791
constexpr std::uint16_t kMinMtuV6 = 1280;  // RFC 8200 §5

bool host_can_have(const IpAddress& address) noexcept {
  return !address.is_any() && !address.is_multicast() && !address.is_broadcast();
}
}  // namespace

Result<InterfaceId> Interfaces::add(InterfaceConfig config) {
  if (config.addresses.empty() || interfaces_.size() >= UINT16_MAX) return std::unexpected(Error::InvalidArgument);
  if (config.loopback && (config.mac || loopback_)) return std::unexpected(Error::InvalidArgument);
  if (config.mac && (config.mac->is_group() || config.mac == MacAddress{}))
    return std::unexpected(Error::InvalidArgument);
  for (const Cidr& own : config.addresses) {
    const std::uint16_t least = own.address.is_v4() ? kMinMtuV4 : kMinMtuV6;
    if (!host_can_have(own.address) || config.mtu < least) return std::unexpected(Error::InvalidArgument);
    if (is_local(own.address)) return std::unexpected(Error::AddressInUse);
  }
  if (config.max_super_segment < config.mtu) config.max_super_segment = config.mtu;
  config.max_super_segment = std::min<std::uint32_t>(config.max_super_segment, 65535);
  const auto id = static_cast<InterfaceId>(interfaces_.size());
  // A prefix that the interface has twice, or a gateway named twice, is one route.
  for (const Cidr& own : config.addresses)
    (void)routes_.add({.prefix = own, .gateway = {}, .interface = id, .metric = 0, .source = own.address});
  for (const IpAddress& gateway : config.gateways) {
    const Cidr all{gateway.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6(), 0};
    (void)routes_.add({.prefix = all, .gateway = gateway, .interface = id, .metric = 0, .source = {}});
  }
  if (config.loopback) loopback_ = id;
  interfaces_.push_back(std::move(config));
  return id;
}

Result<void> Interfaces::add_route(const Route& route) {
  if (route.interface >= interfaces_.size()) return std::unexpected(Error::InvalidArgument);
  if (route.source && !is_local(*route.source)) return std::unexpected(Error::AddressNotAvailable);
  if (route.source && route.source->is_v4() != route.prefix.address.is_v4())
    return std::unexpected(Error::InvalidArgument);
  if (route.gateway && own_address_near(route.interface, *route.gateway) == nullptr)
    return std::unexpected(Error::NetworkUnreachable);
  return routes_.add(route);
}

bool Interfaces::is_local(const IpAddress& address) const noexcept {
  for (const InterfaceConfig& interface : interfaces_)
    for (const Cidr& own : interface.addresses)
      if (interface.loopback ? own.contains(address) : own.address == address) return true;
  return false;
}

bool Interfaces::takes_any(const InterfaceConfig& interface, const IpAddress& destination) noexcept {
  if (!interface.any_destination || !host_can_have(destination) || destination.is_loopback()) return false;
  return std::ranges::any_of(interface.addresses,
                             [&](const Cidr& own) { return own.address.is_v4() == destination.is_v4(); });
}

bool Interfaces::stands_for(const IpAddress& address) const noexcept {
  return is_local(address) ||
         std::ranges::any_of(interfaces_, [&](const InterfaceConfig& one) { return takes_any(one, address); });
}

bool Interfaces::is_subnet_broadcast(const IpAddress& address) const noexcept {
  if (!address.is_v4()) return false;
  const std::uint32_t host = wire::load_be32(address.v4_bytes().data());
  for (const InterfaceConfig& interface : interfaces_)
    for (const Cidr& own : interface.addresses) {
      if (own.prefix_length > 30 || !own.contains(address)) continue;  // RFC 3021: a pair has none
      const std::uint32_t host_bits = UINT32_MAX >> own.prefix_length;
      if ((host & host_bits) == host_bits) return true;
    }
  return false;
}

bool Interfaces::owns(InterfaceId interface, const IpAddress& address) const noexcept {
  return std::ranges::any_of(interfaces_[interface].addresses, [&](const Cidr& own) { return own.address == address; });
}

const IpAddress* Interfaces::own_address_near(InterfaceId interface, const IpAddress& address) const noexcept {
  const Cidr* best = nullptr;
  for (const Cidr& own : interfaces_[interface].addresses)
    if (own.contains(address) && (best == nullptr || own.prefix_length > best->prefix_length)) best = &own;
  return best == nullptr ? nullptr : &best->address;
}

const IpAddress* Interfaces::best_source(const Route& route, const IpAddress& destination) const noexcept {
  if (route.source) return &*route.source;
  if (const IpAddress* near = own_address_near(route.interface, route.gateway.value_or(destination))) return near;
  for (const Cidr& own : interfaces_[route.interface].addresses)
    if (own.address.is_v4() == destination.is_v4()) return &own.address;
  return nullptr;
}

std::optional<Interfaces::Hop> Interfaces::route(const IpAddress& destination) const noexcept {
  if (loopback_ && is_local(destination)) {
    const IpAddress* source = own_address_near(*loopback_, destination);
    return Hop{*loopback_, source != nullptr ? *source : destination};
  }
  const Route* route = routes_.find(destination);
  if (route == nullptr) return std::nullopt;
  const IpAddress* source = best_source(*route, destination);
  return source == nullptr ? std::nullopt : std::optional(Hop{route->interface, *source});
}

IpAddress Interfaces::next_hop(InterfaceId interface, const IpAddress& destination) const noexcept {
  const Route* route = routes_.find(destination, interface);
  return route != nullptr && route->gateway ? *route->gateway : destination;
}

std::optional<InterfaceId> Interfaces::interface_to(const IpAddress& source,
                                                    const IpAddress& destination) const noexcept {
  if (loopback_ && is_local(destination)) return loopback_;
  for (std::size_t i = 0; i < interfaces_.size(); ++i)
    for (const Cidr& own : interfaces_[i].addresses)
      if (own.address == source && own.contains(destination)) return static_cast<InterfaceId>(i);
  const auto best = route(destination);
  return best ? std::optional(best->interface) : std::nullopt;
}

}  // namespace ff::ip
