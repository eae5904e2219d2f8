// The sending half of a connection: what was written, what was sent of it, what of that is acknowledged or lost, and
// how much the peer allows (RFC 9293 §3.3.1, "Send Sequence Variables"). It knows bytes and sequence numbers, not the
// connection.
#pragma once

#include <algorithm>
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
#include "tcp/arrivals.hpp"
#include "tcp/memory.hpp"
#include "tcp/scoreboard.hpp"

namespace ff::tcp {

class SendHalf {
 public:
  // No segment holds bytes of both sides of one.
  struct Cut {
    Seq at;
    bool push = false;  // what ends here goes with PSH
  };
  // Exists only while something is queued or in flight.
  struct Work {
    SliceQueue queue;  // from the first byte that is not acknowledged
    Scoreboard board;  // of what lies between una and nxt
    Ring<Cut> cuts;    // of what is not acknowledged
  };
  using WorkCache = ObjectCache<Work>;

  void start(Seq iss) noexcept;

  // ---- what the application wrote ----
  void write(ByteSpan bytes, Memory& memory, WorkCache& cache);
  void write(Slice bytes, Memory& memory, WorkCache& cache);
  // Copies what was lent and has not been acknowledged.
  void own_lent(Memory& memory) {
    if (work_) work_->queue.own_lent(memory.held);
  }
  // Cuts `offset` bytes behind what is queued.
  void cut(std::uint32_t offset, bool push, WorkCache& cache) {
    if (queued() + offset == 0) return;
    need_work(cache);
    work_->cuts.push_back({fin_seq() + offset, push});
  }
  // The first cut behind `first`; null: there is none.
  [[nodiscard]] const Cut* cut_behind(Seq first) const noexcept;
  // At most `length` from `first` on, up to the next cut.
  [[nodiscard]] std::uint32_t uncut(Seq first, std::uint32_t length) const noexcept {
    const Cut* const next = cut_behind(first);
    return next == nullptr ? length : std::min(length, static_cast<std::uint32_t>(next->at - first));
  }
  // What is unsent behind the last cut.
  [[nodiscard]] std::uint32_t unsent_uncut() const noexcept {
    if (!work_ || work_->cuts.empty()) return unsent();
    return std::min(unsent(), static_cast<std::uint32_t>(fin_seq() - work_->cuts.back().at));
  }
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
  [[nodiscard]] std::uint32_t lost() const noexcept { return work_ ? work_->board.lost() : 0; }
  [[nodiscard]] std::uint32_t sacked() const noexcept { return work_ ? work_->board.sacked() : 0; }
  // Behind the last byte known to have arrived.
  [[nodiscard]] Seq highest_arrived() const noexcept { return sacked() > 0 ? work_->board.highest_sacked() : una_; }
  // SND.UNA was SACKed before, so that it should have been acknowledged: the receiver has thrown it away.
  [[nodiscard]] bool reneged() const noexcept { return sacked() > 0 && work_->board.is_sacked(una_); }
  [[nodiscard]] bool has_sacked_segments(std::uint32_t count, std::uint32_t mss) const noexcept {
    return sacked() > 0 && work_->board.has_sacked_segments(count, mss);
  }

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
  void sent(std::uint32_t length, const Transmission& how, WorkCache& cache);
  // The first stretch that is believed lost: at most `limit` long.
  using Stretch = Scoreboard::Stretch;
  [[nodiscard]] std::optional<Stretch> first_lost(std::uint32_t limit, std::uint32_t mss) const noexcept {
    return lost() > 0 ? work_->board.first_lost(limit, mss) : std::nullopt;
  }
  // When the first of what is in flight went out; only while something is.
  [[nodiscard]] Instant first_sent_at() const noexcept { return work_->board.first_sent_at(); }
  // A segment that went out with PSH ended here; only for what is in flight.
  [[nodiscard]] bool pushed_at(Seq end) const noexcept { return work_->board.pushed_at(end); }
  // Bytes that were sent more than once and have not arrived.
  [[nodiscard]] std::uint32_t resent_in_flight() const noexcept { return work_ ? work_->board.resent_in_flight() : 0; }
  // See Scoreboard; only while something is believed lost.
  [[nodiscard]] const Transmission& last_lost() const noexcept { return work_->board.last_lost(); }
  // The last segment of what was sent; only while something is in flight.
  [[nodiscard]] Stretch last_segment(std::uint32_t mss) const noexcept { return work_->board.last_segment(mss); }
  // A stretch went out again.
  void resent(const Stretch& stretch, const Transmission& how) {
    work_->board.resent(stretch.first, stretch.first + stretch.length, how);
  }
  // Puts the payload of [first, first + length) into `packet`, as far as the pieces reach; says how many bytes that is.
  // SYN and FIN in the range count for nothing here.
  std::uint32_t gather(Seq first, std::uint32_t length, TxPacket& packet) const;

  // ---- acknowledgement and loss ----
  // una < ack <= max_sent
  void acknowledge(Seq ack, Arrivals& arrivals, WorkCache& cache);
  // A SACK block, as far as it says something of what is in flight; false when it does not.
  bool sack(Seq first, Seq end, Arrivals& arrivals);
  // See Scoreboard.
  Scoreboard::Detected detect_losses(Instant newest, Seq newest_end, Instant horizon) {
    return work_ ? work_->board.detect_losses(newest, newest_end, horizon) : Scoreboard::Detected{};
  }
  // Marks the first `length` bytes that are not acknowledged lost, or as many as there are.
  void mark_first_lost(std::uint32_t length);
  // Marks what has been in flight since `horizon` or longer.
  void mark_lost_if_sent_by(Instant horizon) {
    if (work_) work_->board.mark_lost_if_sent_by(horizon);
  }
  // Marks everything in flight lost.
  void mark_all_lost() { mark_first_lost(outstanding()); }
  void unmark_lost() noexcept {
    if (work_) work_->board.unmark_lost();
  }
  void forget_sacked() noexcept {
    if (work_) work_->board.forget_sacked();
  }
  // Acts as if nothing behind una had been sent; what was will be sent anew.
  void forget_unacknowledged();

  // The connection is over: what was not acknowledged never will be.
  void discard(WorkCache& cache);
  void release_if_idle(WorkCache& cache);
  [[nodiscard]] std::string check() const;

 private:
  void need_work(WorkCache& cache) {
    if (!work_) work_ = cache.take();
  }
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
  WindowScale scale_;
  bool fin_queued_ = false;
  bool window_known_ = false;
};

}  // namespace ff::tcp
