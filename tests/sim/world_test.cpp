#include "sim/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace ff::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::uint16_t kPort = 80;

InterfaceConfig interface(const std::string& name, const std::string& cidr) {
  InterfaceConfig config;
  config.name = name;
  config.addresses = {*Cidr::parse(cidr)};
  return config;
}

// Answers each connection's first line with "hello, LINE", and closes when the peer has.
class Greeter {
 public:
  Greeter(World& world, HostId host) : world_(world), host_(host) {
    ListenOptions options;
    options.local = {IpAddress::any_v6(), kPort};
    options.fast_open_queue = 100;
    listener_ = *world_.stack(host_).listen(options);
    world_.on_event(host_, [this](const Event& event) { handle(event); });
  }

 private:
  void handle(const Event& event) {
    Stack& stack = world_.stack(host_);
    if ((event.bits & event_bits::kAcceptable) != 0) {
      while (const auto accepted = stack.accept(listener_)) serve(*accepted);
    }
    if ((event.bits & event_bits::kReadable) != 0) serve(event.connection);
  }

  void serve(ConnectionId id) {
    Stack& stack = world_.stack(host_);
    for (;;) {
      const auto piece = stack.read_slice(world_.now(), id);
      if (!piece) return;
      if (piece->empty()) {
        (void)stack.close(world_.now(), id);
        return;
      }
      std::string& line = lines_[id.index];
      line += piece->text();
      if (!line.ends_with('\n')) continue;
      (void)stack.write(world_.now(), id, Slice::adopt("hello, " + line));
      line.clear();
    }
  }

  World& world_;
  HostId host_;
  ListenerId listener_;
  std::map<std::uint32_t, std::string> lines_;
};

// Sends a line and notes what came back, and when.
class Visitor {
 public:
  Visitor(World& world, HostId host) : world_(world), host_(host) {
    world_.on_event(host_, [this](const Event& event) { handle(event); });
  }

  void visit(const std::string& server, const std::string& line, FastOpenMode fast_open = FastOpenMode::Off) {
    ConnectOptions options;
    options.remote = *Endpoint::parse(server);
    options.fast_open = fast_open;
    options.data = Slice::adopt(line + "\n");
    started_ = world_.now();
    answer.clear();
    first_byte_after.reset();
    ASSERT_TRUE(world_.stack(host_).connect(world_.now(), options));
  }

  std::string answer;
  std::optional<Duration> first_byte_after;

 private:
  void handle(const Event& event) {
    if ((event.bits & event_bits::kReadable) == 0) return;
    Stack& stack = world_.stack(host_);
    while (const auto piece = stack.read_slice(world_.now(), event.connection)) {
      if (piece->empty()) break;
      if (!first_byte_after) first_byte_after = world_.now() - started_;
      answer += piece->text();
    }
    if (answer.ends_with('\n')) (void)stack.close(world_.now(), event.connection);
  }

  World& world_;
  HostId host_;
  Instant started_{};
};

struct Pair {
  explicit Pair(const LinkOptions& options, std::uint64_t seed = 1) : world({.seed = seed}) {
    client = world.add_host({.name = "client"});
    server = world.add_host({.name = "server"});
    client_side = world.add_interface(client, interface("eth0", "10.0.0.1/24"));
    link = world.connect(client_side, world.add_interface(server, interface("eth0", "10.0.0.2/24")), options);
    greeter.emplace(world, server);
    visitor.emplace(world, client);
  }

  World world;
  HostId client, server;
  Attachment client_side;
  LinkId link;
  std::optional<Greeter> greeter;
  std::optional<Visitor> visitor;
};

