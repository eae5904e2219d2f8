// firstflight/posix.h: the one table of sockets of a process, on real time.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/tun.hpp"
#include "firstflight/posix.h"
#include "posix/file_transfer.hpp"
#include "posix/real_time_host.hpp"

namespace {

using ff::posix::finish;
using ff::posix::RealTimeHost;
using ff::posix::Sockets;

ff::StackConfig config() {
  ff::StackConfig config;
  // At most 256 bytes are given whole or not at all.
  if (::getrandom(config.seed.bytes.data(), config.seed.bytes.size(), 0) < 0) std::abort();
  return config;
}

// Never ended: whatever runs at exit may still make calls.
RealTimeHost& host() {
  static auto* const one = new RealTimeHost(config());
  return *one;
}

// A call on the table, whose result is its own or -errno.
long call(const std::function<long(Sockets&)>& f) {
  long result = 0;
  {
    const std::lock_guard lock(host().mutex());
    result = f(host().sockets());
  }
  if (RealTimeHost::take_broken_pipe()) std::raise(SIGPIPE);
  return result;
}

template <typename T, typename Call>
T locked(Call&& f) {
  return finish<T>(call(std::forward<Call>(f)));
}

bool is_ours(int fd) {
  const std::lock_guard lock(host().mutex());
  return host().sockets().has(fd);
}

std::vector<std::string_view> split(const char* list) {
  std::vector<std::string_view> words;
  for (std::string_view rest = list == nullptr ? "" : list; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    words.push_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return words;
}

}  // namespace

extern "C" {

int ff_socket(int domain, int type, int protocol) {
  return locked<int>([&](Sockets& s) { return s.socket(domain, type, protocol); });
}
int ff_bind(int fd, const sockaddr* address, socklen_t length) {
  if (!is_ours(fd)) return ::bind(fd, address, length);
  return locked<int>([&](Sockets& s) { return s.bind(fd, address, length); });
}
int ff_listen(int fd, int backlog) {
  if (!is_ours(fd)) return ::listen(fd, backlog);
  return locked<int>([&](Sockets& s) { return s.listen(fd, backlog); });
}
int ff_accept(int fd, sockaddr* address, socklen_t* length) { return ff_accept4(fd, address, length, 0); }
int ff_accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (!is_ours(fd)) return ::accept4(fd, address, length, flags);
  return locked<int>([&](Sockets& s) { return s.accept4(fd, address, length, flags); });
}
int ff_connect(int fd, const sockaddr* address, socklen_t length) {
  if (!is_ours(fd)) return ::connect(fd, address, length);
  return locked<int>([&](Sockets& s) { return s.connect(fd, address, length); });
}
int ff_shutdown(int fd, int how) {
  if (!is_ours(fd)) return ::shutdown(fd, how);
  return locked<int>([&](Sockets& s) { return s.shutdown(fd, how); });
}
int ff_close(int fd) {
  if (!is_ours(fd)) return ::close(fd);
  return locked<int>([&](Sockets& s) { return s.close(fd); });
}
int ff_dup(int fd) {
  if (!is_ours(fd)) return ::dup(fd);
  return locked<int>([&](Sockets& s) { return s.dup(fd); });
}

int ff_getsockname(int fd, sockaddr* address, socklen_t* length) {
  if (!is_ours(fd)) return ::getsockname(fd, address, length);
  return locked<int>([&](Sockets& s) { return s.getsockname(fd, address, length); });
}
int ff_getpeername(int fd, sockaddr* address, socklen_t* length) {
  if (!is_ours(fd)) return ::getpeername(fd, address, length);
  return locked<int>([&](Sockets& s) { return s.getpeername(fd, address, length); });
}
int ff_setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  if (!is_ours(fd)) return ::setsockopt(fd, level, name, value, length);
  return locked<int>([&](Sockets& s) { return s.setsockopt(fd, level, name, value, length); });
}
int ff_getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  if (!is_ours(fd)) return ::getsockopt(fd, level, name, value, length);
  return locked<int>([&](Sockets& s) { return s.getsockopt(fd, level, name, value, length); });
}
int ff_fcntl(int fd, int command, ...) {
  std::va_list rest;
  va_start(rest, command);
  const long argument = va_arg(rest, long);  // whatever it is, it is passed like a long
  va_end(rest);
  if (!is_ours(fd)) return ::fcntl(fd, command, argument);
  return locked<int>([&](Sockets& s) { return s.fcntl(fd, command, static_cast<int>(argument)); });
}
int ff_ioctl(int fd, unsigned long request, ...) {
  std::va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (!is_ours(fd)) return ::ioctl(fd, request, argument);
  return locked<int>([&](Sockets& s) { return s.ioctl(fd, request, argument); });
}

