#include "cli/demo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/netns.hpp"

namespace ff::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

DemoVisit visit(int number, bool fast_open, std::uint32_t syn_data, double milliseconds) {
  DemoVisit visit;
  visit.client = "curl (Linux)";
  visit.server = "ff serve";
  visit.family = DemoFamily::V6;
  visit.fast_open = fast_open;
  visit.number = number;
  visit.milliseconds = milliseconds;
  visit.round_trips = milliseconds / 100;
  visit.packets.syn_data = syn_data;
  visit.counted = syn_data > 0;
  visit.witness = visit.counted ? "TCPFastOpenActive +1" : "nothing";
  return visit;
}

DemoResult result() {
  DemoResult result;
  result.peer = "Linux";
  result.round_trip = 100;
  result.visits = {visit(1, true, 0, 200.84), visit(2, true, 74, 100.36)};
  return result;
}

TEST(DemoReport, JsonHasExactlyTheFieldsOfTheTable) {
  const auto rows = nlohmann::json::parse(demo_json(result()));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0], nlohmann::json::parse(R"json({"client": "curl (Linux)", "server": "ff serve", "family": 6,
      "fast_open": true, "visit": 1, "data_in_syn": false, "round_trips": 2.0, "ms": 200.8, "witness": "nothing"
})json"));
  EXPECT_EQ(rows[1], nlohmann::json::parse(R"json({"client": "curl (Linux)", "server": "ff serve", "family": 6,
      "fast_open": true, "visit": 2, "data_in_syn": true, "round_trips": 1.0, "ms": 100.4,
      "witness": "TCPFastOpenActive +1"
})json"));
}

TEST(DemoReport, TableAndSummarySayWhatWasMeasured) {
  const DemoResult measured = result();
  EXPECT_THAT(demo_table(measured), HasSubstr("74 bytes             1.0  100.4  TCPFastOpenActive +1"));
  EXPECT_THAT(demo_summary(measured), HasSubstr("1.0 round trips saved"));
}

TEST(DemoReport, ASavingThatWasNotMeasuredIsNotClaimed) {
  DemoResult measured = result();
  measured.visits.pop_back();
  EXPECT_THAT(demo_summary(measured), Not(HasSubstr("saved")));
}

TEST(DemoVisit, TheWitnessMustCountDataExactlyWhenThereIsSome) {
  DemoVisit one = visit(2, true, 74, 100);
  EXPECT_TRUE(one.witness_agrees());
  one.counted = false;
  EXPECT_FALSE(one.witness_agrees());
  one.packets.syn_data = 0;
  EXPECT_TRUE(one.witness_agrees());
}

TEST(DemoSimulated, SavesExactlyOneRoundTripOnSecondVisits) {
  DemoOptions options;
  options.delay = std::chrono::milliseconds(35);
  const DemoResult simulated = run_demo_simulated(options);
  ASSERT_EQ(simulated.visits.size(), 16u);
  for (const DemoVisit& one : simulated.visits) {
    const bool fast = one.fast_open && one.number == 2;
    EXPECT_EQ(one.packets.syn_data > 0, fast);
    EXPECT_EQ(one.milliseconds, fast ? 70 : 140);
    EXPECT_TRUE(one.witness_agrees());
  }
}

TEST(DemoSimulated, IsTheSameEachTime) { EXPECT_EQ(run_demo_simulated({}).capture, run_demo_simulated({}).capture); }

TEST(Netstat, NamesAndValuesStandInPairsOfLines) {
  const NamedCounters counters = parse_netstat(
      "TcpExt: SyncookiesSent TCPFastOpenActive TCPFastOpenPassive\nTcpExt: 0 12 18446744073709551615\n"
      "IpExt: InOctets\nIpExt: 7\n");
  EXPECT_EQ(counters.size(), 4u);
  EXPECT_EQ(counters.at("TCPFastOpenActive"), 12u);
  EXPECT_EQ(counters.at("TCPFastOpenPassive"), UINT64_MAX);
  EXPECT_EQ(counters.at("InOctets"), 7u);
}

TEST(Netstat, LinesThatDoNotMatchGiveWhatTheyHave) {
  EXPECT_EQ(parse_netstat("TcpExt: A B\nTcpExt: 1\n").size(), 1u);
  EXPECT_TRUE(parse_netstat("TcpExt: A\n").empty());
  EXPECT_TRUE(parse_netstat("").empty());
}

}  // namespace
}  // namespace ff::cli
