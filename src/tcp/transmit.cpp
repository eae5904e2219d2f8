// What a connection sends now: control first, then what is lost, then what is new, then probes and acknowledgements.
// Each function here makes at most one (super-)segment.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

using wire::TcpFlags;

namespace {
// How large a window may be, as Linux, when memory is scarce and the reader is slow.
constexpr std::uint32_t kSegmentsUnderPressure = 4;
}  // namespace

bool Connection::may_transmit() const noexcept {
  return syn_due_ || ack_due_ || probe_due_ || keepalive_due_ || tail_probe_due_ || snd_.lost() > 0 ||
         (may_send_data() && (snd_.unsent() > 0 || snd_.fin_unsent()));
}

bool Connection::transmit(Context& c, TxPacket& packet) {
  const Observation observation = observe(c);
  if (state_ == TcpState::Closed || state_ == TcpState::TimeWait) return false;
  const bool sent = transmit_segment(c, packet);
  if (reports_ != nullptr && sent) [[unlikely]]
    if (reports_->sent(snd_.nxt(), c.now, packet)) raise(event_bits::kError);
  if (!sent || !may_transmit()) check_space(c.env);
  turn_send_clock(c);
  return sent;
}

bool Connection::transmit_segment(Context& c, TxPacket& packet) {
  if (syn_due_) return transmit_syn(c, packet);
  if (state_ == TcpState::SynSent) return false;
  if (may_send_data()) {
    if (!held_by_pacing(c)) {
      if (recovery_.send_new_first && transmit_new(c, packet)) return true;
      if (transmit_lost(c, packet) || transmit_new(c, packet)) return true;
    }
    if (transmit_tail_probe(c, packet)) return true;
  }
  return transmit_probe(c, packet) || transmit_ack(c, packet);
}

// The first SYN or SYN-ACK, and each repetition. Only the first carries data and a Fast Open option (RFC 7413
// §4.1.3.1, as Linux): what took offence at them on the path must not keep the connection from coming about.
bool Connection::transmit_syn(Context& c, TxPacket& packet) {
  syn_due_ = false;
  const bool first = snd_.nxt() == snd_.iss();
  const bool syn_ack = state_ == TcpState::SynReceived;
  const bool v4 = tuple_.local.address.is_v4();

  SegmentToSend segment;
  segment.seq = snd_.iss();
  segment.flags.bits = TcpFlags::kSyn;
  segment.options.mss = path_.mss(v4);
  segment.options.sack_permitted = sack_;
  if (window_scaling_) segment.options.window_scale = ReceiveHalf::scale_for(receive_buffer(c));
  if (timestamps_) segment.options.timestamps = wire::Timestamps{timestamp_at(c.now, ts_offset_), ts_recent_};
  if (has_fast_open_option_ && first) segment.options.fast_open = fast_open_option_;
  if (syn_ack) {
    segment.flags.bits |= TcpFlags::kAck;
    if (ecn_.agreed()) segment.flags.bits |= TcpFlags::kEce;
    segment.ack = rcv_.nxt();
    const std::uint32_t window = std::min<std::uint32_t>(rcv_.window(), 65535);
    segment.window = WireWindow::of(window, WindowScale{});
    ack_went_out();
  } else {
    // RFC 3168 §6.1.1.1: a box on the path may drop a SYN for its flags.
    if (ecn_.asked() && (first || !c.env.settings.tcp_ecn_fallback)) segment.flags.bits |= kEcnSetup;
    segment.window = WireWindow::of(ReceiveHalf::initial_window(receive_buffer(c), path_.mss(v4)), WindowScale{});
    if (first && syn_data_ > 0) {
      syn_data_ = snd_.gather(snd_.iss() + 1, syn_data_, packet);
      bytes_sent_ += syn_data_;
      c.env.counters.add(Counter::TcpExt_TCPOrigDataSent);
    }
  }
  last_window_ = segment.window;

  if (first) {
    record_sent(c, 1 + (syn_ack ? 0 : syn_data_), c.send_cache, !syn_ack && ends_with_push(snd_.iss() + 1 + syn_data_));
    syn_sent_at_ = c.now;
  } else {
    syn_retransmitted_ = true;
    ++total_retrans_;
    c.env.counters.add(Counter::Tcp_RetransSegs);
    c.env.counters.add(Counter::TcpExt_TCPSynRetrans);
  }
  if (!timers_.armed(TimerKind::Retransmit)) timers_.arm(TimerKind::Retransmit, c.now + rto());
  c.env.counters.add(Counter::Tcp_OutSegs);
  totals_.sent(1, packet.payload_size > 0);
  emit(tuple_, path_.delivery, segment, UINT32_MAX, packet);
  return true;
}

