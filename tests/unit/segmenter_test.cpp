#include "device/segmenter.hpp"

#include <memory>
#include <random>

#include "packet_samples.hpp"

namespace ff {
namespace {

using test::Bytes;
using test::SampleSpec;

constexpr std::uint8_t kFin = 0x01, kPsh = 0x08, kAck = 0x10, kCwr = 0x80;

std::unique_ptr<TxPacket> sample(const SampleSpec& spec) {
  auto packet = std::make_unique<TxPacket>();
  test::fill_sample(spec, *packet);
  return packet;
}

std::vector<Bytes> cut(const TxPacket& packet) {
  std::vector<Bytes> result;
  // Not a byte more than the largest packet, so that a sanitizer sees an overrun.
  Bytes buffer(packet.header_size + (packet.segment_size != 0
                                         ? std::min<std::uint32_t>(packet.segment_size, packet.payload_size)
                                         : packet.payload_size));
  for_each_wire_packet(packet, buffer, [&](ByteSpan bytes) { result.emplace_back(bytes.begin(), bytes.end()); });
  return result;
}

void expect_like_oracle(const SampleSpec& spec) {
  const auto packet = sample(spec);
  const std::vector<Bytes> expected = test::expected_on_wire(*packet);
  EXPECT_EQ(wire_packet_count(*packet), expected.size());
  const std::vector<Bytes> actual = cut(*packet);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i], expected[i]) << "packet " << i;
    EXPECT_EQ(test::complaint_about(actual[i]), "") << "packet " << i;
  }
}

TEST(Segmenter, LastSegmentTakesTheRest) {
  for (const bool v6 : {false, true}) {
    for (const std::uint32_t payload : {1001u, 1999u, 2000u, 2001u, 64000u}) {
      SCOPED_TRACE(testing::Message() << (v6 ? "IPv6, " : "IPv4, ") << payload << " bytes");
      expect_like_oracle({.v6 = v6, .pieces = {payload}, .segment_size = 1000});
    }
  }
}

TEST(Segmenter, CutsAcrossPiecesOfOddSizes) {
  for (const bool v6 : {false, true}) {
    expect_like_oracle({.v6 = v6, .pieces = {1, 2, 3, 1447, 1, 4096, 7, 1}, .segment_size = 1448});
    expect_like_oracle({.v6 = v6, .pieces = {333, 333, 333, 334}, .segment_size = 111});
    expect_like_oracle({.v6 = v6, .pieces = {5, 5, 5}, .segment_size = 1});
  }
}

TEST(Segmenter, FinAndPshOnlyOnTheLastCwrOnlyOnTheFirst) {
  for (const bool v6 : {false, true}) {
    const auto packet = sample({.v6 = v6, .flags = kFin | kPsh | kAck | kCwr, .pieces = {2500}, .segment_size = 1000});
    const std::size_t flags = (v6 ? 40u : 20u) + 13;
    const std::vector<Bytes> packets = cut(*packet);
    ASSERT_EQ(packets.size(), 3u);
    EXPECT_EQ(packets[0][flags], kAck | kCwr);
    EXPECT_EQ(packets[1][flags], kAck);
    EXPECT_EQ(packets[2][flags], kAck | kFin | kPsh);
  }
}

TEST(Segmenter, SequenceAndIdentificationWrap) {
  expect_like_oracle({.seq = 0xfffffc00, .id = 0xffff, .pieces = {5000}, .segment_size = 700});
  const auto packet = sample({.seq = 0xfffffc00, .id = 0xffff, .pieces = {2048}, .segment_size = 1024});
  const std::vector<Bytes> packets = cut(*packet);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(test::get16(packets[1], 4), 0);
  EXPECT_EQ(test::get32(packets[1], 24), 0u);
}

TEST(Segmenter, HeadersWithOptions) {
  expect_like_oracle({.ip_options = 40, .tcp_options = 40, .pieces = {4000}, .segment_size = 536});
  expect_like_oracle({.tcp_options = 12, .pieces = {4000}, .segment_size = 1448});
  expect_like_oracle({.v6 = true, .tcp_options = 40, .pieces = {4000}, .segment_size = 1220});
}

