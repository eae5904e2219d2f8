// A TCP connection from its first SYN until it is closed or becomes a TIME_WAIT entry: RFC 9293's "Transmission Control
// Block", without the states LISTEN and TIME_WAIT, which have types of their own.
//
// Its code follows the RFC's headings, one file each: open.cpp (§3.10.1 OPEN, §3.10.7.3 SYN-SENT), arrives.cpp
// (§3.10.7.4, otherwise), acknowledge.cpp (its fifth step), recovery.cpp (what an acknowledgement means for the repair
// of losses), congestion.cpp (congestion control and pacing), urgent.cpp (its sixth step, and the rest of urgent data),
// user_calls.cpp (§3.10.2 to §3.10.6), send_buffer.cpp (what write() takes), transmit.cpp (what to send now),
// deadlines.cpp (§3.10.8), icmp.cpp, mtu_probing.cpp (RFC 4821), memory.cpp (tcp_mem), metrics.cpp (what is remembered
// of paths), fast_open.cpp (what came of a Fast Open of ours). What an application wants to hear besides is in
// reports.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "firstflight/congestion_control.hpp"
#include "firstflight/stack.hpp"
#include "tcp/delayed_ack.hpp"
#include "tcp/delivery_rate.hpp"
#include "tcp/ecn.hpp"
#include "tcp/environment.hpp"
#include "tcp/fastopen/client_cache.hpp"
#include "tcp/handshake.hpp"
#include "tcp/mtu_probing.hpp"
#include "tcp/observation.hpp"
#include "tcp/pacing.hpp"
#include "tcp/rack.hpp"
#include "tcp/receive_half.hpp"
#include "tcp/recovery.hpp"
#include "tcp/reports.hpp"
#include "tcp/rtt.hpp"
#include "tcp/segment.hpp"
#include "tcp/send_half.hpp"
#include "tcp/timers.hpp"
#include "tcp/totals.hpp"
#include "tcp/urgent.hpp"
#include "wire/icmp.hpp"

namespace ff::tcp {

// The stack's part of a connection: settings, counters, caches, and the time.
struct Context {
  Environment& env;
  SendHalf::WorkCache& send_cache;
  ReceiveHalf::WorkCache& receive_cache;
  Instant now;
};

// What an ICMP error says of a segment of ours.
struct NetworkError {
  wire::IcmpKind kind = wire::IcmpKind::Other;
  std::uint8_t type = 0, code = 0;
  std::uint16_t mtu = 0;
  const wire::IpHeader& carrier;  // of the packet that brought it
  Seq seq;                        // of the segment
  ByteSpan quoted;                // of it, from the TCP header on
};

// How a connection begins whose SYN came in.
struct PassiveOpen {
  FourTuple tuple;
  Path path;
  Agreed agreed;
  Seq iss;
  Seq irs;
  std::uint32_t ts_offset = 0;
  Instant syn_ack_sent_at{};
  bool syn_ack_retransmitted = false;
  std::uint8_t syn_ack_timeouts = 0;
  FastOpenOutcome fast_open = FastOpenOutcome::NotTried;
  const SocketOptions* options = nullptr;  // the listener's; null: none are set
};

// How a connection begins that we start.
struct ActiveOpen {
  FourTuple tuple;
  Path path;
  Seq iss;
  std::uint32_t ts_offset = 0;
  const SocketOptions* options = nullptr;  // null: none are set
  Timestamp ts_recent;                     // of the connection whose TIME_WAIT entry this one takes the place of
  FastOpenMode fast_open = FastOpenMode::Off;
  std::uint64_t fast_open_partition = 0;
  ClientPlan plan;
};

class Connection {
 public:
  // ---- beginnings (open.cpp) ----
  void open(Context& c, const ActiveOpen& how, Slice data);
  // A request's SYN-ACK was acknowledged by `segment`.
  void establish(Context& c, const PassiveOpen& how, Segment& segment);
  // A SYN with a valid Fast Open cookie: SYN_RECEIVED, with the data in it readable (RFC 7413 §4.2.2).
  // `grant`: a cookie for the SYN-ACK.
  void establish_fast_open(Context& c, const PassiveOpen& how, Segment& syn,
                           const std::optional<wire::FastOpenOption>& grant);

