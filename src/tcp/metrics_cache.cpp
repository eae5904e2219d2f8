#include "tcp/metrics_cache.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

namespace ff::tcp {

namespace {

// A time that is too long does more good than one that is too short: what is longer counts at once, what is shorter by
// and by. As Linux, the first time varies by all of itself.
void learn_times(TcpMetrics& known, const LastWords& last) noexcept {
  const Duration distance = std::chrono::abs(known.rtt - last.rtt);
  known.rtt = last.rtt >= known.rtt ? last.rtt : known.rtt - distance / 8;
  const Duration rttvar = std::max(distance, last.rttvar);
  known.rttvar = rttvar >= known.rttvar ? rttvar : known.rttvar - (known.rttvar - rttvar) / 4;
}

void learn_window(TcpMetrics& known, const LastWords& last, bool keep_ssthresh) noexcept {
  std::uint32_t ssthresh = known.ssthresh;
  if (last.ssthresh == 0) {
    // It was still in its first slow start: the path carries this much at least.
    known.cwnd = std::max(known.cwnd, last.cwnd);
    if (known.ssthresh > 0) ssthresh = std::max(known.ssthresh, last.cwnd / 2);
  } else if (last.steady) {
    known.cwnd = (known.cwnd + last.cwnd) / 2;
    ssthresh = std::max(last.cwnd / 2, last.ssthresh);
  } else {
    // Its window was on the way down, or up again, and says nothing.
    known.cwnd = (known.cwnd + last.ssthresh) / 2;
    if (known.ssthresh > 0) ssthresh = std::max(known.ssthresh, last.ssthresh);
  }
  if (!keep_ssthresh) known.ssthresh = ssthresh;
}

}  // namespace

void learn(TcpMetrics& known, const LastWords& last, bool keep_ssthresh) noexcept {
  learn_times(known, last);
  learn_window(known, last, keep_ssthresh);
  known.reordering = std::max(known.reordering, last.reordering);
}

std::size_t MetricsCache::PairHash::operator()(const AddressPair& pair) const noexcept {
  std::array<std::uint64_t, 4> words;
  std::memcpy(words.data(), pair.source.bytes().data(), 16);
  std::memcpy(words.data() + 2, pair.destination.bytes().data(), 16);
  SipHasher<1, 3> hasher(key);
  for (const std::uint64_t word : words) hasher.add(word);
  return hasher.finish(0, sizeof words);
}

TcpMetrics* MetricsCache::use(const AddressPair& pair, Instant now) noexcept {
  TcpMetrics* entry = entries_.use(pair);
  if (entry == nullptr || now - entry->updated < kValid) return entry;
  entries_.erase(pair);
  return nullptr;
}

TcpMetrics& MetricsCache::entry_of(const AddressPair& pair, Instant now) {
  if (TcpMetrics* entry = use(pair, now)) return *entry;
  TcpMetrics entry;
  entry.source = pair.source;
  entry.destination = pair.destination;
  entry.updated = now;
  return entries_.add(entry, kMost);
}

std::vector<TcpMetrics> MetricsCache::entries(Instant now) const {
  std::vector<TcpMetrics> all;
  all.reserve(entries_.size());
  for (const TcpMetrics& entry : entries_)
    if (now - entry.updated < kValid) all.push_back(entry);
  return all;
}

}  // namespace ff::tcp
