#include "device/capture.hpp"

#include <optional>

#include "capture_file.hpp"
#include "device/memory_pair.hpp"

namespace ff {
namespace {

using test::Bytes;
using test::SampleSpec;
using SendResult = Device::SendResult;

constexpr Instant at(std::int64_t nanoseconds) { return Instant(Duration(nanoseconds)); }

// A captured device and the plain one behind it.
struct Rig {
  explicit Rig(MemoryPairOptions options = {}, ByteSink* into = nullptr)
      : pair(options), writer(into != nullptr ? *into : sink) {
    capture.emplace(pair.a(), writer, "mem0", [this] { return now; }, std::chrono::seconds(1000));
  }

  SendResult send(Device& device, const SampleSpec& spec) {
    TxPacket packet;
    test::fill_sample(spec, packet);
    return device.send(now, packet);
  }
  static std::vector<Bytes> on_wire(const SampleSpec& spec) {
    TxPacket packet;
    test::fill_sample(spec, packet);
    return test::expected_on_wire(packet);
  }
  test::CaptureContents contents() {
    capture->flush(now);
    return test::PcapngReader(sink.bytes()).read();
  }

  MemorySink sink;
  MemoryPair pair;
  PcapngWriter writer;
  Instant now = at(5);
  std::optional<CaptureDevice> capture;
  RxPacket received;
};

TEST(Capture, RecordsBothDirectionsWithTheirTimes) {
  Rig rig;
  const SampleSpec out{.pieces = {100}}, in{.v6 = true, .pieces = {33}};
  EXPECT_EQ(rig.send(*rig.capture, out), SendResult::Sent);
  EXPECT_EQ(rig.send(rig.pair.b(), in), SendResult::Sent);
  rig.now = at(6);
  ASSERT_TRUE(rig.capture->receive(rig.received));
  EXPECT_FALSE(rig.capture->receive(rig.received));

  const auto contents = rig.contents();
  ASSERT_EQ(contents.interfaces.size(), 1u);
  EXPECT_EQ(contents.interfaces[0].name, "mem0");
  ASSERT_EQ(contents.packets.size(), 2u);
  EXPECT_EQ(contents.packets[0].bytes, Rig::on_wire(out)[0]);
  EXPECT_EQ(contents.packets[0].flags, 2u);
  EXPECT_EQ(contents.packets[0].time, 1'000'000'000'005u);
  EXPECT_EQ(contents.packets[1].bytes, Rig::on_wire(in)[0]);
  EXPECT_EQ(contents.packets[1].flags, 1u);
  EXPECT_EQ(contents.packets[1].time, 1'000'000'000'006u);
}

TEST(Capture, ChangesNothingThatPassesThrough) {
  Rig rig({.segment = false});
  const SampleSpec spec{.pieces = {5000, 4000}, .segment_size = 1000};
  TxPacket packet;
  test::fill_sample(spec, packet);
  const Bytes whole = test::joined(packet);
  EXPECT_EQ(rig.capture->send(rig.now, packet), SendResult::Sent);
  ASSERT_TRUE(rig.pair.b().receive(rig.received));
  EXPECT_TRUE(std::ranges::equal(rig.received.bytes.span(), whole));

  EXPECT_EQ(rig.send(rig.pair.b(), spec), SendResult::Sent);
  ASSERT_TRUE(rig.capture->receive(rig.received));
  EXPECT_TRUE(std::ranges::equal(rig.received.bytes.span(), whole));
  EXPECT_EQ(rig.received.checksum, RxChecksum::Verified);
  EXPECT_EQ(rig.received.segment_size, 1000);
  EXPECT_EQ(rig.capture->mtu(), 1500);
}

// Super-segments never are on a wire: what is recorded is cut and has checksums, whichever way it went.
TEST(Capture, CutsSuperSegmentsOfBothDirections) {
  for (const bool v6 : {false, true}) {
    Rig rig({.segment = false});
    const SampleSpec spec{.v6 = v6, .tcp_options = 12, .flags = 0x99, .pieces = {30000, 20001}, .segment_size = 1448};
    const std::vector<Bytes> expected = Rig::on_wire(spec);
    EXPECT_EQ(rig.send(*rig.capture, spec), SendResult::Sent);
    EXPECT_EQ(rig.send(rig.pair.b(), spec), SendResult::Sent);
    ASSERT_TRUE(rig.capture->receive(rig.received));
    const auto contents = rig.contents();
    ASSERT_EQ(contents.packets.size(), 2 * expected.size());
    for (std::size_t i = 0; i < contents.packets.size(); ++i) {
      EXPECT_EQ(contents.packets[i].bytes, expected[i % expected.size()]) << "packet " << i;
      EXPECT_EQ(contents.packets[i].flags, i < expected.size() ? 2u : 1u);
    }
  }
}

TEST(Capture, CompletesChecksumsThatTheReceiverNeedNotVerify) {
  Rig rig({.segment = false});
  const SampleSpec specs[] = {{.pieces = {7}},
                              {.v6 = true, .pieces = {7}},
                              {.udp = true, .pieces = {9}},
                              {.v6 = true, .udp = true},
                              {.tcp_options = 40}};
  for (const SampleSpec& spec : specs) {
    EXPECT_EQ(rig.send(rig.pair.b(), spec), SendResult::Sent);
    ASSERT_TRUE(rig.capture->receive(rig.received));
  }
  const auto contents = rig.contents();
  ASSERT_EQ(contents.packets.size(), std::size(specs));
  for (std::size_t i = 0; i < std::size(specs); ++i) EXPECT_EQ(contents.packets[i].bytes, Rig::on_wire(specs[i])[0]);
}

// A packet that came damaged is recorded as damaged: the capture is the witness.
TEST(Capture, RecordsWhatItCannotUnderstandAsItIs) {
  class Scripted final : public Device {
   public:
    std::vector<RxPacket> packets;
    [[nodiscard]] std::uint16_t mtu() const noexcept override { return 1500; }
    bool receive(RxPacket& packet) override {
      if (packets.empty()) return false;
      packet = packets.front();
      packets.erase(packets.begin());
      return true;
    }
    SendResult send(Instant, TxPacket&) override { return SendResult::Sent; }
  };
  TxPacket sample;
  test::fill_sample({.pieces = {50}}, sample);
  const Bytes good = test::expected_on_wire(sample)[0];
  Bytes wrong_checksum = good, wrong_header = good, wrong_data_offset = good, udp_without = good, other = good;
  wrong_checksum[36] ^= 1;
  wrong_header[0] = 0x4f;
  wrong_data_offset[32] = 0x40;
  for (Bytes* each : {&udp_without, &other}) (*each)[9] = each == &other ? 132 : 17;
  test::put16(udp_without, 24, 70);
  test::put16(udp_without, 26, 0);
  test::fix_ipv4_checksum(udp_without);
  test::fix_ipv4_checksum(other);
  const Bytes shorter(good.begin(), good.begin() + 30), nothing;

  Scripted device;
  std::vector<Bytes> expected{wrong_checksum, wrong_header, wrong_data_offset, udp_without, other, shorter, nothing};
  for (const Bytes& bytes : expected) {
    device.packets.push_back({.bytes = Slice::copy_of(bytes), .checksum = RxChecksum::Verified});
  }
  device.packets[0].checksum = RxChecksum::Unverified;
  MemorySink sink;
  PcapngWriter writer(sink);
  CaptureDevice capture(device, writer, "x", [] { return Instant{}; });
  for (RxPacket packet; capture.receive(packet);) continue;
  capture.flush({});
  const auto contents = test::PcapngReader(sink.bytes()).read();
  ASSERT_EQ(contents.packets.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(contents.packets[i].bytes, expected[i]) << "packet " << i;
}

TEST(Capture, DoesNotRecordWhatTheDeviceHasNotTaken) {
  Rig rig({.queue_packets = 2});
  for (int i = 0; i < 5; ++i) rig.send(*rig.capture, {.pieces = {10}, .fill = static_cast<std::uint8_t>(i)});
  const auto contents = rig.contents();
  ASSERT_EQ(contents.packets.size(), 2u);
  EXPECT_EQ(contents.packets[1].bytes, Rig::on_wire({.pieces = {10}, .fill = 1})[0]);
}

TEST(Capture, SameCallsSameBytes) {
  const auto run = [] {
    Rig rig({.segment = false});
    for (int i = 0; i < 20; ++i) {
      rig.now = at(i);
      rig.send(*rig.capture, {.pieces = {4000}, .segment_size = 900, .fill = static_cast<std::uint8_t>(i)});
      rig.send(rig.pair.b(), {.pieces = {4000}, .segment_size = 900, .fill = static_cast<std::uint8_t>(i)});
      rig.capture->receive(rig.received);
    }
    rig.capture->flush(rig.now);
    return Bytes(rig.sink.bytes().begin(), rig.sink.bytes().end());
  };
  EXPECT_EQ(run(), run());
}

TEST(Capture, TsharkFindsNothingWrong) {
  if (!test::have_tshark()) FF_CANNOT_TEST_HERE("tshark is not installed");
  const test::TemporaryFile file;
  auto sink = FileSink::create(file.path());
  ASSERT_TRUE(sink.has_value()) << sink.error();
  std::size_t packets = 0;
  {
    Rig rig({.segment = false}, sink->get());
    for (const bool v6 : {false, true}) {
      for (const bool udp : {false, true}) {
        const SampleSpec spec{.v6 = v6,
                              .udp = udp,
                              .tcp_options = 12,
                              .pieces = {1, 8000},
                              .segment_size = static_cast<std::uint16_t>(udp ? 0 : 1448)};
        EXPECT_EQ(rig.send(*rig.capture, spec), SendResult::Sent);
        EXPECT_EQ(rig.send(rig.pair.b(), spec), SendResult::Sent);
        EXPECT_TRUE(rig.capture->receive(rig.received));
        packets += 2 * Rig::on_wire(spec).size();
      }
    }
    rig.capture->flush(rig.now);
  }
  const auto lines = test::tshark(file.path(),
                                  "-T fields -E separator=, -e frame.interface_name -e ip.checksum.status "
                                  "-e tcp.checksum.status -e udp.checksum.status");
  ASSERT_EQ(lines.size(), packets);
  for (const std::string& line : lines) {
    const bool good = line == "mem0,1,1," || line == "mem0,1,,1" || line == "mem0,,1," || line == "mem0,,,1";
    EXPECT_TRUE(good) << line;
  }
  EXPECT_TRUE(test::tshark(file.path(), "-Y '_ws.malformed || _ws.expert.severity == error'").empty());
  EXPECT_EQ(test::tshark(file.path(), "-Y 'frame.packet_flags_direction == 1'").size(), packets / 2);
  EXPECT_EQ(test::tshark(file.path(), "-Y 'frame.packet_flags_direction == 2'").size(), packets / 2);
}

}  // namespace
}  // namespace ff
