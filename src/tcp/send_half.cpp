#include "tcp/send_half.hpp"

#include <algorithm>
#include <cassert>

#include "base/search.hpp"

namespace ff::tcp {

namespace {
constexpr std::uint32_t kFewStretches = 64;
constexpr std::uint32_t kBytesPerStretch = 512;
}  // namespace

void SendHalf::start(Seq iss) noexcept {
  iss_ = una_ = nxt_ = max_sent_ = iss;
  data_una_ = iss + 1;
}

void SendHalf::write(ByteSpan bytes, Memory& memory, WorkCache& cache) {
  assert(!fin_queued_);
  need_work(cache);
  work_->queue.push_copy(bytes, memory.small_slabs, memory.held);
}

void SendHalf::write(Slice bytes, Memory& memory, WorkCache& cache) {
  assert(!fin_queued_);
  need_work(cache);
  work_->queue.push_back(std::move(bytes), memory.held);
}

const SendHalf::Cut* SendHalf::cut_behind(Seq first) const noexcept {
  if (!work_ || work_->cuts.empty() || at_or_before(work_->cuts.back().at, first)) return nullptr;
  const Ring<Cut>& cuts = work_->cuts;
  return &cuts[first_where(cuts.size(), 0, [&](std::size_t i) { return after(cuts[i].at, first); })];
}

bool SendHalf::update_window(Seq seg_seq, Seq seg_ack, std::uint32_t window) noexcept {
  // Of two acknowledgements that look alike the larger window counts, whichever came first; but a closed one always
  // does (as Linux).
  const bool newer =
      !window_known_ || before(wl1_, seg_seq) ||
      (wl1_ == seg_seq && (before(wl2_, seg_ack) || (wl2_ == seg_ack && (window > wnd_ || window == 0))));
  if (!newer) return false;
  const bool changed = !window_known_ || window != wnd_;
  window_known_ = true;
  wl1_ = seg_seq;
  wl2_ = seg_ack;
  wnd_ = window;
  max_wnd_ = std::max(max_wnd_, window);
  return changed;
}

std::uint32_t SendHalf::usable_window() const noexcept {
  const std::int32_t room = (data_una_ + wnd_) - nxt_;  // a SYN takes no room of it
  return room > 0 ? static_cast<std::uint32_t>(room) : 0;
}

void SendHalf::sent(std::uint32_t length, const Transmission& how, WorkCache& cache) {
  assert(length > 0);
  need_work(cache);
  const Seq end = nxt_ + length;
  work_->board.sent(nxt_, end, how);
  // Bytes below max_sent went out before forget_unacknowledged(): which copy an acknowledgement is for cannot be known.
  if (before(nxt_, max_sent_)) work_->board.resent(nxt_, before(max_sent_, end) ? max_sent_ : end, how);
  nxt_ = end;
  max_sent_ = later_of(max_sent_, end);
}

std::uint32_t SendHalf::gather(Seq first, std::uint32_t length, TxPacket& packet) const {
  if (!work_) return 0;
  Seq end = first + length;
  if (before(first, data_una_)) first = data_una_;
  if (after(end, data_una_ + queued())) end = data_una_ + queued();
  if (at_or_before(end, first)) return 0;
  std::uint16_t used = 0;
  packet.payload_size = work_->queue.gather(static_cast<std::uint32_t>(first - data_una_),
                                            static_cast<std::uint32_t>(end - first), packet.payload_pieces, used);
  packet.payload_piece_count = used;
  return packet.payload_size;
}

void SendHalf::acknowledge(Seq ack, Arrivals& arrivals, WorkCache& cache) {
  assert(after(ack, una_) && at_or_before(ack, max_sent_));
  arrivals.acked = static_cast<std::uint32_t>(ack - una_);
  // Behind nxt only after forget_unacknowledged(): the peer had it after all.
  if (after(ack, nxt_)) nxt_ = ack;
  if (work_) work_->board.acknowledge(ack, arrivals);
  const Seq data_end = data_una_ + queued();
  const Seq acked_data = before(ack, data_end) ? ack : data_end;
  if (after(acked_data, data_una_)) {
    work_->queue.drop_front(static_cast<std::uint32_t>(acked_data - data_una_));
    data_una_ = acked_data;
    while (!work_->cuts.empty() && at_or_before(work_->cuts.front().at, data_una_)) work_->cuts.pop_front();
  }
  una_ = ack;
  release_if_idle(cache);
}

bool SendHalf::sack(Seq first, Seq end, Arrivals& arrivals) {
  if (before(first, una_)) first = una_;
  if (!work_ || !before(first, end) || after(end, nxt_)) return false;
  // A hostile peer could make every second byte a stretch; an honest one SACKs segments.
  const IntervalSet& known = work_->board.sacked_stretches();
  if (known.size() >= kFewStretches + outstanding() / kBytesPerStretch && !known.touches(first, end)) return false;
  work_->board.sack(first, end, arrivals);
  return true;
}

void SendHalf::mark_first_lost(std::uint32_t length) {
  if (outstanding() > 0) work_->board.mark_lost(una_, una_ + std::min(length, outstanding()));
}

void SendHalf::forget_unacknowledged() {
  if (work_) work_->board.clear();
  nxt_ = una_;
}

void SendHalf::discard(WorkCache& cache) {
  if (!work_) return;
  forget_unacknowledged();
  work_->queue.drop_front(work_->queue.size());
  work_->cuts.clear();
  data_una_ = una_;
  release_if_idle(cache);
}

void SendHalf::release_if_idle(WorkCache& cache) {
  if (work_ && work_->queue.empty() && work_->board.empty()) cache.give_back(std::move(work_));
}

std::string SendHalf::check() const {
  if (after(una_, nxt_)) return "snd.una is behind snd.nxt";
  if (after(nxt_, max_sent_)) return "snd.nxt lies ahead of what was ever sent";
  if (!work_) return outstanding() == 0 ? "" : "bytes are in flight but no record of them exists";
  if (std::string wrong = work_->board.check(una_, nxt_); !wrong.empty()) return wrong;
  if (data_una_ != una_ && una_ != iss_ && !fin_acknowledged()) return "the queue does not begin at snd.una";
  return "";
}

}  // namespace ff::tcp
