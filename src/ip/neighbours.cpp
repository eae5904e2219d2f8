#include "ip/neighbours.hpp"

#include <algorithm>
#include <cstring>

namespace ff::ip {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// What a packet that waits costs: its bytes and the place where they are gathered.
std::size_t cost(const TxPacket& packet) noexcept { return packet.size() + sizeof(TxPacket); }

}  // namespace

Neighbours::Neighbours(const Settings& settings, Counters& counters, const SipHashKey& key, Random random)
    : settings_(settings), counters_(counters), random_(random), by_key_(0, Hash{key}) {}

std::size_t Neighbours::Hash::operator()(const Key& neighbour) const noexcept {
  SipHasher<1, 3> hasher(key);
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), neighbour.address.bytes().data(), sizeof words);
  for (const std::uint64_t word : words) hasher.add(word);
  return hasher.finish(neighbour.interface, 18);
}

Neighbours::Entry* Neighbours::find(InterfaceId interface, const IpAddress& address) noexcept {
  const auto found = by_key_.find(Key{address, interface});
  return found == by_key_.end() ? nullptr : &entries_[found->second];
}

// ---- packets -------------------------------------------------------------------------------------------------------

std::optional<MacAddress> Neighbours::resolve(Instant now, InterfaceId interface, const IpAddress& address,
                                              TxPacket& packet) {
  Entry* entry = find(interface, address);
  if (entry == nullptr) entry = create(now, interface, address);
  if (entry == nullptr) {
    counters_.drop(DropReason::NeighbourTableFull);
    packet.clear();
    return std::nullopt;
  }
  entry->used = now;
  switch (entry->state) {
    case NeighbourState::Stale:
      enter(*entry, NeighbourState::Delay, now);
      break;
    case NeighbourState::Failed:
      enter(*entry, NeighbourState::Incomplete, now);
      break;
    default:
      break;
  }
  if (entry->has_mac()) return entry->mac;
  keep(*entry, packet);
  return std::nullopt;
}

// Linux too lets the oldest go: what an application sent last matters most.
void Neighbours::keep(Entry& entry, TxPacket& packet) {
  entry.waiting_bytes += cost(packet);
  auto kept = std::make_unique<TxPacket>();
  kept->clear();
  kept->take(packet);
  entry.waiting.push_back(std::move(kept));
  while (entry.waiting_bytes > settings_.neigh_unres_qlen_bytes) {
    entry.waiting_bytes -= cost(*entry.waiting.front());
    entry.waiting.pop_front();
    counters_.drop(DropReason::NeighbourQueueFull);
  }
}

void Neighbours::release(Entry& entry, std::optional<MacAddress> to) {
  while (!entry.waiting.empty()) {
    released_.push_back({std::move(entry.waiting.front()), to});
    entry.waiting.pop_front();
  }
  entry.waiting_bytes = 0;
}

std::optional<Neighbours::Released> Neighbours::next_released() {
  if (released_.empty()) return std::nullopt;
  Released first = std::move(released_.front());
  released_.pop_front();
  return first;
}

std::optional<Neighbours::Question> Neighbours::next_question() {
  if (questions_.empty()) return std::nullopt;
  const Question first = questions_.front();
  questions_.pop_front();
  return first;
}

// ---- what is heard -------------------------------------------------------------------------------------------------

void Neighbours::heard(Instant now, InterfaceId interface, const IpAddress& address, const Word& word) {
  Entry* entry = find(interface, address);
  if (entry == nullptr) {
    // What nobody asked for pushes nothing out, so that a flood of it cannot fill the table.
    if (!word.creates || entries_.size() >= std::min(settings_.neigh_gc_thresh2, settings_.neigh_gc_thresh3)) return;
    entry = create(now, interface, address);
    if (entry == nullptr) return;
  }
  const bool same = entry->has_mac() && entry->mac == word.mac;
  if (entry->has_mac() && !same && !word.overrides) {
    // RFC 4861 §7.2.5: doubt what is known, keep it.
    if (entry->state == NeighbourState::Reachable) enter(*entry, NeighbourState::Stale, now);
    return;
  }
  // Only an answer to a question proves that packets arrive there (RFC 4861 §7.3.1). Linux takes any ARP reply for one;
  // here one that came unasked is tried first.
  const bool asked = entry->state == NeighbourState::Incomplete || entry->state == NeighbourState::Delay ||
                     entry->state == NeighbourState::Probe;
  const bool proves = word.answer && (asked || (same && entry->state == NeighbourState::Reachable));
  if (same && !proves) return;
  const bool waited = entry->state == NeighbourState::Incomplete;
  entry->mac = word.mac;
  entry->updated = now;
  enter(*entry, proves ? NeighbourState::Reachable : NeighbourState::Stale, now);
  if (waited) release(*entry, entry->mac);
}

