#include "stack/listener_table.hpp"

#include <gtest/gtest.h>

#include <map>

namespace ff {
namespace {

const IpAddress kOwn4 = IpAddress::v4(192, 0, 2, 1), kOwn6 = IpAddress::parse("2001:db8::1").value();

class ListenerTableTest : public testing::Test {
 protected:
  Listener& listen(const IpAddress& address, bool ipv6_only = false) {
    Listener& listener = listeners_.create();
    listener.options.local = {address, 80};
    listener.options.ipv6_only = ipv6_only;
    table_.add(listener);
    return listener;
  }
  [[nodiscard]] const Listener* find(const IpAddress& to, std::uint16_t from_port = 4000) const {
    const IpAddress from = to.is_v4() ? IpAddress::v4(192, 0, 2, 2) : IpAddress::parse("2001:db8::2").value();
    return table_.find({{to, 80}, {from, from_port}});
  }

  Pool<Listener> listeners_;
  ListenerTable table_{listeners_, SipHashKey{}};
};

TEST_F(ListenerTableTest, TheMostSpecificAddressComesFirst) {
  EXPECT_EQ(find(kOwn4), nullptr);
  Listener& both = listen(IpAddress::any_v6());
  EXPECT_EQ(find(kOwn4), &both);
  EXPECT_EQ(find(kOwn6), &both);
  Listener& v4 = listen(IpAddress::any_v4());
  Listener& v6 = listen(IpAddress::any_v6(), true);
  EXPECT_EQ(find(kOwn4), &v4);
  EXPECT_EQ(find(kOwn6), &v6);
  Listener& own4 = listen(kOwn4);
  Listener& own6 = listen(kOwn6, true);  // of a specific address IPV6_V6ONLY says nothing
  EXPECT_EQ(find(kOwn4), &own4);
  EXPECT_EQ(find(kOwn6), &own6);
  EXPECT_EQ(find(IpAddress::v4(192, 0, 2, 9)), &v4);
  for (Listener* gone : {&own4, &own6, &v4}) table_.remove(*gone);
  EXPECT_EQ(find(kOwn4), &both);
  EXPECT_EQ(find(kOwn6), &v6);
  table_.remove(both);
  EXPECT_EQ(find(kOwn4), nullptr) << "the one that is left takes IPv6 alone";
}

TEST_F(ListenerTableTest, AGroupIsSpreadOverEvenly) {
  constexpr int kMembers = 5, kClients = 10'000;
  for (int i = 0; i < kMembers; ++i) listen(kOwn4);
  std::map<const Listener*, int> share;
  for (int i = 0; i < kClients; ++i) ++share[find(kOwn4, static_cast<std::uint16_t>(i))];
  ASSERT_EQ(share.size(), std::size_t{kMembers});
  for (const auto& [listener, clients] : share) EXPECT_NEAR(clients, kClients / kMembers, 200);  // 5 deviations of 40
}

TEST_F(ListenerTableTest, WhoLeavesIsSucceededByTheOthers) {
  Listener &first = listen(kOwn4), &second = listen(kOwn4);
  table_.remove(first);
  const FourTuple tuple{{kOwn4, 80}, {IpAddress::v4(192, 0, 2, 2), 4000}};
  EXPECT_EQ(table_.heir_of(first, tuple), &second);
  table_.remove(second);
  EXPECT_EQ(table_.heir_of(second, tuple), nullptr);
}

}  // namespace
}  // namespace ff
