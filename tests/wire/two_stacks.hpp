// Two stacks joined by a pair of devices in memory, for tests of what stands beside the stack: captures, framings.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>

#include "device/memory_pair.hpp"
#include "firstflight/stack.hpp"

namespace ff::wiretest {

using namespace std::chrono_literals;

class TwoStacks {
 public:
  // A small MTU cuts the stream into many packets.
  explicit TwoStacks(bool v6, std::uint16_t mtu = 1500)
      : pair({.mtu = mtu}),
        client(StackConfig{.seed = Seed::from_number(1)}),
        server(StackConfig{.seed = Seed::from_number(2)}),
        client_address(*IpAddress::parse(v6 ? "2001:db8::1" : "192.0.2.1")),
        server_address(*IpAddress::parse(v6 ? "2001:db8::2" : "192.0.2.2")) {
    const auto prefix = static_cast<std::uint8_t>(v6 ? 64 : 24);
    EXPECT_TRUE(client.add_interface({.mtu = mtu, .addresses = {Cidr{client_address, prefix}}}));
    EXPECT_TRUE(server.add_interface({.mtu = mtu, .addresses = {Cidr{server_address, prefix}}}));
    listener = server.listen({.local = {server_address, 80}}).value();
  }

  MemoryPair pair;
  Stack client, server;
  IpAddress client_address, server_address;
  ListenerId listener;
  ConnectionId at_client, at_server;
  Instant now{1000s};

  void connect(Device& clients_device) {
    device = &clients_device;
    at_client = client.connect(now, {.remote = {server_address, 80}, .options = {.no_delay = true}}).value();
    pump();
    at_server = server.accept(listener).value();
  }
  // All that passes without time passing.
  void pump() {
    while (move(client, *device, server, pair.b()) || move(server, pair.b(), client, *device)) {
    }
  }
  void advance(Duration span) {
    now += span;
    client.handle_deadline(now);
    server.handle_deadline(now);
    pump();
  }

 private:
  bool move(Stack& from, Device& out, Stack& to, Device& in) {
    bool any = false;
    TxPacket packet;
    while (from.poll_transmit(now, packet)) {
      EXPECT_EQ(out.send(now, packet), Device::SendResult::Sent);
      any = true;
    }
    RxPacket received;
    while (in.receive(received)) to.handle_packet(now, 0, std::move(received));
    return any;
  }

  Device* device = nullptr;
};

}  // namespace ff::wiretest
