// Calls that are about descriptors and not about what they stand for; poll() and epoll.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "posix/sockets.hpp"

namespace ff::posix {

// Epoll instances first: they hold on to what they watch.
Sockets::~Sockets() {
  for (const auto& [number, descriptor] : descriptors_)
    if (const auto epoll = std::dynamic_pointer_cast<Epoll>(descriptor.file)) (void)epoll->release();
}

long Sockets::add(std::shared_ptr<File> file, bool close_on_exec) {
  const int number = system_.host.take_number();
  if (number < 0) {
    (void)file->release();
    return number;
  }
  ++file->descriptors;
  descriptors_[number] = {std::move(file), close_on_exec};
  return number;
}

std::shared_ptr<File> Sockets::find(int descriptor) const {
  const auto found = descriptors_.find(descriptor);
  return found == descriptors_.end() ? nullptr : found->second.file;
}

long Sockets::close(int descriptor) {
  const auto found = descriptors_.find(descriptor);
  if (found == descriptors_.end()) return -EBADF;
  const std::shared_ptr<File> file = std::move(found->second.file);
  descriptors_.erase(found);
  system_.host.give_back_number(descriptor);
  const long result = --file->descriptors == 0 ? file->release() : 0;
  ++system_.changes;
  system_.host.work();
  return result;
}

long Sockets::dup(int descriptor) {
  auto file = find(descriptor);
  if (file == nullptr) return -EBADF;
  const int number = system_.host.take_number();
  if (number < 0) return number;
  ++file->descriptors;
  descriptors_[number] = {std::move(file), false};
  return number;
}

long Sockets::fcntl(int descriptor, int command, long argument) {
  const auto found = descriptors_.find(descriptor);
  if (found == descriptors_.end()) return -EBADF;
  File& file = *found->second.file;
  switch (command) {
    case F_GETFL:
      return O_RDWR | (file.nonblocking ? O_NONBLOCK : 0);
    case F_SETFL:
      file.nonblocking = (argument & O_NONBLOCK) != 0;
      return 0;
    case F_GETFD:
      return found->second.close_on_exec ? FD_CLOEXEC : 0;
    case F_SETFD:
      found->second.close_on_exec = (argument & FD_CLOEXEC) != 0;
      return 0;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
      if (argument < 0) return -EINVAL;
      const long number = dup(descriptor);
      if (number >= 0) descriptors_[static_cast<int>(number)].close_on_exec = command == F_DUPFD_CLOEXEC;
      return number;
    }
    default:
      return -EINVAL;
  }
}

long Sockets::ioctl(int descriptor, unsigned long request, void* argument) {
  if (const auto file = find(descriptor); file != nullptr && request == FIONBIO) {
    if (argument == nullptr) return -EFAULT;
    file->nonblocking = *static_cast<const int*>(argument) != 0;
    return 0;
  }
  const auto found = descriptors_.find(descriptor);
  if (found == descriptors_.end()) return -EBADF;
  if (request == FIOCLEX || request == FIONCLEX) {
    found->second.close_on_exec = request == FIOCLEX;
    return 0;
  }
  if (std::dynamic_pointer_cast<Socket>(found->second.file) == nullptr) return -ENOTTY;
  return with(descriptor, [&](Socket& socket) -> long {
    int value = 0;
    const long result = socket.ioctl(request, value);
    if (result != 0) return result;
    if (argument == nullptr) return -EFAULT;
    *static_cast<int*>(argument) = value;
    return 0;
  });
}

// ---- waiting for several -------------------------------------------------------------------------------------------

Instant Sockets::deadline_of(int timeout_ms) {
  if (timeout_ms == 0) return kAtOnce;
  return timeout_ms < 0 ? kNever : system_.now() + std::chrono::milliseconds(timeout_ms);
}

long Sockets::poll_once(std::span<pollfd> descriptors) const {
  long ready = 0;
  for (pollfd& entry : descriptors) {
    entry.revents = 0;
    if (entry.fd < 0) continue;
    if (const auto file = find(entry.fd)) {
      const auto wanted = static_cast<std::uint32_t>(static_cast<std::uint16_t>(entry.events)) | POLLERR | POLLHUP;
      entry.revents = static_cast<short>(file->poll() & wanted & 0xffff);
    } else {
      entry.revents = POLLNVAL;
    }
    ready += entry.revents != 0 ? 1 : 0;
  }
  return ready;
}

long Sockets::poll(pollfd* descriptors, nfds_t count, int timeout_ms) {
  if (count > 0 && descriptors == nullptr) return -EFAULT;
  const long result = system_.until(deadline_of(timeout_ms), [&] {
    const long ready = poll_once({descriptors, count});
    return ready > 0 ? ready : -EAGAIN;
  });
  return result == -EAGAIN ? 0 : result;
}

long Sockets::epoll_create1(int flags) {
  if ((flags & ~EPOLL_CLOEXEC) != 0) return -EINVAL;
  return add(std::make_shared<Epoll>(), (flags & EPOLL_CLOEXEC) != 0);
}

long Sockets::epoll_ctl(int epoll, int operation, int descriptor, const epoll_event* event) {
  if (operation != EPOLL_CTL_DEL && event == nullptr) return -EFAULT;
  const auto watcher = find(epoll);
  const auto watched = find(descriptor);
  if (watcher == nullptr || watched == nullptr) return -EBADF;
  const auto instance = std::dynamic_pointer_cast<Epoll>(watcher);
  if (instance == nullptr || watched == watcher) return -EINVAL;
  long result = -EINVAL;
  if (operation == EPOLL_CTL_ADD) result = instance->add(descriptor, watched, *event);
  if (operation == EPOLL_CTL_MOD) result = instance->modify(descriptor, watched, *event);
  if (operation == EPOLL_CTL_DEL) result = instance->remove(descriptor, watched);
  ++system_.changes;
  system_.host.work();  // others may wait for what is watched now
  return result;
}

long Sockets::epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
  if (count <= 0 || count > INT_MAX / static_cast<int>(sizeof *events)) return -EINVAL;
  const auto file = find(epoll);
  if (file == nullptr) return -EBADF;
  const auto instance = std::dynamic_pointer_cast<Epoll>(file);
  if (instance == nullptr) return -EINVAL;
  if (events == nullptr) return -EFAULT;
  const long result = system_.until(deadline_of(timeout_ms), [&] {
    const long ready = instance->take({events, static_cast<std::size_t>(count)});
    return ready > 0 ? ready : -EAGAIN;
  });
  return result == -EAGAIN ? 0 : result;
}

}  // namespace ff::posix
