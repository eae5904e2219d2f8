#include "tcp/fastopen/replay_filter.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ff::tcp {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1000s};

FourTuple tuple_of(std::uint16_t port) {
  return {{*IpAddress::parse("192.0.2.1"), 80}, {*IpAddress::parse("192.0.2.2"), port}};
}

// The SYN of this number: no two are alike.
bool note(ReplayFilter& filter, std::uint32_t number, std::uint32_t kilobytes, Instant now = kStart) {
  return filter.note(tuple_of(static_cast<std::uint16_t>(number)), Seq(number), as_bytes("GET /"), kilobytes, now);
}

TEST(ReplayFilter, TellsTheSameSynFromOthers) {
  ReplayFilter filter(SipHashKey{});
  const auto seen = [&](std::uint16_t port, std::uint32_t isn, std::string_view data) {
    return filter.note(tuple_of(port), Seq(isn), as_bytes(data), 64, kStart);
  };
  EXPECT_FALSE(seen(1000, 7, "GET /"));
  EXPECT_TRUE(seen(1000, 7, "GET /"));
  EXPECT_FALSE(seen(1001, 7, "GET /"));
  EXPECT_FALSE(seen(1000, 8, "GET /"));
  EXPECT_FALSE(seen(1000, 7, "PUT /"));
  EXPECT_FALSE(seen(1000, 7, ""));
}

TEST(ReplayFilter, NotesNothingWithoutMemory) {
  ReplayFilter filter(SipHashKey{});
  EXPECT_FALSE(note(filter, 1, 0));
  EXPECT_FALSE(note(filter, 1, 0));
  EXPECT_EQ(filter.memory(), 0u);
}

// However many SYNs come, of which it must miss none.
TEST(ReplayFilter, MemoryIsWhatWasAllowed) {
  ReplayFilter filter(SipHashKey{});
  for (std::uint32_t i = 0; i < 200'000; ++i) note(filter, i, 64);
  EXPECT_EQ(filter.memory(), 64u * 1024);
  for (std::uint32_t i = 0; i < 200'000; ++i) ASSERT_TRUE(note(filter, i, 64)) << i;
  EXPECT_EQ(filter.memory(), 64u * 1024);
}

// With 16 bits of a generation for each SYN, one in about 400; twice that where both generations are full.
TEST(ReplayFilter, RarelyTakesANewSynForAnOldOne) {
  ReplayFilter filter(SipHashKey{});
  constexpr std::uint32_t kSyns = 64 * 1024 * 8 / 2 / 16;
  for (std::uint32_t i = 0; i < kSyns; ++i) note(filter, i, 64);
  ReplayFilter full = filter;
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    full = filter;  // so that what is asked adds nothing
    for (std::uint32_t j = 0; j < 100; ++j) wrong += note(full, 1'000'000 + i * 100 + j, 64) ? 1 : 0;
  }
  EXPECT_GT(wrong, 100u);
  EXPECT_LT(wrong, 500u);  // of 100,000
}

TEST(ReplayFilter, RemembersForTwoMinutesAndForgetsAfterFour) {
  for (Duration first = 0s; first < 240s; first += 7s) {
    ReplayFilter filter(SipHashKey{});
    note(filter, 0, 64);  // its clock begins
    note(filter, 1, 64, kStart + first);
    ReplayFilter later = filter;
    EXPECT_TRUE(note(filter, 1, 64, kStart + first + 120s)) << first.count();
    EXPECT_FALSE(note(later, 1, 64, kStart + first + 240s)) << first.count();
  }
}

// Traffic in between must not keep old ones alive, nor wipe them out early.
TEST(ReplayFilter, ForgetsWhileMuchIsNoted) {
  ReplayFilter filter(SipHashKey{});
  note(filter, 1, 1024);
  for (std::uint32_t second = 1; second < 120; ++second) note(filter, 1000 + second, 1024, kStart + second * 1s);
  EXPECT_TRUE(note(filter, 1, 1024, kStart + 120s));
  for (std::uint32_t second = 121; second < 360; ++second) note(filter, 1000 + second, 1024, kStart + second * 1s);
  EXPECT_FALSE(note(filter, 1, 1024, kStart + 360s));
}

TEST(ReplayFilter, AnotherSizeBeginsAnew) {
  ReplayFilter filter(SipHashKey{});
  note(filter, 1, 64);
  EXPECT_FALSE(note(filter, 1, 32));
  EXPECT_EQ(filter.memory(), 32u * 1024);
  EXPECT_FALSE(note(filter, 1, 0));
  EXPECT_EQ(filter.memory(), 0u);
}

}  // namespace
}  // namespace ff::tcp
