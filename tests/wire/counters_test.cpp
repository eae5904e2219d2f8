// Counters and drop reasons (H2) that no other test is about: each of them moves, and by how much.
#include "wire/datagrams.hpp"
#include "wire/language.hpp"
#include "wire/segment.hpp"

namespace {

// Only what differs between the two IP versions has two names; this is for the rest.
#define BOTH(group, name) Counter::group##_##name, Counter::group##6_##name

std::uint64_t dropped(const Net& net, DropReason reason) { return net.stack.counters()[reason]; }

}  // namespace

// ---- IP ------------------------------------------------------------------------------------------------------------

DATAGRAM_TEST(Counters, Ip) {
  Net net(v6);
  net.in_udp(4000, 7000, "to nobody");
  EXPECT_EQ(net.out().size(), 1u);
  net.in(net.ip(132, net.bytes("SCTP or so")));
  EXPECT_EQ(net.out().size(), 1u);
  Bytes spoilt = net.ip(kUdp, net.udp(4000, 7000, "x"));
  spoilt[0] = v6 ? 0x6f : 0x44;
  if (v6) spoilt[5] = 0xff;
  net.in(spoilt);
  net.in(net.ip(net.peer, net.stranger, kUdp, net.udp(4000, 7000, "x")));
  EXPECT_EQ(net.count(BOTH(Ip, InReceives)), 4u);
  EXPECT_EQ(net.count(BOTH(Ip, InDelivers)), 1u);
  EXPECT_EQ(net.count(BOTH(Ip, InUnknownProtos)), 1u);
  EXPECT_EQ(net.count(BOTH(Ip, InHdrErrors)), 1u);
  EXPECT_EQ(net.count(BOTH(Ip, InAddrErrors)), 1u);
  EXPECT_EQ(net.count(BOTH(Ip, OutRequests)), 2u);
}

// The two bits of RFC 3168 §5, whatever the packet carries.
DATAGRAM_TEST(Counters, EcnCodepoints) {
  Net net(v6);
  for (std::uint8_t codepoint = 0; codepoint < 4; ++codepoint)
    for (int i = 0; i <= codepoint; ++i)
      net.in(net.ip(kUdp, net.udp(4000, 7000, "x"), {.traffic_class = static_cast<std::uint8_t>(0xb8 | codepoint)}));
  EXPECT_EQ(net.count(Counter::IpExt_InNoECTPkts, Counter::Ip6_InNoECTPkts), 1u);
  EXPECT_EQ(net.count(Counter::IpExt_InECT1Pkts, Counter::Ip6_InECT1Pkts), 2u);
  EXPECT_EQ(net.count(Counter::IpExt_InECT0Pkts, Counter::Ip6_InECT0Pkts), 3u);
  EXPECT_EQ(net.count(Counter::IpExt_InCEPkts, Counter::Ip6_InCEPkts), 4u);
}

// A device that does not take what we would send: what waits for it without a connection is bounded.
DATAGRAM_TEST(Counters, AnswersThatFindNoRoom) {
  Net net(v6);
  constexpr std::size_t kRoom = 4096;
  const Bytes request = net.ip(net.icmp_protocol(), net.echo_request(1, 1, "x"));
  for (std::size_t i = 0; i < kRoom + 3; ++i) net.in(request);
  EXPECT_EQ(dropped(net, DropReason::TransmitQueueFull), 3u);
  EXPECT_EQ(net.count(BOTH(Ip, OutDiscards)), 3u);
  EXPECT_EQ(net.count(BOTH(Icmp, OutErrors)), 3u);
  EXPECT_EQ(net.raw_out().size(), kRoom);
  EXPECT_EQ(net.count(BOTH(Icmp, OutMsgs)), kRoom);
}

// A datagram that must not be fragmented, on a path that becomes narrower while it waits.
DATAGRAM_TEST(Counters, DatagramThatNoLongerFits) {
  Net net(v6);
  const DatagramId socket = net.open(7000, {.header = {.path_mtu_discovery = PathMtuDiscovery::Do}});
  const auto send = [&] {
    EXPECT_TRUE(net.stack.send(net.now, socket, Slice::copy_of(Bytes(1400)), Endpoint{net.peer, 4000}));
  };
  send();
  const std::vector<Bytes> first = net.raw_out();
  ASSERT_EQ(first.size(), 1u);
  send();
  net.in(net.error_about(first[0], v6 ? 2 : 3, v6 ? 0 : 4, 1300));
  net.silent();
  EXPECT_EQ(dropped(net, DropReason::IpTooBig), 1u);
  EXPECT_EQ(net.count(BOTH(Ip, FragFails)), 1u);
}

