#include "sim/quantities.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ff::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(Quantities, Durations) {
  EXPECT_EQ(parse_duration("50ms"), 50ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("250us"), 250us);
  EXPECT_EQ(parse_duration("7ns"), 7ns);
  EXPECT_EQ(parse_duration("0.1ms"), 100us);
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_EQ(parse_duration("20MS"), 20ms);
  EXPECT_EQ(parse_duration("3600s"), 1h);
}

TEST(Quantities, Rates) {
  EXPECT_EQ(parse_rate("100mbit"), 100'000'000u);
  EXPECT_EQ(parse_rate("2.5Gbit"), 2'500'000'000u);
  EXPECT_EQ(parse_rate("64kbit"), 64'000u);
  EXPECT_EQ(parse_rate("9600bit"), 9'600u);
  EXPECT_EQ(parse_rate("9600"), 9'600u);
  EXPECT_EQ(parse_rate("1000gbit"), 1'000'000'000'000u);
}

TEST(Quantities, Probabilities) {
  EXPECT_DOUBLE_EQ(*parse_probability("1.5%"), 0.015);
  EXPECT_DOUBLE_EQ(*parse_probability("100%"), 1);
  EXPECT_DOUBLE_EQ(*parse_probability("0%"), 0);
  EXPECT_DOUBLE_EQ(*parse_probability("0"), 0);
}

TEST(Quantities, SizesAndQueues) {
  EXPECT_EQ(parse_bytes("64kb"), 65'536u);
  EXPECT_EQ(parse_bytes("1500b"), 1'500u);
  EXPECT_EQ(parse_bytes("1.5mb"), 1'572'864u);
  EXPECT_EQ(parse_queue_limit("100"), (QueueLimit{.packets = 100}));
  EXPECT_EQ(parse_queue_limit("100p"), (QueueLimit{.packets = 100}));
  EXPECT_EQ(parse_queue_limit("64kb"), (QueueLimit{.packets = UINT64_MAX, .bytes = 65'536}));
  EXPECT_EQ(parse_queue_limit("0"), (QueueLimit{.packets = 0}));
}

// Whatever is wrong, the sentence repeats it and shows one that would be right.
template <typename Parse>
void expect_refused(Parse parse, std::initializer_list<std::string_view> texts, std::string_view example) {
  for (const std::string_view text : texts) {
    const auto result = parse(text);
    ASSERT_FALSE(result) << "'" << text << "'";
    EXPECT_THAT(result.error(), HasSubstr("'" + std::string(text) + "'"));
    EXPECT_THAT(result.error(), HasSubstr("such as " + std::string(example)));
  }
}

TEST(Quantities, BadOnesAreRefusedInASentence) {
  expect_refused(parse_duration,
                 {"", "50", "ms", "-1ms", "+1ms", "1e3ms", "nan", "inf", "infs", "1 ms", "50msx", "5min", "3601s",
                  "0x10ms", ".", ".5ms", "1..5ms", "99999999999999999999999999s"},
                 "50ms");
  expect_refused(parse_rate, {"", "fast", "-5mbit", "0", "0mbit", "0.1bit", "1001gbit", "10mb", "10mbits", "1mbit "},
                 "100mbit");
  expect_refused(parse_probability, {"", "1", "0.5", "101%", "-1%", "%", "1%%", "nan%", "1 %"}, "1.5%");
  expect_refused(parse_bytes, {"", "64", "64k", "-1kb", "2000gb"}, "64kb");
  expect_refused(parse_queue_limit, {"", "many", "-1", "64k", "100packets"}, "100 or 100p, or bytes, such as 64kb");
}

TEST(Quantities, DurationsForPeople) {
  EXPECT_EQ(format_duration(50ms), "50ms");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(1us), "1us");
  EXPECT_EQ(format_duration(0ns), "0s");
}

TEST(Quantities, RatesForPeople) {
  EXPECT_EQ(format_rate(100'000'000), "100mbit");
  EXPECT_EQ(format_rate(2'500'000'000), "2.5gbit");
  EXPECT_EQ(format_rate(1), "1bit");
  EXPECT_EQ(format_rate(0), "0bit");
}

}  // namespace
}  // namespace ff::sim
