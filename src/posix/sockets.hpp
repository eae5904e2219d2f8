// The system calls of BSD sockets over one stack, with Linux's meaning down to the errno: a table of descriptors. Every
// call returns what Linux's returns, or -errno.
//
// Here is no clock and no thread. What waits, waits in Host::sleep_until(); the Host calls handle() with what happens.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <map>
#include <memory>
#include <optional>
#include <span>

#include "posix/epoll.hpp"
#include "posix/socket.hpp"
#include "posix/system.hpp"

namespace ff::posix {

class Sockets {
 public:
  Sockets(Stack& stack, Host& host) : system_{.stack = stack, .host = host} {}
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  ~Sockets();

  // An event of the stack.
  void handle(const Event& event);

  // Whether a number is one of these descriptors.
  [[nodiscard]] bool has(int descriptor) const { return descriptors_.contains(descriptor); }

  // Grows whenever a call that waits should look again.
  [[nodiscard]] std::uint64_t changes() const noexcept { return system_.changes; }

  // ---- sockets.cpp ----
  long socket(int domain, int type, int protocol);
  long bind(int descriptor, const sockaddr* address, socklen_t length);
  long listen(int descriptor, int backlog);
  long accept4(int descriptor, sockaddr* address, socklen_t* length, int flags);
  long connect(int descriptor, const sockaddr* address, socklen_t length);
  long shutdown(int descriptor, int how);
  long getsockname(int descriptor, sockaddr* address, socklen_t* length);
  long getpeername(int descriptor, sockaddr* address, socklen_t* length);
  long setsockopt(int descriptor, int level, int name, const void* value, socklen_t length);
  long getsockopt(int descriptor, int level, int name, void* value, socklen_t* length);
  long sendmsg(int descriptor, const msghdr* message, int flags);
  long recvmsg(int descriptor, msghdr* message, int flags);
  long sendto(int descriptor, const void* data, std::size_t size, int flags, const sockaddr* address, socklen_t length);
  long recvfrom(int descriptor, void* data, std::size_t size, int flags, sockaddr* address, socklen_t* length);
  long readv(int descriptor, const iovec* pieces, int count);
  long writev(int descriptor, const iovec* pieces, int count);

  // ---- descriptors.cpp ----
  long close(int descriptor);
  // F_DUPFD without a least number.
  long dup(int descriptor);
  long fcntl(int descriptor, int command, long argument);
  long ioctl(int descriptor, unsigned long request, void* argument);
  long poll(pollfd* descriptors, nfds_t count, int timeout_ms);
  long epoll_create1(int flags);
  long epoll_ctl(int epoll, int operation, int descriptor, const epoll_event* event);
  long epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms);

 private:
  struct Descriptor {
    std::shared_ptr<File> file;
    bool close_on_exec = false;
  };
  // Runs `call(socket)` and lets the stack work; -EBADF, -ENOTSOCK.
  template <typename Call>
  long with(int descriptor, Call&& call) {
    const auto found = descriptors_.find(descriptor);
    if (found == descriptors_.end()) return -EBADF;
    const auto socket = std::dynamic_pointer_cast<Socket>(found->second.file);
    if (socket == nullptr) return -ENOTSOCK;
    const long result = call(*socket);
    ++system_.changes;
    system_.host.work();
    return result;
  }
  long add(std::shared_ptr<File> file, bool close_on_exec);
  [[nodiscard]] std::shared_ptr<File> find(int descriptor) const;
  [[nodiscard]] long check_file_io(int descriptor, int count) const;
  [[nodiscard]] Instant deadline_of(int timeout_ms);
  long poll_once(std::span<pollfd> descriptors) const;

  System system_;
  std::map<int, Descriptor> descriptors_;
};

}  // namespace ff::posix