TEST(Segmenter, PacketsThatNeedNoCuttingComeOutWhole) {
  for (const bool v6 : {false, true}) {
    expect_like_oracle({.v6 = v6, .flags = kAck | kCwr | kFin});
    expect_like_oracle({.v6 = v6, .flags = kAck | kCwr | kFin, .pieces = {1000}, .segment_size = 1000});
    expect_like_oracle({.v6 = v6, .pieces = {1, 98, 1}, .segment_size = 1000});
    expect_like_oracle({.v6 = v6, .udp = true});
    expect_like_oracle({.v6 = v6, .udp = true, .pieces = {3, 60000}});
  }
}

TEST(Segmenter, RandomPackets) {
  std::mt19937 random(20240229);
  const auto pick = [&](std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
  };
  for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) {
    SampleSpec spec{.v6 = pick(0, 1) == 1,
                    .tcp_options = pick(0, 10) * 4,
                    .flags = static_cast<std::uint8_t>(pick(0, 255)),
                    .seq = pick(0, UINT32_MAX),
                    .id = static_cast<std::uint16_t>(pick(0, 65535)),
                    .segment_size = static_cast<std::uint16_t>(pick(1, 3000)),
                    .fill = static_cast<std::uint8_t>(i)};
    const std::uint32_t pieces = pick(0, kMaxPayloadPieces);
    for (std::uint32_t p = 0; p < pieces; ++p) spec.pieces.push_back(pick(1, pick(1, 1300)));
    SCOPED_TRACE(testing::Message() << "packet number " << i);
    expect_like_oracle(spec);
  }
}

TEST(CompleteChecksum, LeavesASuperSegmentInOnePiece) {
  for (const bool v6 : {false, true}) {
    const auto packet = sample({.v6 = v6, .flags = kAck | kPsh | kCwr, .pieces = {1, 30000, 1}, .segment_size = 1000});
    Bytes written(packet->size());
    EXPECT_EQ(write_completed(*packet, written.data()), packet->size());
    EXPECT_EQ(test::complaint_about(written), "");
    Bytes apart_from_checksum = written;
    const std::size_t field = packet->checksum_start + std::size_t{packet->checksum_offset};
    test::put16(apart_from_checksum, field, test::get16(test::joined(*packet), field));
    EXPECT_EQ(apart_from_checksum, test::joined(*packet));
  }
}

TEST(CompleteChecksum, LeavesACompleteOneAlone) {
  const auto packet = sample({.pieces = {10, 20}});
  packet->checksum_wanted = false;
  Bytes written(packet->size());
  EXPECT_EQ(write_completed(*packet, written.data()), packet->size());
  EXPECT_EQ(written, test::joined(*packet));
}

// RFC 768: 0 would mean that there is no checksum. The two payload bytes are chosen so that the sum is all ones.
TEST(CompleteChecksum, UdpNeverSendsZero) {
  for (const bool v6 : {false, true}) {
    const auto packet = sample({.v6 = v6, .udp = true, .pieces = {2}});
    Bytes bytes = test::joined(*packet);
    const std::size_t payload = packet->header_size;
    test::put16(bytes, payload, 0);
    const std::uint16_t sum = test::ones_sum(Bytes(bytes.begin() + packet->checksum_start, bytes.end()));
    test::put16(bytes, payload, 0xffffu - sum);
    packet->payload_pieces[0] = Slice::copy_of(ByteSpan(bytes).subspan(payload));
    Bytes written(packet->size());
    write_completed(*packet, written.data());
    EXPECT_EQ(test::get16(written, packet->checksum_start + 6u), 0xffff);
    EXPECT_EQ(test::complaint_about(written), "");
  }
}

TEST(CompleteChecksum, JoinedIsUntouched) {
  const auto packet = sample({.pieces = {7, 100, 1}, .segment_size = 50});
  Bytes written(packet->size());
  EXPECT_EQ(write_joined(*packet, written.data()), packet->size());
  EXPECT_EQ(written, test::joined(*packet));
}

}  // namespace
}  // namespace ff
