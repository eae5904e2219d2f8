#include "tcp/cc/hystart.hpp"

#include <algorithm>

namespace ff::tcp {

std::uint32_t HyStart::acknowledged(CongestionWindow& window, const AckSample& sample) noexcept {
  if (sample.round_began) {
    last_round_min_rtt_ = current_round_min_rtt_;
    current_round_min_rtt_ = kNone;
    rtt_samples_ = 0;
    round_start_ = train_end_ = sample.now;
    if (conservative()) ++css_rounds_;
  }
  if (css_rounds_ > kCssRounds || path_is_full(window, sample)) {
    window.ssthresh = window.cwnd;
    return 0;
  }
  if (sample.rtt != Duration::zero()) take_sample(sample.rtt);
  return conservative() ? sample.arrived / kCssGrowthDivisor : sample.arrived;
}

bool HyStart::path_is_full(const CongestionWindow& window, const AckSample& sample) noexcept {
  if (sample.now - train_end_ > kTrainSpacing) return false;  // nor will it be seen in this round trip
  train_end_ = sample.now;
  // Pacing alone spreads a window over a round trip.
  const Duration enough = window.pacing_rate == 0 ? sample.min_rtt / 2 : sample.min_rtt;
  return sample.min_rtt > Duration::zero() && sample.now - round_start_ > enough &&
         window.cwnd >= kLeastSegments * window.mss;
}

// RFC 9406 §4.2
void HyStart::take_sample(Duration rtt) noexcept {
  current_round_min_rtt_ = std::min(current_round_min_rtt_, rtt);
  if (rtt_samples_ < kRttSamples) ++rtt_samples_;
  if (rtt_samples_ < kRttSamples) return;
  if (conservative()) {
    if (current_round_min_rtt_ >= css_baseline_min_rtt_) return;
    css_rounds_ = 0;  // the delay was but jitter
    css_baseline_min_rtt_ = kNone;
    return;
  }
  if (last_round_min_rtt_ == kNone) return;
  const Duration threshold = std::clamp(last_round_min_rtt_ / kMinRttDivisor, kMinRttThresh, kMaxRttThresh);
  if (current_round_min_rtt_ < last_round_min_rtt_ + threshold) return;
  css_baseline_min_rtt_ = current_round_min_rtt_;
  css_rounds_ = 1;
}

}  // namespace ff::tcp
