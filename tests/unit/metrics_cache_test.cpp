// What is remembered of paths: how it follows from one connection to the next, and how much of it there may be.
#include "tcp/metrics_cache.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace ff::tcp {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1000s};

AddressPair to(std::uint32_t host) {
  std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
  std::memcpy(bytes.data() + 12, &host, sizeof host);
  return {*IpAddress::parse("2001:db8:ffff::1"), IpAddress::v6(bytes)};
}
MetricsCache cache_with_a_key() { return MetricsCache(SipHashKey{{1, 2, 3}}); }

TcpMetrics after(const TcpMetrics& known, const LastWords& last, bool keep_ssthresh = false) {
  TcpMetrics now = known;
  learn(now, last, keep_ssthresh);
  return now;
}

TEST(Metrics, TheFirstConnectionTellsWhatItFound) {
  const TcpMetrics known = after({}, {.rtt = 80ms, .rttvar = 10ms, .cwnd = 30});
  EXPECT_EQ(known.rtt, 80ms);
  EXPECT_EQ(known.rttvar, 80ms) << "as much as is known of it: nothing";
  EXPECT_EQ(known.cwnd, 30u);
  EXPECT_EQ(known.ssthresh, 0u);
  EXPECT_EQ(known.reordering, 0u);
}

TEST(Metrics, ALongerTimeCountsAtOnceAShorterOneByAndBy) {
  const TcpMetrics known{.rtt = 80ms, .rttvar = 40ms};
  const TcpMetrics longer = after(known, {.rtt = 200ms, .rttvar = 5ms});
  EXPECT_EQ(longer.rtt, 200ms);
  EXPECT_EQ(longer.rttvar, 120ms) << "the distance";
  const TcpMetrics shorter = after(known, {.rtt = 72ms, .rttvar = 4ms});
  EXPECT_EQ(shorter.rtt, 79ms);
  EXPECT_EQ(shorter.rttvar, 32ms) << "a quarter of the way to the distance";
  EXPECT_EQ(after(known, {.rtt = 80ms, .rttvar = 44ms}).rttvar, 44ms);
}

TEST(Metrics, TheFirstSlowStartSaysHowMuchThePathCarriesAtLeast) {
  const TcpMetrics known{.cwnd = 20, .ssthresh = 30};
  EXPECT_EQ(after(known, {.cwnd = 15}).cwnd, 20u);
  EXPECT_EQ(after(known, {.cwnd = 50}).cwnd, 50u);
  EXPECT_EQ(after(known, {.cwnd = 50}).ssthresh, 30u) << "half of 50 is less";
  EXPECT_EQ(after(known, {.cwnd = 80}).ssthresh, 40u);
  EXPECT_EQ(after({.cwnd = 20}, {.cwnd = 80}).ssthresh, 0u) << "nobody has met a bound";
}

TEST(Metrics, CongestionAvoidanceKnowsTheWindow) {
  const TcpMetrics known = after({.cwnd = 20, .ssthresh = 90}, {.cwnd = 40, .ssthresh = 12, .steady = true});
  EXPECT_EQ(known.cwnd, 30u);
  EXPECT_EQ(known.ssthresh, 20u) << "half of the window is more than where slow start ended";
  EXPECT_EQ(after({}, {.cwnd = 40, .ssthresh = 35, .steady = true}).ssthresh, 35u);
}

TEST(Metrics, AWindowUnderRepairSaysLittle) {
  const TcpMetrics known = after({.cwnd = 20, .ssthresh = 8}, {.cwnd = 3, .ssthresh = 10});
  EXPECT_EQ(known.cwnd, 15u);
  EXPECT_EQ(known.ssthresh, 10u);
  EXPECT_EQ(after({.cwnd = 20, .ssthresh = 12}, {.cwnd = 3, .ssthresh = 10}).ssthresh, 12u);
  EXPECT_EQ(after({.cwnd = 20}, {.cwnd = 3, .ssthresh = 10}).ssthresh, 0u);
}

TEST(Metrics, TheThresholdMayBeLeftOut) {
  const LastWords last{.cwnd = 40, .ssthresh = 35, .steady = true};
  EXPECT_EQ(after({.ssthresh = 7}, last, true).ssthresh, 7u);
  EXPECT_EQ(after({.ssthresh = 7}, last, true).cwnd, 20u);
}

TEST(Metrics, TheWorstReorderingIsExpected) {
  EXPECT_EQ(after({.reordering = 5}, {.reordering = 9}).reordering, 9u);
  EXPECT_EQ(after({.reordering = 9}, {.reordering = 0}).reordering, 9u);
}

TEST(MetricsCache, KnowsPairsOfAddresses) {
  MetricsCache cache = cache_with_a_key();
  cache.entry_of(to(1), kStart).rtt = 1ms;
  cache.entry_of(to(2), kStart).rtt = 2ms;
  cache.entry_of({to(1).destination, to(1).source}, kStart).rtt = 3ms;
  ASSERT_NE(cache.use(to(1), kStart), nullptr);
  EXPECT_EQ(cache.use(to(1), kStart)->rtt, 1ms);
  EXPECT_EQ(cache.entry_of(to(2), kStart).rtt, 2ms);
  EXPECT_EQ(cache.use(to(3), kStart), nullptr);
  EXPECT_EQ(cache.entries(kStart).size(), 3u);
  cache.clear();
  EXPECT_EQ(cache.use(to(1), kStart), nullptr);
  EXPECT_TRUE(cache.entries(kStart).empty());
}

TEST(MetricsCache, ForgetsWhatIsAnHourOld) {
  MetricsCache cache = cache_with_a_key();
  cache.entry_of(to(1), kStart).rtt = 1ms;
  EXPECT_NE(cache.use(to(1), kStart + 1h - 1ns), nullptr);
  EXPECT_EQ(cache.entries(kStart + 1h).size(), 0u);
  EXPECT_EQ(cache.entry_of(to(1), kStart + 1h).rtt, 0ms) << "a new one";
  EXPECT_EQ(cache.use(to(1), kStart + 2h), nullptr);
}

// Whoever can make connections from a million addresses.
TEST(MetricsCache, AMillionDestinationsDoNotGrowIt) {
  MetricsCache cache = cache_with_a_key();
  constexpr std::uint32_t kFriend = 2'000'000;
  cache.entry_of(to(kFriend), kStart).rtt = 7ms;
  for (std::uint32_t host = 0; host < 1'000'000; ++host) {
    cache.entry_of(to(host), kStart).rtt = 1ms;
    if (host % 10'000 == 0) {
      ASSERT_NE(cache.use(to(kFriend), kStart), nullptr) << host;
    }
  }
  EXPECT_EQ(cache.entries(kStart).size(), MetricsCache::kMost);
  EXPECT_EQ(cache.use(to(0), kStart), nullptr);
  EXPECT_NE(cache.use(to(999'999), kStart), nullptr);
  EXPECT_EQ(cache.use(to(kFriend), kStart)->rtt, 7ms) << "who comes again is not forgotten";
}

}  // namespace
}  // namespace ff::tcp
