#include "base/slice_queue.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace ff {

void SliceQueue::push_back(Slice slice, HeldMemory& memory) {
  if (slice.empty()) return;
  const std::uint32_t size = slice.size();
  pieces_.push_back({HeldSlice(std::move(slice), memory), end_});
  end_ += size;
}

void SliceQueue::push_copy(ByteSpan bytes, SlabPool& pool, HeldMemory& memory) {
  while (!bytes.empty()) {
    if (!tail_ || tail_used_ == tail_.memory().size()) {
      tail_ = pool.acquire();
      tail_used_ = 0;
    }
    const auto room = static_cast<std::uint32_t>(tail_.memory().size()) - tail_used_;
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(room, bytes.size()));
    std::memcpy(tail_.memory().data() + tail_used_, bytes.data(), count);
    Slice added = tail_.slice(tail_used_, count);
    // Grow the last piece when the new bytes lie right behind it in the same slab.
    if (!pieces_.empty() && tail_used_ > 0 &&
        pieces_.back().slice->data() + pieces_.back().slice->size() == added.data()) {
      const auto whole = pieces_.back().slice->size() + count;
      pieces_.back().slice = HeldSlice(tail_.slice(tail_used_ + count - whole, whole), memory);
      end_ += count;
    } else {
      push_back(std::move(added), memory);
    }
    tail_used_ += count;
    bytes = bytes.subspan(count);
  }
}

void SliceQueue::drop_front(std::uint32_t count) noexcept {
  assert(count <= size());
  begin_ += count;
  while (!pieces_.empty() && pieces_.front().begin + pieces_.front().slice->size() <= begin_) pieces_.pop_front();
  if (!pieces_.empty() && pieces_.front().begin < begin_) {
    Piece& first = pieces_.front();
    first.slice.drop_front(static_cast<std::uint32_t>(begin_ - first.begin));
    first.begin = begin_;
  }
  if (pieces_.empty()) tail_ = SlabRef();
}

Slice SliceQueue::take_front(std::uint32_t max) noexcept {
  if (pieces_.empty() || max == 0) return {};
  Slice taken = pieces_.front().slice->sub(0, max);
  drop_front(taken.size());
  return taken;
}

std::uint32_t SliceQueue::read(MutableByteSpan into) noexcept {
  std::uint32_t done = 0;
  while (done < into.size() && !pieces_.empty()) {
    const Slice& first = *pieces_.front().slice;
    const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(first.size(), into.size() - done));
    std::memcpy(into.data() + done, first.data(), count);
    done += count;
    drop_front(count);
  }
  return done;
}

std::uint32_t SliceQueue::peek(MutableByteSpan into, std::uint32_t offset) const noexcept {
  std::uint32_t done = 0;
  const std::uint64_t position = begin_ + offset;
  for (std::size_t i = find(position); position < end_ && i < pieces_.size() && done < into.size(); ++i) {
    const ByteSpan piece = pieces_[i].slice->span();
    const auto skip = static_cast<std::size_t>(position + done - pieces_[i].begin);
    const auto count = static_cast<std::uint32_t>(std::min(piece.size() - skip, into.size() - done));
    std::memcpy(into.data() + done, piece.data() + skip, count);
    done += count;
  }
  return done;
}

std::uint32_t SliceQueue::compact(SlabPool& pool, HeldMemory& memory) {
  std::uint32_t copied = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i) copied += sparse(*pieces_[i].slice, pool) ? 1 : 0;
  if (copied == 0) return 0;
  Ring<Piece> old;
  std::swap(old, pieces_);
  end_ = begin_;
  tail_ = SlabRef();
  for (; !old.empty(); old.pop_front()) {
    const Slice& slice = *old.front().slice;
    if (sparse(slice, pool)) {
      push_copy(slice.span(), pool, memory);
    } else {
      push_back(slice, memory);
    }
  }
  return copied;
}

void SliceQueue::own_lent(HeldMemory& memory) {
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    HeldSlice& slice = pieces_[i].slice;
    if (slice->is_lent()) slice = HeldSlice(Slice::copy_of(slice->span()), memory);
  }
}

std::uint64_t SliceQueue::pinned() const noexcept {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const Slice& slice = *pieces_[i].slice;
    if (i == 0 || !slice.shares_memory_with(*pieces_[i - 1].slice)) bytes += slice.pins();
  }
  return bytes;
}

std::size_t SliceQueue::find(std::uint64_t position) const noexcept {
  std::size_t low = 0;
  std::size_t high = pieces_.size();
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    (pieces_[middle].begin <= position ? low : high) = middle;
  }
  return low;
}

std::uint32_t SliceQueue::gather(std::uint32_t offset, std::uint32_t length, std::span<Slice> pieces,
                                 std::uint16_t& used) const {
  assert(offset + length <= size());
  used = 0;
  if (length == 0) return 0;
  std::uint64_t position = begin_ + offset;
  const std::uint64_t end = position + length;
  std::size_t lent = 0;
  for (std::size_t i = find(position); position < end && used < pieces.size(); ++i) {
    const Piece& piece = pieces_[i];
    if (piece.slice->is_lent() && ++lent > kMaxLent) break;
    const auto skip = static_cast<std::uint32_t>(position - piece.begin);
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(piece.slice->size() - skip, end - position));
    pieces[used++] = piece.slice->sub(skip, count);
    position += count;
  }
  return static_cast<std::uint32_t>(position - begin_ - offset);
}

}  // namespace ff
