// CUBIC against the formulas of RFC 9438, computed here in floating point.
#include "tcp/cc/cubic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace ff::tcp {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

constexpr std::uint32_t kMss = 1000;
constexpr double kC = 0.4, kBeta = 0.7;

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// A flow whose window is always full and whose every segment is acknowledged, a round trip later.
struct Flow {
  explicit Flow(std::uint32_t segments, Duration round_trip = 100ms) : rtt(round_trip) {
    window.mss = kMss;
    window.cwnd = segments * kMss;
    window.ssthresh = window.cwnd;  // slow start is over
  }
  void acknowledge(std::uint32_t bytes, bool window_limited = true) {
    AckSample sample;
    sample.now = now;
    sample.arrived = bytes;
    sample.rtt = sample.srtt = sample.min_rtt = rtt;
    sample.window_limited = window_limited;
    cubic.acknowledged(window, sample);
  }
  // One window's acknowledgements, evenly over a round trip.
  void round() {
    const std::uint32_t segments = window.cwnd / kMss;
    for (std::uint32_t i = 0; i < segments; ++i) {
      now += rtt / segments;
      acknowledge(kMss);
    }
  }
  void run(Duration span) {
    for (const Instant end = now + span; now < end;) round();
  }
  void reduce(Congestion kind = Congestion::Loss) {
    window.ssthresh = cubic.ssthresh(window, {now, kind, window.cwnd});
    window.cwnd = window.ssthresh;
  }
  [[nodiscard]] double segments() const { return static_cast<double>(window.cwnd) / kMss; }

  Cubic cubic;
  CongestionWindow window;
  Instant now{1h};
  Duration rtt;
};

// RFC 9438 §4.2, equation 2.
TEST(Cubic, TimeToGrowIsTheCubeRoot) {
  for (const std::uint32_t mss : {48u, 536u, 1448u, 8948u, 65483u}) {
    for (const double deficit : {0.0, 1.0, 300.0, 1448.0, 1e5, 3e7, 1e9}) {
      const double expected = std::cbrt(deficit / (kC * mss)) * 1e6;
      const auto actual = static_cast<double>(Cubic::time_to_grow(static_cast<std::uint32_t>(deficit), mss).count());
      EXPECT_LE(actual, expected + 1e-3) << deficit << " " << mss;
      EXPECT_GT(actual, expected - 1.001) << deficit << " " << mss;
    }
  }
}

// Equation 1.
TEST(Cubic, DistanceIsTheCube) {
  for (const std::uint32_t mss : {48u, 1448u, 65483u}) {
    for (const double s : {0.0, 1e-6, 0.001, 0.02, 0.5, 1.0, 7.0, 60.0, 3000.0}) {
      const double expected = std::min(kC * mss * s * s * s, 1073741824.0);
      const double actual = Cubic::distance_after(microseconds(std::llround(s * 1e6)), mss);
      EXPECT_LE(actual, expected + 1e-3) << s << " " << mss;
      EXPECT_GT(actual, expected - 1.001) << s << " " << mss;
    }
  }
  EXPECT_EQ(Cubic::distance_after(microseconds::max(), kMss), CongestionWindow::kLargest) << "whatever is asked";
}

// §4.6
TEST(Cubic, ReducesToSevenTenths) {
  Flow flow(1000);
  flow.reduce();
  EXPECT_EQ(flow.window.cwnd, 700 * kMss);
  Flow marked(1000);
  marked.reduce(Congestion::Mark);
  EXPECT_EQ(marked.window.cwnd, 700 * kMss);
  Flow small(2);
  small.reduce();
  EXPECT_EQ(small.window.cwnd, 2 * kMss) << "but never below two segments";
}

// §4.4, §4.5: after a reduction the window follows the cubic through W_max, flat where it lies, and beyond. A long
// round trip and a large window keep the Reno-friendly region away.
TEST(Cubic, FollowsTheCubicThroughWMax) {
  Flow flow(10000);
  flow.reduce();
  const double w_max = 10000, k = std::cbrt(w_max * (1 - kBeta) / kC);  // 19.6 s
  flow.round();
  const Instant start = flow.now - flow.rtt;
  for (const double at : {2.0, 5.0, 10.0, 15.0, 19.0, 20.0, 25.0, 30.0, 35.0}) {
    while (seconds(flow.now - start) < at) flow.round();
    const double t = seconds(flow.now - start);
    const double expected = kC * std::pow(t - k, 3) + w_max;
    EXPECT_NEAR(flow.segments(), expected, 0.01 * expected) << at << " s";
  }
}

// The same time, the same window, whatever the round trip: the property that CUBIC is for.
TEST(Cubic, GrowthGoesByTimeNotByRoundTrips) {
  Flow near(10000, 50ms), far(10000, 200ms);
  near.reduce();
  far.reduce();
  near.run(30s);
  far.run(30s);
  EXPECT_NEAR(near.segments(), far.segments(), 0.02 * far.segments());
}

