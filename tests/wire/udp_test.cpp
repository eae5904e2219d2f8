// UDP (I1): RFC 768, RFC 1122 §4.1, RFC 8085.
#include <set>

#include "wire/datagrams.hpp"

namespace {

Endpoint peer_at(const Net& net, std::uint16_t port) { return {net.peer, port}; }
Slice text(std::string_view bytes) { return Slice::copy_of(as_bytes(bytes)); }

}  // namespace

DATAGRAM_TEST(Udp, KeepsBoundariesAndSource) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  net.in_udp(4000, 7000, "one");
  net.in_udp(4001, 7000, "");
  net.in_udp(4000, 7000, "three");
  const auto event = net.stack.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->datagram, socket);
  EXPECT_EQ(event->bits, event_bits::kReadable);
  EXPECT_FALSE(net.stack.poll_event());
  net.expect(socket, "one", 4000);
  net.expect(socket, "", 4001);  // a datagram of no bytes is one
  net.expect(socket, "three", 4000);
  net.expect_nothing(socket);
  EXPECT_EQ(net.count(Counter::Udp_InDatagrams, Counter::Udp6_InDatagrams), 3u);
  net.silent();
}

DATAGRAM_TEST(Udp, SendsToAnybodyFromOneSocket) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  ASSERT_TRUE(net.stack.send(net.now, socket, text("hello"), peer_at(net, 4000)));
  const Packet packet = net.one();
  EXPECT_EQ(packet.source, net.own);
  EXPECT_EQ(packet.destination, net.peer);
  EXPECT_EQ(packet.protocol, kUdp);
  EXPECT_EQ(packet.ttl, 64);
  EXPECT_EQ(packet.at16(0), 7000u);
  EXPECT_EQ(packet.at16(2), 4000u);
  EXPECT_EQ(std::string(packet.payload.begin() + 8, packet.payload.end()), "hello");
  EXPECT_TRUE(v6 || packet.dont_fragment);
  ASSERT_TRUE(net.stack.send(net.now, socket, Slice(), Endpoint{net.stranger, 9}));
  const Packet empty = net.one();
  EXPECT_EQ(empty.destination, net.stranger);
  EXPECT_EQ(empty.payload.size(), 8u);
  EXPECT_EQ(net.count(Counter::Udp_OutDatagrams, Counter::Udp6_OutDatagrams), 2u);
}

DATAGRAM_TEST(Udp, ConnectedSocketHearsItsPeerAlone) {
  Net net(v6);
  const DatagramId connected = net.open(7000, {.reuse_port = true});
  const DatagramId other = net.open(7000, {.reuse_port = true});
  ASSERT_TRUE(net.stack.connect(connected, peer_at(net, 4000)));
  net.in_udp(4000, 7000, "for the connected one");
  net.in_udp(4001, 7000, "for the other");
  net.expect(connected, "for the connected one", 4000);
  net.expect_nothing(connected);
  net.expect(other, "for the other", 4001);
  ASSERT_TRUE(net.stack.send(net.now, connected, text("back")));
  EXPECT_EQ(net.one().at16(2), 4000u);
  ASSERT_TRUE(net.stack.close(other));
  net.in_udp(4001, 7000, "for nobody");
  net.expect_nothing(connected);
  ASSERT_TRUE(net.stack.disconnect(connected));
  net.in_udp(4001, 7000, "for everybody");
  net.expect(connected, "for everybody", 4001);
  const auto lost = net.stack.send(net.now, connected, text("where to?"));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error(), Error::DestinationRequired);
}

