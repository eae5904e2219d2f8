#include "posix/file_transfer.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

namespace ff::posix {
namespace {

constexpr std::size_t kAtATime = 65536;
constexpr std::size_t kPage = 4096;  // what a pipe has room for when poll() says that it has any

long check_pipe(int pipe) noexcept {
  struct stat status{};
  if (::fstat(pipe, &status) != 0) return -errno;
  return S_ISFIFO(status.st_mode) ? 0 : -EINVAL;
}

bool may_wait(int pipe, unsigned flags) noexcept {
  return (flags & SPLICE_F_NONBLOCK) == 0 && (::fcntl(pipe, F_GETFL) & O_NONBLOCK) == 0;
}

// Until the pipe has what is asked of it; POLLERR: its other end is gone.
short await(int pipe, short events, bool wait) noexcept {
  pollfd entry{pipe, events, 0};
  return ::poll(&entry, 1, wait ? -1 : 0) < 0 ? short{0} : entry.revents;
}

long receive(const WithSockets& with, int socket, void* data, std::size_t size, int flags) {
  return with([&](Sockets& s) { return s.recvfrom(socket, data, size, flags, nullptr, nullptr); });
}

long send(const WithSockets& with, int socket, const void* data, std::size_t size, int flags) {
  return with([&](Sockets& s) { return s.sendto(socket, data, size, flags, nullptr, 0); });
}

// As Linux's tcp_splice_read(), which comes to an end there.
bool at_urgent_mark(const WithSockets& with, int socket) {
  int at_mark = 0;
  return with([&](Sockets& s) { return s.ioctl(socket, SIOCATMARK, &at_mark); }) == 0 && at_mark != 0;
}

// How much send() takes for certain: a socket that can be written to has room for a third of its buffer.
std::size_t room_of(const WithSockets& with, int socket) {
  int size = 0;
  socklen_t length = sizeof size;
  pollfd entry{socket, POLLOUT, 0};
  const long ready = with([&](Sockets& s) {
    (void)s.getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, &length);
    const bool waits = (s.fcntl(socket, F_GETFL, 0) & O_NONBLOCK) == 0;
    return s.poll(&entry, 1, waits ? -1 : 0);
  });
  return ready > 0 ? static_cast<std::size_t>(size) / 3 : 0;
}

long splice_to_pipe(const WithSockets& with, int socket, int pipe, std::size_t count, unsigned flags);
long splice_from_pipe(const WithSockets& with, int pipe, int socket, std::size_t count, unsigned flags);

}  // namespace

long splice(const WithSockets& with, int in, loff_t* in_offset, int out, loff_t* out_offset, std::size_t count,
            unsigned flags) {
  bool from_socket = false, to_socket = false;
  (void)with([&](Sockets& s) {
    from_socket = s.has(in);
    to_socket = s.has(out);
    return 0L;
  });
  if (from_socket == to_socket) return -EINVAL;
  if (const long wrong = check_pipe(from_socket ? out : in); wrong != 0) return wrong;
  if ((from_socket ? out_offset : in_offset) != nullptr) return -ESPIPE;
  if (in_offset != nullptr || out_offset != nullptr) return -EINVAL;  // neither has a socket any
  if (from_socket) return splice_to_pipe(with, in, out, count, flags);
  return splice_from_pipe(with, in, out, count, flags);
}

long send_file(const WithSockets& with, int socket, int file, off_t* offset, std::size_t count) {
  std::vector<char> block(std::min(count, kAtATime));
  off_t position = offset != nullptr ? *offset : ::lseek(file, 0, SEEK_CUR);
  if (position < 0) return offset != nullptr ? -EINVAL : -errno;
  std::size_t total = 0;
  while (total < count) {
    const ssize_t got = ::pread(file, block.data(), std::min(block.size(), count - total), position);
    if (got < 0 && total == 0) return -errno;
    if (got <= 0) break;
    // Less than was asked for: the file ends here, whatever `count` says.
    const bool whole = static_cast<std::size_t>(got) == std::min(block.size(), count - total);
    const bool more = whole && total + static_cast<std::size_t>(got) < count;
    const long sent = send(with, socket, block.data(), static_cast<std::size_t>(got), more ? MSG_MORE : 0);
    if (sent < 0 && total == 0) return sent;
    if (sent <= 0) break;
    total += static_cast<std::size_t>(sent);
    position += sent;
    if (sent < got) break;
  }
  if (offset != nullptr) {
    *offset = position;
  } else {
    (void)::lseek(file, position, SEEK_SET);
  }
  return static_cast<long>(total);
}

namespace {

// Peeked at first: what the pipe does not take stays in the socket.
long splice_to_pipe(const WithSockets& with, int socket, int pipe, std::size_t count, unsigned flags) {
  std::array<char, kPage> page;
  std::size_t total = 0;
  while (total < count) {
    // Only the first wait of each kind is worth it: what there is goes on at once.
    const short ready = await(pipe, POLLOUT, total == 0 && may_wait(pipe, flags));
    if ((ready & POLLERR) != 0) return total > 0 ? static_cast<long>(total) : -EPIPE;
    if ((ready & POLLOUT) == 0) return total > 0 ? static_cast<long>(total) : -EAGAIN;
    const int no_wait = total > 0 ? MSG_DONTWAIT : 0;  // SPLICE_F_NONBLOCK is about the pipe
    if (at_urgent_mark(with, socket)) break;
    const long seen = receive(with, socket, page.data(), std::min(page.size(), count - total), MSG_PEEK | no_wait);
    if (seen <= 0) return total > 0 ? static_cast<long>(total) : seen;
    const ssize_t written = ::write(pipe, page.data(), static_cast<std::size_t>(seen));
    if (written < 0) return total > 0 ? static_cast<long>(total) : -errno;
    (void)receive(with, socket, page.data(), static_cast<std::size_t>(written), MSG_DONTWAIT);
    total += static_cast<std::size_t>(written);
  }
  return static_cast<long>(total);
}

long splice_from_pipe(const WithSockets& with, int pipe, int socket, std::size_t count, unsigned flags) {
  std::vector<char> block(std::min(count, kAtATime));
  std::size_t total = 0;
  while (total < count) {
    const short ready = await(pipe, POLLIN, total == 0 && may_wait(pipe, flags));
    if ((ready & (POLLIN | POLLHUP)) == 0) return total > 0 ? static_cast<long>(total) : -EAGAIN;
    const std::size_t most = std::min({block.size(), count - total, room_of(with, socket)});
    if (most == 0) return total > 0 ? static_cast<long>(total) : -EAGAIN;
    const ssize_t got = ::read(pipe, block.data(), most);
    if (got < 0) return total > 0 ? static_cast<long>(total) : -errno;
    if (got == 0) break;  // nobody writes into it any more
    const int more = (flags & SPLICE_F_MORE) != 0 ? MSG_MORE : 0;
    const long sent = send(with, socket, block.data(), static_cast<std::size_t>(got), more);
    if (sent < 0) return total > 0 ? static_cast<long>(total) : sent;
    total += static_cast<std::size_t>(sent);
    if (sent < got) break;
  }
  return static_cast<long>(total);
}

}  // namespace

}  // namespace ff::posix
