// Slow start, congestion avoidance and the reaction to loss of RFC 5681.
#pragma once

#include <algorithm>

#include "firstflight/congestion_control.hpp"

namespace ff::tcp {

class Reno final : public CongestionControl {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "reno"; }
  void acknowledged(CongestionWindow& window, const AckSample& sample) override {
    if (!sample.window_limited) return;
    std::uint32_t bytes = sample.arrived;
    if (window.in_slow_start()) bytes = window.slow_start(bytes);
    if (bytes > 0) window.grow_by_one_segment_each(window.cwnd, bytes);
  }
  [[nodiscard]] std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent& event) override {
    return std::max(std::min(event.in_flight, window.cwnd) / 2, 2 * window.mss);
  }
};

}  // namespace ff::tcp
