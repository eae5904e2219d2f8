// How much memory the queues of one stack hold. A slab of which they have any piece counts whole, and once: however
// little of it is wanted, nobody else can use it. It costs two increments beside those of the reference count.
#pragma once

#include <cstdint>
#include <utility>

#include "firstflight/bytes.hpp"

namespace ff {

namespace detail {
// Lives as long as the stack or any slab that counts for it: a slice may have gone on to another stack's queue.
struct HeldCount {
  std::uint64_t bytes = 0;
  std::uint64_t slabs = 0;
  bool abandoned = false;
};
}  // namespace detail

class HeldMemory {
 public:
  HeldMemory() : count_(new detail::HeldCount) {}
  HeldMemory(const HeldMemory&) = delete;
  ~HeldMemory() {
    count_->abandoned = true;
    if (count_->slabs == 0) delete count_;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return count_->bytes; }

 private:
  friend class HeldSlice;
  detail::HeldCount* count_;
};

// A slice that waits in a queue.
class HeldSlice {
 public:
  // What a slab costs beside its payload: its head, and what a queue notes of a piece.
  static constexpr std::uint32_t kCostOfSlab = 128;

  HeldSlice() noexcept = default;
  HeldSlice(Slice slice, HeldMemory& memory) noexcept : slice_(std::move(slice)) {
    detail::Slab* slab = slice_.slab_;
    if (slab == nullptr || slab->holds++ > 0) return;
    slab->held_by = memory.count_;
    ++slab->held_by->slabs;
    slab->held_by->bytes += slab->capacity + kCostOfSlab;
  }
  HeldSlice(HeldSlice&&) noexcept = default;
  HeldSlice& operator=(HeldSlice&& other) noexcept {
    let_go();
    slice_ = std::move(other.slice_);
    return *this;
  }
  ~HeldSlice() { let_go(); }

  [[nodiscard]] const Slice& operator*() const noexcept { return slice_; }
  [[nodiscard]] const Slice* operator->() const noexcept { return &slice_; }
  void drop_front(std::uint32_t count) noexcept { slice_.drop_front(count); }
  // It waits no more.
  [[nodiscard]] Slice take() noexcept {
    let_go();
    return std::move(slice_);
  }

 private:
  void let_go() noexcept {
    detail::Slab* slab = slice_.slab_;
    if (slab == nullptr || --slab->holds > 0) return;
    detail::HeldCount* count = slab->held_by;
    count->bytes -= slab->capacity + kCostOfSlab;
    if (--count->slabs == 0 && count->abandoned) delete count;
  }

  Slice slice_;
};

}  // namespace ff
