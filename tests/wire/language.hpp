// The language of the wire tests: real bytes through a whole stack on virtual time, told as a conversation.
//
//   WIRE_TEST(FastOpenServer, DataInSynIsReadableAtOnce) {
//     w.listen({.fast_open = 16});
//     w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
//     w.out(syn_ack(0).ack(6).mss(w.mss()));
//     w.accept();
//     w.read("GET /");
//   }
//
// w.in() is what the peer sends, w.out() what we must send. Matching is total: every packet that the stack emits must
// be expected, at the very instant at which it comes, with exactly these flags, numbers, options (their order and
// padding too), payload and window; its IP header and checksums are verified by code that is not the stack's. A test
// that ends with packets, or with a connection's end, that it did not ask for fails.
//
// Each test runs in 36 variants: IPv4 and IPv6; initial sequence numbers of both sides at zero, at the sign change and
// just before the wrap; packets and application data whole and in pieces. All its numbers are relative (segment.hpp).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "firstflight/stack.hpp"
#include "wire/segment.hpp"

namespace ff::wiretest {

using namespace std::chrono_literals;
using Where = std::source_location;

struct Variant {
  bool v6 = false;
  std::uint32_t own_isn = 0, peer_isn = 0;
  bool split = false;

  [[nodiscard]] std::string to_string() const;
};

// The conversation went another way than the test says.
struct Mismatch {
  std::string text;
  Where where;
};

// An ICMP error from a router on the path. It quotes the last packet that we sent, unless the test says otherwise.
struct Icmp {
  std::uint8_t type_v4, code_v4, type_v6, code_v6;
  std::uint32_t mtu = 0;
  std::optional<std::uint32_t> quoted_seq;  // relative; instead of the one in the quoted packet
  std::size_t back = 0;                     // how many packets before the last one

  Icmp quoting_seq(std::uint32_t seq) && { return quoted_seq = seq, *this; }
  Icmp quoting(std::size_t packets_back) && { return back = packets_back, *this; }
};
inline Icmp icmp_packet_too_big(std::uint32_t mtu) { return {3, 4, 2, 0, mtu, {}, 0}; }
inline Icmp icmp_host_unreachable() { return {3, 1, 1, 3, 0, {}, 0}; }
inline Icmp icmp_port_unreachable() { return {3, 3, 1, 4, 0, {}, 0}; }
inline Icmp icmp_prohibited() { return {3, 13, 1, 1, 0, {}, 0}; }

// How w.listen(), w.connect() and w.establish...() go about it; all have defaults.
struct Listening {
  std::uint16_t port = 80;
  std::optional<std::uint32_t> fast_open = {};
  std::uint32_t backlog = 16;
  std::optional<FastOpenKeys> keys = {};
  SocketOptions options = {};
};
struct Connecting {
  FastOpenMode fast_open = FastOpenMode::Off;
  std::string data = {};
  bool no_cookie = false;
  bool no_delay = false;
  std::optional<std::uint16_t> local_port = {};
  std::uint16_t remote_port = 80;
  SocketOptions options = {};
  std::uint64_t partition = 0;
};
struct Peer {
  std::uint16_t mss = 1000;
  bool sack = true;
  std::optional<std::uint32_t> ts = {};  // its timestamp on the SYN
  std::optional<std::uint8_t> wscale = {};
  std::uint16_t window = 65535;
  Duration rtt = 10ms;  // makes the first retransmission timeout 210 ms
  bool no_delay = false;
};

class Wire {
 public:
  explicit Wire(const Variant& variant);

  // ---- set-up, before anything else happens ----
  void mtu(std::uint16_t bytes) { mtu_ = bytes; }
  // Segments of more than one MSS are handed to the device in one piece, up to this size of packet.
  void super_segments(std::uint32_t bytes) { max_super_segment_ = bytes; }
  void set(std::string_view name, std::string_view value, Where where = Where::current());
  // IPv4 packets are expected without DF from now on, their identifications in sequence.
  void may_be_fragmented() { may_be_fragmented_ = true; }

  // ---- what the variant makes of the test ----
  [[nodiscard]] bool v6() const { return variant_.v6; }
  // Packets lie in large slabs, amid other bytes.
  [[nodiscard]] bool in_large_slabs() const { return variant_.split; }
  // What an MTU (ours) leaves for payload, options not deducted.
  [[nodiscard]] std::uint16_t mss() const { return mss_of(mtu_); }
  [[nodiscard]] std::uint16_t mss_of(std::uint32_t mtu) const {
    return static_cast<std::uint16_t>(mtu - (v6() ? 60 : 40));
  }
  // Our SYN, and our SYN-ACK in answer to a SYN that offers MSS, SACK, timestamps and window scaling.
  [[nodiscard]] Segment our_syn() const { return syn(0).mss(mss()).sack_ok().ts(0, 0).wscale(7); }
  // The window of a SYN or SYN-ACK.
  [[nodiscard]] std::uint16_t first_window() const { return first_window(mss()); }
  [[nodiscard]] std::uint16_t first_window(std::uint16_t announced_mss) const;