DATAGRAM_TEST(Udp, NobodyListensIsTold) {
  Net net(v6);
  const Bytes packet = net.ip(kUdp, net.udp(4000, 7000, "anybody?"));
  net.in(packet);
  const Packet error = net.one();
  EXPECT_EQ(error.protocol, net.icmp_protocol());
  EXPECT_EQ(error.source, net.own);
  EXPECT_EQ(error.destination, net.peer);
  EXPECT_EQ(error.payload[0], v6 ? 1 : 3);
  EXPECT_EQ(error.payload[1], v6 ? 4 : 3);
  EXPECT_EQ(Bytes(error.payload.begin() + 8, error.payload.end()), packet);
  EXPECT_EQ(net.count(Counter::Udp_NoPorts, Counter::Udp6_NoPorts), 1u);
  EXPECT_EQ(net.count(Counter::Icmp_OutDestUnreachs, Counter::Icmp6_OutDestUnreachs), 1u);
  EXPECT_EQ(net.stack.counters()[DropReason::UdpNoSocket], 1u);
}

// RFC 1122 §4.1.3.3: the application of a connected socket hears of it, once.
DATAGRAM_TEST(Udp, PortUnreachableRefusesAConnectedSocket) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  ASSERT_TRUE(net.stack.connect(socket, peer_at(net, 4000)));
  ASSERT_TRUE(net.stack.send(net.now, socket, text("hello")));
  const Bytes sent = net.raw_out().at(0);
  net.in(net.error_about(sent, v6 ? 1 : 3, v6 ? 4 : 3));
  const auto event = net.stack.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->bits, event_bits::kError);
  net.expect_error(socket, Error::ConnectionRefused);
  net.expect_nothing(socket);
  // Host unreachable may be passing, and is not told (Linux's icmp_err_convert).
  net.in(net.error_about(sent, v6 ? 1 : 3, v6 ? 3 : 1));
  net.expect_nothing(socket);
  EXPECT_EQ(net.stack.counters()[DropReason::IcmpIgnored], 1u);
  net.in(net.error_about(sent, v6 ? 1 : 3, v6 ? 4 : 3));
  const auto refused = net.stack.send(net.now, socket, text("again"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Error::ConnectionRefused);
  EXPECT_TRUE(net.stack.send(net.now, socket, text("again")));
}

DATAGRAM_TEST(Udp, ErrorsAboutWhatWasNeverSentDoNothing) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  ASSERT_TRUE(net.stack.connect(socket, peer_at(net, 4000)));
  const std::uint8_t type = v6 ? 1 : 3, code = v6 ? 4 : 3;
  // Another port of ours, another of the peer's, another source.
  net.in(net.error_about(net.ip(net.own, net.peer, kUdp, net.udp(7001, 4000, "x")), type, code));
  net.in(net.error_about(net.ip(net.own, net.peer, kUdp, net.udp(7000, 4001, "x")), type, code));
  net.in(net.error_about(net.ip(net.stranger, net.peer, kUdp, net.udp(7000, 4000, "x")), type, code));
  net.in(net.error_about(net.bytes("too short"), type, code));
  net.expect_nothing(socket);
  EXPECT_EQ(net.stack.counters()[DropReason::IcmpNoSocket], 4u);
  net.silent();
}

DATAGRAM_TEST(Udp, KeepsAllErrorsForWhoAsks) {
  Net net(v6);
  const DatagramId socket = net.open(7000, {.receive_errors = true});
  ASSERT_TRUE(net.stack.send(net.now, socket, text("hello"), peer_at(net, 4000)));
  const Bytes sent = net.raw_out().at(0);
  net.in(net.error_about(sent, v6 ? 3 : 11, 0));
  const auto error = net.stack.receive_error(socket);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->error, Error::HostUnreachable);
  EXPECT_EQ(error->type, v6 ? 3 : 11);
  EXPECT_EQ(error->from, net.stranger);
  EXPECT_EQ(error->destination, peer_at(net, 4000));
  EXPECT_EQ(error->bytes.text(), "hello");
  EXPECT_FALSE(net.stack.receive_error(socket));
  net.expect_nothing(socket);  // not connected: nothing pending
}

