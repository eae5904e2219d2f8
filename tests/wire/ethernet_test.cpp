// Neighbours on Ethernet-like devices (I3): ARP (RFC 826, RFC 5227), neighbour discovery (RFC 4861), and how much of us
// hostile ones may take.
#include <algorithm>

#include "wire/datagrams.hpp"
#include "wire/segment.hpp"

namespace {

constexpr MacAddress kOwnMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}}, kOtherMac{{2, 0, 0, 0, 0, 3}};
constexpr std::uint32_t kArp = 0x0806;

struct Frame {
  MacAddress to, from;
  std::uint32_t type = 0;
  Bytes body;
};

MacAddress mac_at(const Bytes& bytes, std::size_t at) {
  MacAddress mac;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 6, mac.bytes.begin());
  return mac;
}

// One stack on a link. Packets are Net's; this puts frames around them.
class Lan {
 public:
  explicit Lan(bool v6, const Settings& settings = {})
      : net(v6), stack(StackConfig{.seed = Seed::from_number(1), .settings = settings}) {
    InterfaceConfig config;
    config.addresses = {Cidr{net.own, static_cast<std::uint8_t>(v6 ? 64 : 16)}};
    config.gateways = {net.stranger};
    config.mac = kOwnMac;
    interface = stack.add_interface(config).value();
    announcements = out();
    socket = stack.open({.local = {v6 ? IpAddress::any_v6() : IpAddress::any_v4(), 7000}}).value();
  }

  Net net;  // for its packets alone
  Stack stack;
  InterfaceId interface = 0;
  DatagramId socket;
  std::vector<Frame> announcements;
  Instant now{1000s};

