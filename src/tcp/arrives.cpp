// RFC 9293 §3.10.7.4: a segment arrives in any state but CLOSED, LISTEN and SYN-SENT. One function for each step.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

void Connection::arrives(Context& c, Segment& segment) {
  const Observation observation = observe(c);
  c.env.counters.add(Counter::Tcp_InSegs, segment.count);
  totals_.received(segment, c.now);
  if (state_ == TcpState::SynSent) return arrives_in_syn_sent(c, segment);
  assert(state_ != TcpState::Closed && state_ != TcpState::TimeWait);

  if (asks_again(segment)) {
    c.env.counters.drop(DropReason::TcpOldDuplicate);
    syn_due_ = true;
    return;
  }
  if (check_sequence(c, segment) == Verdict::Done) return;
  if (check_reset(c, segment) == Verdict::Done) return;
  // "third, check security": this stack carries no compartments (RFC 9293 appendix A.1).
  if (check_syn(c, segment) == Verdict::Done) return;
  if (check_ack(c, segment) == Verdict::Done) return;
  if (segment.flags.urg() || urgent_ != nullptr) [[unlikely]]
    check_urgent(c, segment);
  process_text(c, segment);
}

// Our SYN-ACK was lost. A Fast Open client repeats its SYN without the data that we have taken, so that all of it lies
// below the window.
bool Connection::asks_again(const Segment& segment) const noexcept {
  return state_ == TcpState::SynReceived && segment.flags.syn() && !segment.flags.ack() && !segment.flags.rst() &&
         segment.seq == rcv_.irs();
}

// "First, check sequence number", with PAWS before it (RFC 7323 §5.3 R1).
Connection::Verdict Connection::check_sequence(Context& c, Segment& segment) {
  if (check_paws(c, segment) == Verdict::Done) return Verdict::Done;
  if (!rcv_.acceptable(segment.seq, segment.length())) {
    const bool old = before(segment.end(), rcv_.nxt());
    c.env.counters.drop(old ? DropReason::TcpOldDuplicate : DropReason::TcpUnacceptable);
    if (!segment.flags.rst()) answer_unacceptable(c, segment);
    return Verdict::Done;
  }
  update_ts_recent(c, segment);
  return Verdict::Continue;
}

// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply": to a keepalive or window
// probe, or to an old duplicate, of which a DSACK block tells.
void Connection::answer_unacceptable(Context& c, const Segment& segment) {
  if (segment.flags.syn()) return challenge(c);
  if (segment.payload.empty()) {
    // Two sides that find each other's pure ACKs unacceptable must not go on for ever.
    if (may_answer_bare_segment(c)) ack_at_once(c);
    return;
  }
  if (sack_ && before(segment.seq, rcv_.nxt())) {
    const Seq end = segment.seq + segment.payload.size();
    rcv_.note_duplicate(segment.seq, after(end, rcv_.nxt()) ? rcv_.nxt() : end);  // PAWS may refuse what is new in part
    c.env.counters.add(Counter::TcpExt_TCPDSACKOldSent);
  }
  ack_at_once(c);
}

// RFC 7323 §5: a timestamp older than the last one seen marks a segment of an earlier turn of the sequence numbers. A
// RST counts whatever its timestamp (§5.2), and after 24 days of silence the clock itself may have turned (§5.5).
Connection::Verdict Connection::check_paws(Context& c, const Segment& segment) {
  if (!timestamps_ || !segment.options.timestamps || segment.flags.rst()) return Verdict::Continue;
  if (segment.options.timestamps->value - ts_recent_ >= 0) return Verdict::Continue;
  if (peer_clock_may_have_turned(c)) return Verdict::Continue;
  // An ACK that was overtaken by a later one on the way: harmless, and common where packets are reordered (as Linux's
  // tcp_disordered_ack).
  const bool overtaken = segment.length() == 0 && segment.seq == rcv_.nxt() && segment.ack == snd_.una() &&
                         ts_recent_ - segment.options.timestamps->value <= 1000;
  if (overtaken) return Verdict::Continue;
  // So is data that a retransmission for a gap before it overtook: on no path do half of the sequence numbers pass in
  // so short a time. Refused, it would be lost in earnest.
  constexpr std::int32_t kOvertaken = 100;
  if (ts_recent_ - segment.options.timestamps->value <= kOvertaken && rcv_.acceptable(segment.seq, segment.length()))
    return Verdict::Continue;
  c.env.counters.add(Counter::TcpExt_PAWSEstab);
  c.env.counters.drop(DropReason::TcpPaws);
  answer_unacceptable(c, segment);
  return Verdict::Done;
}

