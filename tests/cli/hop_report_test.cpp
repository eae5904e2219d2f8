#include "cli/hop_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

IpAddress hop_address(int hop) { return IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(hop)); }

// Plays rounds over a path of so many hops; `answers` says whether hop N answers in round R.
class Path {
 public:
  explicit Path(std::uint8_t length) : length_(length) {}
  template <typename F>
  void round(int number, F&& answers) {
    for (std::uint8_t ttl = 1; ttl <= table.reach(); ++ttl) {
      const std::uint16_t sequence = table.sent(now_, ttl);
      const std::uint8_t hop = std::min(ttl, length_);
      if (answers(hop, number)) table.answered(now_ + hop * 10ms, sequence, hop_address(hop), hop == length_);
      now_ += 100ms;
    }
  }
  HopTable table;

 private:
  std::uint8_t length_;
  Instant now_{100s};
};

TEST(HopTable, GoesAsFarAsTheDestinationAndNoFurther) {
  Path path(3);
  EXPECT_EQ(path.table.reach(), HopTable::kPatience);
  for (int i = 0; i < 10; ++i) path.round(i, [](int, int) { return true; });
  EXPECT_EQ(path.table.reach(), 3);
  EXPECT_TRUE(path.table.reached());
  const auto hops = path.table.hops();
  ASSERT_EQ(hops.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(hops[i].sent, 10u);
    EXPECT_EQ(hops[i].lost(), 0u);
    EXPECT_EQ(hops[i].routers, std::vector<IpAddress>{hop_address(static_cast<int>(i) + 1)});
    EXPECT_EQ(hops[i].best, static_cast<std::int64_t>(i + 1) * 10ms);
  }
  EXPECT_THAT(hop_report("there", path.table), HasSubstr("No packet to there got lost.\n"));
  EXPECT_THAT(hop_report("there", path.table), Not(HasSubstr("limits")));
}

TEST(HopTable, FollowsALongPathStepByStep) {
  Path path(20);
  for (int i = 0; i < 10; ++i) path.round(i, [](int, int) { return true; });
  EXPECT_TRUE(path.table.reached());
  EXPECT_EQ(path.table.hops().size(), 20u);
}

TEST(HopTable, SaysWhereTheLossBegins) {
  Path path(4);
  // Hop 3 and all behind it lose every second packet, hop 1 says little.
  for (int i = 0; i < 10; ++i)
    path.round(i, [](int hop, int round) { return hop >= 3 ? round % 2 == 0 : (hop != 1 || round % 5 == 0); });
  const std::string report = hop_report("there", path.table);
  EXPECT_THAT(report, HasSubstr("5 of 10 packets to there got no answer; the loss begins at hop 3.\n"));
  EXPECT_THAT(report,
              HasSubstr("  1  10.0.0.1          80.0%     10      10.0    10.000      10.0      10.0     0.000\n"));
  const auto json = nlohmann::json::parse(hop_json("there", path.table));
  EXPECT_EQ(json["loss_begins_at_hop"], 3);
  EXPECT_EQ(json["hops"][0]["loss_percent"], 80.0);
  EXPECT_EQ(json["hops"][3]["answered"], 5);
}

// A router that speaks seldom, or not at all, is no place where packets get lost.
TEST(HopTable, ASilentRouterIsNoLoss) {
  Path path(3);
  for (int i = 0; i < 10; ++i) path.round(i, [](int hop, int) { return hop != 2; });
  const std::string report = hop_report("there", path.table);
  EXPECT_THAT(report, HasSubstr("No packet to there got lost.\nA router that answers less often"));
  EXPECT_THAT(report, HasSubstr("  2  *                100.0%     10\n"));
}

TEST(HopTable, WhoNeverAnswersIsNotReached) {
  Path path(6);
  for (int i = 0; i < 3; ++i) path.round(i, [](int hop, int) { return hop <= 2; });
  EXPECT_FALSE(path.table.reached());
  EXPECT_EQ(path.table.reach(), 2 + HopTable::kPatience);
  EXPECT_THAT(hop_report("there", path.table), HasSubstr("there did not answer; the last that did is hop 2.\n"));
  HopTable nobody;
  nobody.sent(Instant{1s}, 1);
  EXPECT_THAT(hop_report("there", nobody), HasSubstr("Nobody answered"));
}

TEST(HopTable, AnswersCountOnceAndOnlyToWhatWasSent) {
  HopTable table;
  const std::uint16_t sequence = table.sent(Instant{1s}, 1);
  EXPECT_FALSE(table.answered(Instant{2s}, static_cast<std::uint16_t>(sequence + 1), hop_address(1), false));
  EXPECT_TRUE(table.answered(Instant{2s}, sequence, hop_address(1), false));
  EXPECT_FALSE(table.answered(Instant{2s}, sequence, hop_address(1), false));
  EXPECT_EQ(table.hops().at(0).answered, 1u);
  EXPECT_EQ(table.under_way(), 0u);
}

TEST(HopTable, APathThatIsSplitShowsBothRouters) {
  HopTable table;
  for (const int router : {7, 8, 7})
    table.answered(Instant{2s}, table.sent(Instant{1s}, 1), hop_address(router), false);
  EXPECT_EQ(table.hops().at(0).routers.size(), 2u);
  EXPECT_THAT(hop_report("there", table), HasSubstr("\n     10.0.0.8\n"));
}

}  // namespace
}  // namespace ff::cli
