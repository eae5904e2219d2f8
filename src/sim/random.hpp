// The simulator's dice: a small generator whose every value follows from its seed, on every machine and compiler. The
// distributions of <random> are not like that, so the few that are needed are here.
#pragma once

#include <cstdint>

namespace ff::sim {

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) noexcept : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
  constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Evenly from 0 to `bound` - 1; `bound` must not be 0. The high half of a 128-bit product: no division, and a bias
  // below bound / 2^64.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }
  // Evenly from `first` to `last`, both included.
  constexpr std::uint64_t between(std::uint64_t first, std::uint64_t last) noexcept {
    return first + below(last - first + 1);
  }

  // True with the given probability. Draws nothing when the answer is certain, so that an impairment that is switched
  // off does not disturb the fate of packets under the others.
  constexpr bool chance(double probability) noexcept {
    if (probability <= 0) return false;
    if (probability >= 1) return true;
    return static_cast<double>(next() >> 11) * 0x1p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

// The seed of the `index`th of several generators that must not resemble each other.
constexpr std::uint64_t derived_seed(std::uint64_t seed, std::uint64_t index) noexcept {
  return Random(seed ^ Random(index + 1).next()).next();
}

}  // namespace ff::sim