  // ---- segment arrives (arrives.cpp, open.cpp) ----
  void arrives(Context& c, Segment& segment);
  // An ICMP error about a segment of ours (icmp.cpp). `accepted`: an application holds the connection.
  void icmp_error(Context& c, const NetworkError& said, bool accepted);

  // ---- time passes (deadlines.cpp) ----
  void deadline(Context& c);
  [[nodiscard]] Instant first_deadline() const noexcept { return timers_.first(); }

  // ---- user calls (user_calls.cpp) ----
  Result<std::size_t> write(Context& c, ByteSpan bytes, std::uint8_t flags);
  Result<void> write(Context& c, Slice bytes, std::uint8_t flags);
  Result<std::size_t> read(Context& c, MutableByteSpan into);
  Result<Slice> read_slice(Context& c, std::uint32_t max);
  [[nodiscard]] std::size_t peek(MutableByteSpan into, std::uint32_t offset) const;
  Result<std::optional<std::uint8_t>> read_urgent();
  [[nodiscard]] bool at_urgent_mark() const noexcept;
  Result<void> shutdown_write(Context& c);
  Result<void> shutdown_read(Context& c);
  void await_room() noexcept { write_refused_ = true; }
  void close(Context& c);
  void abort(Context& c);
  void set_no_delay(Context& c, bool on) noexcept;
  void set_options(Context& c, const SocketOptions& options);
  // TCP_QUICKACK: acknowledge at once from now on, or wait for company again, until the traffic decides otherwise.
  void set_quick_ack(Context& c, bool on) noexcept;
  // SO_TIMESTAMPING, of the byte that was written last.
  void stamp_last_byte(Context& c, const StampRequest& what);
  std::optional<TransmitStamp> next_stamp() { return reports_ ? reports_->next_stamp() : std::nullopt; }
  std::optional<Error> take_soft_error() noexcept { return std::exchange(soft_error_, std::nullopt); }
  std::optional<DatagramError> next_network_error() { return reports_ ? reports_->next_error() : std::nullopt; }
  // When the last byte that was read came in, or the last of `peeked` ones that were not.
  [[nodiscard]] std::optional<Instant> last_arrival(std::uint32_t peeked) const noexcept {
    return reports_ ? reports_->arrival_of(read_place() + peeked) : std::nullopt;
  }
  // TCP_TX_DELAY
  [[nodiscard]] Duration transmit_delay() const noexcept { return std::chrono::microseconds(options().tx_delay); }
  // Bytes written and not acknowledged.
  [[nodiscard]] std::uint32_t send_queue() const noexcept { return snd_.queued(); }
  // ---- memory (memory.cpp) ----
  // A write() found no memory: the stack is to call retry_write() until it says true.
  [[nodiscard]] bool waits_for_memory() const noexcept { return waits_for_memory_; }
  bool retry_write(Context& c);
  // Packs what waits to be read more densely.
  void compact(Context& c);
  // Nobody holds it and there are too many such: it is reset.
  void abort_orphan(Context& c);

  // ---- transmit (transmit.cpp) ----
  // Something might be sent now.
  [[nodiscard]] bool may_transmit() const noexcept;
  bool transmit(Context& c, TxPacket& packet);

