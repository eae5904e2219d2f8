#include "cli/ladder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include "cli/get_report.hpp"
#include "wire/ip.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr auto kSent = LadderDirection::Sent;
constexpr auto kReceived = LadderDirection::Received;

const IpAddress kUs = IpAddress::v4(10, 0, 0, 1);
const IpAddress kPeer = IpAddress::v4(10, 0, 0, 2);

constexpr std::uint8_t kSyn = wire::TcpFlags::kSyn;
constexpr std::uint8_t kAck = wire::TcpFlags::kAck;

wire::TcpHeader tcp(std::uint8_t flags, std::uint32_t seq = 0, std::uint32_t ack = 0, std::uint16_t window = 0) {
  wire::TcpHeader header;
  header.flags = {flags};
  header.seq = Seq(seq);
  header.ack = Seq(ack);
  header.window = {window};
  return header;
}

// A packet between port 4000 of ours and port 80 of the peer's.
std::vector<std::uint8_t> packet(LadderDirection direction, const wire::TcpHeader& header, std::size_t payload = 0) {
  const bool sent = direction == kSent;
  wire::TcpHeader whole = header;
  whole.source_port = sent ? 4000 : 80;
  whole.destination_port = sent ? 80 : 4000;
  std::array<std::uint8_t, kMaxHeader> bytes{};
  const std::size_t tcp_size = wire::emit_tcp(whole, bytes.data() + wire::kIpv4HeaderSize);
  const wire::IpHeader ip{
      .source = sent ? kUs : kPeer, .destination = sent ? kPeer : kUs, .protocol = wire::protocol::kTcp};
  wire::emit_ip(ip, tcp_size + payload, bytes.data());
  std::vector<std::uint8_t> result(bytes.begin(), bytes.begin() + static_cast<long>(wire::kIpv4HeaderSize + tcp_size));
  result.resize(result.size() + payload, 'x');
  return result;
}

struct Conversation {
  void pass(Duration at, LadderDirection direction, const wire::TcpHeader& header, std::size_t payload = 0,
            std::uint16_t segment_size = 0) {
    const auto bytes = packet(direction, header, payload);
    recorder.record(Instant(at), direction, bytes, static_cast<std::uint32_t>(bytes.size()), segment_size);
  }
  // A visit by Fast Open, with sequence numbers that wrap.
  void visit() {
    wire::TcpHeader syn = tcp(kSyn, 0xfffffff0, 0, 64240);
    syn.options.mss = 1460;
    syn.options.window_scale = WindowScale{7};
    syn.options.sack_permitted = true;
    syn.options.timestamps = wire::Timestamps{Timestamp(1), Timestamp(0)};
    syn.options.fast_open =
        wire::FastOpenOption{{.bytes = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}, .size = 8}};
    pass(5s, kSent, syn, 100);
    wire::TcpHeader syn_ack = tcp(kSyn | kAck, 7, 0x55, 65160);
    syn_ack.options.window_scale = WindowScale{10};
    pass(5s + 100ms, kReceived, syn_ack);
    wire::TcpHeader data = tcp(kAck, 8, 0x55, 64);
    pass(5s + 101ms, kReceived, data, 2000, 1460);
    wire::TcpHeader ack = tcp(kAck, 0x55, 8 + 1460, 500);
    ack.options.sack.add({Seq(8 + 1600), Seq(8 + 1700)});
    pass(5s + 102ms, kSent, ack);
  }
  LadderRecorder recorder;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Columns, given that each character outside ASCII is one column.
std::size_t width_of(const std::string& line) {
  return static_cast<std::size_t>(std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; }));
}

