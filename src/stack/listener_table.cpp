#include "stack/listener_table.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>

#include "stack/tuple_hash.hpp"

namespace ff {

std::size_t ListenerTable::Hash::operator()(const Key& key) const noexcept {
  // The application, not a peer, chooses what to listen on.
  return std::hash<std::string_view>{}(as_text(key.local.address.bytes())) * 31 + key.local.port;
}

ListenerTable::Key ListenerTable::key_of(const Listener& listener) noexcept {
  const ListenOptions& options = listener.options;
  return {options.local, options.ipv6_only && options.local.address == IpAddress::any_v6()};
}

void ListenerTable::add(Listener& listener) {
  groups_[key_of(listener)].members.push_back(listener.index);
  if (listener.options.every_port) ++every_port_;
}

void ListenerTable::remove(Listener& listener) noexcept {
  const auto group = groups_.find(key_of(listener));
  assert(group != groups_.end());
  // The last one takes its place, as in Linux's groups: most clients come to whom they came before.
  std::vector<std::uint32_t>& members = group->second.members;
  const auto place = std::ranges::find(members, listener.index);
  assert(place != members.end());
  *place = members.back();
  members.pop_back();
  if (members.empty()) groups_.erase(group);
  if (listener.options.every_port) --every_port_;
}

Listener* ListenerTable::pick(const std::vector<std::uint32_t>& members, const FourTuple& tuple) const noexcept {
  if (members.size() == 1) return &listeners_[members.front()];
  // The high half of a product: as even as a remainder, and without a division.
  const std::uint64_t hash = tuple_hash(key_, tuple) & UINT32_MAX;
  return &listeners_[members[hash * members.size() >> 32]];
}

Listener* ListenerTable::find(const FourTuple& tuple) const noexcept {
  if (Listener* of_this_port = find(tuple, tuple.local.port)) return of_this_port;
  return every_port_ > 0 ? find(tuple, 0) : nullptr;
}

Listener* ListenerTable::find(const FourTuple& tuple, std::uint16_t port) const noexcept {
  const auto at = [&](const IpAddress& address, bool ipv6_only) -> Listener* {
    const auto group = groups_.find(Key{{address, port}, ipv6_only});
    return group == groups_.end() ? nullptr : pick(group->second.members, tuple);
  };
  const bool v4 = tuple.local.address.is_v4();
  if (Listener* specific = at(tuple.local.address, false)) return specific;
  if (Listener* own_family = v4 ? at(IpAddress::any_v4(), false) : at(IpAddress::any_v6(), true)) return own_family;
  return at(IpAddress::any_v6(), false);
}

Listener* ListenerTable::heir_of(const Listener& listener, const FourTuple& tuple) const noexcept {
  const auto group = groups_.find(key_of(listener));
  return group == groups_.end() ? nullptr : pick(group->second.members, tuple);
}

ListenerGroup& ListenerTable::group_of(const Listener& listener) noexcept {
  const auto group = groups_.find(key_of(listener));
  assert(group != groups_.end());
  return group->second;
}

}  // namespace ff
