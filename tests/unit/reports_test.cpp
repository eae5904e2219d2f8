#include "tcp/reports.hpp"

#include <gtest/gtest.h>

namespace ff::tcp {
namespace {

using std::chrono::milliseconds;

constexpr StampRequest kEverything{.kinds = stamp_bits::kScheduled | stamp_bits::kSent | stamp_bits::kAcknowledged};
constexpr std::uint32_t kTogether = 1000;  // bytes in a super-segment

Instant at(int ms) { return Instant(milliseconds(ms)); }

struct ReportsTest : testing::Test {
  // Bytes are numbered from 5000 on.
  void want(std::uint32_t end, std::uint32_t nxt, const StampRequest& what = kEverything) {
    reports.want(Seq(5000 + end), end, what, Seq(5000 + nxt), kTogether);
  }
  bool sent(std::uint32_t nxt, int ms) { return reports.sent(Seq(5000 + nxt), at(ms), packet); }
  bool acknowledged(std::uint32_t una, int ms) { return reports.acknowledged(Seq(5000 + una), at(ms)); }
  void expect(std::uint8_t kind, std::uint32_t key, int ms) {
    const auto stamp = reports.next_stamp();
    ASSERT_TRUE(stamp);
    EXPECT_EQ(stamp->kind, kind);
    EXPECT_EQ(stamp->key, key);
    EXPECT_EQ(stamp->at, at(ms));
  }
  Reports reports;
  TxPacket packet;
};

TEST_F(ReportsTest, ByteIsStampedOnceItHasGoneAndArrived) {
  want(300, 0);
  EXPECT_FALSE(sent(299, 1));
  EXPECT_TRUE(sent(300, 2));
  EXPECT_FALSE(sent(400, 3)) << "told already";
  EXPECT_FALSE(acknowledged(299, 4));
  EXPECT_TRUE(acknowledged(350, 5));
  expect(stamp_bits::kScheduled, 299, 2);
  expect(stamp_bits::kSent, 299, 2);
  expect(stamp_bits::kAcknowledged, 299, 5);
  EXPECT_FALSE(reports.next_stamp());
}

TEST_F(ReportsTest, OfWhatLeavesTogetherTheLastIsStamped) {
  want(300, 0, {.kinds = stamp_bits::kSent});
  want(900, 0, {.kinds = stamp_bits::kSent});   // in the same super-segment
  want(1300, 0, {.kinds = stamp_bits::kSent});  // in the next
  EXPECT_TRUE(sent(1000, 1));
  EXPECT_TRUE(sent(1300, 2));
  expect(stamp_bits::kSent, 899, 1);
  expect(stamp_bits::kSent, 1299, 2);
  EXPECT_FALSE(reports.next_stamp());
}

TEST_F(ReportsTest, PacketComesBackWhenItIsWanted) {
  packet.header_bytes[0] = 'H';
  packet.header_size = 1;
  packet.payload_pieces[0] = Slice::copy_of(as_bytes("hello"));
  packet.payload_piece_count = 1;
  packet.payload_size = 5;
  want(5, 0, {.kinds = stamp_bits::kSent | stamp_bits::kAcknowledged, .with_packet = true});
  EXPECT_TRUE(sent(5, 1));
  EXPECT_TRUE(acknowledged(5, 2));
  EXPECT_EQ(reports.next_stamp()->packet.text(), "Hhello");
  EXPECT_EQ(reports.next_stamp()->packet.text(), "hello") << "acknowledged is the payload";
}

TEST_F(ReportsTest, WhatNobodyReadsIsBounded) {
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    want(i, i - 1, {.kinds = stamp_bits::kSent});
    (void)sent(i, 1);
  }
  int stamps = 0;
  while (reports.next_stamp()) ++stamps;
  EXPECT_EQ(stamps, 256);
}

TEST_F(ReportsTest, ArrivalIsThatOfTheSegmentThatBroughtTheByte) {
  EXPECT_FALSE(reports.arrival_of(1));
  reports.arrived(100, at(1));
  reports.arrived(100, at(2));  // nothing new
  reports.arrived(250, at(3));
  EXPECT_EQ(reports.arrival_of(1), at(1));
  EXPECT_EQ(reports.arrival_of(100), at(1));
  EXPECT_EQ(reports.arrival_of(101), at(3));
  EXPECT_FALSE(reports.arrival_of(251));
  reports.forget_before(101);
  EXPECT_EQ(reports.arrival_of(250), at(3));
  reports.forget_before(9999);
  reports.arrived(250, at(4));
  EXPECT_EQ(reports.arrival_of(250), at(3)) << "still nothing new";
}

// A peer that sends byte by byte to somebody who does not read.
TEST_F(ReportsTest, ArrivalsAreBounded) {
  for (int i = 1; i <= 100'000; ++i) reports.arrived(static_cast<std::uint64_t>(i), at(i));
  EXPECT_EQ(reports.arrival_of(5), at(5));
  EXPECT_EQ(reports.arrival_of(50'000), at(100'000));
}

}  // namespace
}  // namespace ff::tcp
