#include "tcp/receive_half.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace ff::tcp {

namespace {
// Payloads up to this size are copied into shared slabs, so that they do not pin the large one that they arrived in.
constexpr std::uint32_t kTiny = 256;
// Behind a reader that is this far behind, larger ones are copied too.
constexpr std::uint32_t kSlowReader = 64 * 1024;
constexpr std::uint32_t kSmall = 4096;
// What it counts for, against the buffer, that so many bytes wait ahead of a gap and cost so much memory besides. What
// a window has promised is kept: where segments are of 256 bytes at least, what each costs is not held against them.
constexpr std::uint32_t charge(std::uint32_t bytes, std::uint32_t cost) {
  return bytes + (cost > bytes / 2 ? cost - bytes / 2 : 0);
}
static_assert(charge(256, Reassembly::kCostOfPiece) == 256);
// As Linux: so much of the buffer is freed at a time.
constexpr std::uint32_t kPruneShare = 8;
}  // namespace

std::uint32_t ReceiveHalf::initial_window(const BufferSizes& rmem, std::uint32_t mss) noexcept {
  const std::uint32_t half = rmem.initial / 2;
  return std::min<std::uint32_t>(half > mss ? half - half % mss : half, 65535);
}

WindowScale ReceiveHalf::scale_for(const BufferSizes& rmem) noexcept {
  const int bits = std::bit_width(std::max(rmem.max, rmem.initial));
  return {static_cast<std::uint8_t>(std::clamp(bits - 16, 0, static_cast<int>(WindowScale::kMax)))};
}

void ReceiveHalf::start(Seq irs, std::uint32_t initial_window, const BufferSizes& rmem) noexcept {
  irs_ = irs;
  nxt_ = irs + 1;
  edge_ = nxt_ + initial_window;
  limit_ = std::max(rmem.initial, initial_window);
  ceiling_ = initial_window;
}

bool ReceiveHalf::acceptable(Seq seq, std::uint32_t length) const noexcept {
  // As Linux: a segment that begins at the right edge passes, whatever its length. Its text is cut off later, but its
  // acknowledgement counts, which keeps a sender alive whose peer has closed the window.
  return at_or_after(seq + length, nxt_) && at_or_before(seq, nxt_ + window());
}

void ReceiveHalf::append(const Slice& payload, Memory& memory) {
  const bool copy = payload.size() <= kTiny || (payload.size() < kSmall && work_->queue.size() > kSlowReader) ||
                    (memory.under_pressure() && SliceQueue::sparse(payload, memory.small_slabs));
  if (copy) {
    work_->queue.push_copy(payload.span(), memory.small_slabs, memory.held);
  } else {
    work_->queue.push_back(payload, memory.held);
  }
}

ReceiveHalf::Received ReceiveHalf::receive(Seq seq, const Slice& payload, bool fin, Memory& memory, WorkCache& cache) {
  Received result;
  if (!work_) work_ = cache.take();
  assert(at_or_after(seq, nxt_));
  const std::uint64_t place = position_ + static_cast<std::uint32_t>(seq - nxt_);
  const bool fin_waited = fin_waiting();
  if (fin) fin_position_ = place + payload.size();

  if (seq != nxt_) {
    const auto full = [&] {
      const std::uint32_t held = work_->reassembly.bytes(), cost = work_->reassembly.memory() - held;
      return charge(held + payload.size(), cost + Reassembly::kCostOfPiece) > limit_;
    };
    // Behind a gap what is nearest is worth most.
    if (full()) result.pruned = work_->reassembly.prune(place, limit_ / kPruneShare) > 0;
    if (full()) {
      result.dropped = true;
      if (fin) fin_position_.reset();
    } else if (!payload.empty()) {
      const Reassembly::Added added = work_->reassembly.add(place, payload, memory.held);
      if (added.duplicate) note_duplicate(*added.duplicate);
      result.merged = added.merged;
      result.waiting = added.new_bytes;
    }
    release_if_idle(cache);
    return result;
  }

  result.in_order = true;
  if (!payload.empty()) {
    append(payload, memory);
    position_ += payload.size();
    nxt_ += payload.size();
    result.delivered = payload.size();
  }
  if (const auto duplicate = work_->reassembly.overtaken(position_)) note_duplicate(*duplicate);
  while (!work_->reassembly.empty()) {
    Slice next = work_->reassembly.take(position_);
    if (next.empty()) break;
    result.filled_gap = true;
    position_ += next.size();
    nxt_ += next.size();
    result.delivered += next.size();
    append(next, memory);
  }
  raise_ceiling(result.delivered, memory);
  if (fin_position_ && *fin_position_ <= position_) {
    fin_position_.reset();
    result.fin = true;
    result.filled_gap |= fin_waited;
  }
  release_if_idle(cache);
  return result;
}

void ReceiveHalf::raise_ceiling(std::uint32_t arrived, const Memory& memory) noexcept {
  if (!memory.under_pressure()) ceiling_ = std::min(ceiling_ + 2 * arrived, std::max(ceiling_, limit_));
}