TEST(LadderRecorder, CountsFromEachSidesSyn) {
  Conversation talk;
  talk.visit();
  const auto& rows = talk.recorder.rows();
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].seq, 0u);
  EXPECT_EQ(rows[0].payload, 100u);
  EXPECT_EQ(rows[0].window, 64240u);  // a SYN's window is not scaled
  EXPECT_EQ(rows[1].direction, kReceived);
  EXPECT_EQ(rows[1].seq, 0u);
  EXPECT_EQ(rows[1].ack, 101u);
  EXPECT_EQ(rows[2].seq, 1u);
  EXPECT_EQ(rows[2].window, 64u << 10);
  EXPECT_EQ(rows[2].segments, 2u);
  EXPECT_EQ(rows[3].seq, 101u);
  EXPECT_EQ(rows[3].ack, 1461u);
  EXPECT_EQ(rows[3].window, 500u << 7);
  EXPECT_EQ(rows[3].options.sack.blocks[0], (wire::SackBlock{Seq(1601), Seq(1701)}));
  for (const LadderRow& row : rows) EXPECT_EQ(row.tuple, (FourTuple{{kUs, 4000}, {kPeer, 80}}));
}

TEST(LadderRecorder, CountsAnewWithANewSyn) {
  Conversation talk;
  talk.visit();
  talk.pass(9s, kSent, tcp(kSyn, 5000));
  talk.pass(9s, kReceived, tcp(kSyn | kAck, 90, 5001, 9));
  talk.pass(9s, kReceived, tcp(kAck, 91, 5001, 9));
  EXPECT_EQ(talk.recorder.rows()[4].seq, 0u);
  EXPECT_EQ(talk.recorder.rows()[5].ack, 1u);
  EXPECT_EQ(talk.recorder.rows()[6].seq, 1u);
  EXPECT_EQ(talk.recorder.rows()[6].window, 9u);  // the earlier connection's scale is forgotten
}

TEST(LadderRecorder, KnowsARepeatedSynAndSimultaneousOpen) {
  Conversation talk;
  talk.pass(0s, kSent, tcp(kSyn, 100));
  talk.pass(1s, kReceived, tcp(kSyn, 900));
  talk.pass(2s, kSent, tcp(kSyn, 100));
  talk.pass(3s, kSent, tcp(kSyn | kAck, 100, 901));
  EXPECT_EQ(talk.recorder.rows()[2].seq, 0u);
  EXPECT_EQ(talk.recorder.rows()[3].ack, 1u);
}

TEST(LadderRecorder, ComingLateCountsFromWhatItSees) {
  Conversation talk;
  talk.pass(0s, kReceived, tcp(kAck, 1000, 50), 10);
  talk.pass(0s, kSent, tcp(kAck, 50, 1010));
  EXPECT_EQ(talk.recorder.rows()[0].seq, 1u);
  EXPECT_EQ(talk.recorder.rows()[0].ack, 1u);
  EXPECT_EQ(talk.recorder.rows()[1].seq, 1u);
  EXPECT_EQ(talk.recorder.rows()[1].ack, 11u);
}

TEST(LadderRecorder, SaysWhatIsNotTcpOrMalformed) {
  LadderRecorder recorder;
  const std::vector<std::uint8_t> rubbish{0x99, 1, 2, 3};
  recorder.record(Instant(), kReceived, rubbish, 4);
  EXPECT_THAT(recorder.rows()[0].note, HasSubstr("IP"));
  auto bad = packet(kReceived, tcp(kAck));
  bad[wire::kIpv4HeaderSize + 12] = 0x10;  // a data offset of 4 bytes
  recorder.record(Instant(), kReceived, bad, static_cast<std::uint32_t>(bad.size()));
  EXPECT_THAT(recorder.rows()[1].note, HasSubstr("TCP"));
  EXPECT_THAT(render_ladder({"t", recorder.rows()}, {.width = 80, .unicode = false}), HasSubstr("malformed"));
}

TEST(LadderRecorder, KeepsNoMoreThanItsLimit) {
  LadderRecorder recorder(2);
  const auto bytes = packet(kSent, tcp(kAck));
  for (int i = 0; i < 5; ++i) recorder.record(Instant(), kSent, bytes, static_cast<std::uint32_t>(bytes.size()));
  EXPECT_EQ(recorder.rows().size(), 2u);
  EXPECT_EQ(recorder.omitted(), 3u);
}

