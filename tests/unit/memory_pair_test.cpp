#include "device/memory_pair.hpp"

#include <memory>

#include "packet_samples.hpp"

namespace ff {
namespace {

using test::Bytes;
using test::SampleSpec;
using SendResult = Device::SendResult;

constexpr Instant kNow{};

SendResult send(Device& device, const SampleSpec& spec) {
  TxPacket packet;
  test::fill_sample(spec, packet);
  return device.send(kNow, packet);
}

std::vector<Bytes> expected(const SampleSpec& spec) {
  TxPacket packet;
  test::fill_sample(spec, packet);
  return test::expected_on_wire(packet);
}

std::vector<RxPacket> receive_all(Device& device) {
  std::vector<RxPacket> result;
  for (RxPacket packet; device.receive(packet);) result.push_back(std::move(packet));
  return result;
}

Bytes bytes_of(const RxPacket& packet) { return {packet.bytes.span().begin(), packet.bytes.span().end()}; }

TEST(MemoryPair, CarriesBothWays) {
  MemoryPair pair;
  EXPECT_EQ(pair.a().mtu(), 1500);
  const SampleSpec there{.pieces = {100}, .fill = 1}, back{.v6 = true, .pieces = {200}, .fill = 2};
  EXPECT_EQ(send(pair.a(), there), SendResult::Sent);
  EXPECT_EQ(send(pair.b(), back), SendResult::Sent);
  const auto at_b = receive_all(pair.b());
  const auto at_a = receive_all(pair.a());
  ASSERT_EQ(at_b.size(), 1u);
  ASSERT_EQ(at_a.size(), 1u);
  EXPECT_EQ(bytes_of(at_b[0]), expected(there)[0]);
  EXPECT_EQ(bytes_of(at_a[0]), expected(back)[0]);
}

TEST(MemoryPair, SegmentsAsAWireWould) {
  MemoryPair pair;
  const SampleSpec spec{.pieces = {30000, 30001}, .segment_size = 1460};
  EXPECT_EQ(send(pair.a(), spec), SendResult::Sent);
  const auto received = receive_all(pair.b());
  const auto on_wire = expected(spec);
  ASSERT_EQ(received.size(), on_wire.size());
  for (std::size_t i = 0; i < received.size(); ++i) {
    EXPECT_EQ(bytes_of(received[i]), on_wire[i]);
    EXPECT_EQ(received[i].checksum, RxChecksum::Unverified);
    EXPECT_EQ(received[i].segment_size, 0);
  }
}

TEST(MemoryPair, PassesSuperSegmentsWholeWhenTold) {
  MemoryPair pair({.segment = false});
  const SampleSpec spec{.pieces = {30000, 30001}, .segment_size = 1460};
  TxPacket packet;
  test::fill_sample(spec, packet);
  const Bytes whole = test::joined(packet);
  EXPECT_EQ(pair.a().send(kNow, packet), SendResult::Sent);
  EXPECT_EQ(send(pair.a(), {.pieces = {1460}, .segment_size = 1460}), SendResult::Sent);
  const auto received = receive_all(pair.b());
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(bytes_of(received[0]), whole);
  EXPECT_EQ(received[0].checksum, RxChecksum::Verified);
  EXPECT_EQ(received[0].segment_size, 1460);
  EXPECT_EQ(received[1].segment_size, 0) << "a single segment";
}

TEST(MemoryPair, IsFullAtItsBound) {
  MemoryPair pair({.queue_packets = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(pair.a(), {.pieces = {10}}), SendResult::Sent);
  TxPacket refused;
  const SampleSpec spec{.pieces = {10}, .fill = 9};
  test::fill_sample(spec, refused);
  const Bytes before = test::joined(refused);
  EXPECT_EQ(pair.a().send(kNow, refused), SendResult::Full);
  EXPECT_EQ(test::joined(refused), before);
  EXPECT_EQ(send(pair.b(), {.pieces = {10}}), SendResult::Sent) << "the directions are independent";

  RxPacket packet;
  ASSERT_TRUE(pair.b().receive(packet));
  EXPECT_EQ(pair.a().send(kNow, refused), SendResult::Sent);
  const auto received = receive_all(pair.b());
  ASSERT_EQ(received.size(), 3u);
  EXPECT_EQ(bytes_of(received[2]), expected(spec)[0]);
}

// A super-segment of more packets than the queue holds must not wait for ever; it must not push others aside either.
TEST(MemoryPair, ASuperSegmentLargerThanTheQueueGoesThroughAlone) {
  MemoryPair pair({.queue_packets = 4});
  const SampleSpec large{.pieces = {10000}, .segment_size = 500};
  EXPECT_EQ(send(pair.a(), {.pieces = {10}}), SendResult::Sent);
  EXPECT_EQ(send(pair.a(), large), SendResult::Full);
  EXPECT_EQ(receive_all(pair.b()).size(), 1u);
  EXPECT_EQ(send(pair.a(), large), SendResult::Sent);
  EXPECT_EQ(send(pair.a(), {.pieces = {10}}), SendResult::Full);
  const auto received = receive_all(pair.b());
  const auto on_wire = expected(large);
  ASSERT_EQ(received.size(), on_wire.size());
  for (std::size_t i = 0; i < received.size(); ++i) EXPECT_EQ(bytes_of(received[i]), on_wire[i]);
}

TEST(MemoryPair, WhatWasReceivedStaysWhileLaterPacketsCome) {
  MemoryPair pair;
  std::vector<RxPacket> kept;
  std::vector<Bytes> copies;
  for (int i = 0; i < 2000; ++i) {
    const SampleSpec spec{.pieces = {static_cast<std::uint32_t>(1 + i % 1400)}, .fill = static_cast<std::uint8_t>(i)};
    ASSERT_EQ(send(pair.a(), spec), SendResult::Sent);
    RxPacket packet;
    ASSERT_TRUE(pair.b().receive(packet));
    if (i % 7 != 0) continue;  // the others are let go, so that their memory is used again
    kept.push_back(packet);
    copies.push_back(expected(spec)[0]);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(bytes_of(kept[i]), copies[i]);
}

TEST(SlabCursor, ReusesTheSameMemoryOnceNobodyHoldsIt) {
  SlabCursor cursor(2000);
  const std::uint8_t* first = cursor.reserve(2000);
  {
    const Slice held = cursor.commit(16, 100);
    EXPECT_EQ(held.data(), first + 16);
    const std::uint8_t* second = cursor.reserve(2000);
    EXPECT_GE(second, held.data() + held.size());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 16, 0u);
  }
  EXPECT_EQ(cursor.reserve(2000), first);
}

}  // namespace
}  // namespace ff
