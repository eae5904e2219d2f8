// Pacing: what goes out is spread over time, so that no queue has to take a window at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "firstflight/time.hpp"

namespace ff::tcp {

class Pacer {
 public:
  [[nodiscard]] bool may_send(Instant now) const noexcept { return now >= next_; }
  [[nodiscard]] Instant next() const noexcept { return next_; }

  // `bytes` go out, at `rate` bytes a second. As Linux: who was let go too late, by a timer say, makes up for it, by
  // half of what this takes at most.
  void sent(Instant now, std::uint32_t bytes, std::uint64_t rate) noexcept {
    if (rate == 0) return;
    const Duration takes = std::chrono::nanoseconds(std::uint64_t{bytes} * 1'000'000'000 / rate);
    const Duration late = next_ == Instant{} ? Duration::zero() : std::max(now - next_, Duration::zero());
    next_ = now + takes - std::min(takes / 2, late);
  }

  // What may go out at once: a millisecond's worth, in whole segments (draft-ietf-ccwg-bbr-06 §5.6.3).
  [[nodiscard]] static std::uint32_t quantum(std::uint64_t rate, std::uint32_t mss) noexcept {
    constexpr std::uint64_t kMost = 65536;
    return static_cast<std::uint32_t>(std::max(std::min(rate / 1000, kMost) / mss, std::uint64_t{2})) * mss;
  }

 private:
  Instant next_{};
};

}  // namespace ff::tcp