TEST(LadderText, ShowsAllThereIsToKnow) {
  Conversation talk;
  talk.visit();
  const std::string text = render_ladder({"visit 1", talk.recorder.rows()}, {.width = 140, .unicode = false});
  const auto lines = lines_of(text);
  ASSERT_EQ(lines.size(), 5u) << text;
  EXPECT_THAT(lines[0], HasSubstr("visit 1"));
  EXPECT_THAT(lines[1], HasSubstr("0.0  -- SYN, seq 0, 100 bytes, win 64240, mss 1460, ws 7, sackOK, TS, "
                                  "cookie 0123456789abcdef ---"));
  EXPECT_TRUE(lines[1].ends_with("->"));
  EXPECT_THAT(lines[2], HasSubstr("100.0  <- SYN ACK, seq 0, ack 101, win 65160, ws 10 ---"));
  EXPECT_THAT(lines[3], HasSubstr("2000 bytes in 2"));
  EXPECT_THAT(lines[4], HasSubstr("sack 1601-1701"));
}

TEST(LadderText, FitsItsWidth) {
  Conversation talk;
  talk.visit();
  const Ladder ladder{"visit 1: 10.0.0.1:4000 to 10.0.0.2:80", talk.recorder.rows()};
  for (const bool unicode : {false, true}) {
    for (std::size_t width = 40; width < 200; ++width) {
      for (const std::string& line : lines_of(render_ladder(ladder, {width, unicode})))
        EXPECT_LE(width_of(line), width) << line;
      if (width < 83) continue;
      for (const std::string& line : lines_of(render_ladders(ladder, ladder, {width, unicode})))
        EXPECT_LE(width_of(line), width) << line;
    }
  }
}

TEST(LadderText, IsAsciiWhereTheLocaleIs) {
  Conversation talk;
  talk.visit();
  const Ladder ladder{"t", talk.recorder.rows()};
  const auto is_ascii = [](const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
  };
  EXPECT_TRUE(is_ascii(render_ladders(ladder, ladder, {.width = 120, .unicode = false})));
  EXPECT_FALSE(is_ascii(render_ladders(ladder, ladder, {.width = 120, .unicode = true})));
}

TEST(LadderText, SideBySideHasTheSameTimeOnTheSameLine) {
  Conversation left, right;
  const auto ack = [](std::uint32_t seq) { return tcp(kAck, seq, 1); };
  for (const Duration at : {0ms, 100ms, 200ms}) left.pass(at, kSent, ack(1), 11);
  for (const Duration at : {7000ms, 7200ms}) right.pass(at, kSent, ack(1), 22);
  const auto lines = lines_of(
      render_ladders({"l", left.recorder.rows()}, {"r", right.recorder.rows()}, {.width = 120, .unicode = false}));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[1], testing::AllOf(HasSubstr("11 bytes"), HasSubstr("22 bytes")));
  EXPECT_THAT(lines[2], testing::AllOf(HasSubstr("100.0"), HasSubstr("11 bytes"), Not(HasSubstr("22 bytes"))));
  EXPECT_THAT(lines[3], testing::AllOf(HasSubstr("200.0"), HasSubstr("11 bytes"), HasSubstr("22 bytes")));
  EXPECT_EQ(lines[1].find(" | "), lines[3].find(" | "));
}

TEST(LadderText, OfNothingIsATitle) {
  EXPECT_EQ(lines_of(render_ladder({"nothing", {}}, {})).size(), 1u);
  EXPECT_EQ(lines_of(render_ladders({"a", {}}, {"b", {}}, {})).size(), 1u);
}

TEST(ProgressLine, FitsAndKnowsTheEnd) {
  EXPECT_EQ(progress_line(50, 100, 1s, 100),
            "[####################....................]  50 %  50 bytes of 100 bytes  50 bytes/s");
  EXPECT_EQ(progress_line(1'500'000, std::nullopt, 1s, 79), "1.50 MB  1.50 MB/s");
  for (std::size_t width = 1; width < 120; ++width) {
    EXPECT_LE(progress_line(100, 100, 1s, width).size(), width);
    EXPECT_LE(progress_line(200, 100, 0s, width).size(), width);
    EXPECT_LE(progress_line(200, std::nullopt, 1s, width).size(), width);
  }
}

}  // namespace
}  // namespace ff::cli
