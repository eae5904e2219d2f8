// What a stack remembers of the path between two addresses from connections that have ended, for those to come; see
// ip-tcp_metrics(8).
#pragma once

#include <cstdint>

#include "firstflight/address.hpp"
#include "firstflight/time.hpp"

namespace ff {

struct TcpMetrics {
  IpAddress destination{};
  IpAddress source{};
  Instant updated{};             // when the last of them ended
  Duration rtt{};                // zero: not known
  Duration rttvar{};             // zero: not known
  std::uint32_t cwnd = 0;        // segments; 0: not known
  std::uint32_t ssthresh = 0;    // segments; 0: not known, or slow start has met no bound
  std::uint32_t reordering = 0;  // segments by which one was late; 0: none was
};

}  // namespace ff
