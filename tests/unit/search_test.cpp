// Searching from a guess.
#include "base/search.hpp"

#include <gtest/gtest.h>

#include <bit>

namespace ff {
namespace {

TEST(FirstWhere, FindsItFromWhereverItBegins) {
  for (std::size_t size = 0; size <= 40; ++size) {
    for (std::size_t answer = 0; answer <= size; ++answer) {
      for (std::size_t near = 0; near <= size + 3; ++near) {
        const std::size_t found = first_where(size, near, [&](std::size_t i) {
          EXPECT_LT(i, size);
          return i >= answer;
        });
        EXPECT_EQ(found, answer) << size << ' ' << near;
      }
    }
  }
}

TEST(FirstWhere, IsQuickWhereTheGuessIsGood) {
  constexpr std::size_t kSize = 1'000'000, kNear = 600'000;
  for (const std::size_t distance : {0, 1, 10, 1000, 100'000}) {
    for (const std::size_t answer : {kNear - distance, kNear + distance}) {
      std::size_t steps = 0;
      EXPECT_EQ(first_where(kSize, kNear, [&](std::size_t i) { return ++steps, i >= answer; }), answer);
      EXPECT_LE(steps, 3 + 2 * static_cast<std::size_t>(std::bit_width(distance))) << distance;
    }
  }
}

}  // namespace
}  // namespace ff