ssize_t ff_read(int fd, void* data, size_t size) {
  if (!is_ours(fd)) return ::read(fd, data, size);
  const iovec piece{data, size};
  return ff_readv(fd, &piece, 1);
}
ssize_t ff_readv(int fd, const iovec* pieces, int count) {
  if (!is_ours(fd)) return ::readv(fd, pieces, count);
  return locked<ssize_t>([&](Sockets& s) { return s.readv(fd, pieces, count); });
}
ssize_t ff_recv(int fd, void* data, size_t size, int flags) {
  return ff_recvfrom(fd, data, size, flags, nullptr, nullptr);
}
ssize_t ff_recvfrom(int fd, void* data, size_t size, int flags, sockaddr* address, socklen_t* length) {
  if (!is_ours(fd)) return ::recvfrom(fd, data, size, flags, address, length);
  return locked<ssize_t>([&](Sockets& s) { return s.recvfrom(fd, data, size, flags, address, length); });
}
ssize_t ff_recvmsg(int fd, msghdr* message, int flags) {
  if (!is_ours(fd)) return ::recvmsg(fd, message, flags);
  return locked<ssize_t>([&](Sockets& s) { return s.recvmsg(fd, message, flags); });
}
ssize_t ff_write(int fd, const void* data, size_t size) {
  if (!is_ours(fd)) return ::write(fd, data, size);
  const iovec piece{const_cast<void*>(data), size};
  return ff_writev(fd, &piece, 1);
}
ssize_t ff_writev(int fd, const iovec* pieces, int count) {
  if (!is_ours(fd)) return ::writev(fd, pieces, count);
  return locked<ssize_t>([&](Sockets& s) { return s.writev(fd, pieces, count); });
}
ssize_t ff_send(int fd, const void* data, size_t size, int flags) {
  return ff_sendto(fd, data, size, flags, nullptr, 0);
}
ssize_t ff_sendto(int fd, const void* data, size_t size, int flags, const sockaddr* address, socklen_t length) {
  if (!is_ours(fd)) return ::sendto(fd, data, size, flags, address, length);
  return locked<ssize_t>([&](Sockets& s) { return s.sendto(fd, data, size, flags, address, length); });
}
ssize_t ff_sendmsg(int fd, const msghdr* message, int flags) {
  if (!is_ours(fd)) return ::sendmsg(fd, message, flags);
  return locked<ssize_t>([&](Sockets& s) { return s.sendmsg(fd, message, flags); });
}

ssize_t ff_sendfile(int fd, int file, off_t* offset, size_t count) {
  if (!is_ours(fd)) return ::sendfile(fd, file, offset, count);
  return finish<ssize_t>(ff::posix::send_file(call, fd, file, offset, count));
}
ssize_t ff_splice(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t count, unsigned flags) {
  if (!is_ours(in) && !is_ours(out)) return ::splice(in, in_offset, out, out_offset, count, flags);
  return finish<ssize_t>(ff::posix::splice(call, in, in_offset, out, out_offset, count, flags));
}

}  // extern "C"

namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point deadline_in(int timeout_ms) {
  if (timeout_ms < 0) return Clock::time_point::max();
  return Clock::now() + std::chrono::milliseconds(timeout_ms);
}

constexpr time_t kForEver = time_t{1} << 32;  // seconds

// Nothing: it is no time.
std::optional<Clock::time_point> deadline_in(const timespec* timeout) {
  if (timeout == nullptr) return Clock::time_point::max();
  if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1'000'000'000) return std::nullopt;
  if (timeout->tv_sec >= kForEver) return Clock::time_point::max();
  return Clock::now() + std::chrono::seconds(timeout->tv_sec) + std::chrono::nanoseconds(timeout->tv_nsec);
}

