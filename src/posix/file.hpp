// What a descriptor stands for, and who watches it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ff::posix {

// Somebody who is told when a file may have become ready: an epoll's entry for it.
class Watch {
 public:
  // `events`: EPOLL bits that may hold now; 0: any.
  virtual void happened(std::uint32_t events) = 0;
  // The file is closed for good.
  virtual void file_gone() = 0;

 protected:
  ~Watch() = default;
};

class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  // Which EPOLL bits hold now.
  [[nodiscard]] virtual std::uint32_t poll() = 0;

  // Its last descriptor was closed.
  long release() {
    for (Watch* watch : std::vector(watches_)) watch->file_gone();
    watches_.clear();
    return close();
  }

  void add_watch(Watch& watch) { watches_.push_back(&watch); }
  void remove_watch(Watch& watch) noexcept { std::erase(watches_, &watch); }

  bool nonblocking = false;  // O_NONBLOCK
  unsigned descriptors = 0;  // how many stand for it

 protected:
  virtual long close() { return 0; }
  void tell_watches(std::uint32_t events) {
    for (std::size_t i = 0; i < watches_.size(); ++i) watches_[i]->happened(events);
  }

 private:
  std::vector<Watch*> watches_;
};

}  // namespace ff::posix
