// Calls for many that all wait equally long, most of them in vain: one timer serves them all, and whoever need not be
// called any more costs none.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "firstflight/time.hpp"

namespace ff::relay {

class Patience {
 public:
  using Schedule = std::function<void(Instant due, std::function<void(Instant)> call)>;
  using Waits = std::function<bool(std::uint64_t id)>;
  using Call = std::function<void(Instant, std::uint64_t id)>;

  // Once `delay` has passed `call` is told of whoever still `waits`. `schedule` must outlive it, and make no calls
  // after it.
  Patience(const Schedule& schedule, Duration delay, Waits waits, Call call)
      : schedule_(schedule), delay_(delay), waits_(std::move(waits)), call_(std::move(call)) {}

  void add(Instant now, std::uint64_t id) {
    forget();
    queue_.push_back({now + delay_, id});
    arm();
  }

 private:
  struct Entry {
    Instant due;
    std::uint64_t id;
  };

  void forget() {
    while (!queue_.empty() && !waits_(queue_.front().id)) queue_.pop_front();
  }
  void arm() {
    if (armed_ || queue_.empty()) return;
    armed_ = true;
    schedule_(queue_.front().due, [this](Instant now) { expire(now); });
  }
  void expire(Instant now) {
    armed_ = false;
    while (!queue_.empty() && queue_.front().due <= now) {
      const std::uint64_t id = queue_.front().id;
      queue_.pop_front();
      if (waits_(id)) call_(now, id);
    }
    forget();
    arm();
  }

  const Schedule& schedule_;
  Duration delay_;
  Waits waits_;
  Call call_;
  std::deque<Entry> queue_;
  bool armed_ = false;
};

}  // namespace ff::relay
