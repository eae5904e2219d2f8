// How losses are found and repaired: RFC 5681 and RFC 6582 where the peer has no SACK, else RFC 6675's scoreboard with
// RACK-TLP (RFC 8985), Proportional Rate Reduction (RFC 6937), F-RTO (RFC 5682), and undoing what was none (RFC 3522,
// RFC 3708). The states are those of RFC 5681 and Linux: CaState.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {
// RFC 8985 §7.2: how long the peer may wait with the acknowledgement of a single segment.
constexpr Duration kWorstDelayedAck = std::chrono::milliseconds(200);
// As Linux with a clock of 1000 Hz: a peer takes its time, too.
constexpr Duration kProbeMargin = std::chrono::milliseconds(2);
constexpr Duration kProbeWithoutRtt = std::chrono::seconds(1);
// As Linux: so long a receiver that seems to have thrown away what it SACKed may take to think better of it.
constexpr Duration kRenegingPatience = std::chrono::milliseconds(10);
}  // namespace

// ---- an acknowledgement -------------------------------------------------------------------------------------------

void Connection::recover(Context& c, const Acknowledgement& ack) {
  const Arrivals& arrivals = ack.arrivals;
  const std::uint32_t lost_before = snd_.lost();
  const std::uint32_t mss = send_mss();
  recovery_.send_new_first = false;
  if (arrivals.arrived > 0) {
    const std::uint32_t segments = (arrivals.arrived - (ack.una_before == snd_.iss() ? 1 : 0) + mss - 1) / mss;
    c.env.counters.add(Counter::TcpExt_TCPDelivered, segments);
    totals_.delivered += segments;
    if (ack.echoes_mark) {
      c.env.counters.add(Counter::TcpExt_TCPDeliveredCE, segments);
      totals_.delivered_ce += segments;
    }
  }
  rack_.update(arrivals);
  if (arrivals.original && before(arrivals.lowest_original, ack.highest_before))
    see_reordering(c, Counter::TcpExt_TCPSACKReorder, arrivals.lowest_original, ack.highest_before);
  if (ack.duplicate_reported) rack_.duplicate_reported(snd_.una(), snd_.nxt());
  if (recovery_.probe_end) [[unlikely]]
    judge_probe(c, ack);

  const bool nothing_new = recovery_.state == CaState::Open && arrivals.sacked == 0 && !ack.duplicate &&
                           !ack.duplicate_reported && !ack.echoes_mark && snd_.sacked() == 0;
  if (!nothing_new) [[unlikely]]
    alert(c, ack);

  const std::uint32_t newly_lost = snd_.lost() > lost_before ? snd_.lost() - lost_before : 0;
  note_loss(c, newly_lost);
  steer_window(c, ack, newly_lost);
}

// Something points to a loss, or one is being repaired. In the order of Linux's tcp_fastretrans_alert().
void Connection::alert(Context& c, const Acknowledgement& ack) {
  if (snd_.reneged()) [[unlikely]] {
    if (!recovery_.reneged) {
      recovery_.reneged = true;
      timers_.arm(TimerKind::Retransmit, c.now + std::max(rtt_.srtt() / 2, kRenegingPatience));
    }
    return;
  }
  recovery_.reneged = false;
  if (recovery_.state != CaState::Open && at_or_after(snd_.una(), recovery_.high) && leave_state(c, ack)) return;

  switch (recovery_.state) {
    case CaState::Recovery:
      if (ack.advanced) {
        undo_partly(c, ack);
      } else if (ack.duplicate) {
        count_duplicate();
      }
      if (recovery_.undo.all_were_duplicates()) {
        undo(c, Counter::TcpExt_TCPDSACKUndo);
        set_recovery_state(CaState::Open);
      }
      find_losses(c, ack);
      if (recovery_.state == CaState::Recovery) return;
      break;
    case CaState::Loss:
      after_timeout(c, ack);
      find_losses(c, ack);
      if (recovery_.state == CaState::Loss) return;
      break;
    default:
      if (ack.advanced) dup_acks_ = 0, dup_bytes_ = 0;
      if (ack.duplicate) count_duplicate();
      if (recovery_.state != CaState::Cwr && recovery_.undo.all_were_duplicates())
        undo(c, Counter::TcpExt_TCPDSACKUndo);
      find_losses(c, ack);
      break;
  }
  if (snd_.lost() == 0) return stay_open(c, ack);
  if (mtu_probe_was_lost(c)) return;
  enter_recovery(c, ack.echoes_mark, ack.unacked_before);
}

