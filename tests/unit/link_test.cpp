#include "sim/link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "firstflight/bytes.hpp"
#include "wire/ip.hpp"

namespace ff::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr Instant kStart{10s};

// An IPv4 packet of that size; the number marks it.
Slice packet(std::uint32_t number, std::uint32_t size = 100) {
  std::string bytes(size, '\0');
  bytes[0] = 0x45;
  for (int i = 0; i < 4; ++i) bytes[20u + static_cast<unsigned>(i)] = static_cast<char>(number >> (8 * i));
  return Slice::adopt(std::move(bytes));
}

std::uint32_t number_of(const Slice& slice) {
  std::uint32_t number = 0;
  for (int i = 0; i < 4; ++i) number |= static_cast<std::uint32_t>(slice.data()[20 + i]) << (8 * i);
  return number;
}

struct Arrival {
  Duration after;  // kStart
  std::uint32_t number;
  friend bool operator==(const Arrival&, const Arrival&) = default;
};

// Everything that comes out up to `until`, taken at the link's own deadlines.
std::vector<Arrival> arrivals(Link& link, Instant until = kNever) {
  std::vector<Arrival> result;
  while (link.next_deadline() <= until && link.next_deadline() != kNever) {
    const Instant now = link.next_deadline();
    while (const auto out = link.dequeue(now)) result.push_back({now - kStart, number_of(*out)});
  }
  return result;
}

std::vector<std::uint32_t> numbers(const std::vector<Arrival>& all) {
  std::vector<std::uint32_t> result;
  for (const Arrival& one : all) result.push_back(one.number);
  return result;
}

void send(Link& link, std::uint32_t count, std::uint32_t size = 100) {
  for (std::uint32_t i = 0; i < count; ++i) link.enqueue(kStart, packet(i, size));
}

TEST(Link, IsTransparentByDefault) {
  Link link;
  EXPECT_TRUE(link.options().transparent());
  EXPECT_EQ(link.next_deadline(), kNever);
  send(link, 3);
  EXPECT_EQ(link.next_deadline(), kStart);
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{0s, 0}, Arrival{0s, 1}, Arrival{0s, 2}));
  EXPECT_EQ(link.counts().delivered, 3u);
  EXPECT_EQ(link.counts().delivered_bytes, 300u);
}

TEST(Link, DelaysToTheNanosecond) {
  Link link({.delay = 50ms});
  link.enqueue(kStart, packet(1));
  EXPECT_EQ(link.next_deadline(), kStart + 50ms);
  EXPECT_FALSE(link.dequeue(kStart + 50ms - 1ns));
  EXPECT_TRUE(link.dequeue(kStart + 50ms));
  EXPECT_EQ(link.next_deadline(), kNever);
}

TEST(Link, SerializesAtItsRate) {
  Link link({.delay = 1ms, .rate = 100'000'000});
  send(link, 3, 1500);
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{1ms + 120us, 0}, Arrival{1ms + 240us, 1}, Arrival{1ms + 360us, 2}));
}

TEST(Link, StartsSerializingWhenThePacketComesToAnIdleLine) {
  Link link({.rate = 8'000'000});  // a byte per microsecond
  link.enqueue(kStart, packet(0));
  link.enqueue(kStart + 40us, packet(1));
  link.enqueue(kStart + 1ms, packet(2));
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{100us, 0}, Arrival{200us, 1}, Arrival{1100us, 2}));
}

// The nth packet of a busy period arrives when n packets' bits have been sent, rounded up once, not n times.
TEST(Link, RoundsSerializationOnlyOnce) {
  for (const std::uint64_t rate : {7ull, 3'000ull, 44'736'000ull, 999'999'937ull, 400'000'000'000ull}) {
    Link link({.rate = rate});
    send(link, 1000, 61);
    const std::vector<Arrival> all = arrivals(link);
    ASSERT_EQ(all.size(), 1000u);
    for (std::uint64_t n = 1; n <= all.size(); ++n) {
      __extension__ using Wide = unsigned __int128;
      const Wide bits_in_ns = Wide{n} * 61 * 8 * 1'000'000'000;
      ASSERT_EQ(all[n - 1].after.count(), static_cast<std::int64_t>((bits_in_ns + rate - 1) / rate))
          << rate << " " << n;
    }
  }
}

