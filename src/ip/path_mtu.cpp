#include "ip/path_mtu.hpp"

#include <algorithm>
#include <array>

namespace ff::ip {

namespace {
constexpr std::uint32_t kMinMtuV6 = 1280;  // RFC 8200 §5
}

std::size_t PathMtuCache::Hash::operator()(const IpAddress& address) const noexcept {
  SipHasher<1, 3> hasher(key);
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), address.bytes().data(), sizeof words);
  for (const std::uint64_t word : words) hasher.add(word);
  return hasher.finish(0, 16);
}

std::uint16_t PathMtuCache::lookup(Instant now, const IpAddress& destination, std::uint16_t link) const noexcept {
  if (paths_.empty()) return link;
  const auto path = paths_.find(destination);
  return path == paths_.end() || path->second.expires <= now ? link : std::min(link, path->second.mtu);
}

void PathMtuCache::learn(Instant now, const IpAddress& destination, std::uint32_t mtu) {
  const std::uint32_t least = destination.is_v4() ? settings_.route_min_pmtu : kMinMtuV6;
  const Entry entry{static_cast<std::uint16_t>(std::clamp<std::uint32_t>(mtu, least, 65535)),
                    now + std::chrono::seconds(settings_.route_mtu_expires)};
  if (paths_.size() >= kMax && !paths_.contains(destination)) {
    boost::unordered::erase_if(paths_, [&](const auto& path) { return path.second.expires <= now; });
    if (paths_.size() >= kMax) paths_.erase(paths_.begin());
  }
  paths_[destination] = entry;
}

}  // namespace ff::ip