// RFC 7323 §4.3 (2): only a segment that covers the last acknowledgement sent may set TS.Recent.
void Connection::update_ts_recent(const Context& c, const Segment& segment) noexcept {
  if (!timestamps_ || !segment.options.timestamps || after(segment.seq, last_ack_sent_)) return;
  const Timestamp value = segment.options.timestamps->value;
  if (value - ts_recent_ < 0 && !peer_clock_may_have_turned(c)) return;
  ts_recent_ = value;
  ts_recent_at_ = c.now;
}

// RFC 7323 §5.5: after 24 days of silence TS.Recent says nothing any more.
bool Connection::peer_clock_may_have_turned(const Context& c) const noexcept {
  return c.now - ts_recent_at_ >= std::chrono::hours(24 * 24);
}

// "Second, check the RST bit", hardened by RFC 5961 §3.2: only the exact number resets.
Connection::Verdict Connection::check_reset(Context& c, const Segment& segment) {
  if (!segment.flags.rst()) return Verdict::Continue;
  if (segment.seq != rcv_.nxt()) {
    // As Linux: with the answer taken off the path, the server's RST comes ahead of its turn.
    if (fast_open_unproven_ && state_ == TcpState::Established) fast_open_swallowed(c);
    c.env.counters.drop(DropReason::TcpResetSequence);
    challenge(c);
    return Verdict::Done;
  }
  switch (state_) {
    case TcpState::SynReceived:
      reset_while_half_open_ = fast_open_child_;
      c.env.counters.add(Counter::Tcp_AttemptFails);
      finish(c, fast_open_child_ ? Error::ConnectionReset : Error::ConnectionRefused);
      break;
    case TcpState::CloseWait:
      finish(c, Error::BrokenPipe);  // as Linux: the peer had closed before
      break;
    default:
      finish(c, Error::ConnectionReset);
      break;
  }
  return Verdict::Done;
}

// "Fourth, check the SYN bit": RFC 5961 §4.2 answers with a challenge ACK, whatever the sequence number; a peer that
// has really lost the connection answers that with the exact RST.
Connection::Verdict Connection::check_syn(Context& c, const Segment& segment) {
  if (!segment.flags.syn()) return Verdict::Continue;
  if (state_ == TcpState::SynReceived && segment.seq == rcv_.irs() && segment.flags.ack()) {
    return Verdict::Continue;  // simultaneous open: the peer's SYN-ACK (RFC 9293 §3.5, Figure 7)
  }
  c.env.counters.add(Counter::TcpExt_TCPSYNChallenge);
  c.env.counters.drop(DropReason::TcpSynInWindow);
  challenge(c);
  return Verdict::Done;
}

// "Fifth, check the ACK field".
Connection::Verdict Connection::check_ack(Context& c, const Segment& segment) {
  if (!segment.flags.ack()) {
    c.env.counters.drop(DropReason::TcpNoAckFlag);
    return Verdict::Done;
  }
  if (state_ == TcpState::SynReceived) {
    // "If SND.UNA < SEG.ACK =< SND.NXT then enter ESTABLISHED", else form a reset.
    if (!after(segment.ack, snd_.iss()) || after(segment.ack, snd_.max_sent())) {
      c.env.counters.drop(DropReason::TcpBadAck);
      reset_in_answer(c, segment);
      return Verdict::Done;
    }
    acknowledged(c, segment);
    if (state_ == TcpState::SynReceived) {
      if (!fast_open_child_) snd_.forget_unacknowledged();  // data in a SYN that crossed another: it goes again
      become_established(c);
    }
    if (snd_.fin_acknowledged()) acknowledged_fin(c, segment);
    return state_ == TcpState::Closed || state_ == TcpState::TimeWait ? Verdict::Done : Verdict::Continue;
  }
  if (check_ack_number(c, segment) == Verdict::Done) return Verdict::Done;
  acknowledged(c, segment);
  if (snd_.fin_acknowledged()) acknowledged_fin(c, segment);
  return state_ == TcpState::Closed || state_ == TcpState::TimeWait ? Verdict::Done : Verdict::Continue;
}

