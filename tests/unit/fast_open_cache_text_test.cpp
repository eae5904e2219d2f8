#include <gtest/gtest.h>

#include <string>

#include "firstflight/fast_open_cache.hpp"

namespace ff {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1'000'000s};
constexpr std::int64_t kUnix = 1'763'712'000;

FastOpenCacheEntry entry_of(const char* source, const char* destination) {
  FastOpenCacheEntry entry;
  entry.source = *IpAddress::parse(source);
  entry.destination = *IpAddress::parse(destination);
  entry.learned = kNow;
  return entry;
}

FastOpenCacheEntry full_entry() {
  FastOpenCacheEntry entry = entry_of("2001:db8::1", "2001:db8::2");
  entry.partition = 0xfedcba9876543210;
  entry.cookie.size = 8;
  for (std::uint8_t i = 0; i < 8; ++i) entry.cookie.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
  entry.mss = 1440;
  entry.experimental = true;
  entry.learned = kNow - 90s;
  entry.syn_losses = 1;
  entry.blackholes = 3;
  entry.retry_after = kNow + 3600s;
  return entry;
}

std::string parse_error(std::string_view text) {
  const auto parsed = parse_fast_open_cache(text, "cache.txt", kNow, kUnix);
  return parsed ? "" : parsed.error();
}

// Of an entry's line.
std::string entry_error(std::string_view line) {
  return parse_error("firstflight-fast-open-cache 1\nsaved 1763712000\n" + std::string(line) + "\n");
}

TEST(FastOpenCacheText, IsWhatTheManualSays) {
  EXPECT_EQ(format_fast_open_cache({{full_entry(), entry_of("192.0.2.1", "198.51.100.7")}}, kNow, kUnix),
            "firstflight-fast-open-cache 1\n"
            "saved 1763712000\n"
            "destination=2001:db8::2 source=2001:db8::1 partition=fedcba9876543210 cookie=a0a1a2a3a4a5a6a7 mss=1440 "
            "form=experimental age=90 syn-losses=1 blackholes=3 retry-in=3600\n"
            "destination=198.51.100.7 source=192.0.2.1 age=0\n");
}

// Another process has another clock, and time has passed.
TEST(FastOpenCacheText, RoundTripsToAnotherClock) {
  const std::string text = format_fast_open_cache({{full_entry()}}, kNow, kUnix);
  constexpr Instant kLater{5s};
  const auto parsed = parse_fast_open_cache(text, "cache.txt", kLater, kUnix + 600);
  ASSERT_TRUE(parsed) << parsed.error();
  ASSERT_EQ(parsed->size(), 1u);
  const FastOpenCacheEntry& entry = parsed->front();
  const FastOpenCacheEntry wanted = full_entry();
  EXPECT_EQ(entry.source, wanted.source);
  EXPECT_EQ(entry.destination, wanted.destination);
  EXPECT_EQ(entry.partition, wanted.partition);
  EXPECT_EQ(entry.cookie, wanted.cookie);
  EXPECT_EQ(entry.mss, wanted.mss);
  EXPECT_EQ(entry.experimental, wanted.experimental);
  EXPECT_EQ(entry.syn_losses, wanted.syn_losses);
  EXPECT_EQ(entry.blackholes, wanted.blackholes);
  EXPECT_EQ(kLater - entry.learned, 690s);
  EXPECT_EQ(entry.retry_after - kLater, 3000s);
  EXPECT_EQ(format_fast_open_cache(*parsed, kLater, kUnix + 600),
            "firstflight-fast-open-cache 1\n"
            "saved 1763712600\n"
            "destination=2001:db8::2 source=2001:db8::1 partition=fedcba9876543210 cookie=a0a1a2a3a4a5a6a7 mss=1440 "
            "form=experimental age=690 syn-losses=1 blackholes=3 retry-in=3000\n");
}

TEST(FastOpenCacheText, ClockThatWasSetBackMakesNothingYounger) {
  const auto parsed =
      parse_fast_open_cache(format_fast_open_cache({{full_entry()}}, kNow, kUnix), "cache.txt", kNow, kUnix - 9999);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->front().learned, kNow - 90s);
}

