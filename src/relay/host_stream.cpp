#include "relay/host_stream.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "relay/socket_address.hpp"

namespace ff::relay {
namespace {

constexpr std::uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

}  // namespace

HostStream::HostStream(Loop& loop, FileDescriptor socket, State state, std::shared_ptr<SlabCursor> slabs)
    : loop_(loop),
      socket_(std::move(socket)),
      state_(state),
      slabs_(std::move(slabs)),
      readable_(state == State::Open),
      awaits_room_(state == State::Connecting) {
  // The urgent byte stays in its place.
  const int on = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  // Of a socket whose SYN waits, epoll would say that it may be written to.
  if (state_ != State::WaitsForWrite) watch();
}

HostStream::~HostStream() { abort({}); }

void HostStream::watch() {
  watched_ = true;
  loop_.add_descriptor(socket_.get(), awaits_room_ ? kEvents | EPOLLOUT : kEvents,
                       [this](Instant now, std::uint32_t events) { ready(now, events); });
}

// Asked for only where somebody waits: otherwise who has sent a whole request with the SYN would be woken for its
// acknowledgement, and again for the answer.
void HostStream::await_room() {
  if (std::exchange(awaits_room_, true)) return;
  if (watched_) loop_.change_descriptor(socket_.get(), kEvents | EPOLLOUT);
}

void HostStream::fail(int error_number) noexcept {
  error_ = error_of(error_number);
  state_ = State::Failed;
}

void HostStream::ready(Instant now, std::uint32_t events) {
  if (state_ == State::Connecting) {
    int error = 0;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
      // What came before a reset is read before it; recv() tells of the reset then.
      int waiting = 0;
      socklen_t size = sizeof error;
      (void)::ioctl(socket_.get(), FIONREAD, &waiting);
      if (waiting == 0) (void)::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) {
      fail(error);
    } else if ((events & (EPOLLOUT | EPOLLIN)) != 0) {
      state_ = State::Open;
      if (shut_) ::shutdown(socket_.get(), SHUT_WR);
    }
  }
  if ((events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & EPOLLPRI) != 0) urgent_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_closed_ = true;
  changed(now);
}

// A send() of no bytes makes the kernel send the SYN that TCP_FASTOPEN_CONNECT holds back.
void HostStream::start(Instant /*now*/) {
  if (state_ != State::WaitsForWrite) return;
  state_ = State::Connecting;
  awaits_room_ = true;
  const ssize_t sent = ::send(socket_.get(), "", 0, MSG_NOSIGNAL);
  if (sent < 0 && errno != EINPROGRESS && errno != EAGAIN) fail(errno);
  watch();
}

// What is read next is the urgent byte.
bool HostStream::at_urgent_mark() const noexcept {
  int at_mark = 0;
  return urgent_ && ::ioctl(socket_.get(), SIOCATMARK, &at_mark) == 0 && at_mark != 0;
}

Result<Piece> HostStream::read(Instant /*now*/) {
  if (state_ == State::Failed) return std::unexpected(error_);
  if (state_ != State::Open || !readable_) return std::unexpected(Error::WouldBlock);
  std::uint8_t* room = slabs_->reserve(kReceiveRoom);
  const bool urgent = at_urgent_mark();
  ssize_t count;
  do {
    count = ::recv(socket_.get(), room, urgent ? 1 : kReceiveRoom, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    if (errno != EAGAIN) fail(errno);
    readable_ = false;
    return std::unexpected(errno == EAGAIN ? Error::WouldBlock : error_);
  }
  // All that there was, and the next byte makes an edge. A FIN that is there already does not, nor what lies behind an
  // urgent byte, where recv() stops.
  if (count < static_cast<ssize_t>(kReceiveRoom) && !peer_closed_ && !urgent_) readable_ = false;
  if (urgent) urgent_ = false;
  if (count == 0) return Piece();
  return Piece{slabs_->commit(0, static_cast<std::uint32_t>(count)), urgent};
}

Result<void> HostStream::write(Instant now, Piece& piece) {
  if (state_ == State::Failed) return std::unexpected(error_);
  if (piece.urgent) start(now);  // a SYN announces nothing
  Slice& bytes = piece.bytes;
  const bool first = state_ == State::WaitsForWrite;
  if (!first && (state_ != State::Open || !writable_)) {
    await_room();
    return std::unexpected(Error::WouldBlock);
  }
  const int flags = MSG_NOSIGNAL | (piece.urgent ? MSG_OOB : 0);
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), flags);
    if (count > 0) bytes.drop_front(static_cast<std::uint32_t>(count));
    if (first) {
      // The SYN is out, with as much as it may have taken.
      state_ = State::Connecting;
      awaits_room_ = !bytes.empty();
      if (count < 0 && errno != EINPROGRESS && errno != EAGAIN) fail(errno);
      watch();
      if (state_ == State::Failed) return std::unexpected(error_);
      return bytes.empty() ? Result<void>() : std::unexpected(Error::WouldBlock);
    }
    if (count >= 0 || errno == EINTR) continue;
    if (errno == EAGAIN) {
      writable_ = false;
      await_room();
      return std::unexpected(Error::WouldBlock);
    }
    fail(errno);
    return std::unexpected(error_);
  }
  return {};
}

void HostStream::shutdown_write(Instant now) {
  if (state_ == State::WaitsForWrite) start(now);
  if (state_ == State::Open) {
    ::shutdown(socket_.get(), SHUT_WR);
  } else {
    shut_ = true;  // a socket that is not connected would be reset
    await_room();
  }
}

void HostStream::close(Instant /*now*/) {
  if (!socket_) return;
  loop_.close_descriptor(std::move(socket_));
}

void HostStream::abort(Instant now) {
  if (!socket_) return;
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(now);
}

}  // namespace ff::relay
