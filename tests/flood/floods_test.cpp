// Floods: a host that anybody may send packets to stays within its memory and goes on serving those who mean it.
//
// Each test asks three things: that an honest client who was there before is served still, that a new one is served
// while the flood lasts, and that the memory taken stays within the bound that the settings name.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <vector>

#include "base/random.hpp"
#include "flood/resident.hpp"
#include "flood/site.hpp"
#include "wire/icmp.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff::flood {
namespace {

using wire::TcpFlags;

constexpr std::int64_t kMegabyte = 1'000'000;

// What the attacker makes up.
class Dice {
 public:
  std::uint32_t number() { return static_cast<std::uint32_t>(random_.next()); }
  IpAddress address() {
    return IpAddress::v4(10, static_cast<std::uint8_t>(number()), static_cast<std::uint8_t>(number()),
                         static_cast<std::uint8_t>(number()));
  }
  Endpoint endpoint() { return {address(), static_cast<std::uint16_t>(number() % 64000 + 1024)}; }
  FourTuple stranger(std::uint16_t port) { return {Site::server_at(port), endpoint()}; }

 private:
  Random random_{Seed::from_number(7).bytes};
};

// Asks over `before`, a connection that was served before the flood, and over a new one.
std::string serves(Site& site, ConnectionId before) {
  site.ask_again(before);
  const ConnectionId fresh = site.ask();
  site.advance(5s);
  if (!site.served(before)) return "the client who was there before is not served";
  if (!site.served(fresh)) return "a new client is not served";
  return site.server().check();
}

using Attack = std::function<void(Site& site, Dice& dice, ConnectionId honest)>;

// A hundred thousand of them, in a second.
void expect_withstands(const Attack& attack, std::int64_t bound, Settings settings = {}) {
  const std::uint32_t count = scaled(100'000);
  const Grown grown = in_fresh_process([&](const auto& mark) -> std::string {
    Site site(settings);
    Dice dice;
    const ConnectionId honest = site.ask();
    if (!site.served(honest)) return "a client is not served even in peace";
    attack(site, dice, honest);
    mark();
    for (std::uint32_t i = 0; i < count; ++i) {
      attack(site, dice, honest);
      if (i % 100 == 99) site.advance(1ms);
      if (i == count / 2) {
        if (std::string wrong = serves(site, honest); !wrong.empty()) return "in the middle " + wrong;
      }
    }
    mark();
    return serves(site, honest);
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, bound);
  testing::Test::RecordProperty("grown", std::to_string(grown.bytes));
}

// Where the honest client is: an attacker may know all of it but the numbers.
FourTuple tuple_of(Site& site, ConnectionId honest) {
  const FourTuple seen_by_client = site.info(honest).tuple;
  return {seen_by_client.remote, seen_by_client.local};
}

// Without a connection, and blindly into one.
TEST(Floods, Resets) {
  expect_withstands(
      [](Site& site, Dice& dice, ConnectionId honest) {
        site.attack({.tuple = dice.stranger(Site::kEcho), .flags = TcpFlags::kRst, .seq = dice.number()});
        site.attack({.tuple = tuple_of(site, honest), .flags = TcpFlags::kRst, .seq = dice.number()});
      },
      1 * kMegabyte);
}

// A blind SYN into a connection gets a challenge ACK at most (RFC 5961 §4.2), and not one each.
TEST(Floods, SynsIntoAConnection) {
  expect_withstands(
      [](Site& site, Dice& dice, ConnectionId honest) {
        site.attack({.tuple = tuple_of(site, honest), .flags = TcpFlags::kSyn, .seq = dice.number()});
      },
      1 * kMegabyte);
}

// ACKs that belong to nothing, and blind ones into a connection, with data.
TEST(Floods, Acks) {
  expect_withstands(
      [](Site& site, Dice& dice, ConnectionId honest) {
        const std::uint32_t seq = dice.number();
        site.attack({.tuple = dice.stranger(Site::kEcho), .flags = TcpFlags::kAck, .seq = seq, .ack = dice.number()});
        site.attack({.tuple = tuple_of(site, honest),
                     .flags = TcpFlags::kAck,
                     .seq = dice.number(),
                     .ack = dice.number(),
                     .data = "forged"});
      },
      1 * kMegabyte);
}

// SYNs from hosts that do not exist: what a SYN queue holds is bounded.
TEST(Floods, HalfOpen) {
  Settings settings;
  settings.tcp_max_syn_backlog = 65536;
  settings.somaxconn = 65536;
  const Grown grown = in_fresh_process([&](const auto& mark) -> std::string {
    Site site(settings, 0, 1024);
    Dice dice;
    const ConnectionId honest = site.ask();
    mark();
    for (std::uint32_t i = 0; i < 100'000; ++i)
      site.attack({.tuple = dice.stranger(Site::kMute), .flags = TcpFlags::kSyn, .seq = dice.number()});
    mark();
    if (site.server().population().requests > 1025) return "more requests than the backlog allows";
    return serves(site, honest);  // at another port, whose queue is its own
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, 1 * kMegabyte);
}

// ICMP errors about packets that the server may have sent (RFC 5927): all of it is guessed but the four-tuple.
TEST(Floods, IcmpErrors) {
  expect_withstands(
      [](Site& site, Dice& dice, ConnectionId honest) {
        static constexpr std::array kKinds{wire::IcmpKind::HostUnreachable, wire::IcmpKind::PortUnreachable,
                                           wire::IcmpKind::PacketTooBig, wire::IcmpKind::TimeExceeded};
        const FourTuple tuple = tuple_of(site, honest);
        std::array<std::uint8_t, 60> quoted{};
        wire::IpHeader inner;
        inner.source = tuple.local.address;
        inner.destination = tuple.remote.address;
        inner.protocol = wire::protocol::kTcp;
        wire::TcpHeader tcp;
        tcp.source_port = tuple.local.port;
        tcp.destination_port = tuple.remote.port;
        tcp.seq = Seq(dice.number());
        const std::size_t at = wire::emit_ip(inner, 20, quoted.data());
        const std::size_t size = at + wire::emit_tcp(tcp, quoted.data() + at);
        wire::IpHeader outer;
        outer.source = dice.address();
        outer.destination = tuple.local.address;
        outer.protocol = wire::protocol::kIcmp;
        std::array<std::uint8_t, 20 + wire::kMaxIcmpError> packet{};
        const std::size_t body = wire::emit_icmp_error(kKinds[dice.number() % kKinds.size()], outer, 68,
                                                       ByteSpan(quoted.data(), size), packet.data() + 20);
        wire::emit_ip(outer, body, packet.data());
        site.attack_raw(ByteSpan(packet.data(), 20 + body));
      },
      1 * kMegabyte);
}

// Echo requests, as large as they come.
TEST(Floods, Pings) {
  expect_withstands(
      [](Site& site, Dice& dice, ConnectionId) {
        wire::IpHeader ip;
        ip.source = dice.address();
        ip.destination = Site::server_at(0).address;
        ip.protocol = wire::protocol::kIcmp;
        const std::string data(1472, 'x');
        std::array<std::uint8_t, 1500> packet{};
        const std::size_t body =
            wire::emit_echo(wire::IcmpKind::EchoRequest, ip, 1, 1, as_bytes(data), packet.data() + 20);
        wire::emit_ip(ip, body, packet.data());
        site.attack_raw(ByteSpan(packet.data(), 20 + body));
      },
      1 * kMegabyte);
}

// First fragments of packets whose rest never comes.
TEST(Floods, Fragments) {
  expect_withstands(
      [](Site& site, Dice& dice, ConnectionId) {
        wire::IpHeader ip;
        ip.source = dice.address();
        ip.destination = Site::server_at(0).address;
        ip.protocol = wire::protocol::kUdp;
        ip.identification = static_cast<std::uint16_t>(dice.number());
        std::array<std::uint8_t, 1420> packet{};
        wire::emit_ip(ip, 1400, packet.data());
        const std::uint32_t place = dice.number() % 40 * 175;  // in units of 8 bytes
        packet[6] = static_cast<std::uint8_t>(0x20 | place >> 8);
        packet[7] = static_cast<std::uint8_t>(place);
        packet[10] = packet[11] = 0;
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < 20; i += 2) sum += static_cast<std::uint32_t>(packet[i] << 8 | packet[i + 1]);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = ~(sum + (sum >> 16));
        packet[10] = static_cast<std::uint8_t>(sum >> 8);
        packet[11] = static_cast<std::uint8_t>(sum);
        site.attack_raw(packet);
      },
      Settings{}.ipfrag_high_thresh * std::int64_t{3} / 2 + 1 * kMegabyte);
}

// ---- by those who can make connections -----------------------------------------------------------------------------

struct Bot {
  FourTuple tuple;
  std::uint32_t next;  // the server's next number
};

constexpr std::uint32_t kBotIsn = 1000;

std::vector<Bot> connect_bots(Site& site, Dice& dice, std::size_t count) {
  std::vector<Bot> bots;
  while (bots.size() < count) {
    const FourTuple tuple = dice.stranger(Site::kMute);
    const auto next = site.attack_connect(tuple, kBotIsn);
    if (!next) break;
    bots.push_back({tuple, *next});
  }
  return bots;
}

// What the bots' connections may hold by tcp_rmem, and the allocator's part of it.
constexpr std::size_t kBots = 20;
std::int64_t receive_bound(const Settings& settings) {
  return std::int64_t{kBots} * settings.tcp_rmem.max * 3 / 2 + 1 * kMegabyte;
}

// `at(step)`: the place in the stream of the byte that each sends in that step.
void expect_bounded_receiving(std::uint32_t steps, std::uint32_t (*at)(std::uint32_t step)) {
  Settings settings;
  settings.tcp_rmem = {4096, 131072, 262144};
  const Grown grown = in_fresh_process([&](const auto& mark) -> std::string {
    Site site(settings);
    Dice dice;
    const ConnectionId honest = site.ask();
    const std::vector<Bot> bots = connect_bots(site, dice, kBots);
    if (bots.size() != kBots) return "not all bots could connect";
    mark();
    for (std::uint32_t step = 0; step < steps; ++step) {
      for (const Bot& bot : bots) {
        site.attack(
            {.tuple = bot.tuple, .flags = TcpFlags::kAck, .seq = kBotIsn + 1 + at(step), .ack = bot.next, .data = "x"});
      }
      if (step % 10 == 9) site.advance(1ms);
    }
    mark();
    if (site.server().population().connections != kBots + 1) return "connections were lost";
    return serves(site, honest);
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, receive_bound(settings));
  testing::Test::RecordProperty("grown", std::to_string(grown.bytes));
}

// Every second byte of the window, which can never be given to the application.
TEST(Floods, OutOfOrderData) {
  expect_bounded_receiving(scaled(20'000), [](std::uint32_t step) { return 1 + 2 * step; });
}

// In order, a byte at a time, to an application that does not read.
TEST(Floods, TinySegments) {
  expect_bounded_receiving(scaled(100'000), [](std::uint32_t step) { return step; });
}

// A million SYNs from hosts that do not exist, ten thousand to each of a hundred honest clients, who come meanwhile.
TEST(Floods, SpoofedSyns) {
  constexpr std::uint32_t kHonest = 100;
  const std::uint32_t each = scaled(1'000'000) / kHonest;
  const Grown grown = in_fresh_process([&](const auto& mark) -> std::string {
    Site site;
    Dice dice;
    const ConnectionId before = site.ask();
    std::vector<ConnectionId> honest;
    const auto flood = [&](std::uint32_t count) {
      for (std::uint32_t i = 0; i < count; ++i) {
        site.attack({.tuple = dice.stranger(Site::kEcho), .flags = TcpFlags::kSyn, .seq = dice.number()});
        if (i % 100 == 99) site.advance(1ms);
      }
    };
    mark();
    for (std::uint32_t i = 0; i < kHonest; ++i) {
      flood(each / 2);
      honest.push_back(site.ask());
      flood(each - each / 2);
    }
    mark();
    if (site.server().counters()[Counter::TcpExt_SyncookiesSent] == 0) return "the SYN queue was never full";
    site.advance(5s);
    for (const ConnectionId id : honest)
      if (!site.served(id)) return "an honest client was not served";
    return serves(site, before);
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, 10 * kMegabyte);
  RecordProperty("grown", std::to_string(grown.bytes));
}

// Somebody got a cookie for each of many addresses, and sends SYNs with data in their name.
TEST(Floods, FastOpenInOthersNames) {
  const std::uint32_t count = scaled(100'000);
  const Grown grown = in_fresh_process([&](const auto& mark) -> std::string {
    Site site;
    Dice dice;
    const ConnectionId asks_for_cookie = site.ask(FastOpenMode::Now);
    const ConnectionId honest = site.ask(FastOpenMode::Now);
    if (!site.served(asks_for_cookie) || site.info(honest).fast_open != FastOpenOutcome::Accepted)
      return "Fast Open does not work even in peace";
    mark();
    for (std::uint32_t i = 0; i < count; ++i) {
      const FourTuple tuple = dice.stranger(Site::kEcho);
      Site::Forged syn{.tuple = tuple, .flags = TcpFlags::kSyn, .seq = dice.number(), .data = "charge my account"};
      const bool valid = i % 2 == 0;
      syn.options.fast_open.emplace();
      syn.options.fast_open->cookie =
          site.server().fast_open_cookie(valid ? tuple.remote.address : dice.address(), tuple.local.address);
      site.attack(syn);
      // The true owner of the address knows nothing of it, and resets.
      if (i % 4 == 0) site.attack({.tuple = tuple, .flags = TcpFlags::kRst, .seq = syn.seq + 1 + 17});
      if (i % 100 == 99) site.advance(1ms);
    }
    mark();
    if (site.server().counters()[Counter::TcpExt_TCPFastOpenListenOverflow] == 0) return "the bound was never reached";
    if (site.server().population().connections > 1000) return "too many half-open connections";
    return serves(site, honest);
  });
  EXPECT_EQ(grown.wrong, "");
  EXPECT_LE(grown.bytes, 5 * kMegabyte);
  RecordProperty("grown", std::to_string(grown.bytes));
}

}  // namespace
}  // namespace ff::flood
