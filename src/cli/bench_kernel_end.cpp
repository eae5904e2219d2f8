// An end of a transfer on the kernel's TCP, as any program with epoll would have it.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "cli/bench_path_end.hpp"
#include "cli/commands.hpp"
#include "cli/process.hpp"
#include "device/file_descriptor.hpp"

namespace ff::cli {
namespace {

[[noreturn]] void fail(const char* what, int error) {
  throw Failure(fmt::format("{}: {}", what, std::strerror(error)));
}
void require(int result, const char* what) {
  if (result < 0) fail(what, errno);
}

sockaddr_in socket_address(const IpAddress& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(kPathPort);
  std::memcpy(&result.sin_addr, address.v4_bytes().data(), 4);
  return result;
}

std::string text_of(const sockaddr_in& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return fmt::format("{}:{}", text.data(), ntohs(address.sin_port));
}

FileDescriptor make_socket() {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) fail("socket", errno);
  return socket;
}

// When this program ends its connections end too, at once: the next transfer has the link for itself.
void reset_at_close(int socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  require(::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), "SO_LINGER");
}

class KernelEnd {
 public:
  KernelEnd(const PathEndOptions& options, const PathEndMeasured& measured)
      : options_(options),
        measured_(measured),
        signals_(signal_descriptor({SIGINT, SIGTERM, SIGUSR1})),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        chunk_(kPathChunk) {
    require(epoll_.get(), "epoll_create1");
    watch(EPOLL_CTL_ADD, signals_.get(), EPOLLIN, kSignals);
  }

  void run() {
    options_.side == PathSide::Sending ? connect() : listen();
    for (;;) {
      std::array<epoll_event, 16> events;
      const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
      if (count < 0 && errno != EINTR) fail("epoll_wait", errno);
      for (int i = 0; i < count; ++i) {
        const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
        if (key == kSignals) {
          if (asked_to_end()) return;
          report();
        } else if (key == kListener) {
          accept();
        } else {
          options_.side == PathSide::Sending ? send(flows_[key]) : receive(flows_[key]);
        }
      }
    }
  }

 private:
  static constexpr std::uint64_t kSignals = UINT64_MAX, kListener = UINT64_MAX - 1;
  struct Flow {
    FileDescriptor socket;
    PathEndFlow measured;
  };

  void watch(int operation, int descriptor, std::uint32_t what, std::uint64_t key) const {
    epoll_event event{};
    event.events = what;
    event.data.u64 = key;
    require(::epoll_ctl(epoll_.get(), operation, descriptor, &event), "epoll_ctl");
  }

  // Otherwise, for the report.
  [[nodiscard]] bool asked_to_end() const {
    signalfd_siginfo signal{};
    if (::read(signals_.get(), &signal, sizeof signal) != sizeof signal) fail("signalfd", errno);
    return signal.ssi_signo != SIGUSR1;
  }

  void connect() {
    for (const PathStack receiver : options_.flows) {
      Flow& flow = flows_.emplace_back();
      flow.socket = make_socket();
      const int socket = flow.socket.get();
      reset_at_close(socket);
      const std::string& name = options_.congestion_control;
      require(::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())),
              "TCP_CONGESTION");
      const sockaddr_in to = socket_address(path_address(PathSide::Receiving, receiver));
      flow.measured.began = monotonic_now();
      if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS)
        fail("connect", errno);
      sockaddr_in own{};
      socklen_t size = sizeof own;
      require(::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size), "getsockname");
      flow.measured.sender = text_of(own);
      watch(EPOLL_CTL_ADD, socket, EPOLLOUT, flows_.size() - 1);
    }
  }

  void listen() {
    listener_ = make_socket();
    const int on = 1;
    require(::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    const sockaddr_in own = socket_address(path_address(PathSide::Receiving, PathStack::Kernel));
    require(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    require(::listen(listener_.get(), static_cast<int>(options_.flows.size())), "listen");
    watch(EPOLL_CTL_ADD, listener_.get(), EPOLLIN, kListener);
    say_path_end_ready();
  }

  void accept() {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    FileDescriptor socket(
        ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    reset_at_close(socket.get());
    Flow& flow = flows_.emplace_back();
    flow.socket = std::move(socket);
    flow.measured.sender = text_of(peer);
    flow.measured.began = monotonic_now();
    watch(EPOLL_CTL_ADD, flow.socket.get(), EPOLLIN, flows_.size() - 1);
  }

  void send(Flow& flow) {
    while (options_.bytes == 0 || flow.measured.bytes < options_.bytes) {
      const std::uint64_t left = options_.bytes == 0 ? UINT64_MAX : options_.bytes - flow.measured.bytes;
      const ssize_t sent =
          ::send(flow.socket.get(), chunk_.data(), std::min<std::uint64_t>(left, chunk_.size()), MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) fail("send", errno);
      flow.measured.bytes += static_cast<std::uint64_t>(sent);
      flow.measured.ended = monotonic_now();
    }
    // Still told when the connection fails.
    watch(EPOLL_CTL_MOD, flow.socket.get(), 0, static_cast<std::uint64_t>(&flow - flows_.data()));
    int error = 0;
    socklen_t size = sizeof error;
    require(::getsockopt(flow.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
    if (error != 0) fail("the connection ended", error);
  }

  void receive(Flow& flow) {
    for (;;) {
      const ssize_t received = ::recv(flow.socket.get(), chunk_.data(), chunk_.size(), 0);
      if (received < 0 && errno == EAGAIN) break;
      if (received < 0) fail("recv", errno);
      if (received == 0) throw Failure("the sender closed the connection before its end");
      flow.measured.bytes += static_cast<std::uint64_t>(received);
      flow.measured.ended = monotonic_now();
    }
    if (complete()) report();
  }

  [[nodiscard]] bool complete() const {
    return options_.bytes > 0 && flows_.size() == options_.flows.size() &&
           std::ranges::all_of(flows_, [&](const Flow& flow) { return flow.measured.bytes >= options_.bytes; });
  }

  void report() {
    if (std::exchange(reported_, true)) return;
    PathEndReport report;
    for (Flow& flow : flows_) {
      tcp_info info{};
      socklen_t size = sizeof info;
      require(::getsockopt(flow.socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size), "TCP_INFO");
      flow.measured.retransmitted = info.tcpi_total_retrans;
      report.flows.push_back(flow.measured);
    }
    measured_(report);
  }

  const PathEndOptions& options_;
  const PathEndMeasured& measured_;
  FileDescriptor signals_, epoll_, listener_;
  std::vector<Flow> flows_;
  std::vector<char> chunk_;
  bool reported_ = false;
};

}  // namespace

void run_kernel_end(const PathEndOptions& options, const PathEndMeasured& measured) {
  KernelEnd(options, measured).run();
}

}  // namespace ff::cli
