// Slow start, congestion avoidance and the reactions to loss of RFC 5681, in bytes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ff::tcp {

class Reno {
 public:
  static constexpr const char* kName = "reno";
  static constexpr std::uint32_t kInitialSegments = 10;  // RFC 6928

  [[nodiscard]] std::uint32_t cwnd() const noexcept { return cwnd_; }
  [[nodiscard]] std::uint32_t ssthresh() const noexcept { return ssthresh_; }
  [[nodiscard]] bool in_slow_start() const noexcept { return cwnd_ < ssthresh_; }

  void start(std::uint32_t mss) noexcept { cwnd_ = kInitialSegments * mss; }
  // RFC 5681 §3.1: SYN or SYN-ACK were lost.
  void start_after_syn_loss(std::uint32_t mss) noexcept { cwnd_ = mss; }

  // RFC 5681 §3.1, counting bytes (RFC 3465). A window that was not used does not grow (RFC 7661).
  void acknowledged(std::uint32_t bytes, std::uint32_t mss, bool window_was_used) noexcept {
    if (!window_was_used) return;
    if (in_slow_start()) {
      const std::uint32_t grow = std::min(bytes, ssthresh_ - cwnd_);
      cwnd_ = saturating_add(cwnd_, grow);
      bytes -= grow;
    }
    if (bytes == 0) return;
    counted_ += bytes;
    while (counted_ >= cwnd_) {
      counted_ -= cwnd_;
      cwnd_ = saturating_add(cwnd_, mss);
    }
  }

  // RFC 5681 §3.2: half of what was in flight, at least two segments.
  void loss_detected(std::uint32_t in_flight, std::uint32_t mss) noexcept {
    ssthresh_ = std::max(std::min(in_flight, cwnd_) / 2, 2 * mss);
    cwnd_ = ssthresh_;
    counted_ = 0;
  }
  // RFC 5681 §3.1: back to the loss window. ssthresh is lowered once for each loss, not for each back-off of it.
  void timed_out(std::uint32_t in_flight, std::uint32_t mss, bool first) noexcept {
    if (first) ssthresh_ = std::max(in_flight / 2, 2 * mss);
    cwnd_ = mss;
    counted_ = 0;
  }
  // RFC 5681 §4.1: after a time without sending, start over from the restart window.
  void idle(std::uint32_t mss) noexcept { cwnd_ = std::min(cwnd_, kInitialSegments * mss); }
  // A smaller segment size than before: the window stays at least one of them.
  void mss_changed(std::uint32_t mss) noexcept { cwnd_ = std::max(cwnd_, mss); }

 private:
  static std::uint32_t saturating_add(std::uint32_t a, std::uint32_t b) noexcept {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::uint64_t{a} + b, kLargest));
  }
  static constexpr std::uint64_t kLargest = 1u << 30;  // no window can be larger (RFC 7323 §2.3)

  std::uint32_t cwnd_ = 0;
  std::uint32_t ssthresh_ = 1u << 30;
  std::uint32_t counted_ = 0;  // bytes acknowledged since the window last grew
};

}  // namespace ff::tcp
