#include "stack/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "firstflight/seed.hpp"

namespace ff {
namespace {

const IpAddress kOne = IpAddress::v4(192, 0, 2, 1), kTwo = IpAddress::v4(192, 0, 2, 2);
const IpAddress kSix = IpAddress::parse("2001:db8::1").value();

constexpr PortUse kPlain{}, kAddr{.reuse_addr = true}, kPort{.reuse_port = true};
constexpr PortUse kListening{.listening = true}, kAddrListening{.reuse_addr = true, .listening = true};
constexpr PortUse kPortListening{.reuse_port = true, .listening = true};

Binding at(const IpAddress& address, bool ipv6_only = false) { return {{address, 80}, ipv6_only}; }

// Who may come beside whom: a row for what is there, a column for what comes.
TEST(Ports, SharingNeedsBothSides) {
  const struct {
    PortUse there, comes;
    bool conflicts;
  } kCases[] = {
      {kPlain, kPlain, true},         {kPlain, kAddr, true},         {kPlain, kPort, true},
      {kAddr, kPlain, true},          {kAddr, kAddr, false},         {kAddr, kPort, true},
      {kPort, kPlain, true},          {kPort, kAddr, true},          {kPort, kPort, false},
      {kListening, kPlain, true},     {kListening, kAddr, true},     {kListening, kPort, true},
      {kAddrListening, kAddr, true},  {kAddrListening, kPort, true}, {kPortListening, kAddr, true},
      {kPortListening, kPort, false},
  };
  for (const auto& c : kCases) {
    Ports ports;
    ports.hold(at(kOne), c.there);
    EXPECT_EQ(ports.conflicts(at(kOne), c.comes), c.conflicts) << &c - kCases;
    EXPECT_FALSE(ports.conflicts(at(kTwo), c.comes));
    EXPECT_FALSE(ports.conflicts({{kOne, 81}}, c.comes));
    ports.release(at(kOne), c.there);
    EXPECT_FALSE(ports.conflicts(at(kOne), c.comes));
    EXPECT_EQ(ports.size(), 0u);
  }
}

TEST(Ports, WildcardsMeetWhatTheyStandFor) {
  const Binding v4 = at(IpAddress::any_v4()), both = at(IpAddress::any_v6()), v6 = at(IpAddress::any_v6(), true);
  const std::vector<Binding> all{v4, both, v6, at(kOne), at(kTwo), at(kSix)};
  // Row and column as above.
  const std::vector<std::string> meets{
      "xx.xx.",  // 0.0.0.0
      "xxxxxx",  // ::
      ".xx..x",  // :: with IPV6_V6ONLY
      "xx.x..",  // one IPv4 address
      "xx..x.",  // another
      ".xx..x",  // an IPv6 address
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) {
      Ports ports;
      ports.hold(all[i], kPlain);
      EXPECT_EQ(ports.conflicts(all[j], kPlain), meets[i][j] == 'x') << i << " " << j;
      EXPECT_EQ(ports.is_free(all[j]), meets[i][j] != 'x') << i << " " << j;
    }
  }
}

TEST(Ports, KnowsWhatBindHasAPartIn) {
  Ports ports;
  const PortUse chosen{.chosen = true};
  ports.hold(at(kOne), chosen);
  EXPECT_TRUE(ports.held().contains(80));
  EXPECT_FALSE(ports.bound().contains(80));
  ports.hold(at(kTwo), kAddr);
  EXPECT_TRUE(ports.bound().contains(80));
  ports.release(at(kTwo), kAddr);
  EXPECT_FALSE(ports.bound().contains(80));
  EXPECT_TRUE(ports.held().contains(80));
  ports.release(at(kOne), chosen);
  EXPECT_FALSE(ports.held().contains(80));
}

// Against a list that is searched from end to end, over a long row of comings and goings.
TEST(Ports, AgreesWithAList) {
  struct Holder {
    Binding binding;
    PortUse use;
  };
  const std::vector<Binding> places{
      at(IpAddress::any_v4()), at(IpAddress::any_v6()), at(IpAddress::any_v6(), true), at(kOne), at(kTwo), at(kSix)};
  const auto meet = [](const Binding& a, const Binding& b) {
    const auto takes = [](const Binding& binding, bool v4) {
      const IpAddress& address = binding.local.address;
      return address.is_v4() == v4 || (address == IpAddress::any_v6() && !binding.ipv6_only);
    };
    const bool one_family = (takes(a, true) && takes(b, true)) || (takes(a, false) && takes(b, false));
    return one_family && a.local.port == b.local.port &&
           (a.local.address == b.local.address || a.local.address.is_any() || b.local.address.is_any());
  };
  Ports ports;
  std::vector<Holder> holders;
  Random random(Seed::from_number(1).bytes);
  for (int step = 0; step < 50'000; ++step) {
    Binding binding = places[random.below(places.size())];
    binding.local.port = static_cast<std::uint16_t>(1 + random.below(4));
    PortUse use{.reuse_addr = random.below(2) == 0, .reuse_port = random.below(2) == 0};
    use.listening = random.below(4) == 0;
    const bool expected = std::ranges::any_of(holders, [&](const Holder& holder) {
      const bool shares = (use.reuse_addr && holder.use.reuse_addr && !holder.use.listening) ||
                          (use.reuse_port && holder.use.reuse_port);
      return !shares && meet(binding, holder.binding);
    });
    ASSERT_EQ(ports.conflicts(binding, use), expected) << step;
    ASSERT_EQ(ports.size(), holders.size());
    if (!expected && holders.size() < 12) {
      ports.hold(binding, use);
      holders.push_back({binding, use});
    } else if (!holders.empty()) {
      const std::size_t gone = random.below(holders.size());
      ports.release(holders[gone].binding, holders[gone].use);
      holders.erase(holders.begin() + static_cast<std::ptrdiff_t>(gone));
    }
  }
}

}  // namespace
}  // namespace ff
