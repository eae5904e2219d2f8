// What the programs in stand-ins/, which scripts run in the place of `nstat`, `ip` and the like, share with the stack:
// while they run, packetdrill waits, so they meet in a directory named after its process. Counters and sockets are
// there to be read at any time; what is asked of the stack is done before the script's next step.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "packetdrill/virtual_host.hpp"

namespace ff::packetdrill {

class StandIns {
 public:
  StandIns();
  ~StandIns();
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;

  // Does what was asked for since.
  void obey(VirtualHost& host);
  // Makes known what has changed since.
  void publish(const Stack& stack, Instant now);

 private:
  void publish_counters(const Stack& stack);
  void publish_sockets(const Stack& stack, Instant now);

  std::array<std::uint64_t, static_cast<std::size_t>(Counter::kCount)> published_{};
  std::string published_sockets_;
};

}  // namespace ff::packetdrill
