// The simulation swarm: one number picks a network, its faults, the settings of the hosts and the work they do. While
// it runs, invariants are checked after every event; then the network is healed, and everything must come to its proper
// end.
#pragma once

#include <cstdint>
#include <string>

#include "sim/conversation.hpp"

namespace ff::sim {

struct SwarmResult {
  std::string failure;   // what went wrong, or empty
  std::string scenario;  // what the seed picked, for people to read
  std::uint64_t packets = 0;
  std::uint64_t steps = 0;
  std::uint64_t conversations = 0;
  std::uint64_t by_fast_open = 0;  // of these, such whose data rode in the SYN
};

struct SwarmOptions {
  std::uint64_t seed = 1;
  std::string capture{};  // a pcapng file to write, or none
  Sabotage sabotage = Sabotage::None;
};

SwarmResult run_swarm(const SwarmOptions& options);

}  // namespace ff::sim