  // ---- getters (connection.cpp) ----
  [[nodiscard]] TcpState state() const noexcept { return state_; }
  [[nodiscard]] const FourTuple& tuple() const noexcept { return tuple_; }
  [[nodiscard]] bool half_open_fast_open() const noexcept {
    return fast_open_child_ && state_ == TcpState::SynReceived;
  }
  // Nothing but the SYN's data has been taken before the handshake is over.
  [[nodiscard]] std::uint32_t early_bytes() const noexcept {
    return half_open_fast_open() ? static_cast<std::uint32_t>(rcv_.bytes_received()) : 0;
  }
  [[nodiscard]] bool ack_due() const noexcept { return ack_due_; }
  // close() waits for the peer to acknowledge everything (SO_LINGER).
  [[nodiscard]] bool lingering() const noexcept { return lingering_; }
  [[nodiscard]] SocketOptions options_now() const;
  [[nodiscard]] const Path& path() const noexcept { return path_; }
  [[nodiscard]] Seq snd_nxt() const noexcept { return snd_.nxt(); }
  [[nodiscard]] const ReceiveHalf& receive_half() const noexcept { return rcv_; }
  [[nodiscard]] bool timestamps() const noexcept { return timestamps_; }
  [[nodiscard]] Timestamp ts_recent() const noexcept { return ts_recent_; }
  [[nodiscard]] std::uint32_t ts_offset() const noexcept { return ts_offset_; }
  // The window as a TIME_WAIT entry goes on telling it.
  [[nodiscard]] WireWindow last_window() const noexcept { return last_window_; }
  [[nodiscard]] ConnectionInfo info(const Settings& settings) const;
  [[nodiscard]] ConnectionStatus status(const Environment& env) const noexcept;
  [[nodiscard]] Observed observed() const noexcept;
  [[nodiscard]] SocketMemory memory(const Environment& env) const noexcept;
  // The timer that ss shows; not that of a delayed ACK.
  struct ShownTimer {
    SocketTimer timer;
    Instant due;
  };
  [[nodiscard]] std::optional<ShownTimer> timer_to_show() const noexcept;
  // Event bits that came up since the last call.
  std::uint8_t take_events() noexcept { return std::exchange(events_, std::uint8_t{0}); }
  [[nodiscard]] std::string check() const;
  // The peer reset a half-open Fast Open connection: RFC 7413 §5.1 wants its place in the queue kept for a while.
  [[nodiscard]] bool reset_while_half_open() const noexcept { return reset_while_half_open_; }

 private:
  enum class Verdict : std::uint8_t { Continue, Done };

  // What an acknowledgement told, for recovery.cpp.
  struct Acknowledgement {
    Arrivals arrivals;
    Seq una_before;                      // SND.UNA
    Seq highest_before;                  // behind the last byte known to have arrived
    std::uint32_t in_flight_before = 0;  // bytes
    std::uint32_t unacked_before = 0;    // SND.NXT - SND.UNA
    std::uint32_t counted_before = 0;    // known to have left the network by duplicates (without SACK)
    Duration rtt{};                      // measured; zero: none
    bool advanced = false;               // SND.UNA moved
    bool duplicate = false;              // RFC 5681 §2, of a peer without SACK
    bool echoes_mark = false;            // ECN
    bool duplicate_reported = false;     // by a block of RFC 2883
    Seq duplicate_end;
  };

  // open.cpp
  void begin(const FourTuple& tuple, const Path& path, Seq iss, std::uint32_t ts_offset);
  void begin_passive(Context& c, const PassiveOpen& how);
  void agree(Context& c, const Agreed& agreed);
  void become_established(Context& c);
  void arrives_in_syn_sent(Context& c, Segment& segment);
  Verdict check_ack_in_syn_sent(Context& c, const Segment& segment);
  void connected_by_syn_ack(Context& c, Segment& segment);
  void simultaneous_open(Context& c, const Segment& segment);
  [[nodiscard]] std::uint32_t syn_room() const noexcept;
  [[nodiscard]] std::uint32_t syn_data_length() const noexcept { return std::min(syn_room(), snd_.queued()); }

  // fast_open.cpp
  void fast_open_answered(Context& c, const Segment& segment);
  [[nodiscard]] FastOpenOutcome fast_open_result(Context& c, const Segment& segment);
  void end_fast_open(Context& c, FastOpenOutcome outcome) noexcept;
  [[nodiscard]] bool first_syn_arrived(const Segment& syn_ack) const noexcept;
  [[nodiscard]] bool take_probe() noexcept;
  void give_probe_back(Context& c) noexcept;
  [[nodiscard]] FastOpenPath fast_open_path() const noexcept;
  void fast_open_syn_lost(Context& c);
  void fast_open_swallowed(Context& c);
  void fast_open_proven(Context& c) noexcept;
  void fast_open_timed_out(Context& c);
  void fast_open_over(Context& c, std::optional<Error> error);
  [[nodiscard]] bool fast_open_at_stake() const noexcept;

