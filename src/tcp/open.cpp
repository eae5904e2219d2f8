// Beginnings of a connection: RFC 9293 §3.10.1 (OPEN) and §3.10.7.3 (segment arrives in SYN-SENT); RFC 7413 §4.2.
// What came of our own Fast Open is in fast_open.cpp.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {
constexpr Duration kSoonAgain = std::chrono::milliseconds(10);  // Linux's TCP_TIMEOUT_MIN is two ticks
}

void Connection::begin(const FourTuple& tuple, const Path& path, Seq iss, std::uint32_t ts_offset) {
  tuple_ = tuple;
  path_ = path;
  // Not the same for all connections (RFC 6864 §4.3), and nothing that could be told from those of others.
  path_.delivery.identification = static_cast<std::uint16_t>(iss.raw() >> 16 ^ iss.raw());
  ts_offset_ = ts_offset;
  snd_.start(iss);
  recovery_.high = small_end_ = usage_end_ = iss;
}

void Connection::open(Context& c, const ActiveOpen& how, Slice data) {
  const Observation observation = observe(c);
  begin(how.tuple, how.path, how.iss, how.ts_offset);
  adopt(c.env, how.options);
  ts_recent_ = how.ts_recent;
  fast_open_ = how.plan.outcome;
  fast_open_partition_ = how.fast_open_partition;
  fast_open_probe_ = how.plan.probe;
  if (fast_open_ != FastOpenOutcome::NotTried && fast_open_ != FastOpenOutcome::Pending) c.env.counters.end(fast_open_);
  if (how.plan.option) {
    fast_open_option_ = *how.plan.option;
    has_fast_open_option_ = true;
  }
  // Until the SYN-ACK says otherwise, this bounds the data in the SYN (RFC 7413 §4.2.1).
  peer_mss_ = how.plan.mss != 0 ? how.plan.mss : path_.mss(tuple_.local.address.is_v4());
  if (!data.empty()) snd_.write(std::move(data), c.env.memory, c.send_cache);

  const Offer offer = Offer::of(c.env.settings);
  timestamps_ = offer.timestamps;
  sack_ = offer.sack;
  window_scaling_ = offer.window_scaling;
  ecn_.ask(c.env.settings.tcp_ecn == ecn_setting::kAskAndAgree);
  set_state(c, TcpState::SynSent);
  c.env.counters.add(Counter::Tcp_ActiveOpens);

  // With a cookie at hand the SYN waits for the first write; without one there is nothing to wait for (Linux's
  // TCP_FASTOPEN_CONNECT).
  syn_waits_for_write_ = how.fast_open == FastOpenMode::OnFirstWrite && how.plan.may_send_data && snd_.queued() == 0;
  if (how.plan.may_send_data) {
    syn_data_ = syn_data_length();
  }
  syn_due_ = !syn_waits_for_write_;
}

// RFC 7413 §4.2.1: what fits besides all options, as Linux counts it.
std::uint32_t Connection::syn_room() const noexcept {
  const std::uint32_t mss = std::min<std::uint32_t>(peer_mss_, path_.mss(tuple_.local.address.is_v4()));
  constexpr auto kOptions = static_cast<std::uint32_t>(wire::kMaxTcpOptions);
  return mss > kOptions ? mss - kOptions : 0;
}

void Connection::agree(Context& c, const Agreed& agreed) {
  peer_mss_ = agreed.peer_mss;
  timestamps_ = agreed.timestamps;
  sack_ = agreed.sack;
  window_scaling_ = agreed.window_scaling;
  ecn_.agree(agreed.ecn);
  snd_.set_scale(agreed.snd_scale);
  rcv_.set_scale(window_scaling_ ? ReceiveHalf::scale_for(receive_buffer(c)) : WindowScale{});
  if (timestamps_) {
    ts_recent_ = agreed.ts_recent;
    ts_recent_at_ = c.now;
  }
  rtt_.use_rfc793(c.env.settings.tcp_rfc793_rto);
  if (c.env.settings.tcp_mtu_probing == 2) start_mtu_probing(c);
  rcv_mss_ = static_cast<std::uint16_t>(std::min<std::uint32_t>(send_mss(), kDefaultMss));
  // RFC 5681 §3.1 wants one segment after any loss of a SYN. As Linux: not after the first, for a first timeout of one
  // second may be too early on a slow path.
  window_.mss = send_mss();
  window_.cwnd = (retransmits_ > 1 ? 1 : CongestionWindow::kInitialSegments) * window_.mss;
}

