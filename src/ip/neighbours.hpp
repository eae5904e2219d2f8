// Who has which address on a link: the neighbour cache of RFC 4861 §7.3, which serves ARP as well, with Linux's states,
// settings and bounds. One table for each IP version.
//
// It sends nothing itself: it hands out questions, and keeps packets until their answers come.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/pool.hpp"
#include "base/random.hpp"
#include "base/ring.hpp"
#include "base/siphash.hpp"
#include "base/timer_wheel.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/network.hpp"
#include "firstflight/packet.hpp"
#include "firstflight/settings.hpp"

namespace ff::ip {

class Neighbours {
 public:
  Neighbours(const Settings& settings, Counters& counters, const SipHashKey& key, Random random);

  // Where a packet for `address` goes. Nothing: not known yet; `packet` was taken to wait for it, or dropped.
  std::optional<MacAddress> resolve(Instant now, InterfaceId interface, const IpAddress& address, TxPacket& packet);

  // What somebody on the link said of `address`.
  struct Word {
    MacAddress mac;
    bool answer = false;    // to us, whether or not we asked
    bool overrides = true;  // counts more than what was known
    bool creates = false;   // is remembered also of somebody whom we do not know
  };
  void heard(Instant now, InterfaceId interface, const IpAddress& address, const Word& word);
  // Whether `address` was heard of so recently that another answer is more likely a lie (locktime).
  [[nodiscard]] bool is_locked(Instant now, InterfaceId interface, const IpAddress& address) const noexcept;

  // Whom to ask for: everybody, or `to` whether it is still there.
  struct Question {
    InterfaceId interface = 0;
    IpAddress address;
    std::optional<MacAddress> to;
  };
  std::optional<Question> next_question();

  // Packets that waited: for an answer that came (with where they go), or for one that never did.
  struct Released {
    std::unique_ptr<TxPacket> packet;
    std::optional<MacAddress> to;
  };
  std::optional<Released> next_released();

  void handle_deadline(Instant now);
  [[nodiscard]] Instant next_deadline() const noexcept { return wheel_.next_deadline(); }

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  void list(std::vector<Neighbour>& to) const;

 private:
  using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  struct Key {
    IpAddress address;
    InterfaceId interface = 0;
    friend bool operator==(const Key&, const Key&) noexcept = default;
  };
  struct Entry {
    explicit Entry(std::uint32_t its_index) noexcept : index(its_index) {}
    const std::uint32_t index;
    Key key;
    MacAddress mac;
    NeighbourState state = NeighbourState::Failed;
    std::uint32_t questions = 0;  // in a row, without answer
    Instant used{};               // a packet was for it
    Instant since{};              // in this state
    Instant updated{};            // its address was learnt or confirmed
    std::size_t waiting_bytes = 0;
    Ring<std::unique_ptr<TxPacket>> waiting;
    TimerNode timer;
    Hook hook;

    [[nodiscard]] bool has_mac() const noexcept {
      return state != NeighbourState::Incomplete && state != NeighbourState::Failed;
    }
  };
  using List = boost::intrusive::list<Entry, boost::intrusive::member_hook<Entry, Hook, &Entry::hook>,
                                      boost::intrusive::constant_time_size<false>>;
  struct Hash {
    using is_avalanching = void;
    SipHashKey key;
    std::size_t operator()(const Key& key) const noexcept;
  };

  [[nodiscard]] Entry* find(InterfaceId interface, const IpAddress& address) noexcept;
  // Null: the table is full of neighbours that are in use.
  Entry* create(Instant now, InterfaceId interface, const IpAddress& address);
  bool evict();
  void enter(Entry& entry, NeighbourState state, Instant now);
  void ask(Entry& entry, Instant now);
  void keep(Entry& entry, TxPacket& packet);
  void release(Entry& entry, std::optional<MacAddress> to);
  void timeout(Entry& entry, Instant now);
  void remove(Entry& entry) noexcept;
  [[nodiscard]] Duration reachable_time() noexcept;

  const Settings& settings_;
  Counters& counters_;
  Random random_;
  Pool<Entry> entries_;
  boost::unordered_flat_map<Key, std::uint32_t, Hash> by_key_;
  TimerWheel wheel_;
  // Every entry is in one of these, the longest in its state first: nobody needs it now; we ask for it; in use.
  List idle_, asking_, in_use_;
  Ring<Question> questions_;
  Ring<Released> released_;
};

}  // namespace ff::ip
