// The Linux kernel's TCP as the peer of a measurement: bulk to or from a server, or short connections; and as the
// server that a stack is compared with. All servers of the benchmarks offer the same: port 5001 takes bytes, 5002 gives
// bytes, and from 6000 on each connection is asked 64 bytes and answers 64.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <vector>

#include "device/file_descriptor.hpp"
#include "measure.hpp"
#include "ports.hpp"

namespace ff::bench {
namespace {

constexpr std::size_t kChunk = 128 * 1024;

int must(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

sockaddr_in address(const std::string& host, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &result.sin_addr) != 1) throw std::runtime_error(host + " is no IPv4 address");
  return result;
}

FileDescriptor tcp_socket(int flags = 0) {
  FileDescriptor socket(must(::socket(AF_INET, SOCK_STREAM | flags, 0), "socket"));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

// ---- bulk ----------------------------------------------------------------------------------------------------------

// Gbit/s of `transfer`, which moves some bytes at each call, over `duration` and after a start of half a second.
template <typename Transfer>
double measure_bulk(Duration duration, Transfer&& transfer) {
  const Instant start = wall_now();
  const Instant warm = start + std::chrono::milliseconds(500);
  Instant began = start;
  std::uint64_t bytes = 0;
  bool counting = false;
  for (;;) {
    bytes += static_cast<std::uint64_t>(must(static_cast<int>(transfer()), "the transfer"));
    const Instant now = wall_now();
    if (!counting && now >= warm) {
      counting = true;
      began = now;
      bytes = 0;
    } else if (counting && now - began >= duration) {
      return static_cast<double>(bytes) * 8e-9 / seconds(now - began);
    }
  }
}

double bulk(const std::string& host, bool send, Duration duration) {
  const FileDescriptor socket = tcp_socket();
  const sockaddr_in server = address(host, send ? kSinkPort : kSourcePort);
  must(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server), "connect");
  std::vector<char> buffer(kChunk, 'x');
  return measure_bulk(duration, [&] {
    return send ? ::send(socket.get(), buffer.data(), buffer.size(), MSG_NOSIGNAL)
                : ::recv(socket.get(), buffer.data(), buffer.size(), 0);
  });
}

// ---- short connections ---------------------------------------------------------------------------------------------

struct ShortOptions {
  std::string host;
  std::uint64_t connections = 50'000;
  std::size_t parallel = 32;
  bool fast_open = false;
};

// Keeps so many connections going: each sends a request, reads the answer and closes.
class ShortConnections {
 public:
  explicit ShortConnections(const ShortOptions& options)
      : options_(options), epoll_(must(::epoll_create1(0), "epoll_create1")) {
    request_.fill('q');
  }

  // Connections per second.
  double run() {
    const Instant start = wall_now();
    while (done_ < options_.connections) {
      while (live_.size() < options_.parallel && started_ < options_.connections) start_one();
      std::array<epoll_event, 64> ready;
      const int count = must(::epoll_wait(epoll_.get(), ready.data(), ready.size(), 5000), "epoll_wait");
      if (count == 0) throw std::runtime_error("no connection has made progress for 5 s");
      for (int i = 0; i < count; ++i) advance(ready[static_cast<std::size_t>(i)].data.fd);
    }
    return static_cast<double>(done_) / seconds(wall_now() - start);
  }
  // How many of them had data in the SYN that the server took.
  [[nodiscard]] std::uint64_t syn_data_taken() const noexcept { return syn_data_taken_; }

 private:
  struct Live {
    FileDescriptor socket;
    bool requested = false;
    std::size_t answered = 0;
  };

  void start_one() {
    Live live{tcp_socket(SOCK_NONBLOCK)};
    const int socket = live.socket.get();
    const sockaddr_in server =
        address(options_.host, static_cast<std::uint16_t>(kFirstShortPort + started_++ % kShortPorts));
    const auto* to = reinterpret_cast<const sockaddr*>(&server);
    ssize_t result = 0;
    if (options_.fast_open) {
      result = ::sendto(socket, request_.data(), request_.size(), MSG_FASTOPEN | MSG_NOSIGNAL, to, sizeof server);
      live.requested = result == static_cast<ssize_t>(request_.size());
    } else {
      result = ::connect(socket, to, sizeof server);
    }
    if (result < 0 && errno != EINPROGRESS) throw std::system_error(errno, std::generic_category(), "connect");
    wait_for(EPOLL_CTL_ADD, socket, live.requested ? EPOLLIN : EPOLLOUT);
    live_.emplace(socket, std::move(live));
  }

  void advance(int socket) {
    Live& live = live_.at(socket);
    if (!live.requested) {
      must(static_cast<int>(::send(socket, request_.data(), request_.size(), MSG_NOSIGNAL)), "send");
      live.requested = true;
      wait_for(EPOLL_CTL_MOD, socket, EPOLLIN);
      return;
    }
    std::array<char, 4096> buffer;
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) throw std::runtime_error("a connection ended before its answer came");
    live.answered += static_cast<std::size_t>(count);
    if (live.answered < kMessage) return;
    if (options_.fast_open && done_ % 64 == 0) {
      tcp_info info{};
      socklen_t size = sizeof info;
      ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size);
      if ((info.tcpi_options & TCPI_OPT_SYN_DATA) != 0) syn_data_taken_ += 64;
    }
    live_.erase(socket);
    ++done_;
  }

  void wait_for(int operation, int socket, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    must(::epoll_ctl(epoll_.get(), operation, socket, &event), "epoll_ctl");
  }

  ShortOptions options_;
  FileDescriptor epoll_;
  std::unordered_map<int, Live> live_;
  std::array<char, kMessage> request_;
  std::uint64_t started_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t syn_data_taken_ = 0;
};

