// A loopback interface: which addresses are ours by it, and what must not come in by any other.
#include "device/loopback.hpp"

#include <gtest/gtest.h>

#include "ip/interfaces.hpp"

namespace ff {
namespace {

IpAddress at(const char* text) { return *IpAddress::parse(text); }

struct LoopbackInterface : testing::Test {
  LoopbackInterface() {
    InterfaceConfig eth;
    eth.addresses = {*Cidr::parse("192.0.2.1/24"), *Cidr::parse("2001:db8::1/64")};
    (void)interfaces.add(eth);
    InterfaceConfig lo;
    lo.mtu = 65535;
    lo.addresses = {*Cidr::parse("127.0.0.1/8"), *Cidr::parse("::1/128")};
    lo.loopback = true;
    id = *interfaces.add(lo);
  }
  ip::Interfaces interfaces;
  InterfaceId id = 0;
};

TEST_F(LoopbackInterface, HasAllOfItsPrefixes) {
  EXPECT_TRUE(interfaces.is_local(at("127.0.0.1")));
  EXPECT_TRUE(interfaces.is_local(at("127.9.8.7")));
  EXPECT_TRUE(interfaces.is_local(at("::1")));
  EXPECT_FALSE(interfaces.is_local(at("::2")));
  EXPECT_FALSE(interfaces.is_local(at("192.0.2.2")));
}

TEST_F(LoopbackInterface, LeadsToOurselves) {
  EXPECT_EQ(interfaces.route(at("127.9.8.7"))->interface, id);
  EXPECT_EQ(interfaces.route(at("127.9.8.7"))->source, at("127.0.0.1"));
  EXPECT_EQ(interfaces.route(at("192.0.2.1"))->interface, id);
  EXPECT_EQ(interfaces.route(at("192.0.2.1"))->source, at("192.0.2.1"));
  EXPECT_EQ(interfaces.route(at("2001:db8::1"))->interface, id);
  EXPECT_EQ(interfaces.route(at("192.0.2.2"))->interface, 0);
  EXPECT_EQ(interfaces.interface_to(at("192.0.2.1"), at("192.0.2.1")), id);
}

TEST_F(LoopbackInterface, IsOneAndHasNoFrames) {
  InterfaceConfig another;
  another.addresses = {*Cidr::parse("10.0.0.1/8")};
  another.loopback = true;
  EXPECT_EQ(interfaces.add(another), std::unexpected(Error::InvalidArgument));
}

TEST(Loopback, StrangersCannotUseItsAddresses) {
  Stack stack(StackConfig{.seed = Seed::from_number(1)});
  InterfaceConfig eth;
  eth.addresses = {*Cidr::parse("192.0.2.1/24")};
  const InterfaceId outside = *stack.add_interface(eth);
  InterfaceConfig lo;
  lo.mtu = 65535;
  lo.addresses = {*Cidr::parse("127.0.0.1/8")};
  lo.loopback = true;
  const InterfaceId inside = *stack.add_interface(lo);

  const DatagramId socket = *stack.open({.local = {at("127.0.0.1"), 53}});
  const DatagramId sender = *stack.open({.local = {at("127.0.0.1"), 54}});
  ASSERT_TRUE(stack.send(Instant(), sender, Slice::copy_of(as_bytes("ask")), Endpoint{at("127.0.0.1"), 53}));
  TxPacket packet;
  ASSERT_TRUE(stack.poll_transmit(Instant(), packet));
  EXPECT_EQ(packet.interface, inside);
  Loopback device;
  ASSERT_EQ(device.send(Instant(), packet), Device::SendResult::Sent);
  RxPacket received;
  ASSERT_TRUE(device.receive(received));
  EXPECT_FALSE(device.receive(received));

  stack.handle_packet(Instant(), outside, received);
  EXPECT_EQ(stack.receive(socket).error(), Error::WouldBlock);
  EXPECT_EQ(stack.counters()[DropReason::IpMartianSource], 1u);
  stack.handle_packet(Instant(), inside, received);
  EXPECT_EQ(stack.receive(socket)->bytes.text(), "ask");
}

}  // namespace
}  // namespace ff
