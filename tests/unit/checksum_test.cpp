#include "wire/checksum.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "support/hex.hpp"

namespace ff::wire {
namespace {

using test::Bytes;
using test::hex;

std::uint16_t sum_of(ByteSpan bytes) {
  ChecksumAccumulator sum;
  sum.add(bytes);
  return sum.folded();
}

TEST(Checksum, AddsUpTheExampleOfRfc1071) {
  // RFC 1071 §3: the words 0001 f203 f4f5 f6f7.
  const Bytes bytes = hex("00 01 f2 03 f4 f5 f6 f7");
  EXPECT_EQ(sum_of(bytes), 0xddf2);
  ChecksumAccumulator sum;
  sum.add(bytes);
  EXPECT_EQ(sum.checksum(), 0x220d);
}

TEST(Checksum, OfNothingIsAllOnes) {
  EXPECT_EQ(sum_of({}), 0);
  EXPECT_EQ(ChecksumAccumulator().checksum(), 0xffff);
}

TEST(Checksum, PadsAnOddByteWithZero) { EXPECT_EQ(sum_of(hex("00 01 f2")), 0xf201); }

TEST(Checksum, PiecesOfOddLengthFollowOneAnother) {
  const Bytes bytes = hex("00 01 f2 03 f4 f5 f6 f7");
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      ChecksumAccumulator sum;
      sum.add(ByteSpan(bytes).first(first));
      sum.add(ByteSpan(bytes).subspan(first, second - first));
      sum.add(ByteSpan(bytes).subspan(second));
      EXPECT_EQ(sum.folded(), 0xddf2) << first << ", " << second;
    }
  }
}

TEST(Checksum, KnowsTheSumOfLongRuns) {
  // 65,536 bytes of ff are 32,768 times ffff, which is minus zero; with one more byte of 01 the sum is 0100.
  Bytes bytes(65536, 0xff);
  EXPECT_EQ(sum_of(bytes), 0xffff);
  bytes.push_back(0x01);
  EXPECT_EQ(sum_of(bytes), 0x0100);
}

TEST(Checksum, CopiesWhatItAdds) {
  Bytes from(3000);
  std::iota(from.begin(), from.end(), std::uint8_t{7});
  for (const std::size_t size : {0u, 1u, 2u, 3u, 7u, 8u, 127u, 128u, 129u, 1460u, 2999u, 3000u}) {
    Bytes to(size + 2, 0xee);
    ChecksumAccumulator sum;
    sum.add_and_copy(ByteSpan(from).first(size), to.data() + 1);
    EXPECT_EQ(sum.folded(), sum_of(ByteSpan(from).first(size))) << size;
    EXPECT_TRUE(std::equal(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(size), to.begin() + 1)) << size;
    EXPECT_EQ(to.front(), 0xee);
    EXPECT_EQ(to.back(), 0xee);
  }
}

TEST(Checksum, TakesNumbersInHostOrder) {
  ChecksumAccumulator sum;
  sum.add16(0x0001);
  sum.add16(0xf203);
  sum.add32(0xf4f5f6f7);
  EXPECT_EQ(sum.folded(), 0xddf2);
}

TEST(Checksum, PseudoHeaderIsWhatTheRfcsDraw) {
  // RFC 9293 §3.1: source, destination, zero, protocol, 16-bit length.
  ChecksumAccumulator v4;
  v4.add_pseudo_header(IpAddress::v4(192, 0, 2, 1), IpAddress::v4(198, 51, 100, 2), 6, 0x1234);
  EXPECT_EQ(v4.folded(), sum_of(hex("c0000201 c6336402 00 06 1234")));

  // RFC 8200 §8.1: source, destination, 32-bit length, three zeros, protocol.
  ChecksumAccumulator v6;
  v6.add_pseudo_header(*IpAddress::parse("2001:db8::1"), *IpAddress::parse("2001:db8::2"), 17, 0x00012345);
  EXPECT_EQ(v6.folded(), sum_of(hex("20010db8000000000000000000000001 20010db8000000000000000000000002"
                                    "00012345 000000 11")));
}

}  // namespace
}  // namespace ff::wire