// All that was in flight when the state was entered is acknowledged. True when there is nothing more to do.
bool Connection::leave_state(Context& c, const Acknowledgement& ack) {
  switch (recovery_.state) {
    case CaState::Cwr:
      // Not before the peer has seen CWR in what was sent since (as Linux).
      if (snd_.una() == recovery_.high && ecn_.agreed()) return false;
      end_reduction(c);
      set_recovery_state(CaState::Open);
      return false;
    case CaState::Recovery:
      if (may_undo(ack)) {
        undo(c, Counter::TcpExt_TCPFullUndo);
      } else {
        rack_.recovered();
      }
      dup_acks_ = 0;
      dup_bytes_ = 0;
      // Duplicates of retransmissions would look like a loss (RFC 6582 §3.2 step 1).
      if (!sack_ && snd_.una() == recovery_.high) return true;
      end_reduction(c);
      set_recovery_state(CaState::Open);
      return false;
    default:
      return false;
  }
}

// RFC 5681 §3.2: how the sender without SACK learns what has left the network.
void Connection::count_duplicate() noexcept {
  const std::uint32_t mss = send_mss();
  if (dup_acks_ < UINT8_MAX) ++dup_acks_;
  const std::uint32_t in_network = snd_.outstanding() - snd_.lost();
  dup_bytes_ = std::min(dup_bytes_ + mss, in_network > mss ? in_network - mss : 0);
}

void Connection::find_losses(Context& c, const Acknowledgement& ack) {
  if (sack_) {
    detect_losses(c);
    return;
  }
  // RFC 5681 §3.2, and RFC 6582 §3.2 step 3: behind the hole that was filled the next segment is missing, too.
  const std::uint32_t mss = send_mss();
  const bool hole = recovery_.state < CaState::Recovery && dup_acks_ >= dup_thresh(c);
  const bool next_hole = recovery_.state == CaState::Recovery && ack.advanced;
  if (!hole && !next_hole) return;
  if (next_hole) {
    // Of what was acknowledged, all but the hole had left the network before, and was counted by duplicates.
    dup_bytes_ -= std::min(dup_bytes_, ack.arrivals.acked > mss ? ack.arrivals.acked - mss : 0);
  }
  snd_.mark_first_lost(mss);
  dup_bytes_ = std::min(dup_bytes_, snd_.outstanding() - snd_.lost());
}

// RFC 5681 §3.2's three, or more where segments are known to be late by more, as far as dup_acks_ counts.
std::uint32_t Connection::dup_thresh(const Context& c) const noexcept {
  return std::min<std::uint32_t>(std::max<std::uint32_t>(c.env.settings.tcp_reordering, rack_.reordering()), UINT8_MAX);
}

// How long something may be on its way while what was sent later arrives.
Duration Connection::reordering_patience(const Context& c) const noexcept {
  const std::uint32_t settings = c.env.settings.tcp_recovery;
  const auto by_count = [&] {
    return (settings & recovery_setting::kNoDupThresh) == 0 && snd_.has_sacked_segments(dup_thresh(c), send_mss());
  };
  const bool impatient = recovery_.state >= CaState::Recovery || by_count();
  const bool fixed = (settings & recovery_setting::kFixedWindow) != 0;
  return rack_.rtt() + rack_.reordering_window(impatient, fixed, rtt_.min_rtt(), rtt_.srtt());
}

// RFC 8985 §6.2 step 5.
void Connection::detect_losses(Context& c) {
  timers_.cancel(TimerKind::Reorder);
  if (!rack_.known() || snd_.outstanding() == 0) return;
  const Duration patience = reordering_patience(c);
  const Scoreboard::Detected detected = snd_.detect_losses(rack_.sent_at(), rack_.end(), c.now - patience);
  if (detected.may_come) timers_.arm(TimerKind::Reorder, *detected.may_come + patience);
  if (detected.repeats_lost > 0) {
    const std::uint32_t mss = send_mss();
    c.env.counters.add(Counter::TcpExt_TCPLostRetransmit, (detected.repeats_lost + mss - 1) / mss);
  }
}

