// BSD sockets on virtual time: blocked calls take the time that they should, to the nanosecond. What each call returns
// is compared with the kernel's in tests/interop/socket_calls/.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

#include "device/loopback.hpp"
#include "posix/sockets.hpp"
#include "posix/tcp_info.hpp"

namespace ff::posix {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One stack with a loopback interface, and an Ethernet nobody is on. A call that sleeps moves the clock.
class VirtualHost final : public Host {
 public:
  VirtualHost() : stack_(StackConfig{.seed = Seed::from_number(7)}), sockets(stack_, *this) {
    InterfaceConfig lo;
    lo.name = "lo";
    lo.mtu = loopback_.mtu();
    lo.addresses = {*Cidr::parse("127.0.0.1/8"), *Cidr::parse("::1/128")};
    lo.loopback = true;
    loopback_id_ = *stack_.add_interface(lo);
    InterfaceConfig silent;
    silent.name = "silent";
    silent.addresses = {*Cidr::parse("192.0.2.1/24")};
    (void)stack_.add_interface(silent);
  }

  Instant now() override { return now_; }
  Duration wall_clock_offset() override { return Duration::zero(); }
  void work() override {
    for (bool busy = true; busy;) {
      busy = false;
      for (TxPacket packet; stack_.poll_transmit(now_, packet); busy = true) {
        if (packet.interface == loopback_id_) (void)loopback_.send(now_, packet);
      }
      for (RxPacket packet; loopback_.receive(packet); busy = true)
        stack_.handle_packet(now_, loopback_id_, std::move(packet));
      while (const auto event = stack_.poll_event()) {
        sockets.handle(*event);
        busy = true;
      }
    }
  }
  void sleep_until(Instant deadline) override {
    now_ = std::max(now_, std::min(deadline, stack_.next_deadline()));
    ASSERT_NE(now_, kNever) << "nothing could ever wake this call";
    stack_.handle_deadline(now_);
    work();
  }
  void broken_pipe() override { ++broken_pipes; }
  int take_number() override { return next_number_++; }
  void give_back_number(int /*number*/) noexcept override {}

  [[nodiscard]] Duration time() const { return now_.time_since_epoch(); }

  int broken_pipes = 0;

 private:
  Instant now_ = Instant(seconds(1));
  Stack stack_;
  Loopback loopback_;
  InterfaceId loopback_id_ = 0;
  int next_number_ = 3;

