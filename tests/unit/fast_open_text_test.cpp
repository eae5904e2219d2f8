#include <gtest/gtest.h>

#include <set>

#include "firstflight/fast_open.hpp"
#include "support/hex.hpp"

namespace ff {
namespace {

// The kernel keeps each group as a little-endian word (net/ipv4: tcp_fastopen_key).
TEST(FastOpenKey, GroupsAreLittleEndianWords) {
  const auto key = FastOpenKey::parse("00112233-44556677-8899aabb-ccddeeff");
  ASSERT_TRUE(key);
  EXPECT_EQ(test::Bytes(key->bytes.begin(), key->bytes.end()), test::hex("33221100 77665544 bbaa9988 ffeeddcc"));
  EXPECT_EQ(key->to_string(), "00112233-44556677-8899aabb-ccddeeff");
}

TEST(FastOpenKey, TakesShortGroupsAndCapitals) {
  const auto key = FastOpenKey::parse("1-aB-0-CCDDEEFF");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->to_string(), "00000001-000000ab-00000000-ccddeeff");
}

TEST(FastOpenKey, RefusesWhatIsNone) {
  for (const char* text :
       {"", "-", "---", "1-2-3", "1-2-3-", "-1-2-3", "1-2-3-4-5", "1-2-3-4 ", " 1-2-3-4", "1-2-3-x", "1-2-3-0x4",
        "1-2-3-123456789", "00112233445566778899aabbccddeeff", "1,2,3,4", "1-2--3", "1-2-3-+4"}) {
    EXPECT_FALSE(FastOpenKey::parse(text)) << text;
  }
}

TEST(FastOpenKeys, AreOneOrTwo) {
  const auto one = FastOpenKeys::parse("1-2-3-4");
  ASSERT_TRUE(one);
  EXPECT_FALSE(one->backup);
  EXPECT_EQ(one->to_string(), "00000001-00000002-00000003-00000004");
  const auto two = FastOpenKeys::parse("1-2-3-4,5-6-7-8");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->primary, one->primary);
  EXPECT_EQ(two->backup, FastOpenKey::parse("5-6-7-8"));
  EXPECT_EQ(FastOpenKeys::parse(two->to_string()), two);
  for (const char* text :
       {"", ",", "1-2-3-4,", ",1-2-3-4", "1-2-3-4,,1-2-3-4", "1-2-3-4,1-2-3-4,1-2-3-4", "1-2-3-4, 1-2-3-4"}) {
    EXPECT_FALSE(FastOpenKeys::parse(text)) << text;
  }
}

// RFC 7413 §4.1.1
TEST(FastOpenCookie, IsFourToSixteenBytesAndEven) {
  std::set<std::size_t> valid;
  for (std::size_t size = 0; size < 64; ++size) {
    if (FastOpenCookie::valid_size(size)) valid.insert(size);
  }
  EXPECT_EQ(valid, (std::set<std::size_t>{4, 6, 8, 10, 12, 14, 16}));
}

TEST(FastOpenOutcome, EachHasATextOfItsOwn) {
  std::set<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(FastOpenOutcome::SynRepeated); ++i) {
    EXPECT_TRUE(texts.insert(to_string(static_cast<FastOpenOutcome>(i))).second) << i;
  }
  EXPECT_FALSE(texts.contains("unknown"));
}

}  // namespace
}  // namespace ff
