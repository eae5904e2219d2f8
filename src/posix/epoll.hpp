// An epoll instance: level-triggered, edge-triggered, one-shot; after Linux's fs/eventpoll.c.
#pragma once

#include <sys/epoll.h>

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "posix/file.hpp"

namespace ff::posix {

class Epoll final : public File {
 public:
  ~Epoll() override { close(); }

  long add(int descriptor, const std::shared_ptr<File>& file, const epoll_event& event);
  long modify(int descriptor, const std::shared_ptr<File>& file, const epoll_event& event);
  long remove(int descriptor, const std::shared_ptr<File>& file);
  // Those that are ready now; says how many.
  long take(std::span<epoll_event> events);
  [[nodiscard]] std::uint32_t poll() override;
  // Whether `other` is watched, by this one or by one that it watches.
  [[nodiscard]] bool leads_to(const File& other, int depth = 0) const;

 private:
  using Key = std::pair<File*, int>;
  struct Item final : Watch {
    Item(Epoll& epoll, Key its_key, const epoll_event& wanted) : owner(epoll), key(its_key), event(wanted) {}
    ~Item() = default;
    void happened(std::uint32_t events) override;
    void file_gone() override {
      const Key gone = key;
      owner.items_.erase(gone);  // and with it this one
    }
    [[nodiscard]] std::uint32_t ready_events() const { return key.first->poll() & event.events; }

    Epoll& owner;
    const Key key;
    epoll_event event;
    bool queued = false;  // in ready_
  };

  void queue(Item& item);
  void forget(Item& item) noexcept;
  long close() override;

  std::map<Key, std::unique_ptr<Item>> items_;
  std::deque<Key> ready_;  // those that may be ready, in the order in which they became so
};

}  // namespace ff::posix