DATAGRAM_TEST(Udp, WrongChecksumIsDropped) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  Bytes datagram = net.udp(4000, 7000, "hello");
  datagram.back() ^= 1;
  net.in(net.ip(kUdp, datagram));
  net.expect_nothing(socket);
  EXPECT_EQ(net.count(Counter::Udp_InCsumErrors, Counter::Udp6_InCsumErrors), 1u);
  EXPECT_EQ(net.count(Counter::Udp_InErrors, Counter::Udp6_InErrors), 1u);
  // Where the device has verified it, it is not looked at.
  net.in(net.ip(kUdp, datagram), RxChecksum::Verified);
  EXPECT_TRUE(net.stack.receive(socket));
  net.silent();
}

// RFC 768: over IPv4 a sender may leave it out; RFC 8200 §8.1: over IPv6 not.
DATAGRAM_TEST(Udp, NoChecksum) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  Bytes datagram = net.udp(4000, 7000, "hello");
  datagram[6] = datagram[7] = 0;
  net.in(net.ip(kUdp, datagram));
  if (v6) {
    net.expect_nothing(socket);
    EXPECT_EQ(net.stack.counters()[Counter::Udp6_InCsumErrors], 1u);
    return;
  }
  net.expect(socket, "hello", 4000);
}

// A sum that comes out as 0 is sent as 0xffff, which is the same number and not "none".
DATAGRAM_TEST(Udp, ChecksumZeroIsSentAsAllOnes) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  ASSERT_TRUE(net.stack.send(net.now, socket, text(std::string(2, '\0')), peer_at(net, 4000)));
  const std::uint32_t sum = net.one().at16(6);  // what two bytes must add for the sum to be 0
  const std::string payload{static_cast<char>(sum >> 8), static_cast<char>(sum)};
  ASSERT_TRUE(net.stack.send(net.now, socket, text(payload), peer_at(net, 4000)));
  EXPECT_EQ(net.one().at16(6), 0xffffu);
}

DATAGRAM_TEST(Udp, LengthFieldRules) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  Bytes padded = net.udp(4000, 7000, "hello");
  padded.insert(padded.end(), {1, 2, 3, 4, 5});
  net.in(net.ip(kUdp, padded));
  net.expect(socket, "hello", 4000);
  Bytes longer = net.udp(4000, 7000, "hello");
  longer[5] = 14;
  net.in(net.ip(kUdp, longer));
  Bytes shorter = net.udp(4000, 7000, "hello");
  shorter[5] = 7;
  net.in(net.ip(kUdp, shorter));
  net.in(net.ip(kUdp, net.bytes("1234567")));
  net.expect_nothing(socket);
  EXPECT_EQ(net.stack.counters()[DropReason::UdpTruncated], 3u);
  EXPECT_EQ(net.count(Counter::Udp_InErrors, Counter::Udp6_InErrors), 3u);
}

// SO_RCVBUF is doubled; a datagram costs its bytes and a bit more; the first beyond the bound still fits.
DATAGRAM_TEST(Udp, ReceiveQueueIsBounded) {
  Net net(v6);
  const DatagramId socket = net.open(7000, {.receive_buffer = 2000});
  EXPECT_EQ(net.stack.info(socket)->receive_buffer, 4000u);
  const std::string kilobyte(1000, 'x');
  for (int i = 0; i < 10; ++i) net.in_udp(4000, 7000, kilobyte);
  const DatagramInfo info = *net.stack.info(socket);
  EXPECT_EQ(info.drops, 6u);
  EXPECT_LE(info.receive_queue, 4000u + 1500u);
  EXPECT_EQ(net.count(Counter::Udp_RcvbufErrors, Counter::Udp6_RcvbufErrors), 6u);
  EXPECT_EQ(net.count(Counter::Udp_InErrors, Counter::Udp6_InErrors), 6u);
  for (int i = 0; i < 4; ++i) net.expect(socket, kilobyte, 4000);
  net.expect_nothing(socket);
  EXPECT_EQ(net.stack.info(socket)->receive_queue, 0u);
  net.in_udp(4000, 7000, "there is room again");
  net.expect(socket, "there is room again", 4000);
}

