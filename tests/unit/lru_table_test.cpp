// The table that forgets what was used least recently.
#include "base/lru_table.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace ff {
namespace {

struct Item {
  int key = 0;
  std::string text;
};
struct KeyOfItem {
  int operator()(const Item& item) const { return item.key; }
};
// Every key falls into one place: all that tells them apart is the comparison.
struct OnePlace {
  std::size_t operator()(int) const { return 7; }
};
using Table = LruTable<Item, KeyOfItem, OnePlace>;

std::vector<int> keys(const Table& table) {
  std::vector<int> keys;
  for (const Item& item : table) keys.push_back(item.key);
  return keys;
}

TEST(LruTable, TheOneUsedLeastRecentlyMakesRoom) {
  Table table;
  for (int key = 1; key <= 3; ++key) table.add({key, std::to_string(key)}, 3);
  ASSERT_NE(table.use(1), nullptr);
  table.add({4, "4"}, 3);
  EXPECT_THAT(keys(table), testing::ElementsAre(3, 1, 4));
  EXPECT_EQ(table.find(2), nullptr);
  EXPECT_EQ(table.use(2), nullptr);
  EXPECT_EQ(table.find(1)->text, "1");
}

TEST(LruTable, LookingIsNotUsing) {
  Table table;
  for (int key = 1; key <= 3; ++key) table.add({key, ""}, 3);
  table.find(1)->text = "seen";
  table.add({4, ""}, 3);
  EXPECT_THAT(keys(table), testing::ElementsAre(2, 3, 4));
}

TEST(LruTable, ALowerBoundForgetsTheOldest) {
  Table table;
  for (int key = 1; key <= 5; ++key) table.add({key, ""}, 5);
  table.trim(2);
  EXPECT_THAT(keys(table), testing::ElementsAre(4, 5));
  table.add({6, ""}, 1);
  EXPECT_THAT(keys(table), testing::ElementsAre(6));
}

TEST(LruTable, ErasesOneOrWhateverIsAskedFor) {
  Table table;
  for (int key = 1; key <= 6; ++key) table.add({key, ""}, 10);
  table.erase(2);
  table.erase(2);
  table.erase_if([](const Item& item) { return item.key % 3 == 0; });
  EXPECT_THAT(keys(table), testing::ElementsAre(1, 4, 5));
  EXPECT_EQ(table.find(3), nullptr);
  EXPECT_EQ(table.size(), 3u);
}

}  // namespace
}  // namespace ff