  // arrives.cpp: the steps of RFC 9293 §3.10.7.4, in order.
  [[nodiscard]] bool asks_again(const Segment& segment) const noexcept;
  Verdict check_sequence(Context& c, Segment& segment);
  Verdict check_paws(Context& c, const Segment& segment);
  Verdict check_reset(Context& c, const Segment& segment);
  Verdict check_syn(Context& c, const Segment& segment);
  Verdict check_ack(Context& c, const Segment& segment);
  void process_text(Context& c, Segment& segment);
  void take_note_of_mark(EcnState::Arrival arrival) noexcept;
  void process_fin(Context& c);
  void update_ts_recent(const Context& c, const Segment& segment) noexcept;
  [[nodiscard]] bool peer_clock_may_have_turned(const Context& c) const noexcept;
  void ack_at_once(Context& c) noexcept;
  void acknowledge_text(Context& c, const Segment& segment, const ReceiveHalf::Received& received);
  void challenge(Context& c);
  void answer_unacceptable(Context& c, const Segment& segment);
  [[nodiscard]] bool may_answer_bare_segment(Context& c) noexcept;

  // urgent.cpp
  Reports& reports();
  void mark_urgent();
  void check_urgent(Context& c, const Segment& segment);
  void announce_urgent(Context& c, const Segment& segment);
  [[nodiscard]] std::uint32_t readable_to_mark(Context& c, std::uint32_t most);
  [[nodiscard]] std::uint64_t read_place() const noexcept { return rcv_.bytes_received() - rcv_.unread(); }
  [[nodiscard]] bool sends_urgent() const noexcept { return urgent_ != nullptr && urgent_->sender.active(); }

  // acknowledge.cpp
  Verdict check_ack_number(Context& c, const Segment& segment);
  void acknowledged(Context& c, const Segment& segment);
  void advance(Context& c, const Acknowledgement& ack, bool handshake);
  [[nodiscard]] Arrivals begin_arrivals(const Context& c, const Segment& segment) const noexcept;
  void take_sack_blocks(Context& c, const Segment& segment, Acknowledgement& ack);
  [[nodiscard]] static bool reports_duplicate(const wire::SackBlocks& sack, Seq ack) noexcept;
  void take_duplicate_report(Context& c, Seq first, Seq end, Seq segment_ack, Acknowledgement& ack);
  void take_rtt(const Context& c, Duration sample);
  Duration measure_rtt(Context& c, const Segment& segment, const Arrivals& arrivals);
  void measure_handshake(Context& c, const Segment& segment, Arrivals arrivals);
  void acknowledged_fin(Context& c, const Segment& segment);
  void restart_retransmit_timer(Context& c);

  // recovery.cpp
  void recover(Context& c, const Acknowledgement& ack);
  void alert(Context& c, const Acknowledgement& ack);
  bool leave_state(Context& c, const Acknowledgement& ack);
  void count_duplicate() noexcept;
  void find_losses(Context& c, const Acknowledgement& ack);
  [[nodiscard]] Duration reordering_patience(const Context& c) const noexcept;
  void detect_losses(Context& c);
  void see_reordering(Context& c, Counter counter, Seq late, Seq highest);
  [[nodiscard]] std::uint32_t dup_thresh(const Context& c) const noexcept;
  void stay_open(Context& c, const Acknowledgement& ack);
  void set_recovery_state(CaState state) noexcept;
  void begin_reduction(const Context& c, Congestion why, std::uint32_t flight);
  void end_reduction(const Context& c);
  void enter_recovery(Context& c, bool echoes_mark, std::uint32_t flight);
  void congestion_echoed(Context& c, std::uint32_t flight);
  void enter_loss(Context& c);
  void repeat_without_congestion(std::uint32_t length);
  void after_timeout(Context& c, const Acknowledgement& ack);
  [[nodiscard]] bool may_undo(const Acknowledgement& ack) const noexcept;
  void undo(Context& c, Counter counter);
  void undo_partly(Context& c, const Acknowledgement& ack);
  void undo_timeout(Context& c, bool by_frto);
  void schedule_probe(Context& c);
  void probe_timeout(Context& c);
  void judge_probe(Context& c, const Acknowledgement& ack);
  void reorder_timeout(Context& c);

  // congestion.cpp
  void choose_congestion_control(const Environment& env);
  [[nodiscard]] CongestionControl& congestion_control(const Context& c);
  void steer_window(const Context& c, const Acknowledgement& ack, std::uint32_t newly_lost);
  void note_loss(const Context& c, std::uint32_t bytes);
  void note_lack_of_data() noexcept;
  void note_window_use() noexcept;
  void begin_flight(const Context& c);
  void shrink_after_idle(Duration idle) noexcept;
  [[nodiscard]] std::uint64_t bounded_rate(std::uint64_t rate) const noexcept;
  [[nodiscard]] std::uint64_t pacing_rate(const Settings& settings) const noexcept;
  [[nodiscard]] std::uint64_t sending_rate(const Settings& settings) const noexcept;
  [[nodiscard]] bool held_by_pacing(const Context& c) noexcept;