// Without a bound on datagrams of no bytes, they would be free.
DATAGRAM_TEST(Udp, EmptyDatagramsCountToo) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  for (int i = 0; i < 5000; ++i) net.in_udp(4000, 7000, "");
  EXPECT_GT(net.stack.info(socket)->drops, 4000u);
}

DATAGRAM_TEST(Udp, BuffersFollowTheSettings) {
  Net net(v6);
  net.set("net.core.rmem_default", "5000");
  net.set("net.core.rmem_max", "10000");
  EXPECT_EQ(net.stack.info(net.open(7000))->receive_buffer, 5000u);
  EXPECT_EQ(net.stack.info(net.open(7001, {.receive_buffer = 1u << 30}))->receive_buffer, 20000u);
  EXPECT_EQ(net.stack.info(net.open(7002, {.receive_buffer = 1}))->receive_buffer, 2304u);
}

DATAGRAM_TEST(Udp, SendQueueIsBounded) {
  Net net(v6);
  const DatagramId socket = net.open(7000, {.send_buffer = 2304});
  const std::string kilobyte(1000, 'x');
  int sent = 0;
  while (net.stack.send(net.now, socket, text(kilobyte), peer_at(net, 4000))) ++sent;
  EXPECT_EQ(sent, 4);
  EXPECT_EQ(net.stack.send(net.now, socket, text("x"), peer_at(net, 4000)).error(), Error::WouldBlock);
  EXPECT_FALSE(net.stack.poll_event());
  EXPECT_EQ(net.out().size(), 4u);
  const auto event = net.stack.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->bits, event_bits::kWritable);
  EXPECT_TRUE(net.stack.send(net.now, socket, text("x"), peer_at(net, 4000)));
}

DATAGRAM_TEST(Udp, PortsConflict) {
  Net net(v6);
  const IpAddress any = v6 ? IpAddress::any_v6() : IpAddress::any_v4();
  const auto opens = [&](const IpAddress& address, bool share = false) {
    return net.stack.open({.local = {address, 7000}, .reuse_port = share});
  };
  const auto wildcard = opens(any);
  ASSERT_TRUE(wildcard);
  EXPECT_EQ(opens(net.own).error(), Error::AddressInUse);
  EXPECT_EQ(opens(any, true).error(), Error::AddressInUse);
  EXPECT_EQ(opens(net.peer).error(), Error::AddressNotAvailable);
  ASSERT_TRUE(net.stack.close(*wildcard));
  EXPECT_EQ(net.stack.close(*wildcard).error(), Error::StaleHandle);
  ASSERT_TRUE(opens(net.own));
  EXPECT_EQ(opens(any).error(), Error::AddressInUse);
}

// SO_REUSEADDR on all of them: the one that came last hears, until it goes.
DATAGRAM_TEST(Udp, ReuseAddrHandsThePortOn) {
  Net net(v6);
  const DatagramId first = net.open(7000, {.reuse_addr = true});
  const IpAddress any = v6 ? IpAddress::any_v6() : IpAddress::any_v4();
  EXPECT_EQ(net.stack.open({.local = {any, 7000}}).error(), Error::AddressInUse);
  EXPECT_EQ(net.stack.open({.local = {any, 7000}, .reuse_port = true}).error(), Error::AddressInUse);
  const DatagramId second = net.open(7000, {.reuse_addr = true});
  net.in_udp(4000, 7000, "to the second");
  net.expect(second, "to the second", 4000);
  net.expect_nothing(first);
  // A specific address comes before a wildcard, whoever was first.
  const auto specific = net.stack.open({.local = {net.own, 7000}, .reuse_addr = true});
  ASSERT_TRUE(specific);
  net.open(7000, {.reuse_addr = true});
  net.in_udp(4000, 7000, "to the specific one");
  net.expect(*specific, "to the specific one", 4000);
  ASSERT_TRUE(net.stack.close(*specific));
  ASSERT_TRUE(net.stack.close(second));
  EXPECT_EQ(net.stack.datagram_sockets().size(), 2u);
}

