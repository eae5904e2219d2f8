// BBR, version 3, as draft-ietf-ccwg-bbr-06 has it: a model of the path (how fast it delivers, how long an empty one
// takes, how much it holds before it loses) is kept by measuring, and what is sent follows from the model. A loss as
// such does not slow it down; losing more than 2 % of a round trip does.
//
// In four things it goes further than the draft:
// - Losses count only while a queue stands, or when they are more than 10 % (in Startup 20 %). A path that loses 3 %
//   for reasons of its own would otherwise be used to a fifth, and version 1 takes no notice of losses at all.
// - When Startup has overfilled a queue, packets are conserved until losses are repaired, as version 1 does for a round
//   trip: else what is sent again is lost again.
// - The short-term model takes no notice of losses of what was sent to probe or to drain a queue, for what arrives then
//   does not tell how fast the path delivers.
// - The pacing margin of 1 % is kept only while there is a queue that it drains.
//
// Names are the draft's, sections those of the draft. Volumes are in bytes, rates in bytes a second. What the draft
// leaves to ECN is done as for losses: a mark counts as too many of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "firstflight/congestion_control.hpp"

namespace ff::tcp {

class Bbr final : public CongestionControl {
 public:
  enum class State : std::uint8_t { Startup, Drain, ProbeBwDown, ProbeBwCruise, ProbeBwRefill, ProbeBwUp, ProbeRtt };