  void in(const MacAddress& to, const MacAddress& from, std::uint32_t type, const Bytes& body) {
    Bytes bytes(to.bytes.begin(), to.bytes.end());
    bytes.insert(bytes.end(), from.bytes.begin(), from.bytes.end());
    bytes.insert(bytes.end(), {static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type)});
    bytes.insert(bytes.end(), body.begin(), body.end());
    raw(bytes);
  }
  void raw(const Bytes& frame) {
    RxPacket packet;
    packet.bytes = Slice::copy_of(frame);
    packet.link_header_size = kEthernetHeader;
    stack.handle_packet(now, interface, std::move(packet));
  }
  void in_ip(const Bytes& packet, const MacAddress& from = kPeerMac) {
    in(kOwnMac, from, net.v6 ? 0x86dd : 0x0800, packet);
  }
  std::vector<Frame> out() {
    std::vector<Frame> frames;
    TxPacket packet;
    while (stack.poll_transmit(now, packet)) {
      EXPECT_EQ(packet.link_header_size, kEthernetHeader);
      const Bytes head(packet.link_header().begin(), packet.link_header().end());
      Frame frame{mac_at(head, 0), mac_at(head, 6), head[12] * 256u + head[13], {}};
      frame.body.assign(packet.header().begin(), packet.header().end());
      for (const Slice& piece : packet.payload())
        frame.body.insert(frame.body.end(), piece.span().begin(), piece.span().end());
      EXPECT_EQ(frame.from, kOwnMac);
      frames.push_back(std::move(frame));
    }
    return frames;
  }
  Frame one() {
    const auto frames = out();
    EXPECT_EQ(frames.size(), 1u);
    return frames.empty() ? Frame{} : frames[0];
  }
  void silent() { EXPECT_EQ(out().size(), 0u); }
  void advance(Duration span) {
    const Instant end = now + span;
    while (stack.next_deadline() <= end) {
      now = std::max(now, stack.next_deadline());
      stack.handle_deadline(now);
    }
    now = end;
  }
  Result<void> send(const IpAddress& to, std::string_view text = "hello") {
    return stack.send(now, socket, Slice::copy_of(as_bytes(text)), Endpoint{to, 9});
  }

  // ---- questions and answers of the link ----
  static Bytes arp(std::uint8_t operation, const MacAddress& mac, const IpAddress& sender, const MacAddress& target_mac,
                   const IpAddress& target) {
    Bytes bytes{0, 1, 8, 0, 6, 4, 0, operation};
    const auto put = [&](const auto& part) { bytes.insert(bytes.end(), part.begin(), part.end()); };
    put(mac.bytes), put(sender.v4_bytes()), put(target_mac.bytes), put(target.v4_bytes());
    return bytes;
  }
  static Bytes discovery(std::uint8_t type, std::uint8_t flags, const IpAddress& source, const IpAddress& destination,
                         const IpAddress& target, std::optional<MacAddress> mac, std::uint8_t hop_limit = 255) {
    Bytes message{type, 0, 0, 0, flags, 0, 0, 0};
    message.insert(message.end(), target.bytes().begin(), target.bytes().end());
    if (mac) {
      message.insert(message.end(), {static_cast<std::uint8_t>(type == 135 ? 1 : 2), 1});
      message.insert(message.end(), mac->bytes.begin(), mac->bytes.end());
    }
    const std::uint16_t sum = internet_checksum(
        message, pseudo_header_sum(source, destination, kIcmp6, static_cast<std::uint32_t>(message.size())));
    message[2] = static_cast<std::uint8_t>(sum >> 8), message[3] = static_cast<std::uint8_t>(sum);
    Bytes packet{0x60, 0, 0, 0, 0, static_cast<std::uint8_t>(message.size()), kIcmp6, hop_limit};
    packet.insert(packet.end(), source.bytes().begin(), source.bytes().end());
    packet.insert(packet.end(), destination.bytes().begin(), destination.bytes().end());
    packet.insert(packet.end(), message.begin(), message.end());
    return packet;
  }
  static IpAddress group_of(const IpAddress& address) {
    std::array<std::uint8_t, 16> bytes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0};
    std::copy_n(address.bytes().begin() + 13, 3, bytes.begin() + 13);
    return IpAddress::v6(bytes);
  }
  // `whose` asks for our address.
  void asked_by(const IpAddress& whose, const MacAddress& mac) {
    if (net.v6) {
      const IpAddress group = group_of(net.own);
      in({{0x33, 0x33, 0xff, 0, 0, 1}}, mac, 0x86dd, discovery(135, 0, whose, group, net.own, mac));
    } else {
      in(MacAddress::broadcast(), mac, kArp, arp(1, mac, whose, {}, net.own));
    }
  }
  // `whose` answers us.
  void answered_by(const IpAddress& whose, const MacAddress& mac) {
    if (net.v6) {
      in_ip(discovery(136, 0x60, whose, net.own, whose, mac), mac);
    } else {
      in(kOwnMac, mac, kArp, arp(2, mac, whose, kOwnMac, net.own));
    }
  }
  // We ask everybody, or `to`, for `whom`.
  void expect_question(const Frame& frame, const IpAddress& whom, std::optional<MacAddress> to = {}) {
    if (net.v6) {
      const Packet packet = take_apart(frame.body);
      EXPECT_EQ(packet.ttl, 255);
      EXPECT_EQ(packet.source, net.own);
      EXPECT_EQ(packet.destination, to ? whom : group_of(whom));
      EXPECT_EQ(packet.payload[0], 135);
      EXPECT_TRUE(std::equal(whom.bytes().begin(), whom.bytes().end(), packet.payload.begin() + 8));
      EXPECT_EQ(mac_at(packet.payload, 26), kOwnMac);
      const IpAddress group = group_of(whom);  // bytes() points into it
      const auto bytes = group.bytes();
      EXPECT_EQ(frame.to, to.value_or(MacAddress{{0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]}}));
    } else {
      EXPECT_EQ(frame.type, kArp);
      EXPECT_EQ(frame.to, to.value_or(MacAddress::broadcast()));
      EXPECT_EQ(frame.body, arp(1, kOwnMac, net.own, {}, whom));
    }
  }
  std::optional<NeighbourState> state_of(const IpAddress& address) {
    for (const Neighbour& neighbour : stack.neighbours())
      if (neighbour.address == address) return neighbour.state;
    return std::nullopt;
  }
  void reach_peer() {
    ASSERT_TRUE(send(net.peer));
    expect_question(one(), net.peer);
    answered_by(net.peer, kPeerMac);
    EXPECT_EQ(one().to, kPeerMac);
    EXPECT_EQ(state_of(net.peer), NeighbourState::Reachable);
  }
};

}  // namespace

