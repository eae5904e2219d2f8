// HyStart++ against RFC 9406 §4.2, and Linux's trains of acknowledgements.
#include "tcp/cc/hystart.hpp"

#include <gtest/gtest.h>

#include "tcp/cc/cubic.hpp"

namespace ff::tcp {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMss = 1000;

struct SlowStart {
  SlowStart() {
    window.mss = kMss;
    window.cwnd = 10 * kMss;
  }
  // A round trip in which ten segments are acknowledged one by one, all after `rtt`.
  void round(Duration rtt, int acks = 10) {
    for (int i = 0; i < acks && window.in_slow_start(); ++i) {
      AckSample sample;
      sample.now = Instant(1s);
      sample.arrived = kMss;
      sample.rtt = rtt;
      sample.round_began = i == 0;
      grown = hystart.acknowledged(window, sample);
      window.cwnd += grown;
    }
  }
  HyStart hystart;
  CongestionWindow window;
  std::uint32_t grown = 0;  // by the last acknowledgement
};

TEST(HyStart, GrowsByAllThatArrivesWhileRoundTripsStayTheSame) {
  SlowStart s;
  for (int i = 0; i < 20; ++i) s.round(50ms);
  EXPECT_FALSE(s.hystart.conservative());
  EXPECT_EQ(s.window.cwnd, (10 + 200) * kMss);
}

// RttThresh is an eighth of the last round's shortest, but from 4 to 16 ms.
TEST(HyStart, LongerRoundTripsMakeItConservative) {
  const struct {
    Duration before, after;
    bool conservative;
  } cases[] = {
      {80ms, 80ms + 9999us, false}, {80ms, 90ms, true},   {8ms, 8ms + 3999us, false}, {8ms, 12ms, true},
      {400ms, 415ms, false},        {400ms, 416ms, true},
  };
  for (const auto& c : cases) {
    SlowStart s;
    s.round(c.before);
    s.round(c.after);
    EXPECT_EQ(s.hystart.conservative(), c.conservative) << (c.after - c.before).count();
    EXPECT_EQ(s.grown, c.conservative ? kMss / 4 : kMss);
  }
}

TEST(HyStart, SevenSamplesAreTooFew) {
  SlowStart s;
  s.round(50ms);
  s.round(100ms, 7);
  EXPECT_FALSE(s.hystart.conservative());
  s.round(100ms, 7);
  s.round(200ms, 8);
  EXPECT_TRUE(s.hystart.conservative());
}

// The shortest of a round counts: a queue that one segment met is none that lasts.
TEST(HyStart, OneShortRoundTripOfManyIsEnough) {
  SlowStart s;
  s.round(50ms);
  s.round(50ms, 1);
  for (int i = 0; i < 8; ++i) {
    AckSample sample;
    sample.arrived = kMss;
    sample.rtt = 90ms;
    (void)s.hystart.acknowledged(s.window, sample);
  }
  EXPECT_FALSE(s.hystart.conservative());
}

// The round in which it began counts, and four more: then slow start is over.
TEST(HyStart, ConservativeSlowStartLastsFiveRounds) {
  SlowStart s;
  s.round(50ms);
  for (int i = 0; i < 5; ++i) {
    s.round(60ms);
    EXPECT_TRUE(s.hystart.conservative());
    EXPECT_TRUE(s.window.in_slow_start()) << i;
  }
  s.round(60ms);
  EXPECT_FALSE(s.window.in_slow_start());
  EXPECT_EQ(s.window.ssthresh, s.window.cwnd);
}

TEST(HyStart, GoesOnAsBeforeWhenItWasJitter) {
  SlowStart s;
  s.round(50ms);
  s.round(60ms);
  s.round(60ms);
  EXPECT_TRUE(s.hystart.conservative());
  s.round(59ms);
  EXPECT_FALSE(s.hystart.conservative());
  EXPECT_EQ(s.grown, kMss);
  s.round(70ms);
  EXPECT_TRUE(s.hystart.conservative()) << "and may become conservative again";
}

TEST(HyStart, WithoutSamplesItIsSlowStart) {
  SlowStart s;
  for (int i = 0; i < 20; ++i) s.round(Duration::zero());
  EXPECT_FALSE(s.hystart.conservative());
}

// RFC 9406 §4.3: only where nothing is known of the path yet.
TEST(HyStart, IsForTheFirstSlowStartAlone) {
  for (const bool first : {true, false}) {
    Cubic cubic;
    CongestionWindow window;
    window.mss = kMss;
    window.cwnd = 10 * kMss;
    if (!first) window.ssthresh = 1000 * kMss;
    Duration rtt = 50ms;
    for (int round = 0; round < 8; ++round, rtt += 20ms) {
      for (int i = 0; i < 10; ++i) {
        AckSample sample;
        sample.now = Instant(1h);
        sample.arrived = kMss;
        sample.rtt = sample.srtt = sample.min_rtt = rtt;
        sample.round_began = i == 0;
        sample.window_limited = true;
        cubic.acknowledged(window, sample);
      }
    }
    EXPECT_EQ(window.in_slow_start(), !first);
    if (!first) {
      EXPECT_EQ(window.cwnd, 90 * kMss);
    }
  }
}

// A round trip of 40 ms, of which so much is filled with acknowledgements that are `spacing` apart.
void train(SlowStart& s, Duration length, Duration spacing, std::uint64_t pacing_rate = 0) {
  s.window.cwnd = 50 * kMss;
  s.window.pacing_rate = pacing_rate;
  for (Duration at{}; at <= length && s.window.in_slow_start(); at += spacing) {
    AckSample sample;
    sample.now = Instant(1s) + at;
    sample.arrived = kMss;
    sample.min_rtt = 40ms;
    sample.round_began = at == Duration::zero();
    s.window.cwnd += s.hystart.acknowledged(s.window, sample);
  }
}

TEST(HyStart, ATrainOfHalfARoundTripFillsThePath) {
  for (const Duration spacing : {100us, 500us, 2000us}) {
    SlowStart full, half_full;
    train(full, 22ms, spacing);
    EXPECT_EQ(full.window.ssthresh, full.window.cwnd) << spacing.count();
    train(half_full, 20ms, spacing);
    EXPECT_TRUE(half_full.window.in_slow_start()) << spacing.count();
  }
}

TEST(HyStart, AcknowledgementsFarApartAreNoTrain) {
  SlowStart s;
  train(s, 40ms, 2001us);
  EXPECT_TRUE(s.window.in_slow_start());
}

TEST(HyStart, APacedTrainMustBeTwiceAsLong) {
  SlowStart shorter, longer;
  train(shorter, 40ms, 1ms, 1'000'000);
  EXPECT_TRUE(shorter.window.in_slow_start());
  train(longer, 42ms, 1ms, 1'000'000);
  EXPECT_FALSE(longer.window.in_slow_start());
}

TEST(HyStart, ASmallWindowIsNoTrain) {
  SlowStart s;
  for (Duration at{}; at <= 30ms; at += 2ms) {
    AckSample sample;
    sample.now = Instant(1s) + at;
    sample.arrived = kMss;
    sample.min_rtt = 40ms;
    sample.round_began = at == Duration::zero();
    (void)s.hystart.acknowledged(s.window, sample);
    s.window.cwnd = 15 * kMss;
  }
  EXPECT_TRUE(s.window.in_slow_start());
}

}  // namespace
}  // namespace ff::tcp
