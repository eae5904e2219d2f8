#include "cli/capture_reader.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <vector>

#include "device/pcapng.hpp"

namespace ff::cli {
namespace {

using Direction = PcapngWriter::Direction;

std::vector<std::uint8_t> capture_of(std::initializer_list<std::string_view> packets, std::uint64_t first_time = 1) {
  MemorySink sink;
  PcapngWriter writer(sink);
  const std::uint32_t interface = writer.add_interface("tun0");
  for (const std::string_view packet : packets)
    writer.write_packet(interface, first_time++, Direction::Outbound, as_bytes(packet));
  writer.flush();
  return {sink.bytes().begin(), sink.bytes().end()};
}

TEST(CaptureReader, ReadsWhatTheWriterWrote) {
  MemorySink sink;
  PcapngWriter writer(sink);
  const std::uint32_t interface = writer.add_interface("tun0");
  const std::uint64_t time = 1'700'000'000'123'456'789;  // needs both halves of the field
  writer.write_packet(interface, time, Direction::Inbound, as_bytes("abcde"));
  writer.write_packet(interface, time + 1, Direction::Outbound, {});
  writer.flush();
  const auto packets = read_capture(sink.bytes());
  ASSERT_TRUE(packets) << packets.error();
  ASSERT_EQ(packets->size(), 2u);
  EXPECT_EQ((*packets)[0].time.time_since_epoch(), Duration(static_cast<std::int64_t>(time)));
  EXPECT_EQ((*packets)[0].direction, Direction::Inbound);
  EXPECT_EQ(as_text((*packets)[0].bytes), "abcde");
  EXPECT_EQ((*packets)[0].size, 5u);
  EXPECT_EQ((*packets)[1].direction, Direction::Outbound);
  EXPECT_TRUE((*packets)[1].bytes.empty());
}

TEST(CaptureReader, ReadsCapturesJoinedEndToEnd) {
  std::vector<std::uint8_t> joined = capture_of({"first", "second"});
  const std::vector<std::uint8_t> more = capture_of({"third"}, 7);
  joined.insert(joined.end(), more.begin(), more.end());
  const auto packets = read_capture(joined);
  ASSERT_TRUE(packets) << packets.error();
  ASSERT_EQ(packets->size(), 3u);
  EXPECT_EQ(as_text((*packets)[2].bytes), "third");
}

TEST(CaptureReader, ACaptureThatIsStillBeingWrittenEndsAtItsLastWholePacket) {
  const std::vector<std::uint8_t> capture = capture_of({"whole", "cut"});
  const auto packets = read_capture(ByteSpan(capture).first(capture.size() - 1));
  ASSERT_TRUE(packets) << packets.error();
  ASSERT_EQ(packets->size(), 1u);
  EXPECT_EQ(as_text((*packets)[0].bytes), "whole");
}

TEST(CaptureReader, RefusesWhatIsNoCapture) {
  EXPECT_FALSE(read_capture({}));
  EXPECT_FALSE(read_capture(as_bytes("GET / HTTP/1.1\r\n\r\n")));
}

// Whatever byte is wrong, the reader says so or reads on, and never reads past the end (the sanitizers watch).
TEST(CaptureReader, SurvivesEveryWrongByte) {
  const std::vector<std::uint8_t> good = capture_of({"some", "packets", "in", "a row"});
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const std::uint8_t value : std::array<std::uint8_t, 5>{0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::vector<std::uint8_t> bad = good;
      bad[i] = value;
      const auto packets = read_capture(bad);
      EXPECT_TRUE(packets || !packets.error().empty());
    }
  }
}

}  // namespace
}  // namespace ff::cli
