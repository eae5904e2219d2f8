#include "wire/checksum.hpp"

#include <bit>
#include <cstring>

#include "wire/endian.hpp"

namespace ff::wire {
namespace {

// Four 64-bit lanes: one AVX2 register, or two of SSE2.
using Lanes = std::uint64_t __attribute__((vector_size(32)));

std::uint64_t load64(const std::uint8_t* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// A 64-bit word as the sum of its 32-bit halves: equal modulo 2^16 - 1, and with room for carries.
constexpr std::uint64_t halves(std::uint64_t word) noexcept { return (word & 0xffffffff) + (word >> 32); }

constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
  sum = halves(sum);
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// The sum of the little-endian 32-bit words of `bytes`, the last one padded with zeros; less than 2^36 for every 64
// KiB.
//
// A vector lane takes 64 bits at a time. `high` sums the upper halves, which cannot overflow; `all` sums whole words
// modulo 2^64. The sum of the lower halves is then all - 2^32 * high modulo 2^64, which is exact because the sum itself
// is smaller than that. So a vector costs three operations, and never a carry between lanes.
template <bool kCopy>
std::uint64_t sum_words(const std::uint8_t* from, std::size_t size, std::uint8_t* to) noexcept {
  std::uint64_t sum = 0;
  if (size >= 2 * sizeof(Lanes)) {
    Lanes all[2] = {};
    Lanes high[2] = {};
    do {
      Lanes words[2];
      std::memcpy(words, from, sizeof words);
      if constexpr (kCopy) {
        std::memcpy(to, words, sizeof words);
        to += sizeof words;
      }
      all[0] += words[0];
      all[1] += words[1];
      high[0] += words[0] >> 32;
      high[1] += words[1] >> 32;
      from += sizeof words;
      size -= sizeof words;
    } while (size >= 2 * sizeof(Lanes));
    all[0] += all[1];
    high[0] += high[1];
    for (std::size_t lane = 0; lane < 4; ++lane) sum += all[0][lane] - (high[0][lane] << 32) + high[0][lane];
  }
  while (size >= 8) {
    const std::uint64_t word = load64(from);
    if constexpr (kCopy) {
      std::memcpy(to, &word, 8);
      to += 8;
    }
    sum += halves(word);
    from += 8;
    size -= 8;
  }
  if (size > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, size);
    if constexpr (kCopy) std::memcpy(to, from, size);
    sum += halves(word);
  }
  return sum;
}

}  // namespace

void ChecksumAccumulator::add(ByteSpan bytes) noexcept {
  add_sum(sum_words<false>(bytes.data(), bytes.size(), nullptr), bytes.size());
}

void ChecksumAccumulator::add_and_copy(ByteSpan bytes, std::uint8_t* to) noexcept {
  add_sum(sum_words<true>(bytes.data(), bytes.size(), to), bytes.size());
}

// Behind an odd number of bytes every byte stands in the other half of its 16-bit word (RFC 1071 §2 B).
void ChecksumAccumulator::add_sum(std::uint64_t sum, std::size_t size) noexcept {
  sum_ += odd_ ? __builtin_bswap16(fold(sum)) : halves(sum);
  odd_ ^= size % 2 != 0;
}

void ChecksumAccumulator::add16(std::uint16_t value) noexcept { sum_ += __builtin_bswap16(value); }

void ChecksumAccumulator::add32(std::uint32_t value) noexcept { sum_ += __builtin_bswap32(value); }

void ChecksumAccumulator::add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                                            std::uint8_t protocol, std::uint32_t length) noexcept {
  const std::uint8_t* from = source.bytes().data();
  const std::uint8_t* to = destination.bytes().data();
  if (source.is_v4()) {
    add32(load_be32(from + 12));
    add32(load_be32(to + 12));
  } else {
    sum_ += halves(load64(from)) + halves(load64(from + 8)) + halves(load64(to)) + halves(load64(to + 8));
  }
  add32(length);
  add16(protocol);
}

std::uint16_t ChecksumAccumulator::folded() const noexcept { return __builtin_bswap16(fold(sum_)); }

}  // namespace ff::wire