// What begins at `late` came after what ends at `highest`: so late it was, as Linux counts.
void Connection::see_reordering(Context& c, Counter counter, Seq late, Seq highest) {
  const auto extent = static_cast<std::uint32_t>(std::max(highest - late, 0));
  const std::uint32_t mss = send_mss();
  rack_.see_reordering((extent + mss - 1) / mss);
  c.env.counters.add(counter);
  ++totals_.reord_seen;
}

// Nothing is known to be lost: RFC 3168 §6.1.2's reaction to a mark, or none.
void Connection::stay_open(Context& c, const Acknowledgement& ack) {
  if (ack.echoes_mark) return congestion_echoed(c, ack.unacked_before);
  if (recovery_.state == CaState::Cwr || recovery_.state >= CaState::Recovery) return;
  const bool disorder = snd_.sacked() > 0 || dup_acks_ > 0;
  set_recovery_state(disorder ? CaState::Disorder : CaState::Open);
}

// ---- states -------------------------------------------------------------------------------------------------------

void Connection::set_recovery_state(CaState state) noexcept { recovery_.state = state; }

// RFC 5681 §3.2, RFC 6937 §3: once in a round trip, whatever tells of the congestion.
// `flight`: what was not acknowledged when that became known (RFC 5681 §3.1, FlightSize).
void Connection::begin_reduction(const Context& c, Congestion why, std::uint32_t flight) {
  recovery_.high = snd_.nxt();
  recovery_.probe_end.reset();
  recovery_.prr.start(window_.cwnd);
  window_.mss = send_mss();
  window_.ssthresh = congestion_control(c).ssthresh(window_, {c.now, why, flight});
  window_.counted = 0;
  ecn_.window_reduced();
}

void Connection::end_reduction(const Context& c) {
  CongestionControl& control = congestion_control(c);
  control.recovered(window_);
  if (!control.steers_alone() && window_.ssthresh < CongestionWindow::kLargest &&
      (recovery_.state == CaState::Cwr || recovery_.undo.armed()))
    window_.cwnd = std::max(window_.ssthresh, window_.mss);
  recovery_.undo.end();
}

void Connection::enter_recovery(Context& c, bool echoes_mark, std::uint32_t flight) {
  c.env.counters.add(sack_ ? Counter::TcpExt_TCPSackRecovery : Counter::TcpExt_TCPRenoRecovery);
  // What a mark has reduced stays so.
  const bool marked = echoes_mark || recovery_.state == CaState::Cwr;
  recovery_.undo.begin(snd_.una(), marked ? 0 : window_.cwnd, marked ? 0 : window_.ssthresh, snd_.resent_in_flight());
  if (recovery_.state != CaState::Cwr) begin_reduction(c, Congestion::Loss, flight);
  recovery_.high = snd_.nxt();
  set_recovery_state(CaState::Recovery);
}

// RFC 3168 §6.1.2: a mark counts as a loss does, once for all that was in flight.
void Connection::congestion_echoed(Context& c, std::uint32_t flight) {
  if (recovery_.state >= CaState::Cwr) return;
  recovery_.undo.end();
  begin_reduction(c, Congestion::Mark, flight);
  set_recovery_state(CaState::Cwr);
}

