// How the benchmarks measure and report: time, and one line of JSON for each figure, which run.py gathers.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "firstflight/time.hpp"

namespace ff::bench {

inline Instant wall_now() noexcept { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

// Processor time of this thread: what work costs that never sleeps, however busy the machine is otherwise.
inline Duration processor_time() noexcept {
  timespec time;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

inline double seconds(Duration duration) noexcept { return std::chrono::duration<double>(duration).count(); }

// `work`: what was done, `who` did it, and how fast.
inline void report(std::string_view work, std::string_view who, double value, std::string_view unit) {
  fmt::print("{{\"work\": \"{}\", \"who\": \"{}\", \"value\": {:.6g}, \"unit\": \"{}\"}}\n", work, who, value, unit);
  std::fflush(stdout);
}

}  // namespace ff::bench
