// Objects of one type at addresses that stay, named by index and generation, so that a stale handle is found out.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace ff {

template <typename T>
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (std::uint32_t i = 0; i < used_; ++i)
      if (slot(i).alive()) slot(i).object()->~T();
  }

  // Makes an object from `arguments`; its constructor is first given its index.
  template <typename... Arguments>
  T& create(Arguments&&... arguments) {
    std::uint32_t index = free_;
    if (index != kNone) {
      free_ = slot(index).next_free;
    } else {
      index = used_;
      if ((index & kChunkMask) == 0) chunks_.push_back(std::make_unique<Chunk>());
      ++used_;
    }
    Slot& s = slot(index);
    T* object = ::new (s.storage) T(index, std::forward<Arguments>(arguments)...);
    ++s.generation;  // odd: alive
    ++size_;
    return *object;
  }

  void destroy(std::uint32_t index) noexcept {
    Slot& s = slot(index);
    assert(s.alive());
    s.object()->~T();
    ++s.generation;                               // even: free
    if (s.generation == 0) return void(--size_);  // 2^32 uses: the slot retires rather than make an old handle valid
    s.next_free = free_;
    free_ = index;
    --size_;
  }

  T& operator[](std::uint32_t index) noexcept {
    assert(slot(index).alive());
    return *slot(index).object();
  }
  const T& operator[](std::uint32_t index) const noexcept {
    assert(slot(index).alive());
    return *slot(index).object();
  }
  // Null when the handle is stale or was never given out.
  T* find(std::uint32_t index, std::uint32_t generation) noexcept {
    if (index >= used_ || (generation & 1) == 0 || slot(index).generation != generation) return nullptr;
    return slot(index).object();
  }
  [[nodiscard]] const T* find(std::uint32_t index, std::uint32_t generation) const noexcept {
    if (index >= used_ || (generation & 1) == 0 || slot(index).generation != generation) return nullptr;
    return slot(index).object();
  }
  [[nodiscard]] std::uint32_t generation(std::uint32_t index) const noexcept { return slot(index).generation; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // For a walk that stops and goes on later: the objects at 0 to slots() - 1, null where there is none.
  [[nodiscard]] std::uint32_t slots() const noexcept { return used_; }
  [[nodiscard]] const T* at(std::uint32_t index) const noexcept {
    return slot(index).alive() ? slot(index).object() : nullptr;
  }
  [[nodiscard]] T* at(std::uint32_t index) noexcept { return slot(index).alive() ? slot(index).object() : nullptr; }

  template <typename F>
  void for_each(F&& visit) {
    for (std::uint32_t i = 0; i < used_; ++i)
      if (slot(i).alive()) visit(*slot(i).object());
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kChunkShift = 8;
  static constexpr std::uint32_t kChunkMask = (1u << kChunkShift) - 1;

  struct Slot {
    alignas(T) unsigned char storage[sizeof(T)];
    std::uint32_t generation = 0;
    std::uint32_t next_free = kNone;
    [[nodiscard]] bool alive() const noexcept { return (generation & 1) != 0; }
    T* object() noexcept { return std::launder(reinterpret_cast<T*>(storage)); }
    const T* object() const noexcept { return std::launder(reinterpret_cast<const T*>(storage)); }
  };
  struct Chunk {
    Slot slots[1u << kChunkShift];
  };

  Slot& slot(std::uint32_t index) noexcept { return chunks_[index >> kChunkShift]->slots[index & kChunkMask]; }
  const Slot& slot(std::uint32_t index) const noexcept {
    return chunks_[index >> kChunkShift]->slots[index & kChunkMask];
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::uint32_t used_ = 0;
  std::uint32_t free_ = kNone;
  std::size_t size_ = 0;
};

}  // namespace ff
