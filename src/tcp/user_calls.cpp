// RFC 9293 §3.10.2 to §3.10.6: what the application asks of a connection.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

// How much may wait to be sent and acknowledged: it grows with what the path can carry (Linux's tcp_wmem).
std::uint32_t Connection::send_limit(const Environment& env) const noexcept {
  const std::uint64_t useful = std::uint64_t{2} * std::max(cc_.cwnd(), Reno::kInitialSegments * send_mss());
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      useful, env.settings.tcp_wmem.initial, std::max(env.settings.tcp_wmem.max, env.settings.tcp_wmem.initial)));
}

// An error is told once, by whichever call comes first (as SO_ERROR).
std::optional<Error> Connection::take_error() noexcept {
  if (!error_ || error_told_) return std::nullopt;
  error_told_ = true;
  return error_;
}

Result<void> Connection::may_write() noexcept {
  if (state_ == TcpState::Closed || state_ == TcpState::TimeWait) {
    if (const auto error = take_error()) return std::unexpected(*error);
    return std::unexpected(Error::BrokenPipe);
  }
  if (snd_.fin_queued()) return std::unexpected(Error::BrokenPipe);
  return {};
}

Result<std::size_t> Connection::write(Context& c, ByteSpan bytes) {
  const Observation observation = observe(c);
  if (const auto allowed = may_write(); !allowed) return std::unexpected(allowed.error());
  const std::uint32_t limit = send_limit(c.env);
  const std::uint32_t room = limit > snd_.queued() ? limit - snd_.queued() : 0;
  const std::size_t count = std::min<std::size_t>(room, bytes.size());
  write_refused_ = count < bytes.size();
  if (count == 0) return bytes.empty() ? Result<std::size_t>(0) : std::unexpected(Error::WouldBlock);
  snd_.write(bytes.first(count), c.env.small_slabs, c.send_cache);
  if (syn_waits_for_write_) {
    syn_waits_for_write_ = false;
    syn_data_ = syn_data_length();
    syn_due_ = true;
  }
  return count;
}

Result<void> Connection::write(Context& c, Slice bytes) {
  const Observation observation = observe(c);
  if (const auto allowed = may_write(); !allowed) return std::unexpected(allowed.error());
  if (bytes.empty()) return {};
  if (snd_.queued() >= send_limit(c.env)) {
    write_refused_ = true;
    return std::unexpected(Error::WouldBlock);
  }
  snd_.write(std::move(bytes), c.send_cache);
  if (syn_waits_for_write_) {
    syn_waits_for_write_ = false;
    syn_data_ = syn_data_length();
    syn_due_ = true;
  }
  return {};
}

Result<std::size_t> Connection::read(Context& c, MutableByteSpan into) {
  if (into.empty()) return 0;
  const std::uint32_t count = rcv_.read(into, c.receive_cache);
  if (count > 0) {
    after_read(c, count);
    return count;
  }
  if (const auto error = take_error()) return std::unexpected(*error);
  if (peer_fin_ || read_shut_ || state_ == TcpState::Closed) return 0;
  return std::unexpected(Error::WouldBlock);
}

Result<Slice> Connection::read_slice(Context& c, std::uint32_t max) {
  Slice taken = rcv_.read_slice(max, c.receive_cache);
  if (!taken.empty()) {
    after_read(c, taken.size());
    return taken;
  }
  if (const auto error = take_error()) return std::unexpected(*error);
  if (peer_fin_ || read_shut_ || state_ == TcpState::Closed) return Slice();
  return std::unexpected(Error::WouldBlock);
}

// Reading makes room: the peer hears of it when it is worth a segment (RFC 9293 §3.8.6.2.2).
void Connection::after_read(Context& c, std::uint32_t bytes) {
  if (c.env.settings.tcp_moderate_rcvbuf) rcv_.adapt(c.now, rtt_.srtt(), bytes, c.env.settings.tcp_rmem.max);
  if (synchronized() && state_ != TcpState::TimeWait && !peer_fin_ && rcv_.update_due(rcv_mss_)) ack_at_once(c);
}

Result<void> Connection::shutdown_write(Context& c) {
  const Observation observation = observe(c);
  if (const auto allowed = may_write(); !allowed) {
    if (allowed.error() == Error::BrokenPipe && snd_.fin_queued()) return {};
    return std::unexpected(state_ == TcpState::Closed ? Error::NotConnected : allowed.error());
  }
  if (syn_waits_for_write_) {
    syn_waits_for_write_ = false;
    syn_due_ = true;
  }
  snd_.queue_fin(c.send_cache);
  if (state_ == TcpState::Established) set_state(c, TcpState::FinWait1);
  if (state_ == TcpState::CloseWait) set_state(c, TcpState::LastAck);
  return {};
}

Result<void> Connection::shutdown_read(Context& c) {
  const Observation observation = observe(c);
  if (state_ == TcpState::Closed || state_ == TcpState::TimeWait) return std::unexpected(Error::NotConnected);
  read_shut_ = true;
  rcv_.discard_unread(c.receive_cache);
  if (rcv_.update_due(rcv_mss_)) ack_at_once(c);
  raise(event_bits::kReadable);
  return {};
}

void Connection::close(Context& c) {
  const Observation observation = observe(c);
  orphaned_ = true;
  switch (state_) {
    case TcpState::Closed:
    case TcpState::TimeWait:
      rcv_.discard_all(c.receive_cache);
      return;
    case TcpState::SynSent:
      return finish(c);
    default:
      break;
  }
  if (rcv_.unread() > 0) {
    // RFC 2525 §2.17: unread bytes are lost, and the peer must not think otherwise.
    c.env.counters.add(Counter::TcpExt_TCPAbortOnClose);
    rcv_.discard_all(c.receive_cache);
    send_reset(c);
    return finish(c);
  }
  if (!snd_.fin_queued()) snd_.queue_fin(c.send_cache);
  if (state_ == TcpState::Established) set_state(c, TcpState::FinWait1);
  if (state_ == TcpState::CloseWait) set_state(c, TcpState::LastAck);
  if (state_ == TcpState::FinWait2)
    timers_.arm(TimerKind::Close, c.now + std::chrono::seconds(c.env.settings.tcp_fin_timeout));
}

void Connection::abort(Context& c) {
  const Observation observation = observe(c);
  orphaned_ = true;
  if (state_ == TcpState::Closed || state_ == TcpState::TimeWait) return;
  if (state_ != TcpState::SynSent) {
    c.env.counters.add(Counter::TcpExt_TCPAbortOnLinger);
    send_reset(c);
  }
  rcv_.discard_all(c.receive_cache);
  finish(c);
}

}  // namespace ff::tcp
