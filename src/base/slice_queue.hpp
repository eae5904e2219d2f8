// A stream of bytes as a queue of slices: grows at the back, shrinks at the front, and can be read anywhere between.
#pragma once

#include <cstdint>
#include <span>

#include "base/held_memory.hpp"
#include "base/ring.hpp"
#include "firstflight/bytes.hpp"

namespace ff {

class SliceQueue {
 public:
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(end_ - begin_); }
  [[nodiscard]] bool empty() const noexcept { return end_ == begin_; }
  [[nodiscard]] std::size_t pieces() const noexcept { return pieces_.size(); }

  void push_back(Slice slice, HeldMemory& memory);
  // Copies `bytes` behind the rest: into the room left in the last slab that was filled this way, then into new ones of
  // `pool`. Many small writes so share a slab, and a small payload does not pin the large slab that it arrived in.
  void push_copy(ByteSpan bytes, SlabPool& pool, HeldMemory& memory);
  // True for a slice that fills but little of what it pins, of which a copy into slabs of `pool` would pin less.
  [[nodiscard]] static bool sparse(const Slice& slice, const SlabPool& pool) noexcept {
    return slice.pins() > pool.slab_bytes() && std::uint64_t{slice.size()} * 4 < slice.pins();
  }
  // Copies those; says how many there were.
  std::uint32_t compact(SlabPool& pool, HeldMemory& memory);
  // Copies what was lent, so that its memory is the lender's again.
  void own_lent(HeldMemory& memory);
  // Bytes of memory that the pieces pin.
  [[nodiscard]] std::uint64_t pinned() const noexcept;

  void drop_front(std::uint32_t count) noexcept;
  // The first slice, or at most `max` bytes of it, taken out.
  Slice take_front(std::uint32_t max) noexcept;
  // Copies out and removes as many bytes as there are, up to the size of `into`.
  std::uint32_t read(MutableByteSpan into) noexcept;
  // Copies out from `offset` on and removes nothing.
  std::uint32_t peek(MutableByteSpan into, std::uint32_t offset) const noexcept;

  // How many pieces of lent memory go into one packet (as Linux's MAX_SKB_FRAGS).
  static constexpr std::size_t kMaxLent = 17;

  // Puts the slices that cover `length` bytes from `offset` into `pieces`, as many as there is room for. Says how many
  // bytes they cover, and in `used` how many pieces.
  std::uint32_t gather(std::uint32_t offset, std::uint32_t length, std::span<Slice> pieces, std::uint16_t& used) const;

 private:
  struct Piece {
    HeldSlice slice;
    std::uint64_t begin = 0;  // where it starts in the stream
  };
  [[nodiscard]] std::size_t find(std::uint64_t position) const noexcept;

  Ring<Piece> pieces_;
  std::uint64_t begin_ = 0;  // stream position of the first byte
  std::uint64_t end_ = 0;
  SlabRef tail_;  // the slab that push_copy is filling
  std::uint32_t tail_used_ = 0;
};

}  // namespace ff
