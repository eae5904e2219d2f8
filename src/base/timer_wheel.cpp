#include "base/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace ff {

TimerWheel::TimerWheel() noexcept {
  for (auto& level : heads_)
    for (TimerNode& head : level) head.previous = head.next = &head;
}

void TimerWheel::arm(TimerNode& node, Instant deadline) noexcept {
  if (node.armed()) unlink(node);
  node.deadline = deadline;
  if (deadline != kNever) insert(node);
}

void TimerWheel::cancel(TimerNode& node) noexcept {
  if (node.armed()) unlink(node);
  node.deadline = kNever;
}

// The level is that of the highest digit (of base 64) in which the deadline differs from now: everything on lower
// levels is then earlier than anything on higher ones, and the first occupied level holds the first deadline.
void TimerWheel::insert(TimerNode& node) noexcept {
  const std::uint64_t tick = std::max(tick_of(node.deadline), now_);
  const int highest_bit = 63 - std::countl_zero((tick ^ now_) | (kSlots - 1));
  const int level = highest_bit / kSlotBits;
  assert(level < kLevels);
  const int slot = static_cast<int>(tick >> (level * kSlotBits)) & (kSlots - 1);
  node.level = static_cast<std::uint8_t>(level);
  node.slot = static_cast<std::uint8_t>(slot);
  TimerNode& head = heads_[level][slot];
  node.previous = head.previous;
  node.next = &head;
  head.previous->next = &node;
  head.previous = &node;
  occupied_[level] |= std::uint64_t{1} << slot;
}

void TimerWheel::unlink(TimerNode& node) noexcept {
  node.previous->next = node.next;
  node.next->previous = node.previous;
  TimerNode& head = heads_[node.level][node.slot];
  if (head.next == &head) occupied_[node.level] &= ~(std::uint64_t{1} << node.slot);
  node.previous = node.next = nullptr;
}

TimerWheel::Position TimerWheel::first_occupied() const noexcept {
  for (int level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const int slot = std::countr_zero(occupied_[level]);
    const int shift = level * kSlotBits;
    const std::uint64_t above = shift + kSlotBits >= 64 ? 0 : now_ >> (shift + kSlotBits) << (shift + kSlotBits);
    return {level, slot, above | (static_cast<std::uint64_t>(slot) << shift)};
  }
  return {-1, 0, 0};
}

TimerNode* TimerWheel::expire(Instant now) noexcept {
  const std::uint64_t target = tick_of(now);
  for (;;) {
    const Position first = first_occupied();
    if (first.level < 0 || first.start > target) {
      // Only a wheel without anything at or before `target` may turn on to it.
      now_ = std::max(now_, target);
      return nullptr;
    }
    now_ = std::max(now_, first.start);
    TimerNode& head = heads_[first.level][first.slot];
    if (first.level == 0) {
      for (TimerNode* node = head.next; node != &head; node = node->next) {
        if (node->deadline > now) continue;
        unlink(*node);
        return node;
      }
      return nullptr;  // what is left of this tick is not due yet
    }
    // A slot of a higher level begins: its nodes move down.
    while (head.next != &head) {
      TimerNode& node = *head.next;
      unlink(node);
      insert(node);
    }
  }
}

Instant TimerWheel::next_deadline() const noexcept {
  const Position first = first_occupied();
  if (first.level < 0) return kNever;
  if (first.level > 0) return Instant(Duration(static_cast<std::int64_t>(first.start << kTickShift)));
  const TimerNode& head = heads_[0][first.slot];
  Instant earliest = kNever;
  for (const TimerNode* node = head.next; node != &head; node = node->next)
    earliest = std::min(earliest, node->deadline);
  return earliest;
}

}  // namespace ff
