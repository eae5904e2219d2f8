#include "stack/port_choice.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "firstflight/seed.hpp"

namespace ff {
namespace {

using Holder = PortChoice::Holder;

// All that holds ports towards the destinations of a test, and how often it was asked for one.
class World {
 public:
  Settings settings;
  PortSet bound;
  std::map<std::uint16_t, std::map<std::uint16_t, Holder>> towards;  // remote port, local port
  int asked = 0;
  bool may_reuse = false;
  bool old_enough = true;

  static FourTuple tuple(std::uint16_t remote_port, std::uint16_t local_port = 0) {
    return {{IpAddress::v4(192, 0, 2, 1), local_port}, {IpAddress::v4(192, 0, 2, 2), remote_port}};
  }

  std::optional<std::uint16_t> connect(std::uint16_t remote_port = 80) {
    auto& ports = towards[remote_port];
    const auto port = choice_.for_connect(
        tuple(remote_port), settings, bound, may_reuse,
        [&](std::uint16_t candidate) {
          ++asked;
          const auto found = ports.find(candidate);
          return found == ports.end() ? Holder::Nobody : found->second;
        },
        [&](std::uint16_t) { return old_enough; });
    if (port) {
      ports[*port] = Holder::Taken;
      choice_.connects(tuple(remote_port, *port));
    }
    return port;
  }
  void wait(std::uint16_t port, bool gives_way = true) {
    towards[80][port] = gives_way ? Holder::TimeWait : Holder::Taken;
    choice_.waits(tuple(80, port), gives_way);
  }
  void leave(std::uint16_t port) {
    towards[80].erase(port);
    choice_.leaves(tuple(80, port));
  }
  std::optional<std::uint16_t> bind(const PortSet& held, bool is_free = false) {
    return choice_.for_bind(settings, held, [is_free](std::uint16_t) { return is_free; });
  }