TEST(Link, DoesNotDependOnWhenItIsAsked) {
  const LinkOptions options{
      .delay = 3ms, .jitter = 2ms, .rate = 10'000'000, .loss = 0.1, .reorder = 0.1, .duplicate = 0.1};
  Link asked_at_deadlines(options);
  Link asked_late(options);
  for (std::uint32_t i = 0; i < 500; ++i) {
    asked_at_deadlines.enqueue(kStart + i * 50us, packet(i));
    asked_late.enqueue(kStart + i * 50us, packet(i));
  }
  std::vector<std::uint32_t> late;
  while (const auto out = asked_late.dequeue(kStart + 10s)) late.push_back(number_of(*out));
  EXPECT_EQ(numbers(arrivals(asked_at_deadlines)), late);
  EXPECT_EQ(asked_at_deadlines.counts(), asked_late.counts());
}

TEST(Link, DropsTheTailOfAFullQueue) {
  Link link({.rate = 8'000'000, .queue = {.packets = 3}});
  send(link, 6);  // one is being sent, three wait
  EXPECT_EQ(link.counts().queue_dropped, 2u);
  link.enqueue(kStart + 100us, packet(6));  // the first has just left: there is room for one
  link.enqueue(kStart + 100us, packet(7));
  EXPECT_EQ(link.counts().queue_dropped, 3u);
  EXPECT_THAT(numbers(arrivals(link)), ElementsAre(0, 1, 2, 3, 6));
}

TEST(Link, BoundsTheQueueInBytes) {
  Link link({.rate = 8'000'000, .queue = {.packets = 1000, .bytes = 250}});
  link.enqueue(kStart, packet(0, 5000));  // does not wait, so its size does not matter
  link.enqueue(kStart, packet(1, 100));
  link.enqueue(kStart, packet(2, 151));
  link.enqueue(kStart, packet(3, 150));
  EXPECT_THAT(numbers(arrivals(link)), ElementsAre(0, 1, 3));
  EXPECT_EQ(link.counts().queue_dropped, 1u);
}

// RFC 3168 §5: of what finds a long queue, that which may be marked; the header checksum goes along.
TEST(Link, MarksWhatMayBeMarked) {
  const auto sent_as = [](int version, int codepoint) {
    std::array<std::uint8_t, wire::kIpv6HeaderSize> bytes{};
    wire::IpHeader header;
    header.source = *IpAddress::parse(version == 4 ? "192.0.2.1" : "2001:db8::1");
    header.destination = *IpAddress::parse(version == 4 ? "192.0.2.2" : "2001:db8::2");
    header.protocol = wire::protocol::kUdp;
    header.traffic_class = static_cast<std::uint8_t>(0xb8 | codepoint);
    const std::size_t size = version == 4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    wire::emit_ip(header, 0, bytes.data());
    return Slice::adopt(std::string(as_text(ByteSpan(bytes).first(size))));
  };
  for (const int version : {4, 6}) {
    for (const int codepoint : {0, 1, 2, 3}) {
      Link link({.rate = 8'000'000, .mark = QueueLimit{.packets = 1}});
      for (int i = 0; i < 3; ++i) link.enqueue(kStart, sent_as(version, codepoint));  // one is sent, two wait
      std::vector<int> arrived;
      while (link.next_deadline() != kNever) {
        const auto packet = link.dequeue(link.next_deadline());
        const auto view = wire::parse_ip(packet->span());
        ASSERT_TRUE(view) << name_of(view.error());
        EXPECT_EQ(view->header.traffic_class >> 2, 0xb8 >> 2);
        arrived.push_back(view->header.traffic_class & 3);
      }
      const bool markable = codepoint == 1 || codepoint == 2;
      EXPECT_THAT(arrived, ElementsAre(codepoint, codepoint, markable ? 3 : codepoint));
      EXPECT_EQ(link.counts().marked, markable ? 1u : 0u);
    }
  }
}

TEST(Link, NeverQueuesWithoutARate) {
  Link link({.delay = 1s, .queue = {.packets = 0}});
  send(link, 5000);
  EXPECT_EQ(arrivals(link).size(), 5000u);
}

TEST(Link, BoundsWhatIsOnTheWire) {
  Link link({.delay = 1s, .flight_limit = 1000});
  send(link, 20);
  EXPECT_EQ(link.counts().overflowed, 10u);
  EXPECT_EQ(arrivals(link).size(), 10u);
  send(link, 10);
  EXPECT_EQ(link.counts().overflowed, 10u);
}

TEST(Link, DropsWhatIsLargerThanItsMtu) {
  Link link({.mtu = 1400});
  link.enqueue(kStart, packet(0, 1400));
  link.enqueue(kStart, packet(1, 1401));
  EXPECT_THAT(numbers(arrivals(link)), ElementsAre(0));
  EXPECT_EQ(link.counts().too_big, 1u);
}

