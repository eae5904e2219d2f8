// A hierarchical timing wheel: arming, re-arming and cancelling cost the same whatever the number of timers.
#pragma once

#include <array>
#include <cstdint>

#include "firstflight/time.hpp"

namespace ff {

// Lives inside what it belongs to; `owner_kind` and `owner_index` tell the stack what that is.
struct TimerNode {
  TimerNode* previous = nullptr;
  TimerNode* next = nullptr;
  Instant deadline = kNever;
  std::uint8_t level = 0;
  std::uint8_t slot = 0;
  std::uint8_t owner_kind = 0;
  std::uint32_t owner_index = 0;

  [[nodiscard]] bool armed() const noexcept { return next != nullptr; }
};

class TimerWheel {
 public:
  TimerWheel() noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms or re-arms; kNever cancels.
  void arm(TimerNode& node, Instant deadline) noexcept;
  void cancel(TimerNode& node) noexcept;

  // Takes out one node whose deadline is at or before `now`; null when there is none left. Call until null.
  TimerNode* expire(Instant now) noexcept;

  // No timer is due before this. May be earlier than the first deadline (then nothing expires, and asking again is
  // closer); exact within the next 65 µs.
  [[nodiscard]] Instant next_deadline() const noexcept;

 private:
  static constexpr int kTickShift = 10;  // a tick is 1024 ns: pacing needs microseconds
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  static constexpr int kLevels = 9;  // 64^9 ticks: all of a positive Instant

  static std::uint64_t tick_of(Instant t) noexcept {
    return static_cast<std::uint64_t>(t.time_since_epoch().count()) >> kTickShift;
  }
  // The first slot in time order that holds a node; level -1 when the wheel is empty.
  struct Position {
    int level;
    int slot;
    std::uint64_t start;  // first tick of the slot
  };
  [[nodiscard]] Position first_occupied() const noexcept;
  void insert(TimerNode& node) noexcept;
  void unlink(TimerNode& node) noexcept;

  std::uint64_t now_ = 0;  // tick up to which the wheel has turned
  std::array<std::uint64_t, kLevels> occupied_{};
  std::array<std::array<TimerNode, kSlots>, kLevels> heads_;  // each a circular list's head
};

}  // namespace ff