// RFC 5681 §3.1, after RFC 6298 §5.4's time-out.
void Connection::enter_loss(Context& c) {
  const bool first = recovery_.state < CaState::Loss || at_or_after(snd_.una(), recovery_.high);
  const bool new_recovery = recovery_.state < CaState::Recovery;
  const std::uint32_t lost_before = snd_.lost();
  if (recovery_.reneged || snd_.reneged()) {
    c.env.counters.add(Counter::TcpExt_TCPSACKReneging);
    snd_.forget_sacked();
    recovery_.reneged = false;
    snd_.mark_all_lost();
  } else if (sack_ && rack_.known()) {
    // What was sent a moment ago is not lost yet; all else is, whatever arrived (RFC 8985 §6.3).
    snd_.mark_lost_if_sent_by(c.now - reordering_patience(c));
    snd_.mark_first_lost(send_mss());
    timers_.cancel(TimerKind::Reorder);
  } else {
    snd_.mark_all_lost();
  }
  dup_acks_ = 0;
  dup_bytes_ = 0;
  window_.mss = send_mss();
  if (new_recovery || (first && retransmits_ == 0)) {
    recovery_.undo.begin(snd_.una(), window_.cwnd, window_.ssthresh, snd_.resent_in_flight());
    window_.ssthresh = congestion_control(c).ssthresh(window_, {c.now, Congestion::Timeout, snd_.outstanding()});
    ecn_.window_reduced();
  }
  if (snd_.lost() > lost_before) note_loss(c, snd_.lost() - lost_before);
  window_.cwnd = in_flight() + window_.mss;
  window_.counted = 0;
  recovery_.probe_end.reset();
  recovery_.frto = c.env.settings.tcp_frto != 0 && (new_recovery || retransmits_ > 0) &&
                   (mtu_probing_ == nullptr || !mtu_probing_->under_way());
  recovery_.high = snd_.nxt();
  set_recovery_state(CaState::Loss);
}

// The first `length` bytes were too big for the path: they go again in smaller pieces, with the window as it is.
void Connection::repeat_without_congestion(std::uint32_t length) {
  dup_acks_ = 0;
  dup_bytes_ = 0;
  snd_.mark_first_lost(length);
  recovery_.undo.end();
  recovery_.frto = false;
  recovery_.high = snd_.nxt();
  window_.cwnd = std::max(window_.cwnd, in_flight() + window_.mss);
  set_recovery_state(CaState::Loss);
}

// An acknowledgement after a time-out: was it needless? RFC 5682 §3.1, the version with SACK.
void Connection::after_timeout(Context& c, const Acknowledgement& ack) {
  const bool recovered = at_or_after(snd_.una(), recovery_.high);
  if (ack.advanced && may_undo(ack)) return undo_timeout(c, false);
  if (recovery_.frto) {
    // Step 3b: something arrived that was sent only once, although a time-out calls it lost.
    // Without SACK it may have arrived long ago, and be acknowledged only now that the hole before it is filled.
    if (ack.arrivals.original && before(ack.arrivals.lowest_original, recovery_.high) &&
        (sack_ || !ack.arrivals.retransmitted))
      return undo_timeout(c, true);
    if (after(snd_.nxt(), recovery_.high)) {
      // Step 3a: nothing but duplicates followed. It was a loss.
      if (ack.arrivals.sacked > 0 || ack.duplicate) recovery_.frto = false;
    } else if (ack.advanced && !recovered) {
      recovery_.high = snd_.nxt();
      // Step 2b: new data tells.
      if (snd_.unsent() > 0 && snd_.usable_window() > 0) {
        recovery_.send_new_first = true;
        return;
      }
      recovery_.frto = false;
    }
  }
  if (recovered) {
    if (may_undo(ack)) return undo_timeout(c, false);
    rack_.recovered();
    totals_.recovered_from_timeouts(c.now - timeouts_began_);
    congestion_control(c).recovered(window_);
    recovery_.undo.end();
    set_recovery_state(CaState::Open);
  }
}

// ---- what was none ------------------------------------------------------------------------------------------------

bool Connection::may_undo(const Acknowledgement& ack) const noexcept {
  return recovery_.undo.all_were_duplicates() || recovery_.undo.was_only_late(ack.arrivals.echo_sent_before);
}

// The window is what it was before it was reduced.
void Connection::undo(Context& c, Counter counter) {
  c.env.counters.add(counter);
  window_.cwnd = std::max(window_.cwnd, recovery_.undo.prior_cwnd());
  window_.ssthresh = std::max(window_.ssthresh, recovery_.undo.prior_ssthresh());
  congestion_control(c).undone(window_);
  recovery_.undo.end();
}

// RFC 3522 in the middle of a recovery: what fills the hole was sent before any retransmission.
void Connection::undo_partly(Context& c, const Acknowledgement& ack) {
  if (!recovery_.undo.was_only_late(ack.arrivals.echo_sent_before)) return;
  see_reordering(c, Counter::TcpExt_TCPTSReorder, ack.una_before, snd_.highest_arrived());
  snd_.unmark_lost();
  dup_acks_ = 0;  // they told of what is acknowledged now
  dup_bytes_ = 0;
  undo(c, Counter::TcpExt_TCPPartialUndo);
  set_recovery_state(CaState::Open);
}

