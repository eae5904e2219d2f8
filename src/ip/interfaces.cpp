#include "ip/interfaces.hpp"

#include <algorithm>

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
  for (const Cidr& own : config.addresses) {
    const std::uint16_t least = own.address.is_v4() ? kMinMtuV4 : kMinMtuV6;
    if (!host_can_have(own.address) || config.mtu < least) return std::unexpected(Error::InvalidArgument);
    if (is_local(own.address)) return std::unexpected(Error::AddressInUse);
  }
  if (config.max_super_segment < config.mtu) config.max_super_segment = config.mtu;
  config.max_super_segment = std::min<std::uint32_t>(config.max_super_segment, 65535);
  interfaces_.push_back(std::move(config));
  return static_cast<InterfaceId>(interfaces_.size() - 1);
}

bool Interfaces::is_local(const IpAddress& address) const noexcept {
  for (const InterfaceConfig& interface : interfaces_)
    for (const Cidr& own : interface.addresses)
      if (own.address == address) return true;
  return false;
}

std::optional<Interfaces::Route> Interfaces::route(const IpAddress& destination) const noexcept {
  std::optional<Route> best;
  int best_length = -1;
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    const InterfaceConfig& interface = interfaces_[i];
    const IpAddress* first_of_family = nullptr;
    for (const Cidr& own : interface.addresses) {
      if (own.address.is_v4() != destination.is_v4()) continue;
      if (first_of_family == nullptr) first_of_family = &own.address;
      if (own.contains(destination) && own.prefix_length > best_length) {
        best_length = own.prefix_length;
        best = Route{static_cast<InterfaceId>(i), own.address};
      }
    }
    const bool has_gateway = std::ranges::any_of(
        interface.gateways, [&](const IpAddress& gateway) { return gateway.is_v4() == destination.is_v4(); });
    if (has_gateway && first_of_family != nullptr && best_length < 0) {
      best_length = 0;
      best = Route{static_cast<InterfaceId>(i), *first_of_family};
    }
  }
  return best;
}

std::optional<InterfaceId> Interfaces::interface_to(const IpAddress& source,
                                                    const IpAddress& destination) const noexcept {
  for (std::size_t i = 0; i < interfaces_.size(); ++i)
    for (const Cidr& own : interfaces_[i].addresses)
      if (own.address == source && own.contains(destination)) return static_cast<InterfaceId>(i);
  const auto best = route(destination);
  return best ? std::optional(best->interface) : std::nullopt;
}

}  // namespace ff::ip
