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

std::size_t PortTable::Hash::operator()(const Place& place) const noexcept {
  SipHasher<1, 3> hasher(key);
  add(hasher, place.local);
  return hasher.finish(place.local.port | (place.ipv6_only ? 1u << 16 : 0u), 19);
}

std::size_t PortTable::Hash::operator()(const FourTuple& tuple) const noexcept {
  SipHasher<1, 3> hasher(key);
  add(hasher, tuple.local);
  add(hasher, tuple.remote);
  return hasher.finish(tuple.local.port | std::uint64_t{tuple.remote.port} << 16, 36);
}

// As Linux's udp_lib_lport_inuse().
bool PortTable::conflicts(const Binding& binding) const {
  const auto holders = ports_.find(binding.local.port);
  if (holders == ports_.end()) return false;
  return std::ranges::any_of(holders->second, [&](const Holder& holder) {
    if (holder.binding.reuse_addr && binding.reuse_addr) return false;
    if (holder.binding.reuse_port && binding.reuse_port) return false;
    return addresses_meet(holder.binding, binding);
  });
}

void PortTable::bind(const Binding& binding, std::uint32_t socket) {
  ports_[binding.local.port].push_back({binding, socket});
  held_.add(binding.local.port);
  join_group(binding, socket);
}

void PortTable::unbind(const Binding& binding, std::uint32_t socket) noexcept {
  leave_group(binding, socket);
  const auto holders = ports_.find(binding.local.port);
  assert(holders != ports_.end());
  std::erase_if(holders->second, [&](const Holder& holder) { return holder.socket == socket; });
  if (!holders->second.empty()) return;
  ports_.erase(holders);
  held_.remove(binding.local.port);
}

void PortTable::connect(const Binding& binding, std::uint32_t socket, const FourTuple& tuple) {
  connected_[tuple].push_back(socket);
  leave_group(binding, socket);
}

void PortTable::disconnect(const Binding& binding, std::uint32_t socket, const FourTuple& tuple) {
  const auto place = connected_.find(tuple);
  assert(place != connected_.end());
  std::erase(place->second, socket);
  if (place->second.empty()) connected_.erase(place);
  join_group(binding, socket);
}

PortTable::Place PortTable::place_of(const Binding& binding) noexcept {
  return {binding.local, binding.ipv6_only && binding.local.address == IpAddress::any_v6()};
}

void PortTable::join_group(const Binding& binding, std::uint32_t socket) {
  Group& group = bound_[place_of(binding)];
  (binding.reuse_port ? group.sharing : group.alone).push_back(socket);
}

void PortTable::leave_group(const Binding& binding, std::uint32_t socket) noexcept {
  const auto place = bound_.find(place_of(binding));
  if (place == bound_.end()) return;
  Group& group = place->second;
  std::erase(group.alone, socket);
  // The last one takes its place: most senders come to whom they came before.
  if (const auto one = std::ranges::find(group.sharing, socket); one != group.sharing.end()) {
    *one = group.sharing.back();
    group.sharing.pop_back();
  }
  if (group.alone.empty() && group.sharing.empty()) bound_.erase(place);
}

std::optional<std::uint32_t> PortTable::socket_at(const Place& place, const FourTuple& tuple) const noexcept {
  const auto found = bound_.find(place);
  if (found == bound_.end()) return std::nullopt;
  const Group& group = found->second;
  if (!group.alone.empty()) return group.alone.back();
  return group.sharing[connected_.hash_function()(tuple) % group.sharing.size()];
}

std::optional<std::uint32_t> PortTable::find(const FourTuple& tuple) const noexcept {
  if (held_.contains(tuple.local.port))
    if (const auto holder = find(tuple, tuple.local.port)) return holder;
  return held_.contains(0) ? find(tuple, 0) : std::nullopt;
}

std::optional<std::uint32_t> PortTable::find(const FourTuple& tuple, std::uint16_t port) const noexcept {
  if (const auto exact = connected_.find(tuple); exact != connected_.end()) return exact->second.back();
  if (const auto specific = socket_at({{tuple.local.address, port}}, tuple)) return specific;
  const bool v4 = tuple.local.address.is_v4();
  const Place own_family{{v4 ? IpAddress::any_v4() : IpAddress::any_v6(), port}, !v4};
  if (const auto any = socket_at(own_family, tuple)) return any;
  return socket_at({{IpAddress::any_v6(), port}}, tuple);
}

}  // namespace ff::udp