// ---- how much

// Payload of a full segment: RFC 9293 §3.7.1, RFC 6691. A peer whose window never holds two segments gets smaller ones
// (as Linux's tcp_bound_to_half_wnd), or silly-window avoidance would stop the flow.
std::uint32_t Connection::send_mss() const noexcept {
  std::uint32_t mss = std::min<std::uint32_t>(peer_mss_, path_.mss(tuple_.local.address.is_v4()));
  if (mtu_probing_ != nullptr) [[unlikely]]
    mss = std::min<std::uint32_t>(mss, mtu_probing_->low() - header_overhead(tuple_.local.address.is_v4()));
  const std::uint32_t options = timestamps_ ? kTimestampsSize : 0;
  mss = mss > options + 8 ? mss - options : 8;
  const std::uint32_t largest = snd_.max_window();
  const std::uint32_t cutoff = largest > kDefaultMss ? largest / 2 : largest;
  return cutoff > 0 && mss > cutoff ? std::max(cutoff, 48u) : mss;
}

// Payload of the largest super-segment, in whole segments.
std::uint32_t Connection::max_payload() const noexcept {
  const std::uint32_t mss = send_mss();
  // The device cuts nothing, or would have one urgent pointer for what needs many.
  if (path_.max_super_segment <= path_.mtu || sends_urgent()) return mss;
  const std::uint32_t header = header_overhead(tuple_.local.address.is_v4()) + (timestamps_ ? kTimestampsSize : 0);
  std::uint32_t room = path_.max_super_segment > header ? path_.max_super_segment - header : 0;
  // As Linux's tcp_bound_to_half_wnd(): a window should hold two, or the sender would wait for all of it to be read.
  if (snd_.max_window() > kDefaultMss) room = std::min(room, snd_.max_window() / 2);
  return room > mss ? room - room % mss : mss;
}

// How much goes out at once, in whole segments: as Linux's tcp_tso_autosize(), about a millisecond's worth of what the
// connection sends, or more where the other end is near.
std::uint32_t Connection::burst(const Settings& settings) const noexcept {
  const std::uint32_t mss = send_mss();
  const std::uint32_t most = max_payload();
  if (most == mss) return mss;
  if (const std::uint64_t rate = bounded_rate(window_.pacing_rate); rate != 0)
    return std::min(most, Pacer::quantum(rate, mss));
  if (!rtt_.measured()) return most;
  const auto near =
      static_cast<std::uint64_t>(rtt_.min_rtt() / std::chrono::microseconds(1)) >> settings.tcp_tso_rtt_log;
  std::uint64_t bytes = sending_rate(settings) >> 10;
  if (near < 32) bytes += std::uint64_t{65536} >> near;
  const std::uint64_t segments = std::max<std::uint64_t>(bytes / mss, settings.tcp_min_tso_segs);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(segments * mss, most));
}

// And of new data: as Linux's tcp_cwnd_test(), two bursts to a congestion window at least, so that acknowledgements of
// one clock out the other.
std::uint32_t Connection::new_burst(const Settings& settings) const noexcept {
  const std::uint32_t mss = send_mss();
  return std::min(burst(settings), std::max(window_.cwnd / mss / 2 * mss, mss));
}

// The end of a write, unless more is said to follow; or a cut.
bool Connection::ends_with_push(Seq end) const noexcept {
  if (end == snd_.fin_seq()) return !unpushed_;
  const SendHalf::Cut* const cut = snd_.cut_behind(end - 1u);
  return cut != nullptr && cut->at == end && cut->push;
}

// What is believed to be in the network (RFC 6675 "pipe").
std::uint32_t Connection::in_flight() const noexcept {
  // The SYN-ACK of a Fast Open was sent without regard to the window.
  const std::uint32_t gone = snd_.lost() + snd_.sacked() + dup_bytes_ + (snd_.una() == snd_.iss() ? 1 : 0);
  return snd_.outstanding() > gone ? snd_.outstanding() - gone : 0;
}

std::uint32_t Connection::congestion_room() const noexcept {
  const std::uint32_t flight = in_flight();
  return window_.cwnd > flight ? window_.cwnd - flight : 0;
}

