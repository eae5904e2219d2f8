#include "tcp/send_half.hpp"

#include <algorithm>
#include <cassert>

namespace ff::tcp {

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

void SendHalf::sent(std::uint32_t length, Instant now, WorkCache& cache) {
  assert(length > 0);
  need_work(cache);
  const Seq end = nxt_ + length;
  // Bytes below max_sent went out before forget_unacknowledged(): which copy an acknowledgement is for cannot be known.
  work_->ranges.push_back({nxt_, end, now, before(nxt_, max_sent_), false});
  nxt_ = end;
  max_sent_ = later_of(max_sent_, end);
}

std::optional<SendHalf::Stretch> SendHalf::first_lost(std::uint32_t limit) const noexcept {
  if (lost_ == 0) return std::nullopt;
  for (std::size_t i = 0; i < work_->ranges.size(); ++i) {
    const SentRange& range = work_->ranges[i];
    if (range.lost) return Stretch{range.first, std::min(limit, static_cast<std::uint32_t>(range.end - range.first))};
  }
  assert(false);
  return std::nullopt;
}

void SendHalf::split(std::size_t index, Seq at) {
  SentRange& range = work_->ranges[index];
  assert(before(range.first, at) && before(at, range.end));
  SentRange front = range;
  front.end = at;
  range.first = at;
  work_->ranges.insert(index, front);
}

void SendHalf::resent(const Stretch& stretch, Instant now) {
  for (std::size_t i = 0; i < work_->ranges.size(); ++i) {
    if (work_->ranges[i].first != stretch.first) continue;
    const Seq end = stretch.first + stretch.length;
    if (before(end, work_->ranges[i].end)) split(i, end);
    SentRange& range = work_->ranges[i];
    assert(range.lost && range.end == end);
    lost_ -= stretch.length;
    range.lost = false;
    range.retransmitted = true;
    range.sent_at = now;
    return;
  }
  assert(false);
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

SendHalf::Acknowledged SendHalf::acknowledge(Seq ack, WorkCache& cache) {
  assert(after(ack, una_) && at_or_before(ack, max_sent_));
  Acknowledged result;
  result.length = static_cast<std::uint32_t>(ack - una_);
  // Behind nxt only after forget_unacknowledged(): the peer had it after all.
  if (after(ack, nxt_)) nxt_ = ack;
  while (work_ && !work_->ranges.empty() && before(work_->ranges.front().first, ack)) {
    SentRange& range = work_->ranges.front();
    result.retransmitted |= range.retransmitted;
    result.first_sent_at = std::min(result.first_sent_at, range.sent_at);
    const Seq end = before(ack, range.end) ? ack : range.end;
    if (range.lost) lost_ -= static_cast<std::uint32_t>(end - range.first);
    if (end == range.end) {
      work_->ranges.pop_front();
    } else {
      range.first = end;
    }
  }
  const Seq data_end = data_una_ + queued();
  const Seq acked_data = before(ack, data_end) ? ack : data_end;
  if (after(acked_data, data_una_)) {
    work_->queue.drop_front(static_cast<std::uint32_t>(acked_data - data_una_));
    data_una_ = acked_data;
  }
  una_ = ack;
  release_if_idle(cache);
  return result;
}

void SendHalf::mark_first_lost(std::uint32_t mss) {
  if (!work_ || work_->ranges.empty()) return;
  SentRange* range = &work_->ranges.front();
  if (range->lost) return;
  if (static_cast<std::uint32_t>(range->end - range->first) > mss) {
    split(0, range->first + mss);
    range = &work_->ranges.front();
  }
  range->lost = true;
  lost_ += static_cast<std::uint32_t>(range->end - range->first);
}

void SendHalf::mark_all_lost() {
  if (!work_ || work_->ranges.empty()) return;
  // One range will do: what goes out again is cut anew, and no part of it may give a round-trip time.
  const SentRange all{work_->ranges.front().first, work_->ranges.back().end, work_->ranges.front().sent_at, true, true};
  work_->ranges.clear();
  work_->ranges.push_back(all);
  lost_ = static_cast<std::uint32_t>(all.end - all.first);
}

void SendHalf::forget_unacknowledged() {
  if (work_) work_->ranges.clear();
  lost_ = 0;
  nxt_ = una_;
}

std::optional<Instant> SendHalf::first_sent_at() const noexcept {
  if (!work_ || work_->ranges.empty()) return std::nullopt;
  return work_->ranges.front().sent_at;
}

void SendHalf::discard(WorkCache& cache) {
  if (!work_) return;
  forget_unacknowledged();
  work_->queue.drop_front(work_->queue.size());
  data_una_ = una_;
  release_if_idle(cache);
}

void SendHalf::release_if_idle(WorkCache& cache) {
  if (work_ && work_->queue.empty() && work_->ranges.empty()) cache.give_back(std::move(work_));
}

std::string SendHalf::check() const {
  if (after(una_, nxt_)) return "snd.una is behind snd.nxt";
  if (after(nxt_, max_sent_)) return "snd.nxt lies ahead of what was ever sent";
  if (!work_) return outstanding() == 0 && lost_ == 0 ? "" : "bytes are in flight but no record of them exists";
  Seq at = una_;
  std::uint32_t lost = 0;
  for (std::size_t i = 0; i < work_->ranges.size(); ++i) {
    const SentRange& range = work_->ranges[i];
    if (range.first != at || !after(range.end, range.first)) return "sent ranges have a gap or are empty";
    if (range.lost) lost += static_cast<std::uint32_t>(range.end - range.first);
    at = range.end;
  }
  if (at != nxt_) return "sent ranges do not end at snd.nxt";
  if (lost != lost_) return "count of lost bytes is wrong";
  if (data_una_ != una_ && una_ != iss_ && !fin_acknowledged()) return "the queue does not begin at snd.una";
  return "";
}

}  // namespace ff::tcp