TEST(World, AnAnswerTakesTwoRoundTripsAndOneWithFastOpen) {
  Pair pair({.delay = 50ms});
  pair.visitor->visit("10.0.0.2:80", "ann");
  pair.world.run_until(pair.world.now() + 1s);
  EXPECT_EQ(pair.visitor->answer, "hello, ann\n");
  EXPECT_EQ(pair.visitor->first_byte_after, 200ms);

  pair.visitor->visit("10.0.0.2:80", "bob", FastOpenMode::Now);  // is granted a cookie
  pair.world.run_until(pair.world.now() + 1s);
  EXPECT_EQ(pair.visitor->first_byte_after, 200ms);

  pair.visitor->visit("10.0.0.2:80", "eve", FastOpenMode::Now);
  pair.world.run_until(pair.world.now() + 1s);
  EXPECT_EQ(pair.visitor->answer, "hello, eve\n");
  EXPECT_EQ(pair.visitor->first_byte_after, 100ms);
  EXPECT_EQ(pair.world.failure(), "");
}

TEST(World, ComesToRest) {
  Pair pair({.delay = 5ms});
  pair.visitor->visit("10.0.0.2:80", "ann");
  EXPECT_FALSE(pair.world.run_until_idle(1s)) << "TIME_WAIT lasts longer";
  EXPECT_TRUE(pair.world.run_until_idle(120s));
  for (const HostId host : {pair.client, pair.server}) {
    const Stack::Population population = pair.world.inspect(host).population();
    EXPECT_EQ(population.connections + population.requests + population.time_waits, 0u);
  }
}

TEST(World, RunsWhileACondition) {
  Pair pair({.delay = 50ms});
  pair.visitor->visit("10.0.0.2:80", "ann");
  EXPECT_TRUE(pair.world.run_while([&] { return pair.visitor->answer.empty(); }, 1s));
  EXPECT_EQ(pair.world.now(), Instant(200ms));
  EXPECT_FALSE(pair.world.run_while([] { return true; }, 1s));
}

