#include "device/pcapng.hpp"

#include "capture_file.hpp"

namespace ff {
namespace {

using test::Bytes;
using Direction = PcapngWriter::Direction;

TEST(Pcapng, ReadsBackAsWritten) {
  MemorySink sink;
  {
    PcapngWriter writer(sink);
    EXPECT_EQ(writer.add_interface("tun0"), 0u);
    EXPECT_EQ(writer.add_interface("other"), 1u);
    writer.write_packet(0, 1'700'000'000'123'456'789, Direction::Inbound, as_bytes("abcde"));
    writer.write_packet(1, 7, Direction::Outbound, as_bytes("abcdefgh"));
    writer.write_packet(1, 8, Direction::Unknown, {});
    EXPECT_TRUE(sink.bytes().empty()) << "gathered until flush()";
  }
  const auto contents = test::PcapngReader(sink.bytes()).read();
  ASSERT_EQ(contents.interfaces.size(), 2u);
  EXPECT_EQ(contents.interfaces[0].name, "tun0");
  EXPECT_EQ(contents.interfaces[1].name, "other");
  EXPECT_EQ(contents.interfaces[0].link_type, 101) << "LINKTYPE_RAW";
  EXPECT_EQ(contents.interfaces[0].resolution, 9);
  ASSERT_EQ(contents.packets.size(), 3u);
  EXPECT_EQ(contents.packets[0].time, 1'700'000'000'123'456'789u);
  EXPECT_EQ(contents.packets[0].flags, 1u);
  EXPECT_EQ(contents.packets[0].bytes, (Bytes{'a', 'b', 'c', 'd', 'e'}));
  EXPECT_EQ(contents.packets[1].interface, 1u);
  EXPECT_EQ(contents.packets[1].flags, 2u);
  EXPECT_EQ(contents.packets[1].bytes.size(), 8u);
  EXPECT_EQ(contents.packets[2].flags, 0u);
}

TEST(Pcapng, RewindTakesPacketsBack) {
  MemorySink with, without;
  for (MemorySink* sink : {&with, &without}) {
    PcapngWriter writer(*sink);
    writer.add_interface("x");
    writer.write_packet(0, 1, Direction::Inbound, as_bytes("kept"));
    if (sink == &with) {
      const std::size_t mark = writer.mark();
      writer.write_packet(0, 2, Direction::Inbound, as_bytes("taken back"));
      writer.rewind(mark);
    }
    writer.write_packet(0, 3, Direction::Inbound, as_bytes("kept, too"));
  }
  EXPECT_TRUE(std::ranges::equal(with.bytes(), without.bytes()));
  EXPECT_EQ(test::PcapngReader(with.bytes()).read().packets.size(), 2u);
}

class FailingSink final : public ByteSink {
 public:
  std::expected<void, std::string> write(ByteSpan) override {
    ++calls;
    return std::unexpected("no space left");
  }
  int calls = 0;
};

TEST(Pcapng, AfterAnErrorNothingMoreIsTried) {
  FailingSink sink;
  PcapngWriter writer(sink);
  writer.add_interface("x");
  EXPECT_EQ(writer.error(), "");
  writer.flush();
  EXPECT_EQ(writer.error(), "no space left");
  writer.write_packet(0, 1, Direction::Inbound, as_bytes("lost"));
  writer.flush();
  EXPECT_EQ(sink.calls, 1);
}

TEST(Pcapng, FileHoldsTheSameBytesAsMemory) {
  const test::TemporaryFile file;
  MemorySink memory;
  auto sink = FileSink::create(file.path());
  ASSERT_TRUE(sink.has_value()) << sink.error();
  for (ByteSink* each : {static_cast<ByteSink*>(sink->get()), static_cast<ByteSink*>(&memory)}) {
    PcapngWriter writer(*each);
    writer.add_interface("tun0");
    const Bytes packet = test::sample_payload(100'000, 1);
    for (std::uint64_t i = 0; i < 10; ++i) {
      writer.write_packet(0, i, Direction::Inbound, packet);
      writer.flush_if_large();
    }
  }
  EXPECT_EQ(file.contents(), Bytes(memory.bytes().begin(), memory.bytes().end()));
}

TEST(Pcapng, AFileThatCannotBeMadeIsOneSentence) {
  const auto sink = FileSink::create("/nonexistent/directory/x.pcapng");
  ASSERT_FALSE(sink.has_value());
  EXPECT_EQ(sink.error(),
            "the capture file /nonexistent/directory/x.pcapng cannot be written: No such file or directory");
}

}  // namespace
}  // namespace ff
