// Where devices put received packets: one behind the other in a slab, a new slab when the room ends. A slab that nobody
// refers to any more is filled from its start again, so that as long as packets are consumed at once the same cache
// lines serve.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>

#include "firstflight/bytes.hpp"

namespace ff {

class SlabCursor {
 public:
  // `largest`: the most that is ever reserved. A slab holds several of them.
  explicit SlabCursor(std::uint32_t largest) : pool_(kPerSlab * round_up(largest)), largest_(largest) {}

  // Room for `size` bytes, until the next call; 16-byte aligned.
  std::uint8_t* reserve(std::uint32_t size) {
    assert(size <= largest_);
    if (slab_ && slab_.unshared()) {
      used_ = 0;
    } else if (!slab_ || slab_.memory().size() - used_ < size) {
      slab_ = pool_.acquire();
      used_ = 0;
    }
    return slab_.memory().data() + used_;
  }
  // Hands out `size` bytes from `offset` of what was reserved last, and keeps them from being written again.
  Slice commit(std::uint32_t offset, std::uint32_t size) {
    Slice slice = slab_.slice(used_ + offset, size);
    used_ = std::min(used_ + round_up(offset + size), static_cast<std::uint32_t>(slab_.memory().size()));
    return slice;
  }

 private:
  static constexpr std::uint32_t kPerSlab = 4;
  static constexpr std::uint32_t round_up(std::uint32_t size) { return (size + 15) & ~15u; }

  SlabPool pool_;
  SlabRef slab_;
  [[maybe_unused]] std::uint32_t largest_;  // for the assertion alone
  std::uint32_t used_ = 0;
};

}  // namespace ff
