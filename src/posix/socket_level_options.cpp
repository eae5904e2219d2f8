// Level SOL_SOCKET, after Linux's sk_setsockopt() and sk_getsockopt(). An option that would do nothing here fails with
// ENOPROTOOPT; of some that are always off, "off" is accepted.
#include <netinet/in.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "posix/socket.hpp"

namespace ff::posix {
namespace {

constexpr int kLeastReceiveBuffer = 2304;  // SOCK_MIN_RCVBUF
constexpr int kLeastSendBuffer = 4608;     // SOCK_MIN_SNDBUF

}  // namespace

long Socket::set_socket_option(int name, const OptionValue& value) {
  int number = 0;
  if (const long wrong = value.read(number); wrong != 0) return wrong;
  const bool on = number != 0;
  switch (name) {
    case SO_REUSEADDR:
      return change(options_.reuse_addr, on);
    case SO_REUSEPORT:
      return change(options_.reuse_port, on);
    case SO_KEEPALIVE:
      return change(options_.keepalive, on);
    case SO_OOBINLINE:
      return change(options_.oob_inline, on);
    case SO_SNDBUF:
    case SO_RCVBUF:
      return set_buffer(name, number, false);
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
      return set_buffer(name == SO_SNDBUFFORCE ? SO_SNDBUF : SO_RCVBUF, number, true);
    case SO_LINGER:
      return set_linger(value);
    case SO_RCVTIMEO:
      return set_timeout(call_options_.receive_timeout, value);
    case SO_SNDTIMEO:
      return set_timeout(call_options_.send_timeout, value);
    case SO_RCVLOWAT:
      if (type_ != SOCK_STREAM && number > 1) return -ENOPROTOOPT;  // datagrams come whole
      call_options_.receive_lowat = std::clamp(number < 0 ? INT_MAX : number, 1, greatest_lowat());
      return 0;
    case SO_MAX_PACING_RATE: {
      std::uint64_t rate = number == -1 ? UINT64_MAX : static_cast<unsigned>(number);
      if (value.length >= sizeof rate) (void)value.read_bytes(std::as_writable_bytes(std::span(&rate, 1)));
      if (type_ != SOCK_STREAM) return -ENOPROTOOPT;
      call_options_.max_pacing_rate = rate;
      return change(options_.max_pacing_rate, rate == UINT64_MAX ? 0 : std::max<std::uint64_t>(rate, 1));
    }
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
      return set_timestamp(name, on);
    case SO_TIMESTAMPING:
      return set_timestamping(value);
    case SO_ZEROCOPY:
      if (protocol() != IPPROTO_TCP && protocol() != IPPROTO_UDP) return -EOPNOTSUPP;
      if (number < 0 || number > 1) return -EINVAL;
      zero_copy_ = on;
      return 0;
    case SO_MARK:
      if (type_ != SOCK_STREAM) return -ENOPROTOOPT;
      return change(options_.mark, static_cast<std::uint32_t>(number));
    case SO_BROADCAST:
    case SO_DONTROUTE:
    case SO_DEBUG:
      return on ? -ENOPROTOOPT : 0;
    default:
      return -ENOPROTOOPT;
  }
}

long Socket::get_socket_option(int name, const OptionRoom& room) {
  if (const long wrong = room.check(); wrong != 0) return wrong;
  switch (name) {
    case SO_REUSEADDR:
      return room.put(options_.reuse_addr ? 1 : 0);
    case SO_REUSEPORT:
      return room.put(options_.reuse_port ? 1 : 0);
    case SO_KEEPALIVE:
      return room.put(options_.keepalive ? 1 : 0);
    case SO_OOBINLINE:
      return room.put(options_.oob_inline ? 1 : 0);
    case SO_TYPE:
      return room.put(type_);
    case SO_DOMAIN:
      return room.put(family_);
    case SO_PROTOCOL:
      return room.put(protocol());
    case SO_ERROR:
      return room.put(take_error());
    case SO_ACCEPTCONN:
      return room.put(listening() ? 1 : 0);
    case SO_RCVBUF:
      return room.put(call_options_.receive_buffer != 0 ? call_options_.receive_buffer
                                                        : static_cast<int>(memory().rcvbuf));
    case SO_SNDBUF:
      return room.put(call_options_.send_buffer != 0 ? call_options_.send_buffer : static_cast<int>(memory().sndbuf));
    case SO_LINGER:
      return room.put_struct(linger{options_.linger ? 1 : 0, static_cast<int>(options_.linger.value_or(0))});
    case SO_RCVTIMEO:
      return get_timeout(call_options_.receive_timeout, room);
    case SO_SNDTIMEO:
      return get_timeout(call_options_.send_timeout, room);
    case SO_RCVLOWAT:
      return room.put(call_options_.receive_lowat);
    case SO_SNDLOWAT:
      return room.put(1);
    case SO_MAX_PACING_RATE: {
      const std::uint64_t rate = call_options_.max_pacing_rate;
      if (*room.length >= sizeof rate) return room.put_struct(rate);
      return room.put(static_cast<int>(std::min<std::uint64_t>(rate, UINT32_MAX)));
    }
    case SO_COOKIE:
      return *room.length < sizeof id_ ? -EINVAL : room.put_struct(id_);
    case SO_MEMINFO:
      return get_memory(room);
    case SO_BROADCAST:
    case SO_DONTROUTE:
    case SO_DEBUG:
      return room.put(0);
    case SO_TIMESTAMP:
      return room.put(stamping_.receive && !stamping_.nanoseconds ? 1 : 0);
    case SO_TIMESTAMPNS:
      return room.put(stamping_.nanoseconds ? 1 : 0);
    case SO_TIMESTAMPING:
      return get_timestamping(room);
    case SO_ZEROCOPY:
      return room.put(zero_copy_ ? 1 : 0);
    case SO_MARK:
      return room.put(static_cast<int>(options_.mark));
    default:
      return -ENOPROTOOPT;
  }
}

// Linux's tcp_set_rcvlowat(): no more than fits the buffer.
int Socket::greatest_lowat() const noexcept {
  if (type_ != SOCK_STREAM) return 1;
  const int half = call_options_.receive_buffer / 2;
  return half != 0 ? half : static_cast<int>(stack().settings().tcp_rmem.max / 2);
}

// Linux doubles what is asked for, to make room for its own bookkeeping, and tells the double. The stack counts
// payload: half of it is a window, while what waits to be sent has the whole.
long Socket::set_buffer(int name, int value, bool force) {
  const bool receive = name == SO_RCVBUF;
  const Settings& settings = stack().settings();
  const std::uint32_t max = receive ? settings.rmem_max : settings.wmem_max;
  const int least = receive ? kLeastReceiveBuffer : kLeastSendBuffer;
  std::uint32_t wanted =
      force ? static_cast<std::uint32_t>(std::max(value, 0)) : std::min(static_cast<std::uint32_t>(value), max);
  wanted = std::min<std::uint32_t>(wanted, INT_MAX / 2);
  const int doubled = std::max(static_cast<int>(wanted * 2), least);
  const int old = receive ? call_options_.receive_buffer : call_options_.send_buffer;
  (receive ? call_options_.receive_buffer : call_options_.send_buffer) = doubled;
  const auto bytes = static_cast<std::uint32_t>(receive ? doubled / 2 : doubled);
  const long wrong = change(receive ? options_.rcvbuf : options_.sndbuf, std::min(bytes, 0x3fffffffu));
  if (wrong != 0) (receive ? call_options_.receive_buffer : call_options_.send_buffer) = old;
  return wrong;
}

long Socket::set_timeout(std::optional<Duration>& timeout, const OptionValue& value) {
  timeval time{};
  if (const long wrong = value.read_bytes(std::as_writable_bytes(std::span(&time, 1))); wrong != 0) return wrong;
  if (time.tv_usec < 0 || time.tv_usec >= 1'000'000) return -EDOM;
  constexpr std::int64_t kForEver = INT64_C(1) << 32;
  const Duration asked = std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  if (time.tv_sec < 0) {
    timeout = Duration::zero();
  } else if (time.tv_sec >= kForEver || asked == Duration::zero()) {
    timeout.reset();
  } else {
    timeout = asked;
  }
  return 0;
}

long Socket::get_timeout(const std::optional<Duration>& timeout, const OptionRoom& room) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(timeout.value_or(Duration::zero()));
  return room.put_struct(timeval{microseconds.count() / 1'000'000, microseconds.count() % 1'000'000});
}

long Socket::set_linger(const OptionValue& value) {
  linger wanted{};
  if (const long wrong = value.read_bytes(std::as_writable_bytes(std::span(&wanted, 1))); wrong != 0) return wrong;
  constexpr std::uint32_t kForEver = INT_MAX;
  const std::uint32_t seconds = std::min(static_cast<std::uint32_t>(wanted.l_linger), kForEver);
  return change(options_.linger, wanted.l_onoff == 0 ? std::nullopt : std::optional(seconds));
}

// SO_MEMINFO, in the order of Linux's SK_MEMINFO_*.
long Socket::get_memory(const OptionRoom& room) {
  const SocketMemory now = memory();
  const std::array<std::uint32_t, 9> values{
      now.rmem_alloc, now.rcvbuf, now.wmem_alloc, now.sndbuf, 0, now.wmem_queued, 0, 0, now.drops};
  return room.put_struct(values);
}

}  // namespace ff::posix