  // metrics.cpp
  [[nodiscard]] AddressPair address_pair() const noexcept;
  void use_metrics(const Context& c) noexcept;
  void save_metrics(const Context& c);

  // deadlines.cpp
  void retransmission_timeout(Context& c);
  void syn_timeout(Context& c);
  void syn_ack_timeout(Context& c);
  void persist_timeout(Context& c);
  void keepalive_timeout(Context& c);
  void start_keepalive(Context& c);
  [[nodiscard]] Duration keepalive_time(const Context& c) const noexcept;
  [[nodiscard]] std::optional<Duration> user_timeout() const noexcept;
  [[nodiscard]] bool given_up(const Context& c) const noexcept;

  // transmit.cpp
  bool transmit_syn(Context& c, TxPacket& packet);
  bool transmit_lost(Context& c, TxPacket& packet);
  bool transmit_new(Context& c, TxPacket& packet);
  bool transmit_probe(Context& c, TxPacket& packet);
  bool transmit_tail_probe(Context& c, TxPacket& packet);
  void record_sent(const Context& c, std::uint32_t length, SendHalf::WorkCache& cache, bool pushed = false);
  void record_resent(Context& c, const SendHalf::Stretch& stretch, std::uint32_t payload);
  bool transmit_ack(Context& c, TxPacket& packet);
  void emit_segment(Context& c, Seq seq, std::uint8_t flags, TxPacket& packet, wire::Ecn ecn = wire::Ecn::NotEct) {
    emit_segment(c, seq, flags, packet, ecn, send_mss());
  }
  void emit_segment(Context& c, Seq seq, std::uint8_t flags, TxPacket& packet, wire::Ecn ecn, std::uint32_t mss);
  void ack_went_out() noexcept;
  [[nodiscard]] std::uint32_t congestion_room() const noexcept;
  [[nodiscard]] std::uint32_t sendable_length(const Context& c, std::uint32_t window) noexcept;
  [[nodiscard]] bool worth_waiting(const Context& c, std::uint32_t room) const noexcept;
  void turn_send_clock(const Context& c) noexcept;
  bool transmit_segment(Context& c, TxPacket& packet);
  [[nodiscard]] bool nagle_holds(std::uint32_t tail) const noexcept;
  [[nodiscard]] std::uint32_t send_mss() const noexcept;
  [[nodiscard]] std::uint32_t max_payload() const noexcept;
  [[nodiscard]] std::uint32_t burst(const Settings& settings) const noexcept;
  [[nodiscard]] std::uint32_t new_burst(const Settings& settings) const noexcept;
  [[nodiscard]] bool ends_with_push(Seq end) const noexcept;
  [[nodiscard]] wire::TcpOptions segment_options(const Context& c, bool with_sack) noexcept;

  // memory.cpp
  [[nodiscard]] std::uint64_t memory_share() const noexcept;
  [[nodiscard]] bool memory_to_receive(Context& c) const noexcept;
  [[nodiscard]] bool memory_to_write(Context& c) const noexcept;
  bool make_room(Context& c, const Segment& segment);

  // mtu_probing.cpp
  enum class MtuProbe : std::uint8_t { None, Wait, Sent };
  void start_mtu_probing(Context& c);
  void suspect_black_hole(Context& c);
  [[nodiscard]] std::uint32_t packet_overhead() const noexcept;
  [[nodiscard]] std::uint16_t largest_packet() const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> next_mtu_probe(const Context& c) noexcept;
  MtuProbe transmit_mtu_probe(Context& c, TxPacket& packet);
  void check_mtu_probe_passed(Context& c);
  bool mtu_probe_was_lost(Context& c);

