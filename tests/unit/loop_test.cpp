// The loop with a real stack; its peer is the kernel, whose sockets the same loop watches.
#include "runtime/loop.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <thread>

#include "device/memory_pair.hpp"
#include "kernel_peer.hpp"
#include "network_namespace.hpp"
#include "packet_samples.hpp"

namespace ff {
namespace {

using namespace std::chrono_literals;
using test::Bytes;

Stack make_stack() { return Stack({.seed = Seed::from_number(1)}); }

// ---- timers, descriptors, signals ----------------------------------------------------------------------------------

TEST(Loop, CallsTimersInTheirOrderAndNotEarly) {
  Stack stack = make_stack();
  Loop loop(stack);
  const Instant start = loop.now();
  std::string order;
  const auto note = [&](char name, Instant due) {
    return [&order, name, due](Instant now) {
      EXPECT_GE(now, due);
      EXPECT_LT(now, due + 2s);
      order += name;
    };
  };
  loop.call_at(start + 20ms, note('c', start + 20ms));
  loop.call_at(start + 10ms, note('a', start + 10ms));
  loop.call_at(start + 10ms, note('b', start + 10ms));
  loop.call_after(30ms, [&](Instant) { loop.stop(); });
  loop.run();
  EXPECT_EQ(order, "abc");
  EXPECT_GE(loop.now(), start + 30ms);
  EXPECT_LE(loop.counters().waits, 10u) << "it sleeps until something is due";
}

TEST(Loop, CancelledTimersAreNotCalled) {
  Stack stack = make_stack();
  Loop loop(stack);
  int calls = 0;
  const Loop::TimerId kept = loop.call_after(1ms, [&](Instant) { ++calls; });
  const Loop::TimerId cancelled = loop.call_after(1ms, [&](Instant) { ADD_FAILURE(); });
  EXPECT_TRUE(loop.cancel(cancelled));
  EXPECT_FALSE(loop.cancel(cancelled));
  EXPECT_FALSE(loop.cancel(Loop::TimerId{}));
  loop.call_after(2ms, [&](Instant) { loop.stop(); });
  loop.run();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(loop.cancel(kept));
}

// A callback that is always due again must not keep the loop from the rest of its work.
TEST(Loop, ATimerThatRenewsItselfStarvesNobody) {
  Stack stack = make_stack();
  Loop loop(stack);
  const FileDescriptor ready(::eventfd(1, EFD_CLOEXEC));
  std::function<void(Instant)> again = [&](Instant now) { loop.call_at(now, again); };
  again(loop.now());
  loop.add_descriptor(ready.get(), EPOLLIN, [&](Instant, std::uint32_t) { loop.stop(); });
  loop.run();
}

TEST(Loop, TellsWhatADescriptorIsReadyFor) {
  Stack stack = make_stack();
  Loop loop(stack);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  FileDescriptor read_end(ends[0]), write_end(ends[1]);
  std::string seen;
  loop.add_descriptor(write_end.get(), EPOLLOUT, [&](Instant, std::uint32_t events) {
    EXPECT_EQ(events, static_cast<std::uint32_t>(EPOLLOUT));
    EXPECT_EQ(::write(write_end.get(), "x", 1), 1);
    loop.change_descriptor(write_end.get(), 0);
  });
  loop.add_descriptor(read_end.get(), EPOLLIN, [&](Instant, std::uint32_t events) {
    char byte;
    if (events & EPOLLIN) {
      EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);
      seen += byte;
      loop.remove_descriptor(write_end.get());
      write_end = FileDescriptor();
      return;
    }
    EXPECT_NE(events & EPOLLHUP, 0u);
    loop.remove_descriptor(read_end.get());  // itself
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(seen, "x");
}

// Both are ready in one batch. Whichever comes first removes the other and puts a new one under its number.
TEST(Loop, AReusedDescriptorDoesNotGetItsPredecessorsEvents) {
  Stack stack = make_stack();
  Loop loop(stack);
  FileDescriptor pair[2] = {FileDescriptor(::eventfd(1, EFD_CLOEXEC)), FileDescriptor(::eventfd(1, EFD_CLOEXEC))};
  int calls = 0;
  for (int i = 0; i < 2; ++i) {
    loop.add_descriptor(pair[i].get(), EPOLLIN, [&, i](Instant, std::uint32_t) {
      ++calls;
      const int number = pair[1 - i].get();
      loop.remove_descriptor(number);
      pair[1 - i] = FileDescriptor();
      pair[1 - i] = FileDescriptor(::eventfd(0, EFD_CLOEXEC));  // never ready
      ASSERT_EQ(pair[1 - i].get(), number);
      loop.add_descriptor(number, EPOLLIN, [](Instant, std::uint32_t) { ADD_FAILURE() << "it was not ready"; });
      loop.remove_descriptor(pair[i].get());
      loop.call_after(5ms, [&](Instant) { loop.stop(); });
    });
  }
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(Loop, WhatCannotBeWaitedForIsAnError) {
  Stack stack = make_stack();
  Loop loop(stack);
  const test::TemporaryFile file;
  const FileDescriptor regular(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_THROW(loop.add_descriptor(regular.get(), EPOLLIN, [](Instant, std::uint32_t) {}), std::system_error);
}

TEST(Loop, ReportsSignals) {
  Stack stack = make_stack();
  Loop loop(stack);
  std::vector<int> signals;
  loop.on_signals({SIGUSR1, SIGUSR2}, [&](Instant, int signal) {
    signals.push_back(signal);
    if (signal == SIGUSR2) loop.stop();
  });
  loop.call_after(1ms, [](Instant) { ::pthread_kill(::pthread_self(), SIGUSR1); });
  loop.call_after(5ms, [](Instant) { ::pthread_kill(::pthread_self(), SIGUSR2); });
  loop.run();
  EXPECT_EQ(signals, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

TEST(Loop, AnExceptionOfACallbackReachesTheCaller) {
  Stack stack = make_stack();
  Loop loop(stack);
  loop.call_after(0ms, [](Instant) { throw std::runtime_error("from a callback"); });
  EXPECT_THROW(loop.run(), std::runtime_error);
  bool ran = false;
  loop.call_after(0ms, [&](Instant) {
    ran = true;
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(Loop, TimeStandsStillInACallback) {
  Stack stack = make_stack();
  Loop loop(stack);
  loop.call_after(0ms, [&](Instant now) {
    std::this_thread::sleep_for(2ms);
    EXPECT_EQ(loop.now(), now);
    loop.stop();
  });
  loop.run();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const auto ours = loop.now().time_since_epoch() + Loop::wall_clock_offset();
  EXPECT_LT(std::chrono::abs(wall - ours), 1s);
}

// ---- with devices --------------------------------------------------------------------------------------------------

// Sends back what it receives, and closes when the peer has and all is sent.
class EchoServer {
 public:
  EchoServer(Stack& stack, Loop& loop, IpAddress address) : stack_(stack) {
    const auto listener = stack.listen({.local = {address, 80}});
    EXPECT_TRUE(listener.has_value());
    loop.on_event([this](Instant now, const Event& event) { handle(now, event); });
  }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  void handle(Instant now, const Event& event) {
    EXPECT_GE(now, last_) << "time must not go backwards";
    last_ = now;
    if (event.bits & event_bits::kAcceptable) {
      while (const auto accepted = stack_.accept(event.listener)) {
        connection_ = *accepted;
        pump(now);
      }
      return;
    }
    if (event.connection == connection_) pump(now);
  }

  void pump(Instant now) {
    while (!closed_) {
      if (pending_.empty()) {
        auto piece = stack_.read_slice(now, connection_);
        if (!piece) return;
        if (piece->empty()) {
          closed_ = stack_.close(now, connection_).has_value();
          return;
        }
        pending_ = std::move(*piece);
      }
      const auto written = stack_.write(now, connection_, pending_.span());
      if (!written) return;
      pending_.drop_front(static_cast<std::uint32_t>(*written));
    }
  }

  Stack& stack_;
  ConnectionId connection_;
  Slice pending_;
  bool closed_ = false;
  Instant last_{};
};

// A kernel socket that writes `data` and reads until the end.
class KernelClient {
 public:
  KernelClient(Loop& loop, bool v6, Bytes data)
      : loop_(loop), kernel_(v6, SOCK_STREAM | SOCK_NONBLOCK, 80), data_(std::move(data)) {
    EXPECT_EQ(kernel_.connect(), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    loop.add_descriptor(kernel_.socket.get(), EPOLLIN | EPOLLOUT,
                        [this](Instant, std::uint32_t events) { ready(events); });
  }
  [[nodiscard]] const Bytes& received() const { return received_; }

 private:
  void ready(std::uint32_t events) {
    const int socket = kernel_.socket.get();
    if ((events & EPOLLOUT) != 0) {
      const ssize_t sent =
          ::send(socket, data_.data() + sent_, std::min<std::size_t>(data_.size() - sent_, 200'000), 0);
      if (sent > 0) sent_ += static_cast<std::size_t>(sent);
      if (sent_ == data_.size()) {
        ::shutdown(socket, SHUT_WR);
        loop_.change_descriptor(socket, EPOLLIN);
      }
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      static std::array<std::uint8_t, 200'000> part;
      const ssize_t size = ::recv(socket, part.data(), part.size(), 0);
      if (size > 0) received_.insert(received_.end(), part.begin(), part.begin() + size);
      if (size == 0 || (size < 0 && errno != EAGAIN)) {
        EXPECT_EQ(size, 0) << std::strerror(errno);
        loop_.remove_descriptor(socket);
        loop_.stop();
      }
    }
  }

  Loop& loop_;
  test::KernelSocket kernel_;
  Bytes data_;
  std::size_t sent_ = 0;
  Bytes received_;
};

InterfaceId add_interface(Stack& stack, std::uint16_t mtu = 1500) {
  const auto interface = stack.add_interface({.name = "ff-test",
                                              .mtu = mtu,
                                              .addresses = {*Cidr::parse("10.77.0.2/24"), *Cidr::parse("fd77::2/64")},
                                              .gateways = {}});
  EXPECT_TRUE(interface.has_value());
  return interface.value_or(InterfaceId{0});
}

// Is full every third time, and cannot be waited for.
class SlowDevice final : public Device {
 public:
  explicit SlowDevice(Device& inner) : inner_(inner) {}
  [[nodiscard]] std::uint16_t mtu() const noexcept override { return inner_.mtu(); }
  bool receive(RxPacket& packet) override { return inner_.receive(packet); }
  SendResult send(Instant now, TxPacket& packet) override {
    return ++tries_ % 3 == 0 ? SendResult::Full : inner_.send(now, packet);
  }
  void flush(Instant now) override { inner_.flush(now); }

 private:
  Device& inner_;
  unsigned tries_ = 0;
};

void echo_with_kernel(bool offload, bool v6, bool slow, std::uint32_t size) {
  const auto tun = test::open_with_addresses(offload);
  SlowDevice slowed(*tun);
  Stack stack = make_stack();
  Loop loop(stack);
  loop.add_device(add_interface(stack), slow ? static_cast<Device&>(slowed) : *tun);
  const EchoServer server(stack, loop, v6 ? IpAddress::any_v6() : IpAddress::any_v4());
  const Bytes data = test::sample_payload(size, 7);
  const KernelClient client(loop, v6, data);
  loop.call_after(20s, [&](Instant) {
    ADD_FAILURE() << "too slow; " << client.received().size() << " bytes came back";
    loop.stop();
  });
  // A slow device has no descriptor to wait for: something must wake the loop to look at it.
  std::function<void(Instant)> tick = [&](Instant now) { loop.call_at(now + 100us, tick); };
  if (slow) tick(loop.now());
  loop.run();
  EXPECT_TRUE(client.received() == data);
  EXPECT_TRUE(server.closed());
  EXPECT_EQ(stack.check(), "");
  EXPECT_EQ(loop.counters().full > 0, slow);
  EXPECT_EQ(loop.counters().no_interface, 0u);
  EXPECT_EQ(tun->counters().send_drops, 0u);
}

TEST(LoopWithKernel, Echoes) {
  FF_IN_NETWORK_NAMESPACE([] { echo_with_kernel(true, false, false, 20'000'000); });
}
TEST(LoopWithKernel, EchoesOverIpv6) {
  FF_IN_NETWORK_NAMESPACE([] { echo_with_kernel(true, true, false, 20'000'000); });
}
TEST(LoopWithKernel, EchoesWithoutOffload) {
  FF_IN_NETWORK_NAMESPACE([] { echo_with_kernel(false, false, false, 5'000'000); });
}
TEST(LoopWithKernel, EchoesThroughADeviceThatIsOftenFull) {
  FF_IN_NETWORK_NAMESPACE([] { echo_with_kernel(true, false, true, 1'000'000); });
}

TEST(LoopWithKernel, EndsWhenItsDeviceGoesAway) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto tun = test::open_with_addresses(true);
    Stack stack = make_stack();
    Loop loop(stack);
    const InterfaceId interface = add_interface(stack);
    loop.add_device(interface, *tun);
    loop.call_after(1ms, [](Instant) { EXPECT_EQ(std::system("ip link delete ff-test"), 0); });
    loop.run();  // nobody is told, so that it ends

    const auto second = test::open_with_addresses(true);
    loop.add_device(interface, *second);
    int lost = 0;
    loop.on_device_lost([&](Instant, InterfaceId which) {
      EXPECT_EQ(which, interface);
      ++lost;
      loop.call_after(5ms, [&](Instant) { loop.stop(); });
    });
    loop.call_after(1ms, [](Instant) { EXPECT_EQ(std::system("ip link delete ff-test"), 0); });
    loop.run();
    EXPECT_EQ(lost, 1);
  });
}

TEST(Loop, CountsPacketsForInterfacesWithoutDevice) {
  Stack stack = make_stack();
  Loop loop(stack);
  add_interface(stack);
  EXPECT_TRUE(stack.connect(loop.now(), {.remote = *Endpoint::parse("10.77.0.9:80")}).has_value());
  loop.call_after(1ms, [&](Instant) { loop.stop(); });
  loop.run();
  EXPECT_EQ(loop.counters().no_interface, 1u);
}

// Such as the resets of a program that ends.
TEST(Loop, SendsWhatTheLastCallbackAskedFor) {
  MemoryPair pair;
  Stack stack = make_stack();
  Loop loop(stack);
  loop.add_device(add_interface(stack), pair.a());
  const FileDescriptor ready(::eventfd(1, EFD_CLOEXEC));
  loop.add_descriptor(ready.get(), EPOLLIN, [&](Instant now, std::uint32_t) {
    EXPECT_TRUE(stack.connect(now, {.remote = *Endpoint::parse("10.77.0.9:80")}).has_value());
    loop.stop();
  });
  loop.run();
  RxPacket packet;
  EXPECT_TRUE(pair.b().receive(packet));
}

// A device that is full and has no descriptor is tried again without anything else happening.
TEST(Loop, TriesAFullDeviceAgain) {
  MemoryPair pair({.queue_packets = 1});
  Stack stack = make_stack();
  Loop loop(stack);
  loop.add_device(add_interface(stack), pair.a());
  for (const char* remote : {"10.77.0.8:80", "10.77.0.9:80"}) {
    EXPECT_TRUE(stack.connect(loop.now(), {.remote = *Endpoint::parse(remote)}).has_value());
  }
  RxPacket packet;
  int received = 0;
  // Only looks, and sends nothing: it is the loop that has to come back to the packet that waits.
  std::function<void(Instant)> look = [&](Instant now) {
    if ((received == 1 || loop.counters().full > 1) && pair.b().receive(packet)) ++received;
    if (received == 2) loop.stop();
    loop.call_at(now + 5ms, look);
  };
  look(loop.now());
  loop.call_after(500ms, [&](Instant) { loop.stop(); });  // before the first retransmission
  loop.run();
  EXPECT_EQ(received, 2);
  EXPECT_EQ(loop.counters().packets_out, 2u);
}

// Nothing happens: the loop sleeps.
TEST(Loop, SleepsWhenThereIsNothingToDo) {
  MemoryPair pair;
  Stack stack = make_stack();
  Loop loop(stack);
  loop.add_device(add_interface(stack), pair.a());
  loop.call_after(50ms, [&](Instant) { loop.stop(); });
  loop.run();
  EXPECT_LE(loop.counters().waits, 3u);
  EXPECT_LE(loop.counters().rounds, 6u);
}

// ---- busy polling --------------------------------------------------------------------------------------------------

// Works as often as `times`, each time because something is there already.
Loop::Counters work_at_once(Loop& loop, int times) {
  const FileDescriptor ready(::eventfd(1, EFD_CLOEXEC));
  loop.add_descriptor(ready.get(), EPOLLIN, [&](Instant, std::uint32_t) {
    if (--times == 0) loop.stop();
  });
  loop.run();
  loop.remove_descriptor(ready.get());
  return loop.counters();
}

TEST(Loop, PollsBusilyWhereSomethingComesSoon) {
  Loop loop;
  loop.set_busy_poll(1s);  // so that nobody who needs the processor can make it look in vain
  const auto counters = work_at_once(loop, 100);
  EXPECT_EQ(counters.waits, 100u);
  EXPECT_EQ(counters.polled, 99u) << "all but the first, before which nobody knew";
}

TEST(Loop, PollsBusilyOnlyWhenTold) {
  Loop loop;
  EXPECT_EQ(work_at_once(loop, 100).polled, 0u);
}

// Otherwise an idle program would keep a processor busy.
TEST(Loop, DoesNotPollBusilyWhereNothingComesSoon) {
  Loop loop;
  loop.set_busy_poll(100us);
  int ticks = 0;
  std::function<void(Instant)> tick = [&](Instant) { ++ticks < 50 ? (void)loop.call_after(2ms, tick) : loop.stop(); };
  tick(loop.now());
  timespec before{}, after{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  loop.run();
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  EXPECT_EQ(loop.counters().polled, 0u);
  const auto used =
      std::chrono::seconds(after.tv_sec - before.tv_sec) + std::chrono::nanoseconds(after.tv_nsec - before.tv_nsec);
  EXPECT_LT(used, 50ms) << "of the 98 that it waited";
}

TEST(Loop, TimersAreDueWhileItPollsBusily) {
  Loop loop;
  loop.set_busy_poll(10s);
  work_at_once(loop, 10);  // from now on it polls
  const Instant start = loop.now();
  loop.call_at(start + 20ms, [&](Instant now) {
    EXPECT_GE(now, start + 20ms);
    loop.stop();
  });
  loop.run();
  EXPECT_LT(loop.now(), start + 5s);
}

TEST(BusyPollJudge, BeginsWhenSomethingCameSoonAndGoesOnWhileItFindsSomething) {
  BusyPollJudge judge;
  EXPECT_FALSE(judge.pays());
  judge.slept(false);
  EXPECT_FALSE(judge.pays());
  judge.slept(true);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(judge.pays());
    judge.looked(true);
  }
}

TEST(BusyPollJudge, LooksInVainEverMoreSeldom) {
  BusyPollJudge judge;
  int in_vain = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (judge.pays()) {
      ++in_vain;
      judge.looked(false);
    } else {
      judge.slept(true);
    }
  }
  EXPECT_GT(in_vain, 90) << "it still tries, one time in a thousand";
  EXPECT_LT(in_vain, 120);
  while (!judge.pays()) judge.slept(true);
  for (int i = 0; i < 10; ++i) judge.looked(true);
  judge.looked(false);
  judge.slept(true);
  judge.slept(true);
  EXPECT_TRUE(judge.pays()) << "what it finds restores its trust";
}

TEST(BusyPollJudge, NeverLooksAgainWhileNothingComesSoon) {
  BusyPollJudge judge;
  judge.slept(true);
  judge.looked(false);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(judge.pays());
    judge.slept(false);
  }
}

}  // namespace
}  // namespace ff
