// Keeps objects that are done with for the next one who needs such, with the memory that they have grown.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace ff {

template <typename T, std::size_t kKeep = 1024>
class ObjectCache {
 public:
  std::unique_ptr<T> take() {
    if (spare_.empty()) return std::make_unique<T>();
    std::unique_ptr<T> object = std::move(spare_.back());
    spare_.pop_back();
    return object;
  }
  // `object` is in the state of a new one.
  void give_back(std::unique_ptr<T> object) {
    if (object != nullptr && spare_.size() < kKeep) spare_.push_back(std::move(object));
  }

 private:
  std::vector<std::unique_ptr<T>> spare_;
};

}  // namespace ff
