#include "tcp/time_wait.hpp"

namespace ff::tcp {

using wire::TcpFlags;

TimeWait::TimeWait(const Connection& connection) noexcept
    : snd_nxt_(connection.snd_nxt()),
      rcv_nxt_(connection.receive_half().nxt()),
      ts_recent_(connection.ts_recent()),
      window_(connection.last_window()),
      timestamps_(connection.timestamps()) {}

// RFC 9293 §3.10.7.4 for TIME-WAIT, RFC 6191 and RFC 1337, in the order of Linux's tcp_timewait_state_process.
TimeWait::Outcome TimeWait::arrives(Environment& env, const Segment& segment) noexcept {
  const bool has_timestamp = timestamps_ && segment.options.timestamps.has_value();
  const bool paws_rejects = has_timestamp && segment.options.timestamps->value - ts_recent_ < 0;

  const bool bare = segment.end() == segment.seq || segment.flags.rst();
  if (!paws_rejects && segment.seq == rcv_nxt_ && bare) {
    if (segment.flags.rst()) {
      if (!env.settings.tcp_rfc1337) return Outcome::Remove;
      // RFC 1337 §3: it may be one of the old connection's, and what it protects from may still be under way.
      env.counters.drop(DropReason::TcpTimeWait);
      return Outcome::Ignore;
    }
    if (has_timestamp) ts_recent_ = segment.options.timestamps->value;
    env.counters.drop(DropReason::TcpTimeWait);
    return Outcome::Restart;
  }
  const bool bare_syn = segment.flags.syn() && !segment.flags.rst() && !segment.flags.ack() && !paws_rejects;
  const bool newer_timestamp = has_timestamp && segment.options.timestamps->value - ts_recent_ > 0;
  if (bare_syn && (after(segment.seq, rcv_nxt_) || newer_timestamp)) return Outcome::NewConnection;

  if (paws_rejects) env.counters.add(Counter::TcpExt_PAWSEstab);
  env.counters.drop(paws_rejects ? DropReason::TcpPaws : DropReason::TcpTimeWait);
  if (segment.flags.rst()) return Outcome::Ignore;
  // Only what could be the peer's, not a stray SYN, makes us wait longer.
  return paws_rejects || segment.flags.ack() ? Outcome::SendAckRestart : Outcome::SendAck;
}

void TimeWait::emit_ack(Instant now, const FourTuple& tuple, const Path& path, std::uint32_t ts_offset,
                        TxPacket& packet) const noexcept {
  SegmentToSend segment;
  segment.seq = snd_nxt_;
  segment.ack = rcv_nxt_;
  segment.flags.bits = TcpFlags::kAck;
  segment.window = window_;
  if (timestamps_) segment.options.timestamps = wire::Timestamps{timestamp_at(now, ts_offset), ts_recent_};
  emit(tuple, path.delivery, segment, UINT32_MAX, packet);
}

}  // namespace ff::tcp
