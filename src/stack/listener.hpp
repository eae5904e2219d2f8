// A listener: who may connect, who waits to be accepted, and its bounds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/ring.hpp"
#include "firstflight/stack.hpp"
#include "stack/socket.hpp"

namespace ff {

struct Listener {
  explicit Listener(std::uint32_t its_index) noexcept : index(its_index) {}

  const std::uint32_t index;
  ListenOptions options;
  std::uint32_t accept_limit = 0;         // min(backlog, somaxconn)
  std::uint32_t fast_open_limit = 0;      // 0: Fast Open is off
  std::uint32_t requests = 0;             // in its SYN queue
  std::uint32_t fast_open_half_open = 0;  // connections by Fast Open whose handshake is not complete
  Ring<std::uint32_t> accept_queue;       // indices of connections
  Ring<RequestId> held_requests;          // nobody was told of them yet; some may be gone
  Ring<Instant> fast_open_reset_until;    // RFC 7413 §5.1: places kept busy after a RST, until when
  ListHook event_hook;

  // As Linux's sk_acceptq_is_full: one more than the limit fits.
  [[nodiscard]] bool accept_queue_full() const noexcept { return accept_queue.size() > accept_limit; }

  // Whether one more connection may be half-open by Fast Open; frees places whose time is over.
  bool fast_open_has_room(Instant now) noexcept {
    if (fast_open_half_open + fast_open_reset_until.size() < fast_open_limit) return true;
    if (fast_open_reset_until.empty() || fast_open_reset_until.front() > now) return false;
    fast_open_reset_until.pop_front();
    return true;
  }
  // TCP_DEFER_ACCEPT as Linux counts it: SYN-ACKs that such a time holds.
  [[nodiscard]] std::uint8_t deferred_timeouts() const noexcept {
    std::uint8_t timeouts = 0;
    for (std::uint32_t period = 1, timeout = 1; options.options.defer_accept > 0; period += timeout) {
      ++timeouts;
      timeout = std::min(timeout * 2, 120u);
      if (period >= options.options.defer_accept || timeouts == UINT8_MAX) break;
    }
    return timeouts;
  }
  static constexpr Duration kResetHold = std::chrono::seconds(60);  // as Linux
};

}  // namespace ff
