// `ff ss --metrics`: what a stack remembers of paths, as `ip tcp_metrics show` prints the kernel's.
#pragma once

#include <string>

#include "cli/control_client.hpp"
#include "runtime/known_paths.hpp"

namespace ff::cli {

struct MetricsOptions {
  bool v4 = true, v6 = true;
  bool json = false;
  bool flush = false;
};

// "192.0.2.1 age 2.348sec cwnd 10 rtt 130us rttvar 110us source 192.0.2.2"
std::string metrics_line(const control::KnownPath& path, Instant now);

void show_metrics(ControlClient& client, const MetricsOptions& options);

}  // namespace ff::cli
