#include "tcp/memory.hpp"

#include <algorithm>

#include "tcp/connection.hpp"

namespace ff::tcp {

// ---- of the stack --------------------------------------------------------------------------------------------------

// As Linux's __sk_mem_raise_allocated().
bool Memory::admits_beyond_low(std::uint64_t its, std::uint32_t least, Instant now, const MemoryLimits& limits,
                               Counters& counters) noexcept {
  relax(now, limits, counters);
  if (held.bytes() > std::uint64_t{limits.pressure} * kPage && !under_pressure()) {
    pressure_since_ = now;
    ++episodes_;
    counters.add(Counter::TcpExt_TCPMemoryPressures);
  }
  if (exhausted(limits)) return false;
  if (!under_pressure() || its < least) return true;
  return std::uint64_t{sockets} * ((its + kPage - 1) / kPage) < limits.high;
}

void Memory::relax(Instant now, const MemoryLimits& limits, Counters& counters) noexcept {
  if (!under_pressure() || held.bytes() > std::uint64_t{limits.low} * kPage) return;
  const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(now - *pressure_since_);
  counters.add(Counter::TcpExt_TCPMemoryPressuresChrono, static_cast<std::uint64_t>(lasted.count()));
  pressure_since_.reset();
}

// ---- of a connection -----------------------------------------------------------------------------------------------

std::uint64_t Connection::memory_share() const noexcept { return std::uint64_t{rcv_.memory()} + snd_.queued(); }

bool Connection::memory_to_receive(Context& c) const noexcept {
  const Settings& settings = c.env.settings;
  return c.env.memory.admits(memory_share(), settings.tcp_rmem.min, c.now, settings.tcp_mem, c.env.counters);
}

bool Connection::memory_to_write(Context& c) const noexcept {
  const Settings& settings = c.env.settings;
  return c.env.memory.admits(memory_share(), settings.tcp_wmem.min, c.now, settings.tcp_mem, c.env.counters);
}

// A writer that was refused for want of memory hears when there is some.
bool Connection::retry_write(Context& c) {
  const Observation observation = observe(c);
  if (!waits_for_memory_ || state_ == TcpState::Closed) return true;
  if (!memory_to_write(c)) return false;
  waits_for_memory_ = false;
  tell_writable(c.env);
  return true;
}

// False: `segment` must be dropped, for there is no memory for it; the peer sends it again. As Linux's
// tcp_try_rmem_schedule(): first what this connection holds is packed more densely, then what lies ahead of a gap and
// behind the segment is given up. What an application waits for is taken in any case.
bool Connection::make_room(Context& c, const Segment& segment) {
  if (segment.payload.empty() || memory_to_receive(c)) [[likely]]
    return true;
  const bool in_order = segment.seq == rcv_.nxt();
  if (in_order && rcv_.unread() == 0) return true;
  Counters& counters = c.env.counters;
  counters.add(Counter::TcpExt_PruneCalled);
  compact(c);
  if (memory_to_receive(c)) return true;
  if (rcv_.prune(segment.seq, rcv_.limit(), c.receive_cache) > 0) counters.add(Counter::TcpExt_OfoPruned);
  if (memory_to_receive(c)) return true;
  counters.add(in_order ? Counter::TcpExt_TCPRcvQDrop : Counter::TcpExt_TCPOFODrop);
  counters.drop(DropReason::TcpMemory);
  totals_.rcv_drops += segment.count;
  if (rcv_.unread() > 0) raise(event_bits::kReadable);
  ack_at_once(c);
  return false;
}

void Connection::compact(Context& c) {
  if (const std::uint32_t copied = rcv_.compact(c.env.memory))
    c.env.counters.add(Counter::TcpExt_TCPRcvCollapsed, copied);
}

}  // namespace ff::tcp
