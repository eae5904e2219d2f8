#include "firstflight/seed.hpp"

#include "base/random.hpp"

namespace ff {

Seed Seed::from_number(std::uint64_t number) noexcept {
  Seed seed;
  for (std::size_t i = 0; i < seed.bytes.size(); ++i) {
    if (i % 8 == 0) number += detail::kGoldenGamma;
    seed.bytes[i] = static_cast<std::uint8_t>(detail::mix64(number) >> (8 * (i % 8)));
  }
  return seed;
}

}  // namespace ff