TEST(FastOpenCacheText, TakesBlankLinesCommentsAndAnyOrderOfFields) {
  const auto parsed = parse_fast_open_cache(
      "# kept by hand\n\nfirstflight-fast-open-cache 1\r\nsaved 1763712000\r\n\t\n"
      "  mss=1460   source=192.0.2.1 destination=192.0.2.2 form=standard",
      "cache.txt", kNow, kUnix);
  ASSERT_TRUE(parsed) << parsed.error();
  ASSERT_EQ(parsed->size(), 1u);
  EXPECT_EQ(parsed->front().mss, 1460);
  EXPECT_EQ(parsed->front().learned, kNow);
}

TEST(FastOpenCacheText, EmptyCache) {
  const auto parsed = parse_fast_open_cache(format_fast_open_cache({}, kNow, kUnix), "cache.txt", kNow, kUnix);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->empty());
}

TEST(FastOpenCacheText, SaysWhatIsWrongAndWhere) {
  constexpr std::string_view kNoCache =
      "this is no Fast Open cache: it must begin with 'firstflight-fast-open-cache 1'";
  EXPECT_EQ(parse_error(""), "cache.txt:1: " + std::string(kNoCache));
  EXPECT_EQ(parse_error("\nPK\x03\x04\n"), "cache.txt:2: " + std::string(kNoCache));
  EXPECT_EQ(parse_error("firstflight-fast-open-cache 2\n"),
            "cache.txt:1: version '2' is not known; this program reads version 1");
  EXPECT_EQ(parse_error("firstflight-fast-open-cache 1\n"), "cache.txt:1: the line 'saved SECONDS' is missing");
  EXPECT_EQ(parse_error("firstflight-fast-open-cache 1\nsaved yesterday\n"),
            "cache.txt:2: 'saved yesterday' must be 'saved SECONDS', a whole number of seconds since 1970");
  EXPECT_EQ(entry_error("destination=192.0.2.2"), "cache.txt:3: an entry needs destination=ADDRESS and source=ADDRESS");
  EXPECT_EQ(entry_error("destination=192.0.2.2 source=::1"),
            "cache.txt:3: source and destination must be of the same IP version");
  EXPECT_EQ(entry_error("destination=192.0.2"),
            "cache.txt:3: 'destination=192.0.2': destination is an IPv4 or IPv6 address");
  EXPECT_EQ(entry_error("cookie=abc"),
            "cache.txt:3: 'cookie=abc': cookie is an even number of bytes from 4 to 16, two hexadecimal digits each");
  EXPECT_EQ(entry_error("mss=70000"), "cache.txt:3: 'mss=70000': mss is a whole number from 0 to 65535");
  EXPECT_EQ(entry_error("mss=1 mss=2"), "cache.txt:3: 'mss' stands there twice");
  EXPECT_EQ(entry_error("form=old"), "cache.txt:3: 'form=old': form is standard or experimental");
  EXPECT_EQ(entry_error("age=-1"), "cache.txt:3: 'age=-1': age is a whole number of seconds from 0 to 2147483647");
  EXPECT_EQ(entry_error("colour=red"),
            "cache.txt:3: 'colour=red' is no field=value; the fields are destination, source, partition, cookie, mss, "
            "form, age, syn-losses, blackholes, retry-in");
}

// Cookies of every good length, and of none other.
TEST(FastOpenCacheText, CookieLengths) {
  for (std::size_t bytes = 0; bytes <= 20; ++bytes) {
    const std::string line = "source=::1 destination=::2 cookie=" + std::string(bytes * 2, 'f');
    EXPECT_EQ(entry_error(line).empty(), FastOpenCookie::valid_size(bytes)) << bytes;
  }
}

// A damaged file does not get to write to the terminal, nor at length.
TEST(FastOpenCacheText, MessagesAreClean) {
  const std::string error = entry_error("\x1b[2J" + std::string(1000, 'x'));
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
  EXPECT_LT(error.size(), 250u);
}

}  // namespace
}  // namespace ff
