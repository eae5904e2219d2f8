#include <gtest/gtest.h>

#include "cli/ping_report.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using Answer = PingStatistics::Answer;

TEST(PingReport, RoundTripsHaveThreeDigits) {
  EXPECT_EQ(format_round_trip(213us), "0.213");
  EXPECT_EQ(format_round_trip(2134us), "2.13");
  EXPECT_EQ(format_round_trip(21340us), "21.3");
  EXPECT_EQ(format_round_trip(213999us), "213");
}

TEST(PingReport, SummaryOfAllThatCanHappen) {
  PingStatistics statistics;
  Instant now{100s};
  Duration time{};
  for (int i = 0; i < 3; ++i) statistics.sent(now);
  EXPECT_EQ(statistics.received(now + 1ms, 1, time), Answer::Reply);
  EXPECT_EQ(time, 1ms);
  EXPECT_EQ(statistics.received(now + 2ms, 1, time), Answer::Duplicate);
  EXPECT_EQ(statistics.received(now + 3ms, 3, time), Answer::Reply);
  EXPECT_EQ(statistics.received(now + 3ms, 4, time), Answer::Unknown);
  EXPECT_EQ(statistics.received(now + 3ms, 0, time), Answer::Unknown);
  statistics.failed();
  EXPECT_EQ(statistics.summary("host", 2004ms),
            "\n--- host ping statistics ---\n"
            "3 packets transmitted, 2 received, +1 duplicates, +1 errors, 33.3333% packet loss, time 2004ms\n"
            "rtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms\n");
}

TEST(PingReport, SummaryOfNothing) {
  PingStatistics statistics;
  EXPECT_EQ(statistics.summary("h", 0ms), "\n--- h ping statistics ---\n0 packets transmitted, 0 received\n\n");
  statistics.sent(Instant{});
  EXPECT_EQ(statistics.summary("h", 0ms),
            "\n--- h ping statistics ---\n1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n");
}

// On the wire numbers are cut to 16 bits.
TEST(PingReport, SequenceNumbersWrap) {
  PingStatistics statistics;
  Duration time{};
  for (std::int64_t i = 0; i < 65540; ++i) statistics.sent(Instant{Duration(i)});
  EXPECT_EQ(statistics.received(Instant{Duration(70000)}, 3, time), Answer::Reply);
  EXPECT_EQ(time, Duration(70000 - 65538));
  EXPECT_EQ(statistics.received(Instant{Duration(70000)}, 65535, time), Answer::Reply);
  EXPECT_EQ(statistics.received(Instant{Duration(70000)}, 65535, time), Answer::Duplicate);
  EXPECT_EQ(statistics.received(Instant{Duration(70000)}, 0, time), Answer::Reply);  // number 65536
}

TEST(PingReport, ErrorsInPingsWords) {
  DatagramError error;
  error.type = 3, error.code = 1;
  EXPECT_EQ(describe_icmp_error(error, true), "Destination Host Unreachable");
  error.code = 4, error.mtu = 1300;
  EXPECT_EQ(describe_icmp_error(error, true), "Frag needed and DF set (mtu = 1300)");
  error.type = 11, error.code = 0;
  EXPECT_EQ(describe_icmp_error(error, true), "Time to live exceeded");
  error.type = 1, error.code = 3;
  EXPECT_EQ(describe_icmp_error(error, false), "Destination unreachable: Address unreachable");
  error.type = 2;
  EXPECT_EQ(describe_icmp_error(error, false), "Packet too big: mtu=1300");
  error.type = 0;
  error.error = Error::MessageTooLong;
  EXPECT_EQ(describe_icmp_error(error, true), "message too long");
}

}  // namespace
}  // namespace ff::cli