 public:
  Sockets sockets;
};

struct PosixSockets : testing::Test {
  static sockaddr_in address(const char* text, int port) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<std::uint16_t>(port));
    const IpAddress parsed = *IpAddress::parse(text);
    std::memcpy(&in.sin_addr, parsed.v4_bytes().data(), 4);
    return in;
  }
  int tcp() { return static_cast<int>(s.socket(AF_INET, SOCK_STREAM, 0)); }
  long connect(int fd, const char* text, int port) {
    const sockaddr_in to = address(text, port);
    return s.connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  int listener(int port) {
    const int fd = tcp();
    const sockaddr_in own = address("127.0.0.1", port);
    EXPECT_EQ(s.bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
    EXPECT_EQ(s.listen(fd, 8), 0);
    return fd;
  }
  void set(int fd, int level, int name, auto value) {
    ASSERT_EQ(s.setsockopt(fd, level, name, &value, sizeof value), 0);
  }
  // How long the call took, and what it returned.
  template <typename Call>
  std::pair<Duration, long> timed(Call&& call) {
    const Duration before = host.time();
    const long result = call();
    return {host.time() - before, result};
  }

  VirtualHost host;
  Sockets& s = host.sockets;
  char data[64] = {};
};

TEST_F(PosixSockets, TalkOverLoopback) {
  const int listening = listener(80);
  const int client = tcp();
  ASSERT_EQ(connect(client, "127.0.0.1", 80), 0);
  const int server = static_cast<int>(s.accept4(listening, nullptr, nullptr, 0));
  ASSERT_GT(server, 0);
  EXPECT_EQ(s.sendto(client, "hello", 5, 0, nullptr, 0), 5);
  EXPECT_EQ(s.recvfrom(server, data, sizeof data, 0, nullptr, nullptr), 5);
  EXPECT_STREQ(data, "hello");
  EXPECT_EQ(s.close(client), 0);
  EXPECT_EQ(s.recvfrom(server, data, sizeof data, 0, nullptr, nullptr), 0);
  EXPECT_EQ(host.time(), seconds(1)) << "nothing had to be waited for";
}

TEST_F(PosixSockets, WaitAsLongAsTheyAreTold) {
  const int listening = listener(80);
  const int client = tcp();
  ASSERT_EQ(connect(client, "127.0.0.1", 80), 0);
  set(client, SOL_SOCKET, SO_RCVTIMEO, timeval{5, 250'000});
  set(listening, SOL_SOCKET, SO_RCVTIMEO, timeval{2, 0});
  using Outcome = std::pair<Duration, long>;
  EXPECT_EQ(timed([&] { return s.recvfrom(client, data, 1, 0, nullptr, nullptr); }),
            Outcome(milliseconds(5250), -EAGAIN));
  EXPECT_GT(s.accept4(listening, nullptr, nullptr, 0), 0);
  EXPECT_EQ(timed([&] { return s.accept4(listening, nullptr, nullptr, 0); }), Outcome(seconds(2), -EAGAIN));
  pollfd entry{client, POLLIN, 0};
  EXPECT_EQ(timed([&] { return s.poll(&entry, 1, 1234); }), Outcome(milliseconds(1234), 0));
  const int epoll = static_cast<int>(s.epoll_create1(0));
  epoll_event event{.events = EPOLLIN, .data = {}};
  ASSERT_EQ(s.epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event), 0);
  EXPECT_EQ(timed([&] { return s.epoll_wait(epoll, &event, 1, 77); }), Outcome(milliseconds(77), 0));
}

TEST_F(PosixSockets, ConnectGivesUpWhenTheStackDoes) {
  const int client = tcp();
  const auto [took, result] = timed([&] { return connect(client, "192.0.2.9", 80); });
  EXPECT_EQ(result, -ETIMEDOUT);
  EXPECT_EQ(took, seconds(127));  // 1 + 2 + ... + 64
  EXPECT_EQ(s.sendto(client, "x", 1, 0, nullptr, 0), -EPIPE);
  EXPECT_EQ(host.broken_pipes, 1);
}

TEST_F(PosixSockets, LingerHoldsClose) {
  const int client = tcp();
  set(client, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
  set(client, SOL_SOCKET, SO_LINGER, linger{1, 3});
  const int listening = listener(80);
  ASSERT_EQ(connect(client, "127.0.0.1", 80), 0);
  const int server = static_cast<int>(s.accept4(listening, nullptr, nullptr, 0));
  const std::string much(8'000'000, 'x');
  ASSERT_GT(s.sendto(client, much.data(), much.size(), MSG_DONTWAIT, nullptr, 0), 0);
  // Nobody reads, so that it is not all acknowledged.
  EXPECT_EQ(timed([&] { return s.close(client); }), std::pair(Duration(seconds(3)), 0l));
  EXPECT_EQ(s.close(server), 0);
}

TEST_F(PosixSockets, FastOpenSendsWithTheSyn) {
  const int listening = listener(80);
  set(listening, IPPROTO_TCP, TCP_FASTOPEN, 5);
  const sockaddr_in to = address("127.0.0.1", 80);
  for (const bool with_cookie : {false, true}) {
    const int client = tcp();
    ASSERT_EQ(s.fcntl(client, F_SETFL, O_NONBLOCK), 0);
    const long sent = s.sendto(client, "hello", 5, MSG_FASTOPEN, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    EXPECT_EQ(sent, with_cookie ? 5 : -EINPROGRESS);
    TcpInfo info{};
    socklen_t length = sizeof info;
    ASSERT_EQ(s.getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(length, sizeof info);
    EXPECT_EQ((info.options & TCPI_OPT_SYN_DATA) != 0, with_cookie);
  }
}

}  // namespace
}  // namespace ff::posix
