#include "wire/checksum.hpp"

#include <cstring>

#include "wire/endian.hpp"

namespace ff::wire {
namespace {

// Four 64-bit lanes: one register with AVX2, two with SSE2.
using Lanes = std::uint64_t __attribute__((vector_size(32)));

std::uint64_t load64(const std::uint8_t* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// A 64-bit word as the sum of its 32-bit halves: equal modulo 2^16 - 1, and with room for carries.
constexpr std::uint64_t halves(std::uint64_t word) noexcept { return (word & 0xffffffff) + (word >> 32); }

constexpr std::size_t kVector = sizeof(Lanes);
constexpr std::size_t kBlock = 4 * kVector;

// The sum of the little-endian 32-bit words of whole vectors, which are `size` bytes in all.
//
// A vector lane takes 64 bits at a time. `high` sums the upper halves, which cannot overflow; `all` sums whole words
// modulo 2^64. The sum of the lower halves is then all - 2^32 * high modulo 2^64, which is exact because the sum itself
// is smaller than that. So a vector costs three operations, and never a carry between lanes.
struct LaneSums {
  Lanes all{};
  Lanes high{};

  template <bool kCopy, std::size_t kOffset>
  [[gnu::always_inline]] void add(const std::uint8_t* from, std::uint8_t* to) noexcept {
    Lanes words;
    std::memcpy(&words, from + kOffset, sizeof words);
    if constexpr (kCopy) std::memcpy(to + kOffset, &words, sizeof words);
    all += words;
    high += words >> 32;
  }
  [[gnu::always_inline]] void add(const LaneSums& other) noexcept {
    all += other.all;
    high += other.high;
  }
  [[nodiscard, gnu::always_inline]] std::uint64_t total() const noexcept {
    const Lanes sums = all - (high << 32) + high;
    return sums[0] + sums[1] + sums[2] + sums[3];
  }
};

template <bool kCopy>
[[gnu::always_inline]] inline std::uint64_t sum_vectors(const std::uint8_t* from, std::size_t size,
                                                        std::uint8_t* to) noexcept {
  // Two, so that an addition need not wait for the one before.
  LaneSums even;
  LaneSums odd;
  for (; size >= kBlock; size -= kBlock, from += kBlock) {
    even.add<kCopy, 0>(from, to);
    odd.add<kCopy, kVector>(from, to);
    even.add<kCopy, 2 * kVector>(from, to);
    odd.add<kCopy, 3 * kVector>(from, to);
    if constexpr (kCopy) to += kBlock;
  }
  for (; size > 0; size -= kVector, from += kVector) {
    even.add<kCopy, 0>(from, to);
    if constexpr (kCopy) to += kVector;
  }
  even.add(odd);
  return even.total();
}

// The same compiled for the registers that nearly every machine has but no compiler may assume.
#if defined(__x86_64__) && !defined(__AVX2__)
template <bool kCopy>
[[gnu::target("avx2")]] std::uint64_t sum_vectors_avx2(const std::uint8_t* from, std::size_t size,
                                                       std::uint8_t* to) noexcept {
  return sum_vectors<kCopy>(from, size, to);
}
template <bool kCopy>
std::uint64_t sum_vectors_best(const std::uint8_t* from, std::size_t size, std::uint8_t* to) noexcept {
  return __builtin_cpu_supports("avx2") ? sum_vectors_avx2<kCopy>(from, size, to) : sum_vectors<kCopy>(from, size, to);
}
#else
template <bool kCopy>
std::uint64_t sum_vectors_best(const std::uint8_t* from, std::size_t size, std::uint8_t* to) noexcept {
  return sum_vectors<kCopy>(from, size, to);
}
#endif

// Takes one word of `Word` from the front of what is left.
template <typename Word, bool kCopy>
std::uint64_t take(const std::uint8_t*& from, std::uint8_t*& to) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  from += sizeof word;
  if constexpr (kCopy) {
    std::memcpy(to, &word, sizeof word);
    to += sizeof word;
  }
  return halves(word);
}

// The sum of the little-endian 16-bit words of `bytes`, the last one padded with a zero; small enough to add many of.
template <bool kCopy>
std::uint64_t sum_words(const std::uint8_t* from, std::size_t size, std::uint8_t* to) noexcept {
  std::uint64_t sum = 0;
  std::size_t rest = size;
  if (size >= kBlock) {
    const std::size_t whole = size - size % kVector;
    sum = halves(sum_vectors_best<kCopy>(from, whole, to));
    from += whole;
    if constexpr (kCopy) to += whole;
    rest -= whole;
  }
  for (; rest >= 8; rest -= 8) sum += take<std::uint64_t, kCopy>(from, to);
  if ((size & 4) != 0) sum += take<std::uint32_t, kCopy>(from, to);
  if ((size & 2) != 0) sum += take<std::uint16_t, kCopy>(from, to);
  if ((size & 1) != 0) sum += take<std::uint8_t, kCopy>(from, to);
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

}  // namespace ff::wire
