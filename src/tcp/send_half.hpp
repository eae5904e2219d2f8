// The sending half of a connection: what was written, what was sent of it, what of that is acknowledged or lost, and
// how much the peer allows (RFC 9293 §3.3.1, "Send Sequence Variables"). It knows bytes and sequence numbers, not the
// connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/object_cache.hpp"
#include "base/ring.hpp"
#include "base/seq.hpp"
#include "base/slice_queue.hpp"
#include "base/units.hpp"
#include "firstflight/packet.hpp"
#include "firstflight/time.hpp"
#include "tcp/memory.hpp"

namespace ff::tcp {

// A stretch of sequence space that went out in one (super-)segment and is not acknowledged.
struct SentRange {
  Seq first;
  Seq end;
  Instant sent_at{};
  bool retransmitted = false;  // sent more than once: says nothing about the round-trip time (Karn)
  bool lost = false;           // believed lost and not sent again yet
};

class SendHalf {
 public:
  // Exists only while something is queued or in flight.
  struct Work {
    SliceQueue queue;        // from the first byte that is not acknowledged
    Ring<SentRange> ranges;  // in order, without gaps, from una to nxt
  };
  using WorkCache = ObjectCache<Work>;

  void start(Seq iss) noexcept;

  // ---- what the application wrote ----
  void write(ByteSpan bytes, Memory& memory, WorkCache& cache);
  void write(Slice bytes, Memory& memory, WorkCache& cache);
  void queue_fin(WorkCache& cache) {
    fin_queued_ = true;
    need_work(cache);
  }
  [[nodiscard]] std::uint32_t queued() const noexcept { return work_ ? work_->queue.size() : 0; }
  [[nodiscard]] std::uint32_t unsent() const noexcept {
    return queued() - static_cast<std::uint32_t>(data_nxt() - data_una_);
  }
  [[nodiscard]] bool fin_queued() const noexcept { return fin_queued_; }
  [[nodiscard]] bool fin_unsent() const noexcept { return fin_queued_ && at_or_before(nxt_, fin_seq()); }
  [[nodiscard]] bool fin_acknowledged() const noexcept { return fin_queued_ && after(una_, fin_seq()); }
  // The sequence number that the FIN has, or would have now.
  [[nodiscard]] Seq fin_seq() const noexcept { return data_una_ + queued(); }

  // ---- sequence variables ----
  [[nodiscard]] Seq iss() const noexcept { return iss_; }
  [[nodiscard]] Seq una() const noexcept { return una_; }
  [[nodiscard]] Seq nxt() const noexcept { return nxt_; }
  // Behind everything that was ever sent; ahead of nxt after forget_unacknowledged().
  [[nodiscard]] Seq max_sent() const noexcept { return max_sent_; }
  [[nodiscard]] std::uint32_t outstanding() const noexcept { return static_cast<std::uint32_t>(nxt_ - una_); }
  [[nodiscard]] std::uint32_t lost() const noexcept { return lost_; }

  // ---- the peer's window ----
  [[nodiscard]] std::uint32_t window() const noexcept { return wnd_; }
  [[nodiscard]] std::uint32_t max_window() const noexcept { return max_wnd_; }
  [[nodiscard]] WindowScale scale() const noexcept { return scale_; }
  void set_scale(WindowScale scale) noexcept { scale_ = scale; }
  // RFC 9293 §3.10.7.4, "fifth": newer segments update the window. True when it changed.
  bool update_window(Seq seg_seq, Seq seg_ack, std::uint32_t window) noexcept;
  // How many bytes from nxt the window still holds.
  [[nodiscard]] std::uint32_t usable_window() const noexcept;

  // ---- sending ----
  // [nxt, nxt + length) went out for the first time.
  void sent(std::uint32_t length, Instant now, WorkCache& cache);
  // The first stretch that is believed lost: at most `limit` long.
  struct Stretch {
    Seq first;
    std::uint32_t length;
  };
  [[nodiscard]] std::optional<Stretch> first_lost(std::uint32_t limit) const noexcept;
  // That stretch went out again.
  void resent(const Stretch& stretch, Instant now);
  // Puts the payload of [first, first + length) into `packet`, as far as the pieces reach; says how many bytes that is.
  // SYN and FIN in the range count for nothing here.
  std::uint32_t gather(Seq first, std::uint32_t length, TxPacket& packet) const;

  // ---- acknowledgement and loss ----
  struct Acknowledged {
    std::uint32_t length = 0;        // of sequence space, newly acknowledged
    bool retransmitted = false;      // some of it had been sent more than once
    Instant first_sent_at = kNever;  // when the oldest of it went out
  };
  // una < ack <= max_sent
  Acknowledged acknowledge(Seq ack, WorkCache& cache);
  // Marks the first unacknowledged segment lost.
  void mark_first_lost(std::uint32_t mss);
  // Marks everything in flight lost.
  void mark_all_lost();
  // Acts as if nothing behind una had been sent; what was will be sent anew.
  void forget_unacknowledged();
  // When the first unacknowledged byte was last sent.
  [[nodiscard]] std::optional<Instant> first_sent_at() const noexcept;

  // The connection is over: what was not acknowledged never will be.
  void discard(WorkCache& cache);
  void release_if_idle(WorkCache& cache);
  [[nodiscard]] std::string check() const;

 private:
  void need_work(WorkCache& cache) {
    if (!work_) work_ = cache.take();
  }
  // Splits a range so that `at` is a boundary.
  void split(std::size_t index, Seq at);
  // The first data byte that was not sent.
  [[nodiscard]] Seq data_nxt() const noexcept {
    const Seq end = data_una_ + queued();
    const Seq nxt = later_of(nxt_, data_una_);
    return before(nxt, end) ? nxt : end;
  }

  std::unique_ptr<Work> work_;
  Seq iss_;
  Seq una_;
  Seq nxt_;
  Seq max_sent_;
  Seq data_una_;  // the first byte of the queue: una, but behind a SYN that is not acknowledged
  Seq wl1_;       // RFC 9293: SND.WL1, SND.WL2
  Seq wl2_;
  std::uint32_t wnd_ = 0;
  std::uint32_t max_wnd_ = 0;
  std::uint32_t lost_ = 0;  // bytes in ranges marked lost
  WindowScale scale_;
  bool fin_queued_ = false;
  bool window_known_ = false;
};

}  // namespace ff::tcp
