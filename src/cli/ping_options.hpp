// What `ff ping` was asked for, by whichever of its two ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/common_options.hpp"
#include "firstflight/datagram.hpp"
#include "firstflight/time.hpp"

namespace ff::cli {

struct PingOptions {
  StackOptions stack;
  std::string host;
  std::optional<std::uint64_t> count;
  Duration interval = std::chrono::seconds(1);
  std::uint32_t size = 56;
  Duration timeout = std::chrono::seconds(10);
  std::optional<Duration> deadline;
  std::optional<std::uint8_t> ttl;
  std::uint8_t traffic_class = 0;
  PathMtuDiscovery path_mtu_discovery = PathMtuDiscovery::Want;
  bool quiet = false;
  bool numeric = false;
  bool timestamps = false;
  bool only_v4 = false, only_v6 = false;
  bool hops = false;
  bool json = false;
};

// The exit status of `ff ping --hops`.
int run_hops(const PingOptions& options);

}  // namespace ff::cli
