// What comes of a Fast Open of ours: RFC 7413 §4.2.1, what is remembered of server and path (§4.1.3), and the evidence
// that a path swallows Fast Open, during the handshake or behind it.
#include "tcp/connection.hpp"

namespace ff::tcp {

FastOpenPath Connection::fast_open_path() const noexcept {
  return {tuple_.local.address, tuple_.remote.address, fast_open_partition_};
}

// What the SYN-ACK says of our attempt, for the application, the cache and the counters.
void Connection::fast_open_answered(Context& c, const Segment& segment) {
  if (fast_open_ != FastOpenOutcome::Pending) return;
  ClientCache& cache = c.env.fast_open_cache;
  const bool asked = has_fast_open_option_ && fast_open_option_.cookie.size == 0;
  const std::optional<wire::FastOpenOption>& granted = segment.options.fast_open;
  const bool grants = granted && granted->cookie.size > 0;

  if (grants && has_fast_open_option_) {
    cache.granted(fast_open_path(), granted->cookie, peer_mss_, granted->experimental, c.now);
  } else if (asked && (!syn_retransmitted_ || first_syn_arrived(segment))) {
    cache.not_granted(fast_open_path(), peer_mss_, fast_open_option_.experimental, c.now);
  } else if (syn_data_ > 0) {
    cache.answered(fast_open_path(), peer_mss_, c.now);
  }
  end_fast_open(c, fast_open_result(c, segment));
}

FastOpenOutcome Connection::fast_open_result(Context& c, const Segment& segment) {
  const bool asked = has_fast_open_option_ && fast_open_option_.cookie.size == 0;
  const bool grants = segment.options.fast_open && segment.options.fast_open->cookie.size > 0;
  // As Linux: a part of it will not do.
  const bool data_taken = syn_data_ > 0 && at_or_after(segment.ack, snd_.iss() + 1 + syn_data_);
  if (data_taken) {
    fast_open_unproven_ = true;
    c.env.counters.add(Counter::TcpExt_TCPFastOpenActive);
    return FastOpenOutcome::Accepted;
  }
  if (syn_data_ > 0) c.env.counters.add(Counter::TcpExt_TCPFastOpenActiveFail);
  const bool lost = syn_retransmitted_ && !grants && (syn_data_ > 0 || asked) && !first_syn_arrived(segment);
  if (lost) {
    fast_open_syn_lost(c);
    return FastOpenOutcome::SynRetransmitted;
  }
  if (syn_data_ > 0) {
    fast_open_unproven_ = true;
    return grants ? FastOpenOutcome::CookieRefused : FastOpenOutcome::DataNotAcked;
  }
  if (!asked) return FastOpenOutcome::NoData;
  return grants ? FastOpenOutcome::NoCookieYet : FastOpenOutcome::CookieNotGranted;
}

// On a long path the SYN-ACK may come when the SYN has been repeated already; its echo says which it answers.
bool Connection::first_syn_arrived(const Segment& syn_ack) const noexcept {
  const auto& timestamps = syn_ack.options.timestamps;
  return timestamps_ && timestamps && timestamps->echo_reply == timestamp_at(syn_sent_at_, ts_offset_);
}

void Connection::end_fast_open(Context& c, FastOpenOutcome outcome) noexcept {
  fast_open_ = outcome;
  c.env.counters.end(outcome);
  if (!fast_open_unproven_) give_probe_back(c);  // there was no data in the SYN: nothing will be shown
}

// ---- the path ------------------------------------------------------------------------------------------------------

void Connection::fast_open_syn_lost(Context& c) {
  if (fast_open_judged_) return;
  const bool probe = take_probe();
  if (c.env.fast_open_cache.syn_lost(fast_open_path(), probe, c.now))
    c.env.counters.add(Counter::TcpExt_TCPFastOpenBlackhole);
}

// Nothing that happens by chance: as Linux's tcp_fastopen_active_disable(), but for this path alone. One connection
// says it once.
void Connection::fast_open_swallowed(Context& c) {
  if (fast_open_judged_) return;
  fast_open_judged_ = true;
  fast_open_unproven_ = false;
  const bool probe = take_probe();
  if (c.env.fast_open_cache.path_failed(fast_open_path(), probe, c.now))
    c.env.counters.add(Counter::TcpExt_TCPFastOpenBlackhole);
}

bool Connection::take_probe() noexcept {
  const bool probe = fast_open_probe_;
  fast_open_probe_ = false;
  return probe;
}

// The server's first bytes in order, behind a SYN with data.
void Connection::fast_open_proven(Context& c) noexcept {
  fast_open_unproven_ = false;
  fast_open_probe_ = false;
  c.env.fast_open_cache.path_works(fast_open_path());
}

// As Linux's tcp_fastopen_active_detect_blackhole(): the third time-out in a row while nothing has come from the server
// yet but, perhaps, its SYN-ACK.
void Connection::fast_open_timed_out(Context& c) {
  constexpr std::uint8_t kTimeoutsBefore = 2;
  if (retransmits_ != kTimeoutsBefore || !fast_open_at_stake()) return;
  c.env.counters.add(Counter::TcpExt_TCPFastOpenActiveFail);
  fast_open_swallowed(c);
}

// Our SYN of Fast Open is unanswered, or nothing has come since it was answered.
bool Connection::fast_open_at_stake() const noexcept {
  const bool pending = state_ == TcpState::SynSent && fast_open_ == FastOpenOutcome::Pending && !syn_waits_for_write_;
  return !fast_open_judged_ && (fast_open_unproven_ || pending);
}

// The connection is over. A FIN alone that waits behind bytes which never came is Linux's
// tcp_fastopen_active_disable_ofo_check(): somebody took the answer off the path.
void Connection::fast_open_over(Context& c, std::optional<Error> error) {
  const bool gave_up = error == Error::TimedOut && state_ != TcpState::FinWait2;
  const bool fin_alone = fast_open_unproven_ && rcv_.fin_waiting() && !rcv_.data_waiting();
  if (fast_open_at_stake() && (gave_up || fin_alone)) {
    if (gave_up) c.env.counters.add(Counter::TcpExt_TCPFastOpenActiveFail);
    fast_open_swallowed(c);
  }
  fast_open_unproven_ = false;
  give_probe_back(c);
}

void Connection::give_probe_back(Context& c) noexcept {
  if (take_probe()) c.env.fast_open_cache.probe_over(fast_open_path(), c.now);
}

}  // namespace ff::tcp
