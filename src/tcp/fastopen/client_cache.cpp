#include "tcp/fastopen/client_cache.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ff::tcp {

std::size_t ClientCache::PathHash::operator()(const FastOpenPath& path) const noexcept {
  // The application chooses destinations, not the peer: no secret is needed.
  std::array<std::uint8_t, 40> bytes;
  std::memcpy(bytes.data(), path.source.bytes().data(), 16);
  std::memcpy(bytes.data() + 16, path.destination.bytes().data(), 16);
  std::memcpy(bytes.data() + 32, &path.partition, 8);
  return std::hash<std::string_view>{}(as_text(bytes));
}

// ---- which entries there are ---------------------------------------------------------------------------------------

void ClientCache::trim() { entries_.trim(settings_.tcp_fastopen_cache_max); }

FastOpenCacheEntry* ClientCache::entry_of(const FastOpenPath& path) {
  if (FastOpenCacheEntry* entry = entries_.use(path)) return entry;
  if (settings_.tcp_fastopen_cache_max == 0) return nullptr;
  FastOpenCacheEntry entry;
  entry.source = path.source;
  entry.destination = path.destination;
  entry.partition = path.partition;
  return &entries_.add(entry, settings_.tcp_fastopen_cache_max);
}

FastOpenCacheEntry* ClientCache::use(const FastOpenPath& path, Instant now) {
  FastOpenCacheEntry* entry = entries_.use(path);
  if (entry == nullptr || !expired(*entry, now)) return entry;
  if (entry->syn_losses == 0 && entry->blackholes == 0) return entries_.erase(path), nullptr;
  // What the path does has a time of its own.
  entry->cookie = {};
  entry->mss = 0;
  entry->experimental = entry->experimental_refused = false;
  return entry;
}

bool ClientCache::expired(const FastOpenCacheEntry& entry, Instant now) const noexcept {
  const Duration most = std::chrono::seconds(settings_.tcp_fastopen_cache_expire_sec);
  return most != Duration::zero() && now - entry.learned >= most;
}

bool ClientCache::set(const FastOpenCacheEntry& entry) {
  FastOpenCacheEntry* place = entry_of(PathOf()(entry));
  if (place != nullptr) *place = entry;
  return place != nullptr;
}

void ClientCache::clear(std::optional<std::uint64_t> partition) {
  entries_.erase_if([&](const FastOpenCacheEntry& entry) { return !partition || entry.partition == *partition; });
}

std::vector<FastOpenCacheEntry> ClientCache::entries(Instant now) const {
  std::vector<FastOpenCacheEntry> all;
  all.reserve(entries_.size());
  for (FastOpenCacheEntry entry : entries_) {
    if (expired(entry, now)) {
      if (entry.syn_losses == 0 && entry.blackholes == 0) continue;
      entry.cookie = {};
    }
    all.push_back(entry);
  }
  return all;
}

// ---- what servers say ----------------------------------------------------------------------------------------------

void ClientCache::granted(const FastOpenPath& path, const FastOpenCookie& cookie, std::uint16_t mss, bool experimental,
                          Instant now) {
  FastOpenCacheEntry* entry = entry_of(path);
  if (entry == nullptr) return;
  entry->cookie = cookie;
  entry->mss = mss;
  entry->experimental = experimental;
  entry->learned = now;
}

void ClientCache::not_granted(const FastOpenPath& path, std::uint16_t mss, bool asked_experimental, Instant now) {
  FastOpenCacheEntry* entry = entry_of(path);
  if (entry == nullptr) return;
  entry->mss = mss;
  entry->learned = now;
  if (entry->cookie.size != 0) return;
  entry->experimental_refused |= asked_experimental;
  entry->experimental = !entry->experimental_refused;
}

void ClientCache::answered(const FastOpenPath& path, std::uint16_t mss, Instant now) {
  FastOpenCacheEntry* entry = entry_of(path);
  if (entry == nullptr) return;
  entry->mss = mss;
  if (entry->cookie.size == 0) entry->learned = now;
}

// ---- what paths do -------------------------------------------------------------------------------------------------

Duration ClientCache::pause(std::uint32_t blackholes) const noexcept {
  constexpr std::int64_t kMost = INT32_MAX;  // 68 years
  const std::uint32_t doublings = std::min(blackholes - 1, 6u);
  return std::chrono::seconds(std::min(std::int64_t{settings_.tcp_fastopen_blackhole_timeout_sec} << doublings, kMost));
}

bool ClientCache::syn_lost(const FastOpenPath& path, bool probe, Instant now) {
  FastOpenCacheEntry* entry = entry_of(path);
  if (entry == nullptr) return false;
  ++entry->syn_losses;
  return (probe || entry->syn_losses >= kLossesOfBlackhole) && path_failed(path, probe, now);
}

bool ClientCache::path_failed(const FastOpenPath& path, bool probe, Instant now) {
  if (settings_.tcp_fastopen_blackhole_timeout_sec == 0) return false;
  FastOpenCacheEntry* entry = entry_of(path);
  if (entry == nullptr || (entry->blackholes > 0 && !probe)) return false;
  ++entry->blackholes;
  entry->retry_after = now + pause(entry->blackholes);
  return true;
}

void ClientCache::path_works(const FastOpenPath& path) noexcept {
  FastOpenCacheEntry* entry = entries_.find(path);
  if (entry == nullptr) return;
  entry->syn_losses = 0;
  entry->blackholes = 0;
  entry->retry_after = Instant{};
}

void ClientCache::probe_over(const FastOpenPath& path, Instant now) noexcept {
  FastOpenCacheEntry* entry = entries_.find(path);
  if (entry != nullptr && entry->blackholes > 0) entry->retry_after = now;
}

// ---- what a SYN carries --------------------------------------------------------------------------------------------

ClientPlan plan_client(ClientCache& cache, const Settings& settings, const FastOpenPath& path, bool no_cookie,
                       Instant now) {
  ClientPlan plan;
  const bool on = (settings.tcp_fastopen & fast_open_bits::kClient) != 0;
  no_cookie = no_cookie || (settings.tcp_fastopen & fast_open_bits::kClientNoCookie) != 0;
  // To ask for a cookie and not keep it would show the server a habit, and gain nothing.
  if (!on || (!no_cookie && settings.tcp_fastopen_cache_max == 0)) {
    plan.outcome = FastOpenOutcome::Disabled;
    return plan;
  }
  FastOpenCacheEntry* entry = cache.use(path, now);
  if (entry != nullptr) plan.mss = entry->mss;
  const bool blackhole = entry != nullptr && entry->blackholes > 0 && settings.tcp_fastopen_blackhole_timeout_sec != 0;
  if (blackhole && now < entry->retry_after) {
    plan.outcome = FastOpenOutcome::PathBlackholed;
    return plan;
  }
  plan.outcome = FastOpenOutcome::Pending;
  if (no_cookie) {
    plan.may_send_data = true;  // and no option, as in Linux
  } else {
    plan.option.emplace();
    if (entry != nullptr) {
      plan.option->cookie = entry->cookie;
      plan.option->experimental = entry->experimental;
      plan.may_send_data = entry->cookie.size > 0;
    }
  }
  if (blackhole) {
    // One connection tries. Should it show nothing, and nobody say so, the next may after the same time.
    plan.probe = true;
    entry->retry_after = now + cache.pause(entry->blackholes);
  }
  return plan;
}

}  // namespace ff::tcp
