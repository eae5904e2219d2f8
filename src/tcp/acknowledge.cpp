// What an acknowledgement means: RFC 9293 §3.10.7.4 "fifth", RFC 2018 and RFC 2883 (SACK), RFC 6298 (time-out). What
// follows from it for the repair of losses is in recovery.cpp.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

// RFC 5961 §5.2: acknowledgements of what was never sent, or of what lies further back than the window ever was, are
// not the peer's.
Connection::Verdict Connection::check_ack_number(Context& c, const Segment& segment) {
  const bool too_new = after(segment.ack, snd_.max_sent());
  const bool too_old = before(segment.ack, snd_.una() - snd_.max_window());
  if (!too_new && !too_old) return Verdict::Continue;
  c.env.counters.drop(DropReason::TcpBadAck);
  challenge(c);
  return Verdict::Done;
}

void Connection::acknowledged(Context& c, const Segment& segment) {
  note_lack_of_data();
  soft_error_.reset();  // the path works again
  more_follows_ = false;
  const bool pure = segment.payload.empty() && !segment.flags.syn() && !segment.flags.fin();
  if (pure) c.env.counters.add(Counter::TcpExt_TCPPureAcks);
  const bool handshake = state_ == TcpState::SynReceived;
  const std::uint32_t window = segment.window.bytes(segment.flags.syn() ? WindowScale{} : snd_.scale());

  Acknowledgement ack;
  ack.arrivals = begin_arrivals(c, segment);
  ack.una_before = snd_.una();
  ack.highest_before = snd_.highest_arrived();
  ack.in_flight_before = in_flight();
  ack.unacked_before = snd_.outstanding();
  ack.counted_before = dup_bytes_;
  ack.advanced = after(segment.ack, snd_.una());
  ack.echoes_mark =
      ecn_.agreed() && (segment.flags.bits & wire::TcpFlags::kEce) != 0 && !segment.flags.syn() && !handshake;
  if (ack.advanced) snd_.acknowledge(segment.ack, ack.arrivals, c.send_cache);
  if (sack_ && segment.options.sack.count > 0) take_sack_blocks(c, segment, ack);
  const bool window_changed = snd_.update_window(segment.seq, segment.ack, window);
  // A sender without SACK goes by duplicates alone (RFC 5681 §2).
  ack.duplicate =
      !sack_ && pure && !window_changed && !ack.advanced && segment.ack == snd_.una() && snd_.outstanding() > 0;

  if (ack.advanced || segment.ack == snd_.una()) probes_out_ = 0;
  if (ack.advanced || snd_.window() > 0) {
    if (!ack.advanced) timers_.cancel(TimerKind::Persist);
    probe_backoff_ = 0;
    probes_began_ = Instant{};
  }
  watch_device(c);
  if (ack.advanced) advance(c, ack, handshake);
  ack.rtt = measure_rtt(c, segment, ack.arrivals);
  recover(c, ack);
  if (!ack.advanced && ack.arrivals.sacked == 0) return;
  if (!recovery_.reneged) restart_retransmit_timer(c);
  schedule_probe(c);
  turn_send_clock(c);
  if (!may_transmit()) check_space(c.env);
}

// What is taken note of whenever SND.UNA moves on.
void Connection::advance(Context& c, const Acknowledgement& ack, bool handshake) {
  const std::uint32_t bytes = ack.arrivals.acked - static_cast<std::uint32_t>(handshake);
  bytes_acked_ += bytes - (snd_.fin_acknowledged() && bytes > 0 ? 1 : 0);
  retransmits_ = 0;
  tail_probe_due_ = false;  // it would ask what this tells
  if (urgent_ != nullptr) [[unlikely]]
    urgent_->sender.acknowledged(snd_.una());
  if (small_in_flight_ && at_or_before(small_end_, snd_.una())) small_in_flight_ = false;
  if (mtu_probing_ != nullptr) [[unlikely]]
    check_mtu_probe_passed(c);
  if (reports_ != nullptr) [[unlikely]]
    if (reports_->acknowledged(snd_.una(), c.now)) raise(event_bits::kError);
}

Arrivals Connection::begin_arrivals(const Context& c, const Segment& segment) const noexcept {
  Arrivals arrivals;
  arrivals.now = c.now;
  arrivals.min_rtt = rtt_.min_rtt();
  if (timestamps_ && segment.options.timestamps && segment.options.timestamps->echo_reply.raw() != 0) {
    // The clock ticks in milliseconds: what went out in the same tick cannot be told from it.
    const std::int32_t ticks = timestamp_at(c.now, ts_offset_) - segment.options.timestamps->echo_reply;
    const Instant tick_began{std::chrono::floor<std::chrono::milliseconds>(c.now.time_since_epoch())};
    arrivals.echo_sent_before = tick_began - std::chrono::milliseconds(ticks - 1);
  }
  return arrivals;
}