DATAGRAM_TEST(Counters, FragmentsThatComeToNothing) {
  Net net(v6);
  const auto piece = [&](std::uint32_t id, std::uint32_t offset, bool more) {
    net.in(net.ip(kUdp, Bytes(16, 'x'), {.fragment_id = id, .offset = offset, .more = more}));
  };
  piece(1, 0, true);
  piece(1, 8, true);
  EXPECT_EQ(dropped(net, DropReason::IpFragmentOverlap), 1u);
  piece(2, 16, true);
  net.advance(2min);
  EXPECT_EQ(dropped(net, DropReason::IpFragmentTimeout), 1u);
}

TEST(Counters, ExtensionHeaders) {
  Net net(true);
  const Bytes routing{132, 0, 0, 1, 0, 0, 0, 0};  // one segment left: it would have us forward the packet
  net.in(net.ip(43, routing));
  EXPECT_EQ(dropped(net, DropReason::IpExtensionHeader), 1u);
}

// ---- ICMP ----------------------------------------------------------------------------------------------------------

DATAGRAM_TEST(Counters, IcmpErrorsHeard) {
  Net net(v6);
  const DatagramId socket = net.open(7000, {.receive_errors = true});
  EXPECT_TRUE(net.stack.send(net.now, socket, Slice::copy_of(as_bytes("x")), Endpoint{net.peer, 4000}));
  const Bytes sent = net.raw_out().at(0);
  net.in(net.error_about(sent, v6 ? 1 : 3, v6 ? 4 : 3));
  EXPECT_EQ(net.count(BOTH(Icmp, InDestUnreachs)), 1u);
  net.in(net.error_about(sent, v6 ? 3 : 11, 0));
  EXPECT_EQ(net.count(BOTH(Icmp, InTimeExcds)), 1u);
  net.in(net.error_about(sent, v6 ? 4 : 12, 0));
  EXPECT_EQ(net.count(Counter::Icmp_InParmProbs, Counter::Icmp6_InParmProblems), 1u);
  if (v6) {
    net.in(net.error_about(sent, 2, 0, 1300));
    EXPECT_EQ(net.stack.counters()[Counter::Icmp6_InPktTooBigs], 1u);
  }
  net.in(net.ip(net.icmp_protocol(), net.icmp(v6 ? 200 : 42, 0, 0, {})));
  EXPECT_EQ(dropped(net, DropReason::IcmpUnknown), 1u);
  const std::uint64_t messages = v6 ? 5 : 4;
  EXPECT_EQ(net.count(BOTH(Icmp, InMsgs)), messages);

  Bytes spoilt = net.echo_request(1, 1, "x");
  spoilt.back() ^= 1;
  net.in(net.ip(net.icmp_protocol(), spoilt));
  EXPECT_EQ(net.count(BOTH(Icmp, InErrors)), 1u);
  EXPECT_EQ(net.count(BOTH(Icmp, InCsumErrors)), 1u);
  EXPECT_EQ(net.count(BOTH(Icmp, InMsgs)), messages + 1);
}

DATAGRAM_TEST(Counters, IcmpSent) {
  Net net(v6);
  net.in(net.ip(kUdp, Bytes(8), {.fragment_id = 7, .offset = 0, .more = true}));  // the rest never comes
  net.advance(2min);
  EXPECT_EQ(net.out().size(), 1u);
  EXPECT_EQ(net.count(BOTH(Icmp, OutTimeExcds)), 1u);
  net.in(net.ip(132, net.bytes("SCTP or so")));
  EXPECT_EQ(net.out().size(), 1u);
  if (v6) {
    EXPECT_EQ(net.stack.counters()[Counter::Icmp6_OutParmProblems], 1u);
  } else {
    EXPECT_EQ(net.stack.counters()[Counter::Icmp_OutDestUnreachs], 1u);
  }
  net.in(net.ip(net.icmp_protocol(), net.echo_request(1, 1, "x")));
  EXPECT_EQ(net.out().size(), 1u);
  EXPECT_EQ(net.count(Counter::Icmp_InEchos, Counter::Icmp6_InEchos), 1u);
  EXPECT_EQ(net.count(BOTH(Icmp, OutMsgs)), 3u);
}

DATAGRAM_TEST(Counters, EchoReplies) {
  Net net(v6);
  const DatagramId socket = net.open(77, {.protocol = DatagramProtocol::Echo});
  net.in(net.ip(net.icmp_protocol(), net.icmp(v6 ? 129 : 0, 0, 77u << 16 | 1, net.bytes("x"))));
  EXPECT_TRUE(net.stack.receive(socket));
  EXPECT_EQ(net.count(Counter::Icmp_InEchoReps, Counter::Icmp6_InEchoReplies), 1u);
}

// ---- UDP -----------------------------------------------------------------------------------------------------------

