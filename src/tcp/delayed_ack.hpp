// When to acknowledge (RFC 9293 §3.8.6.3), with Linux's quick-ACK mode and adaptive delay.
#pragma once

#include <algorithm>
#include <cstdint>

#include "firstflight/time.hpp"

namespace ff::tcp {

class DelayedAck {
 public:
  static constexpr Duration kMinDelay = std::chrono::milliseconds(40);  // Linux's TCP_ATO_MIN
  static constexpr Duration kTick = std::chrono::milliseconds(1);
  static constexpr Duration kMaxDelay =
      std::chrono::milliseconds(200);             // Linux's TCP_DELACK_MAX; RFC 9293 allows 500 ms
  static constexpr std::uint32_t kMaxQuick = 16;  // Linux's TCP_MAX_QUICKACKS

  // Data came in. `window`: ours; `mss`: the size of the segments that come.
  void data_received(Instant now, Duration rto, std::uint32_t window, std::uint32_t mss) noexcept {
    if (delay_ == Duration::zero()) {
      // The peer may be in slow start: acknowledge each of its first segments at once.
      be_quick(window, mss);
      delay_ = kMinDelay;
    } else {
      const Duration gap = now - last_data_;
      if (gap <= kMinDelay / 2) {
        delay_ = delay_ / 2 + kMinDelay / 2;
      } else if (gap < delay_) {
        delay_ = std::min(delay_ / 2 + gap, rto);
      } else if (gap > rto) {
        be_quick(window, mss);  // a pause so long that the peer may be in slow start again
      }
    }
    last_data_ = now;
  }

  // Data went out: an answer to what came shortly before makes this an interactive connection, whose acknowledgements
  // ride on data.
  void data_sent(Instant now) noexcept {
    if (delay_ > Duration::zero() && now - last_data_ < delay_) interactive_ = true;
  }

  // What acknowledges the SYN-ACK is about to be written.
  void await_write(Instant now, std::uint32_t window, std::uint32_t mss) noexcept {
    be_quick(window, mss);
    delay_ = kMinDelay;
    last_data_ = now;
  }

  // An acknowledgement went out for `segments` segments.
  void ack_sent(std::uint32_t segments) noexcept {
    quick_ -= static_cast<std::uint8_t>(std::min<std::uint32_t>(quick_, std::max(segments, 1u)));
  }

  // Something went wrong (loss, reordering): acknowledge at once for a while.
  void be_quick(std::uint32_t window, std::uint32_t mss, std::uint32_t at_most = kMaxQuick) noexcept {
    const std::uint32_t segments = std::max(window / std::max(2 * mss, 1u), 2u);
    quick_ = static_cast<std::uint8_t>(std::max<std::uint32_t>(quick_, std::min(segments, at_most)));
  }
  // What came now is likely to be answered soon.
  void expect_answer() noexcept { interactive_ = true; }
  void acknowledge_quickly() noexcept { quick_ = kMaxQuick; }
  void leave_interactive() noexcept { interactive_ = false; }

  // Linux's ato; zero: no data came yet.
  [[nodiscard]] Duration ato() const noexcept { return delay_; }
  [[nodiscard]] bool quick() const noexcept { return quick_ > 0 && !interactive_; }

  // How long the next acknowledgement may wait.
  [[nodiscard]] Duration delay(Duration srtt) const noexcept {
    // As Linux: a FIN alone waits no longer than it takes to close in answer.
    if (delay_ == Duration::zero()) return kTick;
    Duration longest = interactive_ ? kMaxDelay : std::chrono::milliseconds(500);
    if (srtt > Duration::zero()) longest = std::min(longest, std::max(srtt, kMinDelay));
    return std::min({delay_, longest, kMaxDelay});
  }

 private:
  Instant last_data_{};
  Duration delay_{};  // zero: no data came yet
  std::uint8_t quick_ = 0;
  bool interactive_ = false;
};

}  // namespace ff::tcp
