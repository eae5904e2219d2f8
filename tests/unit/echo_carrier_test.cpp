// Echo requests between a device and a network, both of which do as they are told.
#include "relay/echo_carrier.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>

#include "wire/icmp.hpp"
#include "wire/ip.hpp"

namespace ff::relay {
namespace {

const IpAddress kProgram = IpAddress::v4(192, 0, 0, 2), kGateway = IpAddress::v4(192, 0, 0, 1);
const IpAddress kRemote = IpAddress::v4(198, 18, 0, 1);

std::string packet_from_program(std::uint8_t protocol, const std::string& payload) {
  wire::IpHeader ip;
  ip.source = kProgram;
  ip.destination = kRemote;
  ip.protocol = protocol;
  std::string packet(60, '\0');
  packet.resize(wire::emit_ip(ip, payload.size(), reinterpret_cast<std::uint8_t*>(packet.data())));
  return packet + payload;
}

std::string echo_request() {
  wire::IpHeader ip;
  ip.source = kProgram;
  ip.destination = kRemote;
  std::string message(8, '\0');
  wire::emit_echo(wire::IcmpKind::EchoRequest, ip, 1, 1, {}, reinterpret_cast<std::uint8_t*>(message.data()));
  return packet_from_program(wire::protocol::kIcmp, message);
}

// Has `echoes` requests in its queue, and then something else.
struct ScriptedDevice final : Device {
  int echoes = 0, received = 0, sent = 0;

  [[nodiscard]] std::uint16_t mtu() const noexcept override { return 1500; }
  bool receive(RxPacket& packet) override {
    const bool echo = received++ < echoes;
    packet = {};
    packet.bytes = Slice::adopt(echo ? echo_request() : packet_from_program(wire::protocol::kUdp, "not for us"));
    return true;
  }
  SendResult send(Instant /*now*/, TxPacket& /*packet*/) override {
    ++sent;
    return SendResult::Sent;
  }
};

struct ScriptedChannel final : DatagramChannel {
  std::deque<Result<Slice>> queue;

  Result<void> send(Instant /*now*/, Slice /*bytes*/) override { return {}; }
  Result<Slice> receive(Instant /*now*/) override {
    if (queue.empty()) return std::unexpected(Error::WouldBlock);
    auto next = std::move(queue.front());
    queue.pop_front();
    return next;
  }
  void tell() { changed({}); }
};

struct ScriptedNetwork final : Network {
  ScriptedChannel* channel = nullptr;

  Result<std::unique_ptr<DatagramChannel>> open_echoes(Instant /*now*/, const IpAddress& /*remote*/) override {
    auto opened = std::make_unique<ScriptedChannel>();
    channel = opened.get();
    return opened;
  }
  Result<std::unique_ptr<DatagramChannel>> open_datagrams(Instant now, const Endpoint& remote) override {
    return open_echoes(now, remote.address);
  }
  Result<std::unique_ptr<Stream>> connect(Instant /*now*/, const Endpoint& /*remote*/, bool /*fast_open*/) override {
    return std::unexpected(Error::NetworkUnreachable);
  }
  Result<void> listen(const Endpoint& /*local*/, ArrivalHandler /*handler*/) override {
    return std::unexpected(Error::PermissionDenied);
  }
  Result<std::unique_ptr<DatagramPort>> open_port(const Endpoint& /*local*/) override {
    return std::unexpected(Error::PermissionDenied);
  }
};

struct EchoCarrierTest : testing::Test {
  ScriptedDevice device;
  ScriptedNetwork network;
  EchoCarrier carrier{device, network, {kGateway}, [] { return Instant(); }};
  RxPacket packet;
};

TEST_F(EchoCarrierTest, TakesEchoRequestsOutAndLeavesTheRest) {
  device.echoes = 3;
  ASSERT_TRUE(carrier.receive(packet));
  EXPECT_EQ(device.received, 4);
  EXPECT_NE(packet.bytes.text().find("not for us"), std::string_view::npos);
}

TEST_F(EchoCarrierTest, AFloodDoesNotKeepTheLoopFromItsWork) {
  device.echoes = 1'000'000;
  EXPECT_FALSE(carrier.receive(packet));
  EXPECT_LE(device.received, 100);
}

TEST_F(EchoCarrierTest, AReplyBehindAnErrorIsPassedOnToo) {
  device.echoes = 1;
  ASSERT_TRUE(carrier.receive(packet));
  ASSERT_NE(network.channel, nullptr);
  network.channel->queue.emplace_back(std::unexpected(Error::HostUnreachable));
  network.channel->queue.emplace_back(Slice::adopt(std::string(8, '\0')));
  network.channel->tell();
  EXPECT_EQ(device.sent, 2);
}

}  // namespace
}  // namespace ff::relay
