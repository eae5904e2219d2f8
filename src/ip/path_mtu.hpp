// What routers told of paths that carry less than their first link (RFC 1191 §6, RFC 8201 §5), for what is sent without
// a connection that would remember it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <cstring>

#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"

namespace ff::ip {

class PathMtuCache {
 public:
  PathMtuCache(const Settings& settings, const SipHashKey& key) : settings_(settings), paths_(0, Hash{key}) {}

  // What goes to `destination` may be this large, `link` being the MTU of the interface.
  [[nodiscard]] std::uint16_t lookup(Instant now, const IpAddress& destination, std::uint16_t link) const noexcept;

  // A router has said so, about a packet that we did send. Told too little, it is not believed: forged errors would
  // make us send crumbs.
  void learn(Instant now, const IpAddress& destination, std::uint32_t mtu);

 private:
  struct Hash {
    using is_avalanching = void;
    SipHashKey key;
    std::size_t operator()(const IpAddress& address) const noexcept;
  };
  struct Entry {
    std::uint16_t mtu;
    Instant expires;
  };
  static constexpr std::size_t kMax = 4096;

  const Settings& settings_;
  boost::unordered_flat_map<IpAddress, Entry, Hash> paths_;
};

}  // namespace ff::ip
