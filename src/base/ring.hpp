// A double-ended queue in one block of memory that grows by doubling and never shrinks by itself: no allocation in the
// steady state, which std::deque cannot promise.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <memory>
#include <utility>

namespace ff {

template <typename T>
class Ring {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  T& operator[](std::size_t i) noexcept {
    assert(i < size_);
    return items_[(head_ + i) & (capacity_ - 1)];
  }
  const T& operator[](std::size_t i) const noexcept {
    assert(i < size_);
    return items_[(head_ + i) & (capacity_ - 1)];
  }
  T& front() noexcept { return (*this)[0]; }
  T& back() noexcept { return (*this)[size_ - 1]; }
  const T& front() const noexcept { return (*this)[0]; }
  const T& back() const noexcept { return (*this)[size_ - 1]; }

  T& push_back(T item) {
    if (size_ == capacity_) grow();
    T& place = items_[(head_ + size_) & (capacity_ - 1)];
    place = std::move(item);
    ++size_;
    return place;
  }
  void pop_front() noexcept {
    assert(size_ > 0);
    items_[head_] = T();
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
  }
  void pop_back() noexcept {
    assert(size_ > 0);
    --size_;
    items_[(head_ + size_) & (capacity_ - 1)] = T();
  }
  // Puts `item` before the one at `at`, moving whichever side is shorter.
  void insert(std::size_t at, T item) {
    assert(at <= size_);
    if (size_ == capacity_) grow();
    if (at < size_ / 2) {
      head_ = (head_ + capacity_ - 1) & (capacity_ - 1);
      ++size_;
      for (std::size_t i = 0; i < at; ++i) (*this)[i] = std::move((*this)[i + 1]);
    } else {
      ++size_;
      for (std::size_t i = size_ - 1; i > at; --i) (*this)[i] = std::move((*this)[i - 1]);
    }
    (*this)[at] = std::move(item);
  }
  // Takes out `count` items from the one at `at` on, moving whichever side is shorter.
  void erase(std::size_t at, std::size_t count) noexcept {
    assert(at + count <= size_);
    if (count == 0) return;
    if (at < size_ - at - count) {
      for (std::size_t i = at; i-- > 0;) (*this)[i + count] = std::move((*this)[i]);
      for (std::size_t i = 0; i < count; ++i) pop_front();
    } else {
      for (std::size_t i = at; i + count < size_; ++i) (*this)[i] = std::move((*this)[i + count]);
      for (std::size_t i = 0; i < count; ++i) pop_back();
    }
  }
  void clear() noexcept {
    while (!empty()) pop_front();
  }

 private:
  void grow() {
    const std::size_t bigger = std::max<std::size_t>(4, capacity_ * 2);
    auto moved = std::make_unique<T[]>(bigger);
    for (std::size_t i = 0; i < size_; ++i) moved[i] = std::move((*this)[i]);
    items_ = std::move(moved);
    capacity_ = bigger;
    head_ = 0;
  }

  std::unique_ptr<T[]> items_;
  std::size_t capacity_ = 0;  // a power of two, or 0
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace ff
