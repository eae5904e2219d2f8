#include "ip/routes.hpp"

#include <gtest/gtest.h>

#include "ip/interfaces.hpp"

namespace ff::ip {
namespace {

Route route(std::string_view prefix, InterfaceId interface, std::uint32_t metric = 0, const char* gateway = nullptr) {
  Route result;
  result.prefix = *Cidr::parse(prefix);
  result.interface = interface;
  result.metric = metric;
  if (gateway != nullptr) result.gateway = *IpAddress::parse(gateway);
  return result;
}

InterfaceId interface_to(const RouteTable& table, const char* destination) {
  const Route* found = table.find(*IpAddress::parse(destination));
  return found == nullptr ? InterfaceId{99} : found->interface;
}

TEST(RouteTable, LongestPrefixThenSmallestMetricThenFirst) {
  RouteTable table;
  ASSERT_TRUE(table.add(route("0.0.0.0/0", 1, 5)));
  ASSERT_TRUE(table.add(route("10.0.0.0/8", 2)));
  ASSERT_TRUE(table.add(route("10.1.0.0/16", 3, 7)));
  ASSERT_TRUE(table.add(route("10.1.0.0/16", 4, 6)));
  ASSERT_TRUE(table.add(route("10.1.0.0/16", 5, 6)));
  ASSERT_TRUE(table.add(route("10.1.2.3/32", 6)));
  EXPECT_EQ(interface_to(table, "10.1.2.3"), 6);
  EXPECT_EQ(interface_to(table, "10.1.2.4"), 4);
  EXPECT_EQ(interface_to(table, "10.2.0.1"), 2);
  EXPECT_EQ(interface_to(table, "192.0.2.1"), 1);
  EXPECT_EQ(interface_to(table, "2001:db8::1"), 99);  // 0.0.0.0/0 is IPv4's alone
  EXPECT_EQ(table.find(*IpAddress::parse("10.1.2.4"), InterfaceId{3})->metric, 7u);
}

TEST(RouteTable, BitsOfTheHostDoNotCount) {
  RouteTable table;
  ASSERT_TRUE(table.add(route("2001:db8:0:1::77/63", 1)));
  EXPECT_EQ(table.all()[0].prefix.to_string(), "2001:db8::/63");
  EXPECT_EQ(table.add(route("2001:db8::/63", 1)).error(), Error::AlreadyExists);
  EXPECT_TRUE(table.add(route("2001:db8::/63", 1, 1)));
}

TEST(RouteTable, RemovesWhatIsMeant) {
  RouteTable table;
  ASSERT_TRUE(table.add(route("10.0.0.0/8", 1, 1, "192.0.2.1")));
  ASSERT_TRUE(table.add(route("10.0.0.0/8", 2, 2)));
  EXPECT_EQ(table.remove(*Cidr::parse("10.0.0.0/9"), {}, {}, {}).error(), Error::NotFound);
  EXPECT_EQ(table.remove(*Cidr::parse("10.0.0.0/8"), {}, {}, 3).error(), Error::NotFound);
  EXPECT_TRUE(table.remove(*Cidr::parse("10.0.0.0/8"), {}, 2, {}));
  EXPECT_TRUE(table.remove(*Cidr::parse("10.9.9.9/8"), *IpAddress::parse("192.0.2.1"), {}, {}));
  EXPECT_TRUE(table.all().empty());
}

TEST(RouteTable, GatewaysThatCannotBe) {
  RouteTable table;
  for (const char* gateway : {"2001:db8::1", "0.0.0.0", "224.0.0.1", "255.255.255.255"})
    EXPECT_EQ(table.add(route("10.0.0.0/8", 1, 0, gateway)).error(), Error::InvalidArgument) << gateway;
  Route too_long = route("10.0.0.0/8", 1);
  too_long.prefix.prefix_length = 33;
  EXPECT_EQ(table.add(too_long).error(), Error::InvalidArgument);
}

class TwoInterfaces : public testing::Test {
 protected:
  TwoInterfaces() {
    InterfaceConfig inside, outside;
    inside.addresses = {*Cidr::parse("10.0.0.1/24"), *Cidr::parse("10.0.0.2/24"), *Cidr::parse("2001:db8:1::1/64")};
    outside.addresses = {*Cidr::parse("192.0.2.1/24")};
    outside.gateways = {*IpAddress::parse("192.0.2.254")};
    inside_ = interfaces.add(inside).value();
    outside_ = interfaces.add(outside).value();
  }
  Interfaces interfaces;
  InterfaceId inside_ = 0, outside_ = 0;
};

TEST_F(TwoInterfaces, AddressesAndGatewaysAreRoutes) {
  EXPECT_EQ(interfaces.routes().all().size(), 4u);
  EXPECT_EQ(interfaces.route(*IpAddress::parse("10.0.0.9"))->source.to_string(), "10.0.0.1");
  const auto far = interfaces.route(*IpAddress::parse("203.0.113.1"));
  EXPECT_EQ(far->interface, outside_);
  EXPECT_EQ(far->source.to_string(), "192.0.2.1");
  EXPECT_EQ(interfaces.next_hop(outside_, *IpAddress::parse("203.0.113.1")).to_string(), "192.0.2.254");
  EXPECT_EQ(interfaces.next_hop(outside_, *IpAddress::parse("192.0.2.7")).to_string(), "192.0.2.7");
  EXPECT_FALSE(interfaces.route(*IpAddress::parse("2001:db8:9::1")));
}

TEST_F(TwoInterfaces, RoutesCanBeAddedAndRemoved) {
  Route by_inside = route("203.0.113.0/24", inside_, 0, "10.0.0.254");
  by_inside.source = *IpAddress::parse("10.0.0.2");
  ASSERT_TRUE(interfaces.add_route(by_inside));
  const auto hop = interfaces.route(*IpAddress::parse("203.0.113.1"));
  EXPECT_EQ(hop->interface, inside_);
  EXPECT_EQ(hop->source.to_string(), "10.0.0.2");
  EXPECT_EQ(interfaces.add_route(route("203.0.113.0/24", inside_, 1, "192.0.2.254")).error(),
            Error::NetworkUnreachable);
  EXPECT_EQ(interfaces.add_route(route("203.0.113.0/24", 7)).error(), Error::InvalidArgument);
  by_inside.source = *IpAddress::parse("10.0.0.77");
  EXPECT_EQ(interfaces.add_route(by_inside).error(), Error::AddressNotAvailable);
  ASSERT_TRUE(interfaces.routes().remove(by_inside.prefix, {}, {}, {}));
  EXPECT_EQ(interfaces.route(*IpAddress::parse("203.0.113.1"))->interface, outside_);
}

TEST_F(TwoInterfaces, BroadcastOfASubnet) {
  EXPECT_TRUE(interfaces.is_subnet_broadcast(*IpAddress::parse("10.0.0.255")));
  EXPECT_FALSE(interfaces.is_subnet_broadcast(*IpAddress::parse("10.0.1.255")));
  EXPECT_FALSE(interfaces.is_subnet_broadcast(*IpAddress::parse("192.0.2.127")));
}

}  // namespace
}  // namespace ff::ip
