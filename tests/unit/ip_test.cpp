#include "wire/ip.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "support/hex.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {
namespace {

using test::Bytes;
using test::hex;

// The header of RFC 791 appendix A's kind, from 192.168.0.1 to 192.168.0.199, UDP, 95 bytes of payload.
Bytes v4_packet() {
  Bytes packet = hex("45 00 0073 0000 4000 40 11 b861 c0a80001 c0a800c7");
  packet.resize(0x73, 0xaa);
  return packet;
}

// A header changed at will, its checksum put right again.
Bytes v4_with(const std::function<void(Bytes&)>& change) {
  Bytes packet = v4_packet();
  change(packet);
  const std::size_t header_size = std::min<std::size_t>((packet[0] & 0xf) * 4u, packet.size());
  packet[10] = packet[11] = 0;
  ChecksumAccumulator sum;
  sum.add(ByteSpan(packet).first(header_size));
  store_be16(packet.data() + 10, sum.checksum());
  return packet;
}

// TCP from 2001:db8::1 to 2001:db8::2 behind `extensions`, the first of which is of type `next`.
Bytes v6_packet(std::uint8_t next = 6, std::string_view extensions = "", std::size_t payload = 20) {
  Bytes packet = hex("60000000 0000 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002");
  const Bytes more = hex(extensions);
  packet[6] = next;
  packet.insert(packet.end(), more.begin(), more.end());
  packet.resize(packet.size() + payload, 0xaa);
  store_be16(packet.data() + 4, static_cast<std::uint16_t>(packet.size() - 40));
  return packet;
}

// The reason's name, or "accepted".
std::string_view fate(const Bytes& packet, bool trust_length_field = true) {
  const auto view = parse_ip(packet, trust_length_field);
  return view ? "accepted" : name_of(view.error());
}

#define EXPECT_DROP(expected, ...) EXPECT_EQ(fate(__VA_ARGS__), name_of(DropReason::expected))
#define EXPECT_ACCEPTED(...) EXPECT_EQ(fate(__VA_ARGS__), "accepted")

TEST(Ipv4, ReadsAHeader) {
  const auto view = parse_ip(v4_packet());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header.source, IpAddress::v4(192, 168, 0, 1));
  EXPECT_EQ(view->header.destination, IpAddress::v4(192, 168, 0, 199));
  EXPECT_EQ(view->header.protocol, protocol::kUdp);
  EXPECT_EQ(view->header.ttl, 64);
  EXPECT_TRUE(view->header.dont_fragment);
  EXPECT_EQ(view->payload_offset, 20u);
  EXPECT_EQ(view->payload_size, 95u);
  EXPECT_EQ(view->end(), 115u);
}

TEST(Ipv4, WritesAHeader) {
  IpHeader header;
  header.source = IpAddress::v4(192, 168, 0, 1);
  header.destination = IpAddress::v4(192, 168, 0, 199);
  header.protocol = protocol::kUdp;
  Bytes bytes(20);
  EXPECT_EQ(emit_ip(header, 95, bytes.data()), 20u);
  EXPECT_EQ(bytes, hex("45 00 0073 0000 4000 40 11 b861 c0a80001 c0a800c7"));
}

TEST(Ipv4, LeavesPaddingAndOptionsOut) {
  Bytes padded = v4_packet();
  padded.resize(200);
  EXPECT_EQ(parse_ip(padded)->payload_size, 95u);

  const auto view = parse_ip(v4_with([](Bytes& p) {
    p[0] = 0x46;
    store_be32(p.data() + 20, 0x01010100);  // NOP, NOP, NOP, end
  }));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->payload_offset, 24u);
  EXPECT_EQ(view->payload_size, 91u);
}

TEST(Ipv4, DropsForTheRightReason) {
  EXPECT_ACCEPTED(v4_packet());
  EXPECT_DROP(IpTruncated, {});
  const Bytes whole = v4_packet();
  EXPECT_DROP(IpTruncated, Bytes(whole.begin(), whole.begin() + 19));
  EXPECT_DROP(IpTruncated, Bytes(whole.begin(), whole.end() - 1));
  EXPECT_DROP(IpVersion, v4_with([](Bytes& p) { p[0] = 0x55; }));
  EXPECT_DROP(IpVersion, v4_with([](Bytes& p) { p[0] = 0x05; }));
  EXPECT_DROP(IpHeader, v4_with([](Bytes& p) { p[0] = 0x44; }));
  EXPECT_DROP(IpHeader, v4_with([](Bytes& p) { store_be16(p.data() + 2, 19); }));
  EXPECT_DROP(IpTruncated, v4_with([](Bytes& p) {
                p[0] = 0x4f;
                p.resize(59);
              }));
  Bytes flipped = v4_packet();
  flipped[8] ^= 1;
  EXPECT_DROP(IpChecksum, flipped);
  EXPECT_DROP(IpFragment, v4_with([](Bytes& p) { store_be16(p.data() + 6, 0x2000); }));
  EXPECT_DROP(IpFragment, v4_with([](Bytes& p) { store_be16(p.data() + 6, 0x0001); }));
  EXPECT_ACCEPTED(v4_with([](Bytes& p) { store_be16(p.data() + 6, 0x0000); }));
}

