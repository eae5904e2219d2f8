// What a stack remembers of paths, in whichever of its caches: what Linux has in one table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "firstflight/stack.hpp"

namespace ff::control {

struct KnownPath {
  TcpMetrics metrics;              // of a path that only Fast Open knows, but the addresses and the time: nothing
  std::uint16_t fo_mss = 0;        // 0: not known
  std::string fo_cookie;           // hexadecimal; empty: none
  std::uint32_t fo_syn_drops = 0;  // in a row
  std::uint64_t fo_partition = 0;
};

std::vector<KnownPath> known_paths(const Stack& stack, Instant now);

}  // namespace ff::control
