// Fragments that come in (I3): RFC 791 §3.2, RFC 8200 §4.5, RFC 5722, and how much of us a flood of them may take.
#include <algorithm>

#include "wire/datagrams.hpp"

namespace {

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * i % 26);
  return text;
}

// A datagram of the peer's to port 7000, in pieces of `step` bytes.
std::vector<Bytes> fragments_of(const Net& net, std::string_view payload, std::size_t step, std::uint32_t id,
                                std::optional<IpAddress> from = {}, std::uint8_t traffic_class = 0) {
  const IpAddress source = from.value_or(net.peer);
  const Bytes whole = net.udp(source, net.own, 4000, 7000, payload);
  std::vector<Bytes> fragments;
  for (std::size_t at = 0; at < whole.size(); at += step) {
    const std::size_t end = std::min(whole.size(), at + step);
    fragments.push_back(
        net.ip(source, net.own, kUdp,
               Bytes(whole.begin() + static_cast<std::ptrdiff_t>(at), whole.begin() + static_cast<std::ptrdiff_t>(end)),
               {.traffic_class = traffic_class,
                .fragment_id = id,
                .offset = static_cast<std::uint32_t>(at),
                .more = end < whole.size()}));
  }
  return fragments;
}

Bytes piece(const Net& net, std::uint32_t offset, std::size_t size, bool more, std::uint32_t id = 1) {
  return net.ip(kUdp, Bytes(size, 'x'), {.fragment_id = id, .offset = offset, .more = more});
}

std::uint64_t overlaps(const Net& net) { return net.stack.counters()[Counter::IpExt_ReasmOverlaps]; }
std::uint64_t fails(const Net& net) { return net.count(Counter::Ip_ReasmFails, Counter::Ip6_ReasmFails); }

}  // namespace

DATAGRAM_TEST(Fragments, AnyOrderMakesTheDatagram) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const std::string payload = pattern(3001);
  std::vector<Bytes> fragments = fragments_of(net, payload, 1000, 5);
  ASSERT_EQ(fragments.size(), 4u);
  std::vector<int> order{0, 1, 2, 3};
  std::uint64_t permutations = 0;
  do {
    for (const int i : order) net.in(fragments[static_cast<std::size_t>(i)]);
    net.expect(socket, payload, 4000);
    ++permutations;
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(net.count(Counter::Ip_ReasmOKs, Counter::Ip6_ReasmOKs), permutations);
  EXPECT_EQ(net.count(Counter::Ip_ReasmReqds, Counter::Ip6_ReasmReqds), 4 * permutations);
  EXPECT_EQ(net.stack.next_deadline(), kNever);
}

DATAGRAM_TEST(Fragments, LargestDatagram) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const std::string payload = pattern(v6 ? 65527 : 65507);
  for (const Bytes& fragment : fragments_of(net, payload, 1448, 5)) net.in(fragment);
  net.expect(socket, payload, 4000);
}

DATAGRAM_TEST(Fragments, SeveralDatagramsAtATime) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const std::string first = pattern(2000), second = pattern(1999);
  const auto a = fragments_of(net, first, 1000, 5), b = fragments_of(net, second, 1000, 6);
  const auto c = fragments_of(net, "of another source", 8, 5, net.stranger);
  for (std::size_t i = 0; i < 3; ++i) net.in(a[i]), net.in(b[i]), net.in(c[i]);
  net.expect(socket, first, 4000);
  net.expect(socket, second, 4000);
  net.in(c[3]);
  EXPECT_EQ(net.stack.receive(socket)->source.address, net.stranger);
}

// RFC 1122 §3.3.2, RFC 8200 §4.5: after ipfrag_time the sender hears of it, if the first fragment came.
DATAGRAM_TEST(Fragments, TimeOut) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const auto fragments = fragments_of(net, pattern(2000), 1000, 5);
  net.in(fragments[0]);
  net.in(fragments[1]);
  net.advance(v6 ? 59999ms : 29999ms);
  net.silent();
  net.advance(1ms);
  const Packet error = net.one();
  EXPECT_EQ(error.payload[0], v6 ? 3 : 11);
  EXPECT_EQ(error.payload[1], 1);
  EXPECT_TRUE(std::equal(error.payload.begin() + 8, error.payload.begin() + 60, fragments[0].begin()));
  EXPECT_EQ(net.count(Counter::Ip_ReasmTimeout, Counter::Ip6_ReasmTimeout), 1u);
  EXPECT_EQ(fails(net), 1u);
  net.in(fragments[2]);  // too late: alone it is nothing, and nobody is told of it
  net.advance(61s);
  net.silent();
  net.expect_nothing(socket);
  net.set(v6 ? "net.ipv6.ip6frag_time" : "net.ipv4.ipfrag_time", "2");
  net.in(fragments[0]);
  net.advance(2s);
  EXPECT_EQ(net.out().size(), 1u);
}

