// Bytes that are shared instead of copied: a Slab is one block of memory with a reference count, a Slice a view into it
// that keeps it alive. Counts are not atomic: a Slice belongs to one thread, as the stack that holds it does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ff {

using ByteSpan = std::span<const std::uint8_t>;
using MutableByteSpan = std::span<std::uint8_t>;

inline ByteSpan as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

namespace detail {
struct SlabPoolCore;
struct HeldCount;

// The head of a block; who made it decides how it is released.
struct Slab {
  std::uint8_t* data;
  std::uint32_t capacity;
  std::uint32_t references;
  void (*release)(Slab*) noexcept;
  void* owner;
  HeldCount* held_by;   // whose memory it counts as, while
  std::uint32_t holds;  // as many slices of it wait in queues
  bool lent;            // by a Loan
  bool copied;          // see Slice::note_copy()
};

inline void retain(Slab* slab) noexcept {
  if (slab != nullptr) ++slab->references;
}
inline void release(Slab* slab) noexcept {
  if (slab != nullptr && --slab->references == 0) slab->release(slab);
}
}  // namespace detail

// A view of bytes that keeps their memory alive. Copying shares, never copies bytes.
class Slice {
 public:
  Slice() noexcept = default;
  Slice(const Slice& other) noexcept : slab_(other.slab_), data_(other.data_), size_(other.size_) {
    detail::retain(slab_);
  }
  Slice(Slice&& other) noexcept
      : slab_(std::exchange(other.slab_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(slab_, other.slab_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Slice() { detail::release(slab_); }

  // Memory of its own, holding a copy of `bytes` (at most 4 GiB - 1).
  static Slice copy_of(ByteSpan bytes);
  // Takes over a string's memory without copying.
  static Slice adopt(std::string text);
  // Memory that outlives every use, such as a string literal or a table.
  static Slice unowned(ByteSpan bytes) noexcept {
    return Slice(nullptr, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }

  [[nodiscard]] const std::uint8_t* data() const noexcept { return data_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] ByteSpan span() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const noexcept { return as_text(span()); }
  // Bytes of memory that this slice, alone or with others, keeps from being freed.
  [[nodiscard]] std::uint32_t pins() const noexcept { return slab_ == nullptr ? 0 : slab_->capacity; }
  [[nodiscard]] bool shares_memory_with(const Slice& other) const noexcept {
    return slab_ != nullptr && slab_ == other.slab_;
  }
  // Of a Loan.
  [[nodiscard]] bool is_lent() const noexcept { return slab_ != nullptr && slab_->lent; }
  // Whoever copies bytes on their way out says so, for those who lend memory so that nobody need.
  void note_copy() const noexcept {
    if (slab_ != nullptr) slab_->copied = true;
  }

  // The part from `offset`, `length` bytes long; both are cut to what is there.
  [[nodiscard]] Slice sub(std::uint32_t offset, std::uint32_t length = UINT32_MAX) const& noexcept {
    offset = std::min(offset, size_);
    return Slice(slab_, data_ + offset, std::min(length, size_ - offset));
  }
  // Cut to what is there.
  void drop_front(std::uint32_t count) noexcept {
    count = std::min(count, size_);
    data_ += count;
    size_ -= count;
  }
  void drop_back(std::uint32_t count) noexcept { size_ -= std::min(count, size_); }

 private:
  friend class SlabRef;
  friend class HeldSlice;
  friend class Loan;
  Slice(detail::Slab* slab, const std::uint8_t* data, std::uint32_t size) noexcept
      : slab_(slab), data_(data), size_(size) {
    detail::retain(slab_);
  }

  detail::Slab* slab_ = nullptr;
  const std::uint8_t* data_ = nullptr;
  std::uint32_t size_ = 0;
};

// The writable hold on a slab while it is being filled. Slices cut from it must not overlap what is written later.
class SlabRef {
 public:
  SlabRef() noexcept = default;
  SlabRef(const SlabRef&) = delete;
  SlabRef(SlabRef&& other) noexcept : slab_(std::exchange(other.slab_, nullptr)) {}
  SlabRef& operator=(SlabRef other) noexcept {
    std::swap(slab_, other.slab_);
    return *this;
  }
  ~SlabRef() { detail::release(slab_); }

  explicit operator bool() const noexcept { return slab_ != nullptr; }
  [[nodiscard]] MutableByteSpan memory() const noexcept { return {slab_->data, slab_->capacity}; }
  // True when no Slice refers to the slab any more, so that it may be filled from the start again.
  [[nodiscard]] bool unshared() const noexcept { return slab_->references == 1; }
  [[nodiscard]] Slice slice(std::uint32_t offset, std::uint32_t length) const noexcept {
    return Slice(slab_, slab_->data + offset, length);
  }

 private:
  friend class SlabPool;
  explicit SlabRef(detail::Slab* slab) noexcept : slab_(slab) {}
  detail::Slab* slab_ = nullptr;
};

// Memory of an application's that slices are made of without copying. It must stay as it is until the last of them is
// gone.
class Loan {
 public:
  // `size`: how many bytes are lent in all. `over`: called when the last slice, and this, is gone; `copied`: somebody
  // had to copy of it.
  Loan(std::uint32_t size, std::function<void(bool copied)> over);
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  ~Loan() { detail::release(slab_); }

  // Before there is any slice: nothing is lent after all, and nobody told.
  void cancel() noexcept;
  [[nodiscard]] Slice slice(ByteSpan part) const noexcept {
    return Slice(slab_, part.data(), static_cast<std::uint32_t>(part.size()));
  }

 private:
  detail::Slab* slab_;
};

// Slabs of one size, recycled. Slices may outlive the pool: the last of them frees what is left of it.
class SlabPool {
 public:
  // `slab_bytes`: usable size of each slab. `keep`: how many unused slabs are kept for reuse; more are freed.
  explicit SlabPool(std::uint32_t slab_bytes, std::size_t keep = 64);
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;
  ~SlabPool();

  [[nodiscard]] SlabRef acquire();
  [[nodiscard]] std::uint32_t slab_bytes() const noexcept;
  // Slabs that are in use now.
  [[nodiscard]] std::size_t outstanding() const noexcept;

 private:
  detail::SlabPoolCore* core_;
};

}  // namespace ff