// RFC 2018 §5, RFC 2883 §4: the first block may report a duplicate instead.
void Connection::take_sack_blocks(Context& c, const Segment& segment, Acknowledgement& ack) {
  const wire::SackBlocks& sack = segment.options.sack;
  for (std::size_t i = 0; i < sack.count; ++i) {
    const auto& block = sack.blocks[i];
    if (!after(block.end, block.first)) continue;
    if (i == 0 && reports_duplicate(sack, segment.ack)) {
      take_duplicate_report(c, block.first, block.end, segment.ack, ack);
      continue;
    }
    // What lies below is old; what was never sent is nonsense, as is what would cost more memory than any honest
    // receiver needs: it SACKs whole segments.
    if (at_or_before(block.end, snd_.una())) continue;
    if (before(block.first, ack.una_before) || !snd_.sack(block.first, block.end, ack.arrivals))
      c.env.counters.add(Counter::TcpExt_TCPSACKDiscard);
  }
}

bool Connection::reports_duplicate(const wire::SackBlocks& sack, Seq ack) noexcept {
  const auto& first = sack.blocks[0];
  if (before(first.first, ack)) return true;
  return sack.count > 1 && at_or_before(sack.blocks[1].first, first.first) &&
         at_or_before(first.end, sack.blocks[1].end);
}

void Connection::take_duplicate_report(Context& c, Seq first, Seq end, Seq segment_ack, Acknowledgement& ack) {
  const bool in_order = before(first, segment_ack);
  c.env.counters.add(in_order ? Counter::TcpExt_TCPDSACKRecv : Counter::TcpExt_TCPDSACKOfoRecv);
  // What was sent long ago is no business of this recovery; what was never sent, none of anybody's.
  if (after(end, snd_.max_sent()) || before(first, ack.una_before - snd_.max_window())) {
    c.env.counters.add(recovery_.undo.armed() ? Counter::TcpExt_TCPDSACKIgnoredOld
                                              : Counter::TcpExt_TCPDSACKIgnoredNoUndo);
    return;
  }
  ++totals_.dsack_dups;
  ack.duplicate_reported = true;
  ack.duplicate_end = end;
  recovery_.undo.duplicate_reported(end, static_cast<std::uint32_t>(end - first));
}

void Connection::take_rtt(const Context& c, Duration sample) {
  rtt_.sample(sample);
  backoff_ = 0;
  if (c.env.trace != nullptr) [[unlikely]]
    c.env.trace->on_event(c.now, tuple_, trace::RttMeasured{sample, rtt_.srtt(), rtt_.rttvar(), rtt_.rto()});
}

// RFC 6298 §2, RFC 7323 §4.1. What was sent more than once is measured by timestamps only (Karn's rule). Returns the
// sample; zero: there is none.
Duration Connection::measure_rtt(Context& c, const Segment& segment, const Arrivals& arrivals) {
  const Instant oldest = !arrivals.retransmitted && arrivals.first_sent_at != kNever ? arrivals.first_sent_at
                                                                                     : arrivals.first_sacked_sent_at;
  Duration sample{};
  if (oldest != kNever) {
    sample = c.now - oldest;
  } else if (arrivals.acked > 0 && timestamps_ && segment.options.timestamps &&
             segment.options.timestamps->echo_reply.raw() != 0) {
    const std::int32_t ticks = timestamp_at(c.now, ts_offset_) - segment.options.timestamps->echo_reply;
    if (ticks < 0) return sample;
    sample = std::chrono::milliseconds(std::max(ticks, 1));
  } else {
    return sample;
  }
  take_rtt(c, sample);
  return std::max(sample, Duration(1));
}

// A SYN or SYN-ACK that went more than once is ambiguous like any segment.
void Connection::measure_handshake(Context& c, const Segment& segment, Arrivals arrivals) {
  arrivals.retransmitted |= syn_retransmitted_;
  measure_rtt(c, segment, arrivals);
}

void Connection::acknowledged_fin(Context& c, const Segment& segment) {
  end_lingering();
  switch (state_) {
    case TcpState::FinWait1:
      set_state(c, TcpState::FinWait2);
      if (!orphaned_) break;
      if (options().linger2 >= 0) return wait_as_orphan(c);
      c.env.counters.add(Counter::TcpExt_TCPAbortOnData);
      reset_in_answer(c, segment);
      finish(c);
      break;
    case TcpState::Closing:
      enter_time_wait(c);
      break;
    case TcpState::LastAck:
      save_metrics(c);
      finish(c);
      break;
    default:
      break;
  }
}

// RFC 6298 §5.2 and §5.3.
void Connection::restart_retransmit_timer(Context& c) {
  if (snd_.outstanding() == 0) {
    timers_.cancel(TimerKind::Retransmit);
  } else {
    timers_.arm(TimerKind::Retransmit, c.now + rto());
  }
}

}  // namespace ff::tcp
