// Quantities for people to read.
#pragma once

#include <cstdint>
#include <string>

#include "firstflight/time.hpp"

namespace ff::cli {

// "612 bytes", "12.3 kB", "1.50 GB": powers of 1000, three digits.
std::string format_bytes(std::uint64_t bytes);
// "200.4 ms", "0.213 ms".
std::string format_milliseconds(Duration duration);

}  // namespace ff::cli
