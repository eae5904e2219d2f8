#include "base/siphash.hpp"

#include <sodium.h>

#include <cstring>

namespace ff {

std::uint64_t siphash(const SipHashKey& key, ByteSpan message) noexcept {
  static_assert(crypto_shorthash_siphash24_KEYBYTES == sizeof key.bytes);
  static_assert(crypto_shorthash_siphash24_BYTES == sizeof(std::uint64_t));
  std::array<std::uint8_t, crypto_shorthash_siphash24_BYTES> output;
  crypto_shorthash_siphash24(output.data(), message.data(), message.size(), key.bytes.data());
  std::uint64_t hash;
  std::memcpy(&hash, output.data(), sizeof hash);
  return hash;
}

std::array<std::uint8_t, 32> derive_secret(std::span<const std::uint8_t, 32> secret,
                                           std::string_view purpose) noexcept {
  std::array<std::uint8_t, 32> derived;
  crypto_generichash_blake2b(derived.data(), derived.size(), reinterpret_cast<const unsigned char*>(purpose.data()),
                             purpose.size(), secret.data(), secret.size());
  return derived;
}

SipHashKey derive_key(std::span<const std::uint8_t, 32> secret, std::string_view purpose) noexcept {
  const auto derived = derive_secret(secret, purpose);
  SipHashKey key;
  std::memcpy(key.bytes.data(), derived.data(), key.bytes.size());
  return key;
}

}  // namespace ff
