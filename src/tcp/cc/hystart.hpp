// HyStart++ (RFC 9406): the first slow start ends when round trips become longer, because a queue grows, and not only
// when that queue has overflowed. And, as in Linux's HyStart, when the path is full: the window doubles in the round
// trip that shows it, and a queue that holds no more than the path does would have overflowed before the first round
// trip that is longer is over.
#pragma once

#include <cstdint>

#include "firstflight/congestion_control.hpp"

namespace ff::tcp {

class HyStart {
 public:
  // RFC 9406 §4.3. Its L, how many segments one acknowledgement may count for, is infinite here: receivers acknowledge
  // a super-segment at once, and with a small L those would be slow to start who are fastest to read.
  static constexpr Duration kMinRttThresh = std::chrono::milliseconds(4);
  static constexpr Duration kMaxRttThresh = std::chrono::milliseconds(16);
  static constexpr int kMinRttDivisor = 8;
  static constexpr int kRttSamples = 8;
  static constexpr std::uint32_t kCssGrowthDivisor = 4;
  static constexpr int kCssRounds = 5;
  // As Linux: acknowledgements closer than this are a train, and who has so small a window is let grow.
  static constexpr Duration kTrainSpacing = std::chrono::milliseconds(2);
  static constexpr std::uint32_t kLeastSegments = 16;

  // An acknowledgement came in slow start. How much of what arrived the window may grow by; when conservative slow
  // start is over, ssthresh is brought down to the window.
  [[nodiscard]] std::uint32_t acknowledged(CongestionWindow& window, const AckSample& sample) noexcept;
  // Round trips have become longer: slow start is conservative, until it proves that they had for another reason.
  [[nodiscard]] bool conservative() const noexcept { return css_rounds_ > 0; }

 private:
  static constexpr Duration kNone = Duration::max();

  void take_sample(Duration rtt) noexcept;
  // Acknowledgements come close behind each other for half of the round trip: its other half the window has grown by.
  [[nodiscard]] bool path_is_full(const CongestionWindow& window, const AckSample& sample) noexcept;

  Instant round_start_{};
  Instant train_end_{};
  Duration last_round_min_rtt_ = kNone;
  Duration current_round_min_rtt_ = kNone;
  Duration css_baseline_min_rtt_ = kNone;
  std::uint8_t rtt_samples_ = 0;
  std::uint8_t css_rounds_ = 0;  // begun, the one in which it was entered included; 0: standard slow start
};

}  // namespace ff::tcp
