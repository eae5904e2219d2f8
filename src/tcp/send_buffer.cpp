// What write() takes: how large the send buffer is, how it is cut into packets, and when a writer hears of room. All as
// Linux, whose applications are tuned to it.
#include <algorithm>
#include <bit>

#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {

// What Linux counts for a packet: its data as far as they lie beside the headers, room for these and for what describes
// the rest of the data, by the power of two, and its own record of it (SKB_TRUESIZE).
constexpr std::uint32_t packet_memory(std::uint32_t beside_headers) noexcept {
  constexpr std::uint32_t kHeaders = 640, kRecord = 256;
  return std::bit_ceil(beside_headers + kHeaders) + kRecord;
}

// What has been written and not sent, while a write adds to it and, as with Linux, what may go goes.
struct Unsent {
  std::uint32_t ready;    // so much may go
  std::uint32_t waiting;  // so much there is
  std::uint32_t tail;     // of that, so much in the packet begun last
  std::uint64_t memory;   // of all packets, sent or not

  void go(std::uint32_t bytes) noexcept {
    bytes = std::min({bytes, ready, waiting});
    ready -= bytes;
    waiting -= bytes;
    tail = std::min(tail, waiting);
  }
  void begin_packet() noexcept {
    memory += packet_memory(0);
    tail = 0;
  }
  void add(std::uint32_t bytes) noexcept {
    waiting += bytes;
    tail += bytes;
    memory += bytes;
  }
};

}  // namespace

// The bound of send_memory().
std::uint32_t Connection::send_limit(const Environment& env) const noexcept {
  if (options().sndbuf != 0) return options().sndbuf;
  if (env.memory.under_pressure()) return env.settings.tcp_wmem.initial;
  return std::max(sndbuf_, env.settings.tcp_wmem.initial);
}

// What is written and not acknowledged, and what it costs to keep it in packets: Linux's sk_wmem_queued.
std::uint64_t Connection::send_memory() const noexcept {
  const std::uint32_t queued = snd_.queued();
  if (queued == 0) return 0;
  const std::uint32_t piece = max_payload();
  return queued + std::uint64_t{(queued + piece - 1) / piece} * packet_memory(0);
}

// As Linux's tcp_sndbuf_expand(): two congestion windows, in memory, within tcp_wmem.
void Connection::expand_send_buffer(const Environment& env) noexcept {
  const std::uint32_t mss = send_mss();
  const std::uint64_t segments = std::max(window_.cwnd / mss, CongestionWindow::kInitialSegments);
  const std::uint64_t memory = 2 * segments * packet_memory(peer_mss_);
  sndbuf_ = std::max(sndbuf_, static_cast<std::uint32_t>(std::min<std::uint64_t>(memory, env.settings.tcp_wmem.max)));
}

// TCP_NOTSENT_LOWAT bounds what waits unsent, so that it can still be thought better of.
std::uint32_t Connection::notsent_lowat(const Settings& settings) const noexcept {
  return options().notsent_lowat != 0 ? options().notsent_lowat : settings.tcp_notsent_lowat;
}

bool Connection::may_begin_packet(const Environment& env) const noexcept {
  return send_memory() < send_limit(env) && snd_.unsent() < notsent_lowat(env.settings);
}

// How much of `wanted` bytes write() takes, and the cuts between the (super-)segments of it. As Linux's
// tcp_sendmsg_locked(): a packet begun is filled whatever it costs, another is begun only while the buffer is not full,
// and meanwhile those before it go out. After half of the peer's window a packet is pushed, although more follows.
std::uint32_t Connection::take_room(Context& c, std::uint32_t wanted) {
  const std::uint64_t limit = send_limit(c.env);
  const std::uint32_t lowat = notsent_lowat(c.env.settings);
  const std::uint32_t mss = send_mss();
  const std::uint32_t packet = max_payload();
  const std::uint32_t half_window = std::max(window_.cwnd / mss / 2 * mss, mss);
  const std::uint32_t room = may_send_data() ? std::min(congestion_room(), snd_.usable_window()) : 0;
  // The peer's SYN will say how long segments may be, and how large its window is.
  const bool cuts = state_ != TcpState::SynSent;

  Unsent unsent{
      .ready = room - room % mss, .waiting = snd_.unsent(), .tail = snd_.unsent_uncut(), .memory = send_memory()};
  // Nagle's algorithm leaves the end behind, to be filled.
  const std::uint32_t end = unsent.tail % mss;
  unsent.go(nagle_holds(end) ? unsent.waiting - end : unsent.waiting);
  // What was written without cuts fills packets, too.
  if (unsent.tail > packet) unsent.tail = (unsent.tail - 1) % packet + 1;

  std::uint32_t taken = 0, since_push = 0;
  bool push = !unpushed_;
  while (taken < wanted) {
    if (unsent.tail == 0 || unsent.tail >= packet) {
      if (unsent.memory >= limit || unsent.waiting >= lowat) break;
      if (cuts && (taken > 0 || unsent.tail > 0) && (packet > mss || push)) snd_.cut(taken, push, c.send_cache);
      unsent.begin_packet();
      push = false;
    } else if (taken == 0) {
      push = false;
    }
    const std::uint32_t more = std::min(packet - unsent.tail, wanted - taken);
    unsent.add(more);
    taken += more;
    since_push += more;
    if (unsent.tail < packet) break;
    if (since_push > snd_.max_window() / 2) {
      push = true;
      since_push = 0;
      unsent.go(unsent.waiting);
    } else if (unsent.waiting == unsent.tail) {
      unsent.go(half_window);  // the first of all waiting
    }
  }
  return taken;
}

// A third is free, and half of what may wait unsent (as Linux).
bool Connection::is_writable(const Environment& env) const noexcept {
  const std::uint32_t lowat = notsent_lowat(env.settings);
  const std::uint64_t memory = send_memory();
  if (memory + memory / 2 > send_limit(env)) return false;
  return lowat == UINT32_MAX || std::uint64_t{snd_.unsent()} * 2 < lowat;
}

// As Linux's tcp_check_space(), when all has gone that may: a buffer that leaves the congestion window empty grows.
void Connection::check_space(const Environment& env) noexcept {
  if (!write_refused_ || waits_for_memory_ || !may_send_data()) return;
  if (in_flight() < window_.cwnd && !env.memory.under_pressure()) expand_send_buffer(env);
  tell_writable(env);
}

void Connection::tell_writable(const Environment& env) noexcept {
  if (!write_refused_ || waits_for_memory_ || !is_writable(env)) return;
  write_refused_ = false;
  raise(event_bits::kWritable);
}

}  // namespace ff::tcp
