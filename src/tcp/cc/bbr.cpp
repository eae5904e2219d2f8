// BBR's states and what they do: draft-ietf-ccwg-bbr-06 §5.2 to §5.4 and §5.6.
#include "tcp/cc/bbr.hpp"

#include <algorithm>
#include <utility>

#include "base/random.hpp"

namespace ff::tcp {

namespace {

// Gains, and shares, in percent.
constexpr std::uint32_t kStartupPacingGain = 277;
constexpr std::uint32_t kDrainPacingGain = 50;
constexpr std::uint32_t kDownPacingGain = 90;
constexpr std::uint32_t kUpPacingGain = 125;
constexpr std::uint32_t kDefaultCwndGain = 200;
constexpr std::uint32_t kUpCwndGain = 225;
constexpr std::uint32_t kProbeRttCwndGain = 50;
constexpr std::uint64_t kPacingMargin = 1;
constexpr std::uint64_t kLossThresh = 2;
constexpr std::uint64_t kManifestLoss = 10;
constexpr std::uint64_t kManifestLossInStartup = 20;  // which sends too much by far more, when it does
constexpr std::uint64_t kBeta = 70;
// A queue is taken to stand when the last round trip was longer than the shortest by more than this part of it. The
// margin of pacing serves to drain a shorter one, too.
constexpr Duration::rep kShareOfAQueue = 4;
constexpr Duration::rep kShareOfAShortQueue = 16;

constexpr std::uint32_t kStartupFullLossCount = 6;
constexpr std::uint32_t kDrainRounds = 3;
constexpr std::uint64_t kRenoRounds = 63;
constexpr std::uint64_t kMinPipeSegments = 4;
constexpr Duration kProbeRttDuration = std::chrono::milliseconds(200);
constexpr Duration kShortestProbeWait = std::chrono::seconds(2);
constexpr std::uint64_t kProbeWaitSpreadUs = 1'000'000;
constexpr Duration kNominalRtt = std::chrono::milliseconds(1);

// §5.5.10.2: of what was lost now, as much went well as keeps the losses at the threshold.
std::uint64_t inflight_at_loss(const LossSample& sample) noexcept {
  const std::uint64_t size = sample.bytes;
  const std::uint64_t before = sample.tx_in_flight > size ? sample.tx_in_flight - size : 0;
  const std::uint64_t lost_before = sample.lost > size ? sample.lost - size : 0;
  const std::uint64_t allowed = kLossThresh * before;
  const std::uint64_t prefix = allowed > 100 * lost_before ? (allowed - 100 * lost_before) / (100 - kLossThresh) : 0;
  return before + prefix;
}

}  // namespace

// ---- events (§5.2)

void Bbr::started(CongestionWindow& window, const CongestionStart& start) {
  chance_ = start.seed;
  initial_cwnd_ = window.cwnd;
  has_seen_rtt_ = start.srtt != Duration::zero();
  if (has_seen_rtt_) min_rtt_ = start.srtt;
  min_rtt_stamp_ = probe_rtt_min_stamp_ = extra_acked_interval_start_ = start.now;
  init_pacing_rate(window, start.srtt);
  state_ = State::Startup;
}

void Bbr::acknowledged(CongestionWindow& window, const AckSample& sample) {
  delivered_ = sample.delivered;
  if (sample.newest_rtt != Duration::zero()) latest_rtt_ = sample.newest_rtt;
  if (!has_seen_rtt_ && sample.srtt != Duration::zero()) {
    has_seen_rtt_ = true;
    init_pacing_rate(window, sample.srtt);
  }
  update_latest_delivery_signals(sample);
  update_congestion_signals(window, sample);
  update_ack_aggregation(window, sample);
  check_full_bw_reached(sample);
  check_startup_done(sample);
  check_drain_done(window, sample);
  update_probe_bw_cycle_phase(window, sample);
  update_min_rtt(sample);
  check_probe_rtt(window, sample);
  advance_latest_delivery_signals(sample);
  bound_bw_for_model();
  set_pacing_rate(window, pacing_gain());
  set_cwnd(window, sample);
}

void Bbr::lost(CongestionWindow& window, const LossSample& sample) {
  delivered_ = sample.delivered;
  // What is heard of after a probe, or while a queue drains, was not sent as the path delivers.
  const bool feedback = state_ == State::Drain || ack_phase_ == AckPhase::ProbeStopping;
  if (!feedback && is_congestion(sample.lost, sample.tx_in_flight)) note_loss(window);
  ++loss_events_in_round_;
  if (conserving_) window.cwnd = std::max(window.cwnd - std::min(window.cwnd, sample.bytes), window.mss);
  if (!is_bw_probe_sample_ || sample.tx_in_flight == 0) return;
  if (is_inflight_too_high(sample.lost, sample.tx_in_flight, sample.selective))
    handle_inflight_too_high(window, sample.now, inflight_at_loss(sample), sample.app_limited);
}

// §5.6.4.4. ssthresh means nothing here.
std::uint32_t Bbr::ssthresh(const CongestionWindow& window, const CongestionEvent& event) {
  if (event.kind == Congestion::Mark) {
    note_loss(window);
    if (is_bw_probe_sample_) handle_inflight_too_high(window, event.now, event.in_flight, false);
  } else {
    save_state_upon_loss(window);
    recovering_ = true;
    conserving_ = event.kind == Congestion::Loss && !full_bw_reached_ && queue_stands();
  }
  return window.ssthresh;
}

void Bbr::recovered(CongestionWindow& window) {
  if (!recovering_) return;
  recovering_ = conserving_ = false;
  window.cwnd = std::max(window.cwnd, prior_cwnd_);
}

// §5.5.11.2
void Bbr::undone(CongestionWindow& window) {
  recovered(window);
  is_loss_in_round_ = false;
  reset_full_bw();
  bw_shortterm_ = std::max(bw_shortterm_, undo_bw_shortterm_);
  inflight_shortterm_ = std::max(inflight_shortterm_, undo_inflight_shortterm_);
  inflight_longterm_ = std::max(inflight_longterm_, undo_inflight_longterm_);
  const std::optional<State> back_to = std::exchange(undo_state_, std::nullopt);
  if (!back_to || *back_to == state_) return;
  if (*back_to == State::Startup) full_bw_reached_ = false;
  if (state_ == State::ProbeRtt) return;
  if (*back_to == State::Startup) {
    state_ = State::Startup;
  } else {
    start_probe_bw_refill();
  }
}

// §5.4.1
void Bbr::restarted(CongestionWindow& window, Instant now) {
  idle_restart_ = true;
  extra_acked_interval_start_ = now;
  if (is_in_a_probe_bw_state()) {
    set_pacing_rate(window, 100);
  } else if (state_ == State::ProbeRtt) {
    check_probe_rtt_done(window, now);
  }
}

// ---- losses

bool Bbr::queue_stands() const noexcept {
  return latest_rtt_ - min_rtt_ > min_rtt_ / kShareOfAQueue + std::chrono::milliseconds(1);
}

// Where packets are lost that never met a queue, sending less would not help. A queue too short to be seen loses many.
bool Bbr::is_congestion(std::uint64_t lost, std::uint64_t tx_in_flight) const noexcept {
  const std::uint64_t manifest = state_ == State::Startup ? kManifestLossInStartup : kManifestLoss;
  return queue_stands() || lost * 100 > tx_in_flight * manifest;
}

// §5.5.10.2
bool Bbr::is_inflight_too_high(std::uint64_t lost, std::uint64_t tx_in_flight, bool selective) const noexcept {
  if (lost > 0 && !selective) return true;
  return lost * 100 > tx_in_flight * kLossThresh && is_congestion(lost, tx_in_flight);
}

// ---- Startup and Drain (§5.3.1, §5.3.2)

void Bbr::check_startup_done(const AckSample& sample) noexcept {
  check_startup_high_loss(sample);
  if (state_ != State::Startup || !full_bw_reached_) return;
  state_ = State::Drain;
  drain_start_round_ = round_count_;
}

// §5.3.1.3
void Bbr::check_startup_high_loss(const AckSample& sample) noexcept {
  if (!loss_round_start_) return;
  const std::uint32_t events = std::exchange(loss_events_in_round_, 0);
  if (state_ != State::Startup || full_bw_reached_ || !recovering_) return;
  const std::uint32_t enough = sample.selective ? kStartupFullLossCount : 1;
  if (events < enough || !is_inflight_too_high(sample.lost, sample.tx_in_flight, sample.selective)) return;
  undo_state_ = State::Startup;
  full_bw_reached_ = true;
  inflight_longterm_ = std::max(bdp(bw_), inflight_latest_);
}

void Bbr::check_drain_done(const CongestionWindow& window, const AckSample& sample) noexcept {
  if (state_ != State::Drain) return;
  if (sample.in_flight <= inflight(window, bw_) || round_count_ > drain_start_round_ + kDrainRounds)
    start_probe_bw_down(sample.now);
}

// ---- ProbeBW (§5.3.3)

bool Bbr::is_in_a_probe_bw_state() const noexcept {
  return state_ == State::ProbeBwDown || state_ == State::ProbeBwCruise || state_ == State::ProbeBwRefill ||
         state_ == State::ProbeBwUp;
}

bool Bbr::is_probing_bw() const noexcept {
  return state_ == State::Startup || state_ == State::ProbeBwRefill || state_ == State::ProbeBwUp;
}

void Bbr::start_probe_bw_down(Instant now) noexcept {
  reset_congestion_signals();
  probe_up_acked_per_inc_ = kInfinity;
  const std::uint64_t random = detail::mix64(chance_ += detail::kGoldenGamma);
  rounds_since_probe_up_ = static_cast<std::uint32_t>(random >> 63);
  bw_probe_wait_ = kShortestProbeWait + std::chrono::microseconds((random & UINT32_MAX) * kProbeWaitSpreadUs >> 32);
  cycle_stamp_ = now;
  ack_phase_ = AckPhase::ProbeStopping;
  start_round();
  state_ = State::ProbeBwDown;
}

void Bbr::start_probe_bw_refill() noexcept {
  reset_short_term_model();
  bw_probe_up_rounds_ = 0;
  bw_probe_up_acked_ = 0;
  prev_probe_precautionary_ = false;
  ack_phase_ = AckPhase::Refilling;
  start_round();
  state_ = State::ProbeBwRefill;
}

void Bbr::start_probe_bw_up(const CongestionWindow& window, const AckSample& sample) noexcept {
  ack_phase_ = AckPhase::ProbeStarting;
  start_round();
  reset_full_bw();
  full_bw_ = sample.delivery_rate;
  state_ = State::ProbeBwUp;
  raise_inflight_longterm_slope(window);
}

void Bbr::update_probe_bw_cycle_phase(const CongestionWindow& window, const AckSample& sample) noexcept {
  if (!full_bw_reached_ || adapt_long_term_model(window, sample)) return;
  switch (state_) {
    case State::ProbeBwDown:
    case State::ProbeBwCruise:
      if (is_time_to_probe_bw(window, sample.now)) return start_probe_bw_refill();
      if (state_ == State::ProbeBwDown && is_time_to_cruise(window, sample)) state_ = State::ProbeBwCruise;
      return;
    case State::ProbeBwRefill:
      if (!round_start_) return;
      is_bw_probe_sample_ = true;
      return start_probe_bw_up(window, sample);
    case State::ProbeBwUp:
      if (!is_time_to_go_down(window, sample)) return;
      prev_probe_too_high_ = false;
      return start_probe_bw_down(sample.now);
    default:
      return;
  }
}

// True when it has decided which state comes next.
bool Bbr::adapt_long_term_model(const CongestionWindow& window, const AckSample& sample) noexcept {
  if (ack_phase_ == AckPhase::ProbeStarting && round_start_) ack_phase_ = AckPhase::ProbeFeedback;
  if (ack_phase_ == AckPhase::ProbeStopping && round_start_) {
    is_bw_probe_sample_ = false;
    ack_phase_ = AckPhase::Init;
    if (is_in_a_probe_bw_state() && !sample.app_limited) advance_max_bw_filter();
    if (is_in_a_probe_bw_state() && prev_probe_precautionary_ && !prev_probe_too_high_) {
      start_probe_bw_refill();
      return true;
    }
  }
  if (is_inflight_too_high(sample.lost, sample.tx_in_flight, sample.selective)) return false;
  if (inflight_longterm_ == kInfinity) return false;
  inflight_longterm_ = std::max<std::uint64_t>(inflight_longterm_, sample.tx_in_flight);
  if (state_ == State::ProbeBwUp) probe_inflight_longterm_upward(window, sample);
  return false;
}

// §5.3.3.8: after two to three seconds, or as often as Reno would lose something.
bool Bbr::is_time_to_probe_bw(const CongestionWindow& window, Instant now) const noexcept {
  if (now > cycle_stamp_ + bw_probe_wait_) return true;
  return rounds_since_probe_up_ >= std::min(target_inflight(window) / window.mss, kRenoRounds);
}

bool Bbr::is_time_to_cruise(const CongestionWindow& window, const AckSample& sample) const noexcept {
  return sample.in_flight <= inflight_with_headroom(window) && sample.in_flight <= inflight(window, max_bw());
}

bool Bbr::is_time_to_go_down(const CongestionWindow& window, const AckSample& sample) noexcept {
  if (prev_probe_too_high_ && sample.in_flight >= inflight_longterm_) {
    prev_probe_precautionary_ = true;
    return true;
  }
  if (window_has_been_full() && window.cwnd >= inflight_longterm_) {
    reset_full_bw();  // the bound keeps the rate from growing, not the path
    full_bw_ = sample.delivery_rate;
    return false;
  }
  return full_bw_now_;
}

void Bbr::raise_inflight_longterm_slope(const CongestionWindow& window) noexcept {
  const std::uint32_t growth_this_round = 1u << bw_probe_up_rounds_;
  bw_probe_up_rounds_ = std::min(bw_probe_up_rounds_ + 1, 30u);
  probe_up_acked_per_inc_ = std::max(window.cwnd / growth_this_round, window.mss);
}

void Bbr::probe_inflight_longterm_upward(const CongestionWindow& window, const AckSample& sample) noexcept {
  if (!window_has_been_full() || window.cwnd < inflight_longterm_) return;
  bw_probe_up_acked_ += sample.arrived;
  const std::uint64_t steps = bw_probe_up_acked_ / probe_up_acked_per_inc_;
  bw_probe_up_acked_ -= steps * probe_up_acked_per_inc_;
  inflight_longterm_ += steps * window.mss;
  if (round_start_) raise_inflight_longterm_slope(window);
}

// §5.5.10.2
void Bbr::handle_inflight_too_high(const CongestionWindow& window, Instant now, std::uint64_t tx_in_flight,
                                   bool app_limited) noexcept {
  prev_probe_too_high_ = true;
  is_bw_probe_sample_ = false;  // once for each probe
  if (!app_limited) inflight_longterm_ = std::max(tx_in_flight, target_inflight(window) * kBeta / 100);
  if (state_ != State::ProbeBwUp) return;
  undo_state_ = State::ProbeBwUp;
  start_probe_bw_down(now);
}

// ---- ProbeRTT (§5.3.4)

void Bbr::check_probe_rtt(CongestionWindow& window, const AckSample& sample) noexcept {
  if (state_ != State::ProbeRtt && probe_rtt_expired_ && !idle_restart_) {
    save_cwnd(window);
    state_ = State::ProbeRtt;
    window.held_down = true;
    probe_rtt_done_stamp_.reset();
    ack_phase_ = AckPhase::ProbeStopping;
    start_round();
  }
  if (state_ == State::ProbeRtt) handle_probe_rtt(window, sample);
  if (sample.newest_rtt != Duration::zero()) idle_restart_ = false;
}

void Bbr::handle_probe_rtt(CongestionWindow& window, const AckSample& sample) noexcept {
  if (!probe_rtt_done_stamp_) {
    if (sample.in_flight > probe_rtt_cwnd(window)) return;
    probe_rtt_done_stamp_ = sample.now + kProbeRttDuration;
    probe_rtt_round_done_ = false;
    return start_round();
  }
  probe_rtt_round_done_ |= round_start_;
  if (probe_rtt_round_done_) check_probe_rtt_done(window, sample.now);
}

void Bbr::check_probe_rtt_done(CongestionWindow& window, Instant now) noexcept {
  if (!probe_rtt_done_stamp_ || now <= *probe_rtt_done_stamp_) return;
  probe_rtt_min_stamp_ = now;
  window.held_down = false;
  window.cwnd = std::max(window.cwnd, prior_cwnd_);
  reset_short_term_model();
  if (!full_bw_reached_) {
    state_ = State::Startup;
    return;
  }
  start_probe_bw_down(now);
  state_ = State::ProbeBwCruise;
}

// ---- how much to send (§5.6)

std::uint32_t Bbr::pacing_gain() const noexcept {
  switch (state_) {
    case State::Startup:
      return kStartupPacingGain;
    case State::Drain:
      return kDrainPacingGain;
    case State::ProbeBwDown:
      return kDownPacingGain;
    case State::ProbeBwUp:
      return kUpPacingGain;
    default:
      return 100;
  }
}

std::uint32_t Bbr::cwnd_gain() const noexcept {
  if (state_ == State::ProbeBwUp) return kUpCwndGain;
  return state_ == State::ProbeRtt ? kProbeRttCwndGain : kDefaultCwndGain;
}

// §5.6.2
void Bbr::init_pacing_rate(CongestionWindow& window, Duration srtt) noexcept {
  const auto rtt = std::chrono::duration_cast<std::chrono::microseconds>(srtt == Duration::zero() ? kNominalRtt : srtt);
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(rtt.count(), 1));
  window.pacing_rate = std::uint64_t{initial_cwnd_} * kStartupPacingGain * 10'000 / us;
}