DATAGRAM_TEST(Ethernet, AnnouncesItself) {
  Lan lan(v6);
  ASSERT_EQ(lan.announcements.size(), 1u);
  const Frame& frame = lan.announcements[0];
  if (!v6) {
    EXPECT_EQ(frame.to, MacAddress::broadcast());
    EXPECT_EQ(frame.body, Lan::arp(1, kOwnMac, lan.net.own, {}, lan.net.own));
    return;
  }
  const Packet packet = take_apart(frame.body);
  EXPECT_EQ(packet.destination.to_string(), "ff02::1");
  EXPECT_EQ(packet.payload[0], 136);
  EXPECT_EQ(packet.payload[4], 0x20);  // override
  EXPECT_EQ(lan.stack.counters()[Counter::Icmp6_OutNeighborAdvertisements], 1u);
}

DATAGRAM_TEST(Ethernet, AnswersForItsAddress) {
  Lan lan(v6);
  lan.asked_by(lan.net.peer, kPeerMac);
  const Frame frame = lan.one();
  EXPECT_EQ(frame.to, kPeerMac);
  if (v6) {
    const Packet packet = take_apart(frame.body);
    EXPECT_EQ(packet.source, lan.net.own);
    EXPECT_EQ(packet.destination, lan.net.peer);
    EXPECT_EQ(packet.ttl, 255);
    EXPECT_EQ(packet.payload[0], 136);
    EXPECT_EQ(packet.payload[4], 0x60);  // solicited, override
    EXPECT_EQ(mac_at(packet.payload, 26), kOwnMac);
  } else {
    EXPECT_EQ(frame.body, Lan::arp(2, kOwnMac, lan.net.own, kPeerMac, lan.net.peer));
  }
  // Who asks wants to hear from us: it is remembered, to be tried.
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Stale);
  ASSERT_TRUE(lan.send(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);
  EXPECT_EQ(lan.stack.counters()[Counter::Icmp6_InNeighborSolicits], v6 ? 1u : 0u);
}

// Somebody wants to know whether an address is free (RFC 5227 §2.1.1, RFC 4862 §5.4.3): it is not, and nobody is
// learnt.
DATAGRAM_TEST(Ethernet, DefendsItsAddressAgainstAProbe) {
  Lan lan(v6);
  if (v6) {
    lan.in({{0x33, 0x33, 0xff, 0, 0, 1}}, kPeerMac, 0x86dd,
           Lan::discovery(135, 0, IpAddress::any_v6(), Lan::group_of(lan.net.own), lan.net.own, {}));
    const Packet packet = take_apart(lan.one().body);
    EXPECT_EQ(packet.destination.to_string(), "ff02::1");
    EXPECT_EQ(packet.payload[4], 0x20);
  } else {
    lan.in(MacAddress::broadcast(), kPeerMac, kArp, Lan::arp(1, kPeerMac, IpAddress::any_v4(), {}, lan.net.own));
    EXPECT_EQ(lan.one().to, kPeerMac);
  }
  EXPECT_TRUE(lan.stack.neighbours().empty());
}

