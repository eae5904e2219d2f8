#include "firstflight/address.hpp"

#include <gtest/gtest.h>

namespace ff {
namespace {

std::string round_trip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "refused";
}

TEST(IpAddress, ReadsAndWritesIpv4) {
  EXPECT_EQ(round_trip("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(round_trip("0.0.0.0"), "0.0.0.0");
  EXPECT_EQ(round_trip("255.255.255.255"), "255.255.255.255");
  EXPECT_EQ(*IpAddress::parse("1.2.3.4"), IpAddress::v4(1, 2, 3, 4));
}

TEST(IpAddress, RefusesWhatIsNotIpv4) {
  for (const char* text :
       {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4",
        "1.2.3.0004", "1.2.3.-4", "1.2.3.+4", "0x1.2.3.4", "a.b.c.d", "1,2,3,4", "99999999999.1.1.1"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
}

// The forms of RFC 4291 §2.2, written as RFC 5952 §4 wants them.
TEST(IpAddress, ReadsAndWritesIpv6) {
  EXPECT_EQ(round_trip("::"), "::");
  EXPECT_EQ(round_trip("::1"), "::1");
  EXPECT_EQ(round_trip("1::"), "1::");
  EXPECT_EQ(round_trip("2001:DB8:0:0:8:800:200C:417A"), "2001:db8::8:800:200c:417a");
  EXPECT_EQ(round_trip("2001:0db8:0000:0000:0000:0000:0002:0001"), "2001:db8::2:1");
  EXPECT_EQ(round_trip("FF01:0:0:0:0:0:0:101"), "ff01::101");
  EXPECT_EQ(round_trip("1:2:3:4:5:6:7:8"), "1:2:3:4:5:6:7:8");
  EXPECT_EQ(round_trip("64:ff9b::192.0.2.33"), "64:ff9b::c000:221");
  EXPECT_EQ(round_trip("1:2:3:4:5:6:192.0.2.33"), "1:2:3:4:5:6:c000:221");
}

TEST(IpAddress, ShortensTheLongestRunOfZerosAndNoSingleOne) {
  EXPECT_EQ(round_trip("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(round_trip("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");
  EXPECT_EQ(round_trip("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  EXPECT_EQ(round_trip("2001:db8::1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(round_trip("0:0:1::"), "0:0:1::");
}

TEST(IpAddress, RefusesWhatIsNotIpv6) {
  for (const char* text : {":",
                           ":::",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           "12345::",
                           "g::",
                           ":1:2:3:4:5:6:7:8",
                           "1:2:3:4:5:6:7:",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           "1::%eth0",
                           "::1.2.3",
                           "::1.2.3.256",
                           "1.2.3.4::",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "[::1]",
                           "::1 ",
                           " ::1",
                           "::-1",
                           "::+1",
                           "::0x1"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, KeepsIpv4AsItsMappedForm) {
  EXPECT_EQ(*IpAddress::parse("::ffff:192.0.2.1"), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(*IpAddress::parse("::ffff:c000:201"), IpAddress::v4(192, 0, 2, 1));
  EXPECT_TRUE(IpAddress::v4(1, 2, 3, 4).is_v4());
  EXPECT_TRUE(IpAddress::parse("::1.2.3.4")->is_v6());
}

TEST(IpAddress, KnowsSpecialAddresses) {
  EXPECT_TRUE(IpAddress::any_v4().is_any());
  EXPECT_TRUE(IpAddress::any_v6().is_any());
  EXPECT_FALSE(IpAddress::parse("::1")->is_any());
  EXPECT_TRUE(IpAddress::parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("1::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("128.0.0.1")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("224.0.0.1")->is_multicast());
  EXPECT_TRUE(IpAddress::parse("239.255.255.255")->is_multicast());
  EXPECT_FALSE(IpAddress::parse("240.0.0.1")->is_multicast());
  EXPECT_TRUE(IpAddress::parse("ff02::1")->is_multicast());
  EXPECT_FALSE(IpAddress::parse("fe80::1")->is_multicast());
  EXPECT_TRUE(IpAddress::parse("255.255.255.255")->is_broadcast());
}

TEST(Endpoint, ReadsAndWrites) {
  for (const char* text : {"192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:0", "[::]:65535"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  EXPECT_EQ(Endpoint::parse("192.0.2.1:80"), (Endpoint{IpAddress::v4(192, 0, 2, 1), 80}));
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* text :
       {"", ":", ":80", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:080",
        "192.0.2.1:80:80", "2001:db8::1:80", "[2001:db8::1]", "[2001:db8::1]80", "[192.0.2.1]:80", "[]:80", "[::1:80",
        "::1]:80", "192.0.2.1:http", "192.0.2.1:99999999999"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(Cidr, ReadsAndWrites) {
  for (const char* text : {"192.0.2.1/24", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "::1/128"}) {
    const auto cidr = Cidr::parse(text);
    ASSERT_TRUE(cidr) << text;
    EXPECT_EQ(cidr->to_string(), text);
  }
  EXPECT_EQ(Cidr::parse("192.0.2.1")->to_string(), "192.0.2.1/32");
  EXPECT_EQ(Cidr::parse("2001:db8::1")->to_string(), "2001:db8::1/128");
}

TEST(Cidr, RefusesWhatIsNone) {
  for (const char* text : {"", "/", "/24", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1", "2001:db8::/129",
                           "192.0.2.1/024", "192.0.2.1/24/24", "192.0.2/24", "192.0.2.1/24 "}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
}

TEST(Cidr, ContainsWhatSharesItsPrefix) {
  struct Case {
    const char* prefix;
    const char* address;
    bool contained;
  };
  for (const auto& [prefix, address, contained] : {
           Case{"192.0.2.1/24", "192.0.2.255", true},
           Case{"192.0.2.1/24", "192.0.3.0", false},
           Case{"192.0.2.128/25", "192.0.2.127", false},
           Case{"192.0.2.128/25", "192.0.2.129", true},
           Case{"192.0.2.1/32", "192.0.2.1", true},
           Case{"192.0.2.1/32", "192.0.2.0", false},
           Case{"0.0.0.0/0", "255.1.2.3", true},
           Case{"0.0.0.0/0", "::", false},
           Case{"::/0", "2001:db8::1", true},
           Case{"::/0", "192.0.2.1", false},
           Case{"2001:db8::/33", "2001:db8:7fff::1", true},
           Case{"2001:db8::/33", "2001:db8:8000::1", false},
           Case{"::1/128", "::1", true},
           Case{"::1/128", "::2", false},
       }) {
    EXPECT_EQ(Cidr::parse(prefix)->contains(*IpAddress::parse(address)), contained) << prefix << " " << address;
  }
}

TEST(FourTuple, NamesBothEnds) {
  const FourTuple tuple{*Endpoint::parse("192.0.2.1:40000"), *Endpoint::parse("198.51.100.2:80")};
  EXPECT_EQ(tuple.to_string(), "192.0.2.1:40000 - 198.51.100.2:80");
}

}  // namespace
}  // namespace ff
