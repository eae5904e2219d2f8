// Counters in the forms of /proc/net and of Prometheus (H2).
#include "firstflight/counter_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>

namespace ff {
namespace {

using testing::HasSubstr;

// As node_exporter, nstat and netstat read them: a line of names, then a line of as many values.
std::map<std::string, std::string> read_pairs(const std::string& text) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  for (std::string names, numbers; std::getline(lines, names) && std::getline(lines, numbers);) {
    std::istringstream name(names), number(numbers);
    std::string group, same_group, n, v;
    name >> group;
    number >> same_group;
    EXPECT_EQ(group, same_group);
    while (name >> n) {
      EXPECT_TRUE(number >> v) << "a value for " << n;
      EXPECT_TRUE(values.emplace(group + n, v).second) << n << " stands there twice";
    }
    EXPECT_FALSE(number >> v) << "no more values than names";
  }
  return values;
}

TEST(CounterText, HasTheFormOfProcNetSnmp) {
  Counters counters;
  counters.add(Counter::Tcp_ActiveOpens, 7);
  counters.add(Counter::TcpExt_TW, 1);
  const auto snmp = read_pairs(proc_net_snmp(counters, Settings{}));
  EXPECT_EQ(snmp.at("Tcp:ActiveOpens"), "7");
  EXPECT_EQ(snmp.at("Tcp:RtoMin"), "200");
  EXPECT_EQ(snmp.at("Ip:DefaultTTL"), "64");
  EXPECT_EQ(read_pairs(proc_net_netstat(counters)).at("TcpExt:TW"), "1");
}

// Every counter stands in exactly one of the files.
TEST(CounterText, LeavesNothingOut) {
  Counters counters;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i)
    counters.add(static_cast<Counter>(i), 1000 + i);
  const std::string all = proc_net_snmp(counters, Settings{}) + proc_net_snmp6(counters) + proc_net_netstat(counters);
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i) {
    std::size_t times = 0;
    std::istringstream words(all);
    for (std::string word; words >> word;) times += word == std::to_string(1000 + i) ? 1 : 0;
    EXPECT_EQ(times, 1u) << group_of(static_cast<Counter>(i)) << " " << name_of(static_cast<Counter>(i));
  }
}

TEST(CounterText, HasTheFormOfPrometheus) {
  Counters counters;
  counters.add(Counter::Tcp_CurrEstab, 2);
  counters.drop(DropReason::TcpChecksum);
  counters.end(FastOpenOutcome::Accepted);
  const std::string text = prometheus_text(counters);
  EXPECT_THAT(text, HasSubstr("# TYPE firstflight_Tcp_CurrEstab gauge\nfirstflight_Tcp_CurrEstab 2\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE firstflight_Tcp_InSegs counter\nfirstflight_Tcp_InSegs 0\n"));
  EXPECT_THAT(text, HasSubstr("firstflight_drops_total{reason=\"TcpChecksum\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("firstflight_fast_open_total{outcome=\"Accepted\"} 1\n"));
  // Every sample belongs to a metric that was announced, once.
  std::set<std::string> announced;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, second, third;
    words >> first >> second >> third;
    if (second == "TYPE") {
      EXPECT_TRUE(announced.insert(third).second) << third;
    } else if (first != "#") {
      EXPECT_TRUE(announced.contains(first.substr(0, first.find('{')))) << line;
    }
  }
}

}  // namespace
}  // namespace ff
