// Quantities as people write them on a command line: "50ms", "100mbit", "1.5%", "64kb". An error is one sentence that
// says what was wrong and what is allowed.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "firstflight/time.hpp"
#include "sim/link.hpp"

namespace ff::sim {

template <typename T>
using Parsed = std::expected<T, std::string>;

// "50ms": a number with a unit (ns, us, ms, s), up to an hour; "0" needs none.
Parsed<Duration> parse_duration(std::string_view text);
// Bits per second. "100mbit": bit, kbit, mbit, gbit (powers of 1000), or a bare number of bit/s; at least 1 bit/s and
// at most 1000 gbit.
Parsed<std::uint64_t> parse_rate(std::string_view text);
// "1.5%", from 0% to 100%; "0" needs no sign. As a number from 0 to 1.
Parsed<double> parse_probability(std::string_view text);
// "64kb": b, kb, mb, gb (powers of 1024, as tc has them).
Parsed<std::uint64_t> parse_bytes(std::string_view text);
// "64kb" (bytes, as above) or "100" or "100p" (packets).
Parsed<QueueLimit> parse_queue_limit(std::string_view text);

// For people to read: "50ms", "1.5s".
std::string format_duration(Duration duration);
// "100mbit"
std::string format_rate(std::uint64_t rate);

}  // namespace ff::sim
