#include "udp/port_table.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace ff::udp {
namespace {

void add(SipHasher<1, 3>& hasher, const Endpoint& endpoint) noexcept {
  std::uint64_t words[2];
  std::memcpy(words, endpoint.address.bytes().data(), sizeof words);
  hasher.add(words[0]);
  hasher.add(words[1]);
}

// What a wildcard that two families may share stands for.
bool takes_both_families(const Binding& binding) noexcept {
  return binding.local.address == IpAddress::any_v6() && !binding.ipv6_only;
}

// `ipv6_only` says of a socket at 0.0.0.0 nothing, and of one at :: that it is another address than 0.0.0.0.
bool addresses_meet(const Binding& a, const Binding& b) noexcept {
  const bool one_family = a.local.address.is_v4() == b.local.address.is_v4();
  if (!one_family && !takes_both_families(a) && !takes_both_families(b)) return false;
  return a.local.address == b.local.address || a.local.address.is_any() || b.local.address.is_any();
}

}  // namespace

std::size_t PortTable::Hash::operator()(const Endpoint& endpoint) const noexcept {
  SipHasher<1, 3> hasher(key);
  add(hasher, endpoint);
  return hasher.finish(endpoint.port, 18);
}

std::size_t PortTable::Hash::operator()(const FourTuple& tuple) const noexcept {
  SipHasher<1, 3> hasher(key);
  add(hasher, tuple.local);
  add(hasher, tuple.remote);
  return hasher.finish(tuple.local.port | std::uint64_t{tuple.remote.port} << 16, 36);
}

bool PortTable::conflicts(const Binding& binding) const {
  const auto holders = ports_.find(binding.local.port);
  if (holders == ports_.end()) return false;
  return std::ranges::any_of(holders->second, [&](const Holder& holder) {
    if (holder.binding.reuse_port && binding.reuse_port) return false;
    return addresses_meet(holder.binding, binding);
  });
}

void PortTable::bind(const Binding& binding, std::uint32_t socket) {
  ports_[binding.local.port].push_back({binding, socket});
  join_group(binding, socket);
}

void PortTable::unbind(const Binding& binding, std::uint32_t socket) noexcept {
  leave_group(binding, socket);
  const auto holders = ports_.find(binding.local.port);
  assert(holders != ports_.end());
  std::erase_if(holders->second, [&](const Holder& holder) { return holder.socket == socket; });
  if (holders->second.empty()) ports_.erase(holders);
}

bool PortTable::connect(const Binding& binding, std::uint32_t socket, const FourTuple& tuple) {
  const auto [place, added] = connected_.emplace(tuple, socket);
  if (!added) return place->second == socket;
  leave_group(binding, socket);
  return true;
}

void PortTable::disconnect(const Binding& binding, std::uint32_t socket, const FourTuple& tuple) {
  const auto place = connected_.find(tuple);
  assert(place != connected_.end() && place->second == socket);
  connected_.erase(place);
  join_group(binding, socket);
}

void PortTable::join_group(const Binding& binding, std::uint32_t socket) { bound_[binding.local].push_back(socket); }

void PortTable::leave_group(const Binding& binding, std::uint32_t socket) noexcept {
  const auto group = bound_.find(binding.local);
  if (group == bound_.end()) return;
  std::erase(group->second, socket);
  if (group->second.empty()) bound_.erase(group);
}

const PortTable::Group* PortTable::group_at(const IpAddress& address, std::uint16_t port) const noexcept {
  const auto group = bound_.find(Endpoint{address, port});
  return group == bound_.end() ? nullptr : &group->second;
}

std::optional<std::uint32_t> PortTable::find(const FourTuple& tuple) const noexcept {
  const auto holders = ports_.find(tuple.local.port);
  if (holders == ports_.end()) return std::nullopt;
  if (const auto exact = connected_.find(tuple); exact != connected_.end()) return exact->second;

  const std::uint16_t port = tuple.local.port;
  const bool v4 = tuple.local.address.is_v4();
  const Group* group = group_at(tuple.local.address, port);
  if (group == nullptr && v4) group = group_at(IpAddress::any_v4(), port);
  if (group != nullptr) return (*group)[connected_.hash_function()(tuple) % group->size()];

  group = group_at(IpAddress::any_v6(), port);
  if (group == nullptr) return std::nullopt;
  const std::uint32_t chosen = (*group)[connected_.hash_function()(tuple) % group->size()];
  if (!v4) return chosen;
  // Of several at :: some may take IPv6 only.
  for (const Holder& holder : holders->second)
    if (holder.socket == chosen) return holder.binding.ipv6_only ? std::nullopt : std::optional(chosen);
  return std::nullopt;
}

}  // namespace ff::udp
