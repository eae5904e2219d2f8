// The receiving half of a connection: what came, in order or ahead of a gap, what of it was read, and the window that
// this leaves (RFC 9293 §3.3.1, "Receive Sequence Variables"). It knows bytes and sequence numbers, not the connection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/object_cache.hpp"
#include "base/seq.hpp"
#include "base/slice_queue.hpp"
#include "base/units.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"
#include "tcp/memory.hpp"
#include "tcp/reassembly.hpp"
#include "wire/tcp_options.hpp"

namespace ff::tcp {

class ReceiveHalf {
 public:
  // Exists only while something is unread or waits for a gap to close.
  struct Work {
    SliceQueue queue;
    Reassembly reassembly;
  };
  using WorkCache = ObjectCache<Work>;

  // The window of a SYN or SYN-ACK, never scaled (RFC 7323 §2.2): whole segments, 64 KiB at most.
  static std::uint32_t initial_window(const BufferSizes& rmem, std::uint32_t mss) noexcept;
  // The scale that the largest buffer needs.
  static WindowScale scale_for(const BufferSizes& rmem) noexcept;

  void start(Seq irs, std::uint32_t initial_window, const BufferSizes& rmem) noexcept;
  // SO_RCVBUF. What was promised stays promised.
  void set_limit(std::uint32_t bytes) noexcept { limit_ = bytes; }
  void set_scale(WindowScale scale) noexcept { scale_ = scale; }
  [[nodiscard]] WindowScale scale() const noexcept { return scale_; }

  // ---- sequence variables ----
  [[nodiscard]] Seq irs() const noexcept { return irs_; }
  [[nodiscard]] Seq nxt() const noexcept { return nxt_; }
  // What the peer may send from nxt on, as we last told it.
  [[nodiscard]] std::uint32_t window() const noexcept {
    const std::int32_t room = edge_ - nxt_;
    return room > 0 ? static_cast<std::uint32_t>(room) : 0;
  }
  [[nodiscard]] Seq edge() const noexcept { return edge_; }
  // RFC 9293 §3.10.7.4, "first": Table 6.
  [[nodiscard]] bool acceptable(Seq seq, std::uint32_t length) const noexcept;

  // ---- data ----
  struct Received {
    std::uint32_t delivered = 0;  // bytes that became readable
    bool in_order = false;        // the segment began at nxt
    bool filled_gap = false;      // and something that waited followed it
    bool dropped = false;         // the out-of-order queue is full
    bool pruned = false;          // something that waited further ahead was given up for it
    bool fin = false;             // the peer's FIN was reached
    std::uint32_t waiting = 0;    // bytes that came ahead of a gap and were not here yet
    std::uint32_t merged = 0;     // pieces in the out-of-order queue that it made superfluous
  };
  // `seq` to `seq + payload` lies in the window already. `fin`: a FIN follows the payload.
  Received receive(Seq seq, const Slice& payload, bool fin, Memory& memory, WorkCache& cache);
  // The FIN, or the SYN, that the peer sent takes a sequence number.
  void advance(std::uint32_t count) noexcept { nxt_ += count; }
  // A duplicate arrived: the next acknowledgement tells of it (RFC 2883).
  void note_duplicate(Seq first, Seq end) noexcept { duplicate_ = {first, end}; }

  // ---- reading ----
  [[nodiscard]] std::uint32_t unread() const noexcept { return work_ ? work_->queue.size() : 0; }
  [[nodiscard]] bool has_gap() const noexcept { return fin_waiting() || (work_ && !work_->reassembly.empty()); }
  [[nodiscard]] bool data_waiting() const noexcept { return work_ && !work_->reassembly.empty(); }
  [[nodiscard]] bool fin_waiting() const noexcept { return fin_position_.has_value(); }
  std::uint32_t read(MutableByteSpan into, WorkCache& cache) noexcept;
  Slice read_slice(std::uint32_t max, WorkCache& cache) noexcept;
  // Copies out from `offset` on and removes nothing.
  std::uint32_t peek(MutableByteSpan into, std::uint32_t offset) const noexcept {
    return work_ ? work_->queue.peek(into, offset) : 0;
  }
  void skip_one(WorkCache& cache) noexcept;  // the first of the unread
  void discard_unread(WorkCache& cache) noexcept;
  void discard_all(WorkCache& cache) noexcept;
  [[nodiscard]] std::uint64_t bytes_received() const noexcept { return position_; }

