// From where a SYN is sent to to the listener that it is for. Listeners with SO_REUSEPORT on one address and port are a
// group, over which SYNs are spread by a hash of the four-tuple: the same client always comes to the same one.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <vector>

#include "base/pool.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/time.hpp"
#include "stack/listener.hpp"

namespace ff {

struct ListenerGroup {
  std::vector<std::uint32_t> members;  // indices of listeners, one at least
  Instant cookies_until{};  // the last SYN cookie of any of them counts until then; its ACK may come to another
};

class ListenerTable {
 public:
  // A client must not be able to choose whom it comes to.
  ListenerTable(Pool<Listener>& listeners, const SipHashKey& key) : listeners_(listeners), key_(key) {}

  void add(Listener& listener);
  void remove(Listener& listener) noexcept;

  // Who takes a SYN from tuple.remote to tuple.local: the most specific address; at :: the ones that take IPv6 alone
  // come first, and those for every port last of all. Null: nobody.
  [[nodiscard]] Listener* find(const FourTuple& tuple) const noexcept;
  // Who of its group takes it now that `listener` was removed; null: nobody is left.
  [[nodiscard]] Listener* heir_of(const Listener& listener, const FourTuple& tuple) const noexcept;
  [[nodiscard]] ListenerGroup& group_of(const Listener& listener) noexcept;

 private:
  struct Key {
    Endpoint local;
    bool ipv6_only;
    friend bool operator==(const Key&, const Key&) noexcept = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  static Key key_of(const Listener& listener) noexcept;
  [[nodiscard]] Listener* find(const FourTuple& tuple, std::uint16_t port) const noexcept;
  [[nodiscard]] Listener* pick(const std::vector<std::uint32_t>& members, const FourTuple& tuple) const noexcept;

  Pool<Listener>& listeners_;
  SipHashKey key_;
  boost::unordered_flat_map<Key, ListenerGroup, Hash> groups_;  // port 0: those for every port
  std::uint32_t every_port_ = 0;                                // how many those are
};

}  // namespace ff
