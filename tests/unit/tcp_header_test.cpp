#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "wire/endian.hpp"
#include "wire/tcp.hpp"

namespace ff::wire {
namespace {

using test::Bytes;
using test::hex;

// A segment from port 40000 to port 80 with these options.
Bytes segment(std::string_view flags, std::string_view options = "", std::size_t payload = 0) {
  Bytes bytes = hex("9c40 0050 01020304 05060708 50 00 fff0 0000 0009");
  bytes[13] = hex(flags)[0];
  const Bytes more = hex(options);
  bytes.insert(bytes.end(), more.begin(), more.end());
  bytes[12] = static_cast<std::uint8_t>(bytes.size() / 4 << 4);
  bytes.resize(bytes.size() + payload, 0xaa);
  return bytes;
}

// The reason's name, or "accepted".
std::string_view fate(const Bytes& bytes) {
  const auto view = parse_tcp(bytes);
  return view ? "accepted" : name_of(view.error());
}

#define EXPECT_DROP(expected, ...) EXPECT_EQ(fate(__VA_ARGS__), name_of(DropReason::expected))
#define EXPECT_ACCEPTED(...) EXPECT_EQ(fate(__VA_ARGS__), "accepted")

TEST(TcpHeader, ReadsEveryField) {
  const auto view = parse_tcp(segment("b1", "", 7));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header.source_port, 40000);
  EXPECT_EQ(view->header.destination_port, 80);
  EXPECT_EQ(view->header.seq, Seq(0x01020304));
  EXPECT_EQ(view->header.ack, Seq(0x05060708));
  EXPECT_EQ(view->header.flags.bits, TcpFlags::kCwr | TcpFlags::kUrg | TcpFlags::kAck | TcpFlags::kFin);
  EXPECT_EQ(view->header.window.raw, 0xfff0);
  EXPECT_EQ(view->header.urgent_pointer, 9);
  EXPECT_EQ(view->header.options, TcpOptions());
  EXPECT_EQ(view->payload_offset, 20u);
  EXPECT_EQ(view->payload_size, 7u);
}

TEST(TcpHeader, WritesEveryField) {
  TcpHeader header;
  header.source_port = 40000;
  header.destination_port = 80;
  header.seq = Seq(0x01020304);
  header.ack = Seq(0x05060708);
  header.flags.bits = 0xb1;
  header.window.raw = 0xfff0;
  header.urgent_pointer = 9;
  Bytes bytes(60, 0xee);
  ASSERT_EQ(emit_tcp(header, bytes.data()), 20u);
  bytes.resize(20);
  EXPECT_EQ(bytes, segment("b1"));
}

TEST(TcpHeader, DropsForTheRightReason) {
  EXPECT_ACCEPTED(segment("10"));
  EXPECT_DROP(TcpTruncated, {});
  const Bytes whole = segment("10");
  EXPECT_DROP(TcpTruncated, Bytes(whole.begin(), whole.begin() + 19));
  Bytes bytes = whole;
  bytes[12] = 0x40;
  EXPECT_DROP(TcpHeader, bytes);
  bytes[12] = 0x00;
  EXPECT_DROP(TcpHeader, bytes);
  bytes[12] = 0x60;
  EXPECT_DROP(TcpTruncated, bytes);
  bytes = whole;
  store_be16(bytes.data(), 0);
  store_be16(bytes.data() + 2, 0);
  EXPECT_ACCEPTED(bytes) << "port 0 is one that nobody has, but no malformed one";
  EXPECT_DROP(TcpOptions, segment("10", "05 01 01 01"));  // a length that cannot be
  EXPECT_DROP(TcpOptions, segment("10", "01 01 01 05"));  // no room for the length
  EXPECT_DROP(TcpOptions, segment("10", "05 0a 01 01"));  // past the end
}

TEST(TcpHeader, VerifiesTheChecksumOfAKnownSegment) {
  // A SYN-ACK from 10.0.0.1:80 to 10.0.0.2:40000, added up by hand.
  IpHeader ip;
  ip.source = IpAddress::v4(10, 0, 0, 1);
  ip.destination = IpAddress::v4(10, 0, 0, 2);
  ip.protocol = protocol::kTcp;
  Bytes bytes = hex("0050 9c40 00000001 00000002 5012 faf0 0000 0000");
  // 0a00+0001+0a00+0002 + 0006 + 0014 = 141d; 0050+9c40+0001+0002+5012+faf0 = 1e795; together 1fbb2, folded fbb3.
  store_be16(bytes.data() + 16, static_cast<std::uint16_t>(~0xfbb3));
  EXPECT_TRUE(verify_transport_checksum(ip, bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes damaged = bytes;
    damaged[i] ^= 0x10;
    EXPECT_FALSE(verify_transport_checksum(ip, damaged)) << i;
  }
  ip.destination = IpAddress::v4(10, 0, 0, 3);
  EXPECT_FALSE(verify_transport_checksum(ip, bytes));
}

TEST(TcpHeader, QuotedInAnErrorNeedsEightBytes) {
  const Bytes bytes = segment("10");
  const auto quoted = parse_quoted_tcp(ByteSpan(bytes).first(8));
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->source_port, 40000);
  EXPECT_EQ(quoted->destination_port, 80);
  EXPECT_EQ(quoted->seq, Seq(0x01020304));
  EXPECT_FALSE(parse_quoted_tcp(ByteSpan(bytes).first(7)));
}

// ---- options -------------------------------------------------------------------------------------------------------

TcpOptions parsed(std::string_view text, bool syn = true) {
  TcpOptions options;
  EXPECT_TRUE(parse_tcp_options(hex(text), syn, options)) << text;
  return options;
}

Bytes emitted(const TcpOptions& options) {
  Bytes bytes(kMaxTcpOptions, 0xee);
  bytes.resize(emit_tcp_options(options, bytes.data()));
  return bytes;
}

TcpOptions linux_syn_options() {
  TcpOptions options;
  options.mss = 1460;
  options.sack_permitted = true;
  options.timestamps = Timestamps{Timestamp(0x11223344), Timestamp(0)};
  options.window_scale = WindowScale{7};
  return options;
}

// What a Linux 6 client sends, byte for byte.
constexpr std::string_view kLinuxSyn = "020405b4 0402 080a1122334400000000 01 030307";

TEST(TcpOptions, ReadsAndWritesLinuxSyn) {
  EXPECT_EQ(parsed(kLinuxSyn), linux_syn_options());
  EXPECT_EQ(emitted(linux_syn_options()), hex(kLinuxSyn));
}

TEST(TcpOptions, ReadsAndWritesLinuxSynWithCookie) {
  TcpOptions options = linux_syn_options();
  options.fast_open.emplace();
  EXPECT_EQ(emitted(options), hex("020405b4 0402 080a1122334400000000 01 030307 2202 0101"));
  EXPECT_EQ(parsed("020405b4 0402 080a1122334400000000 01 030307 2202 0101"), options);
  options.fast_open->cookie.size = 8;
  options.fast_open->cookie.bytes = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(emitted(options), hex("020405b4 0402 080a1122334400000000 01 030307 220a 0102030405060708 0101"));
  options.fast_open->experimental = true;
  EXPECT_EQ(emitted(options), hex("020405b4 0402 080a1122334400000000 01 030307 fe0cf989 0102030405060708"));
  EXPECT_EQ(parsed("020405b4 0402 080a1122334400000000 01 030307 fe0cf989 0102030405060708"), options);
}

TEST(TcpOptions, WritesEachAlignedWithoutTheOthers) {
  TcpOptions options;
  EXPECT_EQ(emitted(options), Bytes());
  options.timestamps = Timestamps{Timestamp(1), Timestamp(2)};
  EXPECT_EQ(emitted(options), hex("0101 080a 00000001 00000002"));
  options = {};
  options.sack_permitted = true;
  EXPECT_EQ(emitted(options), hex("0101 0402"));
  options = {};
  options.window_scale = WindowScale{14};
  EXPECT_EQ(emitted(options), hex("01 03030e"));
  options = {};
  options.mss = 536;
  EXPECT_EQ(emitted(options), hex("02040218"));
  options = {};
  options.sack.add({Seq(1), Seq(2)});
  options.sack.add({Seq(3), Seq(4)});
  EXPECT_EQ(emitted(options), hex("0101 0512 00000001 00000002 00000003 00000004"));
}

TEST(TcpOptions, LargestCookieFitsBesideEverything) {
  TcpOptions options = linux_syn_options();
  options.fast_open.emplace();
  options.fast_open->cookie.size = 16;
  options.fast_open->experimental = true;
  EXPECT_EQ(emitted(options).size(), 40u);
  options.sack.add({Seq(1), Seq(2)});
  EXPECT_EQ(emitted(options).size(), 40u);
  options.sack = {};
  TcpOptions again;
  ASSERT_TRUE(parse_tcp_options(emitted(options), true, again));
  EXPECT_EQ(again, options);
}

TEST(TcpOptions, LeavesOutSackBlocksThatDoNotFit) {
  TcpOptions options;
  for (std::uint32_t i = 0; i < 4; ++i) options.sack.add({Seq(2 * i), Seq(2 * i + 1)});
  EXPECT_EQ(emitted(options).size(), 36u);
  options.timestamps.emplace();
  const Bytes three = emitted(options);
  EXPECT_EQ(three.size(), 40u);
  TcpOptions again;
  ASSERT_TRUE(parse_tcp_options(three, false, again));
  options.sack.count = 3;
  EXPECT_EQ(again, options);
}

TEST(TcpOptions, ReadsTheUnalignedLayoutsOfOtherStacks) {
  EXPECT_EQ(parsed("030307 0402 020405b4 080a1122334400000000 00"), linux_syn_options());
  const TcpOptions timestamps_only = parsed("080a 00000001 00000002 0101", false);
  EXPECT_EQ(timestamps_only.timestamps, (Timestamps{Timestamp(1), Timestamp(2)}));
}

TEST(TcpOptions, TheFastPathReadsWhatTheSlowOneDoes) {
  const auto fast = parse_tcp(segment("10", "0101080a 00000001 00000002"));
  const auto slow = parse_tcp(segment("10", "080a0000 00010000 00020101"));
  ASSERT_TRUE(fast);
  ASSERT_TRUE(slow);
  EXPECT_EQ(fast->header.options, slow->header.options);
  EXPECT_EQ(fast->header.options.timestamps, (Timestamps{Timestamp(1), Timestamp(2)}));
  EXPECT_EQ(fast->payload_offset, 32u);
}

TEST(TcpOptions, StopsAtTheEndMarker) { EXPECT_EQ(parsed("00 05 00 ff ff"), TcpOptions()); }

TEST(TcpOptions, SkipsWhatItDoesNotKnow) {
  TcpOptions expected;
  expected.mss = 1460;
  EXPECT_EQ(parsed("1e04abcd 13 02 ff03aa 020405b4"), expected);
}

TEST(TcpOptions, IgnoresKnownKindsOfTheWrongLength) {
  EXPECT_EQ(parsed("0203ff 0205000000 0302 030400ff 04030a 0809000000000000 00 080b000000000000000000"), TcpOptions());
  EXPECT_EQ(parsed("0502 0503ff 0509 00000000000000 050b 000000000000000000", false), TcpOptions());
  EXPECT_EQ(parsed("0204 0000"), TcpOptions());  // an MSS of 0
}

TEST(TcpOptions, CutsAWindowScaleOverFourteen) {
  EXPECT_EQ(parsed("03030e").window_scale, WindowScale{14});
  EXPECT_EQ(parsed("03030f").window_scale, WindowScale{14});
  EXPECT_EQ(parsed("0303ff").window_scale, WindowScale{14});
}

TEST(TcpOptions, CountOnlyWhereTheyBelong) {
  const TcpOptions established = parsed("020405b4 0402 030307 220a0102030405060708", false);
  EXPECT_EQ(established, TcpOptions());
  EXPECT_EQ(parsed("050a 00000001 00000002", true), TcpOptions());
  EXPECT_EQ(parsed("050a 00000001 00000002", false).sack.count, 1);
}

TEST(TcpOptions, FalseWhenALengthLeadsAstray) {
  TcpOptions options;
  for (const char* text : {"05", "0500", "0501", "05 0a 00", "01 01 08", "fe 05 f989", "22 ff", "80 00 00 00"}) {
    EXPECT_FALSE(parse_tcp_options(hex(text), true, options)) << text;
  }
  EXPECT_EQ(options, TcpOptions());
  EXPECT_FALSE(parse_tcp_options(hex("020405b4 0300"), true, options));
  EXPECT_EQ(options.mss, 1460);
}

TEST(TcpOptions, TheLastOfTwoCounts) {
  EXPECT_EQ(parsed("020405b4 02040218").mss, 536);
  const TcpOptions options = parsed("0512 00000001 00000002 00000003 00000004 050a 00000005 00000006", false);
  EXPECT_EQ(options.sack.count, 1);
  EXPECT_EQ(options.sack.blocks[0], (SackBlock{Seq(5), Seq(6)}));
}

// RFC 7413 §4.1.1: 4 to 16 bytes, even; empty is a request.
TEST(FastOpenOption, TakesCookiesOfTheSizesThatRfc7413Allows) {
  for (std::size_t size = 0; size <= 36; ++size) {
    for (const bool experimental : {false, true}) {
      Bytes bytes = experimental ? hex("fe00f989") : hex("2200");
      bytes[1] = static_cast<std::uint8_t>(bytes.size() + size);
      for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(i + 1));
      TcpOptions options;
      ASSERT_TRUE(parse_tcp_options(bytes, true, options));
      const bool valid = size == 0 || (size >= 4 && size <= 16 && size % 2 == 0);
      ASSERT_EQ(options.fast_open.has_value(), valid) << size;
      if (!valid) continue;
      EXPECT_EQ(options.fast_open->experimental, experimental);
      const ByteSpan cookie = options.fast_open->cookie.span();
      EXPECT_TRUE(
          std::equal(cookie.begin(), cookie.end(), bytes.end() - static_cast<std::ptrdiff_t>(size), bytes.end()));
    }
  }
}

TEST(FastOpenOption, ExperimentsOfOthersAreNotIt) {
  EXPECT_EQ(parsed("fe08f98801020304"), TcpOptions());
  EXPECT_EQ(parsed("fe02"), TcpOptions());
  EXPECT_EQ(parsed("fe03f9"), TcpOptions());
}

// As Linux has it: an even size that no cookie has voids what came before, an odd one is passed over.
TEST(FastOpenOption, ASecondOneReplacesOrVoidsTheFirst) {
  EXPECT_EQ(parsed("220601020304 220605060708").fast_open->cookie.bytes[0], 5);
  EXPECT_FALSE(parsed("220601020304 22040506").fast_open);
  EXPECT_EQ(parsed("220601020304 2205050607").fast_open->cookie.bytes[0], 1);
}

}  // namespace
}  // namespace ff::wire