DATAGRAM_TEST(Ethernet, FindsANeighbourAndSendsWhatWaited) {
  Lan lan(v6);
  ASSERT_TRUE(lan.send(lan.net.peer, "one"));
  ASSERT_TRUE(lan.send(lan.net.peer, "two"));
  lan.expect_question(lan.one(), lan.net.peer);
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Incomplete);
  lan.advance(1s);
  lan.expect_question(lan.one(), lan.net.peer);
  lan.answered_by(lan.net.peer, kPeerMac);
  const auto frames = lan.out();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].to, kPeerMac);
  EXPECT_EQ(take_apart(frames[0].body).payload.back(), 'e');
  EXPECT_EQ(take_apart(frames[1].body).payload.back(), 'o');
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Reachable);
  EXPECT_EQ(lan.stack.counters()[Counter::Icmp6_OutNeighborSolicits], v6 ? 2u : 0u);
  EXPECT_EQ(lan.stack.counters()[Counter::Icmp6_InNeighborAdvertisements], v6 ? 1u : 0u);
  lan.advance(5s);
  lan.silent();
}

// mcast_solicit questions, retrans_time_ms apart; then the application hears that the host is unreachable.
DATAGRAM_TEST(Ethernet, GivesUpOnASilentNeighbour) {
  Lan lan(v6);
  const auto socket =
      lan.stack.open({.local = {v6 ? IpAddress::any_v6() : IpAddress::any_v4(), 7001}, .receive_errors = true}).value();
  ASSERT_TRUE(lan.stack.send(lan.now, socket, Slice::copy_of(as_bytes("x")), Endpoint{lan.net.peer, 9}));
  const auto tcp = lan.stack.connect(lan.now, {.remote = {lan.net.peer, 80}});
  ASSERT_TRUE(tcp);
  lan.expect_question(lan.one(), lan.net.peer);
  for (int i = 0; i < 2; ++i) {
    lan.advance(1s);
    lan.expect_question(lan.one(), lan.net.peer);
  }
  EXPECT_FALSE(lan.stack.receive_error(socket));
  lan.advance(1s);
  lan.silent();
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Failed);
  const auto error = lan.stack.receive_error(socket);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->error, Error::HostUnreachable);
  EXPECT_EQ(lan.stack.info(*tcp)->error, Error::HostUnreachable);
  EXPECT_GE(lan.stack.counters()[DropReason::NeighbourFailed], 2u);
  // What is sent now asks anew.
  ASSERT_TRUE(lan.send(lan.net.peer));
  lan.expect_question(lan.one(), lan.net.peer);
}

DATAGRAM_TEST(Ethernet, QueueForANeighbourIsBounded) {
  Lan lan(v6);
  ASSERT_TRUE(lan.stack.set_setting("net.ipv4.neigh.default.unres_qlen_bytes", "10000"));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(lan.send(lan.net.peer, std::to_string(i)));
    (void)lan.out();
  }
  lan.answered_by(lan.net.peer, kPeerMac);
  const auto frames = lan.out();
  EXPECT_LT(frames.size(), 10u);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(lan.stack.counters()[DropReason::NeighbourQueueFull], 100 - frames.size());
  EXPECT_EQ(take_apart(frames.back().body).payload.back(), '9');  // the oldest go
}

// REACHABLE for 15 to 45 s; STALE; DELAY for 5 s when used again; PROBE with unicast questions; FAILED.
DATAGRAM_TEST(Ethernet, StatesAsLinuxHasThem) {
  Lan lan(v6);
  lan.reach_peer();
  lan.advance(14s);
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Reachable);
  lan.advance(32s);
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Stale);
  lan.silent();
  ASSERT_TRUE(lan.send(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);  // what was known is good enough to send
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Delay);
  lan.advance(5s);
  lan.expect_question(lan.one(), lan.net.peer, kPeerMac);
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Probe);
  lan.answered_by(lan.net.peer, kPeerMac);
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Reachable);

  lan.advance(46s);
  ASSERT_TRUE(lan.send(lan.net.peer));
  (void)lan.out();
  lan.advance(5s);
  for (int i = 0; i < 3; ++i) {
    lan.expect_question(lan.one(), lan.net.peer, kPeerMac);
    lan.advance(1s);
  }
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Failed);
  lan.silent();
}

