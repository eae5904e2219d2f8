// BSD sockets on virtual time: blocked calls take the time that they should, to the nanosecond. What each call returns
// is compared with the kernel's in tests/interop/socket_calls/.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/net_tstamp.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "device/loopback.hpp"
#include "posix/error_queue.hpp"
#include "posix/sockets.hpp"
#include "posix/tcp_info.hpp"
#include "wire/endian.hpp"
#include "wire/icmp.hpp"
#include "wire/ip.hpp"

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
    silent_id_ = *stack_.add_interface(silent);
  }

  Instant now() override { return now_; }
  Duration wall_clock_offset() override { return Duration::zero(); }
  void work() override {
    for (bool busy = true; busy;) {
      busy = false;
      for (TxPacket packet; stack_.poll_transmit(now_, packet); busy = true) {
        if (packet.interface == loopback_id_) {
          if (packet.payload_size > 0) into_loopback = bytes_of(packet);
          (void)loopback_.send(now_, packet);
        } else {
          into_silence = bytes_of(packet);
        }
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

  // Byte by byte: no device that copies for its own ends.
  static std::vector<std::uint8_t> bytes_of(const TxPacket& packet) {
    std::vector<std::uint8_t> bytes(packet.header().begin(), packet.header().end());
    for (const Slice& piece : packet.payload()) bytes.insert(bytes.end(), piece.span().begin(), piece.span().end());
    return bytes;
  }

  // A router on the silent network says this of a packet.
  void complain(wire::IcmpKind kind, const std::vector<std::uint8_t>& about) {
    wire::IpHeader ip;
    ip.source = *IpAddress::parse("192.0.2.254");
    ip.destination = *IpAddress::parse("192.0.2.1");
    ip.protocol = wire::protocol::kIcmp;
    std::string message(576, '\0');
    message.resize(wire::emit_icmp_error(kind, ip, 0, about, reinterpret_cast<std::uint8_t*>(message.data())));
    std::string packet(wire::kIpv4HeaderSize, '\0');
    wire::emit_ip(ip, message.size(), reinterpret_cast<std::uint8_t*>(packet.data()));
    stack_.handle_packet(now_, silent_id_, {.bytes = Slice::adopt(packet + message)});
    work();
  }

  int broken_pipes = 0;
  std::vector<std::uint8_t> into_silence, into_loopback;  // the last packet, there with data

 private:
  Instant now_ = Instant(seconds(1));
  Stack stack_;
  Loopback loopback_;
  InterfaceId loopback_id_ = 0, silent_id_ = 0;
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
  // One message of the error queue.
  struct Told {
    long result = 0;
    sock_extended_err said{};
    sockaddr_in offender{}, name{};
    std::optional<timespec> stamp{};
    std::string bytes{};
  };
  Told next_error(int fd) {
    Told told;
    std::array<char, 200> bytes{}, controls{};
    iovec piece{bytes.data(), bytes.size()};
    msghdr message{&told.name, sizeof told.name, &piece, 1, controls.data(), controls.size(), 0};
    told.result = s.recvmsg(fd, &message, MSG_ERRQUEUE);
    if (told.result < 0) return told;
    told.bytes.assign(bytes.data(), static_cast<std::size_t>(told.result));
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level == SOL_SOCKET) {
        std::memcpy(&told.stamp.emplace(), CMSG_DATA(c), sizeof(timespec));
      } else {
        std::memcpy(&told.said, CMSG_DATA(c), sizeof told.said);
        std::memcpy(&told.offender, CMSG_DATA(c) + sizeof told.said, sizeof told.offender);
      }
    }
    return told;
  }
  int poll(int fd) {
    pollfd entry{fd, POLLIN | POLLOUT, 0};
    (void)s.poll(&entry, 1, 0);
    return entry.revents;
  }
  int error_of(int fd) {
    int error = -1;
    socklen_t length = sizeof error;
    EXPECT_EQ(s.getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
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

// What Linux 6.18 does with the same ICMP errors was seen on a TUN device: both kinds of error, IP_RECVERR or not.
TEST_F(PosixSockets, ErrorsThatEndAHandshakeAreQueued) {
  const int client = tcp();
  ASSERT_EQ(s.fcntl(client, F_SETFL, O_NONBLOCK), 0);
  ASSERT_EQ(connect(client, "192.0.2.9", 80), -EINPROGRESS);
  host.complain(wire::IcmpKind::HostUnreachable, host.into_silence);
  EXPECT_NE(poll(client) & POLLERR, 0);
  const Told told = next_error(client);
  EXPECT_EQ(told.result, 40) << "the SYN's TCP header";
  EXPECT_EQ(told.said.ee_errno, static_cast<unsigned>(EHOSTUNREACH));
  EXPECT_EQ(told.said.ee_origin, SO_EE_ORIGIN_ICMP);
  EXPECT_EQ(told.said.ee_type, 3);
  EXPECT_EQ(told.said.ee_code, 1);
  EXPECT_EQ(told.offender.sin_addr.s_addr, address("192.0.2.254", 0).sin_addr.s_addr);
  EXPECT_EQ(told.name.sin_addr.s_addr, address("192.0.2.9", 0).sin_addr.s_addr);
  EXPECT_EQ(ntohs(told.name.sin_port), 80);
  EXPECT_EQ(error_of(client), 0) << "it was told by the queue";
  EXPECT_EQ(next_error(client).result, -EAGAIN);
}

// On a connection that goes on they are soft: SO_ERROR tells of the last, and IP_RECVERR makes it an error of the next
// call. Nothing is queued.
TEST_F(PosixSockets, ErrorsThatEndNothingAreSoft) {
  for (const bool wanted : {false, true}) {
    const int listening = listener(wanted ? 81 : 80);
    const int client = tcp();
    set(client, IPPROTO_IP, IP_RECVERR, wanted ? 1 : 0);
    ASSERT_EQ(connect(client, "127.0.0.1", wanted ? 81 : 80), 0);
    ASSERT_GT(s.accept4(listening, nullptr, nullptr, 0), 0);
    ASSERT_EQ(s.sendto(client, "hello", 5, 0, nullptr, 0), 5);
    // As much again is under way and not acknowledged: the router quotes it.
    set(client, IPPROTO_TCP, TCP_TX_DELAY, 1'000'000);
    ASSERT_EQ(s.sendto(client, "hello", 5, 0, nullptr, 0), 5);
    std::vector<std::uint8_t> about = host.into_loopback;
    const std::size_t seq = wire::kIpv4HeaderSize + 4;
    wire::store_be32(about.data() + seq, wire::load_be32(about.data() + seq) + 5);
    host.complain(wire::IcmpKind::HostUnreachable, about);
    EXPECT_EQ((poll(client) & POLLERR) != 0, wanted);
    EXPECT_EQ(next_error(client).result, -EAGAIN);
    EXPECT_EQ(s.sendto(client, "x", 1, MSG_DONTWAIT, nullptr, 0), wanted ? -EHOSTUNREACH : 1);
    EXPECT_EQ(error_of(client), wanted ? 0 : EHOSTUNREACH);
    EXPECT_EQ(error_of(client), 0) << "told once";
    EXPECT_EQ(s.sendto(client, "x", 1, MSG_DONTWAIT, nullptr, 0), 1) << "it goes on";
  }
}

struct PosixSocketsAbroad : PosixSockets {
  void SetUp() override {
    client = tcp();
    set(client, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
    set(client, SOL_SOCKET, SO_ZEROCOPY, 1);
    ASSERT_EQ(s.fcntl(client, F_SETFL, O_NONBLOCK), 0);
  }
  long send_with_syn(int flags) {
    const sockaddr_in to = address("192.0.2.9", 80);
    return s.sendto(client, "hello", 5, MSG_FASTOPEN | flags, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  int client = -1;
};

// The bytes go out from where the application has them, and are its own again when the connection is given up.
TEST_F(PosixSocketsAbroad, ZeroCopyIsOverWhenNobodyNeedsTheBytes) {
  ASSERT_EQ(send_with_syn(MSG_ZEROCOPY), 5);
  ASSERT_GE(host.into_silence.size(), 5u);
  EXPECT_EQ(std::string(host.into_silence.end() - 5, host.into_silence.end()), "hello");
  EXPECT_EQ(next_error(client).result, -EAGAIN) << "they may have to go again";
  pollfd entry{client, POLLERR, 0};
  EXPECT_EQ(s.poll(&entry, 1, -1), 1);
  EXPECT_EQ(host.time() - seconds(1), seconds(127));
  EXPECT_EQ(error_of(client), ETIMEDOUT);
  const Told told = next_error(client);
  EXPECT_EQ(told.result, 0);
  EXPECT_EQ(told.said.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
  EXPECT_EQ(told.said.ee_code, 0) << "nobody had to copy";
  EXPECT_EQ(told.said.ee_info, 0u);
  EXPECT_EQ(told.said.ee_data, 0u);
}

TEST_F(PosixSocketsAbroad, ZeroCopyIsToldToNobodyWhenTheSocketIsGone) {
  ASSERT_EQ(send_with_syn(MSG_ZEROCOPY), 5);
  EXPECT_EQ(s.close(client), 0);
}

// Nobody could be told when the memory is free: close() leaves none of it in use.
TEST_F(PosixSockets, ZeroCopyMemoryIsTheApplicationsAfterClose) {
  const int listening = listener(80);
  const int client = tcp();
  ASSERT_EQ(connect(client, "127.0.0.1", 80), 0);
  const int server = static_cast<int>(s.accept4(listening, nullptr, nullptr, 0));
  set(client, SOL_SOCKET, SO_ZEROCOPY, 1);
  ASSERT_EQ(s.fcntl(client, F_SETFL, O_NONBLOCK), 0);
  std::string memory(16 << 20, 'x');
  const long sent = s.sendto(client, memory.data(), memory.size(), MSG_ZEROCOPY, nullptr, 0);
  ASSERT_GT(sent, 1 << 20);
  ASSERT_EQ(s.close(client), 0);
  std::ranges::fill(memory, 'y');
  std::string all(1 << 20, '?');
  long received = 0, others = 0;
  for (long got = 1; got > 0; received += got) {
    got = s.recvfrom(server, all.data(), all.size(), 0, nullptr, nullptr);
    others += std::count(all.begin(), all.begin() + std::max(got, 0L), 'y');
  }
  EXPECT_EQ(received, sent);
  EXPECT_EQ(others, 0);
}

// Handshake and data are each late by as much, there and not back.
TEST_F(PosixSockets, TransmitDelayIsThatOfEachPacket) {
  const int listening = listener(80);
  const int client = tcp();
  set(client, IPPROTO_TCP, TCP_TX_DELAY, 50'000);
  using Outcome = std::pair<Duration, long>;
  EXPECT_EQ(timed([&] { return connect(client, "127.0.0.1", 80); }), Outcome(milliseconds(50), 0));
  EXPECT_EQ(timed([&] { return s.accept4(listening, nullptr, nullptr, 0); }).first, milliseconds(50));
  const int server = 5;
  ASSERT_EQ(s.sendto(client, "hello", 5, 0, nullptr, 0), 5);
  EXPECT_EQ(timed([&] { return s.recvfrom(server, data, 5, 0, nullptr, nullptr); }), Outcome(milliseconds(50), 5));
  ASSERT_EQ(s.sendto(server, "hello", 5, 0, nullptr, 0), 5);
  EXPECT_EQ(timed([&] { return s.recvfrom(client, data, 5, 0, nullptr, nullptr); }), Outcome(Duration::zero(), 5));
  // What is accepted has it from its listener, whose SYN-ACK is late already.
  const int slow = listener(81);
  set(slow, IPPROTO_TCP, TCP_TX_DELAY, 20'000);
  EXPECT_EQ(timed([&] { return connect(tcp(), "127.0.0.1", 81); }), Outcome(milliseconds(20), 0));
}

// The times are those of the packets, to the nanosecond: what was written goes out at once, arrives 50 ms later, and
// its acknowledgement comes at that time.
TEST_F(PosixSockets, StampsSayWhenItHappened) {
  const int listening = listener(80);
  const int client = tcp();
  ASSERT_EQ(connect(client, "127.0.0.1", 80), 0);
  const int server = static_cast<int>(s.accept4(listening, nullptr, nullptr, 0));
  set(client, IPPROTO_TCP, TCP_TX_DELAY, 50'000);
  set(client, SOL_SOCKET, SO_TIMESTAMPING,
      SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID);
  set(server, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  const std::string much(1000, 'x');
  const Duration before = host.time();
  ASSERT_EQ(s.sendto(client, much.data(), much.size(), 0, nullptr, 0), 1000);
  EXPECT_NE(poll(client) & POLLERR, 0);
  Told told = next_error(client);
  EXPECT_EQ(told.said.ee_info, SCM_TSTAMP_SND);
  EXPECT_EQ(told.said.ee_data, 999u);
  EXPECT_EQ(told.result, 200) << "without OPT_TSONLY the packet comes, too, cut to the room there is";
  EXPECT_EQ(told.stamp->tv_sec * 1'000'000'000 + told.stamp->tv_nsec, before.count());
  EXPECT_EQ(poll(client) & POLLERR, 0);
  std::array<char, 100> controls{};
  iovec piece{data, sizeof data};
  msghdr message{nullptr, 0, &piece, 1, controls.data(), controls.size(), 0};
  ASSERT_EQ(s.recvmsg(server, &message, 0), 64);
  timespec came{};
  ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
  std::memcpy(&came, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof came);
  EXPECT_EQ(came.tv_sec * 1'000'000'000 + came.tv_nsec, (before + milliseconds(50)).count());
  pollfd entry{client, 0, 0};
  EXPECT_EQ(s.poll(&entry, 1, 1000), 1);
  told = next_error(client);
  EXPECT_EQ(told.said.ee_info, SCM_TSTAMP_ACK);
  EXPECT_EQ(told.said.ee_data, 999u);
  EXPECT_EQ(told.stamp->tv_sec * 1'000'000'000 + told.stamp->tv_nsec, host.time().count());
}

}  // namespace
}  // namespace ff::posix