 private:
  PortChoice choice_{derive_key(Seed::from_number(1).bytes, "ports"), Random(Seed::from_number(1).bytes)};
};

// G3: every port of the range is used, those of its first one's parity before the others.
TEST(PortChoice, UsesTheWholeRange) {
  for (const PortRange range : {PortRange{40000, 40000}, {40000, 40001}, {40001, 40007}, {65000, 65535}, {1, 10}}) {
    World world;
    world.settings.ip_local_port_range = range;
    const int count = range.last - range.first + 1;
    std::set<std::uint16_t> used;
    for (int i = 0; i < count; ++i) {
      const auto port = world.connect();
      ASSERT_TRUE(port);
      EXPECT_GE(*port, range.first);
      EXPECT_LE(*port, range.last);
      EXPECT_TRUE(used.insert(*port).second);
      EXPECT_EQ((*port - range.first) % 2, i < (count + 1) / 2 ? 0 : 1);
    }
    EXPECT_FALSE(world.connect());
    EXPECT_TRUE(world.connect(81)) << "another destination has all of them";
  }
}

TEST(PortChoice, LeavesReservedAndBoundPortsAlone) {
  World world;
  world.settings.ip_local_port_range = {40000, 40009};
  world.settings.ip_local_reserved_ports = {{1, 39999}, {40002, 40004}, {40009, 50000}};
  world.bound.add(40007);
  std::set<std::uint16_t> used;
  while (const auto port = world.connect()) used.insert(*port);
  EXPECT_EQ(used, (std::set<std::uint16_t>{40000, 40001, 40005, 40006, 40008}));
  world.settings.ip_local_reserved_ports.clear();
  EXPECT_TRUE(world.connect());
}

// RFC 6056 §3.3.4: destinations begin at unrelated places, and one goes on from its own.
TEST(PortChoice, BeginsElsewhereForEachDestination) {
  World world;
  std::set<std::uint16_t> starts;
  for (std::uint16_t remote = 1; remote <= 200; ++remote) starts.insert(*world.connect(remote));
  EXPECT_GT(starts.size(), 190u);
  std::uint32_t last = *world.connect(), furthest = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t port = *world.connect();
    furthest = std::max(furthest, (port + 28232 - last) % 28232);
    last = port;
  }
  EXPECT_LE(furthest, 16u);
}

TEST(PortChoice, TakesEntriesInTimeWaitIfTheyMayGiveWay) {
  World world;
  world.settings.ip_local_port_range = {40000, 40001};
  world.wait(40000);
  world.wait(40001, false);
  EXPECT_FALSE(world.connect());
  world.may_reuse = true;
  world.old_enough = false;
  EXPECT_FALSE(world.connect());
  world.old_enough = true;
  EXPECT_EQ(world.connect(), 40000);
  EXPECT_FALSE(world.connect());
}

// Where nearly all are taken, the last ones are found without asking for each: many searches cost no more than a few
// rounds over the range.
TEST(PortChoice, FindsTheLastFreePortsAtOnce) {
  World world;
  std::set<std::uint16_t> used;
  while (const auto port = world.connect()) used.insert(*port);
  ASSERT_EQ(used.size(), 28232u);
  world.asked = 0;
  Random random(Seed::from_number(2).bytes);
  for (int i = 0; i < 2'000; ++i) {
    EXPECT_FALSE(world.connect());
    const auto gone = static_cast<std::uint16_t>(32768 + random.below(28232));
    world.leave(gone);
    ASSERT_EQ(world.connect(), gone);
  }
  EXPECT_LE(world.asked, 35'000);
}

// A port that was bound, and had this four-tuple by that, can be chosen when it is bound no more.
TEST(PortChoice, TakesPortsThatWereBound) {
  World world;
  world.settings.ip_local_port_range = {40000, 40199};
  world.bound.add(40100);
  world.towards[80][40100] = Holder::Taken;
  std::set<std::uint16_t> used;
  while (const auto port = world.connect()) used.insert(*port);
  ASSERT_EQ(used.size(), 199u);
  EXPECT_FALSE(world.connect());
  world.bound.remove(40100);
  EXPECT_FALSE(world.connect()) << "nobody has bound it, and the connection is still there";
  world.towards[80].erase(40100);
  EXPECT_EQ(world.connect(), 40100);
}

// The same where they are taken by TIME_WAIT entries that may not be used again.
TEST(PortChoice, PassesOverTimeWaitAtOnce) {
  World world;
  for (std::uint32_t port = 32768; port <= 60999; ++port) world.wait(static_cast<std::uint16_t>(port));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(world.connect());
  EXPECT_LE(world.asked, 40'000);
  world.leave(50001);
  EXPECT_EQ(world.connect(), 50001);
}

// As many destinations as one likes may be so crowded, and thin out again.
TEST(PortChoice, RemembersTheCrowdedDestinationsInTurn) {
  World world;
  world.settings.ip_local_port_range = {40000, 40199};
  for (std::uint16_t remote = 100; remote < 140; ++remote) {
    std::set<std::uint16_t> used;
    while (const auto port = world.connect(remote)) used.insert(*port);
    EXPECT_EQ(used.size(), 200u);
  }
  while (world.connect()) {
  }
  for (std::uint16_t port = 40000; port < 40190; ++port) world.leave(port);
  std::set<std::uint16_t> used;
  while (const auto port = world.connect()) used.insert(*port);
  EXPECT_EQ(used.size(), 190u);
}

TEST(PortChoice, BindTakesPortsOfTheOtherParityFirst) {
  World world;
  world.settings.ip_local_port_range = {40000, 40009};
  world.settings.ip_local_reserved_ports = {{40003, 40003}};
  PortSet held;
  std::vector<std::uint16_t> order;
  while (const auto port = world.bind(held)) {
    held.add(*port);
    order.push_back(*port);
  }
  ASSERT_EQ(order.size(), 9u);
  EXPECT_TRUE(std::all_of(order.begin(), order.begin() + 4, [](std::uint16_t port) { return port % 2 == 1; }));
  EXPECT_TRUE(world.bind(held, true)) << "one that others have in a way that does not matter";
}

}  // namespace
}  // namespace ff
