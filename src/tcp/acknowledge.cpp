// What an acknowledgement means: RFC 9293 §3.10.7.4 "fifth", RFC 6298 (time-out), RFC 5681 and RFC 6582 (loss
// recovery).
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {
constexpr std::uint8_t kDupAckThreshold = 3;  // RFC 5681 §3.2
}

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
  soft_error_.reset();  // the path works again
  more_follows_ = false;
  const bool pure = segment.payload.empty() && !segment.flags.syn() && !segment.flags.fin();
  if (pure) c.env.counters.add(Counter::TcpExt_TCPPureAcks);
  const bool handshake = state_ == TcpState::SynReceived;
  const std::uint32_t window = segment.window.bytes(segment.flags.syn() ? WindowScale{} : snd_.scale());
  const std::uint32_t flight_before = snd_.outstanding();
  if (ecn_.agreed() && (segment.flags.bits & wire::TcpFlags::kEce) != 0 && !segment.flags.syn()) [[unlikely]]
    congestion_echoed(c, after(segment.ack, snd_.una()) ? static_cast<std::uint32_t>(segment.ack - snd_.una()) : 0);

  if (after(segment.ack, snd_.una())) {
    const bool was_syn = handshake;
    const SendHalf::Acknowledged acked = snd_.acknowledge(segment.ack, c.send_cache);
    snd_.update_window(segment.seq, segment.ack, window);
    probes_out_ = probe_backoff_ = 0;
    probes_began_ = Instant{};
    if (was_syn) {
      measure_handshake(c, segment, acked);
    } else {
      measure_rtt(c, segment, acked);
    }
    const std::uint32_t bytes = acked.length - (was_syn ? 1 : 0);
    bytes_acked_ += bytes - (snd_.fin_acknowledged() && bytes > 0 ? 1 : 0);
    retransmits_ = 0;
    if (urgent_ != nullptr) [[unlikely]]
      urgent_->sender.acknowledged(snd_.una());
    if (small_in_flight_ && at_or_before(small_end_, snd_.una())) small_in_flight_ = false;
    if (mtu_probing_ != nullptr) [[unlikely]]
      check_mtu_probe_passed(c);
    if (bytes > 0) advance_recovery(c, bytes, flight_before);
    restart_retransmit_timer(c);
    turn_send_clock(c);
    tell_writable(c.env);
    return;
  }

  const bool window_changed = snd_.update_window(segment.seq, segment.ack, window);
  if (segment.ack == snd_.una()) probes_out_ = 0;
  if (pure && is_duplicate_ack(segment, window_changed)) duplicate_ack(c);
  if (snd_.window() > 0) {
    timers_.cancel(TimerKind::Persist);
    probe_backoff_ = 0;
    probes_began_ = Instant{};
  }
}

// RFC 5681 §2. One whose SACK block lies below the acknowledgement reports a duplicate (RFC 2883), no gap.
bool Connection::is_duplicate_ack(const Segment& segment, bool window_changed) const noexcept {
  if (segment.ack != snd_.una() || snd_.outstanding() == 0) return false;
  const wire::SackBlocks& sack = segment.options.sack;
  if (sack.count > 0) return sack.count > 1 || after(sack.blocks[0].end, segment.ack);
  return !window_changed;
}

void Connection::take_rtt(const Context& c, Duration sample) {
  rtt_.sample(sample);
  if (c.env.trace != nullptr) [[unlikely]]
    c.env.trace->on_event(c.now, tuple_, trace::RttMeasured{sample, rtt_.srtt(), rtt_.rttvar(), rtt_.rto()});
}

// RFC 6298 §2, RFC 7323 §4.1. What was sent more than once is measured by timestamps only (Karn's rule).
void Connection::measure_rtt(Context& c, const Segment& segment, const SendHalf::Acknowledged& acked) {
  if (!acked.retransmitted && acked.first_sent_at != kNever) {
    take_rtt(c, c.now - acked.first_sent_at);
    backoff_ = 0;
    return;
  }
  if (!timestamps_ || !segment.options.timestamps || segment.options.timestamps->echo_reply.raw() == 0) return;
  const std::int32_t ticks = timestamp_at(c.now, ts_offset_) - segment.options.timestamps->echo_reply;
  if (ticks < 0) return;
  take_rtt(c, std::chrono::milliseconds(std::max(ticks, 1)));
  backoff_ = 0;
}