  // send_buffer.cpp
  [[nodiscard]] std::uint32_t send_limit(const Environment& env) const noexcept;
  [[nodiscard]] std::uint64_t send_memory() const noexcept;
  void expand_send_buffer(const Environment& env) noexcept;
  [[nodiscard]] std::uint32_t notsent_lowat(const Settings& settings) const noexcept;
  [[nodiscard]] bool may_begin_packet(const Environment& env) const noexcept;
  [[nodiscard]] std::uint32_t take_room(Context& c, std::uint32_t wanted);
  [[nodiscard]] bool is_writable(const Environment& env) const noexcept;
  void check_space(const Environment& env) noexcept;
  void tell_writable(const Environment& env) noexcept;

  // user_calls.cpp, connection.cpp
  void adopt(const Environment& env, const SocketOptions* options);
  [[nodiscard]] const SocketOptions& options() const noexcept;
  [[nodiscard]] BufferSizes receive_buffer(const Context& c) const noexcept {
    return tcp::receive_buffer(c.env.settings, options());
  }
  void after_write(Context& c, std::uint8_t flags);
  void watch_device(Context& c);
  // Nothing waits any more for the first write.
  void release_waiting_syn();
  void begin_lingering(Context& c);
  void end_lingering() noexcept;
  void wait_as_orphan(Context& c);
  [[nodiscard]] std::uint32_t patience_in_retries(const Settings& settings) const noexcept;
  [[nodiscard]] std::optional<Error> take_error() noexcept;
  Result<void> may_write() noexcept;
  void after_read(Context& c, std::uint32_t bytes);
  void adapt_receive_buffer(const Context& c, std::uint32_t read) noexcept;
  void set_state(Context& c, TcpState state);
  // The connection is over. With an error: what the application is told.
  void finish(Context& c, std::optional<Error> error = std::nullopt);
  void send_reset(Context& c);
  void reset_in_answer(Context& c, const Segment& segment);
  void enter_time_wait(Context& c);
  void raise(std::uint8_t bits) noexcept { events_ |= bits; }
  // RFC 6298 §5.7: a handshake that lost its SYN and measured nothing leaves a timeout of 3 s.
  [[nodiscard]] Duration base_rto() const noexcept {
    return !rtt_.measured() && !rtt_.expected() && syn_retransmitted_ && synchronized() ? kRtoAfterSynLoss : rtt_.rto();
  }
  [[nodiscard]] Duration rto() const noexcept { return backed_off(base_rto(), backoff_); }
  [[nodiscard]] std::uint32_t in_flight() const noexcept;
  // While it lives, whoever listens is told what changes.
  [[nodiscard]] Observation observe(const Context& c, Cause cause = Cause::Other) const noexcept {
    return {c.env.trace, c.now, *this, cause};
  }
  [[nodiscard]] bool synchronized() const noexcept { return state_ >= TcpState::Established; }
  [[nodiscard]] bool may_send_data() const noexcept {
    return state_ == TcpState::Established || state_ == TcpState::CloseWait || state_ == TcpState::FinWait1 ||
           state_ == TcpState::Closing || state_ == TcpState::LastAck || half_open_fast_open();
  }
  void set_path_mtu(std::uint16_t mtu);
  void segment_size_changed() noexcept {
    window_.mss = send_mss();
    window_.cwnd = std::max(window_.cwnd, window_.mss);
  }

  FourTuple tuple_;
  Path path_;
  TcpState state_ = TcpState::Closed;
  std::uint8_t events_ = 0;
  std::optional<Error> error_;
  std::optional<Error> soft_error_;  // by ICMP; what a time-out will tell (RFC 5461)

  SendHalf snd_;
  ReceiveHalf rcv_;
  RttEstimator rtt_;
  std::unique_ptr<SocketOptions> options_;   // null: none are set
  std::unique_ptr<Urgent> urgent_;           // null: neither side has sent urgent data
  std::unique_ptr<Reports> reports_;         // null: nobody wants any
  std::unique_ptr<MtuProbing> mtu_probing_;  // null: it is off, or the path under no suspicion
  Timers timers_;
  DelayedAck delayed_ack_;
  EcnState ecn_;
  CongestionWindow window_;
  const CongestionControls::Kind* cc_kind_ = nullptr;
  std::unique_ptr<CongestionControl> cc_;  // null until there is something for it to control
  Recovery recovery_;
  Rack rack_;
  DeliveryRate rate_;
  Pacer pacer_;

  // Timestamps (RFC 7323)
  std::uint32_t ts_offset_ = 0;
  Timestamp ts_recent_;
  Instant ts_recent_at_{};
  Seq last_ack_sent_;

