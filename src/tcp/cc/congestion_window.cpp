#include <algorithm>

#include "firstflight/congestion_control.hpp"

namespace ff {

std::uint32_t CongestionWindow::slow_start(std::uint32_t bytes) noexcept {
  const std::uint32_t grow = std::min({bytes, ssthresh - std::min(ssthresh, cwnd), kLargest - cwnd});
  cwnd += grow;
  return bytes - grow;
}

void CongestionWindow::grow_by_one_segment_each(std::uint32_t window, std::uint32_t bytes) noexcept {
  window = std::max(window, mss);
  counted += bytes;
  const std::uint32_t segments = counted / window;
  counted -= segments * window;
  cwnd = static_cast<std::uint32_t>(std::min<std::uint64_t>(cwnd + std::uint64_t{segments} * mss, kLargest));
}

}  // namespace ff
