// The simulator's dice: generators whose every value follows from one number, on every machine and compiler.
#pragma once

#include <cstdint>

#include "base/random.hpp"
#include "firstflight/stack.hpp"
#include "firstflight/time.hpp"

namespace ff::sim {

inline Random random_from(std::uint64_t seed) noexcept { return Random(Seed::from_number(seed).bytes); }

// The seed of the `index`th of several generators that must not resemble each other.
inline std::uint64_t derived_seed(std::uint64_t seed, std::uint64_t index) noexcept {
  return detail::mix64(seed + (index + 1) * detail::kGoldenGamma);
}

// Evenly from `first` to `last`, both included.
inline std::uint64_t between(Random& random, std::uint64_t first, std::uint64_t last) noexcept {
  return first + random.below(last - first + 1);
}
inline Duration between(Random& random, Duration first, Duration last) noexcept {
  return Duration(between(random, static_cast<std::uint64_t>(first.count()), static_cast<std::uint64_t>(last.count())));
}

}  // namespace ff::sim