bool Neighbours::is_locked(Instant now, InterfaceId interface, const IpAddress& address) const noexcept {
  const auto found = by_key_.find(Key{address, interface});
  if (found == by_key_.end()) return false;
  const Entry& entry = entries_[found->second];
  return entry.has_mac() && now - entry.updated < milliseconds(10) * std::int64_t{settings_.neigh_locktime};
}

// ---- states --------------------------------------------------------------------------------------------------------

void Neighbours::enter(Entry& entry, NeighbourState state, Instant now) {
  entry.state = state;
  entry.since = now;
  entry.questions = 0;
  entry.hook.unlink();
  switch (state) {
    case NeighbourState::Incomplete:
      asking_.push_back(entry);
      return ask(entry, now);
    case NeighbourState::Probe:
      in_use_.push_back(entry);
      return ask(entry, now);
    case NeighbourState::Reachable:
      in_use_.push_back(entry);
      return wheel_.arm(entry.timer, now + reachable_time());
    case NeighbourState::Delay:
      in_use_.push_back(entry);
      return wheel_.arm(entry.timer, now + seconds(settings_.neigh_delay_first_probe_time));
    case NeighbourState::Stale:
    case NeighbourState::Failed:
      idle_.push_back(entry);
      return wheel_.arm(entry.timer, now + std::max<Duration>(seconds(settings_.neigh_gc_stale_time), seconds(1)));
  }
}

void Neighbours::ask(Entry& entry, Instant now) {
  ++entry.questions;
  const bool known = entry.state == NeighbourState::Probe;
  questions_.push_back({entry.key.interface, entry.key.address, known ? std::optional(entry.mac) : std::nullopt});
  wheel_.arm(entry.timer, now + milliseconds(settings_.neigh_retrans_time_ms));
}

void Neighbours::handle_deadline(Instant now) {
  while (const TimerNode* node = wheel_.expire(now)) timeout(entries_[node->owner_index], now);
}

void Neighbours::timeout(Entry& entry, Instant now) {
  switch (entry.state) {
    case NeighbourState::Incomplete:
      if (entry.questions < settings_.neigh_mcast_solicit) return ask(entry, now);
      release(entry, std::nullopt);
      return enter(entry, NeighbourState::Failed, now);
    case NeighbourState::Reachable:
      // What was used a moment ago is asked for soon, so that an honest neighbour is never out of reach.
      return enter(entry,
                   now - entry.used < seconds(settings_.neigh_delay_first_probe_time) ? NeighbourState::Delay
                                                                                      : NeighbourState::Stale,
                   now);
    case NeighbourState::Delay:
      return enter(entry, settings_.neigh_ucast_solicit > 0 ? NeighbourState::Probe : NeighbourState::Stale, now);
    case NeighbourState::Probe:
      if (entry.questions < settings_.neigh_ucast_solicit) return ask(entry, now);
      return enter(entry, NeighbourState::Failed, now);
    case NeighbourState::Stale:
    case NeighbourState::Failed:
      if (entries_.size() > settings_.neigh_gc_thresh1) return remove(entry);
      // It may stay as long as there is room, see create().
      return wheel_.cancel(entry.timer);
  }
}

// RFC 4861 §6.3.4: evenly between half and one and a half of the base.
Duration Neighbours::reachable_time() noexcept {
  const Duration base = milliseconds(settings_.neigh_base_reachable_time_ms);
  return base / 2 + Duration(static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(base.count()) + 1)));
}

// ---- memory --------------------------------------------------------------------------------------------------------

Neighbours::Entry* Neighbours::create(Instant now, InterfaceId interface, const IpAddress& address) {
  const Duration stale_time = seconds(settings_.neigh_gc_stale_time);
  while (entries_.size() > settings_.neigh_gc_thresh1 && !idle_.empty() && idle_.front().since + stale_time <= now)
    remove(idle_.front());
  while (entries_.size() >= settings_.neigh_gc_thresh3)
    if (!evict()) return nullptr;
  Entry& entry = entries_.create();
  entry.key = {address, interface};
  entry.used = entry.since = now;
  entry.timer.owner_index = entry.index;
  by_key_.emplace(entry.key, entry.index);
  idle_.push_back(entry);
  return &entry;
}

bool Neighbours::evict() {
  if (!idle_.empty()) {
    remove(idle_.front());
    return true;
  }
  if (asking_.empty()) return false;
  Entry& oldest = asking_.front();
  for (std::size_t i = 0; i < oldest.waiting.size(); ++i) counters_.drop(DropReason::NeighbourTableFull);
  remove(oldest);
  return true;
}

void Neighbours::remove(Entry& entry) noexcept {
  wheel_.cancel(entry.timer);
  by_key_.erase(entry.key);
  entries_.destroy(entry.index);
}

void Neighbours::list(std::vector<Neighbour>& to) const {
  const_cast<Pool<Entry>&>(entries_).for_each([&](const Entry& entry) {
    to.push_back({entry.key.address, entry.key.interface, entry.has_mac() ? std::optional(entry.mac) : std::nullopt,
                  entry.state});
  });
}

}  // namespace ff::ip
