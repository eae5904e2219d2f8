// What a fuzzer holds to be true of every input.
#pragma once

#include <cstdio>
#include <cstdlib>

// Unlike assert(), there in every build.
#define FF_REQUIRE(condition)                                                             \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
