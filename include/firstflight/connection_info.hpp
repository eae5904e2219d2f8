// What there is to know of one connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "firstflight/address.hpp"
#include "firstflight/error.hpp"
#include "firstflight/fast_open.hpp"
#include "firstflight/time.hpp"

namespace ff {

// RFC 9293 §3.3.2
enum class TcpState : std::uint8_t {
  Closed,
  Listen,
  SynSent,
  SynReceived,
  Established,
  FinWait1,
  FinWait2,
  CloseWait,
  Closing,
  LastAck,
  TimeWait,
};
inline constexpr std::size_t kTcpStates = static_cast<std::size_t>(TcpState::TimeWait) + 1;
std::string_view to_string(TcpState) noexcept;  // "ESTABLISHED"

// What the sender believes of the path: Linux's tcp_ca_state.
enum class CaState : std::uint8_t {
  Open,      // nothing is missing
  Disorder,  // duplicate acknowledgements, too few to tell reordering from loss
  Cwr,       // the window is being reduced (ECN)
  Recovery,  // a loss is being repaired by fast retransmit
  Loss,      // after a time-out
};
std::string_view to_string(CaState) noexcept;  // "Recovery"

// What keeps a sender from being done: Linux's tcp_chrono. Of several the last in this list counts.
enum class SendLimit : std::uint8_t { Idle, Busy, ReceiveWindow, SendBuffer };

// Fields after struct tcp_info, whose quantities in segments are in bytes here. What of tcp_info is missing, this stack
// does not have: the receiver's own round-trip time.
struct ConnectionInfo {
  FourTuple tuple;
  TcpState state = TcpState::Closed;
  std::optional<Error> error;  // why it ended, if not in order
  FastOpenOutcome fast_open = FastOpenOutcome::NotTried;
  std::uint32_t syn_data_bytes = 0;  // bytes that rode in the SYN: sent (client) or taken (server)
  // Server: while the handshake is not over, how many bytes at the beginning of the stream came in the SYN, read or
  // not. An application that must not act twice upon a copy waits until this is 0.
  std::uint32_t early_bytes = 0;
  bool syn_waits_for_write = false;       // FastOpenMode::OnFirstWrite, and nothing was written yet
  std::uint8_t fastopen_client_fail = 0;  // the outcome as Linux numbers it: fastopen_client_fail_of()
  bool timestamps = false;
  bool sack = false;
  bool ecn = false;       // both sides understand marks
  bool ecn_seen = false;  // the peer's packets may be marked: one came so
  bool no_delay = false;
  std::uint8_t snd_wscale = 0, rcv_wscale = 0;
  std::uint32_t mark = 0;  // SO_MARK

  // The path
  std::uint32_t snd_mss = 0;  // payload bytes of a full segment we send, options deducted
  std::uint32_t rcv_mss = 0;  // of those that come, as far as seen
  std::uint32_t advmss = 0;
  std::uint32_t pmtu = 0;
  Duration rtt{};  // smoothed; zero: not measured yet
  Duration rttvar{};
  Duration min_rtt{};
  Duration rto{};
  Duration ato{};  // how long the next acknowledgement may wait; zero: no data came yet

  // Congestion control and recovery
  std::string congestion_control;  // "reno"
  CaState ca_state = CaState::Open;
  std::uint32_t snd_cwnd = 0;              // bytes
  std::uint32_t snd_ssthresh = 0;          // bytes
  std::uint64_t pacing_rate = 0;           // bytes a second; 0: what is sent is not paced
  std::uint64_t delivery_rate = 0;         // bytes a second, as last measured; 0: not yet
  bool delivery_rate_app_limited = false;  // and there was too little to send: the path may deliver more
  std::uint32_t unacked = 0;               // bytes sent and not acknowledged
  std::uint32_t lost = 0;                  // bytes of them believed lost and not sent again yet
  std::uint32_t sacked = 0;                // bytes of them that arrived ahead of a gap
  std::uint8_t retransmits = 0;            // consecutive time-outs now
  std::uint8_t backoff = 0;                // doublings of the RTO now
  std::uint8_t probes = 0;                 // window probes without an answer

  // Windows and queues, in bytes
  std::uint32_t snd_wnd = 0;
  std::uint32_t rcv_wnd = 0;
  std::uint32_t rcv_ssthresh = 0;  // how large a window we would offer now
  std::uint32_t rcv_space = 0;     // read in the last round trip: what receive-buffer autotuning goes by
  std::uint32_t notsent = 0;       // written and not sent
  std::uint32_t unread = 0;        // received and not read

  // Totals
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_acked = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_retrans = 0;
  std::uint32_t segs_out = 0, segs_in = 0;            // all segments
  std::uint32_t data_segs_out = 0, data_segs_in = 0;  // those with payload
  std::uint32_t delivered = 0;                        // segments of ours that arrived
  std::uint32_t delivered_ce = 0;                     // of them, acknowledged with ECN's echo
  std::uint32_t retrans = 0;                          // bytes sent again that have not arrived
  std::uint32_t total_retrans = 0;                    // segments
  std::uint32_t dsack_dups = 0;                       // reports of data that arrived twice
  std::uint32_t reordering = 0;                       // by how many segments it was seen to; 0: not
  std::uint32_t reord_seen = 0;                       // times that data was seen to arrive out of order
  std::uint32_t rcv_ooopack = 0;                      // segments that came ahead of a gap
  std::uint32_t rcv_drops = 0;                        // segments for which there was no room

  // Time-outs: how many, in how many rows, and how long those took that are over
  std::uint16_t total_rto = 0, total_rto_recoveries = 0;
  Duration total_rto_time{};

  // How long there was something to send, and what of that the peer's window or the own send buffer held up, until the
  // limit of now began
  Duration busy_time{};
  Duration rwnd_limited{};
  Duration sndbuf_limited{};
  SendLimit send_limit = SendLimit::Idle;
  Instant send_limit_since{};

  // When it happened last; Instant{}: never
  Instant last_data_sent{};
  Instant last_data_recv{};
  Instant last_ack_recv{};
};

// Linux's enum tcp_fastopen_client_fail: 1 no cookie at hand, 2 the data was not acknowledged, 3 the SYN went again; 0
// for all else.
std::uint8_t fastopen_client_fail_of(FastOpenOutcome) noexcept;

}  // namespace ff
