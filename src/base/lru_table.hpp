// Entries found by a key that is part of them, in the order in which they were used: where there is no room for another
// one, the entry that was used least recently goes.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <iterator>
#include <list>
#include <utility>

namespace ff {

// `KeyOf`: gives an entry's key, which must not change while the entry is here. `Hash`: of a key.
template <typename Entry, typename KeyOf, typename Hash>
class LruTable {
 public:
  using Key = decltype(KeyOf()(std::declval<const Entry&>()));

  explicit LruTable(Hash hash = {}) : index_(0, IndexHash{std::move(hash)}) {}
  LruTable(const LruTable&) = delete;
  LruTable& operator=(const LruTable&) = delete;

  // Null: there is none. Its place in the order stays.
  [[nodiscard]] Entry* find(const Key& key) noexcept {
    const auto it = index_.find(key);
    return it == index_.end() ? nullptr : &**it;
  }
  // The same, and it is the last to go.
  [[nodiscard]] Entry* use(const Key& key) noexcept {
    const auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    entries_.splice(entries_.end(), entries_, *it);
    return &**it;
  }
  // An entry with another key than all that are here. `most`, at least one: how many there may be then.
  Entry& add(Entry entry, std::size_t most) {
    trim(most - 1);
    entries_.push_back(std::move(entry));
    index_.insert(std::prev(entries_.end()));
    return entries_.back();
  }
  void erase(const Key& key) noexcept {
    if (const auto it = index_.find(key); it != index_.end()) forget(*it);
  }
  template <typename Predicate>
  void erase_if(const Predicate& goes) noexcept {
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto next = std::next(entry);
      if (goes(*entry)) forget(entry);
      entry = next;
    }
  }
  void trim(std::size_t most) noexcept {
    while (entries_.size() > most) forget(entries_.begin());
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  // In the order in which they would go.
  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }

 private:
  using Place = std::list<Entry>::iterator;
  struct IndexHash {
    using is_transparent = void;
    Hash hash;
    std::size_t operator()(const Key& key) const noexcept { return hash(key); }
    std::size_t operator()(const Place& place) const noexcept { return hash(KeyOf()(*place)); }
  };
  struct IndexEqual {
    using is_transparent = void;
    bool operator()(const Place& a, const Place& b) const noexcept { return a == b; }
    bool operator()(const Key& key, const Place& place) const noexcept { return key == KeyOf()(*place); }
    bool operator()(const Place& place, const Key& key) const noexcept { return KeyOf()(*place) == key; }
  };

  void forget(Place place) noexcept {
    index_.erase(place);
    entries_.erase(place);
  }

  std::list<Entry> entries_;
  boost::unordered_flat_set<Place, IndexHash, IndexEqual> index_;
};

}  // namespace ff