// A SYN or SYN-ACK that went more than once is ambiguous like any segment.
void Connection::measure_handshake(Context& c, const Segment& segment, SendHalf::Acknowledged acked) {
  acked.retransmitted |= syn_retransmitted_;
  measure_rtt(c, segment, acked);
}

// New data was acknowledged: RFC 5681 §3.1, and RFC 6582 §3.2 steps 3 and 5 while recovering.
void Connection::advance_recovery(Context& c, std::uint32_t bytes, std::uint32_t flight_before) {
  const std::uint32_t mss = send_mss();
  c.env.counters.add(Counter::TcpExt_TCPDelivered, (bytes + mss - 1) / mss);
  totals_.delivered += (bytes + mss - 1) / mss;
  retransmit_at_once_ = false;
  switch (phase_) {
    case Phase::Open: {
      dup_acks_ = 0;
      dup_bytes_ = 0;
      const bool used = cwnd_limited_ || (cc_.in_slow_start() && cc_.cwnd() < 2 * flight_before);
      cc_.acknowledged(bytes, mss, used);
      break;
    }
    case Phase::Cwr:
      dup_acks_ = 0;
      dup_bytes_ = 0;
      if (at_or_after(snd_.una(), cwr_end_)) phase_ = Phase::Open;
      break;
    case Phase::Recovery:
      if (at_or_after(snd_.una(), high_)) {
        phase_ = Phase::Open;
        dup_acks_ = 0;
        dup_bytes_ = 0;
        break;
      }
      // A partial acknowledgement: the segment behind the hole that was filled is missing, too. Of what was
      // acknowledged, all but that hole had left the network before, and was counted by duplicate ACKs.
      dup_bytes_ -= std::min(dup_bytes_, bytes > mss ? bytes - mss : 0);
      snd_.mark_first_lost(mss);
      retransmit_at_once_ = true;
      // It was an estimate: segments may have been smaller.
      dup_bytes_ = std::min(dup_bytes_, snd_.outstanding() - snd_.lost());
      c.env.counters.add(Counter::TcpExt_TCPFastRetrans);
      break;
    case Phase::Loss:
      dup_acks_ = 0;
      dup_bytes_ = 0;
      cc_.acknowledged(bytes, mss, true);
      if (at_or_after(snd_.una(), high_)) {
        phase_ = Phase::Open;
        totals_.recovered_from_timeouts(c.now - timeouts_began_);
      }
      break;
  }
}

// RFC 5681 §3.2 and RFC 6582 §3.2 step 2.
void Connection::duplicate_ack(Context& c) {
  const std::uint32_t mss = send_mss();
  if (dup_acks_ < UINT8_MAX) ++dup_acks_;
  // It says that a segment has left the network, which makes room for another (limited transmit, RFC 3042, included).
  const std::uint32_t in_network = snd_.outstanding() - snd_.lost();
  if (phase_ != Phase::Loss) dup_bytes_ = std::min(dup_bytes_ + mss, in_network > mss ? in_network - mss : 0);
  if ((phase_ != Phase::Open && phase_ != Phase::Cwr) || dup_acks_ != kDupAckThreshold) return;
  // Duplicates of retransmissions would look the same: only what was sent after the last recovery began may start
  // another.
  if (before(snd_.una(), high_)) return;
  if (mtu_probe_was_lost(c)) return;
  // Once in a round trip, whatever tells of the congestion (RFC 3168 §6.1.2).
  if (phase_ != Phase::Cwr) cc_.loss_detected(snd_.outstanding(), mss);
  ecn_.window_reduced();
  phase_ = Phase::Recovery;
  high_ = snd_.nxt();
  snd_.mark_first_lost(mss);
  retransmit_at_once_ = true;
  c.env.counters.add(Counter::TcpExt_TCPRenoRecovery);
  c.env.counters.add(Counter::TcpExt_TCPFastRetrans);
}

// RFC 3168 §6.1.2: a mark counts as a loss does, once for all that was in flight.
void Connection::congestion_echoed(Context& c, std::uint32_t bytes) {
  const std::uint32_t mss = send_mss();
  const std::uint32_t segments = (bytes + mss - 1) / mss;
  c.env.counters.add(Counter::TcpExt_TCPDeliveredCE, segments);
  totals_.delivered_ce += segments;
  if (phase_ != Phase::Open) return;
  cc_.loss_detected(snd_.outstanding(), mss);
  ecn_.window_reduced();
  phase_ = Phase::Cwr;
  cwr_end_ = snd_.nxt();
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
