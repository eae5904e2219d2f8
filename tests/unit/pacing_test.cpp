#include "tcp/pacing.hpp"

#include <gtest/gtest.h>

namespace ff::tcp {
namespace {

using namespace std::chrono_literals;

TEST(Pacer, SpreadsWhatIsSent) {
  Pacer pacer;
  Instant now{1h};
  EXPECT_TRUE(pacer.may_send(now));
  pacer.sent(now, 1500, 1'000'000);
  EXPECT_FALSE(pacer.may_send(now));
  EXPECT_EQ(pacer.next(), now + 1500us);
  now += 1500us;
  EXPECT_TRUE(pacer.may_send(now));
  pacer.sent(now, 500, 1'000'000);
  EXPECT_EQ(pacer.next(), now + 500us);
}

// A timer that came too late does not lower the rate; a pause does not become a burst.
TEST(Pacer, MakesUpForBeingLateButNotForIdling) {
  Pacer pacer;
  Instant now{1h};
  pacer.sent(now, 1000, 1'000'000);
  now += 1200us;
  pacer.sent(now, 1000, 1'000'000);
  EXPECT_EQ(pacer.next(), now + 800us);
  now += 10s;
  pacer.sent(now, 1000, 1'000'000);
  EXPECT_EQ(pacer.next(), now + 500us);
}

TEST(Pacer, QuantumIsAMillisecondInWholeSegments) {
  EXPECT_EQ(Pacer::quantum(10'000'000, 1000), 10'000u);
  EXPECT_EQ(Pacer::quantum(10'000'000, 1448), 8688u);
  EXPECT_EQ(Pacer::quantum(1000, 1448), 2896u) << "two segments at least";
  EXPECT_EQ(Pacer::quantum(UINT64_MAX, 1448), 65160u) << "what fits into one super-segment at most";
}

}  // namespace
}  // namespace ff::tcp
