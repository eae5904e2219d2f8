// Keyed hashes of a four-tuple.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/siphash.hpp"
#include "firstflight/address.hpp"

namespace ff {

// SipHash-c-d of the addresses, 4 or 16 bytes each, and the ports.
template <int kCompressionRounds, int kFinalizationRounds>
std::uint64_t tuple_hash(const SipHashKey& key, const FourTuple& tuple) noexcept {
  SipHasher<kCompressionRounds, kFinalizationRounds> hasher(key);
  const std::uint8_t* const local = tuple.local.address.bytes().data();
  const std::uint8_t* const remote = tuple.remote.address.bytes().data();
  const std::uint64_t ports = tuple.local.port | std::uint64_t{tuple.remote.port} << 16;
  std::uint64_t words[4];
  if (tuple.local.address.is_v4()) {
    std::memcpy(words, local + 12, 4);
    std::memcpy(reinterpret_cast<std::uint8_t*>(words) + 4, remote + 12, 4);
    hasher.add(words[0]);
    return hasher.finish(ports, 12);
  }
  std::memcpy(words, local, 16);
  std::memcpy(words + 2, remote, 16);
  for (const std::uint64_t word : words) hasher.add(word);
  return hasher.finish(ports, 36);
}

// For what a peer gets to see something of.
inline std::uint64_t tuple_hash(const SipHashKey& key, const FourTuple& tuple) noexcept {
  return tuple_hash<2, 4>(key, tuple);
}

}  // namespace ff
