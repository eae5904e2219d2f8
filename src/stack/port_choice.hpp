// Which local port a socket gets that wants any: the double-hash algorithm of RFC 6056 §3.3.4, as Linux has it. Each
// destination has a secret place where its ports begin, and they go on from there: nobody can guess them, and none
// comes round early. connect() takes the ports with the parity of the range's first one before the others, and bind()
// those before that connect() takes last: so they keep out of each other's way.
//
// Where nearly all ports towards one destination are taken, looking for the last free ones by asking for each would
// take longer than all else. Of such destinations, and of no others, the ports that are taken are kept as sets of bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ephemeral_ports.hpp"
#include "base/port_set.hpp"
#include "base/random.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "stack/tuple_hash.hpp"

namespace ff {

class PortChoice {
 public:
  PortChoice(const SipHashKey& key, Random random) : key_(key), random_(random), turns_(kTurns) {}

  // What stands in the way of an outgoing connection that wants a four-tuple.
  enum class Holder : std::uint8_t {
    Nobody,
    TimeWait,  // an entry that gives way, if not now then later (E8)
    Taken,
  };

  // A port for a connection to destination.remote from destination.local.address; its port does not count.
  // `holder_of(port)`: who has it with these addresses. `gives_way(port)`: whether its TIME_WAIT entry does so now;
  // `may_reuse`: whether any may at all.
  template <typename HolderOf, typename GivesWay>
  std::optional<std::uint16_t> for_connect(const FourTuple& destination, const Settings& settings, const PortSet& bound,
                                           bool may_reuse, HolderOf&& holder_of, GivesWay&& gives_way);

  // A port for bind(): one of those that nobody has at all, or else one of which `is_free(port)` says that it will do.
  template <typename IsFree>
  std::optional<std::uint16_t> for_bind(const Settings& settings, const PortSet& held, IsFree&& is_free);

  // What becomes of a four-tuple whose port was chosen here.
  void connects(const FourTuple& tuple) { note(tuple, Holder::Taken); }
  void waits(const FourTuple& tuple, bool gives_way) { note(tuple, gives_way ? Holder::TimeWait : Holder::Taken); }
  void leaves(const FourTuple& tuple) { note(tuple, Holder::Nobody); }

 private:
  static constexpr std::uint32_t kTurns = 1024;   // destinations share one by hash
  static constexpr std::uint32_t kPatience = 64;  // ports found taken that make a destination a crowded one
  static constexpr std::size_t kMostCrowds = 16;  // 16 KiB each

  // A destination towards which many ports are taken.
  struct Crowd {
    FourTuple destination;
    PortSet taken, waiting;  // `waiting`: by TIME_WAIT entries that give way sooner or later
    std::uint32_t size = 0, size_at_first = 0;
    std::uint64_t used = 0;  // when last, as a number of searches
  };

  void note(const FourTuple& tuple, Holder holder) {
    if (!crowds_.empty()) note_in_crowd(tuple, holder);
  }
  void note_in_crowd(const FourTuple& tuple, Holder holder);
  static void put(Crowd& crowd, std::uint16_t port, Holder holder) noexcept;
  [[nodiscard]] Crowd* crowd_of(const FourTuple& destination) noexcept;
  Crowd& add_crowd(const FourTuple& destination);

  // Goes round all ports once from `start` on, those of one parity first. `word_at`: which may be taken, as in
  // first_port(); `takes(port)` ends it by true.
  template <typename WordAt, typename Takes>
  static std::optional<std::uint16_t> go_round(std::uint32_t start, std::uint64_t parity, WordAt&& word_at,
                                               Takes&& takes);

  SipHashKey key_;
  Random random_;
  EphemeralPorts ephemeral_;
  std::vector<std::uint32_t> turns_;
  std::vector<std::unique_ptr<Crowd>> crowds_;
  std::uint64_t searches_ = 0;
};

template <typename WordAt, typename Takes>
std::optional<std::uint16_t> PortChoice::go_round(std::uint32_t start, std::uint64_t parity, WordAt&& word_at,
                                                  Takes&& takes) {
  for (const std::uint64_t mask : {parity, ~parity}) {
    const auto masked = [&](std::uint32_t index) { return word_at(index) & mask; };
    for (const auto& [begin, end] : {std::pair{start, PortSet::kPorts}, std::pair{std::uint32_t{0}, start}})
      for (auto port = first_port(begin, end, masked); port; port = first_port(*port + 1u, end, masked))
        if (takes(*port)) return port;
  }
  return std::nullopt;
}

template <typename HolderOf, typename GivesWay>
std::optional<std::uint16_t> PortChoice::for_connect(const FourTuple& destination, const Settings& settings,
                                                     const PortSet& bound, bool may_reuse, HolderOf&& holder_of,
                                                     GivesWay&& gives_way) {
  const PortSet& ephemeral = ephemeral_.of(settings);
  const PortRange range = settings.ip_local_port_range;
  const std::uint32_t count = static_cast<std::uint32_t>(range.last - range.first) + 1;
  const std::uint64_t hash = tuple_hash(key_, destination);
  std::uint32_t& turn = turns_[hash % kTurns];
  const std::uint32_t start = range.first + (turn + static_cast<std::uint32_t>(hash >> 32)) % count;

  ++searches_;
  Crowd* crowd = crowd_of(destination);
  const auto word_at = [&](std::uint32_t index) {
    std::uint64_t word = ephemeral.word(index) & ~bound.word(index);
    if (crowd != nullptr) word &= ~crowd->taken.word(index);
    if (crowd != nullptr && !may_reuse) word &= ~crowd->waiting.word(index);
    return word;
  };
  std::uint32_t refused = 0;
  const auto takes = [&](std::uint16_t port) {
    const Holder holder = holder_of(port);
    if (holder == Holder::Nobody || (holder == Holder::TimeWait && may_reuse && gives_way(port))) return true;
    if (++refused == kPatience && crowd == nullptr) {
      crowd = &add_crowd(destination);
      // Who has a bound port does not say when it leaves; such ports are left out anyway.
      for (std::uint32_t other = range.first; other <= range.last; ++other) {
        const auto its_port = static_cast<std::uint16_t>(other);
        if (!bound.contains(its_port)) put(*crowd, its_port, holder_of(its_port));
      }
      crowd->size_at_first = crowd->size;
    }
    return false;
  };
  const std::uint64_t parity = range.first % 2 == 0 ? PortSet::kEven : PortSet::kOdd;
  const auto port = go_round(start, parity, word_at, takes);
  if (port) {
    // Not always the next one, lest its neighbours tell how many connections there were in between.
    const std::uint32_t passed = (*port + count - start) % count;
    turn += std::max(passed, static_cast<std::uint32_t>(random_.below(8)) * 2) + 2;
  }
  return port;
}

template <typename IsFree>
std::optional<std::uint16_t> PortChoice::for_bind(const Settings& settings, const PortSet& held, IsFree&& is_free) {
  const PortSet& ephemeral = ephemeral_.of(settings);
  const PortRange range = settings.ip_local_port_range;
  const std::uint64_t parity = range.first % 2 == 0 ? PortSet::kOdd : PortSet::kEven;
  const auto start =
      static_cast<std::uint32_t>(range.first + random_.below(static_cast<std::uint64_t>(range.last - range.first) + 1));
  const auto unheld = go_round(
      start, parity, [&](std::uint32_t index) { return ephemeral.word(index) & ~held.word(index); },
      [](std::uint16_t) { return true; });
  if (unheld) return unheld;
  return go_round(start, parity, [&](std::uint32_t index) { return ephemeral.word(index); }, is_free);
}

}  // namespace ff
