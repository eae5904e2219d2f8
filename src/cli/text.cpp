#include "cli/text.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace ff::cli {

std::string format_bytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 6> kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  // What would be rounded to 1000 belongs to the next unit.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, kUnits[unit]);
}

std::string format_milliseconds(Duration duration) {
  const double value = std::chrono::duration<double, std::milli>(duration).count();
  return fmt::format("{:.{}f} ms", value, value < 10 ? 3 : 1);
}

}  // namespace ff::cli
