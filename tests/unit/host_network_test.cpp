// Streams over the host's sockets, in a network namespace where the kernel is their server.
#include "relay/host_network.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device/link.hpp"
#include "network_namespace.hpp"
#include "relay/socket_address.hpp"

namespace ff::relay {
namespace {

using namespace std::chrono_literals;

const Endpoint kServer{IpAddress::v4(127, 0, 0, 1), 80};

void loopback_up() {
  const auto up = link::set_up("lo");
  ASSERT_TRUE(up.has_value()) << up.error();
}

// A server of the kernel's, with Fast Open.
class Server {
 public:
  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    std::ofstream("/proc/sys/net/ipv4/tcp_fastopen") << 3;
    const int queue = 16;
    ::setsockopt(listener_.get(), IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue);
    const SocketAddress address = SocketAddress::of(kServer);
    EXPECT_EQ(::bind(listener_.get(), address.get(), address.size), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
  }
  [[nodiscard]] FileDescriptor accept() const { return FileDescriptor(::accept(listener_.get(), nullptr, nullptr)); }

 private:
  FileDescriptor listener_;
};

std::string received(const FileDescriptor& socket) {
  std::array<char, 100> room;
  const ssize_t size = ::recv(socket.get(), room.data(), room.size(), 0);
  return {room.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

Piece piece(std::string_view text) { return {Slice::copy_of(as_bytes(text)), false}; }

void run_for(Loop& loop, Duration time) {
  loop.call_after(time, [&](Instant) { loop.stop(); });
  loop.run();
}

// A client of that server, whose SYN has taken a whole request along.
struct EarlyClient {
  EarlyClient() {
    for (bool has_cookie : {false, true}) {
      stream = network.connect(loop.now(), kServer, true).value();
      if (!has_cookie) run_for(loop, 20ms);
      if (!has_cookie) (void)server.accept();
    }
    EXPECT_EQ(stream->state(), Stream::State::WaitsForWrite);
    stream->on_change([this](Instant) { ++changes; });
    Piece request = piece("request");
    EXPECT_TRUE(stream->write(loop.now(), request));
    accepted = server.accept();
    EXPECT_EQ(received(accepted), "request");
  }

  Loop loop;
  HostNetwork network{loop, {}};
  Server server;
  std::unique_ptr<Stream> stream;
  FileDescriptor accepted;
  int changes = 0;
};

TEST(HostStream, AnswerComesBeforeTheResetBehindItAlsoToWhatRodeInTheSyn) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    EarlyClient client;
    EXPECT_EQ(::send(client.accepted.get(), "answer", 6, 0), 6);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.accepted.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client.accepted = FileDescriptor();
    run_for(client.loop, 20ms);
    const auto read = client.stream->read(client.loop.now());
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->bytes.text(), "answer");
  });
}

TEST(HostStream, IsNotWokenForTheAcknowledgementOfItsSyn) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    EarlyClient client;
    run_for(client.loop, 20ms);
    EXPECT_EQ(client.changes, 0);
    EXPECT_EQ(::send(client.accepted.get(), "answer", 6, 0), 6);
    run_for(client.loop, 20ms);
    EXPECT_EQ(client.changes, 1);
    EXPECT_EQ(client.stream->state(), Stream::State::Open);
    EXPECT_EQ(client.stream->read(client.loop.now()).value().bytes.text(), "answer");
  });
}

TEST(HostStream, IsWokenForItWhenThereIsMoreToWrite) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    EarlyClient client;
    Piece more = piece(" and more");
    EXPECT_EQ(client.stream->write(client.loop.now(), more).error(), Error::WouldBlock);
    run_for(client.loop, 20ms);
    EXPECT_EQ(client.stream->state(), Stream::State::Open);
    EXPECT_TRUE(client.stream->write(client.loop.now(), more));
    EXPECT_EQ(received(client.accepted), " and more");
  });
}

TEST(HostStream, EndsItsSideOnceTheServerHasAnsweredTheSyn) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    EarlyClient client;
    client.stream->shutdown_write(client.loop.now());
    run_for(client.loop, 20ms);
    EXPECT_EQ(received(client.accepted), "") << "the FIN";
    EXPECT_EQ(::send(client.accepted.get(), "answer", 6, 0), 6);
    run_for(client.loop, 20ms);
    EXPECT_EQ(client.stream->read(client.loop.now()).value().bytes.text(), "answer");
  });
}

// Who had no room hears of it when there is some, also after having heard of it before.
TEST(HostStream, HearsOfRoomAsOftenAsItWaits) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    EarlyClient client;
    ASSERT_EQ(::send(client.accepted.get(), "answer", 6, 0), 6);
    run_for(client.loop, 20ms);
    ASSERT_EQ(client.stream->state(), Stream::State::Open);
    std::vector<char> room(1 << 20);
    for (int i = 0; i < 3; ++i) {
      std::size_t written = 0;
      for (Result<void> done; done;) {
        Piece more = piece({room.data(), room.size()});
        done = client.stream->write(client.loop.now(), more);
        written += room.size() - more.bytes.size();
      }
      run_for(client.loop, 20ms);
      const int before = client.changes;
      while (written > 0) {
        const ssize_t size = ::recv(client.accepted.get(), room.data(), std::min(written, room.size()), 0);
        ASSERT_GT(size, 0);
        written -= static_cast<std::size_t>(size);
      }
      run_for(client.loop, 20ms);
      EXPECT_GT(client.changes, before) << i;
    }
  });
}

// Not under sanitizers: these want descriptors themselves, to see whether memory can be read.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FF_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FF_SANITIZED
#endif
#endif
#ifndef FF_SANITIZED

// Clients who cannot be given a descriptor wait, and cost nothing while they do.
TEST(HostNetwork, WaitsForDescriptors) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    Loop loop;
    HostNetwork network(loop, {});
    int arrived = 0;
    ASSERT_TRUE(network.listen(kServer, [&](Instant now, Network::Arrival arrival) {
      ++arrived;
      arrival.stream->close(now);
    }));
    const FileDescriptor client(::socket(AF_INET, SOCK_STREAM, 0));
    const SocketAddress address = SocketAddress::of(kServer);
    ASSERT_EQ(::connect(client.get(), address.get(), address.size), 0);
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t usual = std::exchange(limit.rlim_cur, static_cast<rlim_t>(client.get()) + 1);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    run_for(loop, 250ms);
    EXPECT_EQ(arrived, 0);
    EXPECT_LT(loop.counters().waits, 20u);
    limit.rlim_cur = usual;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    run_for(loop, 250ms);
    EXPECT_EQ(arrived, 1);
  });
}

TEST(HostNetwork, MayGoWhileItWaits) {
  FF_IN_NETWORK_NAMESPACE([] {
    loopback_up();
    Loop loop;
    const FileDescriptor client(::socket(AF_INET, SOCK_STREAM, 0));
    {
      HostNetwork network(loop, {});
      ASSERT_TRUE(network.listen(kServer, [](Instant, const Network::Arrival&) { ADD_FAILURE(); }));
      const SocketAddress address = SocketAddress::of(kServer);
      ASSERT_EQ(::connect(client.get(), address.get(), address.size), 0);
      const rlimit none{.rlim_cur = 0, .rlim_max = 4096};
      ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
      run_for(loop, 20ms);
    }
    run_for(loop, 150ms);
  });
}

#endif

}  // namespace
}  // namespace ff::relay