// Nagle's algorithm (RFC 9293 §3.7.4) in Minshall's variant, as Linux: only another small segment in flight holds one
// back.
bool Connection::nagle_holds(std::uint32_t tail) const noexcept {
  if (tail == 0 || snd_.fin_queued() || sends_urgent() || pushed_out_) return false;
  return corked_ || more_follows_ || (!no_delay_ && small_in_flight_);
}

// As Linux's tcp_chrono: a window that shuts out the next segment, or a buffer that is full of what is in flight
// already.
void Connection::turn_send_clock(const Context& c) noexcept {
  auto limit = SendClock::Limit::Idle;
  if (const std::uint32_t unsent = snd_.unsent(); snd_.queued() > 0) {
    limit = SendClock::Limit::Busy;
    if (unsent == 0 && write_refused_ && !cwnd_used_up_) {
      limit = SendClock::Limit::SendBuffer;
    } else if (const std::uint32_t next = std::min(unsent, send_mss());
               unsent > 0 && synchronized() && next > snd_.usable_window() && next <= congestion_room()) {
      limit = SendClock::Limit::ReceiveWindow;
    }
  }
  totals_.send_clock.turn(limit, c.now);
}

// As Linux's tcp_tso_should_defer(): an acknowledgement that is about to come makes more of the windows, of which
// `room` is left now, than a small burst beside one that has just gone.
bool Connection::worth_waiting(const Context& c, std::uint32_t room) const noexcept {
  constexpr Duration kSoon = std::chrono::milliseconds(1);
  const std::uint32_t unsent = snd_.unsent();
  if (unsent <= send_mss() || snd_.outstanding() == 0 || recovery_.state >= CaState::Recovery) return false;
  if (c.now - last_sent_ > kSoon || room >= burst(c.env.settings)) return false;
  const SendHalf::Cut* const cut = snd_.cut_behind(snd_.nxt());
  const std::uint32_t packet = cut == nullptr ? unsent : static_cast<std::uint32_t>(cut->at - snd_.nxt());
  if ((cut != nullptr || snd_.fin_queued()) && room >= packet) return false;
  const std::uint32_t divisor = c.env.settings.tcp_tso_win_divisor;
  if (divisor != 0 && room >= std::min(snd_.window(), window_.cwnd) / divisor) return false;
  const Duration until_ack = snd_.first_sent_at() + rtt_.srtt() - c.now;
  return until_ack <= std::min(rtt_.srtt() / 2, kSoon);
}

// How much new data one segment may carry now: sender's silly-window avoidance (RFC 9293 §3.8.6.2.1), congestion
// window, Nagle.
std::uint32_t Connection::sendable_length(const Context& c, std::uint32_t window) noexcept {
  const std::uint32_t unsent = snd_.unsent();
  const std::uint32_t mss = send_mss();
  if (std::min(unsent, mss) > window) return 0;
  std::uint32_t room = congestion_room();
  // Segments follow the peer's largest window, and may have grown beyond a small congestion window since: with nothing
  // in flight, no acknowledgement would ever open it.
  if (in_flight() == 0) room = std::max(room, mss);
  if (room < std::min(unsent, mss)) {
    cwnd_limited_ = true;
    return 0;
  }
  std::uint32_t length = std::min({unsent, window, room, new_burst(c.env.settings)});
  if (length < unsent && length == room) cwnd_limited_ = true;
  if (worth_waiting(c, std::min(window, room))) {
    cwnd_limited_ |= room < window;
    return 0;
  }
  if (const std::uint32_t uncut = snd_.uncut(snd_.nxt(), length); uncut < length) return uncut;
  const std::uint32_t tail = length % mss;
  if (tail == 0) return length;
  // A short segment only at the end of what was written.
  if (length < unsent || nagle_holds(tail)) length -= tail;
  return length;
}

// ---- data

