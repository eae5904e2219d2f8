// A set of sequence numbers, kept as stretches that neither overlap nor touch, in order. All of them lie within half of
// the sequence space of each other, as a window does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ring.hpp"
#include "base/search.hpp"
#include "base/seq.hpp"

namespace ff {

struct Interval {
  Seq first;
  Seq end;
  [[nodiscard]] std::uint32_t length() const noexcept { return static_cast<std::uint32_t>(end - first); }
};

class IntervalSet {
 public:
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] const Interval& operator[](std::size_t i) const noexcept { return items_[i]; }
  [[nodiscard]] const Interval& front() const noexcept { return items_.front(); }
  [[nodiscard]] const Interval& back() const noexcept { return items_.back(); }
  // How many numbers it holds.
  [[nodiscard]] std::uint32_t total() const noexcept { return total_; }

  [[nodiscard]] bool contains(Seq seq) const noexcept {
    const std::size_t i = first_ending_after(seq);
    return i < items_.size() && at_or_before(items_[i].first, seq);
  }
  [[nodiscard]] bool covers(Seq first, Seq end) const noexcept {
    const std::size_t i = first_ending_after(first);
    return i < items_.size() && at_or_before(items_[i].first, first) && at_or_after(items_[i].end, end);
  }
  // [first, end) lies next to, or overlaps, a stretch of the set.
  [[nodiscard]] bool touches(Seq first, Seq end) const noexcept {
    const std::size_t i = first_ending_after(first - 1u);
    return i < items_.size() && at_or_before(items_[i].first, end);
  }

  // Calls gap(first, end) for each stretch of [first, end) that is not in the set, in order.
  template <typename Gap>
  void for_each_gap(Seq first, Seq end, Gap&& gap) const {
    for (std::size_t i = first_ending_after(first); i < items_.size() && before(items_[i].first, end); ++i) {
      if (before(first, items_[i].first)) gap(first, items_[i].first);
      first = items_[i].end;
    }
    if (before(first, end)) gap(first, end);
  }

  void add(Seq first, Seq end) {
    if (at_or_before(end, first)) return;
    const std::size_t i = first_ending_after(first - 1u);
    std::size_t behind = i;
    Interval all{first, end};
    for (; behind < items_.size() && at_or_before(items_[behind].first, end); ++behind) {
      total_ -= items_[behind].length();
      all.end = later_of(all.end, items_[behind].end);
    }
    if (behind == i) {
      items_.insert(i, all);
    } else {
      if (before(items_[i].first, first)) all.first = items_[i].first;
      items_[i] = all;
      items_.erase(i + 1, behind - i - 1);
    }
    total_ += all.length();
  }

  void remove(Seq first, Seq end) {
    std::size_t i = first_ending_after(first);
    if (at_or_before(end, first) || i == items_.size()) return;
    if (before(items_[i].first, first)) {
      const Seq rest = items_[i].end;
      total_ -= items_[i].length();
      items_[i].end = first;
      total_ += items_[i].length();
      ++i;
      if (before(end, rest)) {  // out of its middle
        items_.insert(i, {end, rest});
        total_ += items_[i].length();
        return;
      }
    }
    std::size_t behind = i;
    for (; behind < items_.size() && at_or_before(items_[behind].end, end); ++behind) total_ -= items_[behind].length();
    items_.erase(i, behind - i);
    if (i < items_.size() && before(items_[i].first, end)) {
      total_ -= static_cast<std::uint32_t>(end - items_[i].first);
      items_[i].first = end;
    }
  }

  void clear() noexcept {
    items_.clear();
    total_ = 0;
  }

 private:
  // It shrinks at its front and grows near its back: so they are looked at first.
  [[nodiscard]] std::size_t first_ending_after(Seq seq) const noexcept {
    if (items_.empty() || after(items_.front().end, seq)) return 0;
    return first_where(items_.size(), items_.size() - 1, [&](std::size_t i) { return after(items_[i].end, seq); });
  }

  Ring<Interval> items_;
  std::uint32_t total_ = 0;
};

}  // namespace ff