std::vector<std::uint8_t> capture_of(std::uint64_t seed, const LinkOptions& options) {
  MemorySink sink;
  {
    PcapngWriter writer(sink);
    Pair pair(options, seed);
    pair.world.capture(pair.client_side, writer);
    for (int i = 0; i < 5; ++i) {
      pair.visitor->visit("10.0.0.2:80", std::string(20'000, 'x'), FastOpenMode::Now);
      pair.world.run_until(pair.world.now() + 20s);
      EXPECT_EQ(pair.visitor->answer.size(), 20'008u);
    }
    EXPECT_EQ(pair.world.failure(), "");
  }
  return {sink.bytes().begin(), sink.bytes().end()};
}

TEST(World, TheSameSeedGivesTheSameCaptureByteForByte) {
  const LinkOptions bad{.delay = 10ms,
                        .jitter = 2ms,
                        .rate = 10'000'000,
                        .loss = 0.02,
                        .reorder = 0.05,
                        .duplicate = 0.02,
                        .corrupt = 0.02};
  const auto first = capture_of(7, bad);
  EXPECT_GT(first.size(), 100'000u);
  EXPECT_EQ(first, capture_of(7, bad));
  EXPECT_NE(first, capture_of(8, bad));
}

TEST(World, APulledCableDelaysButLosesNothing) {
  Pair pair({.delay = 10ms});
  pair.world.after(25ms, [&] { pair.world.set_plugged(pair.link, false); });  // the request is under way
  pair.world.after(3s, [&] { pair.world.set_plugged(pair.link, true); });
  pair.visitor->visit("10.0.0.2:80", "ann");
  pair.world.run_until(pair.world.now() + 2900ms);
  EXPECT_EQ(pair.visitor->answer, "");
  EXPECT_GT(pair.world.link(pair.link, Direction::AToB).counts().unplugged, 0u);
  pair.world.run_until(pair.world.now() + 10s);
  EXPECT_EQ(pair.visitor->answer, "hello, ann\n");
}

TEST(World, ALinkCanBeChangedWhileItIsUsed) {
  Pair pair({.delay = 10ms, .loss = 1});
  pair.visitor->visit("10.0.0.2:80", "ann");
  pair.world.run_until(pair.world.now() + 500ms);
  pair.world.set_link(pair.link, {.delay = 10ms});
  pair.world.run_until(pair.world.now() + 2s);
  EXPECT_EQ(pair.visitor->answer, "hello, ann\n");
}

TEST(World, SeveralHostsShareALink) {
  World world;
  const HostId server = world.add_host({.name = "server"});
  const Attachment server_side = world.add_interface(server, interface("eth0", "fd00::1/64"));
  Greeter greeter(world, server);
  std::vector<Attachment> clients;
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 2; i < 8; ++i) {
    const HostId host = world.add_host({.name = "client" + std::to_string(i)});
    clients.push_back(world.add_interface(host, interface("eth0", "fd00::" + std::to_string(i) + "/64")));
    visitors.push_back(std::make_unique<Visitor>(world, host));
  }
  // Each answer must wait its turn on the line: a thousand bytes a millisecond.
  const LinkId link = world.connect(clients, {server_side}, {.delay = 1ms}, {.delay = 1ms, .rate = 8'000'000});
  for (auto& visitor : visitors) visitor->visit("[fd00::1]:80", std::string(1000, 'y'));
  world.run_until(world.now() + 1s);
  std::map<Duration, int> arrivals;
  for (auto& visitor : visitors) {
    EXPECT_EQ(visitor->answer.size(), 1008u);
    ++arrivals[*visitor->first_byte_after];
  }
  EXPECT_EQ(arrivals.size(), visitors.size()) << "two answers were on the line at the same time";
  EXPECT_EQ(world.counts().unroutable, 0u);
  EXPECT_GT(world.link(link, Direction::BToA).counts().delivered_bytes, 6000u);
  EXPECT_EQ(world.failure(), "");
}

TEST(World, ActionsHappenInOrder) {
  World world({.start = Instant(5s)});
  std::string order;
  world.after(2s, [&] { order += 'c'; });
  world.after(1s, [&] {
    order += 'a';
    world.after(0s, [&] { order += 'x'; });
    world.at(Instant{}, [&] { order += 'y'; });  // the past is now
  });
  world.after(1s, [&] { order += 'b'; });
  world.run_until(Instant(7s) - 1ns);
  EXPECT_EQ(order, "abxy");
  EXPECT_EQ(world.now(), Instant(7s) - 1ns);
  world.run_until(Instant(7s));
  EXPECT_EQ(order, "abxyc");
}

TEST(World, AFailureEndsTheRun) {
  World world;
  bool later = false;
  world.after(1500ms, [&] { world.fail("something is wrong"); });
  world.after(2s, [&] { later = true; });
  world.run_until(Instant(10s));
  EXPECT_EQ(world.failure(), "at 1.5s: something is wrong");
  EXPECT_FALSE(later);
  EXPECT_FALSE(world.run_until_idle(10s));
}

TEST(World, NoticesThatTimeStandsStill) {
  World world;
  std::function<void()> again = [&] { world.after(0s, again); };
  again();
  world.run_until(Instant(1s));
  EXPECT_THAT(world.failure(), HasSubstr("time stands still"));
}

TEST(World, RefusesAnInterfaceThatCannotBe) {
  World world;
  const HostId host = world.add_host({.name = "host"});
  EXPECT_THROW(world.add_interface(host, InterfaceConfig()), std::invalid_argument) << "it has no address";
}

TEST(World, AThousandHosts) {
  World world({.check = false});
  const HostId server = world.add_host({.name = "server"});
  const Attachment server_side = world.add_interface(server, interface("eth0", "10.0.0.1/16"));
  Greeter greeter(world, server);
  std::vector<Attachment> clients;
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (int i = 0; i < 1000; ++i) {
    const HostId host = world.add_host({.name = "client"});
    const std::string address = "10.0." + std::to_string(1 + i / 200) + "." + std::to_string(1 + i % 200) + "/16";
    clients.push_back(world.add_interface(host, interface("eth0", address)));
    visitors.push_back(std::make_unique<Visitor>(world, host));
  }
  world.connect(clients, {server_side}, {.delay = 20ms}, {.delay = 20ms});
  for (int round = 0; round < 3; ++round) {
    for (auto& visitor : visitors) visitor->visit("10.0.0.1:80", "hi", FastOpenMode::Now);
    world.run_until(world.now() + 10s);
    for (auto& visitor : visitors) ASSERT_EQ(visitor->answer, "hello, hi\n");
  }
}

}  // namespace
}  // namespace ff::sim
