#include "tcp/reassembly.hpp"

#include <algorithm>

namespace ff::tcp {

namespace {
// Smaller pieces get memory of their own rather than pin the large slab that they arrived in, and so do those that fill
// only a little of it.
constexpr std::uint32_t kCopyBelow = 4096;
constexpr std::uint64_t kCopyBelowShare = 4;
}  // namespace

Reassembly::Added Reassembly::add(std::uint64_t position, const Slice& payload, HeldMemory& memory) {
  Added added;
  const std::uint64_t end = position + payload.size();
  std::uint64_t at = position;
  auto next = pieces_.upper_bound(position);
  if (next != pieces_.begin()) {
    const auto& [begin, piece] = *std::prev(next);
    if (begin + piece->size() > at) {
      at = begin + piece->size();
      added.duplicate = Run{position, std::min(at, end)};
      if (begin == position && at <= end) ++added.merged;
    }
  }
  while (at < end) {
    const std::uint64_t gap_end = next == pieces_.end() ? end : std::min(end, next->first);
    if (gap_end > at) {
      Slice part = payload.sub(static_cast<std::uint32_t>(at - position), static_cast<std::uint32_t>(gap_end - at));
      if (part.size() < kCopyBelow || part.size() * kCopyBelowShare < part.pins()) part = Slice::copy_of(part.span());
      added.new_bytes += part.size();
      pieces_.emplace_hint(next, at, HeldSlice(std::move(part), memory));
    }
    if (next == pieces_.end() || next->first >= end) break;
    at = next->first + next->second->size();
    if (at <= end) ++added.merged;
    if (!added.duplicate) {
      added.duplicate = Run{next->first, std::min(at, end)};
    } else if (added.duplicate->end == next->first) {
      added.duplicate->end = std::min(at, end);
    }
    ++next;
  }
  bytes_ += added.new_bytes;
  if (added.new_bytes == 0) {
    added.merged = 1;
    note_change(position);
    return added;
  }

  // Merge [position, end) into the runs.
  std::uint64_t run_begin = position;
  std::uint64_t run_end = end;
  auto run = runs_.upper_bound(position);
  if (run != runs_.begin() && std::prev(run)->second >= position) --run;
  while (run != runs_.end() && run->first <= end) {
    run_begin = std::min(run_begin, run->first);
    run_end = std::max(run_end, run->second);
    run = runs_.erase(run);
  }
  runs_.emplace(run_begin, run_end);
  note_change(position);
  return added;
}

Slice Reassembly::take(std::uint64_t position) {
  auto it = pieces_.begin();
  // Old pieces lie wholly or partly below what arrived in order meanwhile.
  while (it != pieces_.end() && it->first + it->second->size() <= position) {
    bytes_ -= it->second->size();
    it = pieces_.erase(it);
  }
  while (!runs_.empty() && runs_.begin()->second <= position) runs_.erase(runs_.begin());
  if (it == pieces_.end() || it->first > position) return {};
  Slice taken = it->second.take();
  bytes_ -= taken.size();
  taken.drop_front(static_cast<std::uint32_t>(position - it->first));
  pieces_.erase(it);
  const std::uint64_t end = position + taken.size();
  const std::uint64_t run_end = runs_.begin()->second;
  runs_.erase(runs_.begin());
  if (run_end > end) runs_.emplace(end, run_end);
  return taken;
}

std::uint32_t Reassembly::prune(std::uint64_t position, std::uint32_t enough) noexcept {
  std::uint32_t freed = 0;
  std::uint64_t end = UINT64_MAX;
  while (!pieces_.empty() && freed < enough && std::prev(pieces_.end())->first > position) {
    const auto last = std::prev(pieces_.end());
    end = last->first;
    freed += last->second->size();
    pieces_.erase(last);
  }
  bytes_ -= freed;
  while (!runs_.empty() && std::prev(runs_.end())->first >= end) runs_.erase(std::prev(runs_.end()));
  if (!runs_.empty()) std::prev(runs_.end())->second = std::min(std::prev(runs_.end())->second, end);
  return freed;
}

std::optional<Reassembly::Run> Reassembly::overtaken(std::uint64_t position) const {
  if (runs_.empty() || runs_.begin()->first >= position) return std::nullopt;
  return Run{runs_.begin()->first, std::min(runs_.begin()->second, position)};
}

std::optional<Reassembly::Run> Reassembly::run_at(std::uint64_t position) const {
  const auto next = runs_.upper_bound(position);
  if (next == runs_.begin()) return std::nullopt;
  const auto& [begin, end] = *std::prev(next);
  if (end <= position) return std::nullopt;
  return Run{begin, end};
}

void Reassembly::note_change(std::uint64_t position) noexcept {
  // One entry for each run: those that lie in the run just changed go.
  const auto changed = run_at(position);
  std::array<std::uint64_t, wire::SackBlocks::kMax> kept{};
  std::uint8_t count = 0;
  kept[count++] = position;
  for (std::uint8_t i = 0; i < recent_count_ && count < kept.size(); ++i) {
    const auto run = run_at(recent_[i]);
    if (!run || (changed && run->begin == changed->begin)) continue;
    kept[count++] = recent_[i];
  }
  recent_ = kept;
  recent_count_ = count;
}

void Reassembly::report(Seq base, std::uint64_t position, std::size_t max, wire::SackBlocks& blocks) const {
  if (runs_.empty()) return;
  std::array<std::uint64_t, wire::SackBlocks::kMax> told{};
  std::size_t count = 0;
  for (std::uint8_t i = 0; i < recent_count_ && count < max; ++i) {
    const auto run = run_at(recent_[i]);
    if (!run || run->end <= position ||
        std::find(told.begin(), told.begin() + count, run->begin) != told.begin() + count)
      continue;
    told[count++] = run->begin;
    blocks.add({base + static_cast<std::uint32_t>(run->begin - position),
                base + static_cast<std::uint32_t>(run->end - position)});
  }
}

void Reassembly::clear() noexcept {
  pieces_.clear();
  runs_.clear();
  recent_count_ = 0;
  bytes_ = 0;
}

}  // namespace ff::tcp
