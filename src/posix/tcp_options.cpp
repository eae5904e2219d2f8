// Level IPPROTO_TCP, after Linux's do_tcp_setsockopt() and do_tcp_getsockopt().
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "posix/tcp_socket.hpp"

namespace ff::posix {
namespace {

constexpr int kLeastMss = 88, kGreatestMss = 32767;  // TCP_MIN_MSS, MAX_TCP_WINDOW
constexpr int kMaxKeepSeconds = 32767, kMaxProbes = 127;
constexpr int kMaxFinTimeout = 120;           // seconds
constexpr int kLongestDelay = (1 << 28) - 1;  // microseconds: eight times it still is a 32-bit number
constexpr int kDefaultMss = 536;
constexpr int kLeastClamp = 1152;      // SOCK_MIN_RCVBUF / 2
constexpr std::size_t kNameSize = 16;  // TCP_CA_NAME_MAX
constexpr int kIsMptcp = 43;           // TCP_IS_MPTCP, which older headers lack

bool in_range(int value, int least, int greatest) noexcept { return value >= least && value <= greatest; }

// TCP_DEFER_ACCEPT is kept as a number of SYN-ACKs, and told as the time that those take.
int deferred_seconds(std::uint32_t asked) noexcept {
  constexpr int kMaxTimeouts = 255;
  std::uint32_t period = 0, timeout = 1;
  for (int timeouts = 0; period < asked && timeouts < kMaxTimeouts; ++timeouts) {
    period += timeout;
    timeout = std::min(timeout * 2, 120u);
  }
  return static_cast<int>(period);
}

}  // namespace

int TcpSocket::protocol() const noexcept { return IPPROTO_TCP; }

int TcpSocket::take_error() {
  look();
  if (error_ != 0 || !has_connection()) return std::exchange(error_, 0);
  const auto soft = *stack().take_soft_error(connection());
  return soft ? to_errno(*soft) : 0;
}

SocketMemory TcpSocket::memory() {
  if (has_connection()) return look().memory;
  SocketMemory memory;
  memory.rcvbuf = call_options_.receive_buffer != 0 ? static_cast<std::uint32_t>(call_options_.receive_buffer)
                                                    : stack().settings().tcp_rmem.initial;
  memory.sndbuf = options_.sndbuf != 0 ? options_.sndbuf : stack().settings().tcp_wmem.initial;
  return memory;
}

long TcpSocket::begin_stamp_keys(bool by_write) {
  const Now now = look();
  if (now.closed() || listening()) return -EINVAL;
  stamping_.first_key = by_write ? now.written : now.written - now.unacked;
  // The SYN has a number, too, and comes first.
  if (!by_write && (now.in(TcpState::SynSent) || now.in(TcpState::SynReceived))) --stamping_.first_key;
  return 0;
}

long TcpSocket::path_mtu() {
  if (!has_connection() || look().closed()) return -ENOTCONN;
  return static_cast<long>(stack().info(connection())->pmtu);
}

SocketOptions TcpSocket::options_for_stack() const noexcept {
  SocketOptions options = options_;
  const bool over_v4 = family() == AF_INET || (remote_ && remote_->address.is_v4());
  options.tos = static_cast<std::uint32_t>(over_v4 ? call_options_.tos : std::max(call_options_.traffic_class, 0));
  options.path_mtu_discovery = call_options_.path_mtu_discovery();
  options.ttl = static_cast<std::uint32_t>(std::max(over_v4 ? call_options_.ttl : call_options_.hop_limit, 0));
  return options;
}

long TcpSocket::apply_options() {
  const SocketOptions options = options_for_stack();
  if (!check(options)) return -EINVAL;
  Result<void> set;
  if (const auto* binding = std::get_if<BindingId>(&end_)) set = stack().set_options(*binding, options);
  if (const auto* listener = std::get_if<ListenerId>(&end_)) set = stack().set_options(*listener, options);
  if (has_connection()) set = stack().set_options(system_.now(), connection(), options);
  return set ? 0 : -static_cast<long>(to_errno(set.error()));
}

// ---- set -----------------------------------------------------------------------------------------------------------

long TcpSocket::set_own_option(int level, int name, const OptionValue& value) {
  if (level != IPPROTO_TCP) return -ENOPROTOOPT;
  if (name == TCP_CONGESTION) return set_congestion(value);
  if (name == TCP_FASTOPEN_KEY) return set_fast_open_keys(value);
  int number = 0;
  if (const long wrong = value.read(number); wrong != 0) return wrong;
  return set_number(name, number);
}

long TcpSocket::set_number(int name, int value) {
  const auto number = static_cast<std::uint32_t>(value);
  const auto seconds = [&](std::uint32_t& setting) {
    return in_range(value, 1, kMaxKeepSeconds) ? change(setting, number) : -EINVAL;
  };
  switch (name) {
    case TCP_NODELAY:
      return set_no_delay(value != 0);
    case TCP_CORK:
      return change(options_.cork, value != 0);
    case TCP_MAXSEG:
      return value == 0 || in_range(value, kLeastMss, kGreatestMss) ? change(options_.maxseg, number) : -EINVAL;
    case TCP_KEEPIDLE:
      return seconds(options_.keepidle);
    case TCP_KEEPINTVL:
      return seconds(options_.keepintvl);
    case TCP_KEEPCNT:
      return in_range(value, 1, kMaxProbes) ? change(options_.keepcnt, number) : -EINVAL;
    case TCP_SYNCNT:
      return in_range(value, 1, kMaxProbes) ? change(options_.syncnt, number) : -EINVAL;
    case TCP_USER_TIMEOUT:
      return value >= 0 ? change(options_.user_timeout, number) : -EINVAL;
    case TCP_LINGER2:
      return change(options_.linger2, std::clamp(value, -1, kMaxFinTimeout));
    case TCP_DEFER_ACCEPT:
      return change(options_.defer_accept, static_cast<std::uint32_t>(std::max(value, 0)));
    case TCP_WINDOW_CLAMP:
      if (value == 0 && !look().closed()) return -EINVAL;
      return change(options_.window_clamp, value == 0 ? 0 : static_cast<std::uint32_t>(std::max(value, kLeastClamp)));
    case TCP_NOTSENT_LOWAT:
      return change(options_.notsent_lowat, number);
    case TCP_SAVE_SYN:
      return in_range(value, 0, 2) ? change(options_.save_syn, number) : -EINVAL;
    case TCP_TX_DELAY:
      return in_range(value, 0, kLongestDelay) ? change(options_.tx_delay, number) : -EINVAL;
    case TCP_INQ:
      if (!in_range(value, 0, 1)) return -EINVAL;
      inq_ = value != 0;
      return 0;
    case TCP_QUICKACK:
      quick_ack_ = value != 0;
      if (has_connection()) (void)stack().set_quick_ack(system_.now(), connection(), quick_ack_);
      return 0;
    case TCP_FASTOPEN:
      return set_fast_open(value);
    case TCP_FASTOPEN_CONNECT:
      if (!in_range(value, 0, 1)) return -EINVAL;
      if ((stack().settings().tcp_fastopen & fast_open_bits::kClient) == 0) return -EOPNOTSUPP;
      if (!look().closed()) return -EINVAL;
      fast_open_.connect = value != 0;
      return 0;
    case TCP_FASTOPEN_NO_COOKIE:
      if (!in_range(value, 0, 1) || !(look().closed() || listening())) return -EINVAL;
      fast_open_.no_cookie = value != 0;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

long TcpSocket::set_fast_open(int value) {
  if (value < 0 || !(look().closed() || listening())) return -EINVAL;
  fast_open_.queue = std::min(static_cast<std::uint32_t>(value), stack().settings().somaxconn);
  if (listening()) (void)stack().set_fast_open(std::get<ListenerId>(end_), *fast_open_.queue);
  return 0;
}

// One key, or a second one behind it whose cookies are still good.
long TcpSocket::set_fast_open_keys(const OptionValue& value) {
  FastOpenKeys keys;
  constexpr std::size_t kSize = sizeof keys.primary.bytes;
  if (value.length != kSize && value.length != 2 * kSize) return -EINVAL;
  if (value.data == nullptr) return -EFAULT;
  std::memcpy(keys.primary.bytes.data(), value.data, kSize);
  if (value.length > kSize) {
    keys.backup.emplace();
    std::memcpy(keys.backup->bytes.data(), static_cast<const std::byte*>(value.data) + kSize, kSize);
  }
  fast_open_.keys = keys;
  if (listening()) (void)stack().set_fast_open_keys(std::get<ListenerId>(end_), keys);
  return 0;
}

long TcpSocket::set_no_delay(bool on) {
  const long done = change(options_.no_delay, on);
  // Set once more it changes nothing, but pushes out what is held back.
  if (done == 0 && has_connection()) (void)stack().set_no_delay(system_.now(), connection(), on);
  return done;
}

long TcpSocket::set_congestion(const OptionValue& value) {
  if (value.length < 1) return -EINVAL;
  if (value.data == nullptr) return -EFAULT;
  const auto* text = static_cast<const char*>(value.data);
  const std::string_view name(text, ::strnlen(text, std::min<std::size_t>(value.length, kNameSize - 1)));
  const auto& known = stack().settings().tcp_available_congestion_control;
  if (std::ranges::find(known, name) == known.end()) return -ENOENT;
  return change(options_.congestion, CongestionName(name));
}

// ---- get -----------------------------------------------------------------------------------------------------------

long TcpSocket::get_own_option(int level, int name, const OptionRoom& room) {
  if (level != IPPROTO_TCP) return -ENOPROTOOPT;
  if (const long wrong = room.check(); wrong != 0) return wrong;
  switch (name) {
    case TCP_INFO:
      return get_info(room);
    case TCP_CC_INFO:
      return get_congestion_info(room);
    case TCP_CONGESTION:
      return get_congestion(room);
    case TCP_FASTOPEN_KEY:
      return get_fast_open_keys(room);
    case TCP_SAVED_SYN:
      return get_saved_syn(room);
    default:
      return get_number(name, room);
  }
}

long TcpSocket::get_number(int name, const OptionRoom& room) {
  const Settings& settings = stack().settings();
  const auto put = [&](std::uint32_t own, std::uint32_t otherwise = 0) {
    return room.put(static_cast<int>(own != 0 ? own : otherwise));
  };
  switch (name) {
    case TCP_NODELAY:
      return room.put(options_.no_delay ? 1 : 0);
    case TCP_CORK:
      return room.put(options_.cork ? 1 : 0);
    case TCP_MAXSEG:
      if (has_connection() && !look().closed()) return put(stack().info(connection())->snd_mss);
      return put(options_.maxseg, kDefaultMss);
    case TCP_KEEPIDLE:
      return put(options_.keepidle, settings.tcp_keepalive_time);
    case TCP_KEEPINTVL:
      return put(options_.keepintvl, settings.tcp_keepalive_intvl);
    case TCP_KEEPCNT:
      return put(options_.keepcnt, settings.tcp_keepalive_probes);
    case TCP_SYNCNT:
      return put(options_.syncnt, settings.tcp_syn_retries);
    case TCP_USER_TIMEOUT:
      return put(options_.user_timeout);
    case TCP_LINGER2:
      return options_.linger2 < 0 ? room.put(-1)
                                  : put(static_cast<std::uint32_t>(options_.linger2), settings.tcp_fin_timeout);
    case TCP_DEFER_ACCEPT:
      return room.put(deferred_seconds(options_.defer_accept));
    case TCP_WINDOW_CLAMP:
      return put(options_.window_clamp);
    case TCP_NOTSENT_LOWAT:
      return put(options_.notsent_lowat);
    case TCP_SAVE_SYN:
      return put(options_.save_syn);
    case TCP_TX_DELAY:
      return put(options_.tx_delay);
    case TCP_INQ:
      return room.put(inq_ ? 1 : 0);
    case TCP_QUICKACK:
      return room.put(quick_ack_ ? 1 : 0);
    case TCP_FASTOPEN:
      return put(fast_open_.queue.value_or(0));
    case TCP_FASTOPEN_CONNECT:
      return room.put(fast_open_.connect ? 1 : 0);
    case TCP_FASTOPEN_NO_COOKIE:
      return room.put(fast_open_.no_cookie ? 1 : 0);
    case kIsMptcp:
      return room.put(0);
    default:
      return -ENOPROTOOPT;
  }
}

long TcpSocket::get_info(const OptionRoom& room) {
  const Settings& settings = stack().settings();
  if (listening()) return room.put_struct(tcp_info_of_listener(*stack().status(std::get<ListenerId>(end_)), settings));
  if (!has_connection()) return room.put_struct(tcp_info_of_closed(settings, options_.max_pacing_rate));
  return room.put_struct(
      tcp_info_of(*stack().info(connection()), settings, options_.max_pacing_rate, system_.now(), active_));
}

// Only BBR has something to tell: struct tcp_bbr_info.
long TcpSocket::get_congestion_info(const OptionRoom& room) {
  if (!has_connection()) return room.put_bytes({});
  const ConnectionInfo info = *stack().info(connection());
  if (info.congestion_control != "bbr") return room.put_bytes({});
  constexpr std::uint64_t kUnit = 256;  // of a gain
  const auto min_rtt =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(info.min_rtt).count());
  const std::uint64_t rate = info.delivery_rate;
  const std::uint64_t product = rate * min_rtt / 1'000'000;
  const std::array<std::uint32_t, 5> told{
      static_cast<std::uint32_t>(rate), static_cast<std::uint32_t>(rate >> 32), static_cast<std::uint32_t>(min_rtt),
      static_cast<std::uint32_t>(rate == 0 ? 0 : info.pacing_rate * kUnit / rate),
      static_cast<std::uint32_t>(product == 0 ? 0 : info.snd_cwnd * kUnit / product)};
  return room.put_struct(told);
}

long TcpSocket::get_congestion(const OptionRoom& room) {
  std::array<char, kNameSize> text{};
  std::string name(options_.congestion.view());
  if (has_connection()) name = stack().info(connection())->congestion_control;
  if (name.empty()) name = stack().settings().tcp_congestion_control;
  std::copy_n(name.begin(), std::min(name.size(), kNameSize - 1), text.begin());
  return room.put_struct(text);
}

long TcpSocket::get_fast_open_keys(const OptionRoom& room) {
  const FastOpenKeys keys = fast_open_.keys ? *fast_open_.keys : stack().fast_open_keys();
  std::array<std::uint8_t, 32> both{};
  std::ranges::copy(keys.primary.bytes, both.begin());
  if (keys.backup) std::ranges::copy(keys.backup->bytes, both.begin() + 16);
  return room.put_bytes(std::as_bytes(std::span(both)).first(keys.backup ? 32 : 16));
}

// Once; where there is too little room for it, the length alone.
long TcpSocket::get_saved_syn(const OptionRoom& room) {
  if (saved_syn_.empty() && has_connection()) {
    if (auto taken = stack().take_saved_syn(connection())) saved_syn_ = *std::move(taken);
  }
  if (*room.length < saved_syn_.size()) {
    *room.length = static_cast<socklen_t>(saved_syn_.size());
    return -EINVAL;
  }
  const long result = room.put_bytes(std::as_bytes(std::span(saved_syn_)));
  if (result == 0) saved_syn_.clear();
  return result;
}

}  // namespace ff::posix