TEST(Ipv4, DropsSourcesThatNoHostHas) {
  for (const std::uint32_t source : {0x00000000u, 0x00010203u, 0xe0000001u, 0xefffffffu, 0xffffffffu}) {
    EXPECT_DROP(IpMartianSource, v4_with([&](Bytes& p) { store_be32(p.data() + 12, source); })) << source;
  }
  EXPECT_ACCEPTED(v4_with([](Bytes& p) { store_be32(p.data() + 12, 0xf0000001); }));
}

TEST(Ipv4, TakesTheLengthOfASuperSegmentFromThePacket) {
  const Bytes packet = v4_with([](Bytes& p) { store_be16(p.data() + 2, 0); });
  EXPECT_DROP(IpHeader, packet);
  const auto view = parse_ip(packet, false);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->payload_size, 95u);
}

TEST(Ipv6, ReadsAHeader) {
  Bytes packet = v6_packet();
  packet[0] = 0x6b;  // traffic class b8
  packet[1] = 0x81;
  packet.resize(packet.size() + 3);  // padding
  const auto view = parse_ip(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header.source.to_string(), "2001:db8::1");
  EXPECT_EQ(view->header.destination.to_string(), "2001:db8::2");
  EXPECT_EQ(view->header.protocol, protocol::kTcp);
  EXPECT_EQ(view->header.ttl, 64);
  EXPECT_EQ(view->header.traffic_class, 0xb8);
  EXPECT_EQ(view->payload_offset, 40u);
  EXPECT_EQ(view->payload_size, 20u);
}

TEST(Ipv6, WritesAHeader) {
  IpHeader header;
  header.source = *IpAddress::parse("2001:db8::1");
  header.destination = *IpAddress::parse("2001:db8::2");
  header.protocol = protocol::kTcp;
  header.traffic_class = 0xb8;
  header.ttl = 7;
  Bytes bytes(40);
  EXPECT_EQ(emit_ip(header, 0x1234, bytes.data()), 40u);
  EXPECT_EQ(bytes, hex("6b800000 1234 06 07 20010db8000000000000000000000001 20010db8000000000000000000000002"));
}

TEST(Ipv6, DropsForTheRightReason) {
  const Bytes whole = v6_packet();
  EXPECT_ACCEPTED(whole);
  EXPECT_DROP(IpTruncated, Bytes(whole.begin(), whole.begin() + 39));
  EXPECT_DROP(IpTruncated, Bytes(whole.begin(), whole.end() - 1));
  Bytes packet = whole;
  packet[8] = 0xff;
  EXPECT_DROP(IpMartianSource, packet);
  packet = whole;
  std::ranges::copy(hex("00000000000000000000ffff c0000201"), packet.begin() + 8);
  EXPECT_DROP(IpMartianSource, packet);
  packet = whole;
  std::ranges::copy(hex("00000000000000000000ffff c0000201"), packet.begin() + 24);
  EXPECT_DROP(IpNotForUs, packet);
}

TEST(Ipv6, SpeaksFromNowhereOnlyInNeighbourDiscovery) {
  Bytes packet = v6_packet();
  std::fill_n(packet.begin() + 8, 16, std::uint8_t{0});
  EXPECT_DROP(IpMartianSource, packet);
  packet[6] = protocol::kIcmp6;
  EXPECT_ACCEPTED(packet);
}

TEST(Ipv6, SkipsExtensionHeaders) {
  // Hop-by-hop (a PadN), destination options (router alert's bits say "skip"), routing with nothing left, atomic
  // fragment.
  const auto view = parse_ip(v6_packet(0,
                                       "3c 00 01 04 00000000   2b 00 05 02 0000 00 00   2c 00 00 00 00000000"
                                       "06 00 0000 12345678"));
  ASSERT_TRUE(view) << name_of(view.error());
  EXPECT_EQ(view->header.protocol, protocol::kTcp);
  EXPECT_EQ(view->payload_offset, 72u);
  EXPECT_EQ(view->payload_size, 20u);
  // A long one: 16 bytes with Pad1s.
  EXPECT_EQ(parse_ip(v6_packet(60, "06 01 0000 00000000 00000000 00000000"))->payload_offset, 56u);
}