  [[nodiscard]] std::string_view name() const noexcept override { return "bbr"; }
  [[nodiscard]] bool steers_alone() const noexcept override { return true; }
  void started(CongestionWindow& window, const CongestionStart& start) override;
  void acknowledged(CongestionWindow& window, const AckSample& sample) override;
  void lost(CongestionWindow& window, const LossSample& sample) override;
  [[nodiscard]] std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent& event) override;
  void undone(CongestionWindow& window) override;
  void recovered(CongestionWindow& window) override;
  void restarted(CongestionWindow& window, Instant now) override;

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] std::uint64_t max_bw() const noexcept { return std::max(max_bw_filter_[0], max_bw_filter_[1]); }
  [[nodiscard]] Duration min_rtt() const noexcept { return min_rtt_; }
  [[nodiscard]] std::uint64_t inflight_longterm() const noexcept { return inflight_longterm_; }

 private:
  static constexpr std::uint64_t kInfinity = UINT64_MAX;
  enum class AckPhase : std::uint8_t { Init, Refilling, ProbeStarting, ProbeFeedback, ProbeStopping };

  // bbr_model.cpp: what the path is like (§5.5)
  void update_round(const AckSample& sample) noexcept;
  void update_latest_delivery_signals(const AckSample& sample) noexcept;
  void advance_latest_delivery_signals(const AckSample& sample) noexcept;
  void update_congestion_signals(const CongestionWindow& window, const AckSample& sample) noexcept;
  void adapt_lower_bounds(const CongestionWindow& window) noexcept;
  void update_ack_aggregation(const CongestionWindow& window, const AckSample& sample) noexcept;
  void check_full_bw_reached(const AckSample& sample) noexcept;
  void update_max_bw(const AckSample& sample) noexcept;
  void update_min_rtt(const AckSample& sample) noexcept;
  void reset_congestion_signals() noexcept;
  void reset_short_term_model() noexcept;
  void reset_full_bw() noexcept;
  void advance_max_bw_filter() noexcept;
  void note_loss(const CongestionWindow& window) noexcept;
  void save_state_upon_loss(const CongestionWindow& window) noexcept;
  void bound_bw_for_model() noexcept;
  [[nodiscard]] std::uint64_t bdp(std::uint64_t bw) const noexcept;
  [[nodiscard]] std::uint64_t bdp_multiple(std::uint64_t bw, std::uint32_t gain) const noexcept;
  [[nodiscard]] std::uint64_t extra_acked() const noexcept;
  [[nodiscard]] std::uint64_t quantization_budget(const CongestionWindow& window,
                                                  std::uint64_t inflight) const noexcept;
  [[nodiscard]] std::uint64_t inflight(const CongestionWindow& window, std::uint64_t bw) const noexcept;
  [[nodiscard]] std::uint64_t inflight_with_headroom(const CongestionWindow& window) const noexcept;
  [[nodiscard]] std::uint64_t target_inflight(const CongestionWindow& window) const noexcept;

  // bbr.cpp: what to do about it (§5.3), and how much to send (§5.6)
  [[nodiscard]] bool is_probing_bw() const noexcept;
  [[nodiscard]] bool is_in_a_probe_bw_state() const noexcept;
  [[nodiscard]] bool window_has_been_full() const noexcept { return window_was_full_ || window_is_full_; }
  [[nodiscard]] std::uint32_t pacing_gain() const noexcept;
  [[nodiscard]] std::uint32_t cwnd_gain() const noexcept;
  [[nodiscard]] bool queue_stands() const noexcept;
  [[nodiscard]] bool is_congestion(std::uint64_t lost, std::uint64_t tx_in_flight) const noexcept;
  [[nodiscard]] bool is_inflight_too_high(std::uint64_t lost, std::uint64_t tx_in_flight,
                                          bool selective) const noexcept;
  void check_startup_done(const AckSample& sample) noexcept;
  void check_startup_high_loss(const AckSample& sample) noexcept;
  void check_drain_done(const CongestionWindow& window, const AckSample& sample) noexcept;
  void start_round() noexcept { next_round_delivered_ = delivered_; }
  void start_probe_bw_down(Instant now) noexcept;
  void start_probe_bw_refill() noexcept;
  void start_probe_bw_up(const CongestionWindow& window, const AckSample& sample) noexcept;
  void update_probe_bw_cycle_phase(const CongestionWindow& window, const AckSample& sample) noexcept;
  [[nodiscard]] bool adapt_long_term_model(const CongestionWindow& window, const AckSample& sample) noexcept;
  [[nodiscard]] bool is_time_to_probe_bw(const CongestionWindow& window, Instant now) const noexcept;
  [[nodiscard]] bool is_time_to_cruise(const CongestionWindow& window, const AckSample& sample) const noexcept;
  [[nodiscard]] bool is_time_to_go_down(const CongestionWindow& window, const AckSample& sample) noexcept;
  void raise_inflight_longterm_slope(const CongestionWindow& window) noexcept;
  void probe_inflight_longterm_upward(const CongestionWindow& window, const AckSample& sample) noexcept;
  void handle_inflight_too_high(const CongestionWindow& window, Instant now, std::uint64_t tx_in_flight,
                                bool app_limited) noexcept;
  void check_probe_rtt(CongestionWindow& window, const AckSample& sample) noexcept;
  void handle_probe_rtt(CongestionWindow& window, const AckSample& sample) noexcept;
  void check_probe_rtt_done(CongestionWindow& window, Instant now) noexcept;
  void save_cwnd(const CongestionWindow& window) noexcept;
  void init_pacing_rate(CongestionWindow& window, Duration srtt) noexcept;
  void set_pacing_rate(CongestionWindow& window, std::uint32_t gain) const noexcept;
  void set_cwnd(CongestionWindow& window, const AckSample& sample) noexcept;
  [[nodiscard]] std::uint64_t probe_rtt_cwnd(const CongestionWindow& window) const noexcept;

  State state_ = State::Startup;
  AckPhase ack_phase_ = AckPhase::Init;
  std::uint64_t chance_ = 0;

  // Round trips, by what has arrived (§5.5.1)
  std::uint64_t delivered_ = 0;
  std::uint64_t next_round_delivered_ = 0;
  std::uint32_t round_count_ = 0;
  bool round_start_ = false;
  bool idle_restart_ = false;
  bool recovering_ = false;  // losses are being repaired
  bool conserving_ = false;  // and until they are, no more goes out than arrives
  bool has_seen_rtt_ = false;
  bool window_was_full_ = false;  // in the round trip before, or
  bool window_is_full_ = false;   // in this one

  // How fast it delivers
  std::array<std::uint64_t, 2> max_bw_filter_{};  // the most of this cycle and of the one before
  std::uint64_t bw_shortterm_ = kInfinity;
  std::uint64_t bw_ = 0;
  std::uint64_t bw_latest_ = 0;
  std::uint64_t full_bw_ = 0;
  std::uint8_t full_bw_count_ = 0;
  bool full_bw_now_ = false;
  bool full_bw_reached_ = false;

  // How long an empty path takes
  Duration min_rtt_ = Duration::max();
  Duration latest_rtt_{};
  Instant min_rtt_stamp_{};
  Duration probe_rtt_min_delay_ = Duration::max();
  Instant probe_rtt_min_stamp_{};
  std::optional<Instant> probe_rtt_done_stamp_;
  bool probe_rtt_expired_ = false;
  bool probe_rtt_round_done_ = false;

  // How much it holds
  std::uint64_t inflight_latest_ = 0;
  std::uint64_t inflight_shortterm_ = kInfinity;
  std::uint64_t inflight_longterm_ = kInfinity;
  std::array<std::uint64_t, 2> extra_acked_filter_{};  // by halves of its window
  std::uint32_t extra_acked_rounds_ = 0;
  std::uint64_t extra_acked_delivered_ = 0;
  Instant extra_acked_interval_start_{};

  // Losses
  std::uint64_t loss_round_delivered_ = 0;
  bool loss_round_start_ = false;
  bool is_loss_in_round_ = false;
  std::uint32_t loss_events_in_round_ = 0;

  // The cycle of probing
  Instant cycle_stamp_{};
  Duration bw_probe_wait_{};
  std::uint32_t rounds_since_probe_up_ = 0;
  std::uint32_t bw_probe_up_rounds_ = 0;
  std::uint32_t drain_start_round_ = 0;
  std::uint64_t bw_probe_up_acked_ = 0;
  std::uint64_t probe_up_acked_per_inc_ = kInfinity;
  bool is_bw_probe_sample_ = false;
  bool prev_probe_too_high_ = false;
  bool prev_probe_precautionary_ = false;

  // What to go back to
  std::uint32_t initial_cwnd_ = 0;
  std::uint32_t prior_cwnd_ = 0;
  std::optional<State> undo_state_;
  std::uint64_t undo_bw_shortterm_ = 0;
  std::uint64_t undo_inflight_shortterm_ = 0;
  std::uint64_t undo_inflight_longterm_ = 0;
};

}  // namespace ff::tcp
