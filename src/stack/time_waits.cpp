#include "stack/time_waits.hpp"

#include <cassert>

#include "stack/tuple_hash.hpp"

namespace ff {

namespace {
// Rounded up: nothing ends early.
std::int64_t milliseconds(Instant at) noexcept {
  return std::chrono::ceil<std::chrono::milliseconds>(at.time_since_epoch()).count();
}
}  // namespace

std::optional<std::uint32_t> TimeWaits::find(const FourTuple& tuple) const noexcept {
  if (size_ == 0) return std::nullopt;
  for (std::uint32_t index = heads_[bucket_of(hash(tuple))]; index != kNone; index = slot(index).chain)
    if (is(slot(index), tuple)) return index;
  return std::nullopt;
}

FourTuple TimeWaits::tuple(std::uint32_t index) const noexcept {
  const Slot& s = slot(index);
  return {{own_[s.local], s.local_port}, {s.remote, s.remote_port}};
}

Instant TimeWaits::ends_at(std::uint32_t index) const noexcept {
  const std::int64_t newest = milliseconds(newest_end_);
  const auto distance = static_cast<std::int32_t>(slot(index).end_ms - static_cast<std::uint32_t>(newest));
  return Instant(std::chrono::milliseconds(newest + distance));
}

PortUse TimeWaits::use(std::uint32_t index) const noexcept {
  const Slot& s = slot(index);
  return {.reuse_addr = s.reuse_addr, .reuse_port = s.reuse_port, .chosen = s.chosen};
}

void TimeWaits::add(const FourTuple& tuple, const tcp::TimeWait& state, Instant ends_at, PortUse use) {
  assert(!find(tuple));
  if (size_ >= heads_.size()) add_bucket();
  const std::uint32_t own = own_.number_of(tuple.local.address);
  assert(own < kFree);
  const std::uint32_t index = take_slot();
  Slot& s = slot(index);
  s.state = state;
  s.remote = tuple.remote.address;
  s.remote_port = tuple.remote.port;
  s.local_port = tuple.local.port;
  s.local = own & kFree;
  s.reuse_addr = use.reuse_addr;
  s.reuse_port = use.reuse_port;
  s.chosen = use.chosen;
  std::uint32_t& head = heads_[bucket_of(hash(tuple))];
  s.chain = head;
  head = index;
  ++size_;
  enqueue(index, ends_at);
}

void TimeWaits::restart(std::uint32_t index, Instant ends_at) noexcept {
  dequeue(index);
  enqueue(index, ends_at);
}

void TimeWaits::remove(std::uint32_t index) noexcept {
  std::uint32_t* link = &heads_[bucket_of(hash(tuple(index)))];
  while (*link != index) link = &slot(*link).chain;
  Slot& s = slot(index);
  *link = s.chain;
  dequeue(index);
  s.local = kFree;
  s.chain = free_;
  free_ = index;
  --size_;
}

std::optional<std::uint32_t> TimeWaits::first() const noexcept {
  return oldest_ == kNone ? std::nullopt : std::optional(oldest_);
}

std::optional<TimeWaits::View> TimeWaits::at(std::uint32_t index) const noexcept {
  if (slot(index).local == kFree) return std::nullopt;
  return View{tuple(index), ends_at(index)};
}

bool TimeWaits::is(const Slot& s, const FourTuple& tuple) const noexcept {
  return s.remote_port == tuple.remote.port && s.local_port == tuple.local.port && s.remote == tuple.remote.address &&
         own_[s.local] == tuple.local.address;
}

std::uint32_t TimeWaits::hash(const FourTuple& tuple) const noexcept {
  return static_cast<std::uint32_t>(tuple_hash<1, 3>(key_, tuple));
}

std::uint32_t TimeWaits::bucket_of(std::uint32_t hash) const noexcept {
  const std::uint32_t split = hash & (2 * base_ - 1);
  return split < heads_.size() ? split : hash & (base_ - 1);
}

std::uint32_t TimeWaits::take_slot() {
  if (free_ != kNone) {
    const std::uint32_t index = free_;
    free_ = slot(index).chain;
    return index;
  }
  if ((used_ & kChunkMask) == 0) chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
  return used_++;
}

// Splits the next bucket in turn.
void TimeWaits::add_bucket() {
  const std::uint32_t old = static_cast<std::uint32_t>(heads_.size()) - base_;
  heads_.push_back(kNone);
  if (heads_.size() == 2 * std::size_t{base_}) base_ *= 2;
  std::uint32_t index = std::exchange(heads_[old], kNone);
  while (index != kNone) {
    Slot& s = slot(index);
    std::uint32_t& head = heads_[bucket_of(hash(tuple(index)))];
    const std::uint32_t next = std::exchange(s.chain, head);
    head = index;
    index = next;
  }
}

void TimeWaits::enqueue(std::uint32_t index, Instant ends_at) noexcept {
  assert(newest_ == kNone || ends_at >= newest_end_);
  Slot& s = slot(index);
  s.end_ms = static_cast<std::uint32_t>(milliseconds(ends_at));
  s.later = kNone;
  s.earlier = newest_;
  (newest_ == kNone ? oldest_ : slot(newest_).later) = index;
  newest_ = index;
  newest_end_ = ends_at;
}

void TimeWaits::dequeue(std::uint32_t index) noexcept {
  const Slot& s = slot(index);
  (s.earlier == kNone ? oldest_ : slot(s.earlier).later) = s.later;
  (s.later == kNone ? newest_ : slot(s.later).earlier) = s.earlier;
}

}  // namespace ff
