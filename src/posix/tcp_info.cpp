#include "posix/tcp_info.hpp"

#include <algorithm>

namespace ff::posix {
namespace {

// TCPI_OPT_*
constexpr unsigned kTimestamps = 1, kSack = 2, kWindowScale = 4, kEcn = 8, kEcnSeen = 16, kSynData = 32;
constexpr std::uint32_t kDefaultMss = 536;
constexpr std::uint32_t kInitialWindow = 10;  // segments
constexpr std::uint32_t kInfiniteThreshold = 0x7fffffff;

std::uint32_t microseconds(Duration time) noexcept {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

std::uint64_t long_microseconds(Duration time) noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

// Milliseconds since `then`; what never happened was, to Linux, at the beginning of time.
std::uint32_t milliseconds_since(Instant then, Instant now) noexcept {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now - then).count());
}

std::uint32_t segments(std::uint32_t bytes, std::uint32_t mss) noexcept {
  return mss == 0 ? 0 : static_cast<std::uint32_t>((std::uint64_t{bytes} + mss - 1) / mss);
}

std::uint64_t or_unlimited(std::uint64_t rate) noexcept { return rate == 0 ? UINT64_MAX : rate; }

unsigned options_of(const ConnectionInfo& info) noexcept {
  unsigned bits = 0;
  if (info.timestamps) bits |= kTimestamps;
  if (info.sack) bits |= kSack;
  if (info.snd_wscale != 0 || info.rcv_wscale != 0) bits |= kWindowScale;
  if (info.ecn) bits |= kEcn;
  if (info.ecn_seen) bits |= kEcnSeen;
  if (info.fast_open == FastOpenOutcome::Accepted && info.syn_data_bytes > 0) bits |= kSynData;
  return bits;
}

void put_path(const ConnectionInfo& info, TcpInfo& to) noexcept {
  to.rto = microseconds(info.rto);
  to.ato = microseconds(info.ato);
  to.snd_mss = info.snd_mss;
  to.rcv_mss = info.rcv_mss;
  to.pmtu = info.pmtu;
  to.rtt = microseconds(info.rtt);
  to.rttvar = microseconds(info.rttvar);
  to.min_rtt = info.min_rtt == Duration::zero() ? UINT32_MAX : microseconds(info.min_rtt);
  to.advmss = info.advmss;
  to.snd_wnd = info.snd_wnd;
  to.rcv_wnd = info.rcv_wnd;
  to.rcv_ssthresh = info.rcv_ssthresh;
  to.rcv_space = info.rcv_space;
}

void put_recovery(const ConnectionInfo& info, const Settings& settings, TcpInfo& to) noexcept {
  to.ca_state = static_cast<std::uint8_t>(info.ca_state);
  to.retransmits = info.retransmits;
  to.probes = info.probes;
  to.backoff = info.backoff;
  to.unacked = segments(info.unacked, info.snd_mss);
  to.sacked = segments(info.sacked, info.snd_mss);
  // To Linux what was lost and sent again is still lost; but not what a loss probe repeated.
  const bool repairing = info.ca_state >= CaState::Recovery;
  to.lost = segments(info.lost + (repairing ? info.retrans : 0), info.snd_mss);
  to.retrans = segments(info.retrans, info.snd_mss);
  to.snd_cwnd = info.snd_mss == 0 ? kInitialWindow : std::max(info.snd_cwnd / info.snd_mss, 1u);
  const bool unknown = info.snd_ssthresh >= kInfiniteThreshold / 2 || info.snd_mss == 0;
  to.snd_ssthresh = unknown ? kInfiniteThreshold : std::max(info.snd_ssthresh / info.snd_mss, 1u);
  to.reordering = std::max(settings.tcp_reordering, info.reordering);
  to.total_rto = info.total_rto;
  to.total_rto_recoveries = info.total_rto_recoveries;
  to.total_rto_time = microseconds(info.total_rto_time) / 1000;
}

void put_totals(const ConnectionInfo& info, TcpInfo& to) noexcept {
  to.total_retrans = info.total_retrans;
  to.bytes_acked = info.bytes_acked;
  to.bytes_received = info.bytes_received;
  to.bytes_sent = info.bytes_sent;
  to.bytes_retrans = info.bytes_retrans;
  to.segs_out = info.segs_out;
  to.segs_in = info.segs_in;
  to.data_segs_in = info.data_segs_in;
  to.data_segs_out = info.data_segs_out;
  to.notsent_bytes = info.notsent;
  to.delivered = info.delivered;
  to.delivered_ce = info.delivered_ce;
  to.dsack_dups = info.dsack_dups;
  to.reord_seen = info.reord_seen;
  to.rcv_ooopack = info.rcv_ooopack;
  to.busy_time = long_microseconds(info.busy_time);
  to.rwnd_limited = long_microseconds(info.rwnd_limited);
  to.sndbuf_limited = long_microseconds(info.sndbuf_limited);
}

}  // namespace

