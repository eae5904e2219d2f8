// Drives a stack, or several, from their devices, with real time and epoll. Everything happens in the thread that calls
// run().
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "device/file_descriptor.hpp"
#include "firstflight/device.hpp"
#include "firstflight/stack.hpp"
#include "runtime/busy_poll.hpp"

struct epoll_event;

namespace ff {

class Loop {
 public:
  // `stack` must outlive the loop. Throws std::system_error when the process may have no more descriptors.
  explicit Loop(Stack& stack);
  // Without a stack yet.
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The device of an interface that the stack has; it must outlive the loop.
  void add_device(InterfaceId interface, Device& device) { add_device(*sides_.front(), interface, device); }

  using EventHandler = std::function<void(Instant, const Event&)>;
  // Who is told the stack's events; may issue commands.
  void on_event(EventHandler handler) { sides_.front()->event_handler = std::move(handler); }

  // One more stack to drive, by a device of its own for one interface; all of them must outlive the loop. `handler` is
  // told its events, and may issue commands to any stack.
  void add_stack(Stack& stack, InterfaceId interface, Device& device, EventHandler handler);

  // Who is told that a device has gone away, after which it is not asked any more. Nobody: the loop ends then.
  using DeviceLostHandler = std::function<void(Instant, InterfaceId)>;
  void on_device_lost(DeviceLostHandler handler) { device_lost_handler_ = std::move(handler); }

  // `events` and what the callback is told are EPOLLIN and so on; level-triggered. The loop does not own the
  // descriptor, and wants it removed before it is closed. Throws std::system_error for what cannot be waited for, such
  // as a regular file.
  using DescriptorCallback = std::function<void(Instant, std::uint32_t events)>;
  void add_descriptor(int descriptor, std::uint32_t events, DescriptorCallback callback);
  void change_descriptor(int descriptor, std::uint32_t events);
  void remove_descriptor(int descriptor);
  // Instead of that and closing it: the kernel forgets what is closed. Nobody else may have it open.
  void close_descriptor(FileDescriptor descriptor) { descriptors_.erase(descriptor.get()); }

  // Blocks these signals for the thread, for good, and reports them here instead.
  using SignalCallback = std::function<void(Instant, int signal)>;
  void on_signals(std::initializer_list<int> signals, SignalCallback callback);

  using TimerCallback = std::function<void(Instant)>;
  // Names a call that is to come.
  struct TimerId {
    Instant due{};
    std::uint64_t number = 0;  // 0: none
    friend auto operator<=>(const TimerId&, const TimerId&) noexcept = default;
  };
  TimerId call_at(Instant due, TimerCallback callback);
  TimerId call_after(Duration delay, TimerCallback callback) { return call_at(now() + delay, std::move(callback)); }
  // False when the call has been made already.
  bool cancel(TimerId timer);

  // CLOCK_MONOTONIC. Inside callbacks it stands still, so that all they tell the stack happens at one time.
  [[nodiscard]] Instant now() noexcept;
  // What to add to now() to get nanoseconds since 1970.
  [[nodiscard]] static Duration wall_clock_offset() noexcept;

  // For how long run() may look for what comes before it sleeps, where that pays (busy_poll.hpp); not at all otherwise.
  void set_busy_poll(Duration most) noexcept { busy_poll_ = most; }

  // Works until a callback calls stop(). What that one told the stack is still sent.
  void run();
  void stop() noexcept { stopped_ = true; }

  // For whoever has a loop of their own: does everything that can be done now, and never sleeps. To be called when
  // descriptor() is readable, when next_deadline() has come, and after commands to the stack. True: there is more.
  bool poll();
  [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }
  [[nodiscard]] Instant next_deadline() const;

  struct Counters {
    std::uint64_t waits = 0;   // times that epoll was asked or slept in
    std::uint64_t polled = 0;  // of them those that busy polling ended, without sleep
    std::uint64_t rounds = 0;  // receive, deadlines, events, transmit
    std::uint64_t packets_in = 0, packets_out = 0;
    std::uint64_t full = 0;          // times that a device was full
    std::uint64_t no_interface = 0;  // packets for an interface that has no device
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Port {
    Device* device = nullptr;
    int descriptor = -1;
    bool readable = false;         // receive() may have something
    bool awaits_writable = false;  // EPOLLOUT is asked for
  };
  // One stack.
  struct Side {
    Side(Stack& its_stack, std::uint16_t its_number) : stack(its_stack), number(its_number) {}
    Stack& stack;
    std::uint16_t number;
    std::vector<Port> ports;  // by InterfaceId
    EventHandler event_handler;
    TxPacket tx;
    bool tx_pending = false;  // tx waits for its device, which was full
  };
  struct Descriptor {
    std::uint32_t generation;  // tells it from an earlier one with the same number
    std::shared_ptr<DescriptorCallback> callback;
  };

  bool run_round();
  Side& add_side(Stack& stack);
  void add_device(Side& side, InterfaceId interface, Device& device);
  void receive(Side& side, InterfaceId interface, Port& port);
  bool handle_events();
  bool send_out();
  bool transmit(Side& side);
  void run_timers();
  void wait(bool may_sleep);
  int sleep(std::span<epoll_event> ready);
  int look(std::span<epoll_event> ready, Instant until);
  void dispatch(std::uint64_t key, std::uint32_t events);
  void port_ready(Side& side, InterfaceId interface, std::uint32_t events);
  void port_lost(Side& side, InterfaceId interface);
  void await_writable(Side& side, Port& port, bool on);
  void control(int operation, int descriptor, std::uint32_t events, std::uint64_t key);

  FileDescriptor epoll_;
  bool running_ = false;
  bool stopped_ = false;
  Instant now_{};
  std::vector<std::unique_ptr<Side>> sides_;
  DeviceLostHandler device_lost_handler_;
  std::unordered_map<int, Descriptor> descriptors_;
  std::uint32_t last_generation_ = 0;
  std::vector<FileDescriptor> signal_descriptors_;
  std::map<TimerId, TimerCallback> timers_;
  std::uint64_t last_timer_ = 0;
  RxPacket rx_;
  Duration busy_poll_{};
  BusyPollJudge busy_poll_judge_;
  Counters counters_;
};

}  // namespace ff