bool Connection::transmit_lost(Context& c, TxPacket& packet) {
  if (snd_.lost() == 0) return false;
  const std::uint32_t mss = send_mss();
  const std::uint32_t room = congestion_room();
  // Segments may have grown beyond a small window since: see sendable_length().
  if (room < mss && in_flight() > 0) return false;
  const std::uint32_t limit = std::min(std::max(room - room % mss, mss), burst(c.env.settings));
  // What the peer's window took back since must wait (RFC 9293 §3.8.6: a shrunken window), but for one byte's probe.
  const Seq window_end = snd_.una() + std::max(snd_.window(), 1u);
  const auto lost = snd_.first_lost(limit, mss);
  if (!lost) return false;
  if (at_or_before(window_end, lost->first)) return false;
  SendHalf::Stretch stretch = *lost;
  stretch.length = std::min(stretch.length, static_cast<std::uint32_t>(window_end - stretch.first));

  stretch.length = snd_.uncut(stretch.first, stretch.length);
  const Seq end = stretch.first + stretch.length;
  const bool fin = snd_.fin_queued() && after(end, snd_.fin_seq());
  const std::uint32_t gathered = snd_.gather(stretch.first, stretch.length, packet);
  // More pieces than a packet holds: the rest goes with the next.
  const std::uint32_t data = stretch.length - static_cast<std::uint32_t>(fin);
  if (gathered < data) stretch.length = gathered;
  if (stretch.length == 0) return false;
  std::uint8_t flags = TcpFlags::kAck;
  const bool all = stretch.first + stretch.length == end;
  if (fin && all) flags |= TcpFlags::kFin;
  if (gathered > 0 && (gathered > mss || snd_.pushed_at(stretch.first + stretch.length))) flags |= TcpFlags::kPsh;
  record_resent(c, stretch, gathered);

  const std::uint32_t segments = std::max(1u, (gathered + mss - 1) / mss);
  if (recovery_.state == CaState::Loss) {
    c.env.counters.add(Counter::TcpExt_TCPSlowStartRetrans, segments);
  } else {
    c.env.counters.add(Counter::TcpExt_TCPFastRetrans, segments);
  }
  if (!timers_.armed(TimerKind::Retransmit)) timers_.arm(TimerKind::Retransmit, c.now + rto());
  emit_segment(c, stretch.first, flags, packet);
  return true;
}

bool Connection::transmit_new(Context& c, TxPacket& packet) {
  const std::uint32_t unsent = snd_.unsent();
  const bool fin_unsent = snd_.fin_unsent();
  if ((unsent == 0 && !fin_unsent) || (snd_.lost() > 0 && !recovery_.send_new_first)) return false;
  // RFC 9293 §3.8.6: before the handshake is over a Fast Open server is bound by the window of the SYN.
  const std::uint32_t window = snd_.usable_window();
  if (snd_.outstanding() == 0 && std::min(unsent, send_mss()) <= window) begin_flight(c);

  if (mtu_probing_ != nullptr) [[unlikely]] {
    const MtuProbe probe = transmit_mtu_probe(c, packet);
    if (probe != MtuProbe::None) return probe == MtuProbe::Sent;
  }
  cwnd_limited_ = false;
  std::uint32_t length = unsent > 0 ? sendable_length(c, window) : 0;
  if (cwnd_limited_) note_window_use();
  if (unsent > 0 && length == 0) {
    // Nothing in flight would ever bring an acknowledgement that opens the window: probe it.
    const bool shut = std::min(unsent, send_mss()) > window;
    // As Linux: the probe timer also sees to it that a cork holds a short segment for 200 ms at most.
    if ((shut || corked_ || more_follows_) && snd_.outstanding() == 0 && !timers_.armed(TimerKind::Persist))
      timers_.arm(TimerKind::Persist, c.now + backed_off(base_rto(), probe_backoff_));
    return false;
  }
  const std::uint32_t wanted = length;
  length = snd_.gather(snd_.nxt(), length, packet);
  const bool last = length == unsent;
  const bool fin = fin_unsent && last && window > length && (length > 0 || window > 0);
  if (length == 0 && !fin) {
    if (snd_.outstanding() == 0 && !timers_.armed(TimerKind::Persist))
      timers_.arm(TimerKind::Persist, c.now + backed_off(base_rto(), probe_backoff_));
    return false;
  }

  const Seq seq = snd_.nxt();
  std::uint8_t flags = TcpFlags::kAck;
  // As Linux: what is cut up is pushed as a whole, so that the receiver's stack does not wait for more to merge with
  // it. So is what had to end because it lies in too many places.
  const bool pushed = length > 0 && ends_with_push(snd_.nxt() + length);
  if (pushed || length > send_mss() || length < wanted) flags |= TcpFlags::kPsh;
  if (fin) flags |= TcpFlags::kFin;
  // RFC 3168 §6.1.5: only what is sent for the first time may be marked; were it repeated data, a mark in it could be
  // forged, and its loss would go unnoticed.
  const bool may_be_marked = ecn_.agreed() && length > 0;
  if (may_be_marked) flags |= ecn_.flags_for_new_data();
  const std::uint32_t mss = send_mss();
  const bool first_time = seq == snd_.max_sent();
  record_sent(c, length + static_cast<std::uint32_t>(fin), c.send_cache, pushed);
  note_window_use();
  if (length % mss != 0 && first_time) {
    small_in_flight_ = true;
    small_end_ = snd_.nxt();
  }
  if (length > 0) {
    delayed_ack_.data_sent(c.now);
    bytes_sent_ += length;
    c.env.counters.add(Counter::TcpExt_TCPOrigDataSent, (length + mss - 1) / mss);
  }
  last_sent_ = c.now;
  timers_.cancel(TimerKind::Persist);
  if (!timers_.armed(TimerKind::Retransmit)) timers_.arm(TimerKind::Retransmit, c.now + rto());
  if (snd_.outstanding() > 0) schedule_probe(c);
  emit_segment(c, seq, flags, packet, may_be_marked ? wire::Ecn::Ect0 : wire::Ecn::NotEct);
  return true;
}