  // ---- connections: numbered by the test, each with addresses, ports and numbers of its own ----
  // Everything below is about this connection from now on. Connections of one `host` share its address; host kSelf is
  // this stack itself, whose packets w.loop_back() brings in again.
  static constexpr int kSelf = -1;
  void use(int connection, int host = 0);
  // The same addresses and ports once more: initial sequence numbers may differ now.
  void reincarnate(std::uint32_t peer_isn_ahead);

  // ---- packets ----
  void in(Segment segment, Where where = Where::current());
  // Packets that come between two looks at what there is to send.
  void in_batch(std::vector<Segment> segments, Where where = Where::current());
  void in(const Icmp& error, Where where = Where::current());
  // Bytes as they are, IP header first.
  void in_raw(const std::vector<std::uint8_t>& packet, Where where = Where::current());
  // The packet that the peer's `segment` would be, for a test to spoil.
  [[nodiscard]] std::vector<std::uint8_t> packet(const Segment& segment);
  // What we sent last arrives here.
  void loop_back(Where where = Where::current());
  void out(const Segment& expected, Where where = Where::current());
  // Nothing has been sent.
  void silent(Where where = Where::current());
  // Our initial sequence number is whatever the next segment of ours says.
  void learn_isn() { flow().learn_isn = true; }

  // ---- time ----
  // Nothing may be sent before the end of this span; what is due right at its end is.
  void advance(Duration span, Where where = Where::current());
  // The device takes nothing, until it is said to have room.
  void device_full(bool full, Where where = Where::current());

  // ---- the application ----
  void listen(const Listening& how = {}, Where where = Where::current());
  void close_listener(Where where = Where::current());
  void set_fast_open(std::uint32_t queue, Where where = Where::current());
  void set_fast_open_keys(const std::optional<FastOpenKeys>& keys, Where where = Where::current());
  void accept(Where where = Where::current());
  void nothing_to_accept(Where where = Where::current());
  void connect(const Connecting& how = {}, Where where = Where::current());
  void connect_fast_open(std::string data, Where where = Where::current()) {
    connect({.fast_open = FastOpenMode::Now, .data = std::move(data)}, where);
  }
  void connect_fails(const Connecting& how, Error error, Where where = Where::current());
  // A whole handshake, by the peer's or by our SYN; leaves an established connection.
  void establish(const Peer& peer = {}, Where where = Where::current());
  void establish_active(const Peer& peer = {}, Where where = Where::current());

  void write(std::string_view bytes, Where where = Where::current());
  // As much as there is room for; says how much that was.
  std::size_t write_some(std::string_view bytes, Where where = Where::current());
  // The same in one call, in every variant.
  std::size_t write_once(std::string_view bytes, Where where = Where::current());
  void write_fails(Error error, Where where = Where::current());
  // In one call, with these write_bits.
  void write_with(std::uint8_t flags, std::string_view bytes, Where where = Where::current());
  // Exactly these bytes wait, at least.
  void read(std::string_view expected, Where where = Where::current());
  void read_end(Where where = Where::current());
  void read_fails(Error error, Where where = Where::current());
  void nothing_to_read(Where where = Where::current()) { read_fails(Error::WouldBlock, where); }
  // What one call gives; "nothing" when it would block.
  [[nodiscard]] std::string read_once(Where where = Where::current());
  [[nodiscard]] std::string read_slice_once(Where where = Where::current());
  // MSG_OOB and SIOCATMARK.
  void read_urgent(char expected, Where where = Where::current());
  void read_urgent_end(Where where = Where::current());
  void read_urgent_fails(Error error, Where where = Where::current());
  [[nodiscard]] bool at_mark(Where where = Where::current());
  void shutdown_write(Where where = Where::current());
  void shutdown_read(Where where = Where::current());
  void close(Where where = Where::current());
  void abort(Where where = Where::current());
  void no_delay(bool on, Where where = Where::current());
  void options(const SocketOptions& options, Where where = Where::current());
  void quick_ack(bool on, Where where = Where::current());
  // Empty when there is none.
  [[nodiscard]] std::string saved_syn();

