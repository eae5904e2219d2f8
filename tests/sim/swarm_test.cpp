// FF_SWARM_SEEDS=n tries that many seeds instead of 200, from FF_SWARM_FIRST (1) on. FF_SWARM_SEED=n tries that one,
// and says what it picked; FF_SWARM_PCAP=FILE then records its packets.
#include "sim/swarm.hpp"

#include <errno.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace ff::sim {
namespace {

using ::testing::HasSubstr;

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string how_to_replay(std::uint64_t seed) {
  return fmt::format("replay: FF_SWARM_SEED={} {} --gtest_filter=Swarm.Seeds", seed, program_invocation_name);
}

TEST(Swarm, Seeds) {
  if (const std::uint64_t seed = number_from_environment("FF_SWARM_SEED", 0); seed != 0) {
    const char* capture = std::getenv("FF_SWARM_PCAP");
    const SwarmResult result = run_swarm({.seed = seed, .capture = capture == nullptr ? "" : capture});
    fmt::print("{}\n{} packets, {} steps\n", result.scenario, result.packets, result.steps);
    EXPECT_EQ(result.failure, "");
    return;
  }
  const std::uint64_t first = number_from_environment("FF_SWARM_FIRST", 1);
  const std::uint64_t count = number_from_environment("FF_SWARM_SEEDS", 200);
  SwarmResult sum;
  int failures = 0;
  for (std::uint64_t seed = first; seed < first + count && failures < 10; ++seed) {
    const SwarmResult result = run_swarm({.seed = seed});
    if (!result.failure.empty()) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << ": " << result.failure << "\n" << how_to_replay(seed);
    }
    sum.packets += result.packets;
    sum.conversations += result.conversations;
    sum.by_fast_open += result.by_fast_open;
  }
  fmt::print("seeds {} to {}: {} conversations, {} of them by Fast Open, {} packets\n", first, first + count - 1,
             sum.conversations, sum.by_fast_open, sum.packets);
  // Or the swarm would not be testing what it is for.
  EXPECT_TRUE(count < 100 || sum.by_fast_open > sum.conversations / 20);
}

TEST(Swarm, TheSameSeedDoesTheSame) {
  const SwarmResult a = run_swarm({.seed = 3});
  const SwarmResult b = run_swarm({.seed = 3});
  EXPECT_EQ(a.scenario, b.scenario);
  EXPECT_EQ(a.packets, b.packets);
  EXPECT_EQ(a.steps, b.steps);
}

TEST(Swarm, NoticesAChangedByte) {
  EXPECT_THAT(run_swarm({.seed = 1, .sabotage = Sabotage::ChangeAByte}).failure, HasSubstr("wrong byte"));
}

TEST(Swarm, NoticesALostByte) { EXPECT_NE(run_swarm({.seed = 1, .sabotage = Sabotage::LoseAByte}).failure, ""); }

TEST(Swarm, NoticesALeakedSocket) {
  EXPECT_THAT(run_swarm({.seed = 1, .sabotage = Sabotage::LeakASocket}).failure, HasSubstr("left over"));
}

}  // namespace
}  // namespace ff::sim