void Connection::begin_passive(Context& c, const PassiveOpen& how) {
  begin(how.tuple, how.path, how.iss, how.ts_offset);
  adopt(c.env, how.options);
  syn_retransmitted_ = how.syn_ack_retransmitted;
  retransmits_ = how.syn_ack_timeouts;
  fast_open_ = how.fast_open;
  const BufferSizes buffer = receive_buffer(c);
  rcv_.start(how.irs, ReceiveHalf::initial_window(buffer, path_.mss(tuple_.local.address.is_v4())), buffer);
  agree(c, how.agreed);
  last_ack_sent_ = rcv_.nxt();
  ack_edge_ = rcv_.nxt();
  totals_.last_ack_recv = c.now;
}

void Connection::establish(Context& c, const PassiveOpen& how, Segment& segment) {
  const Observation observation = observe(c);
  begin_passive(c, how);
  snd_.sent(1, {.sent_at = how.syn_ack_sent_at}, c.send_cache);
  Arrivals arrivals = begin_arrivals(c, segment);
  snd_.acknowledge(how.iss + 1, arrivals, c.send_cache);
  measure_handshake(c, segment, arrivals);
  snd_.update_window(segment.seq, segment.ack, segment.window.bytes(snd_.scale()));
  become_established(c);
  process_text(c, segment);
}

void Connection::establish_fast_open(Context& c, const PassiveOpen& how, Segment& syn,
                                     const std::optional<wire::FastOpenOption>& grant) {
  const Observation observation = observe(c);
  begin_passive(c, how);
  fast_open_child_ = true;
  if (grant) {
    fast_open_option_ = *grant;
    has_fast_open_option_ = true;
  }
  use_metrics(c);
  // The window in a SYN is never scaled (RFC 7323 §2.2).
  snd_.update_window(syn.seq, how.iss, syn.window.bytes(WindowScale{}));
  set_state(c, TcpState::SynReceived);
  c.env.counters.add(Counter::Tcp_PassiveOpens);
  syn_data_ = syn.payload.size();
  syn.trim_front(1);
  if (!syn.payload.empty() || syn.flags.fin()) {
    syn.trim_back(rcv_.edge());
    const ReceiveHalf::Received received =
        rcv_.receive(syn.seq, syn.payload, syn.flags.fin(), c.env.memory, c.receive_cache);
    if (received.delivered > 0) raise(event_bits::kReadable);
    if (reports_ != nullptr) reports_->arrived(rcv_.bytes_received(), c.now);
    if (received.fin) process_fin(c);
  }
  syn_due_ = true;
}

void Connection::become_established(Context& c) {
  const bool fin_was_queued = snd_.fin_queued();
  if (state_ != TcpState::SynReceived && state_ != TcpState::SynSent) c.env.counters.add(Counter::Tcp_PassiveOpens);
  if (state_ == TcpState::SynSent && retransmits_ > 0) totals_.recovered_from_timeouts(c.now - timeouts_began_);
  set_state(c, peer_fin_ ? TcpState::CloseWait : TcpState::Established);
  established_once_ = true;
  if (totals_.last_data_recv == Instant{}) totals_.last_data_recv = c.now;  // as Linux
  if (!fast_open_child_) use_metrics(c);
  expand_send_buffer(c.env);
  syn_due_ = false;
  has_fast_open_option_ = false;
  backoff_ = 0;
  retransmits_ = 0;
  timers_.cancel(TimerKind::Retransmit);
  if (snd_.outstanding() > 0) restart_retransmit_timer(c);
  raise(event_bits::kEstablished | event_bits::kWritable);
  start_keepalive(c);
  // close() or shutdown() came before the handshake was over.
  if (fin_was_queued) set_state(c, peer_fin_ ? TcpState::LastAck : TcpState::FinWait1);
}

// ---- RFC 9293 §3.10.7.3: SYN-SENT

