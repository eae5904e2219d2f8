// A connection with what the stack needs to find it, wake it, let it send and tell of it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "base/timer_wheel.hpp"
#include "firstflight/stack.hpp"
#include "stack/ports.hpp"
#include "tcp/connection.hpp"

namespace ff {

using ListHook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

struct Socket {
  explicit Socket(std::uint32_t its_index) noexcept : index(its_index) {}

  tcp::Connection tcp;
  TimerNode timer;
  ListHook transmit_hook;  // linked: something might be sent
  ListHook event_hook;     // linked: the application has something to hear
  const std::uint32_t index;
  std::uint32_t listener = UINT32_MAX;  // whose it was, while one of the two below holds
  std::uint64_t user_data = 0;
  std::uint8_t events = 0;
  PortUse use;
  bool in_demux = false;
  bool owned = false;                // the application holds a handle
  bool waits_for_accept = false;     // in the listener's accept queue
  bool writer_queued = false;        // waits for memory
  bool lingers = false;              // close() waits (SO_LINGER): one event is still to be told
  bool counts_as_orphan = false;     // against tcp_max_orphans
  bool counts_as_half_open = false;  // against its listener's Fast Open bound

  [[nodiscard]] bool holds_port() const noexcept { return in_demux || use.by_bind; }
};

template <ListHook Socket::* hook>
using SocketList = boost::intrusive::list<Socket, boost::intrusive::member_hook<Socket, ListHook, hook>,
                                          boost::intrusive::constant_time_size<false>>;

}  // namespace ff
