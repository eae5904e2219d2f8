// Where a stack's randomness comes from: the driver hands it over once, at the start.
#pragma once

#include <array>
#include <cstdint>

namespace ff {

// All the randomness a stack uses: initial sequence numbers, port choice, hash keys, the default Fast Open key.
struct Seed {
  std::array<std::uint8_t, 32> bytes{};
  static Seed from_number(std::uint64_t number) noexcept;
};

}  // namespace ff
