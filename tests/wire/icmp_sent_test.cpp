// What we say by ICMP (I2): echo replies, errors, to whom never, and how many (RFC 1122 §3.2.2, RFC 4443 §2.4).
#include "wire/datagrams.hpp"

namespace {

// A datagram that nobody listens for: one error, if it may be.
void provoke(Net& net, std::uint16_t port = 7000) { net.in_udp(4000, port, "anybody?"); }

std::size_t errors_for(Net& net, int datagrams) {
  std::size_t errors = 0;
  for (int i = 0; i < datagrams; ++i) {
    provoke(net);
    errors += net.out().size();
  }
  return errors;
}

}  // namespace

DATAGRAM_TEST(IcmpSent, EchoIsAnswered) {
  Net net(v6);
  net.in(net.ip(net.icmp_protocol(), net.echo_request(0x1234, 7, "odd-sized"), {.ttl = 3, .traffic_class = 0xb8}));
  const Packet reply = net.one();
  EXPECT_EQ(reply.source, net.own);
  EXPECT_EQ(reply.destination, net.peer);
  EXPECT_EQ(reply.ttl, 64);
  EXPECT_EQ(reply.traffic_class, 0xb8);
  EXPECT_EQ(reply.payload[0], v6 ? 129 : 0);
  EXPECT_EQ(reply.at32(4), 0x12340007u);
  EXPECT_EQ(std::string(reply.payload.begin() + 8, reply.payload.end()), "odd-sized");
  EXPECT_EQ(net.count(Counter::Icmp_OutEchoReps, Counter::Icmp6_OutEchoReplies), 1u);
  net.set("net.ipv4.icmp_echo_ignore_all", "1");
  net.in(net.ip(net.icmp_protocol(), net.echo_request(1, 1, "")));
  net.silent();
}

// RFC 1122 §3.2.2.6 (MUST): as much as came goes back, here in fragments.
DATAGRAM_TEST(IcmpSent, LargeEchoIsAnsweredInFragments) {
  Net net(v6);
  const std::string data(4000, 'x');
  net.in(net.ip(net.icmp_protocol(), net.echo_request(1, 2, data)));
  const Bytes reply = put_together(net.out());
  EXPECT_EQ(std::string(reply.begin() + 8, reply.end()), data);
}

DATAGRAM_TEST(IcmpSent, UnknownProtocol) {
  Net net(v6);
  const Bytes packet = net.ip(132, net.bytes("SCTP or so"));
  net.in(packet);
  const Packet error = net.one();
  EXPECT_EQ(error.payload[0], v6 ? 4 : 3);
  EXPECT_EQ(error.payload[1], v6 ? 1 : 2);
  EXPECT_EQ(error.at32(4), v6 ? 6u : 0u);  // where the next-header field stands
  EXPECT_EQ(Bytes(error.payload.begin() + 8, error.payload.end()), packet);
  EXPECT_EQ(net.stack.counters()[DropReason::IpProtocol], 1u);
}

TEST(IcmpSent, UnknownNextHeaderBehindAnExtension) {
  Net net(true);
  net.in(net.ip(60, {132, 0, 1, 4, 0, 0, 0, 0, 'x'}));
  EXPECT_EQ(net.one().at32(4), 40u);
  net.in(net.ip(59, net.bytes("no next header")));  // RFC 8200 §4.7
  net.silent();
}

DATAGRAM_TEST(IcmpSent, QuotesWhatFits) {
  Net net(v6);
  net.in_udp(4000, 7000, std::string(1400, 'x'));
  EXPECT_EQ(net.one().size, v6 ? 1280u : 576u);
}

DATAGRAM_TEST(IcmpSent, NeverAboutAnError) {
  Net net(v6);
  // An error of an unknown code, and one about nothing of ours.
  net.in(net.ip(net.icmp_protocol(), net.icmp(v6 ? 1 : 3, 99, 0, net.bytes("what?"))));
  net.in(net.error_about(net.ip(net.own, net.peer, kUdp, net.udp(1, 2, "x")), v6 ? 1 : 3, v6 ? 4 : 3));
  net.silent();
}

DATAGRAM_TEST(IcmpSent, NeverToGroupsOrNobody) {
  Net net(v6);
  const auto from = [&](const char* text) {
    const IpAddress source = *IpAddress::parse(text);
    net.in(net.ip(source, net.own, kUdp, net.udp(source, net.own, 1, 7000, "x")));
  };
  const auto to = [&](const char* text) {
    const IpAddress target = *IpAddress::parse(text);
    net.in(net.ip(net.peer, target, kUdp, net.udp(net.peer, target, 1, 7000, "x")));
  };
  if (v6) {
    from("::"), from("ff02::1"), from("::1");
    to("ff02::1"), to("ff02::1:ff00:1");
  } else {
    from("0.0.0.0"), from("255.255.255.255"), from("224.0.0.1"), from("192.0.2.255"), from("127.0.0.1");
    to("255.255.255.255"), to("192.0.2.255"), to("224.0.0.1");
  }
  net.silent();
}

// As Linux: six at once to one host, then one each second; IPv6 hosts behind a /64 get four each second.
DATAGRAM_TEST(IcmpSent, OneHostIsLimited) {
  Net net(v6);
  EXPECT_EQ(errors_for(net, 40), 6u);
  EXPECT_EQ(net.count(Counter::Icmp_OutRateLimitHost, Counter::Icmp6_OutRateLimitHost), 34u);
  net.advance(1001ms);
  EXPECT_EQ(errors_for(net, 40), v6 ? 4u : 1u);
  net.in(net.ip(net.stranger, net.own, kUdp, net.udp(net.stranger, net.own, 1, 7000, "x")));
  EXPECT_EQ(net.out().size(), 1u);  // another host is not held up by it
}

