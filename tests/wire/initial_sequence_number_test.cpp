// Initial sequence numbers (B6): RFC 6528 §3, a clock of 4 µs a tick plus a keyed hash of the four-tuple.
#include <bit>
#include <set>

#include "wire/datagrams.hpp"

namespace {

std::uint32_t ticks(Instant at) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count() / 4);
}

// The number of the SYN that goes out towards the peer; the connection is given up at once.
std::uint32_t number_of_syn(Net& net, std::uint16_t local_port, std::uint16_t remote_port) {
  const auto connection =
      net.stack.connect(net.now, {.remote = {net.peer, remote_port}, .local = Endpoint{net.own, local_port}});
  EXPECT_TRUE(connection);
  const std::uint32_t number = net.one().at32(4);
  EXPECT_TRUE(net.stack.abort(net.now, *connection));
  net.silent();
  return number;
}

// What a listener at port 80 answers to a SYN from this port; the request is reset.
std::uint32_t number_of_syn_ack(Net& net, std::uint16_t remote_port) {
  Bytes syn = {0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0};
  syn[0] = static_cast<std::uint8_t>(remote_port >> 8), syn[1] = static_cast<std::uint8_t>(remote_port);
  net.in(net.ip(6, syn), RxChecksum::Verified);
  const std::uint32_t number = net.one().at32(4);
  Bytes reset = syn;
  reset[7] = 1, reset[13] = 4;
  net.in(net.ip(6, reset), RxChecksum::Verified);
  return number;
}

}  // namespace

// The same four-tuple later: larger by the clock, exactly, so that old segments lie behind (RFC 9293 §3.4.1).
DATAGRAM_TEST(InitialSequenceNumber, GoesUpByTheClockForOneFourTuple) {
  Net net(v6);
  ASSERT_TRUE(net.stack.listen({.local = {net.own, 80}}));
  const std::uint32_t syn = number_of_syn(net, 5000, 443), syn_ack = number_of_syn_ack(net, 5000);
  const Instant start = net.now;
  for (const Duration step : {Duration(4us), Duration(1ms), Duration(1s), Duration(1h), Duration(5h)}) {
    net.now += step;
    const std::uint32_t passed = ticks(net.now) - ticks(start);
    EXPECT_EQ(number_of_syn(net, 5000, 443) - syn, passed);
    EXPECT_EQ(number_of_syn_ack(net, 5000) - syn_ack, passed);
  }
}

// Of other four-tuples one learns nothing: what is beside the clock looks like noise, for neighbouring ports too.
DATAGRAM_TEST(InitialSequenceNumber, TellsNothingOfOtherFourTuples) {
  Net net(v6);
  ASSERT_TRUE(net.stack.listen({.local = {net.own, 80}}));
  constexpr std::uint32_t kTuples = 1024;
  std::set<std::uint32_t> numbers, distances;
  std::array<std::uint32_t, 32> ones{};
  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < kTuples; ++i) {
    const auto port = static_cast<std::uint16_t>(5000 + i / 3);
    const std::uint32_t number = i % 3 == 0   ? number_of_syn(net, port, 443)
                                 : i % 3 == 1 ? number_of_syn(net, port, 444)
                                              : number_of_syn_ack(net, port);
    numbers.insert(number);
    distances.insert(number - before);
    for (std::size_t bit = 0; bit < 32; ++bit) ones[bit] += (number ^ before) >> bit & 1;
    before = number;
  }
  EXPECT_EQ(numbers.size(), kTuples);
  EXPECT_EQ(distances.size(), kTuples);
  // Each bit changes half of the time: 512 times, give or take five standard deviations of 16.
  for (const std::uint32_t changed : ones) EXPECT_NEAR(changed, kTuples / 2, 80);
}

// The hash is keyed: of two hosts of which only the secret differs, no number is the other's.
TEST(InitialSequenceNumber, DependsOnTheSecret) {
  const auto numbers_of = [](std::uint64_t seed) {
    StackConfig config;
    config.seed = Seed::from_number(seed);
    Stack stack(std::move(config));
    InterfaceConfig interface;
    interface.addresses = {Cidr::parse("192.0.2.1/24").value()};
    EXPECT_TRUE(stack.add_interface(std::move(interface)));
    std::vector<std::uint32_t> numbers;
    for (std::uint16_t port = 1; port <= 50; ++port) {
      const Endpoint remote{IpAddress::v4(192, 0, 2, 2), 80};
      EXPECT_TRUE(
          stack.connect(Instant(1000s), {.remote = remote, .local = Endpoint{IpAddress::v4(192, 0, 2, 1), port}}));
      TxPacket packet;
      EXPECT_TRUE(stack.poll_transmit(Instant(1000s), packet));
      const auto header = packet.header();
      numbers.push_back(static_cast<std::uint32_t>(header[24]) << 24 | header[25] << 16 | header[26] << 8 | header[27]);
    }
    return numbers;
  };
  const auto one = numbers_of(1), other = numbers_of(2);
  EXPECT_EQ(one, numbers_of(1));
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_NE(one[i], other[i]);
    const std::size_t next = (i + 1) % one.size();
    EXPECT_NE(one[i] - other[i], one[next] - other[next]);
  }
}
