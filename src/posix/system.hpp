// What all sockets of a table share: the stack, the world around it, and how a call waits.
#pragma once

#include <cerrno>
#include <cstdint>
#include <unordered_map>

#include "firstflight/stack.hpp"
#include "posix/host.hpp"

namespace ff::posix {

class Socket;

// A call that must not block has waited long enough from its beginning.
inline constexpr Instant kAtOnce = Instant::min();

struct System {
  Stack& stack;
  Host& host;
  std::uint64_t changes = 0;  // times that anything happened to a socket
  // Whom events of the stack are for, by user_data.
  std::unordered_map<std::uint64_t, Socket*> sockets{};
  // close() with SO_LINGER: these were closed, and their end is waited for.
  std::unordered_map<std::uint64_t, bool> lingering{};
  std::uint64_t last_id = 0;

  [[nodiscard]] Instant now() { return host.now(); }

  // The one place where calls block: tries until `attempt` says anything but -EAGAIN, or `deadline` has come.
  template <typename Attempt>
  long until(Instant deadline, Attempt&& attempt) {
    for (;;) {
      const std::uint64_t before = changes;
      const long result = attempt();
      if (result != -EAGAIN) return result;
      host.work();  // what was sent so far may have come back already
      if (changes != before) continue;
      if (deadline == kAtOnce || host.now() >= deadline) return -EAGAIN;
      host.sleep_until(deadline);
    }
  }
};

}  // namespace ff::posix
