// A stack that stands for every host behind an interface (InterfaceConfig::any_destination), listeners for every port,
// and SYNs that are held until the application has made up its mind.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "device/memory_pair.hpp"
#include "firstflight/stack.hpp"

namespace ff {
namespace {

using namespace std::chrono_literals;

class AnyDestination : public testing::TestWithParam<bool> {
 protected:
  AnyDestination() {
    const bool v6 = GetParam();
    const auto prefix = static_cast<std::uint8_t>(v6 ? 64 : 24);
    const IpAddress program = *IpAddress::parse(v6 ? "2001:db8::1" : "192.0.2.1");
    const IpAddress relay_address = *IpAddress::parse(v6 ? "2001:db8::2" : "192.0.2.2");
    EXPECT_TRUE(client.add_interface({.addresses = {Cidr{program, prefix}}, .gateways = {relay_address}}));
    EXPECT_TRUE(relay.add_interface({.addresses = {Cidr{relay_address, prefix}}, .any_destination = true}));
    somewhere = {*IpAddress::parse(v6 ? "2600::77" : "203.0.113.77"), 443};
    elsewhere = {*IpAddress::parse(v6 ? "2600::78" : "203.0.113.78"), 53};
  }

  [[nodiscard]] IpAddress any() const { return GetParam() ? IpAddress::any_v6() : IpAddress::any_v4(); }
  ListenerId listen(bool hold) {
    return relay.listen({.local = {any(), 0}, .every_port = true, .hold_requests = hold}).value();
  }
  void pump() {
    while (move(client, pair.a(), relay, pair.b()) || move(relay, pair.b(), client, pair.a())) {
    }
  }
  bool move(Stack& from, Device& out, Stack& to, Device& in) {
    bool any_packet = false;
    for (TxPacket packet; from.poll_transmit(now, packet); any_packet = true) out.send(now, packet);
    for (RxPacket packet; in.receive(packet);) to.handle_packet(now, 0, std::move(packet));
    return any_packet;
  }
  void advance(Duration span) {
    now += span;
    client.handle_deadline(now);
    relay.handle_deadline(now);
    pump();
  }
  std::string text_at(Stack& stack, ConnectionId connection) {
    const auto slice = stack.read_slice(now, connection);
    return slice ? std::string(slice->text()) : std::string(to_string(slice.error()));
  }
  std::optional<Error> error_of_program(ConnectionId connection) { return client.info(connection).value().error; }

