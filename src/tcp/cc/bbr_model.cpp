// BBR's model of the path: draft-ietf-ccwg-bbr-06 §5.5.
#include <algorithm>
#include <utility>

#include "tcp/cc/bbr.hpp"
#include "tcp/pacing.hpp"

namespace ff::tcp {

namespace {

// β = 0.7, in percent.
constexpr std::uint64_t kBeta = 70;
constexpr std::uint64_t kHeadroom = 15;
constexpr std::uint64_t kMinPipeSegments = 4;
constexpr Duration kMinRttFilterLen = std::chrono::seconds(10);
constexpr Duration kProbeRttInterval = std::chrono::seconds(5);
// Half of BBR.ExtraAckedFilterLen: the filter keeps the most of this half and of the one before.
constexpr std::uint32_t kExtraAckedRounds = 5;

std::uint64_t percent(std::uint64_t value, std::uint64_t of) noexcept { return value * of / 100; }

std::uint64_t volume(std::uint64_t rate, Duration span) noexcept {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(span).count();
  return rate * static_cast<std::uint64_t>(us) / 1'000'000;
}

// RS.delivered
std::uint64_t delivered_in_sample(const AckSample& sample) noexcept {
  return sample.newest_rtt == Duration::zero() ? 0 : sample.delivered - sample.prior_delivered;
}

}  // namespace

// ---- round trips (§5.5.1)

void Bbr::update_round(const AckSample& sample) noexcept {
  round_start_ = sample.newest_rtt != Duration::zero() && sample.prior_delivered >= next_round_delivered_;
  window_is_full_ |= sample.window_full;
  if (!round_start_) return;
  start_round();
  ++round_count_;
  ++rounds_since_probe_up_;
  window_was_full_ = std::exchange(window_is_full_, sample.window_full);
}

// ---- bandwidth (§5.5.2 to §5.5.6)

void Bbr::update_max_bw(const AckSample& sample) noexcept {
  if (sample.delivery_rate == 0) return;
  if (sample.app_limited && sample.delivery_rate < max_bw()) return;
  max_bw_filter_[0] = std::max(max_bw_filter_[0], sample.delivery_rate);
}

// A cycle without a sample leaves the one before it standing.
void Bbr::advance_max_bw_filter() noexcept {
  if (max_bw_filter_[0] == 0) return;
  max_bw_filter_[1] = max_bw_filter_[0];
  max_bw_filter_[0] = 0;
}

void Bbr::bound_bw_for_model() noexcept { bw_ = std::min(max_bw(), bw_shortterm_); }

// §5.3.1.2: three round trips that bring less than a quarter more each.
void Bbr::check_full_bw_reached(const AckSample& sample) noexcept {
  if (full_bw_now_ || !round_start_ || sample.app_limited || sample.delivery_rate == 0) return;
  if (sample.delivery_rate * 4 >= full_bw_ * 5) {
    reset_full_bw();
    full_bw_ = sample.delivery_rate;
    return;
  }
  full_bw_now_ = ++full_bw_count_ >= 3;
  full_bw_reached_ |= full_bw_now_;
}

void Bbr::reset_full_bw() noexcept {
  full_bw_ = 0;
  full_bw_count_ = 0;
  full_bw_now_ = false;
}

// ---- round-trip time (§5.3.4.3)

void Bbr::update_min_rtt(const AckSample& sample) noexcept {
  const Duration rtt = sample.newest_rtt;
  probe_rtt_expired_ = sample.now > probe_rtt_min_stamp_ + kProbeRttInterval;
  if (rtt != Duration::zero() && (rtt < probe_rtt_min_delay_ || probe_rtt_expired_)) {
    probe_rtt_min_delay_ = rtt;
    probe_rtt_min_stamp_ = sample.now;
  }
  const bool min_rtt_expired = sample.now > min_rtt_stamp_ + kMinRttFilterLen;
  if (probe_rtt_min_delay_ < min_rtt_ || min_rtt_expired) {
    min_rtt_ = probe_rtt_min_delay_;
    min_rtt_stamp_ = probe_rtt_min_stamp_;
  }
}

// ---- aggregation (§5.5.9)

void Bbr::update_ack_aggregation(const CongestionWindow& window, const AckSample& sample) noexcept {
  std::uint64_t expected = volume(bw_, sample.now - extra_acked_interval_start_);
  if (extra_acked_delivered_ <= expected) {
    extra_acked_delivered_ = 0;
    extra_acked_interval_start_ = sample.now;
    expected = 0;
  }
  extra_acked_delivered_ += sample.arrived;
  const std::uint64_t extra = std::min<std::uint64_t>(extra_acked_delivered_ - expected, window.cwnd);
  if (round_start_ && ++extra_acked_rounds_ >= (full_bw_reached_ ? kExtraAckedRounds : 1)) {
    extra_acked_rounds_ = 0;
    extra_acked_filter_[1] = std::exchange(extra_acked_filter_[0], 0);
  }
  extra_acked_filter_[0] = std::max(extra_acked_filter_[0], extra);
}

std::uint64_t Bbr::extra_acked() const noexcept { return std::max(extra_acked_filter_[0], extra_acked_filter_[1]); }

// ---- losses (§5.5.10)

void Bbr::update_latest_delivery_signals(const AckSample& sample) noexcept {
  loss_round_start_ = false;
  bw_latest_ = std::max(bw_latest_, sample.delivery_rate);
  inflight_latest_ = std::max(inflight_latest_, delivered_in_sample(sample));
  if (sample.newest_rtt == Duration::zero() || sample.prior_delivered < loss_round_delivered_) return;
  loss_round_delivered_ = delivered_;
  loss_round_start_ = true;
}

void Bbr::advance_latest_delivery_signals(const AckSample& sample) noexcept {
  if (!loss_round_start_) return;
  bw_latest_ = sample.delivery_rate;
  inflight_latest_ = delivered_in_sample(sample);
}

void Bbr::reset_congestion_signals() noexcept {
  is_loss_in_round_ = false;
  bw_latest_ = 0;
  inflight_latest_ = 0;
}

void Bbr::update_congestion_signals(const CongestionWindow& window, const AckSample& sample) noexcept {
  update_round(sample);
  update_max_bw(sample);
  if (!loss_round_start_) return;
  adapt_lower_bounds(window);
  is_loss_in_round_ = false;
}

// Who does not probe slows down, once in a round trip, towards what has been delivered of late.
void Bbr::adapt_lower_bounds(const CongestionWindow& window) noexcept {
  if (is_probing_bw() || !is_loss_in_round_) return;
  if (bw_shortterm_ == kInfinity) bw_shortterm_ = max_bw();
  if (inflight_shortterm_ == kInfinity) inflight_shortterm_ = window.cwnd;
  bw_shortterm_ = std::max(bw_latest_, percent(bw_shortterm_, kBeta));
  inflight_shortterm_ = std::max(inflight_latest_, percent(inflight_shortterm_, kBeta));
}

void Bbr::reset_short_term_model() noexcept { bw_shortterm_ = inflight_shortterm_ = kInfinity; }

void Bbr::note_loss(const CongestionWindow& window) noexcept {
  if (!is_loss_in_round_) {
    loss_round_delivered_ = delivered_;
    save_state_upon_loss(window);
  }
  is_loss_in_round_ = true;
}

void Bbr::save_state_upon_loss(const CongestionWindow& window) noexcept {
  save_cwnd(window);
  undo_state_.reset();
  undo_bw_shortterm_ = bw_shortterm_;
  undo_inflight_shortterm_ = inflight_shortterm_;
  undo_inflight_longterm_ = inflight_longterm_;
}

// ---- volumes (§5.6.4.2)

std::uint64_t Bbr::bdp(std::uint64_t bw) const noexcept {
  return min_rtt_ == Duration::max() ? 0 : volume(bw, min_rtt_);
}

std::uint64_t Bbr::bdp_multiple(std::uint64_t bw, std::uint32_t gain) const noexcept {
  return min_rtt_ == Duration::max() ? initial_cwnd_ : percent(bdp(bw), gain);
}

// Three quanta: one being sent, one being cut, one being put together by the receiver.
std::uint64_t Bbr::quantization_budget(const CongestionWindow& window, std::uint64_t inflight) const noexcept {
  const std::uint64_t offload_budget = std::uint64_t{3} * Pacer::quantum(window.pacing_rate, window.mss);
  inflight = std::max({inflight, offload_budget, kMinPipeSegments * window.mss});
  return state_ == State::ProbeBwUp ? inflight + 2 * window.mss : inflight;
}

std::uint64_t Bbr::inflight(const CongestionWindow& window, std::uint64_t bw) const noexcept {
  return quantization_budget(window, bdp_multiple(bw, 100));
}

std::uint64_t Bbr::inflight_with_headroom(const CongestionWindow& window) const noexcept {
  if (inflight_longterm_ == kInfinity) return kInfinity;
  const std::uint64_t headroom = std::max<std::uint64_t>(window.mss, percent(inflight_longterm_, kHeadroom));
  const std::uint64_t rest = inflight_longterm_ > headroom ? inflight_longterm_ - headroom : 0;
  return std::max(rest, kMinPipeSegments * window.mss);
}

std::uint64_t Bbr::target_inflight(const CongestionWindow& window) const noexcept {
  return std::min<std::uint64_t>(bdp(bw_), window.cwnd);
}

}  // namespace ff::tcp
