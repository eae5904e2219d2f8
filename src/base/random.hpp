// A deterministic generator for choices that need to be even, not secret: loss, jitter, back-off, test data. It is
// xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators"), whose state, and so whose seed,
// follows from a few outputs. Therefore never seed it with a secret itself but with derive_secret() of it
// (siphash.hpp).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace ff {
namespace detail {

// SplitMix64's increment and output function: any two inputs, however alike, give unrelated outputs.
inline constexpr std::uint64_t kGoldenGamma = 0x9e3779b97f4a7c15;
constexpr std::uint64_t mix64(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace detail

class Random {
 public:
  explicit Random(std::span<const std::uint8_t, 32> seed) noexcept {
    // Mixing keeps a poor seed (all zeros, a small number) from showing in the first outputs, and the position added
    // before keeps the state from being all zeros, which the generator would never leave.
    for (std::size_t i = 0; i < state_.size(); ++i) {
      std::uint64_t word;
      std::memcpy(&word, seed.data() + 8 * i, sizeof word);
      state_[i] = detail::mix64(word + (i + 1) * detail::kGoldenGamma);
    }
    if ((state_[0] | state_[1] | state_[2] | state_[3]) == 0) state_[0] = 1;
  }

  std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Evenly one of 0 to n - 1; 0 when n is 0.
  std::uint64_t below(std::uint64_t n) noexcept {
    if (n == 0) return 0;
    // Outputs past the last whole multiple of n would favour the small results.
    const std::uint64_t unusable = (UINT64_MAX % n + 1) % n;
    std::uint64_t value = next();
    while (value > UINT64_MAX - unusable) value = next();
    return value % n;
  }

  // True with this probability; never for 0, always for 1.
  bool chance(double probability) noexcept { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace ff
