// Two interfaces of lwIP back to back in memory, and the same work as that of FirstflightPair.
//
// Debian builds lwIP with threads and a 64 KiB window. Its "raw" callbacks called from a single thread, its timers run
// by that thread and its own thread never started, is the quickest way to use that build: no locks are waited for and
// no messages are passed.
#pragma once

#include <cstdint>
#include <memory>

#include "firstflight/time.hpp"

namespace ff::bench {

// lwIP's state is global: there is at most one of these in a process.
class LwipPair {
 public:
  LwipPair();
  ~LwipPair();

  // As FirstflightPair::move(); lwIP copies what is written, because this build cannot do otherwise.
  Duration move(std::uint64_t bytes, bool verify);

  // Opens and closes `count` connections, one after the other. With `keep_time_waits` the closed ones stay in TIME_WAIT
  // as they would; otherwise each is removed at once.
  Duration connect_and_close(std::uint64_t count, bool keep_time_waits);
  void forget_time_waits();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ff::bench
