// RFC 9293 §3.10.8: what happens when a timer of a connection runs out.
#include <algorithm>
#include <bit>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {
// As Linux's TCP_RESOURCE_PROBE_INTERVAL.
constexpr Duration kDeviceProbeInterval = std::chrono::milliseconds(500);

// How long it takes until a timer that starts at `rto` has run out once and `retries` times more, doubling each time.
Duration time_of_doublings(Duration rto, std::uint32_t retries) noexcept {
  const auto doublings = static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(kMaxRto / rto)) - 1);
  if (retries <= doublings) return rto * ((std::int64_t{2} << retries) - 1);
  return rto * ((std::int64_t{2} << doublings) - 1) + kMaxRto * (retries - doublings);
}
}  // namespace

void Connection::deadline(Context& c) {
  const Observation observation = observe(c, Cause::Deadline);
  note_lack_of_data();
  if (timers_.take(TimerKind::DelayedAck, c.now)) {
    c.env.counters.add(Counter::TcpExt_DelayedACKs);
    // The peer sends too little to wait for: as Linux, be less patient from now on.
    delayed_ack_.leave_interactive();
    ack_due_ = true;
  }
  if (timers_.take(TimerKind::Close, c.now)) {
    if (lingering_) {
      end_lingering();  // it goes on as an orphan
    } else {
      c.env.counters.add(Counter::TcpExt_TCPTimeouts);
      return finish(c, Error::TimedOut);
    }
  }
  (void)timers_.take(TimerKind::Pacing, c.now);  // transmit() does the rest
  if (timers_.take(TimerKind::Persist, c.now)) persist_timeout(c);
  if (state_ != TcpState::Closed && timers_.take(TimerKind::Keepalive, c.now)) keepalive_timeout(c);
  if (state_ != TcpState::Closed && timers_.take(TimerKind::Reorder, c.now)) reorder_timeout(c);
  if (state_ != TcpState::Closed && timers_.take(TimerKind::LossProbe, c.now)) probe_timeout(c);
  if (state_ == TcpState::Closed || !timers_.take(TimerKind::Retransmit, c.now)) return;
  switch (state_) {
    case TcpState::SynSent:
      return syn_timeout(c);
    case TcpState::SynReceived:
      return syn_ack_timeout(c);
    default:
      return retransmission_timeout(c);
  }
}

void Connection::syn_timeout(Context& c) {
  c.env.counters.add(Counter::TcpExt_TCPTimeouts);
  // As Linux: tcp_syn_linear_timeouts come on top, but no longer than the doubling ones alone would take.
  const Settings& settings = c.env.settings;
  const std::uint32_t retries = options().syncnt != 0 ? options().syncnt : settings.tcp_syn_retries;
  const bool all_sent = retransmits_ >= retries + settings.tcp_syn_linear_timeouts;
  const Duration longest = user_timeout().value_or(time_of_doublings(kInitialRto, retries));
  if (all_sent || (retransmits_ > 0 && c.now - syn_sent_at_ >= longest)) {
    c.env.counters.add(Counter::Tcp_AttemptFails);
    return finish(c, soft_error_.value_or(Error::TimedOut));
  }
  fast_open_timed_out(c);
  totals_.timed_out(retransmits_ == 0);
  if (retransmits_ == 0) timeouts_began_ = c.now;
  ++retransmits_;
  if (retransmits_ > settings.tcp_syn_linear_timeouts) ++backoff_;
  syn_due_ = true;
}

// A half-open Fast Open connection repeats its SYN-ACK, not the data behind it; once more than an ordinary request, as
// Linux.
void Connection::syn_ack_timeout(Context& c) {
  c.env.counters.add(Counter::TcpExt_TCPTimeouts);
  const std::uint32_t retries = options().syncnt != 0 ? options().syncnt : c.env.settings.tcp_synack_retries;
  const std::uint32_t most = retries + (fast_open_child_ ? 1 : 0);
  if (retransmits_ >= most) {
    c.env.counters.add(Counter::Tcp_AttemptFails);
    return finish(c, Error::TimedOut);
  }
  ++retransmits_;
  ++backoff_;
  syn_due_ = true;
}

// RFC 6298 §5.4 to §5.7, RFC 5681 §3.1.
void Connection::retransmission_timeout(Context& c) {
  c.env.counters.add(Counter::TcpExt_TCPTimeouts);
  if (retransmits_ == 0) timeouts_began_ = c.now;
  if (given_up(c)) {
    c.env.counters.add(Counter::TcpExt_TCPAbortOnTimeout);
    return finish(c, soft_error_.value_or(Error::TimedOut));
  }
  fast_open_timed_out(c);
  if (retransmits_ > 0 && c.now - timeouts_began_ >= time_of_doublings(kMinRto, c.env.settings.tcp_retries1))
    suspect_black_hole(c);
  if (mtu_probing_ != nullptr) mtu_probing_->inconclusive();
  totals_.timed_out(retransmits_ == 0);
  turn_send_clock(c);
  enter_loss(c);
  if (retransmits_ < UINT8_MAX) ++retransmits_;
  if (backoff_ < UINT8_MAX) ++backoff_;
  Duration next = rto();
  // As Linux: the last time-out is cut short, so that TCP_USER_TIMEOUT is met and not just noticed later.
  if (const auto patience = user_timeout())
    next = std::min(next, std::max<Duration>(timeouts_began_ + *patience - c.now, std::chrono::milliseconds(1)));
  timers_.arm(TimerKind::Retransmit, c.now + next);
}

