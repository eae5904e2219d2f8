// BBR on a path made of a bottleneck, a queue before it and a delay: what it finds out of the path, and what it does
// about it (draft-ietf-ccwg-bbr-06).
#include "tcp/cc/bbr.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "base/random.hpp"
#include "tcp/delivery_rate.hpp"
#include "tcp/pacing.hpp"

namespace ff::tcp {
namespace {

using namespace std::chrono_literals;
using State = Bbr::State;

constexpr std::uint32_t kMss = 1000;

class Flow {
 public:
  std::uint64_t rate = 1'250'000;  // bytes a second
  Duration delay = 40ms;           // there and back, without the queue
  double queue = 2;                // what fits into it, in bandwidth-delay products
  double loss = 0;

  Flow() {
    window.mss = kMss;
    window.cwnd = 10 * kMss;
    bbr.started(window, {.now = now, .srtt = delay, .seed = 7});
  }

  [[nodiscard]] double bdp() const { return static_cast<double>(rate) * std::chrono::duration<double>(delay).count(); }
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(now - begun_).count(); }
  // Of the link, since the last call.
  double utilization() {
    const double span = std::chrono::duration<double>(now - measured_from_).count();
    const double used = static_cast<double>(delivered_ - measured_) / (span * static_cast<double>(rate));
    measured_from_ = now;
    measured_ = delivered_;
    return used;
  }

  void run(Duration span) {
    const Instant end = now + span;
    while (now < end) step(end);
  }
  // Until it is in this state; false when it is not within `limit`.
  bool run_until(State state, Duration limit = 30s) {
    const Instant end = now + limit;
    while (now < end && bbr.state() != state) step(end);
    return bbr.state() == state;
  }
  // Everything in flight arrives, and nothing follows.
  void drain() {
    while (!flying_.empty()) arrive();
  }

  Bbr bbr;
  CongestionWindow window;
  Instant now{1h};
  std::uint32_t in_flight = 0;
  std::uint64_t lost = 0;
  std::set<State> seen;
  std::uint32_t most_in_flight = 0;

 private:
  struct Packet {
    Instant acknowledged;
    Transmission how;
    bool lost;
  };

  void step(Instant end) {
    const Instant arrival = flying_.empty() ? kNever : flying_.front().acknowledged;
    const bool room = in_flight + kMss <= window.cwnd;
    const Instant departure = room ? std::max(now, pacer_.next()) : kNever;
    if (std::min(arrival, departure) > end) {
      now = end;
    } else if (arrival <= departure) {
      arrive();
    } else {
      now = departure;
      send();
    }
    seen.insert(bbr.state());
    most_in_flight = std::max(most_in_flight, in_flight);
  }

