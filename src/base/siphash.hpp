// SipHash-2-4 under a secret key, for everything that is indexed or numbered by what a peer chooses (RFC 6528, RFC
// 6056), and the derivation of such keys from one seed.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "firstflight/bytes.hpp"

namespace ff {

struct SipHashKey {
  std::array<std::uint8_t, 16> bytes{};
};

// The eight bytes of the reference implementation's output, read as a little-endian number.
std::uint64_t siphash(const SipHashKey& key, ByteSpan message) noexcept;

// SipHash-c-d, compiled into where it is used: for the few words that a four-tuple is. SipHash-2-4 where a peer sees
// what comes of it; SipHash-1-3, its authors' choice for hash tables, where none does.
template <int kCompressionRounds, int kFinalizationRounds>
class SipHasher {
 public:
  explicit SipHasher(const SipHashKey& key) noexcept {
    std::array<std::uint64_t, 2> k;
    std::memcpy(k.data(), key.bytes.data(), sizeof k);
    v0_ = k[0] ^ 0x736f6d6570736575;
    v1_ = k[1] ^ 0x646f72616e646f6d;
    v2_ = k[0] ^ 0x6c7967656e657261;
    v3_ = k[1] ^ 0x7465646279746573;
  }
  // Eight bytes of the message, read as a little-endian number.
  void add(std::uint64_t word) noexcept {
    v3_ ^= word;
    rounds<kCompressionRounds>();
    v0_ ^= word;
  }
  // `tail`: the bytes left over, at most seven; `size`: of the whole message.
  std::uint64_t finish(std::uint64_t tail, std::size_t size) noexcept {
    add(tail | std::uint64_t{size} << 56);
    v2_ ^= 0xff;
    rounds<kFinalizationRounds>();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  template <int kRounds>
  void rounds() noexcept {
    for (int i = 0; i < kRounds; ++i) {
      v0_ += v1_;
      v2_ += v3_;
      v1_ = std::rotl(v1_, 13) ^ v0_;
      v3_ = std::rotl(v3_, 16) ^ v2_;
      v0_ = std::rotl(v0_, 32) + v3_;
      v2_ += v1_;
      v3_ = std::rotl(v3_, 21) ^ v0_;
      v1_ = std::rotl(v1_, 17) ^ v2_;
      v2_ = std::rotl(v2_, 32);
    }
  }
  std::uint64_t v0_, v1_, v2_, v3_;
};

// Keys for separate purposes out of one secret: knowing one tells nothing of another, or of the secret (keyed BLAKE2b
// of the purpose's name).
std::array<std::uint8_t, 32> derive_secret(std::span<const std::uint8_t, 32> secret, std::string_view purpose) noexcept;
SipHashKey derive_key(std::span<const std::uint8_t, 32> secret, std::string_view purpose) noexcept;

}  // namespace ff
