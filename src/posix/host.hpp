// What stands around a table of sockets: a clock, somebody who lets the stack work, and a way to sleep. On real time it
// is RealTimeHost; a simulator has one of its own.
#pragma once

#include "firstflight/time.hpp"

namespace ff::posix {

class Host {
 public:
  virtual ~Host() = default;

  [[nodiscard]] virtual Instant now() = 0;
  // What to add to now() to get nanoseconds since 1970.
  [[nodiscard]] virtual Duration wall_clock_offset() = 0;

  // The stack was given commands: sends what is to be sent, and hands on what happens to Sockets::handle().
  virtual void work() = 0;

  // A call that blocks: returns when something may have changed, at `deadline` at the latest. Other threads may use the
  // table meanwhile.
  virtual void sleep_until(Instant deadline) = 0;

  // SIGPIPE: a write to where nobody reads.
  virtual void broken_pipe() = 0;

  // The number of a new descriptor, which nobody else has; negative: an errno. And the end of one.
  virtual int take_number() = 0;
  virtual void give_back_number(int number) noexcept = 0;
};

}  // namespace ff::posix
