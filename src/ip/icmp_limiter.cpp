#include "ip/icmp_limiter.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace ff::ip {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool IcmpLimiter::allow(Instant now, const IpAddress& destination, std::uint8_t type,
                        std::uint8_t prefix_length) noexcept {
  const bool v4 = destination.is_v4();
  if (!is_limited(v4, type)) return true;
  if (!common_credit(now)) {
    counters_.add(Counter::Icmp_OutRateLimitGlobal);
    return false;
  }
  Duration interval = milliseconds(v4 ? settings_.icmp_ratelimit : settings_.icmp6_ratelimit);
  if (!v4) interval /= 1 << ((128 - prefix_length) >> 5);
  if (interval > Duration::zero() && !host_credit(now, destination, interval)) {
    counters_.add(v4 ? Counter::Icmp_OutRateLimitHost : Counter::Icmp6_OutRateLimitHost);
    return false;
  }
  // Not always one, so that nobody can count what we send to others and learn their ports (the SAD DNS attack).
  credit_ -= static_cast<std::int64_t>(random_.below(3));
  return true;
}

bool IcmpLimiter::is_limited(bool v4, std::uint8_t type) const noexcept {
  if (v4) return type < 32 && (settings_.icmp_ratemask >> type & 1) != 0;
  // Linux's default for net.ipv6.icmp.ratemask: all errors but Packet Too Big, without which paths are black holes.
  constexpr std::uint8_t kPacketTooBig = 2;
  return type < 128 && type != kPacketTooBig;
}

bool IcmpLimiter::common_credit(Instant now) noexcept {
  if (credit_ > 0) return true;
  // Not for each message: a slower clock tells an attacker less of when a place became free.
  constexpr Duration kTick = milliseconds(20);
  if (since_ != Instant::min() && now - since_ < kTick) return false;
  const Duration span = since_ == Instant::min() ? seconds(1) : std::min<Duration>(now - since_, seconds(1));
  const std::int64_t gained = std::int64_t{settings_.icmp_msgs_per_sec} * (span / milliseconds(1)) / 1000;
  if (gained == 0) return false;
  since_ = now;
  credit_ = std::min<std::int64_t>(credit_ + gained, settings_.icmp_msgs_burst);
  return credit_ > 0;
}

bool IcmpLimiter::host_credit(Instant now, const IpAddress& destination, Duration interval) noexcept {
  SipHasher<1, 3> hasher(key_);
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), destination.bytes().data(), sizeof words);
  for (const std::uint64_t word : words) hasher.add(word);
  Host& host = hosts_[hasher.finish(0, 16) % kHosts];
  if (host.address != destination) {
    host = {destination, kBurst * interval, now};
  } else {
    host.credit = std::min(host.credit + (now - host.since), kBurst * interval);
    host.since = now;
  }
  if (host.credit < interval) return false;
  host.credit -= interval;
  return true;
}

}  // namespace ff::ip
