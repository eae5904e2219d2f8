#include "tcp/connection.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace ff::tcp {

using wire::TcpFlags;

void Connection::set_state(Context& c, TcpState state) {
  // Linux's CurrEstab: ESTABLISHED and CLOSE_WAIT.
  const auto counts = [](TcpState s) { return s == TcpState::Established || s == TcpState::CloseWait; };
  if (counts(state) && !counts(state_)) c.env.counters.add(Counter::Tcp_CurrEstab);
  if (!counts(state) && counts(state_)) c.env.counters.subtract(Counter::Tcp_CurrEstab);
  state_ = state;
}

void Connection::finish(Context& c, std::optional<Error> error) {
  if (error == Error::ConnectionReset && (state_ == TcpState::Established || state_ == TcpState::CloseWait))
    c.env.counters.add(Counter::Tcp_EstabResets);
  if (fast_open_ != FastOpenOutcome::NotTried) fast_open_over(c, error);
  set_state(c, TcpState::Closed);
  end_lingering();
  error_ = error;
  syn_due_ = ack_due_ = probe_due_ = keepalive_due_ = tail_probe_due_ = false;
  timers_.cancel_all();
  snd_.discard(c.send_cache);
  if (orphaned_) rcv_.discard_all(c.receive_cache);
  raise(event_bits::kClosed | event_bits::kReadable);
}

void Connection::enter_time_wait(Context& c) {
  if (state_ != TcpState::FinWait2 || !orphaned_) save_metrics(c);  // else wait_as_orphan() has done so
  set_state(c, TcpState::TimeWait);
  last_window_ = rcv_.advertise(rcv_mss_);
  timers_.cancel_all();
  syn_due_ = probe_due_ = keepalive_due_ = tail_probe_due_ = false;
  raise(event_bits::kClosed);
}

void Connection::send_reset(Context& c) {
  TxPacket* packet = c.env.outbox->add(tuple_.local.address.is_v4());
  if (packet == nullptr) return;
  SegmentToSend reset;
  reset.seq = snd_.nxt();
  reset.ack = rcv_.nxt();
  reset.flags.bits = TcpFlags::kRst | TcpFlags::kAck;
  if (timestamps_) reset.options.timestamps = wire::Timestamps{timestamp_at(c.now, ts_offset_), ts_recent_};
  emit(tuple_, path_.delivery, reset, UINT32_MAX, *packet);
  c.env.counters.add(Counter::Tcp_OutRsts);
  c.env.counters.add(Counter::Tcp_OutSegs);
}

// RFC 9293 §3.5.2: numbered by the segment that it answers, so that the peer accepts it whatever it has seen of ours.
void Connection::reset_in_answer(Context& c, const Segment& segment) {
  TxPacket* packet = c.env.outbox->add(tuple_.local.address.is_v4());
  if (packet == nullptr) return;
  emit(tuple_, path_.delivery, reset_for(segment), UINT32_MAX, *packet);
  c.env.counters.add(Counter::Tcp_OutRsts);
  c.env.counters.add(Counter::Tcp_OutSegs);
}

ConnectionInfo Connection::info(const Settings& settings) const {
  ConnectionInfo info;
  info.tuple = tuple_;
  info.state = state_;
  info.error = error_;
  info.fast_open = fast_open_;
  info.syn_data_bytes = syn_data_;
  info.early_bytes = early_bytes();
  info.syn_waits_for_write = syn_waits_for_write_;
  // Who sent no SYN is a server's side, whose SYN-ACK was a request's.
  if (syn_sent_at_ != Instant{}) info.fastopen_client_fail = fastopen_client_fail_of(fast_open_);
  info.timestamps = timestamps_;
  info.sack = sack_;
  info.ecn = ecn_.agreed();
  info.ecn_seen = ecn_.seen();
  info.snd_wscale = snd_.scale().shift;
  info.rcv_wscale = rcv_.scale().shift;
  info.snd_mss = send_mss();
  info.advmss = path_.mss(tuple_.local.address.is_v4());
  info.rtt = rtt_.srtt();
  info.rttvar = rtt_.rttvar();
  info.rto = rto();
  info.snd_cwnd = window_.cwnd;
  info.snd_ssthresh = window_.ssthresh;
  info.snd_wnd = snd_.window();
  info.rcv_wnd = rcv_.window();
  info.unacked = snd_.outstanding();
  info.notsent = snd_.unsent();
  info.unread = rcv_.unread();
  info.bytes_sent = bytes_sent_;
  info.bytes_acked = bytes_acked_;
  info.bytes_received = rcv_.bytes_received();
  info.bytes_retrans = bytes_retrans_;
  info.reordering = rack_.reordering();
  info.retrans = snd_.resent_in_flight();
  info.total_retrans = total_retrans_;
  info.retransmits = retransmits_;
  info.no_delay = no_delay_;
  info.mark = options().mark;
  if (cc_kind_ != nullptr) info.congestion_control = cc_kind_->name;
  info.pacing_rate = pacing_rate(settings);
  info.delivery_rate = rate_.latest();
  info.delivery_rate_app_limited = rate_.latest_app_limited();
  info.rcv_mss = rcv_mss_;
  info.pmtu = path_.mtu;
  info.min_rtt = rtt_.min_rtt();
  info.ato = delayed_ack_.ato();
  info.ca_state = recovery_.state;
  info.lost = snd_.lost();
  info.sacked = snd_.sacked();
  info.backoff = backoff_;
  info.probes = probes_out_;
  info.rcv_ssthresh = rcv_.ceiling();
  info.rcv_space = rcv_.read_in_round_trip();
  info.last_data_sent = last_sent_;
  totals_.put_into(info);
  return info;
}

