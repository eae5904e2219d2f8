#include "posix/epoll.hpp"

#include <algorithm>
#include <cerrno>

namespace ff::posix {
namespace {

constexpr std::uint32_t kEdge = EPOLLET;
constexpr std::uint32_t kOnce = EPOLLONESHOT;
constexpr std::uint32_t kExclusive = EPOLLEXCLUSIVE;
constexpr std::uint32_t kHow = kEdge | kOnce | kExclusive | EPOLLWAKEUP;  // EP_PRIVATE_BITS
constexpr std::uint32_t kExclusiveMay = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | kEdge | kExclusive;
constexpr int kMaxDepth = 4;  // EP_MAX_NESTS

}  // namespace

// Linux's ep_poll_callback().
void Epoll::Item::happened(std::uint32_t events) {
  if ((event.events & ~kHow) == 0) return;  // EPOLLONESHOT has had its turn
  if (events != 0 && (events & event.events) == 0) return;
  owner.queue(*this);
}

void Epoll::queue(Item& item) {
  if (!item.queued) ready_.push_back(item.key);
  item.queued = true;
  tell_watches(EPOLLIN | EPOLLRDNORM);
}

bool Epoll::leads_to(const File& other, int depth) const {
  if (depth > kMaxDepth) return true;
  return std::ranges::any_of(items_, [&](const auto& entry) {
    if (entry.first.first == &other) return true;
    const auto* nested = dynamic_cast<const Epoll*>(entry.first.first);
    return nested != nullptr && nested->leads_to(other, depth + 1);
  });
}

long Epoll::add(int descriptor, const std::shared_ptr<File>& file, const epoll_event& event) {
  const auto* nested = dynamic_cast<const Epoll*>(file.get());
  if ((event.events & kExclusive) != 0 && (nested != nullptr || (event.events & ~kExclusiveMay) != 0)) return -EINVAL;
  if (nested != nullptr && nested->leads_to(*this)) return -ELOOP;
  const Key key{file.get(), descriptor};
  if (items_.contains(key)) return -EEXIST;
  auto& item = *(items_[key] = std::make_unique<Item>(*this, key, event));
  item.event.events |= EPOLLERR | EPOLLHUP;
  file->add_watch(item);
  if (item.ready_events() != 0) queue(item);
  return 0;
}

long Epoll::modify(int descriptor, const std::shared_ptr<File>& file, const epoll_event& event) {
  const auto found = items_.find({file.get(), descriptor});
  if ((event.events & kExclusive) != 0) return -EINVAL;
  if (found == items_.end()) return -ENOENT;
  Item& item = *found->second;
  if ((item.event.events & kExclusive) != 0) return -EINVAL;
  item.event = event;
  item.event.events |= EPOLLERR | EPOLLHUP;
  if (item.ready_events() != 0) queue(item);
  return 0;
}

long Epoll::remove(int descriptor, const std::shared_ptr<File>& file) {
  const auto found = items_.find({file.get(), descriptor});
  if (found == items_.end()) return -ENOENT;
  file->remove_watch(*found->second);
  items_.erase(found);
  return 0;
}

// Linux's ep_send_events(): what is level-triggered and ready stays in the queue, at its end.
long Epoll::take(std::span<epoll_event> events) {
  std::size_t count = 0;
  for (std::size_t left = ready_.size(); left > 0 && count < events.size(); --left) {
    const Key key = ready_.front();
    ready_.pop_front();
    const auto found = items_.find(key);
    if (found == items_.end() || !found->second->queued) continue;
    Item& item = *found->second;
    item.queued = false;
    const std::uint32_t ready = item.ready_events();
    if (ready == 0) continue;
    events[count].events = ready;
    events[count].data = item.event.data;
    ++count;
    if ((item.event.events & kOnce) != 0) {
      item.event.events &= kHow;
    } else if ((item.event.events & kEdge) == 0) {
      ready_.push_back(key);
      item.queued = true;
    }
  }
  return static_cast<long>(count);
}

std::uint32_t Epoll::poll() {
  const bool any = std::ranges::any_of(ready_, [&](const Key& key) {
    const auto found = items_.find(key);
    return found != items_.end() && found->second->queued && found->second->ready_events() != 0;
  });
  return any ? std::uint32_t{EPOLLIN | EPOLLRDNORM} : 0;
}

long Epoll::close() {
  for (const auto& [key, item] : items_) key.first->remove_watch(*item);
  items_.clear();
  ready_.clear();
  return 0;
}

}  // namespace ff::posix