  void send() {
    if (in_flight == 0 && delivered_ > 0) bbr.restarted(window, now);
    in_flight += kMss;
    const Transmission how = rate_.transmission(now, in_flight, kMss);
    pacer_.sent(now, kMss, window.pacing_rate);
    const double waiting = std::chrono::duration<double>(std::max(free_at_ - now, Duration::zero())).count();
    const bool overflow = waiting * static_cast<double>(rate) > queue * bdp();
    if (!overflow) free_at_ = std::max(free_at_, now) + std::chrono::nanoseconds(kMss * 1'000'000'000ull / rate);
    flying_.push_back({std::max(free_at_, now) + delay, how, overflow || random_.chance(loss)});
  }

  // What is missing is noticed when the next segment behind it has arrived.
  void arrive() {
    std::uint32_t missing = 0;
    Transmission last_missing;
    while (!flying_.empty() && flying_.front().lost) {
      missing += kMss;
      last_missing = flying_.front().how;
      now = std::max(now, flying_.front().acknowledged);
      flying_.pop_front();
    }
    in_flight -= missing;
    lost += missing;
    if (missing > 0) {
      rate_.lost(missing);
      LossSample sample{.now = now, .bytes = missing, .selective = true};
      rate_.fill(sample, last_missing);
      bbr.lost(window, sample);
    }
    if (flying_.empty()) return;
    const Packet packet = flying_.front();
    flying_.pop_front();
    now = packet.acknowledged;
    const std::uint32_t before = in_flight;
    in_flight -= kMss;
    delivered_ += kMss;
    Arrivals arrivals;
    arrivals.now = now;
    arrivals.min_rtt = delay;
    arrivals.arrived = kMss;
    arrivals.known = true;
    arrivals.newest = packet.how;
    AckSample sample;
    rate_.arrived(arrivals, sample);
    sample.now = now;
    sample.arrived = kMss;
    sample.in_flight = in_flight;
    sample.in_flight_before = before;
    sample.srtt = delay;
    sample.selective = true;
    sample.window_full = before + kMss > window.cwnd;
    bbr.acknowledged(window, sample);
  }

  DeliveryRate rate_;
  Pacer pacer_;
  std::array<std::uint8_t, 32> seed_{1};
  Random random_{seed_};
  std::deque<Packet> flying_;
  Instant free_at_{};
  Instant begun_ = now, measured_from_ = now;
  std::uint64_t delivered_ = 0, measured_ = 0;
};

double ratio(std::uint64_t a, std::uint64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

TEST(Bbr, StartupFindsThePath) {
  Flow flow;
  ASSERT_TRUE(flow.run_until(State::Drain));
  EXPECT_LT(flow.seconds(), 1.0) << "doubling each round trip, it takes few";
  EXPECT_NEAR(ratio(flow.bbr.max_bw(), flow.rate), 1.0, 0.05);
  EXPECT_NEAR(ratio(static_cast<std::uint64_t>(flow.bbr.min_rtt().count()), 40'000'000), 1.0, 0.05);
  EXPECT_EQ(flow.lost, 0u) << "two bandwidth-delay products are in flight at most, and the queue holds them";
}

TEST(Bbr, DrainEmptiesTheQueueThatStartupMade) {
  Flow flow;
  ASSERT_TRUE(flow.run_until(State::Drain));
  EXPECT_GT(flow.in_flight, 1.4 * flow.bdp());
  ASSERT_TRUE(flow.run_until(State::ProbeBwCruise));
  EXPECT_LE(flow.in_flight, 1.1 * flow.bdp());
}

TEST(Bbr, FillsThePathAndNotTheQueue) {
  Flow flow;
  ASSERT_TRUE(flow.run_until(State::ProbeBwCruise));
  flow.utilization();
  flow.most_in_flight = 0;
  flow.run(1s);
  ASSERT_EQ(flow.bbr.state(), State::ProbeBwCruise);
  EXPECT_GT(flow.utilization(), 0.95);
  EXPECT_LT(flow.most_in_flight, 1.1 * flow.bdp());
  flow.run(20s);
  EXPECT_EQ(flow.lost, 0u) << "nor while it probes for more";
}

TEST(Bbr, GoesThroughItsCycle) {
  Flow flow;
  for (int cycle = 0; cycle < 3; ++cycle) {
    ASSERT_TRUE(flow.run_until(State::ProbeBwCruise));
    EXPECT_LE(flow.in_flight, 1.1 * flow.bdp()) << "nothing waits in the queue";
    ASSERT_TRUE(flow.run_until(State::ProbeBwRefill));
    ASSERT_TRUE(flow.run_until(State::ProbeBwUp));
    EXPECT_EQ(flow.window.pacing_rate, flow.bbr.max_bw() * 125 / 100) << "no queue stands that a margin would drain";
    ASSERT_TRUE(flow.run_until(State::ProbeBwDown));
  }
}

// §5.3.4: every five seconds it looks how long an empty path takes.
TEST(Bbr, ProbesTheRoundTrip) {
  Flow flow;
  ASSERT_TRUE(flow.run_until(State::ProbeRtt));
  EXPECT_GT(flow.seconds(), 5.0);
  EXPECT_LT(flow.seconds(), 6.0);
  const std::uint32_t before = flow.window.cwnd;
  EXPECT_TRUE(flow.window.held_down);
  const Instant entered = flow.now;
  flow.run(100ms);
  EXPECT_LE(flow.in_flight, 0.55 * flow.bdp());
  ASSERT_TRUE(flow.run_until(State::ProbeBwCruise));
  EXPECT_GT(flow.now - entered, 200ms);
  EXPECT_LT(flow.now - entered, 400ms);
  EXPECT_FALSE(flow.window.held_down);
  EXPECT_GT(flow.window.cwnd, before / 2) << "the window is back";
  flow.run(1s);
  EXPECT_NEAR(ratio(flow.bbr.max_bw(), flow.rate), 1.0, 0.05) << "the low rate meanwhile was not believed";
}

// Where Reno and CUBIC would use a tenth of the path. Each probe of it begins anew from what it was found to be.
TEST(Bbr, LossOfOneInAHundredCostsLittle) {
  Flow flow;
  flow.rate = 12'500'000;  // of a few segments one would be too many
  flow.loss = 0.01;
  flow.run(3s);
  flow.utilization();
  flow.run(20s);
  EXPECT_GT(flow.utilization(), 0.7);
}

// Without a queue losses are the path's own: it goes on as if they were not.
TEST(Bbr, LossWithoutAQueueIsNotItsDoing) {
  Flow flow;
  flow.rate = 12'500'000;
  flow.loss = 0.04;  // twice of what the draft would bear
  flow.run(3s);
  flow.utilization();
  flow.run(4s);
  EXPECT_GT(flow.utilization(), 0.85);
}

// §5.5.10: a queue that is much too small is found out, and stayed within.
TEST(Bbr, StaysWithinWhatThePathHolds) {
  Flow flow;
  flow.queue = 0.1;
  flow.run(3s);
  const std::uint64_t lost = flow.lost;
  flow.utilization();
  flow.run(20s);
  EXPECT_GT(flow.utilization(), 0.8);
  EXPECT_LT(flow.bbr.inflight_longterm(), 1.6 * flow.bdp());
  EXPECT_LT(static_cast<double>(flow.lost - lost), 0.02 * 20 * static_cast<double>(flow.rate));
}

TEST(Bbr, FindsBandwidthThatBecomesFree) {
  Flow flow;
  flow.run(5500ms);
  flow.rate *= 4;
  flow.run(8s);
  flow.utilization();
  flow.run(2s);
  EXPECT_GT(flow.utilization(), 0.9);
}

TEST(Bbr, FollowsAPathThatSlowsDown) {
  Flow flow;
  flow.run(3s);
  flow.rate /= 4;
  flow.run(12s);
  flow.utilization();
  EXPECT_NEAR(ratio(flow.bbr.max_bw(), flow.rate), 1.0, 0.1);
  flow.run(4s);
  EXPECT_GT(flow.utilization(), 0.85);
}

// §5.4.1: after a pause it goes on at the rate of the path, with the window that it had.
TEST(Bbr, RestartsAtTheRateOfThePath) {
  Flow flow;
  flow.run(3s);
  const std::uint32_t cwnd = flow.window.cwnd;
  flow.drain();
  flow.now += 3s;
  flow.bbr.restarted(flow.window, flow.now);
  EXPECT_EQ(flow.window.pacing_rate, flow.bbr.max_bw() * 99 / 100);
  EXPECT_GE(flow.window.cwnd, cwnd * 9 / 10);
}

// §5.6.4.4: a time-out leaves ssthresh alone, and what the window was comes back.
TEST(Bbr, RestoresTheWindowAfterATimeout) {
  Flow flow;
  flow.run(3s);
  const std::uint32_t cwnd = flow.window.cwnd, ssthresh = flow.window.ssthresh;
  EXPECT_EQ(flow.bbr.ssthresh(flow.window, {flow.now, Congestion::Timeout, flow.in_flight}), ssthresh);
  flow.window.cwnd = kMss;  // the connection's part
  flow.bbr.recovered(flow.window);
  EXPECT_EQ(flow.window.cwnd, cwnd);
}

// §5.5.11: out of Startup because of losses that were none, it goes back.
TEST(Bbr, UndoneStartupGoesOn) {
  Flow flow;
  flow.run(150ms);
  ASSERT_EQ(flow.bbr.state(), State::Startup);
  (void)flow.bbr.ssthresh(flow.window, {flow.now, Congestion::Loss, flow.in_flight});
  flow.loss = 0.2;
  ASSERT_TRUE(flow.run_until(State::Drain, 1s)) << "too many are lost";
  flow.loss = 0;
  flow.bbr.undone(flow.window);
  EXPECT_EQ(flow.bbr.state(), State::Startup);
  ASSERT_TRUE(flow.run_until(State::Drain));
  EXPECT_NEAR(ratio(flow.bbr.max_bw(), flow.rate), 1.0, 0.05);
}

// Marks count as too many losses.
TEST(Bbr, MarksEndAProbe) {
  Flow flow;
  ASSERT_TRUE(flow.run_until(State::ProbeBwUp));
  (void)flow.bbr.ssthresh(flow.window, {flow.now, Congestion::Mark, flow.in_flight});
  EXPECT_EQ(flow.bbr.state(), State::ProbeBwDown);
  EXPECT_LE(flow.bbr.inflight_longterm(), std::max<std::uint64_t>(flow.in_flight, flow.window.cwnd));
}

TEST(Bbr, OtherSeedsProbeAtOtherTimes) {
  std::set<Duration> times;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Flow flow;
    flow.delay = 80ms;  // so that Reno's rhythm is the slower one
    flow.rate = 12'500'000;
    flow.bbr = Bbr();
    flow.window.cwnd = 10 * kMss;
    flow.bbr.started(flow.window, {.now = flow.now, .srtt = flow.delay, .seed = seed});
    ASSERT_TRUE(flow.run_until(State::ProbeBwCruise));
    const Instant from = flow.now;
    ASSERT_TRUE(flow.run_until(State::ProbeBwRefill));
    times.insert(flow.now - from);
    EXPECT_GE(flow.now - from, 2s);
    EXPECT_LE(flow.now - from, 3100ms);
  }
  EXPECT_GE(times.size(), 7u);
}

}  // namespace
}  // namespace ff::tcp