std::uint8_t linux_state(TcpState state) noexcept {
  // In the order of TcpState.
  static constexpr std::uint8_t kNumbers[kTcpStates] = {7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};
  return kNumbers[static_cast<std::size_t>(state)];
}

TcpInfo tcp_info_of(const ConnectionInfo& info, const Settings& settings, std::uint64_t max_pacing_rate, Instant now,
                    bool active) {
  TcpInfo to{};
  to.state = linux_state(info.state == TcpState::TimeWait ? TcpState::Closed : info.state);
  to.options = static_cast<std::uint8_t>(options_of(info));
  to.snd_wscale = info.snd_wscale & 0xf;
  to.rcv_wscale = info.rcv_wscale & 0xf;
  to.delivery_rate_app_limited = info.delivery_rate_app_limited || info.delivery_rate == 0 ? 1 : 0;
  to.fastopen_client_fail = info.fastopen_client_fail & 0x3;
  put_path(info, to);
  put_recovery(info, settings, to);
  put_totals(info, to);
  if (info.state >= TcpState::Established) {  // SYN or SYN-ACK was delivered
    to.bytes_acked += active ? 1 : 0;
    to.delivered += 1;
  }
  if (const std::uint64_t lasted = long_microseconds(now - info.send_limit_since); info.send_limit != SendLimit::Idle) {
    to.busy_time += lasted;
    if (info.send_limit == SendLimit::ReceiveWindow) to.rwnd_limited += lasted;
    if (info.send_limit == SendLimit::SendBuffer) to.sndbuf_limited += lasted;
  }
  to.pacing_rate = or_unlimited(info.pacing_rate);
  to.max_pacing_rate = or_unlimited(max_pacing_rate);
  to.delivery_rate = info.delivery_rate;
  to.last_data_sent = milliseconds_since(info.last_data_sent, now);
  to.last_data_recv = milliseconds_since(info.last_data_recv, now);
  to.last_ack_recv = milliseconds_since(info.last_ack_recv, now);
  return to;
}

TcpInfo tcp_info_of_closed(const Settings& settings, std::uint64_t max_pacing_rate) {
  TcpInfo to{};
  to.state = linux_state(TcpState::Closed);
  to.snd_mss = kDefaultMss;
  to.rto = 1'000'000;
  to.snd_cwnd = kInitialWindow;
  to.snd_ssthresh = kInfiniteThreshold;
  to.reordering = settings.tcp_reordering;
  to.min_rtt = UINT32_MAX;
  to.pacing_rate = UINT64_MAX;
  to.max_pacing_rate = or_unlimited(max_pacing_rate);
  return to;
}

TcpInfo tcp_info_of_listener(const ListenerStatus& status, const Settings& settings) {
  TcpInfo to{};
  to.state = linux_state(TcpState::Listen);
  to.snd_cwnd = kInitialWindow;
  to.reordering = settings.tcp_reordering;
  to.pacing_rate = to.max_pacing_rate = UINT64_MAX;
  to.unacked = status.waiting;
  to.sacked = status.limit;
  return to;
}

}  // namespace ff::posix
