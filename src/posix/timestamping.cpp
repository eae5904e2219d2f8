// SO_TIMESTAMP, SO_TIMESTAMPNS and SO_TIMESTAMPING, after Linux's sock_set_timestamping() and __sock_recv_timestamp(),
// on devices that have no clock of their own. What only such a clock could do is accepted and does nothing, as there.
#include <arpa/inet.h>  // and struct timespec, which the next one lacks
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "posix/message.hpp"
#include "posix/socket.hpp"

namespace ff::posix {
namespace {

// What older headers lack.
constexpr std::uint32_t kOptIdTcp = 1u << 16;     // SOF_TIMESTAMPING_OPT_ID_TCP
constexpr std::uint32_t kRxFilter = 1u << 17;     // SOF_TIMESTAMPING_OPT_RX_FILTER
constexpr std::uint32_t kKnown = (1u << 19) - 1;  // up to SOF_TIMESTAMPING_TX_COMPLETION
constexpr std::uint32_t kBindPhc = 1u << 15;      // SOF_TIMESTAMPING_BIND_PHC
constexpr std::uint32_t kTransmit = SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE |
                                    SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK | (1u << 18);

timespec to_timespec(Duration since_1970) noexcept {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count();
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

}  // namespace

long Socket::set_timestamp(int name, bool on) {
  const bool in_nanoseconds = on && name == SO_TIMESTAMPNS;
  stamping_.receive = on;
  stamping_.nanoseconds = in_nanoseconds;
  return note_stamping();
}

// The flags, and behind them perhaps which hardware clock.
long Socket::set_timestamping(const OptionValue& value) {
  std::uint32_t flags = 0;
  if (const long wrong = value.read_bytes(std::as_writable_bytes(std::span(&flags, 1))); wrong != 0) return wrong;
  if ((flags & ~kKnown) != 0) return -EINVAL;
  if ((flags & kOptIdTcp) != 0 && (flags & SOF_TIMESTAMPING_OPT_ID) == 0) return -EINVAL;
  if ((flags & SOF_TIMESTAMPING_OPT_ID) != 0 && (stamping_.flags & SOF_TIMESTAMPING_OPT_ID) == 0)
    if (const long wrong = begin_stamp_keys((flags & kOptIdTcp) != 0); wrong != 0) return wrong;
  const bool stamps_only = (flags & SOF_TIMESTAMPING_OPT_TSONLY) != 0;
  if ((flags & SOF_TIMESTAMPING_OPT_STATS) != 0) return stamps_only ? -ENOPROTOOPT : -EINVAL;
  if ((flags & SOF_TIMESTAMPING_OPT_CMSG) != 0 && !stamps_only) return -ENOPROTOOPT;  // with it, it does nothing
  if ((flags & kBindPhc) != 0) return -EOPNOTSUPP;                                    // there is none
  stamping_.flags = flags;
  return note_stamping();
}

long Socket::note_stamping() {
  return change(options_.receive_stamps, stamping_.receive || (stamping_.flags & SOF_TIMESTAMPING_RX_SOFTWARE) != 0);
}

long Socket::get_timestamping(const OptionRoom& room) const {
  return room.put_struct(std::array<std::uint32_t, 2>{stamping_.flags, 0});
}

// SO_TIMESTAMPING beside one message (Linux's __sock_cmsg_send()): other flags for it.
long Socket::read_timestamping(const Control& control, std::uint32_t& flags) noexcept {
  std::uint32_t own = 0;
  if (!control.read(own)) return -EINVAL;
  if ((own & ~kTransmit) != 0) return -EINVAL;
  flags = (flags & ~kTransmit) | own;
  return 0;
}

StampRequest Socket::stamps_wanted(std::uint32_t flags) const noexcept {
  StampRequest wanted;
  if ((flags & SOF_TIMESTAMPING_TX_SCHED) != 0) wanted.kinds |= stamp_bits::kScheduled;
  if ((flags & SOF_TIMESTAMPING_TX_SOFTWARE) != 0) wanted.kinds |= stamp_bits::kSent;
  if ((flags & SOF_TIMESTAMPING_TX_ACK) != 0 && type_ == SOCK_STREAM) wanted.kinds |= stamp_bits::kAcknowledged;
  wanted.with_packet = (stamping_.flags & SOF_TIMESTAMPING_OPT_TSONLY) == 0;
  return wanted;
}

void Socket::add_stamp(const TransmitStamp& stamp) {
  QueuedError queued = error_of(stamp);
  queued.said.ee_data = (stamping_.flags & SOF_TIMESTAMPING_OPT_ID) != 0 ? stamp.key - stamping_.first_key : 0;
  queue(std::move(queued));
}

// What recvmsg() tells of when something came, or went.
void Socket::tell_time(std::optional<Instant> at, bool of_error, ControlWriter& control) {
  if (stamping_.receive && of_error && !at) at = system_.now();
  if (!at) return;
  const Duration since_1970 = at->time_since_epoch() + system_.host.wall_clock_offset();
  const timespec time = to_timespec(since_1970);
  if (stamping_.receive && stamping_.nanoseconds) control.add(SOL_SOCKET, SCM_TIMESTAMPNS, time);
  if (stamping_.receive && !stamping_.nanoseconds)
    control.add(SOL_SOCKET, SCM_TIMESTAMP, timeval{time.tv_sec, time.tv_nsec / 1000});
  const bool filtered =
      (stamping_.flags & kRxFilter) != 0 && !of_error && (stamping_.flags & SOF_TIMESTAMPING_RX_SOFTWARE) == 0;
  if ((stamping_.flags & SOF_TIMESTAMPING_SOFTWARE) == 0 || filtered) return;
  control.add(SOL_SOCKET, SCM_TIMESTAMPING, std::array<timespec, 3>{time, timespec{}, timespec{}});
}

}  // namespace ff::posix
