#include "tcp/cc/cubic.hpp"

#include <algorithm>
#include <utility>

namespace ff::tcp {

using std::chrono::microseconds;

namespace {

// The cube of a span in microseconds does not fit into 64 bits.
__extension__ using Wide = unsigned __int128;

// C = 0.4 segments/s³ (RFC 9438 §5.1), as a fraction with µs³ in it.
constexpr std::uint64_t kCNumerator = 4;
constexpr std::uint64_t kCDenominator = 10'000'000'000'000'000'000u;
// β = 0.7 (§4.6), and what follows from it: (1 + β) / 2 (§4.7), 3 (1 - β) / (1 + β) (§4.3).
constexpr std::uint64_t kBetaNumerator = 7, kBetaDenominator = 10;
constexpr std::uint64_t kFastNumerator = 17, kFastDenominator = 20;
constexpr std::uint64_t kAlphaNumerator = 9, kAlphaDenominator = 17;
constexpr Duration kComputedFor = Duration(std::chrono::seconds(1)) / 32;
// Beyond it every window is larger than any can be.
constexpr microseconds kLongest{std::int64_t{1} << 30};

std::uint32_t bounded(Wide bytes) noexcept {
  return static_cast<std::uint32_t>(std::min<Wide>(bytes, CongestionWindow::kLargest));
}

}  // namespace

microseconds Cubic::time_to_grow(std::uint32_t deficit, std::uint32_t mss) noexcept {
  const Wide cube = Wide{deficit} * kCDenominator / (kCNumerator * std::max(mss, 1u));
  std::uint64_t root = 0;
  for (std::uint64_t bit = static_cast<std::uint64_t>(kLongest.count()); bit != 0; bit >>= 1) {
    const Wide tried = root | bit;
    if (tried * tried * tried <= cube) root |= bit;
  }
  return microseconds(root);
}

std::uint32_t Cubic::distance_after(microseconds span, std::uint32_t mss) noexcept {
  const Wide t = static_cast<std::uint64_t>(std::min(span, kLongest).count());
  return bounded(t * t * t * (kCNumerator * mss) / kCDenominator);
}

std::uint32_t Cubic::window_at(Duration since_epoch_start, std::uint32_t mss) const noexcept {
  const microseconds t = std::chrono::duration_cast<microseconds>(since_epoch_start);
  if (t >= state_.k) return bounded(Wide{state_.origin} + distance_after(t - state_.k, mss));
  const std::uint32_t below = distance_after(state_.k - t, mss);
  return state_.origin > below ? state_.origin - below : 0;
}

void Cubic::acknowledged(CongestionWindow& window, const AckSample& sample) {
  const Instant last_ack = std::exchange(last_ack_, sample.now);
  std::uint32_t bytes = sample.arrived;
  if (window.in_slow_start()) {
    // RFC 9406 §4.3: only in the first slow start, which nobody has set a bound to.
    if (window.ssthresh == CongestionWindow::kLargest) bytes = hystart_.acknowledged(window, sample);
    if (sample.window_limited) bytes = window.slow_start(bytes);
  }
  if (window.in_slow_start() || bytes == 0) return;
  if (!sample.window_limited) {
    // RFC 9438 §5.8: time in which the window was not what held the sender back does not count.
    if (state_.in_epoch) state_.epoch_start += sample.now - last_ack;
    return;
  }
  if (!state_.in_epoch) begin_epoch(window, sample.now);
  grow(window, sample, bytes);
}

// §4.2. After a time-out, and after slow start without a loss, the cubic begins with its convex part (§4.8, §4.10).
void Cubic::begin_epoch(const CongestionWindow& window, Instant now) noexcept {
  state_.in_epoch = true;
  state_.epoch_start = now;
  state_.origin = std::max(state_.w_max, window.cwnd);
  state_.k = time_to_grow(state_.origin - window.cwnd, window.mss);
  state_.w_est = window.cwnd;
  cubic_credit_ = reno_credit_ = 0;
  computed_for_ = 0;
}

// §4.3 to §4.5.
void Cubic::grow(CongestionWindow& window, const AckSample& sample, std::uint32_t bytes) noexcept {
  grow_reno_estimate(window, bytes);
  // The cubic is not worth computing for each acknowledgement; nor does Linux, though it waits as long on each path.
  const std::uint32_t segments = window.cwnd / window.mss;
  if (segments != computed_for_ || sample.now - computed_at_ > std::min(sample.srtt / 4, kComputedFor)) {
    computed_for_ = segments;
    computed_at_ = sample.now;
    compute_increase(window, sample);
  }
  // So much for each window that arrives.
  cubic_credit_ += std::uint64_t{increase_} * bytes;
  const std::uint64_t grown = cubic_credit_ / window.cwnd;
  cubic_credit_ -= grown * window.cwnd;
  window.cwnd = bounded(Wide{window.cwnd} + grown);
}

void Cubic::compute_increase(CongestionWindow& window, const AckSample& sample) noexcept {
  const Duration t = sample.now - state_.epoch_start;
  // As Linux: while nothing has told where the path ends, the window grows by 5 % in a round trip at least.
  const bool never_reduced = state_.cwnd_prior == 0;
  if (!never_reduced && window_at(t, window.mss) <= state_.w_est) {
    // What it will have grown to when this is computed anew.
    window.cwnd = std::max(window.cwnd, state_.w_est + window.mss / 8);
    increase_ = 0;
    return;
  }
  const std::uint32_t most = bounded(Wide{window.cwnd} + window.cwnd / 2);
  const std::uint32_t least = never_reduced ? bounded(Wide{window.cwnd} + window.cwnd / 20) : window.cwnd;
  increase_ = std::clamp(window_at(t + sample.srtt, window.mss), least, most) - window.cwnd;
}

// §4.3: α segments for each window that arrives; one, once it is where Reno would be reduced again.
void Cubic::grow_reno_estimate(const CongestionWindow& window, std::uint32_t bytes) noexcept {
  const std::uint64_t alpha = state_.w_est < state_.cwnd_prior ? kAlphaNumerator : kAlphaDenominator;
  const std::uint64_t each = kAlphaDenominator * window.cwnd;
  reno_credit_ += std::uint64_t{bytes} * window.mss * alpha;
  const std::uint64_t grown = reno_credit_ / each;
  reno_credit_ -= grown * each;
  state_.w_est = bounded(Wide{state_.w_est} + grown);
}

std::uint32_t Cubic::ssthresh(const CongestionWindow& window, const CongestionEvent& event) {
  before_ = state_;
  // §4.7, fast convergence: a flow whose window did not get as far as before leaves room for the one that came.
  const bool receded = window.cwnd < state_.w_max;
  state_.w_max = receded ? static_cast<std::uint32_t>(window.cwnd * kFastNumerator / kFastDenominator) : window.cwnd;
  if (event.kind == Congestion::Timeout) state_.w_max = 0;
  state_.cwnd_prior = window.cwnd;
  state_.in_epoch = false;
  const auto reduced = static_cast<std::uint32_t>(window.cwnd * kBetaNumerator / kBetaDenominator);
  return std::max(reduced, 2 * window.mss);
}

// §5.8: while nothing was in flight no time has passed.
void Cubic::restarted(CongestionWindow&, Instant now) {
  if (state_.in_epoch) state_.epoch_start += now - last_ack_;
  last_ack_ = now;
}

}  // namespace ff::tcp
