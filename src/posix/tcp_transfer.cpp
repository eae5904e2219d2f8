// Data, half-closes and the end, after Linux's tcp_sendmsg_locked(), tcp_recvmsg_locked(), inet_shutdown() and
// __tcp_close().
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "posix/message.hpp"
#include "posix/tcp_socket.hpp"

namespace ff::posix {

// ---- sending -------------------------------------------------------------------------------------------------------

long TcpSocket::send(const msghdr& message, int flags) {
  const long size = total_size(message);
  if (size < 0) return size;
  Sending sending{.size = static_cast<std::size_t>(size), .flags = flags, .deadline = send_deadline(flags)};
  std::uint32_t call = 0;
  std::optional<Loan> loan = lend(sending.size, flags, call);
  if (!loan) return send_lent(message, sending);
  sending.loan = &*loan;
  const long result = send_lent(message, sending);
  if (sending.sent == 0) take_back(*loan, call);
  return result;
}

long TcpSocket::send_lent(const msghdr& message, Sending& sending) {
  const int flags = sending.flags;
  std::uint32_t timestamping = stamping_.flags;
  if ((flags & MSG_FASTOPEN) != 0 || look().syn_room) {
    const long result = send_with_syn(message, sending);
    if (result == -EINPROGRESS && sending.sent > 0) return static_cast<long>(sending.sent);
    if (result != 0) return send_error(result, flags);
  }
  if (const long wrong = await_connected(sending.deadline, flags); wrong != 0) return wrong;
  const long wrong = for_each_control(message, [&](const Control& control) -> long {
    return control.level == SOL_SOCKET ? read_socket_control(control, timestamping) : 0;
  });
  if (wrong != 0) return wrong;
  sending.stamp = stamps_wanted(timestamping);
  const long result = system_.until(sending.deadline, [&] { return write_some(message, sending); });
  return sending.sent > 0 || result == 0 ? static_cast<long>(sending.sent) : send_error(result, flags);
}

// Linux's tcp_sendmsg_fastopen(): with a cookie at hand the SYN takes what it has room for, and no more is taken before
// the handshake is over; without one nothing is.
long TcpSocket::send_with_syn(const msghdr& message, Sending& sending) {
  const auto* address = static_cast<const sockaddr*>(message.msg_name);
  const bool unspecified =
      address != nullptr && message.msg_namelen >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC;
  if ((stack().settings().tcp_fastopen & fast_open_bits::kClient) == 0 || unspecified) return -EOPNOTSUPP;
  const std::size_t size = sending.size;
  if (!look().syn_room) {
    const FastOpenMode mode = size > 0 ? FastOpenMode::OnFirstWrite : FastOpenMode::Now;
    if (const long result = connect_until(address, message.msg_namelen, sending.deadline, mode, true); result != 0)
      return result;
  }
  const Now now = look();
  if (!now.syn_room) return 0;
  const std::size_t with_syn = std::min<std::size_t>(*now.syn_room, size);
  Slice bytes = gather(message, with_syn);
  if (sending.loan != nullptr) {
    // A SYN has its data in one piece.
    const MutableByteSpan piece = piece_at(message, 0);
    bytes = sending.loan->slice(piece.first(std::min(piece.size(), with_syn)));
  }
  const std::size_t count = bytes.size();
  if (const auto written = stack().write(system_.now(), connection(), std::move(bytes)); !written)
    return -static_cast<long>(to_errno(written.error()));
  sending.sent = count;
  // The next of it takes the acknowledgement of the SYN-ACK along.
  if (sending.deadline != kAtOnce && sending.sent < sending.size) (void)stack().await_room(connection());
  return await_handshake(sending.deadline, -EINPROGRESS);
}

// Linux's sk_stream_wait_connect().
long TcpSocket::await_connected(Instant deadline, int flags) {
  const long result = system_.until(deadline, [&]() -> long {
    const Now now = look();
    if (now.in(TcpState::Established) || now.in(TcpState::CloseWait) || now.half_open_early) return 0;
    if (error_ != 0) return -std::exchange(error_, 0);
    return now.opening() ? -EAGAIN : -EPIPE;
  });
  return result == 0 ? 0 : send_error(result, flags);
}

long TcpSocket::write_some(const msghdr& message, Sending& sending) {
  const Now now = look();
  // Another thread may have taken the connection away meanwhile.
  if (error_ != 0 || (shutdown_ & kSendShut) != 0 || !has_connection()) return -EPIPE;
  // As Linux's sk_stream_wait_memory(): who has found the buffer full waits until it is well empty.
  if (sending.refused && !now.writable) return -EAGAIN;
  long result = 0;
  bool any = false;
  while (sending.sent < sending.size && result == 0) {
    const auto written = write_piece(message, sending);
    if (!written) {
      result = -static_cast<long>(to_errno(written.error()));
      sending.refused = true;
    } else {
      any = true;
      sending.sent += *written;
    }
  }
  const bool over = sending.sent == sending.size || sending.deadline == kAtOnce;
  if (any && over && sending.stamp.kinds != 0)
    (void)stack().stamp_last_byte(system_.now(), connection(), sending.stamp);
  return result;
}

// As much of what comes next as lies in one piece and there is room for.
Result<std::size_t> TcpSocket::write_piece(const msghdr& message, const Sending& sending) {
  constexpr std::size_t kLentAtATime = 65536;  // it is taken whole, whatever room there is
  std::uint8_t bits = (sending.flags & MSG_MORE) != 0 ? write_bits::kMore : std::uint8_t{0};
  if ((sending.flags & MSG_OOB) != 0) bits |= write_bits::kUrgent;
  const MutableByteSpan piece = piece_at(message, sending.sent);
  const ByteSpan wanted = piece.first(std::min(piece.size(), sending.size - sending.sent));
  if ((sending.flags & MSG_EOR) != 0 && sending.sent + wanted.size() == sending.size) bits |= write_bits::kEndOfRecord;
  if (sending.loan == nullptr) return stack().write(system_.now(), connection(), wanted, bits);
  const ByteSpan part = wanted.first(std::min(wanted.size(), kLentAtATime));
  const auto written = stack().write(system_.now(), connection(), sending.loan->slice(part), bits);
  if (!written) return std::unexpected(written.error());
  return part.size();
}

// Linux's sk_stream_error().
long TcpSocket::send_error(long error, int flags) {
  if (error != -EPIPE) return error;
  if (error_ != 0) return -std::exchange(error_, 0);
  return broken_pipe(flags);
}

// ---- receiving -----------------------------------------------------------------------------------------------------

long TcpSocket::receive(msghdr& message, int flags) {
  const long total = total_size(message);
  if (total < 0) return total;
  const auto size = static_cast<std::size_t>(total);
  if ((flags & MSG_ERRQUEUE) != 0) {
    look();
    return receive_error(message);
  }
  message.msg_namelen = 0;
  ControlWriter control(message);
  if (listening()) return -ENOTCONN;
  if ((flags & MSG_OOB) != 0) return receive_urgent(message, size, flags);
  std::size_t done = 0;
  const long result = system_.until(receive_deadline(flags), [&] { return receive_some(message, size, done, flags); });
  if (done == 0 && result < 0) return result;
  if (options_.receive_stamps && done > 0 && has_connection()) {
    const auto peeked = (flags & MSG_PEEK) != 0 ? static_cast<std::uint32_t>(done) : 0;
    tell_time(*stack().last_arrival(connection(), peeked), false, control);
  }
  if (inq_) {
    const Now now = look();
    const auto left = static_cast<int>(now.unread);
    control.add(IPPROTO_TCP, TCP_CM_INQ, left == 0 && done_ ? 1 : left);
  }
  return static_cast<long>(done);
}

long TcpSocket::receive_some(const msghdr& message, std::size_t size, std::size_t& done, int flags) {
  const auto low = static_cast<std::size_t>(call_options_.receive_lowat);
  const std::size_t target = std::max<std::size_t>((flags & MSG_WAITALL) != 0 ? size : std::min(low, size), 1);
  while (has_connection()) {
    if (look().unread == 0) break;
    if (size == 0) return 0;
    MutableByteSpan piece = piece_at(message, done);
    piece = piece.first(std::min(piece.size(), size - done));
    Result<std::size_t> count = 0;
    if ((flags & MSG_PEEK) != 0) {
      count = stack().peek(connection(), piece, static_cast<std::uint32_t>(done));
    } else if ((flags & MSG_TRUNC) != 0) {
      const auto dropped = stack().read_slice(system_.now(), connection(), static_cast<std::uint32_t>(piece.size()));
      if (dropped) count = dropped->size();
    } else {
      count = stack().read(system_.now(), connection(), piece);
    }
    if (!count || *count == 0) break;
    done += *count;
    if (done == size) return 0;
    if (look().at_urgent_mark) return 0;  // a read does not run across the mark
  }
  if (done >= target) return 0;
  const Now now = look();
  if (done > 0) return error_ != 0 || now.closed() || (shutdown_ & kReceiveShut) != 0 ? 0 : -EAGAIN;
  return what_no_data_means(now);
}

// 0: the end of the stream.
long TcpSocket::what_no_data_means(const Now& now) {
  if (done_) return 0;
  if (error_ != 0) return -std::exchange(error_, 0);
  if ((shutdown_ & kReceiveShut) != 0) return 0;
  return now.closed() ? -ENOTCONN : -EAGAIN;
}

// Linux's tcp_recv_urg(): it does not wait.
long TcpSocket::receive_urgent(msghdr& message, std::size_t size, int flags) {
  const Now now = look();
  if (!has_connection()) return -EINVAL;
  if ((flags & MSG_PEEK) != 0) return -EOPNOTSUPP;
  const auto byte = stack().read_urgent(system_.now(), connection());
  if (!byte && byte.error() == Error::InvalidArgument) return -EINVAL;
  if (now.closed() && !done_ && !(byte && *byte)) return -ENOTCONN;
  if (!byte) return (shutdown_ & kReceiveShut) != 0 ? 0 : -EAGAIN;
  if (!*byte) return 0;
  message.msg_flags |= MSG_OOB;
  if (size == 0) {
    message.msg_flags |= MSG_TRUNC;
    return 0;
  }
  if ((flags & MSG_TRUNC) == 0) piece_at(message, 0)[0] = **byte;
  return 1;
}

long TcpSocket::ioctl(unsigned long request, int& value) {
  const Now now = look();
  switch (request) {
    case SIOCINQ:
      if (listening()) return -EINVAL;
      value = now.opening() ? 0 : static_cast<int>(now.unread);
      if (now.urgent_announced && !options_.oob_inline && has_connection()) {
        // Up to the urgent byte.
        std::uint8_t last;
        int before = 0;
        while (before < value && *stack().peek(connection(), {&last, 1}, static_cast<std::uint32_t>(before)) == 1)
          ++before;
        value = now.at_urgent_mark ? 0 : before;
      }
      return 0;
    case SIOCOUTQ:
    case SIOCOUTQNSD:
      if (listening()) return -EINVAL;
      value = now.opening() ? 0 : static_cast<int>(request == SIOCOUTQ ? now.unacked : now.unsent);
      if (request == SIOCOUTQ && now.fin_in_flight()) ++value;  // it has a sequence number
      return 0;
    case SIOCATMARK:
      value = now.at_urgent_mark ? 1 : 0;
      return 0;
    default:
      return -ENOTTY;
  }
}

// ---- the end -------------------------------------------------------------------------------------------------------

long TcpSocket::shutdown(int how) {
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  const auto sides = static_cast<unsigned>(how) + 1;
  const Now now = look();
  if (stage_ == Stage::Connecting) stage_ = now.opening() || now.closed() ? Stage::Disconnecting : Stage::Connected;
  long result = 0;
  if (listening() || now.opening()) {
    if (listening() && (sides & kReceiveShut) == 0) return 0;
    result = disconnect();
  } else if (now.closed()) {
    shutdown_ |= sides;
    result = -ENOTCONN;
  } else {
    const bool closes = (sides & kSendShut) != 0 && (shutdown_ & kSendShut) == 0;
    shutdown_ |= sides;
    if (closes) (void)stack().shutdown_write(system_.now(), connection());
    // What is unread stays so: Linux gives it out, whatever was shut. What comes later is refused.
    if (shutdown_ == kBothShut && now.unread == 0) (void)stack().shutdown_read(system_.now(), connection());
  }
  tell_watches(0);
  return result;
}

long TcpSocket::close() {
  if (const auto* binding = std::get_if<BindingId>(&end_)) (void)stack().close(*binding);
  if (const auto* listener = std::get_if<ListenerId>(&end_)) (void)stack().close(system_.now(), *listener);
  const long result = has_connection() ? close_connection() : 0;
  end_ = std::monostate();
  return result;
}

// SO_LINGER holds whoever closes, O_NONBLOCK or not, until the peer has acknowledged everything.
long TcpSocket::close_connection() {
  const ConnectionId closing = connection();
  end_ = std::monostate();
  const bool lingers = options_.linger.value_or(0) > 0;
  const Instant deadline = lingers ? system_.now() + std::chrono::seconds(*options_.linger) : kAtOnce;
  if (lingers) system_.lingering[id()] = false;
  (void)stack().close(system_.now(), closing);
  if (!lingers) return 0;
  (void)system_.until(deadline, [&]() -> long { return system_.lingering[id()] ? 0 : -EAGAIN; });
  system_.lingering.erase(id());
  return 0;
}

}  // namespace ff::posix