  MemoryPair pair{MemoryPairOptions{}};
  Stack client{StackConfig{.seed = Seed::from_number(1)}};
  Stack relay{StackConfig{.seed = Seed::from_number(2)}};
  Endpoint somewhere, elsewhere;
  Instant now{1000s};
};

TEST_P(AnyDestination, AListenerForEveryPortStandsForEveryHost) {
  const ListenerId listener = listen(false);
  const ConnectionId first = client.connect(now, {.remote = somewhere}).value();
  const ConnectionId second = client.connect(now, {.remote = elsewhere}).value();
  ASSERT_TRUE(client.write(now, first, as_bytes("to 443")));
  ASSERT_TRUE(client.write(now, second, as_bytes("to 53")));
  pump();
  const ConnectionId at_first = relay.accept(listener).value(), at_second = relay.accept(listener).value();
  EXPECT_EQ(relay.info(at_first).value().tuple.local, somewhere);
  EXPECT_EQ(relay.info(at_second).value().tuple.local, elsewhere);
  EXPECT_EQ(text_at(relay, at_first), "to 443");
  EXPECT_EQ(text_at(relay, at_second), "to 53");
  ASSERT_TRUE(relay.write(now, at_second, as_bytes("from 53")));
  pump();
  EXPECT_EQ(text_at(client, second), "from 53");
  EXPECT_EQ(relay.check(), "");
}

TEST_P(AnyDestination, WhoListensOnAPortComesFirst) {
  listen(false);
  const ListenerId own = relay.listen({.local = {any(), 443}}).value();
  (void)client.connect(now, {.remote = somewhere}).value();
  pump();
  ASSERT_TRUE(relay.accept(own));
  ASSERT_TRUE(relay.close(now, own));
}

TEST_P(AnyDestination, WithoutItAPacketForAnotherIsDropped) {
  Stack plain{StackConfig{.seed = Seed::from_number(3)}};
  const IpAddress address = *IpAddress::parse(GetParam() ? "2001:db8::2" : "192.0.2.2");
  ASSERT_TRUE(plain.add_interface({.addresses = {Cidr{address, 24}}}));
  ASSERT_TRUE(plain.listen({.local = {any(), 0}, .every_port = true}));
  (void)client.connect(now, {.remote = somewhere}).value();
  move(client, pair.a(), plain, pair.b());
  EXPECT_EQ(plain.counters()[DropReason::IpNotForUs], 1u);
  EXPECT_EQ(plain.population().requests, 0u);
}

TEST_P(AnyDestination, AHeldSynIsAnsweredWhenTheApplicationSaysSo) {
  const ListenerId listener = listen(true);
  const ConnectionId program = client.connect(now, {.remote = somewhere}).value();
  pump();
  advance(1s);  // it asks again
  const auto event = relay.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->bits, event_bits::kAcceptable);
  EXPECT_FALSE(relay.accept(listener));
  const HeldRequest held = relay.next_request(listener).value();
  EXPECT_EQ(held.tuple.local, somewhere);
  EXPECT_EQ(relay.next_request(listener).error(), Error::WouldBlock);
  EXPECT_EQ(client.info(program).value().state, TcpState::SynSent);
  ASSERT_TRUE(relay.answer(now, held.id));
  EXPECT_EQ(relay.answer(now, held.id).error(), Error::InvalidArgument) << "once is enough";
  pump();
  EXPECT_EQ(client.info(program).value().state, TcpState::Established);
  ASSERT_TRUE(relay.accept(listener));
  EXPECT_EQ(relay.refuse(now, held.id, Error::ConnectionRefused).error(), Error::StaleHandle);
}

TEST_P(AnyDestination, ARefusalLooksAsTheNetworkWouldMakeIt) {
  const ListenerId listener = listen(true);
  for (const Error why : {Error::ConnectionRefused, Error::HostUnreachable, Error::NetworkUnreachable}) {
    const ConnectionId program = client.connect(now, {.remote = somewhere}).value();
    pump();
    ASSERT_TRUE(relay.refuse(now, relay.next_request(listener).value().id, why));
    pump();
    // Linux tells of both kinds of unreachability so over IPv4, and the ICMP limit lets one pass in a second.
    EXPECT_EQ(error_of_program(program), why);
    ASSERT_TRUE(client.close(now, program));
    advance(2s);
  }
  const ConnectionId program = client.connect(now, {.remote = somewhere}).value();
  pump();
  ASSERT_TRUE(relay.refuse(now, relay.next_request(listener).value().id, Error::TimedOut));
  pump();
  EXPECT_EQ(client.info(program).value().state, TcpState::SynSent) << "silence is told by silence";
  EXPECT_EQ(relay.population().requests, 0u);
}

TEST_P(AnyDestination, AHeldRequestGoesWithItsPeerOrItsListener) {
  const ListenerId listener = listen(true);
  const ConnectionId program = client.connect(now, {.remote = somewhere}).value();
  (void)client.connect(now, {.remote = elsewhere}).value();
  pump();
  EXPECT_EQ(relay.population().requests, 2u);
  const HeldRequest first = relay.next_request(listener).value();
  ASSERT_TRUE(relay.answer(now, first.id));
  ASSERT_TRUE(client.abort(now, program));
  pump();
  EXPECT_EQ(relay.population().requests, 1u);
  ASSERT_TRUE(relay.close(now, listener));
  EXPECT_EQ(relay.population().requests, 0u);
  EXPECT_EQ(relay.check(), "");
}

TEST_P(AnyDestination, OneDatagramSocketHearsOfEveryPortAndAnswersFromEach) {
  const DatagramId all = relay.open({.local = {any(), 0}, .every_port = true}).value();
  const DatagramId program = client.open({.local = {any(), 4000}}).value();
  ASSERT_TRUE(client.connect(program, elsewhere));
  ASSERT_TRUE(client.send(now, program, Slice::copy_of(as_bytes("question"))));
  pump();
  const Datagram question = relay.receive(all).value();
  EXPECT_EQ(Endpoint(question.destination, question.destination_port), elsewhere);
  EXPECT_EQ(relay.send(now, all, Slice(), question.source).error(), Error::InvalidArgument) << "from which port?";

  // A socket in the name of the one who was asked hears of its flow alone.
  const DatagramId flow = relay.open({.local = elsewhere, .reuse_addr = true}).value();
  ASSERT_TRUE(relay.connect(flow, question.source));
  ASSERT_TRUE(relay.send(now, flow, Slice::copy_of(as_bytes("answer"))));
  ASSERT_TRUE(client.send(now, program, Slice::copy_of(as_bytes("more"))));
  pump();
  EXPECT_EQ(client.receive(program).value().bytes.text(), "answer");
  EXPECT_EQ(relay.receive(flow).value().bytes.text(), "more");
  EXPECT_EQ(relay.receive(all).error(), Error::WouldBlock);

  ASSERT_TRUE(relay.refuse(now, flow, Error::ConnectionRefused));
  pump();
  EXPECT_EQ(client.receive(program).error(), Error::ConnectionRefused);
}

TEST_P(AnyDestination, EveryPortGoesWithNoPort) {
  EXPECT_EQ(relay.listen({.local = {any(), 80}, .every_port = true}).error(), Error::InvalidArgument);
  EXPECT_EQ(relay.listen({.local = {somewhere.address, 0}, .every_port = true}).error(), Error::InvalidArgument);
  EXPECT_EQ(relay.open({.local = {any(), 80}, .every_port = true}).error(), Error::InvalidArgument);
  EXPECT_EQ(client.bind({.local = somewhere}).error(), Error::AddressNotAvailable);
  EXPECT_TRUE(relay.bind({.local = somewhere})) << "a relay may bind what it stands for";
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, AnyDestination, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace ff
