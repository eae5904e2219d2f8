// Seeds, keyed hashes and the generator.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <set>
#include <vector>

#include "base/random.hpp"
#include "base/siphash.hpp"
#include "firstflight/stack.hpp"
#include "support/hex.hpp"

namespace ff {
namespace {

// The vectors of the SipHash reference implementation: key 00..0f, message 00, 01, ... of each length.
TEST(SipHash, GivesTheReferenceVectors) {
  SipHashKey key;
  std::iota(key.bytes.begin(), key.bytes.end(), std::uint8_t{0});
  std::array<std::uint8_t, 16> message;
  std::iota(message.begin(), message.end(), std::uint8_t{0});
  struct Vector {
    std::size_t size;
    std::uint64_t hash;
  };
  for (const auto& [size, hash] :
       {Vector{0, 0x726fdb47dd0e0e31}, Vector{1, 0x74f839c593dc67fd}, Vector{2, 0x0d6c8009d9a94f5a},
        Vector{3, 0x85676696d7fb7e2d}, Vector{7, 0xab0200f58b01d137}, Vector{8, 0x93f5f5799a932462},
        Vector{15, 0xa129ca6149be45e5}}) {
    EXPECT_EQ(siphash(key, ByteSpan(message).first(size)), hash) << size;
    SipHasher<2, 4> hasher(key);
    std::array<std::uint64_t, 2> words{};
    std::memcpy(words.data(), message.data(), size);
    if (size >= 8) hasher.add(words[0]);
    EXPECT_EQ(hasher.finish(words[size / 8], size), hash) << size;
  }
}

TEST(Seed, FromNumberSpreadsTheNumberOverAllBytes) {
  const Seed zero = Seed::from_number(0);
  const Seed one = Seed::from_number(1);
  int differing_bits = 0;
  for (std::size_t i = 0; i < zero.bytes.size(); ++i) {
    differing_bits += std::popcount(static_cast<unsigned>(zero.bytes[i] ^ one.bytes[i]));
  }
  EXPECT_GT(differing_bits, 96);  // 128 expected of 256
  EXPECT_LT(differing_bits, 160);
  EXPECT_EQ(Seed::from_number(7).bytes, Seed::from_number(7).bytes);
  // The first output of SplitMix64 seeded with 0, as published with it.
  EXPECT_EQ(std::vector<std::uint8_t>(zero.bytes.begin(), zero.bytes.begin() + 8), test::hex("afcd1d7b 39a820e2"));
}

TEST(DerivedSecret, DependsOnSecretAndPurpose) {
  const Seed seed = Seed::from_number(1);
  const Seed other = Seed::from_number(2);
  EXPECT_EQ(derive_secret(seed.bytes, "ports"), derive_secret(seed.bytes, "ports"));
  EXPECT_NE(derive_secret(seed.bytes, "ports"), derive_secret(seed.bytes, "port"));
  EXPECT_NE(derive_secret(seed.bytes, "ports"), derive_secret(other.bytes, "ports"));
  EXPECT_NE(derive_secret(seed.bytes, ""), seed.bytes);
  EXPECT_NE(derive_key(seed.bytes, "a").bytes, derive_key(seed.bytes, "b").bytes);
}

TEST(Random, SameSeedSameNumbers) {
  const Seed seed = Seed::from_number(42);
  Random a(seed.bytes);
  Random b(seed.bytes);
  Random c(Seed::from_number(43).bytes);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t value = a.next();
    EXPECT_EQ(value, b.next());
    differs |= value != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Random, ASeedOfZerosDoesNotShow) {
  Random random(std::array<std::uint8_t, 32>{});
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.next());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Random, BelowIsEvenAndWithinItsBound) {
  Random random(Seed::from_number(1).bytes);
  std::array<int, 10> counts{};
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t value = random.below(counts.size());
    ASSERT_LT(value, counts.size());
    ++counts[value];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);  // five standard deviations
  EXPECT_EQ(random.below(0), 0u);
  EXPECT_EQ(random.below(1), 0u);
  const std::uint64_t awkward = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(awkward), awkward);
}

TEST(Random, ChanceComesTrueAsOftenAsItSays) {
  Random random(Seed::from_number(1).bytes);
  int hits = 0;
  for (int i = 0; i < 100000; ++i) {
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1));
    if (random.chance(0.02)) ++hits;
  }
  EXPECT_NEAR(hits, 2000, 225);
}

}  // namespace
}  // namespace ff