// "Seventh, process the segment text", and with it the eighth step where the FIN is reached.
void Connection::process_text(Context& c, Segment& segment) {
  if (segment.flags.syn()) {
    // As Linux answers the second SYN of a simultaneous open.
    if (segment.flags.ack() && segment.seq == rcv_.irs()) {
      if (sack_) rcv_.note_duplicate(segment.seq, rcv_.nxt());
      ack_at_once(c);
    }
    segment.trim_front(1);
  }
  if (segment.length() == 0) return;
  if (peer_fin_) {
    // Nothing can follow a FIN but that FIN again.
    c.env.counters.drop(after(segment.end(), rcv_.nxt()) ? DropReason::TcpAfterFin : DropReason::TcpOldDuplicate);
    return ack_at_once(c);
  }
  const bool new_data = after(segment.seq + segment.payload.size(), rcv_.nxt()) && !segment.payload.empty();
  // As Linux, who has shut down both directions is as good as closed.
  const bool shut = read_shut_ && (state_ == TcpState::FinWait1 || state_ == TcpState::FinWait2);
  if ((orphaned_ || shut) && new_data && synchronized()) {
    // Nobody will ever read it: say so (RFC 2525 §2.17, RFC 9293 §3.10.7.4 "seventh" for a closed user).
    c.env.counters.add(Counter::TcpExt_TCPAbortOnData);
    c.env.counters.drop(DropReason::TcpAfterClose);
    reset_in_answer(c, segment);
    return finish(c, Error::ConnectionReset);
  }

  const EcnState::Arrival mark = ecn_.agreed() ? ecn_.arrives(segment.flags, segment.ecn) : EcnState::Arrival::Ordinary;
  take_note_of_mark(mark);
  const Seq arrived_first = segment.seq;
  const Seq arrived_end = segment.seq + segment.payload.size();
  if (before(segment.seq, rcv_.nxt())) {
    if (sack_ && !segment.payload.empty()) {
      rcv_.note_duplicate(arrived_first, before(arrived_end, rcv_.nxt()) ? arrived_end : rcv_.nxt());
      c.env.counters.add(Counter::TcpExt_TCPDSACKOldSent);
    }
    segment.trim_front(static_cast<std::uint32_t>(
        std::min<std::int32_t>(rcv_.nxt() - segment.seq, static_cast<std::int32_t>(segment.length()))));
  }
  segment.trim_back(rcv_.nxt() + rcv_.window());
  if (segment.length() == 0) {
    // All of it was there already, or the window is closed.
    c.env.counters.drop(at_or_before(arrived_end, rcv_.nxt()) ? DropReason::TcpOldDuplicate
                                                              : DropReason::TcpUnacceptable);
    return ack_at_once(c);
  }

  if (!make_room(c, segment)) return;
  const ReceiveHalf::Received received =
      rcv_.receive(segment.seq, segment.payload, segment.flags.fin(), c.env.memory, c.receive_cache);
  if (received.dropped || received.pruned) c.env.counters.add(Counter::TcpExt_PruneCalled);
  if (received.pruned) c.env.counters.add(Counter::TcpExt_OfoPruned);
  if (received.dropped) {
    totals_.rcv_drops += segment.count;
    c.env.counters.add(Counter::TcpExt_RcvPruned);
    c.env.counters.add(Counter::TcpExt_TCPOFODrop);
    c.env.counters.drop(DropReason::TcpOutOfOrderFull);
  }
  if (reports_ != nullptr) [[unlikely]]
    reports_->arrived(rcv_.bytes_received(), c.now);
  if (fast_open_unproven_ && (received.delivered > 0 || received.fin)) fast_open_proven(c);
  if (received.merged > 0) c.env.counters.add(Counter::TcpExt_TCPOFOMerge, received.merged);
  if (received.delivered > 0) {
    if (read_shut_) {
      rcv_.discard_unread(c.receive_cache);
    } else {
      raise(event_bits::kReadable);
    }
  }
  if (received.waiting > 0 && sack_) {
    // As Linux: a sender without SACK takes no ACK for a duplicate whose window is another (RFC 5681 §2).
    rcv_.raise_ceiling(received.waiting, c.env.memory);
    adapt_receive_buffer(c, 0);
  }
  if (received.fin) process_fin(c);
  acknowledge_text(c, segment, received);
  if (mark == EcnState::Arrival::SlowedDown) ack_at_once(c);
}