void Connection::arrives_in_syn_sent(Context& c, Segment& segment) {
  if (syn_waits_for_write_) return c.env.counters.drop(DropReason::TcpBadAck);  // nothing was sent yet
  if (check_ack_in_syn_sent(c, segment) == Verdict::Done) return;
  if (segment.flags.rst()) {
    // Without an acceptable ACK anybody could have made it up.
    if (!segment.flags.ack()) return c.env.counters.drop(DropReason::TcpResetSequence);
    c.env.counters.add(Counter::Tcp_AttemptFails);
    return finish(c, Error::ConnectionRefused);
  }
  if (!segment.flags.syn()) return c.env.counters.drop(DropReason::TcpFlags);
  Offer offer = Offer::of(c.env.settings);
  offer.ecn = ecn_.asked();
  const BufferSizes buffer = receive_buffer(c);
  rcv_.start(segment.seq, ReceiveHalf::initial_window(buffer, path_.mss(tuple_.local.address.is_v4())), buffer);
  ack_edge_ = rcv_.nxt();
  agree(c, Agreed::of(offer, segment, tuple_.local.address.is_v4()));
  if (segment.flags.ack()) {
    connected_by_syn_ack(c, segment);
  } else {
    simultaneous_open(c, segment);
  }
}

// "First, check the ACK bit".
Connection::Verdict Connection::check_ack_in_syn_sent(Context& c, const Segment& segment) {
  if (!segment.flags.ack()) return Verdict::Continue;
  const bool of_this_syn = after(segment.ack, snd_.iss()) && at_or_before(segment.ack, snd_.max_sent());
  // RFC 7323 §3.2: the echo of a timestamp that we have not sent gives an old SYN-ACK away.
  bool echo_plausible = true;
  if (of_this_syn && timestamps_ && segment.options.timestamps && segment.options.timestamps->echo_reply.raw() != 0) {
    const Timestamp echo = segment.options.timestamps->echo_reply;
    echo_plausible = echo - timestamp_at(syn_sent_at_, ts_offset_) >= 0 && echo - timestamp_at(c.now, ts_offset_) <= 0;
    if (!echo_plausible) c.env.counters.add(Counter::TcpExt_PAWSActive);
  }
  if (of_this_syn && echo_plausible) return Verdict::Continue;
  c.env.counters.drop(DropReason::TcpBadAck);
  // The peer holds an old connection with this four-tuple, which our RST, or its own, ends: as Linux, the SYN goes
  // again soon, once.
  if (!of_this_syn && retransmits_ == 0)
    timers_.arm(TimerKind::Retransmit, std::min(timers_[TimerKind::Retransmit], c.now + kSoonAgain));
  if (!segment.flags.rst()) reset_in_answer(c, segment);
  return Verdict::Done;
}

void Connection::connected_by_syn_ack(Context& c, Segment& segment) {
  fast_open_answered(c, segment);
  Arrivals arrivals = begin_arrivals(c, segment);
  snd_.acknowledge(segment.ack, arrivals, c.send_cache);
  measure_handshake(c, segment, arrivals);
  bytes_acked_ += arrivals.acked - 1;
  if (reports_ != nullptr) [[unlikely]]
    if (reports_->acknowledged(snd_.una(), c.now)) raise(event_bits::kError);
  // Data in the SYN that is not acknowledged goes out again right away (RFC 7413 §4.2.1).
  if (snd_.outstanding() > 0) repeat_without_congestion(snd_.outstanding());
  snd_.update_window(segment.seq, segment.ack, segment.window.bytes(WindowScale{}));
  const bool writer_waits = write_refused_;
  become_established(c);
  if (writer_waits && snd_.outstanding() == 0) {
    // As Linux: his bytes save an acknowledgement.
    delayed_ack_.await_write(c.now, rcv_.window(), rcv_mss_);
    timers_.arm(TimerKind::DelayedAck, c.now + DelayedAck::kMaxDelay);
  } else {
    ack_at_once(c);
  }

  // RFC 9293 §3.10.7.3: "If there are other controls or text in the segment, then continue processing".
  segment.trim_front(1);
  if (segment.length() > 0) process_text(c, segment);
}

// RFC 9293 §3.5, Figure 7. Data in either SYN waits: it is sent, or sent again, once the connection is established.
void Connection::simultaneous_open(Context& c, const Segment& segment) {
  snd_.update_window(segment.seq, segment.ack, segment.window.bytes(WindowScale{}));
  has_fast_open_option_ = false;
  if (fast_open_ == FastOpenOutcome::Pending) end_fast_open(c, FastOpenOutcome::DataNotAcked);
  set_state(c, TcpState::SynReceived);
  syn_due_ = true;
}

}  // namespace ff::tcp
