// Drives one stack from its devices, with real time and epoll. Everything happens in the thread that calls run().
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "firstflight/device.hpp"
#include "firstflight/stack.hpp"

namespace ff {

class Loop {
 public:
  // Throws std::system_error when the process may have no more descriptors. `stack` must outlive the loop.
  explicit Loop(Stack& stack);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The device of an interface that the stack has; it must outlive the loop.
  void add_device(InterfaceId interface, Device& device);

  using EventHandler = std::function<void(Instant, const Event&)>;
  // Who is told the stack's events; may issue commands.
  void on_event(EventHandler handler) { event_handler_ = std::move(handler); }

  // `events` and what the callback is told are EPOLLIN and so on. The loop does not own the descriptor.
  using DescriptorCallback = std::function<void(Instant, std::uint32_t events)>;
  void add_descriptor(int descriptor, std::uint32_t events, DescriptorCallback callback);
  void change_descriptor(int descriptor, std::uint32_t events);
  void remove_descriptor(int descriptor);

  // Blocks these signals for the thread and reports them here instead.
  void on_signals(std::initializer_list<int> signals, std::function<void(Instant, int signal)> callback);

  using TimerCallback = std::function<void(Instant)>;
  // Names a call that has not happened yet.
  struct TimerId {
    Instant due{};
    std::uint64_t number = 0;  // 0: none
    friend auto operator<=>(const TimerId&, const TimerId&) noexcept = default;
  };
  TimerId call_at(Instant due, TimerCallback callback);
  TimerId call_after(Duration delay, TimerCallback callback) { return call_at(now() + delay, std::move(callback)); }
  // False when the call has happened already.
  bool cancel(TimerId timer);

  // CLOCK_MONOTONIC.
  [[nodiscard]] static Instant now() noexcept;
  // What to add to now() to get nanoseconds since 1970.
  [[nodiscard]] static Duration wall_clock_offset() noexcept;

  // Works until stop() is called, by a callback.
  void run();
  void stop() noexcept { stopped_ = true; }

  struct Counters {
    std::uint64_t waits = 0;  // calls of epoll_pwait2
    std::uint64_t batches = 0;
    std::uint64_t packets_in = 0, packets_out = 0;
    std::uint64_t full = 0;          // times that a device was full
    std::uint64_t no_interface = 0;  // packets for an interface without device
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Port {
    Device* device = nullptr;
    int descriptor = -1;
    bool waiting_to_send = false;  // EPOLLOUT is asked for
  };

  bool work();
  std::size_t receive_batch();
  void handle_events(Instant);
  bool transmit();
  Device::SendResult send(Instant);
  void run_timers(Instant);
  void wait();
  void await_writable(Port&, bool on);
  [[nodiscard]] Instant next_deadline() const;

  Stack& stack_;
  int epoll_ = -1;
  bool stopped_ = false;
  std::vector<Port> ports_;  // by InterfaceId
  EventHandler event_handler_;
  std::unordered_map<int, std::shared_ptr<DescriptorCallback>> descriptors_;
  std::map<TimerId, TimerCallback> timers_;
  std::uint64_t last_timer_ = 0;
  int signal_descriptor_ = -1;
  RxPacket rx_;
  TxPacket tx_;
  bool tx_pending_ = false;  // tx_ waits for its device, which was full
  Counters counters_;
};

}  // namespace ff
