#include "wire/icmp.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {
namespace {

using test::Bytes;
using test::hex;

IpHeader v4() {
  IpHeader ip;
  ip.source = IpAddress::v4(10, 0, 0, 1);
  ip.destination = IpAddress::v4(10, 0, 0, 2);
  ip.protocol = protocol::kIcmp;
  return ip;
}
IpHeader v6() {
  IpHeader ip;
  ip.source = *IpAddress::parse("2001:db8::1");
  ip.destination = *IpAddress::parse("2001:db8::2");
  ip.protocol = protocol::kIcmp6;
  return ip;
}

// A message with the right checksum.
Bytes message(const IpHeader& ip, unsigned type, unsigned code, std::uint32_t rest, std::size_t body = 28) {
  Bytes bytes(8 + body, 0x5a);
  bytes[0] = static_cast<std::uint8_t>(type);
  bytes[1] = static_cast<std::uint8_t>(code);
  store_be16(bytes.data() + 2, 0);
  store_be32(bytes.data() + 4, rest);
  ChecksumAccumulator sum;
  if (ip.source.is_v6()) {
    sum.add_pseudo_header(ip.source, ip.destination, ip.protocol, static_cast<std::uint32_t>(bytes.size()));
  }
  sum.add(bytes);
  store_be16(bytes.data() + 2, sum.checksum());
  return bytes;
}

IcmpKind kind(const IpHeader& ip, unsigned type, unsigned code) {
  return parse_icmp(ip, message(ip, type, code, 0)).value().kind;
}

TEST(Icmp, ReadsAKnownEchoRequest) {
  // As `ping -c1 -s8 -p 00` sends it: 0800 + 0001 + 0001 = 0802, complement f7fd.
  const auto view = parse_icmp(v4(), hex("08 00 f7fd 0001 0001 0000000000000000"));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->kind, IcmpKind::EchoRequest);
  EXPECT_EQ(view->identifier, 1);
  EXPECT_EQ(view->sequence, 1);
  EXPECT_EQ(view->body_offset, 8u);
  EXPECT_EQ(view->body_size, 8u);
}

TEST(Icmp, KnowsTheErrorsOfIpv4) {
  for (const unsigned code : {0u, 6u, 11u}) EXPECT_EQ(kind(v4(), 3, code), IcmpKind::NetworkUnreachable) << code;
  for (const unsigned code : {1u, 5u, 7u, 8u, 12u}) EXPECT_EQ(kind(v4(), 3, code), IcmpKind::HostUnreachable) << code;
  EXPECT_EQ(kind(v4(), 3, 2), IcmpKind::ProtocolUnreachable);
  EXPECT_EQ(kind(v4(), 3, 3), IcmpKind::PortUnreachable);
  EXPECT_EQ(kind(v4(), 3, 4), IcmpKind::PacketTooBig);
  for (const unsigned code : {9u, 10u, 13u}) {
    EXPECT_EQ(kind(v4(), 3, code), IcmpKind::AdministrativelyProhibited) << code;
  }
  EXPECT_EQ(kind(v4(), 3, 16), IcmpKind::Other);
  EXPECT_EQ(kind(v4(), 11, 0), IcmpKind::TimeExceeded);
  EXPECT_EQ(kind(v4(), 12, 0), IcmpKind::ParameterProblem);
  EXPECT_EQ(kind(v4(), 0, 0), IcmpKind::EchoReply);
  EXPECT_EQ(kind(v4(), 5, 0), IcmpKind::Other);  // redirect
  EXPECT_EQ(kind(v4(), 128, 0), IcmpKind::Other);
}

TEST(Icmp, KnowsTheErrorsOfIpv6) {
  EXPECT_EQ(kind(v6(), 1, 0), IcmpKind::NetworkUnreachable);
  EXPECT_EQ(kind(v6(), 1, 3), IcmpKind::HostUnreachable);
  EXPECT_EQ(kind(v6(), 1, 4), IcmpKind::PortUnreachable);
  for (const unsigned code : {1u, 5u, 6u}) {
    EXPECT_EQ(kind(v6(), 1, code), IcmpKind::AdministrativelyProhibited) << code;
  }
  EXPECT_EQ(kind(v6(), 1, 99), IcmpKind::Other);
  EXPECT_EQ(kind(v6(), 2, 0), IcmpKind::PacketTooBig);
  EXPECT_EQ(kind(v6(), 3, 0), IcmpKind::TimeExceeded);
  EXPECT_EQ(kind(v6(), 4, 0), IcmpKind::ParameterProblem);
  EXPECT_EQ(kind(v6(), 4, 1), IcmpKind::ProtocolUnreachable);
  EXPECT_EQ(kind(v6(), 128, 0), IcmpKind::EchoRequest);
  EXPECT_EQ(kind(v6(), 129, 0), IcmpKind::EchoReply);
  EXPECT_EQ(kind(v6(), 135, 0), IcmpKind::Other);
}

