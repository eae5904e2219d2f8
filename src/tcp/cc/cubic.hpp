// CUBIC (RFC 9438): the window grows by a cubic function of the time since it was last reduced, the same whatever the
// round-trip time, and hardly slower than Reno's would. Slow start ends by HyStart++.
//
// All in bytes and microseconds, and in whole numbers: the same on every machine.
#pragma once

#include <cstdint>

#include "firstflight/congestion_control.hpp"
#include "tcp/cc/hystart.hpp"

namespace ff::tcp {

class Cubic final : public CongestionControl {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "cubic"; }
  void acknowledged(CongestionWindow& window, const AckSample& sample) override;
  // RFC 9438 §4.6, by the window instead of what is in flight, as Linux: where the application left it unused it has
  // not grown (§5.8).
  [[nodiscard]] std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent& event) override;
  void undone(CongestionWindow&) override { state_ = before_; }
  void restarted(CongestionWindow& window, Instant now) override;

  // §4.2, equation 2: how long it takes the window to grow by `deficit` to W_max.
  [[nodiscard]] static std::chrono::microseconds time_to_grow(std::uint32_t deficit, std::uint32_t mss) noexcept;
  // Equation 1: how far from W_max the window is so long before or after it is there.
  [[nodiscard]] static std::uint32_t distance_after(std::chrono::microseconds span, std::uint32_t mss) noexcept;

 private:
  // What a congestion changes, and its undoing changes back.
  struct State {
    std::uint32_t w_max = 0;       // 0: none is known, the cubic begins where congestion avoidance does
    std::uint32_t cwnd_prior = 0;  // when it was last reduced
    // The present stage of congestion avoidance.
    bool in_epoch = false;
    Instant epoch_start{};
    std::chrono::microseconds k{};
    std::uint32_t origin = 0;  // W_max, as far as this stage goes
    std::uint32_t w_est = 0;   // what Reno would have, or a flow as aggressive as it
  };

  void begin_epoch(const CongestionWindow& window, Instant now) noexcept;
  void grow(CongestionWindow& window, const AckSample& sample, std::uint32_t bytes) noexcept;
  void compute_increase(CongestionWindow& window, const AckSample& sample) noexcept;
  void grow_reno_estimate(const CongestionWindow& window, std::uint32_t bytes) noexcept;
  [[nodiscard]] std::uint32_t window_at(Duration since_epoch_start, std::uint32_t mss) const noexcept;

  State state_, before_;
  HyStart hystart_;
  Instant last_ack_{};
  // How much the window is to grow in a round trip, when that was computed, and for how many segments.
  std::uint32_t increase_ = 0;
  std::uint32_t computed_for_ = 0;
  Instant computed_at_{};
  std::uint64_t cubic_credit_ = 0;  // what was too little to add a byte to the window,
  std::uint64_t reno_credit_ = 0;   // and to w_est
};

}  // namespace ff::tcp