// ---- the kernel as server ------------------------------------------------------------------------------------------

FileDescriptor listen_on(std::uint16_t port, int flags) {
  FileDescriptor socket = tcp_socket(flags);
  const sockaddr_in any = address("0.0.0.0", port);
  must(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), "bind");
  const int queue = 4096;
  must(::setsockopt(socket.get(), IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue), "TCP_FASTOPEN");
  must(::listen(socket.get(), queue), "listen");
  return socket;
}

void serve_bulk(std::uint16_t port) {
  const FileDescriptor listener = listen_on(port, 0);
  std::vector<char> buffer(kChunk, 'x');
  for (;;) {
    const FileDescriptor peer(must(::accept(listener.get(), nullptr, nullptr), "accept"));
    const auto transfer = [&] {
      return port == kSinkPort ? ::recv(peer.get(), buffer.data(), buffer.size(), 0)
                               : ::send(peer.get(), buffer.data(), buffer.size(), MSG_NOSIGNAL);
    };
    while (transfer() > 0) {
    }
  }
}

class ShortServer {
 public:
  ShortServer() : epoll_(must(::epoll_create1(0), "epoll_create1")) {
    answer_.fill('a');
    for (std::uint16_t i = 0; i < kShortPorts; ++i) {
      listeners_.push_back(listen_on(static_cast<std::uint16_t>(kFirstShortPort + i), SOCK_NONBLOCK));
      add(listeners_.back().get());
    }
    last_listener_ = listeners_.back().get();  // descriptors are numbered in the order of their making
  }

  [[noreturn]] void run() {
    for (;;) {
      std::array<epoll_event, 64> ready;
      const int count = must(::epoll_wait(epoll_.get(), ready.data(), ready.size(), -1), "epoll_wait");
      for (int i = 0; i < count; ++i) {
        const int descriptor = ready[static_cast<std::size_t>(i)].data.fd;
        if (descriptor <= last_listener_) {
          accept_from(descriptor);
        } else {
          answer(descriptor);
        }
      }
    }
  }

 private:
  void accept_from(int listener) {
    for (;;) {
      const int peer = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
      if (peer < 0) return;
      received_[peer] = 0;
      add(peer);
      answer(peer);  // with Fast Open the request is there already
    }
  }

  void answer(int peer) {
    std::array<char, 4096> buffer;
    const ssize_t count = ::recv(peer, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      received_.erase(peer);
      ::close(peer);
      return;
    }
    std::size_t& received = received_[peer];
    const bool complete_before = received >= kMessage;
    received += static_cast<std::size_t>(count);
    if (!complete_before && received >= kMessage) (void)!::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
  }

  void add(int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    must(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
  }

  FileDescriptor epoll_;
  std::vector<FileDescriptor> listeners_;
  int last_listener_ = 0;
  std::unordered_map<int, std::size_t> received_;
  std::array<char, kMessage> answer_;
};

[[noreturn]] void serve() {
  std::thread(serve_bulk, kSinkPort).detach();
  std::thread(serve_bulk, kSourcePort).detach();
  ShortServer server;
  fmt::print("ready\n");
  std::fflush(stdout);
  server.run();
}

// ---- the command line ----------------------------------------------------------------------------------------------

int main(int argc, char** argv) {
  CLI::App app("The Linux kernel's TCP as the peer of a measurement.");
  app.require_subcommand(1);
  std::string work;
  std::string who;
  std::string host;
  double duration = 2;
  ShortOptions options;
  const auto client = [&](const char* name, const char* description) {
    CLI::App* command = app.add_subcommand(name, description);
    command->add_option("host", host, "IPv4 address of the server")->required();
    command->add_option("--work", work, "what the report says was done");
    command->add_option("--who", who, "who it says did it");
    return command;
  };
  const auto bulk_client = [&](const char* name, const char* description, bool send) {
    CLI::App* command = client(name, description);
    command->add_option("--seconds", duration, "to measure for")->capture_default_str();
    command->callback([&, send] {
      const auto length = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(duration));
      report(work, who, bulk(host, send, length), "Gbit/s");
    });
  };
  bulk_client("send", "Sends to port 5001", true);
  bulk_client("receive", "Receives from port 5002", false);
  CLI::App* short_client = client("requests", "Opens connections, each for a request and its answer");
  short_client->add_option("--connections", options.connections, "to open")->capture_default_str();
  short_client->add_option("--parallel", options.parallel, "how many at a time")->capture_default_str();
  short_client->add_flag("--fast-open", options.fast_open, "the request rides in the SYN");
  short_client->callback([&] {
    options.host = host;
    ShortConnections connections(options);
    report(work, who, connections.run(), "connections/s");
    if (options.fast_open && connections.syn_data_taken() * 10 < options.connections * 9) {
      throw std::runtime_error("Fast Open did not work: the server took the data of too few SYNs");
    }
  });
  app.add_subcommand("serve", "Serves all the ports")->callback(serve);
  CLI11_PARSE(app, argc, argv);
  return 0;
}

}  // namespace
}  // namespace ff::bench

int main(int argc, char** argv) {
  try {
    return ff::bench::main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "kernel_peer: {}\n", error.what());
    return 1;
  }
}