std::uint32_t ReceiveHalf::prune(Seq seq, std::uint32_t enough, WorkCache& cache) noexcept {
  if (!work_) return 0;
  const std::uint32_t freed = work_->reassembly.prune(position_ + static_cast<std::uint32_t>(seq - nxt_), enough);
  release_if_idle(cache);
  return freed;
}

// RFC 2883 §4: exactly what came twice.
void ReceiveHalf::note_duplicate(const Reassembly::Run& run) noexcept {
  note_duplicate(seq_of(run.begin), seq_of(run.end));
}

std::uint32_t ReceiveHalf::read(MutableByteSpan into, WorkCache& cache) noexcept {
  if (!work_) return 0;
  const std::uint32_t count = work_->queue.read(into);
  release_if_idle(cache);
  return count;
}

Slice ReceiveHalf::read_slice(std::uint32_t max, WorkCache& cache) noexcept {
  if (!work_) return {};
  Slice taken = work_->queue.take_front(max);
  release_if_idle(cache);
  return taken;
}

void ReceiveHalf::skip_one(WorkCache& cache) noexcept {
  work_->queue.drop_front(1);
  release_if_idle(cache);
}

void ReceiveHalf::discard_unread(WorkCache& cache) noexcept {
  if (!work_) return;
  work_->queue.drop_front(work_->queue.size());
  release_if_idle(cache);
}

void ReceiveHalf::discard_all(WorkCache& cache) noexcept {
  if (!work_) return;
  work_->reassembly.clear();
  discard_unread(cache);
}

void ReceiveHalf::release_if_idle(WorkCache& cache) noexcept {
  if (!work_ || !work_->queue.empty() || !work_->reassembly.empty()) return;
  work_->reassembly.clear();
  cache.give_back(std::move(work_));
}

Seq ReceiveHalf::wanted_edge(std::uint32_t mss) const noexcept {
  const std::uint32_t held = unread();
  const std::uint32_t free = limit_ > held ? limit_ - held : 0;
  const Seq wanted = nxt_ + std::min(free, ceiling_);
  // RFC 9293 §3.8.6.2.2: move the edge by a full segment or half the buffer at least, or not at all.
  const std::uint32_t worthwhile = std::min(mss, limit_ / 2);
  return wanted - edge_ >= static_cast<std::int32_t>(worthwhile) ? wanted : edge_;
}

WireWindow ReceiveHalf::advertise(std::uint32_t mss) noexcept {
  edge_ = wanted_edge(mss);
  const std::uint32_t unit = 1u << scale_.shift;
  // Rounded up, for rounding down would take back what was promised.
  const std::uint32_t units = (window() + unit - 1) / unit;
  const WireWindow wire{static_cast<std::uint16_t>(std::min<std::uint32_t>(units, 0xffff))};
  edge_ = later_of(edge_, nxt_ + wire.bytes(scale_));
  return wire;
}

bool ReceiveHalf::update_due(std::uint32_t mss) const noexcept {
  const std::int32_t gain = wanted_edge(mss) - edge_;
  if (gain <= 0) return false;
  // As Linux: when the window would at least double, and is worth a segment.
  return static_cast<std::uint32_t>(gain) >= window();
}

void ReceiveHalf::adapt(Instant now, Duration rtt, std::uint32_t bytes, std::uint32_t largest) noexcept {
  read_since_ += bytes;
  if (rtt == Duration::zero() || now - adapted_at_ < rtt) return;
  // What was read in one round trip, or would have been but for a gap, is what the path and the reader can carry; room
  // for twice that, and for the growth that slow start will bring meanwhile, keeps the window from being the limit.
  const std::uint32_t carried = read_since_ + (work_ ? work_->reassembly.bytes() : 0);
  if (carried > read_before_) {
    const std::uint64_t room = std::uint64_t{4} * carried;
    limit_ = static_cast<std::uint32_t>(std::max<std::uint64_t>(limit_, std::min<std::uint64_t>(room, largest)));
    read_before_ = carried;
  }
  read_since_ = 0;
  adapted_at_ = now;
}

void ReceiveHalf::report_sack(std::size_t max, wire::SackBlocks& blocks) noexcept {
  if (duplicate_ && max > 0) {
    blocks.add(*duplicate_);  // RFC 2883 §4: the duplicate comes first
    --max;
  }
  duplicate_.reset();
  if (work_) work_->reassembly.report(nxt_, position_, max, blocks);
  if (fin_waiting()) report_fin(max, blocks);
}

// A FIN beyond a gap has a sequence number to report, like data.
void ReceiveHalf::report_fin(std::size_t max, wire::SackBlocks& blocks) const noexcept {
  const Seq fin = seq_of(*fin_position_);
  for (std::uint8_t i = 0; i < blocks.count; ++i) {
    if (blocks.blocks[i].end == fin) return void(blocks.blocks[i].end = fin + 1u);
  }
  if (blocks.count < max) blocks.add({fin, fin + 1u});
}

std::string ReceiveHalf::check() const {
  if (limit_ == 0) return "no receive buffer";
  if (work_ && work_->queue.empty() && work_->reassembly.empty()) return "receive work is kept without need";
  return "";
}

}  // namespace ff::tcp