  // What is due to be sent
  bool syn_due_ : 1 = false;  // SYN in SYN_SENT, SYN-ACK in SYN_RECEIVED
  bool ack_due_ : 1 = false;
  bool probe_due_ : 1 = false;
  bool urgent_probe_due_ : 1 = false;
  bool keepalive_due_ : 1 = false;
  bool tail_probe_due_ : 1 = false;
  // What the two sides agreed on
  bool timestamps_ : 1 = false;
  bool sack_ : 1 = false;
  bool window_scaling_ : 1 = false;
  // What the application did
  bool no_delay_ : 1 = false;
  bool corked_ : 1 = false;
  bool more_follows_ : 1 = false;      // MSG_MORE, until the peer is heard of
  bool pushed_out_ : 1 = false;        // TCP_NODELAY was set, until the next write
  bool unpushed_ : 1 = false;          // MSG_MORE, until the next write
  bool orphaned_ : 1 = false;          // close() was called
  bool lingering_ : 1 = false;         // and waits
  bool read_shut_ : 1 = false;         // SHUT_RD
  bool write_refused_ : 1 = false;     // a write found no room: say when there is some
  bool waits_for_memory_ : 1 = false;  // and no memory
  bool syn_waits_for_write_ : 1 = false;
  // What happened
  bool peer_fin_ : 1 = false;  // the peer's FIN was reached
  bool established_once_ : 1 = false;
  bool error_told_ : 1 = false;
  bool cwnd_limited_ : 1 = false;        // sending stopped for lack of congestion window
  bool cwnd_used_up_ : 1 = false;        // and did so since usage_end_ was sent
  bool fast_open_child_ : 1 = false;     // began by a SYN with a valid cookie
  bool fast_open_unproven_ : 1 = false;  // a SYN with data was answered, and no data has come since
  bool fast_open_probe_ : 1 = false;     // tries whether the path carries Fast Open again
  bool fast_open_judged_ : 1 = false;    // has said of its path that it does not
  bool reset_while_half_open_ : 1 = false;
  bool syn_retransmitted_ : 1 = false;
  bool small_in_flight_ : 1 = false;  // Minshall: a segment under the MSS is not acknowledged: small_end_ says which

  std::uint8_t dup_acks_ = 0;
  std::uint8_t backoff_ = 0;        // doublings of the RTO since the last round-trip time was measured
  std::uint8_t retransmits_ = 0;    // consecutive time-outs
  std::uint8_t probes_out_ = 0;     // window probes without an answer
  std::uint8_t probe_backoff_ = 0;  // doublings of their interval since the window closed
  std::uint8_t extra_acks_ = 0;     // duplicate ACKs still to send, one for each segment ahead of a gap
  FastOpenOutcome fast_open_ = FastOpenOutcome::NotTried;
  WireWindow last_window_;
  std::uint32_t sndbuf_ = 0;  // without SO_SNDBUF: what the send buffer has grown to
  std::uint16_t peer_mss_ = kDefaultMss;
  std::uint16_t rcv_mss_ = kDefaultMss;  // the size of segments that come, as far as seen
  std::uint32_t dup_bytes_ = 0;          // bytes that duplicate ACKs say have left the network (RFC 5681 §3.2)
  Seq small_end_;
  Seq usage_end_;               // until this is acknowledged, the window was used
  std::uint32_t most_out_ = 0;  // as far as this, unless it was used up
  Instant timeouts_began_{};    // when the first of the consecutive time-outs was
  Instant probes_began_{};      // when the first window probe since the window closed went out
  Instant last_sent_{};
  Instant answered_at_{};  // when a segment that may be forged, or was unacceptable, last got an ACK
  Instant syn_sent_at_{};
  Seq ack_edge_;                           // RCV.NXT when we last acknowledged: how much is unacknowledged
  wire::FastOpenOption fast_open_option_;  // to put into the SYN or SYN-ACK
  bool has_fast_open_option_ = false;
  std::uint32_t syn_data_ = 0;  // bytes that rode in the SYN
  std::uint64_t fast_open_partition_ = 0;

  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_acked_ = 0;
  std::uint64_t bytes_retrans_ = 0;
  std::uint32_t total_retrans_ = 0;
  Totals totals_;
};

}  // namespace ff::tcp
