// One direction of a link, as a pure state machine without a clock: packets go in with the time, and come out when the
// link says. The simulator and `ff link` run the same code.
//
//        enqueue()                                                                           dequeue()
//            │   ┌───────────────┐   ┌─────────────┐   ┌───────┐   ┌──────────────────────┐      ↑
//            └──►│ drop-tail FIFO├──►│ transmitter ├──►│ loss, ├──►│ the wire: delay,     ├──────┘
//                │ queue limit   │   │ rate        │   │ ...   │   │ jitter, holding back │
//                └───────────────┘   └─────────────┘   └───────┘   └──────────────────────┘
//
// A lost packet has taken its time on the transmitter like any other, as on a wire.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"
#include "sim/random.hpp"

namespace ff::sim {

// How much may wait for the transmitter, besides the packet that it is sending. Whichever limit is reached first.
struct QueueLimit {
  std::uint64_t packets = 1000;  // as many as Linux's pfifo and netem take
  std::uint64_t bytes = UINT64_MAX;
  friend bool operator==(const QueueLimit&, const QueueLimit&) noexcept = default;
};

struct LinkOptions {
  Duration delay{};        // from the last bit sent to the last bit received
  Duration jitter{};       // up to this much more, evenly distributed; jitter alone never changes the order
  std::uint64_t rate = 0;  // bit/s, counting IP packets without any framing; 0: no limit, and nothing ever queues
  QueueLimit queue{};
  // ECN (RFC 3168): from so much waiting on, packets that may be marked are marked. By default none are.
  std::optional<QueueLimit> mark{};
  double loss = 0;     // the probability that a packet is lost on the wire
  double reorder = 0;  // the probability that a packet is held back, so that those behind it overtake
  // How long it is held back. By default a quarter of the delay, and at least a millisecond.
  std::optional<Duration> reorder_delay{};
  double duplicate = 0;  // the probability that a packet arrives a second time, right behind itself
  // The probability that one bit of a packet, evenly chosen, arrives inverted. The bit lies behind the IPv4 or fixed
  // IPv6 header, where nothing but the checksum of ICMP, TCP or UDP can catch it, unless `corrupt_ip_header`.
  double corrupt = 0;
  bool corrupt_ip_header = false;
  std::uint32_t mtu = 0;  // larger packets vanish without a word, as in a path-MTU black hole; 0: no limit
  // The most bytes on the wire at a time: a bound on memory, not a property of links.
  std::uint64_t flight_limit = 512u << 20;
  std::uint64_t seed = 0;

  [[nodiscard]] Duration held_back_for() const noexcept;
  // True when every packet comes out as it went in, at once: there is nothing to emulate.
  [[nodiscard]] bool transparent() const noexcept;
  // True when no packet's fate depends on its size or bytes, only on time: super-segments may pass uncut.
  [[nodiscard]] bool only_delays() const noexcept;
};

// What became of packets. Each one that was enqueued is, in the end, in exactly one of the first six; the others say
// what else happened to those that were delivered, and a duplicate counts as delivered once more.
struct LinkCounts {
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;
  std::uint64_t queue_dropped = 0;  // the queue was full
  std::uint64_t too_big = 0;        // larger than the link's MTU
  std::uint64_t unplugged = 0;      // sent, or still under way, while the link was cut
  std::uint64_t overflowed = 0;     // flight_limit
  std::uint64_t reordered = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t marked = 0;
  std::uint64_t delivered_bytes = 0;
  friend bool operator==(const LinkCounts&, const LinkCounts&) noexcept = default;
};

class Link {
 public:
  explicit Link(const LinkOptions& options = {});

  // A packet (IP header first) is handed to the link. `now` never goes backwards, here and below.
  void enqueue(Instant now, Slice packet);
  // When dequeue() is worth calling; kNever when the link is empty.
  [[nodiscard]] Instant next_deadline() const noexcept;
  // The next packet that has arrived by `now`, in the order of arrival.
  std::optional<Slice> dequeue(Instant now);

  // New properties from now on: for packets that wait in the queue, too, but not for those on the wire. The dice roll
  // on; options.seed is not looked at.
  void set_options(Instant now, const LinkOptions& options);
  // Pulls the cable, or plugs it in again. What is under way when it is pulled never arrives.
  void set_plugged(Instant now, bool plugged);

  [[nodiscard]] const LinkOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool plugged() const noexcept { return plugged_; }
  [[nodiscard]] const LinkCounts& counts() const noexcept { return counts_; }
  // Packets in the queue and on the wire.
  [[nodiscard]] std::size_t under_way() const noexcept { return queue_.size() + wire_.size() + held_back_.size(); }

 private:
  struct Waiting {
    Instant since;
    Slice packet;
  };
  struct Flying {
    Instant arrival;
    std::uint64_t number;  // orders those that arrive together
    Slice packet;
  };
  // A point in time as finely as serialization needs it, so that no rounding adds up over a busy period.
  struct LineTime {
    Instant whole;
    std::uint64_t fraction = 0;  // in units of 1/rate nanoseconds, less than 1 ns
  };

  [[nodiscard]] LineTime sent_by(const Waiting& waiting) const noexcept;
  void transmit_until(Instant now);
  void put_on_wire(Instant sent, Slice packet);
  void fly(Instant arrival, Slice packet, bool held_back);
  [[nodiscard]] Slice with_a_bit_inverted(const Slice& packet);
  [[nodiscard]] Slice marked_if_queue_is_long(Slice packet);

  LinkOptions options_;
  Random random_;
  bool plugged_ = true;
  std::deque<Waiting> queue_;
  std::uint64_t queued_bytes_ = 0;
  LineTime line_free_{};           // when the transmitter has sent what it is sending
  std::deque<Flying> wire_;        // in the order of arrival
  std::vector<Flying> held_back_;  // a heap, the earliest arrival first
  Instant latest_arrival_{};       // of those in wire_
  std::uint64_t flying_bytes_ = 0;
  std::uint64_t next_number_ = 0;
  LinkCounts counts_;
};

}  // namespace ff::sim
