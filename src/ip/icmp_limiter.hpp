// How many ICMP messages we may send: to one host, and to all together. As Linux, which means that a host gets a few at
// once and then one for each icmp_ratelimit.
#pragma once

#include <array>
#include <cstdint>

#include "base/random.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"

namespace ff::ip {

class IcmpLimiter {
 public:
  IcmpLimiter(const Settings& settings, Counters& counters, const SipHashKey& key, Random random)
      : settings_(settings), counters_(counters), key_(key), random_(random) {}

  // Whether a message of this type may go to `destination` now; counts it, or that it may not. `prefix_length`: of the
  // route there. A shorter one stands for more hosts, and Linux allows more to IPv6 hosts behind it.
  bool allow(Instant now, const IpAddress& destination, std::uint8_t type, std::uint8_t prefix_length) noexcept;

 private:
  // A host that is not remembered any more starts anew, so that a flood from many sources is held by the common bound.
  struct Host {
    IpAddress address;
    Duration credit{};
    Instant since{};
  };
  static constexpr std::size_t kHosts = 1024;
  static constexpr int kBurst = 6;  // Linux's XRLIM_BURST_FACTOR

  [[nodiscard]] bool is_limited(bool v4, std::uint8_t type) const noexcept;
  bool common_credit(Instant now) noexcept;
  bool host_credit(Instant now, const IpAddress& destination, Duration interval) noexcept;

  const Settings& settings_;
  Counters& counters_;
  SipHashKey key_;
  Random random_;
  std::int64_t credit_ = 0;
  Instant since_{Instant::min()};
  std::array<Host, kHosts> hosts_{};
};

}  // namespace ff::ip