// Two may be connected to the same peer: the later one hears of it.
DATAGRAM_TEST(Udp, SocketsThatShareAPortMayConnectAlike) {
  Net net(v6);
  const Endpoint remote{net.peer, 4000};
  const DatagramId first = net.open(7000, {.reuse_addr = true}), second = net.open(7000, {.reuse_addr = true});
  ASSERT_TRUE(net.stack.connect(first, remote));
  ASSERT_TRUE(net.stack.connect(second, remote));
  net.in_udp(4000, 7000, "to the second");
  net.expect(second, "to the second", 4000);
  ASSERT_TRUE(net.stack.close(second));
  net.in_udp(4000, 7000, "to the first");
  net.expect(first, "to the first", 4000);
  net.in_udp(4001, 7000, "to nobody");
  net.expect_nothing(first);
}

// Senders stay with whom they had when another one of those that share the port goes.
DATAGRAM_TEST(Udp, ClosingOneThatSharesMovesFewSenders) {
  Net net(v6);
  std::vector<DatagramId> sockets;
  for (int i = 0; i < 4; ++i) sockets.push_back(net.open(7000, {.reuse_port = true}));
  const auto reader = [&] {
    for (std::size_t i = 0; i < sockets.size(); ++i)
      if (net.stack.receive(sockets[i])) return i;
    return sockets.size();
  };
  std::vector<std::size_t> before;
  for (std::uint16_t from = 4000; from < 4100; ++from) {
    net.in_udp(from, 7000, "x");
    before.push_back(reader());
    EXPECT_LT(before.back(), sockets.size());
  }
  ASSERT_TRUE(net.stack.close(sockets[3]));
  for (std::uint16_t from = 4000; from < 4100; ++from) {
    net.in_udp(from, 7000, "x");
    EXPECT_LT(reader(), 3u);
  }
}

// At :: some may take IPv6 alone; IPv4 then finds the others.
TEST(Udp, WildcardsOfDifferentFamiliesShareAPort) {
  Net net(false);
  std::vector<DatagramId> v6_only;
  for (int i = 0; i < 3; ++i) {
    const auto socket = net.stack.open({.local = {IpAddress::any_v6(), 7000}, .ipv6_only = true, .reuse_port = true});
    ASSERT_TRUE(socket);
    v6_only.push_back(*socket);
  }
  const auto both = net.stack.open({.local = {IpAddress::any_v6(), 7000}, .reuse_port = true});
  ASSERT_TRUE(both);
  for (std::uint16_t from = 4000; from < 4020; ++from) {
    net.in_udp(from, 7000, "by IPv4");
    net.expect(*both, "by IPv4", from);
  }
  for (const DatagramId socket : v6_only) net.expect_nothing(socket);
}

TEST(Udp, WildcardOfBothFamilies) {
  Net net(false);
  const auto both = net.stack.open({.local = {IpAddress::any_v6(), 7000}});
  ASSERT_TRUE(both);
  EXPECT_EQ(net.stack.open({.local = {IpAddress::any_v4(), 7000}}).error(), Error::AddressInUse);
  net.in_udp(4000, 7000, "by IPv4");
  net.expect(*both, "by IPv4", 4000);
  ASSERT_TRUE(net.stack.close(*both));
  const auto v6_only = net.stack.open({.local = {IpAddress::any_v6(), 7000}, .ipv6_only = true});
  ASSERT_TRUE(v6_only);
  net.in_udp(4000, 7000, "not for it");
  net.expect_nothing(*v6_only);
  EXPECT_TRUE(net.stack.open({.local = {IpAddress::any_v4(), 7000}}));
}