int left_until(Clock::time_point deadline) {
  if (deadline == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

// The signals that ppoll() and pselect() let come while they wait, and no longer. Unlike the kernel's, a signal that
// comes does not end a wait of ours.
class SignalMask {
 public:
  explicit SignalMask(const sigset_t* mask) : changed_(mask != nullptr) {
    if (changed_) ::pthread_sigmask(SIG_SETMASK, mask, &before_);
  }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;
  ~SignalMask() {
    if (changed_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  bool changed_;
  sigset_t before_{};
};

// Our own among these as they are now, and the kernel's when it has something or our bell rings.
int poll_mixed(std::vector<pollfd>& own, std::vector<pollfd>& others, Clock::time_point deadline) {
  std::optional<RealTimeHost::Bell> bell;
  {
    const std::lock_guard lock(host().mutex());
    bell.emplace(host());
  }
  others.push_back({bell->descriptor(), POLLIN, 0});
  int found = 0;
  while (found == 0) {
    const int ready = locked<int>([&](Sockets& s) { return s.poll(own.data(), own.size(), 0); });
    const int wait = left_until(deadline);
    if (::poll(others.data(), others.size(), ready > 0 ? 0 : wait) < 0) {
      found = -1;
      break;
    }
    if (std::uint64_t rings = 0; others.back().revents != 0)
      if (::read(bell->descriptor(), &rings, sizeof rings) < 0) continue;
    found = ready + static_cast<int>(std::count_if(others.begin(), others.end() - 1,
                                                   [](const pollfd& entry) { return entry.revents != 0; }));
    if (wait == 0) break;
  }
  const std::lock_guard lock(host().mutex());
  bell.reset();
  return found;
}

int poll_until(pollfd* descriptors, nfds_t count, Clock::time_point deadline) {
  std::vector<pollfd> own, others;
  for (nfds_t i = 0; i < count; ++i) {
    const bool ours = is_ours(descriptors[i].fd);
    own.push_back({ours ? descriptors[i].fd : -1, descriptors[i].events, 0});
    others.push_back({ours ? -1 : descriptors[i].fd, descriptors[i].events, 0});
  }
  const auto none = [](const std::vector<pollfd>& list) {
    return std::ranges::all_of(list, [](const pollfd& entry) { return entry.fd < 0; });
  };
  if (none(others)) return locked<int>([&](Sockets& s) { return s.poll(descriptors, count, left_until(deadline)); });
  if (none(own)) return ::poll(descriptors, count, left_until(deadline));
  const int found = poll_mixed(own, others, deadline);
  for (nfds_t i = 0; i < count; ++i) descriptors[i].revents = static_cast<short>(own[i].revents | others[i].revents);
  return found;
}

// What a set of select() asks for, and when it has that (Linux's POLLIN_SET, POLLOUT_SET and POLLEX_SET).
struct SelectSet {
  fd_set* set;
  short asked, ready;
};

int select_until(int count, fd_set* read, fd_set* write, fd_set* except, Clock::time_point deadline) {
  if (count < 0) return finish<int>(-EINVAL);
  const std::array<SelectSet, 3> sets{{
      {read, POLLIN | POLLRDNORM | POLLRDBAND, POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR},
      {write, POLLOUT | POLLWRNORM | POLLWRBAND, POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR},
      {except, POLLPRI, POLLPRI},
  }};
  std::vector<pollfd> entries;
  for (int fd = 0; fd < std::min(count, FD_SETSIZE); ++fd) {
    short events = 0;
    for (const SelectSet& one : sets)
      if (one.set != nullptr && FD_ISSET(fd, one.set)) events = static_cast<short>(events | one.asked);
    if (events == 0) continue;
    if (!is_ours(fd) && ::fcntl(fd, F_GETFD) < 0) return finish<int>(-EBADF);
    entries.push_back({fd, events, 0});
  }
  int found = 0;
  do {
    const int ready = poll_until(entries.data(), entries.size(), deadline);
    if (ready < 0) return -1;
    found = 0;
    for (pollfd& entry : entries) {
      const int before = found;
      for (const SelectSet& one : sets)
        if ((entry.events & one.asked) == one.asked && (entry.revents & one.ready) != 0) ++found;
      // What is an error to poll() alone, the set for exceptions never has: it is waited for no more.
      if (entry.revents != 0 && found == before) entry.fd = -1;
    }
    if (ready == 0) break;
  } while (found == 0 && left_until(deadline) != 0);
  for (const SelectSet& one : sets)
    if (one.set != nullptr) FD_ZERO(one.set);
  for (const pollfd& entry : entries)
    for (const SelectSet& one : sets)
      if ((entry.events & one.asked) == one.asked && (entry.revents & one.ready) != 0) FD_SET(entry.fd, one.set);
  return found;
}

}  // namespace

extern "C" {

int ff_poll(pollfd* descriptors, nfds_t count, int timeout_ms) {
  return poll_until(descriptors, count, deadline_in(timeout_ms));
}
int ff_ppoll(pollfd* descriptors, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  const auto deadline = deadline_in(timeout);
  if (!deadline) return finish<int>(-EINVAL);
  const SignalMask while_waiting(mask);
  return poll_until(descriptors, count, *deadline);
}
int ff_select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* timeout) {
  if (timeout == nullptr) return select_until(count, read, write, except, Clock::time_point::max());
  if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return finish<int>(-EINVAL);
  const timespec wait{.tv_sec = std::min(timeout->tv_sec, kForEver) + timeout->tv_usec / 1'000'000,
                      .tv_nsec = timeout->tv_usec % 1'000'000 * 1000};
  const auto deadline = *deadline_in(&wait);
  const int result = select_until(count, read, write, except, deadline);
  // As Linux: what is left of it.
  const auto left = std::max(std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()),
                             std::chrono::microseconds(0));
  *timeout = {.tv_sec = left.count() / 1'000'000, .tv_usec = left.count() % 1'000'000};
  return result;
}
int ff_pselect(int count, fd_set* read, fd_set* write, fd_set* except, const timespec* timeout, const sigset_t* mask) {
  const auto deadline = deadline_in(timeout);
  if (!deadline) return finish<int>(-EINVAL);
  const SignalMask while_waiting(mask);
  return select_until(count, read, write, except, *deadline);
}
int ff_epoll_create1(int flags) {
  return locked<int>([&](Sockets& s) { return s.epoll_create1(flags); });
}
int ff_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  if (!is_ours(epoll)) return ::epoll_ctl(epoll, operation, fd, event);
  return locked<int>([&](Sockets& s) { return s.epoll_ctl(epoll, operation, fd, event); });
}
int ff_epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
  if (!is_ours(epoll)) return ::epoll_wait(epoll, events, count, timeout_ms);
  return locked<int>([&](Sockets& s) { return s.epoll_wait(epoll, events, count, timeout_ms); });
}

int ff_sysctl(const char* name, const char* value) {
  const std::lock_guard lock(host().mutex());
  return finish<int>(host().stack().set_setting(name, value) ? 0 : -EINVAL);
}

int ff_add_tun(const char* device, const char* addresses, const char* gateways) {
  ff::InterfaceConfig config;
  for (const std::string_view word : split(addresses)) {
    const auto address = ff::Cidr::parse(word);
    if (!address) return finish<int>(-EINVAL);
    config.addresses.push_back(*address);
  }
  for (const std::string_view word : split(gateways)) {
    const auto gateway = ff::IpAddress::parse(word);
    if (!gateway) return finish<int>(-EINVAL);
    config.gateways.push_back(*gateway);
  }
  auto tun = ff::TunDevice::open({.name = device});
  if (!tun) return finish<int>(-ENODEV);
  config.name = (*tun)->name();
  config.mtu = (*tun)->mtu();
  const std::lock_guard lock(host().mutex());
  const auto added = host().add_device(std::move(config), *std::move(tun));
  return finish<int>(added ? 0 : -static_cast<long>(ff::to_errno(added.error())));
}

}  // extern "C"