// Something goes out for the first time.
void Connection::record_sent(const Context& c, std::uint32_t length, SendHalf::WorkCache& cache, bool pushed) {
  Transmission how = rate_.transmission(c.now, in_flight() + length, length);
  how.pushed = pushed;
  how.mss = static_cast<std::uint16_t>(send_mss());
  snd_.sent(length, how, cache);
  if (recovery_.reduces_window()) recovery_.prr.sent(length);
  pacer_.sent(c.now, length, pacing_rate(c.env.settings));
}

// And this not.
void Connection::record_resent(Context& c, const SendHalf::Stretch& stretch, std::uint32_t payload) {
  Transmission how = rate_.transmission(c.now, in_flight() + stretch.length, stretch.length);
  how.mss = static_cast<std::uint16_t>(send_mss());
  snd_.resent(stretch, how);
  if (recovery_.reduces_window()) recovery_.prr.sent(stretch.length);
  pacer_.sent(c.now, stretch.length, pacing_rate(c.env.settings));
  recovery_.undo.resent(stretch.length, c.now);
  const std::uint32_t mss = send_mss();
  const std::uint32_t segments = std::max(1u, (payload + mss - 1) / mss);
  total_retrans_ += segments;
  bytes_retrans_ += payload;
  c.env.counters.add(Counter::Tcp_RetransSegs, segments);
}

// RFC 8985 §7.3: new data if the peer's window has room, whatever the congestion window says; else the last segment
// again.
bool Connection::transmit_tail_probe(Context& c, TxPacket& packet) {
  if (!tail_probe_due_) return false;
  tail_probe_due_ = false;
  if (snd_.outstanding() == 0) return false;
  const std::uint32_t mss = send_mss();
  const std::uint32_t fresh = std::min(snd_.unsent(), mss);
  recovery_.probe_repeated = fresh == 0 || fresh > snd_.usable_window();
  std::uint8_t flags = TcpFlags::kAck;
  Seq seq = snd_.nxt();
  if (recovery_.probe_repeated) {
    const SendHalf::Stretch last = snd_.last_segment(mss);
    // The window may have shrunk since.
    if (last.first != snd_.una() && at_or_after(last.first, snd_.una() + snd_.window())) return false;
    const std::uint32_t payload = snd_.gather(last.first, last.length, packet);
    if (snd_.fin_queued() && after(last.first + last.length, snd_.fin_seq())) flags |= TcpFlags::kFin;
    if (payload > 0 && snd_.pushed_at(last.first + last.length)) flags |= TcpFlags::kPsh;
    record_resent(c, last, payload);
    seq = last.first;
  } else {
    const std::uint32_t length = snd_.gather(seq, snd_.uncut(seq, fresh), packet);
    const bool pushed = ends_with_push(seq + length);
    if (pushed) flags |= TcpFlags::kPsh;
    record_sent(c, length, c.send_cache, pushed);
    bytes_sent_ += length;
    c.env.counters.add(Counter::TcpExt_TCPOrigDataSent);
  }
  c.env.counters.add(Counter::TcpExt_TCPLossProbes);
  last_sent_ = c.now;
  recovery_.probe_end = snd_.nxt();
  timers_.arm(TimerKind::Retransmit, c.now + rto());
  emit_segment(c, seq, flags, packet);
  return true;
}