// G1: TCP's ports are a space of their own.
DATAGRAM_TEST(Udp, HasPortsOfItsOwn) {
  Net net(v6);
  const IpAddress any = v6 ? IpAddress::any_v6() : IpAddress::any_v4();
  ASSERT_TRUE(net.stack.listen({.local = {any, 7000}}));
  EXPECT_TRUE(net.stack.open({.local = {any, 7000}}));
  EXPECT_TRUE(net.stack.open({.protocol = DatagramProtocol::Echo, .local = {any, 7000}}));
}

DATAGRAM_TEST(Udp, EphemeralPortsComeFromTheRange) {
  Net net(v6);
  net.set("net.ipv4.ip_local_port_range", "5000 5003");
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 4; ++i) ports.insert(net.stack.info(net.open(0))->local.port);
  EXPECT_EQ(ports, (std::set<std::uint16_t>{5000, 5001, 5002, 5003}));
  EXPECT_EQ(net.stack.open({}).error(), Error::AddressInUse);
  net.set("net.ipv4.ip_local_port_range", "5000 5009");
  net.set("net.ipv4.ip_local_reserved_ports", "5004-5008");
  EXPECT_EQ(net.stack.info(net.open(0))->local.port, 5009);
  EXPECT_EQ(net.stack.open({}).error(), Error::AddressInUse);
}

DATAGRAM_TEST(Udp, SharedPortSpreadsSenders) {
  Net net(v6);
  std::vector<DatagramId> sockets;
  for (int i = 0; i < 4; ++i) sockets.push_back(net.open(7000, {.reuse_port = true}));
  for (std::uint16_t port = 1; port <= 400; ++port) net.in_udp(port, 7000, "x");
  std::size_t total = 0;
  for (const DatagramId socket : sockets) {
    std::size_t share = 0;
    while (net.stack.receive(socket)) ++share;
    EXPECT_GT(share, 50u);
    total += share;
  }
  EXPECT_EQ(total, 400u);
  for (int i = 0; i < 3; ++i) net.in_udp(77, 7000, "y");  // one sender, one socket
  int holders = 0;
  for (const DatagramId socket : sockets) holders += net.stack.info(socket)->receive_queue > 0 ? 1 : 0;
  EXPECT_EQ(holders, 1);
}

DATAGRAM_TEST(Udp, DestinationsThatCannotBe) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const auto error_of = [&](const Endpoint& to) { return net.stack.send(net.now, socket, text("x"), to).error(); };
  EXPECT_EQ(error_of({net.peer, 0}), Error::InvalidArgument);
  EXPECT_EQ(error_of({v6 ? IpAddress::any_v6() : IpAddress::any_v4(), 9}), Error::InvalidArgument);
  EXPECT_EQ(error_of({*IpAddress::parse(v6 ? "2001:db8:9::1" : "203.0.113.1"), 9}), Error::NetworkUnreachable);
  EXPECT_EQ(net.count(Counter::Ip_OutNoRoutes, Counter::Ip6_OutNoRoutes), 1u);
  if (!v6) {
    EXPECT_EQ(error_of({*IpAddress::parse("192.0.2.255"), 9}), Error::PermissionDenied);
    EXPECT_EQ(error_of({*IpAddress::parse("2001:db8::2"), 9}), Error::InvalidArgument);
  }
  EXPECT_EQ(net.stack.send(net.now, socket, text(std::string(v6 ? 65528 : 65508, 'x')), peer_at(net, 9)).error(),
            Error::MessageTooLong);
  net.silent();
}

