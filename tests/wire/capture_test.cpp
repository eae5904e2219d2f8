// A capture of a conversation (H4): all that passed, in order, as a wire would carry it.
#include "device/capture.hpp"

#include "unit/capture_file.hpp"
#include "wire/segment.hpp"
#include "wire/two_stacks.hpp"

namespace ff::wiretest {
namespace {

class CaptureOfAConversation : public testing::TestWithParam<bool> {};

TEST_P(CaptureOfAConversation, HoldsWhatPassedWithEveryChecksumComplete) {
  MemorySink file;
  PcapngWriter writer(file);
  TwoStacks two(GetParam());
  CaptureDevice captured(two.pair.a(), writer, "mem0", [&] { return two.now; });
  two.connect(captured);
  // More than a packet takes: the stack hands out a super-segment.
  const std::string text(5000, 'x');
  EXPECT_TRUE(two.client.write(two.now, two.at_client, Slice::copy_of(as_bytes(text))));
  two.pump();
  two.advance(1s);
  EXPECT_TRUE(two.client.close(two.now, two.at_client));
  two.pump();
  captured.flush(two.now);

  const auto contents = test::PcapngReader(file.bytes()).read();
  ASSERT_GT(contents.packets.size(), 8u);
  std::string stream;
  std::uint64_t last = 0;
  for (const test::CapturedPacket& packet : contents.packets) {
    const Observed segment = Codec::decode(packet.bytes, 64);
    EXPECT_TRUE(segment.faults.empty()) << segment.faults.front();
    EXPECT_LE(packet.bytes.size(), 1500u);
    EXPECT_GE(packet.time, last);
    last = packet.time;
    const bool sent = segment.source == two.client_address;
    EXPECT_EQ(packet.flags & 3, sent ? 2u : 1u);  // epb_flags: outbound, inbound
    if (sent) stream += segment.payload;
  }
  EXPECT_EQ(stream, text);
  EXPECT_EQ(Codec::decode(contents.packets[0].bytes, 64).flags, 0x02);
  EXPECT_EQ(Codec::decode(contents.packets[1].bytes, 64).flags, 0x12);
}

INSTANTIATE_TEST_SUITE_P(Families, CaptureOfAConversation, testing::Bool());

}  // namespace
}  // namespace ff::wiretest