DATAGRAM_TEST(Counters, UdpBuffers) {
  Net net(v6);
  const DatagramId socket = net.open(7000, {.receive_buffer = 2048, .send_buffer = 2048});
  for (int i = 0; i < 20; ++i) net.in_udp(4000, 7000, std::string(1000, 'x'));
  const std::uint64_t refused = net.count(BOTH(Udp, RcvbufErrors));
  EXPECT_GT(refused, 10u);
  EXPECT_EQ(dropped(net, DropReason::UdpReceiveBufferFull), refused);
  Result<void> sent;
  for (int i = 0; i < 20 && sent; ++i)
    sent = net.stack.send(net.now, socket, Slice::copy_of(Bytes(1000)), Endpoint{net.peer, 4000});
  ASSERT_FALSE(sent);
  EXPECT_EQ(net.count(BOTH(Udp, SndbufErrors)), 1u);
}

// ---- TCP -----------------------------------------------------------------------------------------------------------

WIRE_TEST(Counters, SegmentsAndErrors) {
  w.establish();
  const std::uint64_t sent = w.stack().counters()[Counter::Tcp_OutSegs];
  w.in(data(1, "hello").ack(1).psh());
  w.out(segment(1).ack(6));
  w.counter(Counter::Tcp_OutSegs, sent + 1);
  std::vector<std::uint8_t> spoilt = w.packet(data(6, "again").ack(1).psh());
  spoilt.back() ^= 1;
  w.in_raw(spoilt);
  w.counter(Counter::Tcp_InErrs, 1);
  w.counter(Counter::Tcp_InCsumErrors, 1);
  w.read("hello");
}

WIRE_TEST(Counters, NobodyThere) {
  w.in(syn(0).mss(1000));
  w.out(rst(0).raw_seq().ack(1));
  w.dropped(DropReason::TcpNoSocket, 1);
}

WIRE_TEST(Counters, SynInTheMiddle) {
  w.establish();
  w.in(syn(100).mss(1000));
  w.out(segment(1).ack(1));
  w.dropped(DropReason::TcpSynInWindow, 1);
}

// StackConfig's bound holds for half-open connections too.
TEST(Counters, ConnectionLimit) {
  Stack stack(StackConfig{.max_connections = 1});
  const IpAddress own = IpAddress::v4(192, 0, 2, 1);
  ASSERT_TRUE(stack.add_interface({.addresses = {Cidr{own, 24}}}));
  ASSERT_TRUE(stack.listen({.local = {own, 80}}));
  for (std::uint8_t host = 2; host < 4; ++host) {
    const IpAddress client = IpAddress::v4(192, 0, 2, host);
    Bytes tcp{0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x10, 0, 0, 0, 0, 0};
    const std::uint16_t sum =
        internet_checksum(tcp, pseudo_header_sum(client, own, 6, static_cast<std::uint32_t>(tcp.size())));
    tcp[16] = static_cast<std::uint8_t>(sum >> 8), tcp[17] = static_cast<std::uint8_t>(sum);
    RxPacket packet;
    packet.bytes = Slice::copy_of(Net(false).ip(client, own, 6, tcp));
    stack.handle_packet(Instant{1000s}, 0, std::move(packet));
  }
  EXPECT_EQ(stack.counters()[DropReason::TcpConnectionLimit], 1u);
  EXPECT_EQ(stack.population().requests, 1u);
}

WIRE_TEST(Counters, Recovery) {
  w.establish({.sack = false});
  w.write(stream(1, 5000));
  for (std::uint32_t i = 0; i < 5; ++i) {
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 4 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
  for (int i = 0; i < 3; ++i) w.in(segment(1).ack(1));
  w.out(data(1, 1000).ack(1));
  w.counter(Counter::TcpExt_TCPRenoRecovery, 1);
  w.counter(Counter::TcpExt_TCPSlowStartRetrans, 0);
  w.in(segment(1).ack(5001));
  w.counter(Counter::TcpExt_TCPDelivered, 5);

  w.write(stream(5001, 100));
  w.out(data(5001, 100).ack(1).psh());
  w.advance(210ms);
  w.out(data(5001, 100).ack(1).psh());
  w.counter(Counter::TcpExt_TCPSlowStartRetrans, 1);
  w.in(segment(1).ack(5101));
}

WIRE_TEST(Counters, WindowProbes) {
  w.establish();
  w.in(segment(1).ack(1).window(0));
  w.write("x");
  w.advance(210ms);
  w.out(segment(0).ack(1));
  w.counter(Counter::TcpExt_TCPWinProbe, 1);
  w.in(segment(1).ack(1).window(1000));
  w.out(data(1, "x").ack(1).psh());
}
