// RFC 9293 §3.10.2 to §3.10.6: what the application asks of a connection.
#include <algorithm>
#include <cassert>

#include "tcp/connection.hpp"

namespace ff::tcp {

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

void Connection::after_write(Context& c, std::uint8_t flags) {
  pushed_out_ = false;
  more_follows_ = unpushed_ = (flags & write_bits::kMore) != 0;
  if ((flags & write_bits::kEndOfRecord) != 0) snd_.cut(0, true, c.send_cache);
  if ((flags & write_bits::kUrgent) != 0) mark_urgent();
  release_waiting_syn();
  watch_device(c);
}

// TCP_USER_TIMEOUT: also where the device takes nothing this long.
void Connection::watch_device(Context& c) {
  if (options().user_timeout != 0 && snd_.outstanding() == 0 && snd_.unsent() > 0 && !timers_.armed(TimerKind::Persist))
    timers_.arm(TimerKind::Persist, c.now + base_rto());
}

void Connection::release_waiting_syn() {
  if (!syn_waits_for_write_) return;
  syn_waits_for_write_ = false;
  syn_data_ = syn_data_length();
  syn_due_ = true;
}

Result<std::size_t> Connection::write(Context& c, ByteSpan bytes, std::uint8_t flags) {
  const Observation observation = observe(c);
  if (const auto allowed = may_write(); !allowed) return std::unexpected(allowed.error());
  note_lack_of_data();
  std::uint64_t most = bytes.size();
  if (!bytes.empty() && may_begin_packet(c.env)) {
    waits_for_memory_ = !memory_to_write(c);
    const std::uint64_t left = std::max(c.env.memory.left(c.env.settings.tcp_mem), Memory::kPage);
    most = waits_for_memory_ ? 0 : std::min(most, left);
  }
  const std::uint32_t count = take_room(c, static_cast<std::uint32_t>(std::min<std::uint64_t>(most, INT32_MAX)));
  write_refused_ = count < bytes.size();
  if (write_refused_) turn_send_clock(c);
  if (bytes.empty()) release_waiting_syn();
  if (count == 0) return bytes.empty() ? Result<std::size_t>(0) : std::unexpected(Error::WouldBlock);
  snd_.write(bytes.first(count), c.env.memory, c.send_cache);
  if (count < bytes.size()) flags &= static_cast<std::uint8_t>(~write_bits::kEndOfRecord);
  after_write(c, flags);
  turn_send_clock(c);
  return count;
}

Result<void> Connection::write(Context& c, Slice bytes, std::uint8_t flags) {
  const Observation observation = observe(c);
  if (const auto allowed = may_write(); !allowed) return std::unexpected(allowed.error());
  if (bytes.empty()) return release_waiting_syn(), Result<void>();
  note_lack_of_data();
  const bool room = may_begin_packet(c.env);
  waits_for_memory_ = room && !memory_to_write(c);
  if (!room || waits_for_memory_) {
    write_refused_ = true;
    turn_send_clock(c);
    return std::unexpected(Error::WouldBlock);
  }
  snd_.write(std::move(bytes), c.env.memory, c.send_cache);
  after_write(c, flags);
  turn_send_clock(c);
  return {};
}

Result<std::size_t> Connection::read(Context& c, MutableByteSpan into) {
  if (into.empty()) return 0;
  if (urgent_ != nullptr) [[unlikely]]
    into = into.first(readable_to_mark(c, static_cast<std::uint32_t>(std::min<std::size_t>(into.size(), UINT32_MAX))));
  const std::uint32_t count = rcv_.read(into, c.receive_cache);
  if (count > 0) {
    after_read(c, count);
    return count;
  }
  if (const auto error = take_error()) return std::unexpected(*error);
  if (peer_fin_ || read_shut_ || state_ == TcpState::Closed) return 0;
  return std::unexpected(Error::WouldBlock);
}

// Not beyond the urgent mark, as read().
std::size_t Connection::peek(MutableByteSpan into, std::uint32_t offset) const {
  std::uint32_t end = rcv_.unread();
  std::uint32_t skipped = 0;
  if (urgent_ != nullptr && urgent_->receiver.marked()) {
    const std::uint64_t mark = urgent_->receiver.mark();
    if (mark > read_place()) end = static_cast<std::uint32_t>(std::min<std::uint64_t>(end, mark - read_place()));
    if (mark == read_place() && !options().oob_inline && end > 0) skipped = 1;
  }
  offset += skipped;
  if (offset >= end) return 0;
  return rcv_.peek(into.first(std::min<std::size_t>(into.size(), end - offset)), offset);
}

Result<Slice> Connection::read_slice(Context& c, std::uint32_t max) {
  if (urgent_ != nullptr) [[unlikely]]
    max = readable_to_mark(c, max);
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
  adapt_receive_buffer(c, bytes);
  if (reports_ != nullptr) [[unlikely]]
    reports_->forget_before(read_place());
  if (synchronized() && state_ != TcpState::TimeWait && !peer_fin_ && rcv_.update_due(rcv_mss_)) ack_at_once(c);
}

void Connection::adapt_receive_buffer(const Context& c, std::uint32_t read) noexcept {
  if (!c.env.settings.tcp_moderate_rcvbuf || options().rcvbuf != 0 || c.env.memory.under_pressure()) return;
  rcv_.adapt(c.now, rtt_.srtt(), read, receive_buffer(c).max);
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
  if (options().linger == 0u) return abort(c);
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
  // Who lent memory can hear no more of when it may be used again.
  snd_.own_lent(c.env.memory);
  if (!snd_.fin_queued()) snd_.queue_fin(c.send_cache);
  if (state_ == TcpState::Established) set_state(c, TcpState::FinWait1);
  if (state_ == TcpState::CloseWait) set_state(c, TcpState::LastAck);
  if (state_ == TcpState::FinWait2 && options().linger2 < 0) {
    c.env.counters.add(Counter::TcpExt_TCPAbortOnLinger);
    send_reset(c);
    return finish(c);
  }
  if (state_ == TcpState::FinWait2) return wait_as_orphan(c);
  if (options().linger) begin_lingering(c);
}

// SO_LINGER: as Linux, until the peer has acknowledged everything, FIN included, whatever it does with its own side.
void Connection::begin_lingering(Context& c) {
  lingering_ = true;
  timers_.arm(TimerKind::Close, c.now + std::chrono::seconds(*options().linger));
}

void Connection::end_lingering() noexcept {
  if (!lingering_) return;
  lingering_ = false;
  timers_.cancel(TimerKind::Close);
}

// Nobody waits for the peer's FIN any more: not for ever, then (Linux's tcp_fin_timeout and TCP_LINGER2).
void Connection::wait_as_orphan(Context& c) {
  save_metrics(c);
  const Duration wanted =
      std::chrono::seconds(options().linger2 > 0 ? options().linger2 : c.env.settings.tcp_fin_timeout);
  timers_.arm(TimerKind::Close,
              c.now + std::max(wanted, rto() * 7 / 2));  // as Linux, long enough for a FIN to go twice
}

void Connection::abort_orphan(Context& c) {
  const Observation observation = observe(c);
  assert(orphaned_);
  if (state_ == TcpState::Closed || state_ == TcpState::TimeWait) return;
  c.env.counters.add(Counter::TcpExt_TCPAbortOnMemory);
  send_reset(c);
  finish(c);
}

// ---- options

const SocketOptions& Connection::options() const noexcept {
  static constexpr SocketOptions kNone;
  return options_ ? *options_ : kNone;
}

SocketOptions Connection::options_now() const {
  SocketOptions now = options();
  now.no_delay = no_delay_;
  return now;
}

void Connection::adopt(const Environment& env, const SocketOptions* options) {
  SocketOptions own = options == nullptr ? SocketOptions() : *options;
  // The stack's part; most servers have them, and without anything else they are not worth the memory.
  own.reuse_addr = own.reuse_port = false;
  if (own == SocketOptions()) {
    options_.reset();
  } else {
    options_ = std::make_unique<SocketOptions>(own);
  }
  no_delay_ = this->options().no_delay;
  corked_ = this->options().cork;
  path_.adopt(this->options(), env.settings);
  choose_congestion_control(env);
  if (this->options().receive_stamps) reports();
}

Reports& Connection::reports() {
  if (reports_ == nullptr) reports_ = std::make_unique<Reports>();
  return *reports_;
}

void Connection::stamp_last_byte(Context& c, const StampRequest& what) {
  if (snd_.queued() == 0) return;
  const auto written = static_cast<std::uint32_t>(snd_.fin_seq() - (snd_.iss() + 1));
  reports().want(snd_.fin_seq(), written, what, snd_.nxt(), max_payload());
  // It went out before anybody asked.
  if (snd_.unsent() == 0 && reports().sent(snd_.nxt(), c.now, TxPacket())) raise(event_bits::kError);
}

void Connection::set_options(Context& c, const SocketOptions& options) {
  const Observation observation = observe(c);
  const bool kept_alive = this->options().keepalive;
  const bool had_no_delay = no_delay_;
  adopt(c.env, &options);
  if (options.rcvbuf != 0) rcv_.set_limit(receive_buffer(c).initial);
  if (options.window_clamp != 0) rcv_.set_limit(std::min(rcv_.limit(), options.window_clamp));
  if (options.no_delay && !had_no_delay) set_no_delay(c, true);
  if (!options.keepalive) timers_.cancel(TimerKind::Keepalive);
  if (options.keepalive && (!kept_alive || timers_.armed(TimerKind::Keepalive))) start_keepalive(c);
  tell_writable(c.env);
}

// As Linux: what a cork or Nagle's algorithm holds back goes now.
void Connection::set_no_delay(Context& c, bool on) noexcept {
  const Observation observation = observe(c);
  no_delay_ = on;
  pushed_out_ = on && snd_.unsent() > 0;
}

void Connection::set_quick_ack(Context& c, bool on) noexcept {
  const Observation observation = observe(c);
  if (!on) return delayed_ack_.expect_answer();
  delayed_ack_.leave_interactive();
  delayed_ack_.acknowledge_quickly();
  if (timers_.armed(TimerKind::DelayedAck)) ack_at_once(c);
}

void Connection::abort(Context& c) {
  const Observation observation = observe(c);
  orphaned_ = true;
  if (state_ == TcpState::Closed || state_ == TcpState::TimeWait) return;
  if (state_ != TcpState::SynSent) {
    c.env.counters.add(Counter::TcpExt_TCPAbortOnData);  // as Linux counts SO_LINGER 0
    send_reset(c);
  }
  finish(c);
}

}  // namespace ff::tcp
