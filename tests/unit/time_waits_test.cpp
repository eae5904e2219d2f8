#include "stack/time_waits.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/random.hpp"
#include "firstflight/seed.hpp"

namespace ff {
namespace {

using namespace std::chrono_literals;

FourTuple tuple_of(std::uint32_t number) {
  const auto remote = IpAddress::v4(10, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                                    static_cast<std::uint8_t>(number));
  const auto own = IpAddress::v4(192, 0, 2, static_cast<std::uint8_t>(number % 3));
  return {{own, static_cast<std::uint16_t>(80 + number % 2)}, {remote, static_cast<std::uint16_t>(number)}};
}

TEST(TimeWaits, FindsWhatWasAddedAndNothingElse) {
  TimeWaits table{SipHashKey{}};
  EXPECT_FALSE(table.find(tuple_of(1)));
  for (std::uint32_t i = 0; i < 5000; ++i) table.add(tuple_of(i), {}, Instant(i * 1ms));
  EXPECT_EQ(table.size(), 5000u);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const auto found = table.find(tuple_of(i));
    ASSERT_TRUE(found);
    EXPECT_EQ(table.tuple(*found), tuple_of(i));
    EXPECT_EQ(table.ends_at(*found), Instant(i * 1ms));
  }
  EXPECT_FALSE(table.find(tuple_of(5000)));
  FourTuple other = tuple_of(1);
  other.local.port = 443;
  EXPECT_FALSE(table.find(other));
  other = tuple_of(1);
  other.local.address = IpAddress::v4(192, 0, 2, 77);
  EXPECT_FALSE(table.find(other));
}

TEST(TimeWaits, EndInTheOrderOfTheirEnds) {
  TimeWaits table{SipHashKey{}};
  EXPECT_EQ(table.next_end(), kNever);
  for (std::uint32_t i = 0; i < 3; ++i) table.add(tuple_of(i), {}, Instant(60s + i * 1s));
  table.restart(*table.find(tuple_of(0)), Instant(70s));
  table.restart(*table.find(tuple_of(2)), Instant(70s));
  for (const auto& [number, end] : {std::pair{1, 61s}, {0, 70s}, {2, 70s}}) {
    ASSERT_TRUE(table.first());
    EXPECT_EQ(table.tuple(*table.first()), tuple_of(static_cast<std::uint32_t>(number)));
    EXPECT_EQ(table.next_end(), Instant(end));
    table.remove(*table.first());
  }
  EXPECT_FALSE(table.first());
  EXPECT_EQ(table.next_end(), kNever);
}

// Ends are kept in 32 bits of milliseconds, 49.7 days; nothing may end early.
TEST(TimeWaits, EndsAcrossTheTurnOfTheirClock) {
  TimeWaits table{SipHashKey{}};
  const Instant turn{std::chrono::milliseconds(std::int64_t{1} << 32)};
  table.add(tuple_of(1), {}, turn - 1ms);
  table.add(tuple_of(2), {}, turn + 59s + 1ns);
  EXPECT_EQ(table.next_end(), turn - 1ms);
  EXPECT_EQ(table.ends_at(*table.find(tuple_of(2))), turn + 59s + 1ms);
}

// Against a map, over a long row of additions, removals and restarts.
TEST(TimeWaits, AgreesWithAMap) {
  TimeWaits table{SipHashKey{}};
  std::map<std::uint32_t, Instant> model;
  Random random(Seed::from_number(1).bytes);
  for (int step = 1; step <= 100'000; ++step) {
    const Instant end(step * 1ms);
    const auto number = static_cast<std::uint32_t>(random.below(2000));
    const auto found = table.find(tuple_of(number));
    ASSERT_EQ(found.has_value(), model.contains(number));
    if (!found) {
      table.add(tuple_of(number), {}, end);
      model[number] = end;
    } else if (random.below(3) == 0) {
      table.restart(*found, end);
      model[number] = end;
    } else {
      table.remove(*found);
      model.erase(number);
    }
    ASSERT_EQ(table.size(), model.size());
  }
  std::size_t seen = 0;
  for (std::uint32_t i = 0; i < table.slots(); ++i) seen += table.at(i).has_value() ? 1 : 0;
  EXPECT_EQ(seen, model.size());
  std::multimap<Instant, std::uint32_t> by_end;
  for (const auto& [number, end] : model) by_end.emplace(end, number);
  for (const auto& [end, number] : by_end) {
    ASSERT_EQ(table.next_end(), end);
    ASSERT_EQ(table.tuple(*table.first()), tuple_of(number));
    table.remove(*table.first());
  }
}

}  // namespace
}  // namespace ff