// §4.3: where the cubic is slower than a flow with α = 3 (1 - β) / (1 + β) and β, the window is that flow's.
TEST(Cubic, IsNoSlowerThanReno) {
  Flow flow(20, 10ms);
  flow.reduce();
  double w_est = flow.segments();
  for (int i = 0; i < 8; ++i) {
    w_est += 9.0 / 17;
    flow.round();
  }
  EXPECT_NEAR(flow.segments(), w_est, 0.5) << "0.53 segments each round trip, while it is below the last maximum";
  while (flow.segments() < 20) flow.round();
  const double before = flow.segments();
  for (int i = 0; i < 5; ++i) flow.round();
  EXPECT_NEAR(flow.segments(), before + 5, 0.6) << "one from there on";
}

// §4.5: at most half of the window more in a round trip, however long it has been.
TEST(Cubic, GrowsByHalfARoundTripAtMost) {
  Flow flow(100, 1s);
  flow.reduce();
  flow.round();
  flow.now += 100s;
  const std::uint32_t before = flow.window.cwnd;
  std::uint32_t acked = 0;
  for (; acked < before; acked += kMss) flow.acknowledge(kMss);
  EXPECT_LE(flow.segments(), 1.66 * before / kMss);
  EXPECT_GE(flow.segments(), 1.45 * before / kMss);
}

// §4.7: who is reduced before it got back to where it was leaves room: it aims lower.
TEST(Cubic, ConvergesFast) {
  Flow flow(1000), steady(1000);
  flow.reduce();  // W_max 1000
  flow.reduce();  // at 700: W_max 595, window 490
  flow.run(30s);
  steady.window.cwnd = 700 * kMss;
  steady.reduce();  // at 700, the first: W_max 700, window 490
  const double lower = std::cbrt((595 - 490) / kC), higher = std::cbrt((700 - 490) / kC);
  steady.run(30s);
  EXPECT_NEAR(flow.segments(), 595 + kC * std::pow(30 - lower, 3), 0.02 * flow.segments());
  EXPECT_NEAR(steady.segments(), 700 + kC * std::pow(30 - higher, 3), 0.02 * steady.segments());
}

// §4.8: after a time-out the cubic begins with its convex part, where congestion avoidance does.
TEST(Cubic, BeginsAnewAfterATimeout) {
  Flow flow(1000);
  flow.reduce(Congestion::Timeout);
  EXPECT_EQ(flow.window.ssthresh, 700 * kMss);
  flow.run(10s);
  EXPECT_NEAR(flow.segments(), 700 + kC * 1000, 25) << "K is 0, W_max 700";
}

// As Linux: slow start has ended, and no loss has told how much the path holds.
TEST(Cubic, GrowsByATwentiethUntilALossTells) {
  Flow flow(100);
  for (int i = 0; i < 10; ++i) flow.round();
  EXPECT_NEAR(flow.segments(), 100 * std::pow(1.05, 10), 3);
  flow.reduce();
  const double reduced = flow.segments();
  for (int i = 0; i < 10; ++i) flow.round();
  EXPECT_LT(flow.segments(), reduced * 1.3);
}

// §4.9: what was no loss leaves no trace.
TEST(Cubic, UndoneIsAsIfNothingHadBeen) {
  Flow flow(1000), undisturbed(1000);
  for (Flow* each : {&flow, &undisturbed}) {
    each->reduce();
    each->run(8s);
  }
  const CongestionWindow before = flow.window;
  flow.reduce();
  flow.cubic.undone(flow.window);
  flow.window = before;
  for (Flow* each : {&flow, &undisturbed}) each->run(8s);
  EXPECT_EQ(flow.window.cwnd, undisturbed.window.cwnd);
}

// §5.8: neither idle time nor time in which the application wrote too little counts.
TEST(Cubic, TimeThatWasNotUsedDoesNotCount) {
  Flow flow(1000), idle(1000), slow_writer(1000);
  for (Flow* each : {&flow, &idle, &slow_writer}) {
    each->reduce();
    each->run(5s);
  }
  const double before = flow.segments();
  idle.now += 60s;
  idle.cubic.restarted(idle.window, idle.now);
  for (int i = 0; i < 600; ++i) {
    slow_writer.now += 100ms;
    slow_writer.acknowledge(kMss, false);
  }
  EXPECT_EQ(slow_writer.segments(), before);
  for (Flow* each : {&flow, &idle, &slow_writer}) each->run(5s);
  EXPECT_NEAR(idle.segments(), flow.segments(), 2);
  EXPECT_NEAR(slow_writer.segments(), flow.segments(), 2);
}

TEST(Cubic, StaysWithinWhatAWindowCanBe) {
  Flow flow(1000000, 1s);
  flow.reduce();
  for (int i = 0; i < 20000; ++i) {
    flow.now += 1s;
    flow.acknowledge(1u << 30);
    ASSERT_LE(flow.window.cwnd, CongestionWindow::kLargest);
  }
  EXPECT_EQ(flow.window.cwnd, CongestionWindow::kLargest);
}

}  // namespace
}  // namespace ff::tcp