void Connection::undo_timeout(Context& c, bool by_frto) {
  snd_.unmark_lost();
  undo(c, Counter::TcpExt_TCPLossUndo);
  if (by_frto) c.env.counters.add(Counter::TcpExt_TCPSpuriousRTOs);
  retransmits_ = 0;
  totals_.recovered_from_timeouts(c.now - timeouts_began_);
  set_recovery_state(CaState::Open);
}

// ---- tail loss probe: RFC 8985 §7 ---------------------------------------------------------------------------------

// Of the last segments of a flight no duplicates tell: so that their loss need not wait for the time-out.
void Connection::schedule_probe(Context& c) {
  const Instant former = timers_[TimerKind::LossProbe];
  timers_.cancel(TimerKind::LossProbe);
  if (!sack_ || c.env.settings.tcp_early_retrans == 0 || !synchronized()) return;
  if (snd_.outstanding() == 0 || snd_.sacked() > 0 || recovery_.probe_end) return;
  if (recovery_.state != CaState::Open && recovery_.state != CaState::Cwr) return;
  // From the last transmission on: an acknowledgement of what was sent before it says nothing of its path.
  Instant due = c.now + kProbeWithoutRtt;
  if (rtt_.measured()) {
    const bool single = snd_.outstanding() <= send_mss();
    const Duration margin = std::max(rtt_.srtt(), single ? kWorstDelayedAck : kProbeMargin);
    due = std::max(last_sent_ + rtt_.srtt() + margin, c.now + kProbeMargin);
  }
  // An acknowledgement that comes when one of the last would be due, and is none, gives no more time to it.
  if (c.now > last_sent_ + rtt_.srtt() + rtt_.srtt() / 4) due = std::min(due, former);
  timers_.arm(TimerKind::LossProbe, std::min(due, timers_[TimerKind::Retransmit]));
}

void Connection::probe_timeout(Context& c) {
  if (snd_.outstanding() == 0 || recovery_.probe_end) return;
  tail_probe_due_ = true;
  timers_.arm(TimerKind::Retransmit, c.now + rto());
}

// §7.4: a probe that repeated data, and hid its loss, counts as a loss all the same.
void Connection::judge_probe(Context& c, const Acknowledgement& ack) {
  const Seq end = *recovery_.probe_end;
  if (before(snd_.una(), end)) return;
  const bool reported = ack.duplicate_reported && at_or_after(ack.duplicate_end, end);
  const bool both_arrived = reported || (!ack.advanced && ack.arrivals.sacked == 0);
  const bool hid_a_loss = recovery_.probe_repeated && !both_arrived;
  if (hid_a_loss && (!ack.advanced || snd_.una() == end)) return;  // a report may still follow
  recovery_.probe_end.reset();
  if (!hid_a_loss) return;
  c.env.counters.add(Counter::TcpExt_TCPLossProbeRecovery);
  if (recovery_.state >= CaState::Cwr) return;
  begin_reduction(c, Congestion::Loss, ack.unacked_before);
  set_recovery_state(CaState::Cwr);
  end_reduction(c);
  set_recovery_state(CaState::Open);
}

// A segment has been overtaken for as long as reordering may take.
void Connection::reorder_timeout(Context& c) {
  const std::uint32_t lost_before = snd_.lost();
  detect_losses(c);
  const std::uint32_t lost = snd_.lost();
  if (lost > lost_before) {
    note_loss(c, lost - lost_before);
    if (recovery_.state < CaState::Recovery) enter_recovery(c, false, snd_.outstanding());
    if (recovery_.state == CaState::Recovery && !congestion_control(c).steers_alone())
      window_.cwnd = recovery_.prr.window(send_mss(), in_flight(), window_.ssthresh, send_mss(), false);
  }
  if (snd_.outstanding() > 0) timers_.arm(TimerKind::Retransmit, c.now + rto());
}

}  // namespace ff::tcp