DATAGRAM_TEST(Ethernet, OtherNetworksAreReachedByTheGateway) {
  Lan lan(v6);
  const IpAddress far = *IpAddress::parse(v6 ? "2001:db8:77::1" : "203.0.113.1");
  ASSERT_TRUE(lan.send(far));
  lan.expect_question(lan.one(), lan.net.stranger);
  lan.answered_by(lan.net.stranger, kOtherMac);
  const Frame frame = lan.one();
  EXPECT_EQ(frame.to, kOtherMac);
  EXPECT_EQ(take_apart(frame.body).destination, far);
}

DATAGRAM_TEST(Ethernet, GroupsNeedNoQuestion) {
  Lan lan(v6);
  ASSERT_TRUE(lan.send(*IpAddress::parse(v6 ? "ff02::1:2" : "239.129.2.3")));
  const Frame frame = lan.one();
  EXPECT_EQ(frame.to, v6 ? (MacAddress{{0x33, 0x33, 0, 1, 0, 2}}) : (MacAddress{{1, 0, 0x5e, 1, 2, 3}}));
  EXPECT_EQ(take_apart(frame.body).ttl, 1);
}

DATAGRAM_TEST(Ethernet, FramesForOthersAreIgnored) {
  Lan lan(v6);
  const Bytes packet = lan.net.ip(kUdp, lan.net.udp(4000, 9999, "x"));
  const std::uint32_t type = v6 ? 0x86dd : 0x0800;
  lan.in(kOtherMac, kPeerMac, type, packet);
  lan.in(kOwnMac, kOwnMac, type, packet);  // our own, given back by a hub
  EXPECT_EQ(lan.stack.counters()[DropReason::EthernetNotForUs], 2u);
  lan.in(kOwnMac, {{3, 0, 0, 0, 0, 2}}, type, packet);  // a group cannot send
  lan.raw(Bytes(13, 0));
  EXPECT_EQ(lan.stack.counters()[DropReason::EthernetHeader], 2u);
  lan.in(kOwnMac, kPeerMac, v6 ? 0x0800 : 0x86dd, packet);  // not what the frame says
  lan.in(kOwnMac, kPeerMac, 0x88cc, packet);
  lan.in(kOwnMac, kPeerMac, type, {});
  EXPECT_EQ(lan.stack.counters()[DropReason::EthernetType], 3u);
  lan.in(MacAddress::broadcast(), kPeerMac, type, packet);  // no errors about what went to all (RFC 1122 §3.2.2)
  lan.silent();
  lan.in_ip(packet);
  EXPECT_EQ(lan.out().size(), 1u);
}

