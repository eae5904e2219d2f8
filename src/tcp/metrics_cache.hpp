// What is remembered of paths from one connection to the next, as Linux's tcp_metrics.c does; RFC 9040 §6 and §8 say
// what may be shared so, and why.
#pragma once

#include <cstdint>
#include <vector>

#include "base/lru_table.hpp"
#include "base/siphash.hpp"
#include "firstflight/tcp_metrics.hpp"

namespace ff::tcp {

// From where to where.
struct AddressPair {
  IpAddress source, destination;
  friend bool operator==(const AddressPair&, const AddressPair&) noexcept = default;
};

// What a connection knows of its path when it ends.
struct LastWords {
  Duration rtt{}, rttvar{};
  std::uint32_t cwnd = 0;        // segments
  std::uint32_t ssthresh = 0;    // segments; 0: slow start has met no bound
  bool steady = false;           // congestion avoidance, with nothing under repair: the window is what the path carries
  std::uint32_t reordering = 0;  // segments by which one was late; 0: none was
};

// Makes what is known of a path follow what one more connection found. `keep_ssthresh`: or leave ssthresh as it is.
void learn(TcpMetrics& known, const LastWords& last, bool keep_ssthresh) noexcept;

class MetricsCache {
 public:
  // Paths: two megabytes at most. A peer makes an entry by a handshake and an orderly end, from each address it has.
  static constexpr std::size_t kMost = 16384;
  // As Linux: what nobody has confirmed for so long says nothing any more.
  static constexpr Duration kValid = std::chrono::hours(1);

  explicit MetricsCache(const SipHashKey& key) : entries_(PairHash{key}) {}

  // What is known, and made the last to be forgotten; null: nothing.
  TcpMetrics* use(const AddressPair& pair, Instant now) noexcept;
  // The same; where there is nothing, an entry that knows nothing.
  TcpMetrics& entry_of(const AddressPair& pair, Instant now);
  void clear() noexcept { entries_.trim(0); }
  // What is used first stands last.
  [[nodiscard]] std::vector<TcpMetrics> entries(Instant now) const;

 private:
  struct PairOf {
    AddressPair operator()(const TcpMetrics& entry) const noexcept { return {entry.source, entry.destination}; }
  };
  struct PairHash {
    SipHashKey key;
    std::size_t operator()(const AddressPair& pair) const noexcept;
  };
  LruTable<TcpMetrics, PairOf, PairHash> entries_;
};

}  // namespace ff::tcp