DATAGRAM_TEST(IcmpSent, LimitsFollowTheSettings) {
  Net net(v6);
  net.set(v6 ? "net.ipv6.icmp.ratelimit" : "net.ipv4.icmp_ratelimit", "0");
  EXPECT_EQ(errors_for(net, 40), 40u);
}

// To all hosts together: a burst of icmp_msgs_burst, then icmp_msgs_per_sec.
DATAGRAM_TEST(IcmpSent, AllHostsTogetherAreLimited) {
  Net net(v6);
  net.set("net.ipv4.icmp_msgs_per_sec", "100");
  const auto flood = [&](int first) {
    std::size_t errors = 0;
    for (int i = first; i < first + 250; ++i) {
      const IpAddress source = *IpAddress::parse((v6 ? "2001:db8::1:" : "192.0.2.") + std::to_string(i % 250 + 3));
      net.in(net.ip(source, net.own, kUdp, net.udp(source, net.own, 1, 7000, "x")));
      errors += net.out().size();
    }
    return errors;
  };
  const std::size_t burst = flood(0);
  EXPECT_GE(burst, 25u);  // each takes one of the credit, give or take one, so that nobody can count along
  EXPECT_LE(burst, 100u);
  EXPECT_EQ(net.stack.counters()[Counter::Icmp_OutRateLimitGlobal], 250 - burst);
  net.advance(100ms);
  const std::size_t later = flood(0);
  EXPECT_GE(later, 1u);
  EXPECT_LE(later, 20u);
}

// The mask's default leaves echo replies alone.
TEST(IcmpSent, EchoRepliesAreLimitedOnRequest) {
  Net net(false);
  const auto answers = [&] {
    std::size_t count = 0;
    for (int i = 0; i < 40; ++i) {
      net.in(net.ip(kIcmp4, net.echo_request(1, 1, "x")));
      count += net.out().size();
    }
    return count;
  };
  EXPECT_EQ(answers(), 40u);
  net.set("net.ipv4.icmp_ratemask", "0x1819");
  EXPECT_EQ(answers(), 6u);
}

// ---- our own echo requests -----------------------------------------------------------------------------------------

DATAGRAM_TEST(EchoSocket, AsksAndHearsTheAnswer) {
  Net net(v6);
  const DatagramId socket = net.open(0, {.protocol = DatagramProtocol::Echo});
  const std::uint16_t id = net.stack.info(socket)->local.port;
  const Bytes request = net.icmp(v6 ? 128 : 8, 0, 0x99990005, net.bytes("data"));  // its identifier is replaced
  ASSERT_TRUE(net.stack.send(net.now, socket, Slice::copy_of(request), Endpoint{net.peer, 0}));
  const Packet sent = net.one();
  EXPECT_EQ(sent.payload[0], v6 ? 128 : 8);
  EXPECT_EQ(sent.at32(4), id * 65536u + 5);
  EXPECT_EQ(std::string(sent.payload.begin() + 8, sent.payload.end()), "data");
  const auto reply = [&](std::uint16_t identifier) {
    return net.ip(net.icmp_protocol(), net.icmp(v6 ? 129 : 0, 0, identifier * 65536u + 5, net.bytes("data")));
  };
  net.in(reply(id));
  net.in(reply(static_cast<std::uint16_t>(id + 1)));
  const auto answer = net.stack.receive(socket);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->source.address, net.peer);
  EXPECT_EQ(answer->ttl, 64);
  EXPECT_EQ(answer->bytes.data()[0], v6 ? 129 : 0);
  EXPECT_EQ(answer->bytes.size(), 12u);
  EXPECT_FALSE(net.stack.receive(socket));
  EXPECT_EQ(net.stack.counters()[DropReason::IcmpNoSocket], 1u);
  EXPECT_EQ(net.count(Counter::Icmp_OutEchos, Counter::Icmp6_OutEchos), 1u);
}

DATAGRAM_TEST(EchoSocket, SendsNothingButEchoRequests) {
  Net net(v6);
  const DatagramId socket = net.open(0, {.protocol = DatagramProtocol::Echo});
  for (const Bytes& message : {net.icmp(v6 ? 129 : 0, 0, 0, {}), net.icmp(v6 ? 128 : 8, 1, 0, {}), net.bytes("short")})
    EXPECT_EQ(net.stack.send(net.now, socket, Slice::copy_of(message), Endpoint{net.peer, 0}).error(),
              Error::InvalidArgument);
  net.silent();
}

DATAGRAM_TEST(EchoSocket, HearsErrors) {
  Net net(v6);
  const DatagramId socket = net.open(0, {.protocol = DatagramProtocol::Echo, .receive_errors = true});
  ASSERT_TRUE(net.stack.set_header(socket, {.ttl = 1}));
  const Bytes request = net.icmp(v6 ? 128 : 8, 0, 3, net.bytes("data"));
  ASSERT_TRUE(net.stack.send(net.now, socket, Slice::copy_of(request), Endpoint{net.peer, 0}));
  const Bytes sent = net.raw_out().at(0);
  net.in(net.error_about(sent, v6 ? 3 : 11, 0));
  const auto error = net.stack.receive_error(socket);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->from, net.stranger);
  EXPECT_EQ(error->destination.address, net.peer);
  EXPECT_EQ(error->bytes.size(), 12u);
  EXPECT_EQ(error->bytes.data()[7], 3);  // the sequence number
}
