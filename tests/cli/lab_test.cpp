#include "lab/lab.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "cli/lab_report.hpp"

namespace ff::cli {
namespace {

using lab::play;
using lab::Scenario;
using lab::scenarios;
using lab::Wishes;
using testing::HasSubstr;
using testing::Not;

const Scenario& scenario(const std::string& name) {
  const auto found = std::ranges::find(scenarios(), name, &Scenario::name);
  if (found == scenarios().end()) throw std::invalid_argument(name);
  return *found;
}

std::string failures(const lab::Outcome& outcome) {
  std::string text;
  for (const lab::Remark& remark : outcome.story)
    if (remark.kind == lab::Remark::Kind::Failed) text += remark.text + '\n';
  return text.empty() ? "nothing was checked" : text;
}

void expect_right(const Scenario& one, const Wishes& wishes) {
  const lab::Outcome outcome = play(one, wishes);
  EXPECT_TRUE(outcome.as_it_should_be())
      << one.name << (wishes.v6 ? " over IPv6" : "")
      << (wishes.set.empty() ? "" : " with " + wishes.set.front().first + "=" + wishes.set.front().second) << ":\n"
      << failures(outcome);
}

TEST(LabScenarios, EachIsAsItShouldBeUnderEachOfItsVariants) {
  for (const Scenario& one : scenarios()) {
    for (const bool v6 : {false, true}) expect_right(one, {.set = {}, .v6 = v6});
    for (const lab::Knob& knob : one.knobs)
      for (const std::string& value : knob.values) {
        ASSERT_EQ(lab::why_not(one, knob.name, value), std::nullopt) << one.name;
        expect_right(one, {.set = {{knob.name, value}}});
      }
  }
}

TEST(LabScenarios, EachIsAsItShouldBeWithOtherRandomNumbers) {
  for (const Scenario& one : scenarios())
    for (const std::uint64_t seed : {2u, 77u}) expect_right(one, {.set = {}, .seed = seed});
}

TEST(LabScenarios, AreTheSameEachTime) {
  for (const Scenario& one : scenarios()) {
    const lab::Outcome first = play(one), second = play(one);
    ASSERT_EQ(first.packets.size(), second.packets.size()) << one.name;
    for (std::size_t i = 0; i < first.packets.size(); ++i)
      ASSERT_EQ(first.packets[i].bytes.text(), second.packets[i].bytes.text()) << one.name << ", packet " << i;
  }
}

TEST(LabScenarios, HaveNamesAndSomethingToLearn) {
  std::set<std::string> names;
  for (const Scenario& one : scenarios()) {
    EXPECT_TRUE(names.insert(one.name).second) << one.name;
    EXPECT_FALSE(one.ids.empty()) << one.name;
    EXPECT_GT(std::ranges::count(one.lesson, '.'), 1) << one.name << " says too little";
    EXPECT_LT(one.summary.size(), 100u) << one.name;
    EXPECT_FALSE(play(one).story.empty()) << one.name;
  }
}

// docs/features.md says what works; what works can be seen. (Recovery and congestion, D, are not shown yet, and A16 is
// not for simulated hosts.)
TEST(LabScenarios, ShowEveryBehaviourThatIsSaidToWork) {
  std::set<std::string> shown;
  for (const Scenario& one : scenarios()) shown.insert(one.ids.begin(), one.ids.end());
  std::ifstream table(FF_FEATURES);
  const std::regex row(R"(\| ([ABCEFGHIJ]\d+) \|[^|]*\| works \|.*)");
  std::size_t rows = 0;
  for (std::string line; std::getline(table, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row) || match[1] == "A16") continue;
    ++rows;
    EXPECT_TRUE(shown.contains(match[1])) << match[1] << " works, and no scenario shows it";
  }
  EXPECT_GT(rows, 20u);
}

// What a scenario says of this stack can be wrong: with a setting that it does not expect, it notices.
TEST(LabScenarios, CanFail) {
  const auto wrong = [](const std::string& name, const std::string& setting, const std::string& value) {
    EXPECT_FALSE(play(scenario(name), {.set = {{setting, value}}}).as_it_should_be()) << name;
  };
  wrong("challenge-ack-limit", "tcp_challenge_ack_limit", "0");
  wrong("accept-queue-overflow", "somaxconn", "1");
  wrong("maximum-segment-size", "tcp_mtu_probing", "2");
}

TEST(LabScenarios, AnOutcomeWithoutAnyCheckIsNotAsItShouldBe) {
  lab::Outcome outcome;
  EXPECT_FALSE(outcome.as_it_should_be());
  outcome.story.push_back({.kind = lab::Remark::Kind::Said, .text = "hello"});
  EXPECT_FALSE(outcome.as_it_should_be());
}

TEST(LabScenarios, ASettingIsForBothHostsUnlessOneIsNamed) {
  const Scenario& one = scenario("accept-queue-overflow");
  EXPECT_EQ(lab::why_not(one, "server.tcp_abort_on_overflow", "1"), std::nullopt);
  EXPECT_THAT(lab::why_not(one, "tcp_abort_on_overflow", "2").value_or(""), HasSubstr("0 (off) or 1 (on)"));
  EXPECT_THAT(lab::why_not(one, "tcp_abort_on_overflw", "1").value_or(""), HasSubstr("tcp_abort_on_overflow"));
  const auto value_with = [&](const std::string& name) {
    for (const lab::SettingUsed& used : play(one, {.set = {{name, "1"}}}).settings)
      if (used.name == "net.ipv4.tcp_abort_on_overflow") return used.value;
    return std::string("not used");
  };
  EXPECT_EQ(value_with("tcp_abort_on_overflow"), "1");
  EXPECT_EQ(value_with("server.net.ipv4.tcp_abort_on_overflow"), "1");
  EXPECT_EQ(value_with("client.tcp_abort_on_overflow"), "0");
}

TEST(LabReport, SaysWhatHappenedAndWhatHadAPart) {
  LabRun run{.scenario = &scenario("accept-queue-overflow"), .wishes = {.set = {{"tcp_abort_on_overflow", "1"}}}};
  run.outcome = play(*run.scenario, run.wishes);
  const std::string text = lab_report(run, {.width = 100, .unicode = false});
  EXPECT_THAT(text, HasSubstr("#4 RST"));
  EXPECT_THAT(text, HasSubstr("+ what the fourth client is told: ECONNRESET"));
  EXPECT_THAT(text, HasSubstr("server  net.ipv4.tcp_abort_on_overflow = 1"));
  EXPECT_THAT(text, HasSubstr("server  TcpExt ListenOverflows 1"));
  EXPECT_THAT(text, HasSubstr("As it should be."));
  run.outcome.story.push_back({.kind = lab::Remark::Kind::Failed, .text = "the moon is green"});
  EXPECT_THAT(lab_report(run, {.width = 100, .unicode = false}), HasSubstr("Not as it should be."));
  EXPECT_THAT(lab_line(run), HasSubstr("WRONG"));
  EXPECT_THAT(lab_line(run), HasSubstr("the moon is green"));
  EXPECT_THAT(lab_summary({run}), HasSubstr("1 scenarios, 0 as they should be, 1 not"));
}

TEST(LabReport, ShowsWhatGotLost) {
  LabRun run{.scenario = &scenario("syn-retries"), .wishes = {}};
  run.outcome = play(*run.scenario);
  EXPECT_THAT(lab_report(run, {.width = 100, .unicode = false}), HasSubstr("[lost: no cable]"));
}

TEST(LabReport, IsWellFormedAsJson) {
  LabRun run{.scenario = &scenario("three-way-handshake"), .wishes = {}};
  run.outcome = play(*run.scenario);
  const auto json = nlohmann::json::parse(lab_json(run));
  EXPECT_EQ(json["name"], "three-way-handshake");
  EXPECT_EQ(json["as_it_should_be"], true);
  EXPECT_EQ(json["packets"].size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(lab_list_json(scenarios())).size(), scenarios().size());
}

}  // namespace
}  // namespace ff::cli
