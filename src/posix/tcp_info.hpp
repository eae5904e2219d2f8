// What getsockopt(TCP_INFO) tells.
#pragma once

#include <cstdint>

#include "firstflight/stack.hpp"

namespace ff::posix {

// struct tcp_info of Linux 6.18, whatever the headers here know of it: programs ask for as much as they know.
struct TcpInfo {
  std::uint8_t state, ca_state, retransmits, probes, backoff, options;
  std::uint8_t snd_wscale : 4, rcv_wscale : 4;
  std::uint8_t delivery_rate_app_limited : 1, fastopen_client_fail : 2;
  std::uint32_t rto, ato, snd_mss, rcv_mss;
  std::uint32_t unacked, sacked, lost, retrans, fackets;
  std::uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
  std::uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
  std::uint32_t rcv_rtt, rcv_space;
  std::uint32_t total_retrans;
  std::uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
  std::uint32_t segs_out, segs_in;
  std::uint32_t notsent_bytes, min_rtt, data_segs_in, data_segs_out;
  std::uint64_t delivery_rate;
  std::uint64_t busy_time, rwnd_limited, sndbuf_limited;
  std::uint32_t delivered, delivered_ce;
  std::uint64_t bytes_sent, bytes_retrans;
  std::uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash;
  std::uint16_t total_rto, total_rto_recoveries;
  std::uint32_t total_rto_time;
  // Accurate ECN, which there is not here
  std::uint32_t received_ce, delivered_e1_bytes, delivered_e0_bytes, delivered_ce_bytes;
  std::uint32_t received_e1_bytes, received_e0_bytes, received_ce_bytes;
  std::uint16_t accecn_fail_mode, accecn_opt_seen;
};
static_assert(sizeof(TcpInfo) == 280);

// As Linux numbers them: TCP_ESTABLISHED is 1.
std::uint8_t linux_state(TcpState state) noexcept;

// `active`: its SYN was ours, which Linux counts as a byte acknowledged.
TcpInfo tcp_info_of(const ConnectionInfo& info, const Settings& settings, std::uint64_t max_pacing_rate, Instant now,
                    bool active);
TcpInfo tcp_info_of_listener(const ListenerStatus& status, const Settings& settings);
// Neither listens nor is connected.
TcpInfo tcp_info_of_closed(const Settings& settings, std::uint64_t max_pacing_rate);

}  // namespace ff::posix
