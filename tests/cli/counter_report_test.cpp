// `ff netstat -s` and `ff nstat`: words, names and history.
#include "cli/counter_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/nstat_history.hpp"
#include "firstflight/counters.hpp"

namespace ff::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<NamedCount> counts(const Counters& counters) { return counts_of(control::encode(counters)); }

TEST(NetstatReport, HasTheWordsOfNetstat) {
  Counters counters;
  counters.add(Counter::Tcp_ActiveOpens, 3);
  counters.add(Counter::TcpExt_TCPPureAcks, 5);
  counters.add(Counter::TcpExt_TCPOrigDataSent, 2);
  counters.add(Counter::Icmp_InEchos, 4);
  const std::string report = netstat_report(counts(counters), {});
  EXPECT_THAT(report, HasSubstr("Tcp:\n    3 active connection openings\n    0 passive connection openings\n"));
  EXPECT_THAT(report, HasSubstr("    5 acknowledgments not containing data payload received\n"));
  EXPECT_THAT(report, HasSubstr("    TCPOrigDataSent: 2\n"));
  EXPECT_THAT(report, HasSubstr("    ICMP input histogram:\n        echo requests: 4\n"));
  EXPECT_THAT(report, Not(HasSubstr("delayed acks sent"))) << "none were";
}

TEST(NetstatReport, TellsDropsAndFastOpen) {
  Counters counters;
  counters.drop(DropReason::TcpChecksum);
  counters.end(FastOpenOutcome::CookieRefused);
  const std::string report = netstat_report(counts(counters), {});
  EXPECT_THAT(report, HasSubstr("Drops:\n    TcpChecksum: 1 (wrong TCP checksum)\nFastOpen:\n    CookieRefused: 1\n"));
}

TEST(NetstatReport, LimitsItselfToWhatIsWanted) {
  const std::string report = netstat_report(counts(Counters{}), {"Tcp", "TcpExt"});
  EXPECT_THAT(report, testing::StartsWith("Tcp:\n"));
  EXPECT_THAT(report, HasSubstr("\nTcpExt:\n"));
  EXPECT_THAT(report, Not(HasSubstr("Udp")));
}

TEST(NstatNames, AreLinuxsAndTellOursApart) {
  EXPECT_EQ(nstat_name({"Tcp", "ActiveOpens", 0}), "TcpActiveOpens");
  EXPECT_EQ(nstat_name({"TcpExt", "TW", 0}), "TcpExtTW");
  EXPECT_EQ(nstat_name({"drops", "TcpChecksum", 0}), "DropTcpChecksum");
  EXPECT_EQ(nstat_name({"fast_open", "Accepted", 0}), "FastOpenAccepted");
}

TEST(NstatHistory, TellsWhatWasCountedSince) {
  NstatHistory history = NstatHistory::parse("");
  std::vector<NamedCount> now{{"Tcp", "InSegs", 10}, {"Tcp", "CurrEstab", 2}};
  EXPECT_EQ(history.since("a", now)[0].value, 10u) << "never asked before";
  history.remember("a", now);
  history = NstatHistory::parse(history.to_text());
  now[0].value = 15;
  EXPECT_EQ(history.since("a", now)[0].value, 5u);
  EXPECT_EQ(history.since("a", now)[1].value, 2u) << "a gauge is told as it is";
  EXPECT_EQ(history.since("b", now)[0].value, 15u) << "another stack";
  history.forget("a");
  EXPECT_EQ(history.since("a", now)[0].value, 15u);
}

TEST(NstatHistory, SurvivesAnyFile) {
  const std::vector<NamedCount> now{{"Tcp", "InSegs", 10}};
  for (const char* text : {"x", "[]", "{\"a\": 3}", "{\"a\": {\"TcpInSegs\": -1}}", "{\"a\": {\"TcpInSegs\": 11}}"})
    EXPECT_EQ(NstatHistory::parse(text).since("a", now)[0].value, 10u) << text;
}

TEST(NstatHistory, IsBounded) {
  NstatHistory history;
  const std::vector<NamedCount> now{{"Tcp", "InSegs", 10}};
  for (int i = 0; i < 100; ++i) history.remember("stack " + std::to_string(i), now);
  EXPECT_EQ(history.since("stack 99", now)[0].value, 0u);
  EXPECT_EQ(history.since("stack 92", now)[0].value, 0u);
  EXPECT_EQ(history.since("stack 91", now)[0].value, 10u);
  EXPECT_LT(history.to_text().size(), 400u);
}

}  // namespace
}  // namespace ff::cli