DATAGRAM_TEST(Fragments, DuplicatesAreHarmless) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const std::string payload = pattern(3000);
  const auto fragments = fragments_of(net, payload, 1000, 5);
  for (const std::size_t i : {0u, 0u, 1u, 1u, 0u, 3u, 2u}) net.in(fragments[i]);
  net.expect(socket, payload, 4000);
  EXPECT_EQ(overlaps(net), 0u);
}

// RFC 5722 §4: the whole datagram goes, what still comes of it too.
DATAGRAM_TEST(Fragments, OverlapsEndTheDatagram) {
  struct Case {
    std::uint32_t offset;
    std::size_t size;
    bool more;
  };
  for (const Case& one : {Case{992, 16, true}, Case{1000, 8, true}, Case{0, 1008, true}, Case{8, 984, true},
                          Case{1992, 16, false}, Case{0, 2000, true}, Case{1000, 1008, true}}) {
    Net net(v6);
    const DatagramId socket = net.open(7000);
    const auto fragments = fragments_of(net, pattern(2992), 1000, 1);
    ASSERT_EQ(fragments.size(), 3u);
    net.in(fragments[0]);
    net.in(fragments[1]);
    net.in(piece(net, one.offset, one.size, one.more));
    EXPECT_EQ(overlaps(net) + net.stack.counters()[DropReason::IpFragment], 1u) << one.offset << "+" << one.size;
    net.in(fragments[2]);
    net.in(fragments[0]);
    net.expect_nothing(socket);
    EXPECT_EQ(fails(net), 3u);
    net.advance(61s);
    net.silent();  // nobody is told
    for (const Bytes& fragment : fragments) net.in(fragment);
    net.expect(socket, pattern(2992), 4000);
  }
}

DATAGRAM_TEST(Fragments, EndsThatDisagree) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  net.in(piece(net, 1000, 500, false, 1));
  net.in(piece(net, 1504, 500, false, 1));  // two ends
  net.in(piece(net, 1000, 500, false, 2));
  net.in(piece(net, 1600, 8, true, 2));  // something behind the end
  net.in(piece(net, 1600, 8, true, 3));
  net.in(piece(net, 1000, 500, false, 3));  // an end before something
  EXPECT_EQ(net.stack.counters()[DropReason::IpFragment], 3u);
  net.expect_nothing(socket);
}

DATAGRAM_TEST(Fragments, MalformedOnes) {
  Net net(v6);
  const auto told = [&](std::uint32_t pointer) {
    if (!v6) return net.silent();
    const Packet error = net.one();
    EXPECT_EQ(error.payload[0], 4);
    EXPECT_EQ(error.payload[1], 0);
    EXPECT_EQ(error.at32(4), pointer);
  };
  net.in(piece(net, 0, 1001, true));  // no multiple of eight
  told(4);
  net.in(piece(net, 0, 0, true));  // nothing
  told(4);
  net.in(piece(net, 65528, 100, false));  // beyond the largest packet
  told(42);
  EXPECT_EQ(net.stack.counters()[DropReason::IpFragment], 3u);
  EXPECT_EQ(net.stack.next_deadline(), kNever);
}

// RFC 3168 §5.3.
DATAGRAM_TEST(Fragments, CongestionMarkSurvives) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const auto ect = fragments_of(net, pattern(1500), 1000, 5, {}, 2);
  const auto ce = fragments_of(net, pattern(1500), 1000, 5, {}, 3);
  const auto none = fragments_of(net, pattern(1500), 1000, 5, {}, 0);
  net.in(ect[0]), net.in(ce[1]);
  EXPECT_EQ(net.stack.receive(socket)->traffic_class, 3);
  net.in(ect[0]), net.in(none[1]);
  net.expect_nothing(socket);
}

// Only what is for us is kept.
DATAGRAM_TEST(Fragments, OfOthersAreNotKept) {
  Net net(v6);
  net.in(net.ip(net.peer, net.stranger, kUdp, Bytes(800, 'x'), {.fragment_id = 1, .more = true}));
  EXPECT_EQ(net.stack.next_deadline(), kNever);
  EXPECT_EQ(net.stack.counters()[DropReason::IpNotForUs], 1u);
}

