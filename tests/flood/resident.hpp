// How much memory a piece of work takes from the machine, counted by the machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace ff::flood {

// Sanitizers keep books of their own in memory, and take their time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

#ifdef NDEBUG
inline constexpr bool kOptimized = true;
#else
inline constexpr bool kOptimized = false;
#endif

// Tests at full size where they are quick, a tenth of it elsewhere.
constexpr std::uint32_t scaled(std::uint32_t count) { return kOptimized && !kSanitized ? count : count / 10; }

// Bytes of this process that are in memory now.
std::int64_t resident_bytes();

struct Grown {
  std::int64_t bytes = 0;  // between the two calls of `mark`; 0 under a sanitizer
  std::string wrong;       // what the work returned
};
// Runs `work` in a child process, so that nothing freed before can hide what it takes. It calls `mark` twice, and
// returns an empty string or what went wrong.
Grown in_fresh_process(const std::function<std::string(const std::function<void()>& mark)>& work);

}  // namespace ff::flood