// RFC 9293 §3.8.6.1. As Linux: what fits into a window that is open but too small for a full segment; into a closed
// one, an old sequence number that the peer must answer.
bool Connection::transmit_probe(Context& c, TxPacket& packet) {
  if (keepalive_due_) {
    keepalive_due_ = false;
    c.env.counters.add(Counter::TcpExt_TCPKeepAlive);
    emit_segment(c, snd_.una() - 1u, TcpFlags::kAck, packet);
    return true;
  }
  if (!probe_due_) return false;
  // RFC 9293 §3.8.5: a closed window does not keep urgent data from being told of. As Linux, where the peer takes the
  // pointer, in a probe of its own, for the other lies below the peer's window.
  if (urgent_probe_due_ && sends_urgent()) {
    urgent_probe_due_ = false;
    emit_segment(c, snd_.una(), TcpFlags::kAck, packet);
    return true;
  }
  probe_due_ = false;
  c.env.counters.add(Counter::TcpExt_TCPWinProbe);
  const std::uint32_t window = snd_.usable_window();
  const std::uint32_t length =
      window > 0 && snd_.unsent() > 0
          ? snd_.gather(snd_.nxt(), snd_.uncut(snd_.nxt(), std::min({snd_.unsent(), window, send_mss()})), packet)
          : 0;
  if (length == 0) {
    emit_segment(c, snd_.una() - 1u, TcpFlags::kAck, packet);
    return true;
  }
  const Seq seq = snd_.nxt();
  record_sent(c, length, c.send_cache, true);
  bytes_sent_ += length;
  last_sent_ = c.now;
  timers_.cancel(TimerKind::Persist);
  timers_.arm(TimerKind::Retransmit, c.now + rto());
  emit_segment(c, seq, TcpFlags::kAck | TcpFlags::kPsh, packet);
  return true;
}

bool Connection::transmit_ack(Context& c, TxPacket& packet) {
  if (!ack_due_) return false;
  const std::uint8_t more = extra_acks_;
  emit_segment(c, snd_.nxt(), TcpFlags::kAck, packet);
  if (more > 0) {
    extra_acks_ = more - 1;
    ack_due_ = true;
  }
  return true;
}

// ---- the segment

wire::TcpOptions Connection::segment_options(const Context& c, bool with_sack) noexcept {
  wire::TcpOptions options;
  if (timestamps_) options.timestamps = wire::Timestamps{timestamp_at(c.now, ts_offset_), ts_recent_};
  if (with_sack && sack_ && rcv_.sack_pending()) rcv_.report_sack(timestamps_ ? 3 : 4, options.sack);
  return options;
}

void Connection::emit_segment(Context& c, Seq seq, std::uint8_t flags, TxPacket& packet, wire::Ecn ecn,
                              std::uint32_t mss) {
  SegmentToSend segment;
  segment.seq = seq;
  segment.ack = rcv_.nxt();
  segment.flags.bits = static_cast<std::uint8_t>(flags | ecn_.flags_for_acknowledgement());
  segment.ecn = ecn;
  if (c.env.memory.under_pressure()) [[unlikely]]
    rcv_.restrain(kSegmentsUnderPressure * path_.mss(tuple_.local.address.is_v4()));
  segment.window = rcv_.advertise(rcv_mss_);
  // SACK blocks beside data would push it over the MSS; a pure ACK has the room.
  segment.options = segment_options(c, packet.payload_size == 0);
  last_window_ = segment.window;
  if (urgent_ != nullptr) [[unlikely]] {
    if (const auto pointer = urgent_->sender.pointer(seq, snd_.nxt())) {
      segment.urgent_pointer = *pointer;
      segment.flags.bits |= TcpFlags::kUrg;
    }
  }
  const std::uint32_t segments = std::max(1u, (packet.payload_size + mss - 1) / mss);
  c.env.counters.add(Counter::Tcp_OutSegs, segments);
  totals_.sent(segments, packet.payload_size > 0);
  ack_went_out();
  emit(tuple_, path_.delivery, segment, mss, packet);
  path_.delivery.identification = static_cast<std::uint16_t>(path_.delivery.identification + segments);
}

void Connection::ack_went_out() noexcept {
  const std::uint32_t bytes = static_cast<std::uint32_t>(rcv_.nxt() - ack_edge_);
  if (ack_due_ || timers_.armed(TimerKind::DelayedAck))
    delayed_ack_.ack_sent(bytes / std::max<std::uint32_t>(rcv_mss_, 1));
  ack_due_ = false;
  extra_acks_ = 0;
  ack_edge_ = rcv_.nxt();
  last_ack_sent_ = rcv_.nxt();
  timers_.cancel(TimerKind::DelayedAck);
}

}  // namespace ff::tcp