// Echo requests as `ping -s 5000` sends them.
DATAGRAM_TEST(Fragments, LargeEcho) {
  Net net(v6);
  const Bytes request = net.echo_request(1, 2, pattern(5000));
  for (std::size_t at = 0; at < request.size(); at += 1480) {
    const std::size_t end = std::min(request.size(), at + 1480);
    net.in(net.ip(
        net.icmp_protocol(),
        Bytes(request.begin() + static_cast<std::ptrdiff_t>(at), request.begin() + static_cast<std::ptrdiff_t>(end)),
        {.fragment_id = 9, .offset = static_cast<std::uint32_t>(at), .more = end < request.size()}));
  }
  const Bytes reply = put_together(net.out());
  EXPECT_EQ(std::string(reply.begin() + 8, reply.end()), pattern(5000));
}

// ---- floods --------------------------------------------------------------------------------------------------------

namespace {

// A sender of first fragments that are never followed by others.
Bytes spoofed(const Net& net, std::uint32_t i, std::uint32_t sources) {
  const std::uint32_t host = i % sources;
  const IpAddress source =
      net.v6 ? *IpAddress::parse("2001:db9:" + std::to_string(host / 9999) + ":" + std::to_string(host % 9999) + "::7")
             : IpAddress::v4(10, static_cast<std::uint8_t>(host >> 16), static_cast<std::uint8_t>(host >> 8),
                             static_cast<std::uint8_t>(host));
  return net.ip(source, net.own, kUdp, Bytes(1400, 'x'), {.fragment_id = i, .more = true});
}

}  // namespace

// However many come, from one sender or from many: memory stays within ipfrag_high_thresh, and who sends the fragments
// of a datagram in a row is served.
DATAGRAM_TEST(Fragments, FloodLeavesRoomForOthers) {
  for (const std::uint32_t sources : {1u, 3u, 100000u}) {
    SCOPED_TRACE(sources);
    Net net(v6);
    net.set(v6 ? "net.ipv6.ip6frag_high_thresh" : "net.ipv4.ipfrag_high_thresh", "1000000");
    const DatagramId socket = net.open(7000);
    const std::string payload = pattern(20000);
    std::uint32_t flood = 0;
    for (std::uint32_t round = 0; round < 20; ++round) {
      for (int i = 0; i < 1000; ++i) net.in(spoofed(net, flood++, sources));
      for (const Bytes& fragment : fragments_of(net, payload, 1400, round)) {
        net.in(fragment);
        for (int i = 0; i < 20; ++i) net.in(spoofed(net, flood++, sources));
      }
      net.expect(socket, payload, 4000);
    }
    EXPECT_GT(net.stack.counters()[DropReason::IpFragmentMemory], 20000u);
    EXPECT_LE(net.stack.fragment_memory(), 1000000u);
    net.advance(61s);
    EXPECT_EQ(net.stack.fragment_memory(), 0u);
  }
}

// One sender's flood costs that sender alone, however slow the others are.
DATAGRAM_TEST(Fragments, OneFloodDoesNotPushOutSlowSenders) {
  Net net(v6);
  const DatagramId socket = net.open(7000);
  const std::string payload = pattern(4000);
  const auto fragments = fragments_of(net, payload, 1400, 1);
  net.in(fragments[0]);
  for (std::uint32_t i = 0; i < 20000; ++i) net.in(spoofed(net, i, 1));
  net.in(fragments[1]);
  for (std::uint32_t i = 0; i < 20000; ++i) net.in(spoofed(net, i, 1));
  net.in(fragments[2]);
  net.expect(socket, payload, 4000);
}

DATAGRAM_TEST(Fragments, NoMemoryForThemAtAll) {
  Net net(v6);
  net.set(v6 ? "net.ipv6.ip6frag_high_thresh" : "net.ipv4.ipfrag_high_thresh", "0");
  const DatagramId socket = net.open(7000);
  for (const Bytes& fragment : fragments_of(net, pattern(2000), 1000, 1)) net.in(fragment);
  net.expect_nothing(socket);
  EXPECT_EQ(net.stack.counters()[DropReason::IpFragmentMemory], 3u);
}

// A datagram in the smallest pieces, the worst order: more than any path makes are not kept.
DATAGRAM_TEST(Fragments, CrumbsAreBounded) {
  Net net(v6);
  net.open(7000);
  for (std::uint32_t i = 0; i < 8000; ++i) net.in(piece(net, (8000 - i) * 8, 8, true));
  EXPECT_EQ(net.stack.counters()[DropReason::IpFragment], 1u);
  EXPECT_LE(net.stack.fragment_memory(), 4096u);
}