TEST(Ipv6, DropsExtensionHeadersForTheRightReason) {
  EXPECT_DROP(IpExtensionHeader, v6_packet(0, "06 01 01 04 00000000", 0));                     // longer than the packet
  EXPECT_DROP(IpExtensionHeader, v6_packet(60, "06 00 01", 0));                                // cut off
  EXPECT_DROP(IpExtensionHeader, v6_packet(60, "06 00 01 05 00000000"));                       // option past the end
  EXPECT_DROP(IpExtensionHeader, v6_packet(60, "06 00 0000 000000 01"));                       // option without length
  EXPECT_DROP(IpExtensionHeader, v6_packet(60, "06 00 40 04 00000000"));                       // must not be skipped
  EXPECT_DROP(IpExtensionHeader, v6_packet(0, "06 00 c2 04 00010000"));                        // jumbogram
  EXPECT_DROP(IpExtensionHeader, v6_packet(60, "00 00 01 04 00000000 06 00 01 04 00000000"));  // hop-by-hop not first
  EXPECT_DROP(IpExtensionHeader, v6_packet(43, "06 00 04 01 00000000"));                       // a segment left
  EXPECT_DROP(IpExtensionHeader, v6_packet(51, "06 00 0000 00000000"));                        // authentication
  EXPECT_DROP(IpFragment, v6_packet(44, "06 00 0001 00000000"));                               // more to come
  EXPECT_DROP(IpFragment, v6_packet(44, "06 00 0008 00000000"));                               // not the first
  std::string many;
  for (int i = 0; i < 8; ++i) many += "3c 00 01 04 00000000";
  EXPECT_DROP(IpExtensionHeader, v6_packet(60, many + "06 00 01 04 00000000"));
}

TEST(Ipv6, FragmentBehindAnAtomicOne) {
  const Bytes packet = v6_packet(44, "2c 00 0000 00000000  06 00 0009 00000007  0102030405060708");
  EXPECT_DROP(IpFragment, packet);
  const auto fragment = parse_fragment(packet);
  ASSERT_TRUE(fragment);
  EXPECT_EQ(fragment->offset, 8u);
  EXPECT_TRUE(fragment->more);
  EXPECT_EQ(fragment->identification, 7u);
  EXPECT_EQ(fragment->header_size, 48u);
  EXPECT_EQ(fragment->next_header_field, 40u);
  EXPECT_GE(fragment->payload_size, 8u);
}

TEST(Ipv6, LeavesUnknownProtocolsToTheStack) {
  EXPECT_EQ(parse_ip(v6_packet(59))->header.protocol, 59);  // "no next header"
  EXPECT_EQ(parse_ip(v6_packet(132))->header.protocol, 132);
}

TEST(QuotedIp, NeedsNoWholePacketAndNoChecksum) {
  Bytes packet = v4_packet();
  packet[8] = 0;  // the TTL that ran out, with the checksum of before
  packet.resize(28);
  const auto v4 = parse_quoted_ip(packet);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->payload_offset, 20u);
  EXPECT_EQ(v4->payload_size, 8u);

  packet = v6_packet();
  packet.resize(48);
  const auto v6 = parse_quoted_ip(packet);
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->payload_size, 8u);
}

TEST(QuotedIp, RefusesWhatCannotBeTold) {
  const auto quoted_reason = [](const Bytes& packet) { return parse_quoted_ip(packet).error(); };
  Bytes packet = v4_packet();
  EXPECT_EQ(quoted_reason({}), DropReason::IpTruncated);
  EXPECT_EQ(quoted_reason(Bytes(packet.begin(), packet.begin() + 19)), DropReason::IpTruncated);
  packet[0] = 0x4f;
  packet.resize(40);
  EXPECT_EQ(quoted_reason(packet), DropReason::IpTruncated);
  packet[0] = 0x44;
  EXPECT_EQ(quoted_reason(packet), DropReason::IpHeader);
  packet[0] = 0x45;
  store_be16(packet.data() + 6, 0x2001);
  EXPECT_EQ(quoted_reason(packet), DropReason::IpFragment);
  store_be16(packet.data() + 6, 0x2000);  // the first fragment has the ports
  EXPECT_TRUE(parse_quoted_ip(packet));
  EXPECT_TRUE(parse_quoted_ip(v6_packet(44, "06 00 0001 00000000")));
  EXPECT_EQ(quoted_reason(v6_packet(44, "06 00 0008 00000000")), DropReason::IpFragment);
  EXPECT_EQ(quoted_reason(Bytes(39, 0x60)), DropReason::IpTruncated);
}

}  // namespace
}  // namespace ff::wire
