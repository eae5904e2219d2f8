// Round-trip time and retransmission timeout (RFC 6298), with Linux's floor under the variance; for comparison also as
// RFC 793 had it, before Jacobson's "Congestion Avoidance and Control" (1988).
#pragma once

#include <algorithm>
#include <cstdint>

#include "firstflight/time.hpp"

namespace ff::tcp {

inline constexpr Duration kInitialRto = std::chrono::seconds(1);     // RFC 6298 §2.1
inline constexpr Duration kMinRto = std::chrono::milliseconds(200);  // Linux's TCP_RTO_MIN; RFC 6298 §2.4 would say 1 s
inline constexpr Duration kMaxRto = std::chrono::seconds(120);       // Linux's TCP_RTO_MAX
inline constexpr Duration kRtoAfterSynLoss = std::chrono::seconds(3);  // RFC 6298 §5.7

class RttEstimator {
 public:
  // RFC 793 §3.7: the timeout is twice the smoothed round-trip time, however much that varies.
  void use_rfc793(bool on) noexcept { rfc793_ = on; }
  [[nodiscard]] bool measured() const noexcept { return srtt_us_ != 0; }
  [[nodiscard]] Duration srtt() const noexcept { return std::chrono::microseconds(srtt_us_); }
  [[nodiscard]] Duration rttvar() const noexcept { return std::chrono::microseconds(rttvar_us_); }
  [[nodiscard]] Duration min_rtt() const noexcept { return std::chrono::microseconds(min_us_); }

  // RFC 6298 §2.2 and §2.3: α = 1/8, β = 1/4.
  void sample(Duration rtt) noexcept {
    const auto us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(rtt).count(), 1, kLargestSampleUs));
    min_us_ = min_us_ == 0 ? us : std::min(min_us_, us);
    expected_ms_ = 0;
    if (srtt_us_ == 0) {
      srtt_us_ = us;
      rttvar_us_ = us / 2;
      return;
    }
    const std::uint32_t distance = us > srtt_us_ ? us - srtt_us_ : srtt_us_ - us;
    rttvar_us_ = rttvar_us_ - rttvar_us_ / 4 + distance / 4;
    srtt_us_ = std::max<std::uint32_t>(1, srtt_us_ - srtt_us_ / 8 + us / 8);
  }

  // What former connections found (Linux's tcp_init_metrics()). A handshake's packets are small, and the way may take
  // longer than they did: if so the timeout allows for that, until something is measured.
  void expect(Duration rtt) noexcept {
    if (rtt <= srtt()) return;
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(rtt).count();
    expected_ms_ = static_cast<std::uint16_t>(std::min<std::int64_t>(ms, UINT16_MAX));
  }
  [[nodiscard]] bool expected() const noexcept { return expected_ms_ != 0; }

  // The timeout without back-off. As in Linux the floor lies under 4 * RTTVAR and not under the sum, so that the
  // timeout never comes close to the round-trip time itself on a path that hardly varies.
  [[nodiscard]] Duration rto() const noexcept {
    if (expected()) {
      const Duration rtt = std::chrono::milliseconds(expected_ms_);
      return std::min(rtt + std::max(kMinRto, 2 * rtt), kMaxRto);
    }
    if (!measured()) return kInitialRto;
    if (rfc793_) return std::clamp(kRfc793Beta * srtt(), kMinRto, kMaxRto);
    return std::min(srtt() + std::max(kMinRto, 4 * rttvar()), kMaxRto);
  }

 private:
  static constexpr std::int64_t kLargestSampleUs = 120'000'000;
  static constexpr int kRfc793Beta = 2;
  std::uint32_t srtt_us_ = 0;  // 0: no sample yet
  std::uint32_t rttvar_us_ = 0;
  std::uint32_t min_us_ = 0;
  std::uint16_t expected_ms_ = 0;  // 0: nothing
  bool rfc793_ = false;
};

// Binary exponential back-off (RFC 6298 §5.5).
inline Duration backed_off(Duration rto, std::uint32_t shift) noexcept {
  return std::min(rto * (std::int64_t{1} << std::min<std::uint32_t>(shift, 16)), kMaxRto);
}

}  // namespace ff::tcp