TEST(Icmp, TellsTheMtu) {
  EXPECT_EQ(parse_icmp(v4(), message(v4(), 3, 4, 0xdead0578))->mtu, 1400);  // the first half is unused (RFC 1191 §4)
  EXPECT_EQ(parse_icmp(v4(), message(v4(), 3, 4, 0))->mtu, 0);
  EXPECT_EQ(parse_icmp(v6(), message(v6(), 2, 0, 1400))->mtu, 1400);
  EXPECT_EQ(parse_icmp(v6(), message(v6(), 2, 0, 0x00010578))->mtu, 65535);
}

TEST(Icmp, DropsForTheRightReason) {
  for (const IpHeader& ip : {v4(), v6()}) {
    const Bytes good = message(ip, 1, 1, 0, 1);
    EXPECT_TRUE(parse_icmp(ip, good));
    for (std::size_t size = 0; size < 8; ++size) {
      EXPECT_EQ(parse_icmp(ip, ByteSpan(good).first(size)).error(), DropReason::IcmpTruncated) << size;
    }
    for (std::size_t i = 0; i < good.size(); ++i) {
      Bytes damaged = good;
      damaged[i] ^= 0x40;
      EXPECT_EQ(parse_icmp(ip, damaged).error(), DropReason::IcmpChecksum) << i;
    }
  }
  // Each version's ICMP rides in that version alone.
  IpHeader crossed = v4();
  crossed.protocol = protocol::kIcmp6;
  EXPECT_EQ(parse_icmp(crossed, message(v4(), 8, 0, 0)).error(), DropReason::IpProtocol);
  crossed = v6();
  crossed.protocol = protocol::kIcmp;
  EXPECT_EQ(parse_icmp(crossed, message(v6(), 8, 0, 0)).error(), DropReason::IpProtocol);
}

TEST(Icmp, WritesEchoes) {
  for (const IpHeader& ip : {v4(), v6()}) {
    const Bytes data = hex("01 02 03");
    for (const IcmpKind echo : {IcmpKind::EchoRequest, IcmpKind::EchoReply}) {
      Bytes bytes(8 + data.size());
      ASSERT_EQ(emit_echo(echo, ip, 0x1234, 0x5678, data, bytes.data()), bytes.size());
      const auto view = parse_icmp(ip, bytes);
      ASSERT_TRUE(view);
      EXPECT_EQ(view->kind, echo);
      EXPECT_EQ(view->identifier, 0x1234);
      EXPECT_EQ(view->sequence, 0x5678);
      EXPECT_EQ(Bytes(bytes.begin() + 8, bytes.end()), data);
    }
  }
}

TEST(Icmp, WritesEveryErrorOfBothVersions) {
  const Bytes offending(100, 0x45);
  for (const IpHeader& ip : {v4(), v6()}) {
    for (const IcmpKind error : {IcmpKind::NetworkUnreachable, IcmpKind::HostUnreachable, IcmpKind::ProtocolUnreachable,
                                 IcmpKind::PortUnreachable, IcmpKind::AdministrativelyProhibited,
                                 IcmpKind::PacketTooBig, IcmpKind::TimeExceeded, IcmpKind::ParameterProblem}) {
      Bytes bytes(kMaxIcmpError);
      bytes.resize(emit_icmp_error(error, ip, 1400, offending, bytes.data()));
      const auto view = parse_icmp(ip, bytes);
      ASSERT_TRUE(view);
      EXPECT_EQ(view->kind, error);
      EXPECT_EQ(view->mtu, error == IcmpKind::PacketTooBig ? 1400 : 0);
      EXPECT_EQ(Bytes(bytes.begin() + view->body_offset, bytes.end()), offending);
    }
    Bytes bytes(kMaxIcmpError);
    EXPECT_EQ(emit_icmp_error(IcmpKind::EchoReply, ip, 0, offending, bytes.data()), 0u);
    EXPECT_EQ(emit_icmp_error(IcmpKind::Other, ip, 0, offending, bytes.data()), 0u);
  }
}

// RFC 1812 §4.3.2.3 and RFC 4443 §2.4 c: the whole packet is at most 576 or 1280 bytes.
TEST(Icmp, QuotesNoMoreThanFits) {
  const Bytes offending(3000, 0x45);
  Bytes bytes(kMaxIcmpError);
  EXPECT_EQ(emit_icmp_error(IcmpKind::PortUnreachable, v4(), 0, offending, bytes.data()), 576u - 20);
  EXPECT_EQ(emit_icmp_error(IcmpKind::PortUnreachable, v6(), 0, offending, bytes.data()), 1280u - 40);
}

}  // namespace
}  // namespace ff::wire
