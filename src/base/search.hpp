// Binary search that begins where the answer was the last time, or where it is likely to be.
#pragma once

#include <algorithm>
#include <cstddef>

namespace ff {

// The first of 0 to size - 1 for which `holds`, or size; it holds for all behind that one, too. What it costs grows
// with the logarithm of the distance from `near`, whatever the size.
template <typename Holds>
[[nodiscard]] std::size_t first_where(std::size_t size, std::size_t near, Holds&& holds) {
  if (size == 0) return 0;
  std::size_t low = 0, high = size;  // the answer lies from low to high
  near = std::min(near, size - 1);
  if (holds(near)) {
    high = near;
    for (std::size_t step = 1; step <= high - low; step *= 2) {
      if (!holds(high - step)) {
        low = high - step + 1;
        break;
      }
      high -= step;
    }
  } else {
    low = near + 1;
    for (std::size_t step = 1; step <= high - low; step *= 2) {
      if (holds(low + step - 1)) {
        high = low + step - 1;
        break;
      }
      low += step;
    }
  }
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace ff