// RFC 1122 §4.2.3.10: a SYN in a frame to all would have every host of the link answer. Nor is there a client at the
// address that means all of them.
DATAGRAM_TEST(Ethernet, TcpToAGroupIsIgnored) {
  Lan lan(v6);
  lan.reach_peer();
  ASSERT_TRUE(lan.stack.listen({.local = {lan.net.own, 80}}));
  Bytes syn{0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x10, 0, 0, 0, 0, 0};
  const auto packet_from = [&](const IpAddress& source) {
    syn[16] = syn[17] = 0;
    const std::uint16_t sum =
        internet_checksum(syn, pseudo_header_sum(source, lan.net.own, 6, static_cast<std::uint32_t>(syn.size())));
    syn[16] = static_cast<std::uint8_t>(sum >> 8), syn[17] = static_cast<std::uint8_t>(sum);
    return lan.net.ip(source, lan.net.own, 6, syn);
  };
  lan.in(MacAddress::broadcast(), kPeerMac, v6 ? 0x86dd : 0x0800, packet_from(lan.net.peer));
  if (!v6) lan.in_ip(packet_from(IpAddress::v4(192, 0, 255, 255)));
  EXPECT_EQ(lan.stack.counters()[DropReason::TcpGroup], v6 ? 1u : 2u);
  lan.silent();
  lan.in_ip(packet_from(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);
}

// ---- lies ----------------------------------------------------------------------------------------------------------

// Somebody says to be us: that changes nothing, and is not answered with a quarrel.
DATAGRAM_TEST(Ethernet, ConflictIsIgnored) {
  Lan lan(v6);
  lan.asked_by(lan.net.own, kOtherMac);
  lan.answered_by(lan.net.own, kOtherMac);
  if (!v6) lan.silent();
  EXPECT_EQ(lan.state_of(lan.net.own), std::nullopt);
  EXPECT_EQ(lan.stack.counters()[DropReason::NeighbourIgnored], v6 ? 1u : 2u);
}

DATAGRAM_TEST(Ethernet, AnswersToNobodysQuestionAreNotRemembered) {
  Lan lan(v6);
  lan.answered_by(lan.net.peer, kPeerMac);
  if (!v6) lan.in(MacAddress::broadcast(), kPeerMac, kArp, Lan::arp(1, kPeerMac, lan.net.peer, {}, lan.net.peer));
  EXPECT_TRUE(lan.stack.neighbours().empty());
  lan.silent();
}

// The first of two answers counts (locktime); a later one that nobody asked for is tried before it is believed.
TEST(Ethernet, SecondAnswerIsDoubted) {
  Lan lan(false);
  lan.reach_peer();
  lan.answered_by(lan.net.peer, kOtherMac);
  ASSERT_TRUE(lan.send(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);
  lan.advance(5s);
  (void)lan.out();
  lan.answered_by(lan.net.peer, kPeerMac);
  lan.advance(2s);
  lan.answered_by(lan.net.peer, kOtherMac);
  EXPECT_NE(lan.state_of(lan.net.peer), NeighbourState::Reachable);
}

// RFC 4861 §7.2.5: without the override flag what is known stays, but is doubted.
TEST(Ethernet, AdvertisementWithoutOverrideIsDoubted) {
  Lan lan(true);
  lan.reach_peer();
  lan.in_ip(Lan::discovery(136, 0x40, lan.net.peer, lan.net.own, lan.net.peer, kOtherMac), kOtherMac);
  EXPECT_EQ(lan.state_of(lan.net.peer), NeighbourState::Stale);
  ASSERT_TRUE(lan.send(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);
}

TEST(Ethernet, DiscoveryIsChecked) {
  Lan lan(true);
  const IpAddress group = Lan::group_of(lan.net.own);
  const auto good = Lan::discovery(135, 0, lan.net.peer, group, lan.net.own, kPeerMac);
  const auto in = [&](const Bytes& packet) { lan.in({{0x33, 0x33, 0xff, 0, 0, 1}}, kPeerMac, 0x86dd, packet); };
  in(Lan::discovery(135, 0, lan.net.peer, group, lan.net.own, kPeerMac, 254));
  EXPECT_EQ(lan.stack.counters()[DropReason::IpHopLimit], 1u);
  in(Lan::discovery(135, 0, lan.net.peer, group, group, kPeerMac));               // asks for a group
  in(Lan::discovery(135, 0, IpAddress::any_v6(), group, lan.net.own, kPeerMac));  // from nobody, with address
  in(Lan::discovery(135, 0, IpAddress::any_v6(), lan.net.own, lan.net.own, {}));  // from nobody, to one
  in(Lan::discovery(136, 0x60, lan.net.peer, *IpAddress::parse("ff02::1"), lan.net.peer, kPeerMac));
  EXPECT_EQ(lan.stack.counters()[DropReason::NeighbourDiscovery], 4u);
  Bytes spoilt = good;
  spoilt.back() ^= 1;
  in(spoilt);
  EXPECT_EQ(lan.stack.counters()[DropReason::IcmpChecksum], 1u);
  lan.silent();
  EXPECT_TRUE(lan.stack.neighbours().empty());
  in(good);
  EXPECT_EQ(lan.out().size(), 1u);
}

TEST(Ethernet, ArpIsChecked) {
  Lan lan(false);
  const Bytes good = Lan::arp(1, kPeerMac, lan.net.peer, {}, lan.net.own);
  for (const std::size_t at : {1u, 3u, 4u, 5u, 7u, 8u, 14u}) {
    Bytes bad = good;
    bad[at] = at == 14 ? 224 : static_cast<std::uint8_t>(bad[at] + 1 + 2 * (at == 7));
    lan.in(kOwnMac, kPeerMac, kArp, bad);
  }
  lan.in(kOwnMac, kPeerMac, kArp, Bytes(good.begin(), good.end() - 1));
  EXPECT_EQ(lan.stack.counters()[DropReason::ArpMalformed], 8u);
  lan.silent();
  EXPECT_TRUE(lan.stack.neighbours().empty());
}

// Questions and answers of spoofed neighbours cannot fill the table, nor push out whom we know.
DATAGRAM_TEST(Ethernet, FloodOfStrangersIsBounded) {
  Lan lan(v6);
  lan.reach_peer();
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const IpAddress stranger =
        v6 ? *IpAddress::parse("2001:db8::9:" + std::to_string(i % 10000))
           : IpAddress::v4(192, 0, static_cast<std::uint8_t>(3 + i / 250 % 250), static_cast<std::uint8_t>(i % 250));
    lan.asked_by(stranger, kOtherMac);
    if (i % 100 == 0) (void)lan.out();
  }
  EXPECT_LE(lan.stack.neighbours().size(), 512u);
  (void)lan.out();
  ASSERT_TRUE(lan.send(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);
}

// What makes us ask (here packets to hosts that do not exist) stays within gc_thresh3, and does not push out who is in
// use.
DATAGRAM_TEST(Ethernet, FloodOfQuestionsIsBounded) {
  Lan lan(v6);
  lan.reach_peer();
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const IpAddress nobody =
        v6 ? *IpAddress::parse("2001:db8::9:" + std::to_string(i))
           : IpAddress::v4(192, 0, static_cast<std::uint8_t>(3 + i / 250), static_cast<std::uint8_t>(i % 250));
    ASSERT_TRUE(lan.send(nobody));
    (void)lan.out();
    EXPECT_LE(lan.stack.neighbours().size(), 1024u);
  }
  EXPECT_GT(lan.stack.counters()[DropReason::NeighbourTableFull], 0u);
  ASSERT_TRUE(lan.send(lan.net.peer));
  EXPECT_EQ(lan.one().to, kPeerMac);
}

// A stack takes an Ethernet address only if it is one.
TEST(Ethernet, AddressesThatNoHostHas) {
  Stack stack(StackConfig{});
  for (const MacAddress& mac : {MacAddress{}, MacAddress::broadcast(), MacAddress{{1, 0, 0x5e, 0, 0, 1}}}) {
    InterfaceConfig config;
    config.addresses = {*Cidr::parse("192.0.2.1/24")};
    config.mac = mac;
    EXPECT_EQ(stack.add_interface(config).error(), Error::InvalidArgument);
  }
  EXPECT_EQ(MacAddress::parse("02:aB:00:ff:10:9c")->to_string(), "02:ab:00:ff:10:9c");
  for (const char* text : {"", "02:ab:00:ff:10", "02-ab-00-ff-10-9c", "0g:ab:00:ff:10:9c", "02:ab:00:ff:10:9c:"})
    EXPECT_FALSE(MacAddress::parse(text)) << text;
}