std::optional<Duration> Connection::user_timeout() const noexcept {
  if (options().user_timeout == 0) return std::nullopt;
  return std::chrono::milliseconds(options().user_timeout);
}

// tcp_retries2 names a time: that in which so many time-outs, from the smallest RTO on, would run out (RFC 9293 §3.8.3
// R2). As Linux it is measured from the first retransmission, so that the whole takes one time-out more.
bool Connection::given_up(const Context& c) const noexcept {
  if (const auto patience = user_timeout()) return retransmits_ > 0 && c.now - timeouts_began_ >= *patience;
  return retransmits_ > 0 && c.now - timeouts_began_ >= time_of_doublings(kMinRto, patience_in_retries(c.env.settings));
}

// Nobody waits for what becomes of an orphan.
std::uint32_t Connection::patience_in_retries(const Settings& settings) const noexcept {
  if (!orphaned_ || lingering_) return settings.tcp_retries2;
  return settings.tcp_orphan_retries == 0 ? 8 : settings.tcp_orphan_retries;
}

// RFC 9293 §3.8.6.1: never given up while the peer answers.
void Connection::persist_timeout(Context& c) {
  if (snd_.outstanding() > 0 || (snd_.unsent() == 0 && !snd_.fin_unsent())) return;
  if (pacing_rate(c.env.settings) != 0 && !pacer_.may_send(c.now))
    return timers_.arm(TimerKind::Persist, pacer_.next());
  const std::uint32_t window = snd_.usable_window();
  const bool shut = snd_.unsent() > 0 ? std::min(snd_.unsent(), send_mss()) > window : window == 0;
  // Nothing but the device holds it: that says nothing of the peer, and TCP_USER_TIMEOUT alone bounds it.
  const bool held_by_device = !shut && !corked_ && !more_follows_;
  const std::uint32_t most = patience_in_retries(c.env.settings);
  const auto patience = user_timeout();
  const bool waited = patience && probes_began_ != Instant{} && c.now - probes_began_ >= *patience;
  if (probes_began_ == Instant{}) probes_began_ = c.now;
  if (waited || (probes_out_ >= most && !held_by_device)) {
    c.env.counters.add(Counter::TcpExt_TCPAbortOnTimeout);
    return finish(c, soft_error_.value_or(Error::TimedOut));
  }
  if (probes_out_ < UINT8_MAX) ++probes_out_;
  if (held_by_device) return timers_.arm(TimerKind::Persist, c.now + kDeviceProbeInterval);
  if (probe_backoff_ < UINT8_MAX) ++probe_backoff_;
  probe_due_ = true;
  urgent_probe_due_ = sends_urgent();
  timers_.arm(TimerKind::Persist, c.now + backed_off(base_rto(), probe_backoff_));
}

// ---- keepalive: RFC 9293 §3.8.4, as Linux's tcp_keepalive_timer()

Duration Connection::keepalive_time(const Context& c) const noexcept {
  return std::chrono::seconds(options().keepidle != 0 ? options().keepidle : c.env.settings.tcp_keepalive_time);
}

void Connection::start_keepalive(Context& c) {
  if (options().keepalive && synchronized()) timers_.arm(TimerKind::Keepalive, c.now + keepalive_time(c));
}

void Connection::keepalive_timeout(Context& c) {
  const Settings& settings = c.env.settings;
  const Duration patience = keepalive_time(c);
  // What is in flight or waits for the window has a timer of its own.
  if (snd_.outstanding() > 0 || snd_.unsent() > 0) return timers_.arm(TimerKind::Keepalive, c.now + patience);
  const Duration silence = c.now - std::max(totals_.last_ack_recv, totals_.last_data_recv);
  if (silence < patience) return timers_.arm(TimerKind::Keepalive, c.now + patience - silence);

  const std::uint32_t most = options().keepcnt != 0 ? options().keepcnt : settings.tcp_keepalive_probes;
  const auto limit = user_timeout();
  if (limit ? silence >= *limit && probes_out_ > 0 : probes_out_ >= most) {
    c.env.counters.add(Counter::TcpExt_TCPAbortOnTimeout);
    send_reset(c);
    return finish(c, soft_error_.value_or(Error::TimedOut));
  }
  ++probes_out_;
  keepalive_due_ = true;
  const std::uint32_t interval = options().keepintvl != 0 ? options().keepintvl : settings.tcp_keepalive_intvl;
  timers_.arm(TimerKind::Keepalive, c.now + std::chrono::seconds(interval));
}

}  // namespace ff::tcp