// At least a segment a second: a rate of zero would mean none. The margin lets a queue drain; where there is none it
// would leave so much of the path idle.
void Bbr::set_pacing_rate(CongestionWindow& window, std::uint32_t gain) const noexcept {
  const std::uint64_t margin = latest_rtt_ - min_rtt_ > min_rtt_ / kShareOfAShortQueue ? kPacingMargin : 0;
  const std::uint64_t rate = std::max<std::uint64_t>(bw_ * gain / 100 * (100 - margin) / 100, window.mss);
  if (full_bw_reached_ || rate > window.pacing_rate) window.pacing_rate = rate;
}

void Bbr::save_cwnd(const CongestionWindow& window) noexcept {
  const bool modulated = recovering_ || state_ == State::ProbeRtt;
  prior_cwnd_ = modulated ? std::max(prior_cwnd_, window.cwnd) : window.cwnd;
}

std::uint64_t Bbr::probe_rtt_cwnd(const CongestionWindow& window) const noexcept {
  return std::max(bdp_multiple(bw_, kProbeRttCwndGain), kMinPipeSegments * window.mss);
}

// §5.6.4.6, §5.6.4.7
void Bbr::set_cwnd(CongestionWindow& window, const AckSample& sample) noexcept {
  const std::uint64_t least = kMinPipeSegments * window.mss;
  const std::uint64_t max_inflight = quantization_budget(window, bdp_multiple(bw_, cwnd_gain()) + extra_acked());
  std::uint64_t cwnd = window.cwnd;
  if (is_in_a_probe_bw_state()) conserving_ = false;
  if (conserving_) {
    // What Startup has overfilled takes no more than it gives, or what is sent again would be lost again.
    cwnd = sample.in_flight + sample.arrived;
  } else if (full_bw_reached_) {
    cwnd = std::min(cwnd + sample.arrived, max_inflight);
  } else if (cwnd < max_inflight || delivered_ < initial_cwnd_) {
    cwnd += sample.arrived;
  }
  cwnd = std::max(cwnd, least);
  if (state_ == State::ProbeRtt) cwnd = std::min(cwnd, probe_rtt_cwnd(window));

  std::uint64_t cap = kInfinity;
  if (state_ == State::ProbeRtt || state_ == State::ProbeBwCruise) {
    cap = inflight_with_headroom(window);
  } else if (is_in_a_probe_bw_state()) {
    cap = inflight_longterm_;
  }
  cap = std::max(std::min(cap, inflight_shortterm_), least);
  window.cwnd = static_cast<std::uint32_t>(std::min<std::uint64_t>({cwnd, cap, CongestionWindow::kLargest}));
}

}  // namespace ff::tcp
