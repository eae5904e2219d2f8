// Sockets as ss(8) prints them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "firstflight/sockets.hpp"

namespace ff::cli {

struct SsStyle {
  bool numeric = false;       // -n: ports as numbers
  bool timers = false;        // -o
  bool extended = false;      // -e
  bool memory = false;        // -m
  bool info = false;          // -i
  bool one_line = false;      // -O
  bool header = true;         // not -H
  bool show_protocol = true;  // the columns Netid
  bool show_state = true;     // and State
  std::size_t width = 0;      // of the terminal, over which the columns spread; 0: they stand close
  std::string process{};      // -p: what stands in users:((...)); empty: nothing
};

std::string ss_table(const std::vector<SocketInfo>& sockets, const SsStyle& style, Instant now);

// "200ms", "1min": what stands in timer:(on,200ms,0).
std::string ss_duration(Duration duration);
// What -i prints of a connection.
std::string ss_info(const SocketInfo& socket, Instant now);

}  // namespace ff::cli