  // ---- memory ----
  // Gives up what waits ahead of a gap and behind `seq`, about `enough` bytes; says how many.
  std::uint32_t prune(Seq seq, std::uint32_t enough, WorkCache& cache) noexcept;
  // Copies unread pieces that pin much more memory than they fill; says how many.
  std::uint32_t compact(Memory& memory) { return work_ ? work_->queue.compact(memory.small_slabs, memory.held) : 0; }
  // As long as little of the buffer is free the window is to grow no further than this.
  void restrain(std::uint32_t window) noexcept {
    if (unread() > limit_ / 2) ceiling_ = std::min(ceiling_, window);
  }
  // What unread bytes and those ahead of a gap keep from being used otherwise.
  [[nodiscard]] std::uint64_t pinned() const noexcept {
    return work_ ? work_->queue.pinned() + work_->reassembly.memory() : 0;
  }

  // ---- for struct tcp_info ----
  [[nodiscard]] std::uint32_t limit() const noexcept { return limit_; }
  [[nodiscard]] std::uint32_t ceiling() const noexcept { return ceiling_; }
  [[nodiscard]] std::uint32_t read_in_round_trip() const noexcept { return read_before_; }
  // What unread bytes and those ahead of a gap take.
  [[nodiscard]] std::uint32_t memory() const noexcept {
    return work_ ? work_->queue.size() + work_->reassembly.memory() : 0;
  }

  // ---- the window we offer ----
  // The window for the next segment to send; the right edge never moves back (RFC 9293 §3.8.6.2.2).
  WireWindow advertise(std::uint32_t mss) noexcept;
  // The window would grow so much that the peer should hear of it now.
  [[nodiscard]] bool update_due(std::uint32_t mss) const noexcept;
  // So much arrived: the sender makes use of the window, which may grow.
  void raise_ceiling(std::uint32_t arrived, const Memory& memory) noexcept;
  // The application took `bytes`, or would have but for a gap: a buffer that is emptied quickly may grow.
  void adapt(Instant now, Duration rtt, std::uint32_t bytes, std::uint32_t largest) noexcept;

  void report_sack(std::size_t max, wire::SackBlocks& blocks) noexcept;
  [[nodiscard]] bool sack_pending() const noexcept { return duplicate_.has_value() || has_gap(); }
  [[nodiscard]] std::string check() const;

 private:
  [[nodiscard]] Seq seq_of(std::uint64_t place) const noexcept {
    return nxt_ + static_cast<std::uint32_t>(place - position_);
  }
  void note_duplicate(const Reassembly::Run& run) noexcept;
  void report_fin(std::size_t max, wire::SackBlocks& blocks) const noexcept;
  void release_if_idle(WorkCache& cache) noexcept;
  void append(const Slice& payload, Memory& memory);
  // Right edge that the buffer allows now, with silly-window avoidance.
  [[nodiscard]] Seq wanted_edge(std::uint32_t mss) const noexcept;

  std::unique_ptr<Work> work_;
  std::uint64_t position_ = 0;  // bytes of the stream that came in order: the place of nxt
  std::optional<std::uint64_t> fin_position_;
  std::optional<wire::SackBlock> duplicate_;
  Instant adapted_at_{};
  Seq irs_;
  Seq nxt_;
  Seq edge_;
  std::uint32_t limit_ = 0;        // bytes of buffer
  std::uint32_t ceiling_ = 0;      // the window offered grows with the data that comes, up to the limit
  std::uint32_t read_since_ = 0;   // bytes read since adapted_at
  std::uint32_t read_before_ = 0;  // the most of them in a round trip so far
  WindowScale scale_;
};

}  // namespace ff::tcp