// Of n packets with probability p, within five standard deviations.
void expect_about(std::uint64_t count, double p, double n) {
  EXPECT_NEAR(static_cast<double>(count), p * n, 5 * std::sqrt(n * p * (1 - p)));
  EXPECT_GT(count, 0u);
}

TEST(Link, LosesAsOftenAsItIsTold) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Link link({.loss = 0.02, .seed = seed});
    send(link, 50'000);
    EXPECT_EQ(arrivals(link).size() + link.counts().lost, 50'000u);
    expect_about(link.counts().lost, 0.02, 50'000);
  }
}

TEST(Link, ALostPacketHasTakenItsTimeOnTheLine) {
  Link link({.rate = 8'000'000, .loss = 0.5, .seed = 4});
  send(link, 100);
  for (const Arrival& one : arrivals(link)) EXPECT_EQ(one.after, (one.number + 1) * 100us);
}

TEST(Link, LosesEverythingOrNothing) {
  Link all({.loss = 1});
  send(all, 100);
  EXPECT_EQ(all.counts().lost, 100u);
  Link none({.loss = 0});
  send(none, 100);
  EXPECT_EQ(none.counts().lost, 0u);
}

TEST(Link, HoldsSomeBackSoThatOthersOvertake) {
  Link link({.delay = 40ms, .reorder = 0.1, .seed = 3});
  for (std::uint32_t i = 0; i < 10'000; ++i) link.enqueue(kStart + i * 1ms, packet(i));
  std::uint64_t late = 0;
  for (const Arrival& one : arrivals(link)) {
    const Duration took = one.after - one.number * 1ms;
    EXPECT_TRUE(took == 40ms || took == 50ms) << took.count();  // a quarter more
    late += took == 50ms ? 1 : 0;
  }
  EXPECT_EQ(late, link.counts().reordered);
  expect_about(late, 0.1, 10'000);
}

TEST(Link, HoldsBackForAsLongAsItIsTold) {
  EXPECT_EQ(LinkOptions{}.held_back_for(), 1ms);
  EXPECT_EQ(LinkOptions{.delay = 100ms}.held_back_for(), 25ms);
  Link link({.delay = 40ms, .reorder = 1, .reorder_delay = 3us});
  link.enqueue(kStart, packet(0));
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{40ms + 3us, 0}));
}

TEST(Link, DuplicatesArriveRightBehindTheOriginal) {
  Link link({.duplicate = 0.25, .seed = 5});
  send(link, 10'000);
  const std::vector<std::uint32_t> all = numbers(arrivals(link));
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_EQ(all.size(), 10'000 + link.counts().duplicated);
  EXPECT_EQ(link.counts().delivered, all.size());
  expect_about(link.counts().duplicated, 0.25, 10'000);
}

TEST(Link, JitterKeepsTheOrder) {
  Link link({.delay = 10ms, .jitter = 5ms, .seed = 6});
  for (std::uint32_t i = 0; i < 10'000; ++i) link.enqueue(kStart + i * 100us, packet(i));
  const std::vector<Arrival> all = arrivals(link);
  ASSERT_EQ(all.size(), 10'000u);
  Duration most{};
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].number, i);
    const Duration took = all[i].after - i * 100us;
    EXPECT_GE(took, 10ms);
    EXPECT_LE(took, 15ms);
    most = std::max(most, took);
  }
  EXPECT_GT(most, 14ms);
}

std::size_t bits_that_differ(const Slice& a, const Slice& b, std::size_t first, std::size_t last) {
  std::size_t count = 0;
  for (std::size_t i = first; i < last; ++i)
    count += static_cast<std::size_t>(std::popcount(static_cast<unsigned>(a.data()[i] ^ b.data()[i])));
  return count;
}

TEST(Link, CorruptsExactlyOneBitBehindTheIpHeader) {
  Slice v4 = packet(77, 60);
  std::string v6_bytes(60, 'x');
  v6_bytes[0] = 0x60;
  const Slice v6 = Slice::adopt(v6_bytes);
  for (const auto& [original, header] : {std::pair(v4, 20u), std::pair(v6, 40u)}) {
    std::vector<bool> hit(60);
    const std::string before(original.text());
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
      Link link({.corrupt = 1, .seed = seed});
      link.enqueue(kStart, original);
      const auto out = link.dequeue(kStart);
      ASSERT_TRUE(out);
      ASSERT_EQ(out->size(), 60u);
      ASSERT_EQ(bits_that_differ(*out, original, 0, header), 0u);
      ASSERT_EQ(bits_that_differ(*out, original, header, 60), 1u);
      EXPECT_EQ(link.counts().corrupted, 1u);
      for (std::size_t i = 0; i < 60; ++i) hit[i] = hit[i] || out->data()[i] != original.data()[i];
    }
    EXPECT_EQ(original.text(), before) << "others who hold the packet must not see it";
    EXPECT_EQ(std::ranges::count(hit, true), 60 - header) << "every byte is hit sooner or later";
  }
}

TEST(Link, CorruptsTheIpHeaderOnlyWhenAsked) {
  std::uint64_t in_header = 0;
  const Slice original = packet(1, 40);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Link link({.corrupt = 1, .corrupt_ip_header = true, .seed = seed});
    link.enqueue(kStart, original);
    in_header += bits_that_differ(*link.dequeue(kStart), original, 0, 20);
  }
  expect_about(in_header, 0.5, 200);
}

TEST(Link, LeavesAloneWhatHasNothingBehindTheHeader) {
  for (const std::size_t size : {0u, 1u, 19u, 20u}) {
    Link link({.corrupt = 1});
    std::string bytes(size, '\0');
    if (size > 0) bytes[0] = 0x45;
    const Slice original = Slice::adopt(bytes);
    link.enqueue(kStart, original);
    const auto out = link.dequeue(kStart);
    ASSERT_TRUE(out);
    EXPECT_EQ(out->text(), original.text());
    EXPECT_EQ(link.counts().corrupted, 0u);
  }
}

LinkOptions everything(std::uint64_t seed) {
  return {.delay = 20ms,
          .jitter = 3ms,
          .rate = 20'000'000,
          .queue = {.packets = 50},
          .loss = 0.05,
          .reorder = 0.05,
          .duplicate = 0.05,
          .corrupt = 0.05,
          .seed = seed};
}

std::string transcript(std::uint64_t seed) {
  Link link(everything(seed));
  std::string result;
  for (std::uint32_t i = 0; i < 1000; ++i) link.enqueue(kStart + i * 30us, packet(i));
  while (link.next_deadline() != kNever) {
    const Instant now = link.next_deadline();
    while (const auto out = link.dequeue(now))
      result += std::to_string((now - kStart).count()) + std::string(out->text());
  }
  return result;
}

TEST(Link, TheSameSeedGivesTheSamePackets) {
  EXPECT_EQ(transcript(1), transcript(1));
  EXPECT_NE(transcript(1), transcript(2));
}

TEST(Link, AccountsForEveryPacket) {
  Link link(everything(9));
  for (std::uint32_t i = 0; i < 1000; ++i) link.enqueue(kStart + i * 30us, packet(i));
  link.set_plugged(kStart + 30ms, false);
  link.enqueue(kStart + 31ms, packet(1000));
  arrivals(link);
  const LinkCounts& c = link.counts();
  EXPECT_GT(c.unplugged, 1u);
  EXPECT_GT(c.queue_dropped, 0u);
  EXPECT_EQ(c.delivered + c.lost + c.queue_dropped + c.unplugged, 1001 + c.duplicated);
}

TEST(Link, APulledCableLosesWhatIsUnderWay) {
  Link link({.delay = 10ms, .rate = 8'000'000});
  send(link, 5);
  link.set_plugged(kStart + 5ms, false);
  link.enqueue(kStart + 6ms, packet(5));
  EXPECT_EQ(link.next_deadline(), kNever);
  EXPECT_EQ(link.counts().unplugged, 6u);
  link.set_plugged(kStart + 7ms, true);
  link.enqueue(kStart + 7ms, packet(6));
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{17ms + 100us, 6}));
}

TEST(Link, NewPropertiesConcernWhatIsNotYetOnTheWire) {
  Link link({.delay = 10ms, .rate = 8'000});  // 100 ms for a packet
  send(link, 3);
  link.set_options(kStart + 1ms, {.delay = 200ms, .rate = 8'000'000});
  // The first is on the wire already. The others leave from now on, at the new rate.
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{110ms, 0}, Arrival{201ms + 100us, 1}, Arrival{201ms + 200us, 2}));
}

TEST(Link, AShorterDelayDoesNotMakePacketsOvertake) {
  Link link({.delay = 100ms});
  link.enqueue(kStart, packet(0));
  link.set_options(kStart + 1ms, {.delay = 1ms});
  link.enqueue(kStart + 1ms, packet(1));
  link.enqueue(kStart + 200ms, packet(2));
  EXPECT_THAT(arrivals(link), ElementsAre(Arrival{100ms, 0}, Arrival{100ms, 1}, Arrival{201ms, 2}));
}

}  // namespace
}  // namespace ff::sim
