#include "wire/udp.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "wire/endian.hpp"
#include "wire/tcp.hpp"

namespace ff::wire {
namespace {

using test::Bytes;
using test::hex;

IpHeader v4() {
  IpHeader ip;
  ip.source = IpAddress::v4(10, 0, 0, 1);
  ip.destination = IpAddress::v4(10, 0, 0, 2);
  ip.protocol = protocol::kUdp;
  return ip;
}
IpHeader v6() {
  IpHeader ip;
  ip.source = *IpAddress::parse("2001:db8::1");
  ip.destination = *IpAddress::parse("2001:db8::2");
  ip.protocol = protocol::kUdp;
  return ip;
}

TEST(Udp, ReadsAHeader) {
  const Bytes datagram = hex("0035 1234 000b beef 616263 0000");  // two bytes of padding
  const auto view = parse_udp(v4(), datagram);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->source_port, 53);
  EXPECT_EQ(view->destination_port, 0x1234);
  EXPECT_TRUE(view->has_checksum);
  EXPECT_EQ(view->payload_offset, 8u);
  EXPECT_EQ(view->payload_size, 3u);
}

TEST(Udp, DropsForTheRightReason) {
  const Bytes datagram = hex("0035 1234 000b beef 616263");
  EXPECT_TRUE(parse_udp(v4(), datagram));
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    EXPECT_EQ(parse_udp(v4(), ByteSpan(datagram).first(size)).error(), DropReason::UdpTruncated) << size;
  }
  EXPECT_EQ(parse_udp(v4(), hex("0035 1234 0007 beef")).error(), DropReason::UdpTruncated);
  EXPECT_EQ(parse_udp(v4(), hex("0035 1234 0000 beef")).error(), DropReason::UdpTruncated);
}

TEST(Udp, ChecksumMayBeLeftOutInIpv4Alone) {
  const Bytes datagram = hex("0035 1234 0008 0000");
  const auto view = parse_udp(v4(), datagram);
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->has_checksum);
  EXPECT_EQ(parse_udp(v6(), datagram).error(), DropReason::UdpChecksum);
}

TEST(Udp, WritesAHeaderWithTheRightChecksum) {
  // 0a00+0001+0a00+0002 + 0011 + 000b = 141f; 0035+1234+000b+6162+6300 = d6d6; together eaf5, complement 150a.
  Bytes datagram(8);
  const Bytes payload = hex("616263");
  EXPECT_EQ(emit_udp(v4(), 53, 0x1234, payload, datagram.data()), 8u);
  EXPECT_EQ(datagram, hex("0035 1234 000b 150a"));
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  EXPECT_TRUE(verify_transport_checksum(v4(), datagram));

  Bytes over_v6(8);
  emit_udp(v6(), 53, 0x1234, payload, over_v6.data());
  over_v6.insert(over_v6.end(), payload.begin(), payload.end());
  EXPECT_TRUE(verify_transport_checksum(v6(), over_v6));
}

TEST(Udp, NeverSaysNoChecksumWhenItMeansZero) {
  // 141f - 000b + 000a + 0035 + 1234 + 000a = 2691, so a payload of d96e makes the sum ffff and the checksum 0.
  const Bytes payload = hex("d96e");
  Bytes datagram(8);
  emit_udp(v4(), 53, 0x1234, payload, datagram.data());
  EXPECT_EQ(load_be16(datagram.data() + 6), 0xffff);
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  EXPECT_TRUE(verify_transport_checksum(v4(), datagram));
}

}  // namespace
}  // namespace ff::wire