DATAGRAM_TEST(Udp, HeaderFieldsGoBothWays) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  ASSERT_TRUE(net.stack.set_header(socket, {.ttl = 3, .traffic_class = 0xb9}));
  ASSERT_TRUE(net.stack.send(net.now, socket, text("x"), peer_at(net, 9)));
  const Packet packet = net.one();
  EXPECT_EQ(packet.ttl, 3);
  EXPECT_EQ(packet.traffic_class, 0xb9);
  net.in(net.ip(kUdp, net.udp(9, 7000, "x"), {.ttl = 17, .traffic_class = 0x2e}));
  const auto datagram = net.stack.receive(socket);
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->ttl, 17);
  EXPECT_EQ(datagram->traffic_class, 0x2e);
  EXPECT_EQ(net.stack.set_header(socket, {.ttl = 0}).error(), Error::InvalidArgument);
}

// Larger than the MTU: in fragments, of which every byte of the path is used.
DATAGRAM_TEST(Udp, LargeDatagramsLeaveInFragments) {
  Net net(v6, 1280);
  const DatagramId socket = net.open(7000);
  const std::string payload(5001, 'x');
  ASSERT_TRUE(net.stack.send(net.now, socket, text(payload), peer_at(net, 9)));
  const std::vector<Packet> fragments = net.out();
  ASSERT_EQ(fragments.size(), v6 ? 5u : 4u);
  for (const Packet& fragment : fragments) {
    EXPECT_LE(fragment.size, 1280u);
    EXPECT_FALSE(fragment.dont_fragment);
  }
  EXPECT_GT(fragments[0].size, 1272u);
  const Bytes whole = put_together(fragments);
  EXPECT_EQ(std::string(whole.begin() + 8, whole.end()), payload);
  EXPECT_EQ(net.count(Counter::Ip_FragOKs, Counter::Ip6_FragOKs), 1u);
  EXPECT_EQ(net.count(Counter::Ip_FragCreates, Counter::Ip6_FragCreates), fragments.size());
  ASSERT_TRUE(net.stack.send(net.now, socket, text(payload), peer_at(net, 9)));
  EXPECT_NE(net.out().at(0).identification, fragments[0].identification);
}

DATAGRAM_TEST(Udp, PathMtuIsLearntAndForgotten) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const std::string payload(1400, 'x');
  const auto send = [&] {
    EXPECT_TRUE(net.stack.send(net.now, socket, text(payload), peer_at(net, 9)));
    return net.raw_out();
  };
  const Bytes sent = send().at(0);
  net.in(net.error_about(sent, v6 ? 2 : 3, v6 ? 0 : 4, 1500));  // it would have fitted: a lie
  EXPECT_EQ(send().size(), 1u);
  net.in(net.error_about(sent, v6 ? 2 : 3, v6 ? 0 : 4, 1300));
  EXPECT_EQ(send().size(), 2u);
  ASSERT_TRUE(net.stack.set_header(socket, {.path_mtu_discovery = PathMtuDiscovery::Do}));
  EXPECT_EQ(net.stack.send(net.now, socket, text(payload), peer_at(net, 9)).error(), Error::MessageTooLong);
  ASSERT_TRUE(net.stack.set_header(socket, {}));
  net.advance(601s);
  EXPECT_EQ(send().size(), 1u);
  // No path is believed to carry less than min_pmtu, or IPv6's least.
  net.in(net.error_about(sent, v6 ? 2 : 3, v6 ? 0 : 4, 100));
  const std::vector<Bytes> fragments = send();
  EXPECT_EQ(fragments.at(0).size(), v6 ? 1280u : 548u);
}

// Connections and datagram sockets send in turn.
DATAGRAM_TEST(Udp, SocketsTakeTurns) {
  Net net(v6);
  const DatagramId a = net.open(7000), b = net.open(7001);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(net.stack.send(net.now, a, text("a"), peer_at(net, 9)));
    ASSERT_TRUE(net.stack.send(net.now, b, text("b"), peer_at(net, 9)));
  }
  std::string order;
  for (const Packet& packet : net.out()) order += static_cast<char>(packet.payload.back());
  EXPECT_EQ(order, "ababab");
}
