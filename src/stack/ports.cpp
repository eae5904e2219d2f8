#include "stack/ports.hpp"

#include <cassert>

namespace ff {

// As Linux's inet_csk_bind_conflict(). SO_REUSEADDR lets a port be taken beside whoever has it too and does not listen:
// connections and TIME_WAIT entries of an earlier run. SO_REUSEPORT on both lets everything.
bool Ports::share(PortUse use, std::uint32_t other_kind) noexcept {
  const bool other_reuses = (other_kind & 1) != 0, other_shares = (other_kind & 2) != 0,
             listens = (other_kind & 4) != 0;
  return (use.reuse_addr && other_reuses && !listens) || (use.reuse_port && other_shares);
}

std::uint32_t Ports::place_of(const Binding& binding) {
  const IpAddress& address = binding.local.address;
  if (address == IpAddress::any_v4()) return kAnyV4;
  if (address == IpAddress::any_v6()) return binding.ipv6_only ? kAnyV6Only : kAny;
  return kFirstAddress + addresses_.number_of(address);
}

template <typename Matters>
bool Ports::any(const Binding& binding, Matters&& matters) const {
  const IpAddress& address = binding.local.address;
  const std::uint16_t port = binding.local.port;
  if (!held_.contains(port)) return false;
  const auto held_at = [&](std::uint32_t place) {
    for (std::uint32_t kind = 0; kind < kKinds; ++kind)
      if (matters(kind) && counts_.contains(key(place, port, kind))) return true;
    return false;
  };
  const bool v4 = address.is_v4();
  const bool both = address == IpAddress::any_v6() && !binding.ipv6_only;
  if (held_at(kAny) || ((v4 || both) && held_at(kAnyV4)) || (!v4 && held_at(kAnyV6Only))) return true;
  if (!address.is_any()) {
    const auto number = addresses_.find(address);
    return number && held_at(kFirstAddress + *number);
  }
  for (std::uint32_t i = 0; i < addresses_.size(); ++i)
    if ((both || addresses_[i].is_v4() == v4) && held_at(kFirstAddress + i)) return true;
  return false;
}

bool Ports::conflicts(const Binding& binding, PortUse use) const {
  return any(binding, [use](std::uint32_t kind) { return !share(use, kind); });
}

bool Ports::is_free(const Binding& binding) const {
  return !any(binding, [](std::uint32_t) { return true; });
}

Ports::Holders& Ports::holders_of(std::uint16_t port) {
  std::unique_ptr<Page>& page = pages_[port / kPageSize];
  if (page == nullptr) page = std::make_unique<Page>();
  return (*page)[port % kPageSize];
}

void Ports::hold(const Binding& binding, PortUse use) {
  const std::uint16_t port = binding.local.port;
  ++counts_[key(place_of(binding), port, kind_of(use))];
  Holders& holders = holders_of(port);
  if (holders.all++ == 0) held_.add(port);
  if (!use.chosen && holders.bound++ == 0) bound_.add(port);
  ++size_;
}

void Ports::release(const Binding& binding, PortUse use) noexcept {
  const std::uint16_t port = binding.local.port;
  const auto count = counts_.find(key(place_of(binding), port, kind_of(use)));
  assert(count != counts_.end());
  if (--count->second == 0) counts_.erase(count);
  Holders& holders = holders_of(port);
  if (!use.chosen && --holders.bound == 0) bound_.remove(port);
  if (--holders.all == 0) held_.remove(port);
  --size_;
}

}  // namespace ff