ConnectionStatus Connection::status(const Environment& env) const noexcept {
  using Byte = UrgentReceiver::Byte;
  ConnectionStatus status;
  status.state = state_;
  status.error = error_;
  status.peer_closed = peer_fin_;
  status.half_open_early = half_open_fast_open();
  status.writable = is_writable(env) && !waits_for_memory_;
  if (urgent_ != nullptr) {
    const Byte byte = urgent_->receiver.byte();
    status.urgent_announced = byte == Byte::Announced || byte == Byte::Here;
    status.urgent_here = byte == Byte::Here;
    status.at_urgent_mark = at_urgent_mark();
  }
  status.unread = rcv_.unread();
  status.unacked = snd_.queued();
  status.unsent = snd_.unsent();
  status.written = static_cast<std::uint32_t>(snd_.fin_seq() - (snd_.iss() + 1));
  if (syn_waits_for_write_) status.syn_room = syn_room();
  status.memory = memory(env);
  return status;
}

Observed Connection::observed() const noexcept {
  return {state_,      fast_open_,     recovery_.state, window_.cwnd, window_.ssthresh,
          snd_.lost(), total_retrans_, bytes_retrans_,  timers_};
}

SocketMemory Connection::memory(const Environment& env) const noexcept {
  SocketMemory memory;
  memory.rmem_alloc = static_cast<std::uint32_t>(std::min<std::uint64_t>(rcv_.pinned(), UINT32_MAX));
  memory.rcvbuf = rcv_.limit();
  memory.wmem_alloc = snd_.queued() - snd_.unsent();
  memory.sndbuf = send_limit(env);
  memory.wmem_queued = static_cast<std::uint32_t>(std::min<std::uint64_t>(send_memory(), UINT32_MAX));
  memory.drops = totals_.rcv_drops;
  return memory;
}

// In the order in which Linux looks for one (inet_diag's idiag_timer).
std::optional<Connection::ShownTimer> Connection::timer_to_show() const noexcept {
  static constexpr std::pair<TimerKind, SocketTimer> kShown[] = {
      {TimerKind::Retransmit, SocketTimer::Retransmit},
      {TimerKind::Persist, SocketTimer::Persist},
      {TimerKind::Close, SocketTimer::TimeWait},
      {TimerKind::Keepalive, SocketTimer::Keepalive},
  };
  for (const auto& [kind, shown] : kShown) {
    if (kind == TimerKind::Close && lingering_) continue;  // with Linux that is no timer, but a call that waits
    if (timers_.armed(kind)) return ShownTimer{shown, timers_[kind]};
  }
  return std::nullopt;
}

std::string Connection::check() const {
  if (state_ == TcpState::Closed) return timers_.first() == kNever ? "" : "a closed connection has a timer";
  if (std::string wrong = snd_.check(); !wrong.empty()) return wrong;
  if (std::string wrong = rcv_.check(); state_ != TcpState::SynSent && !wrong.empty()) return wrong;
  if (state_ == TcpState::TimeWait) return "";
  // Whatever waits for the peer must be woken by a timer should the peer stay silent.
  const bool waits = snd_.outstanding() > 0;
  if (waits && !timers_.armed(TimerKind::Retransmit) && !syn_due_ && snd_.lost() == 0)
    return "bytes are in flight but no retransmission timer runs";
  if (std::uint64_t{dup_bytes_} + snd_.lost() + snd_.sacked() > snd_.outstanding())
    return "more bytes have left the network than were sent";
  if (tail_probe_due_ && !waits) return "a loss probe is due and nothing is in flight";
  if (snd_.fin_acknowledged() &&
      (state_ == TcpState::FinWait1 || state_ == TcpState::LastAck || state_ == TcpState::Closing))
    return "the FIN is acknowledged but the state did not follow";
  if (state_ == TcpState::FinWait2 && orphaned_ && !timers_.armed(TimerKind::Close))
    return "an orphan in FIN_WAIT_2 has no end";
  if (lingering_ && (!orphaned_ || !timers_.armed(TimerKind::Close))) return "close() waits without end";
  if ((state_ == TcpState::CloseWait || state_ == TcpState::LastAck || state_ == TcpState::Closing) && !peer_fin_)
    return "the state says that the peer has closed, but it has not";
  return "";
}

}  // namespace ff::tcp
