#include "tcp/fastopen/client_cache.hpp"

#include <algorithm>
#include <string_view>

namespace ff::tcp {

std::size_t ClientCache::AddressHash::operator()(const IpAddress& address) const noexcept {
  // The application chooses destinations, not the peer: no secret is needed.
  return std::hash<std::string_view>{}(as_text(address.bytes()));
}

const FastOpenCacheEntry* ClientCache::find(const IpAddress& destination) const noexcept {
  const auto it = entries_.find(destination);
  return it == entries_.end() ? nullptr : &it->second;
}

FastOpenCacheEntry& ClientCache::entry_of(const IpAddress& destination) {
  const auto it = entries_.find(destination);
  if (it != entries_.end()) return it->second;
  if (entries_.size() >= kMaxEntries) {
    entries_.erase(age_.front());
    age_.pop_front();
  }
  age_.push_back(destination);
  FastOpenCacheEntry& entry = entries_[destination];
  entry.destination = destination;
  return entry;
}

void ClientCache::granted(const IpAddress& destination, const FastOpenCookie& cookie, std::uint16_t mss,
                          bool experimental) {
  FastOpenCacheEntry& entry = entry_of(destination);
  entry.cookie = cookie;
  entry.mss = mss;
  entry.experimental = experimental;
}

void ClientCache::not_granted(const IpAddress& destination, std::uint16_t mss, bool asked_experimental) {
  FastOpenCacheEntry& entry = entry_of(destination);
  entry.mss = mss;
  if (entry.cookie.size == 0) entry.experimental = !asked_experimental;
}

void ClientCache::path_works(const IpAddress& destination) noexcept {
  const auto it = entries_.find(destination);
  if (it == entries_.end()) return;
  it->second.syn_losses = 0;
  it->second.retry_after = Instant{};
}

void ClientCache::path_failed(const IpAddress& destination, Instant now, std::uint32_t base_seconds) {
  FastOpenCacheEntry& entry = entry_of(destination);
  ++entry.syn_losses;
  if (entry.syn_losses < kLossesOfBlackhole || base_seconds == 0) return;
  const std::uint32_t doublings =
      std::min(entry.syn_losses - kLossesOfBlackhole, 6u);  // 64 times the base at most, as in Linux
  entry.retry_after = now + std::chrono::seconds(std::int64_t{base_seconds} << doublings);
}

void ClientCache::clear() {
  entries_.clear();
  age_.clear();
}

std::vector<FastOpenCacheEntry> ClientCache::entries() const {
  std::vector<FastOpenCacheEntry> all;
  all.reserve(entries_.size());
  for (const auto& [destination, entry] : entries_) all.push_back(entry);
  std::ranges::sort(all, {}, &FastOpenCacheEntry::destination);
  return all;
}

ClientPlan plan_client(const ClientCache& cache, const Settings& settings, const IpAddress& destination, bool no_cookie,
                       Instant now) noexcept {
  ClientPlan plan;
  if ((settings.tcp_fastopen & fast_open_bits::kClient) == 0) {
    plan.outcome = FastOpenOutcome::Disabled;
    return plan;
  }
  const FastOpenCacheEntry* entry = cache.find(destination);
  if (entry != nullptr) plan.mss = entry->mss;
  if (entry != nullptr && entry->syn_losses >= ClientCache::kLossesOfBlackhole && now < entry->retry_after) {
    plan.outcome = FastOpenOutcome::PathBlackholed;
    return plan;
  }
  plan.outcome = FastOpenOutcome::Pending;
  if (no_cookie || (settings.tcp_fastopen & fast_open_bits::kClientNoCookie) != 0) {
    plan.may_send_data = true;  // and no option, as in Linux
    return plan;
  }
  plan.option.emplace();
  if (entry != nullptr) {
    plan.option->cookie = entry->cookie;
    plan.option->experimental = entry->experimental;
    plan.may_send_data = entry->cookie.size > 0;
  }
  return plan;
}

}  // namespace ff::tcp
