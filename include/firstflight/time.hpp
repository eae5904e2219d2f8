// Time as firstflight sees it: the caller's, never the machine's.
#pragma once

#include <chrono>
#include <cstdint>

namespace ff {

using Duration = std::chrono::nanoseconds;

// The clock that every Instant belongs to. It deliberately has no now(): whoever drives a Stack (an event loop, a
// simulator, a test) says what time it is, and may start at any value that is not negative.
struct StackClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<StackClock>;
  static constexpr bool is_steady = true;
};

// A point in time; nanoseconds since an epoch of the driver's choice.
using Instant = StackClock::time_point;

// Later than every instant that can occur: "no deadline".
inline constexpr Instant kNever = Instant::max();

}  // namespace ff
