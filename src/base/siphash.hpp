// SipHash-2-4 under a secret key, for everything that is indexed or numbered by what a peer chooses (RFC 6528, RFC
// 6056), and the derivation of such keys from one seed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "firstflight/bytes.hpp"

namespace ff {

struct SipHashKey {
  std::array<std::uint8_t, 16> bytes{};
};

// The eight bytes of the reference implementation's output, read as a little-endian number.
std::uint64_t siphash(const SipHashKey& key, ByteSpan message) noexcept;

// Keys for separate purposes out of one secret: knowing one tells nothing of another, or of the secret (keyed BLAKE2b
// of the purpose's name).
std::array<std::uint8_t, 32> derive_secret(std::span<const std::uint8_t, 32> secret, std::string_view purpose) noexcept;
SipHashKey derive_key(std::span<const std::uint8_t, 32> secret, std::string_view purpose) noexcept;

}  // namespace ff