// As Linux: the next two acknowledgements go at once.
void Connection::take_note_of_mark(EcnState::Arrival arrival) noexcept {
  if (arrival != EcnState::Arrival::Mark && arrival != EcnState::Arrival::Repeated) return;
  delayed_ack_.leave_interactive();
  delayed_ack_.be_quick(rcv_.window(), rcv_mss_, 2);
}

// Now or later: RFC 9293 §3.8.6.3, RFC 5681 §4.2.
void Connection::acknowledge_text(Context& c, const Segment& segment, const ReceiveHalf::Received& received) {
  const std::uint32_t size = segment.payload.size() / std::max(segment.count, 1u);
  // Never taken from a single short segment: then the peer's full size would not be known (Linux's rcv_mss).
  if (size >= rcv_mss_) rcv_mss_ = static_cast<std::uint16_t>(std::min<std::uint32_t>(size, path_.mtu));
  if (!received.in_order || received.filled_gap || received.dropped) {
    if (!received.in_order) {
      c.env.counters.add(Counter::TcpExt_TCPOFOQueue);
      totals_.rcv_ooopack += segment.count;
      // A sender without SACK counts duplicate ACKs: one for each segment (RFC 5681 §3.2).
      if (!sack_ && ack_due_ && extra_acks_ < UINT8_MAX) ++extra_acks_;
    }
    delayed_ack_.leave_interactive();
    return ack_at_once(c);
  }
  if (segment.payload.empty() && !received.fin) return;
  if (!segment.payload.empty()) delayed_ack_.data_received(c.now, rto(), rcv_.window(), rcv_mss_);
  const std::int32_t unacknowledged = rcv_.nxt() - ack_edge_;
  const bool full_segments = unacknowledged > rcv_mss_;
  if (full_segments || delayed_ack_.quick() || rcv_.has_gap()) return ack_at_once(c);
  if (!ack_due_ && !timers_.armed(TimerKind::DelayedAck))
    timers_.arm(TimerKind::DelayedAck, c.now + delayed_ack_.delay(rtt_.srtt()));
}

// "Eighth, check the FIN bit": all before it has arrived.
void Connection::process_fin(Context& c) {
  rcv_.advance(1);
  peer_fin_ = true;
  raise(event_bits::kPeerClosed | event_bits::kReadable);
  if (state_ == TcpState::Established) {
    // As Linux: the application may be about to close, too, and its FIN takes the acknowledgement along.
    delayed_ack_.expect_answer();
    return set_state(c, TcpState::CloseWait);
  }
  ack_at_once(c);
  switch (state_) {
    case TcpState::SynReceived:
      break;  // the FIN came with the SYN of a Fast Open; CLOSE_WAIT follows the handshake
    case TcpState::FinWait1:
      set_state(c, TcpState::Closing);
      break;
    case TcpState::FinWait2:
      enter_time_wait(c);
      break;
    default:
      break;
  }
}

void Connection::ack_at_once(Context&) noexcept {
  ack_due_ = true;
  timers_.cancel(TimerKind::DelayedAck);
}

// A segment that may be forged gets an ACK that a real peer can answer; not too often, or two sides could go on for
// ever and a blind attacker could count them (RFC 5961 §7, §10; CVE-2016-5696).
void Connection::challenge(Context& c) {
  if (!may_answer_bare_segment(c) || !c.env.challenge_acks.allow(c.now, c.env.settings.tcp_challenge_ack_limit)) {
    c.env.counters.add(Counter::TcpExt_TCPACKSkippedChallenge);
    return;
  }
  c.env.counters.add(Counter::TcpExt_TCPChallengeACK);
  ack_at_once(c);
}

// Linux's tcp_invalid_ratelimit: one answer in that time.
bool Connection::may_answer_bare_segment(Context& c) noexcept {
  const Duration interval = std::chrono::milliseconds(c.env.settings.tcp_invalid_ratelimit);
  if (answered_at_ != Instant{} && c.now - answered_at_ < interval) return false;
  answered_at_ = c.now;
  return true;
}

}  // namespace ff::tcp