  // These events have come since the last look, and none of `never`.
  void event(std::uint8_t bits, Where where = Where::current());
  // What the last event of this connection has said of bytes that came before the handshake's end.
  [[nodiscard]] std::uint32_t early_bytes_told();
  void no_event(std::uint8_t bits, Where where = Where::current());
  void acceptable(Where where = Where::current());

  // ---- looking inside ----
  [[nodiscard]] ConnectionInfo info(Where where = Where::current());
  void state(TcpState expected, Where where = Where::current());
  void stale(Where where = Where::current());
  void ended_with(std::optional<Error> error, Where where = Where::current());
  void outcome(FastOpenOutcome expected, Where where = Where::current());
  void counter(Counter counter, std::uint64_t expected, Where where = Where::current());
  void dropped(DropReason reason, std::uint64_t expected, Where where = Where::current());
  void population(Stack::Population expected, Where where = Where::current());
  // What should hold, in the test's own words.
  void require(bool holds, std::string_view what, Where where = Where::current());
  Stack& stack();
  [[nodiscard]] Instant now() const { return now_; }

  // ---- Fast Open ----
  // The cookie that this stack grants the current peer, and the one that it would under `key`.
  [[nodiscard]] FastOpenCookie cookie();
  [[nodiscard]] FastOpenCookie cookie(const FastOpenKey& key) const;
  // What a server has granted us before.
  void have_cookie(const FastOpenCookie& cookie, std::uint16_t mss, bool experimental = false,
                   std::uint64_t partition = 0);
  [[nodiscard]] std::optional<FastOpenCacheEntry> cached(std::uint64_t partition = 0);
  [[nodiscard]] IpAddress own_address() const;
  [[nodiscard]] IpAddress peer_address(int host) const;

  // ---- for the runner ----
  void finish(const Where& where);
  [[nodiscard]] std::string ladder() const;
  void note(std::string_view text, const Where& where);

 private:
  struct Flow {
    Numbering numbering;
    ConnectionId connection;
    bool learn_isn = false;
    std::uint8_t events = 0;
    std::uint32_t early_bytes = 0;  // as its last event has told
    // Our receive window, as the stack should tell it.
    std::optional<std::uint8_t> own_scale, peer_scale;
    std::uint32_t edge = 0, largest_ack = 1, reader = 1, ceiling = 0, peer_segment = 536;
    std::optional<std::uint32_t> peer_fin;
    bool discards = false;
  };
  struct Sent {
    Instant at;
    Observed segment;
  };

  Flow& flow() { return flows_.at(current_); }
  void start();
  void deliver(ByteSpan packet, std::uint16_t segment_size);
  void pump(const Where& where);
  void collect_events();
  void observe(const TxPacket& packet, const Where& where);
  void learn(Observed& segment);
  [[nodiscard]] std::optional<std::uint16_t> window_to_expect(const Observed& segment);
  Result<ConnectionId> try_connect(const Connecting& how);
  ListenerId listener(const Where& where);
  template <typename T>
  T must(Result<T> result, std::string_view what, const Where& where);
  [[noreturn]] void fail(std::string text, const Where& where);
  void command(std::string_view text, const Where& where);

  Variant variant_;
  std::uint16_t mtu_ = 1500;
  std::uint32_t max_super_segment_ = 0;
  bool may_be_fragmented_ = false;
  std::optional<std::uint16_t> next_identification_;
  bool device_full_ = false;
  Settings settings_;
  std::optional<Stack> stack_;
  InterfaceId interface_ = 0;
  Instant now_{1000s};
  Instant started_{1000s};
  std::map<int, Flow> flows_;
  int current_ = 0;
  std::map<std::uint16_t, ListenerId> listeners_;
  std::uint16_t listening_ = 0;
  std::uint8_t listener_events_ = 0;
  std::deque<Sent> sent_;
  std::deque<std::vector<std::uint8_t>> history_;
  std::vector<std::string> ladder_;
  SlabPool slabs_{128 * 1024};
  std::size_t pieces_ = 0;
};

// Runs `body` in every variant and reports the first that fails, with its ladder, and the names of the others.
void run(void (*body)(Wire&), const Where& where);

#define WIRE_TEST(suite, name)                                                                   \
  static void suite##_##name(::ff::wiretest::Wire& w);                                           \
  TEST(suite, name) { ::ff::wiretest::run(&suite##_##name, ::std::source_location::current()); } \
  static void suite##_##name([[maybe_unused]] ::ff::wiretest::Wire& w)

}  // namespace ff::wiretest

// The tests are written in this language.
using namespace ff;            // NOLINT
using namespace ff::wiretest;  // NOLINT
