// Sockets on virtual time, for a script that moves the clock: nothing happens but while it calls. A call that blocks
// does so on a thread of its own; the clock stands still until that thread waits again, or has asked what time it is.
// So the same script runs the same way every time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "device/slab_cursor.hpp"
#include "firstflight/stack.hpp"
#include "posix/host.hpp"
#include "posix/sockets.hpp"

namespace ff::packetdrill {

struct SentPacket {
  Instant at;
  std::vector<std::uint8_t> bytes;
};

class VirtualHost final : public posix::Host {
 public:
  VirtualHost(StackConfig config, InterfaceConfig interface);

  // Every use of what follows is under this lock.
  [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }
  [[nodiscard]] posix::Sockets& sockets() noexcept { return sockets_; }
  [[nodiscard]] Stack& stack() noexcept { return stack_; }

  // What time it is, a microsecond later each time: whoever spins until a certain time gets there.
  Instant read_clock();
  void advance(Duration span) { advance_to(now_ + span); }
  // Waits, in real time, until the threads that came back from a call that blocked are done with what they do about it;
  // not under the lock, for they want it.
  void let_threads_finish();
  // A packet comes in.
  void deliver(std::span<const std::uint8_t> packet);
  // The device takes nothing any more; or does again.
  void set_device_full(bool full);
  // The next packet that goes out, the clock being moved as far as it takes; nothing: none ever will.
  std::optional<SentPacket> take_sent();

  Instant now() override { return now_; }
  Duration wall_clock_offset() override { return kWallClockOffset; }
  void work() override;
  void sleep_until(Instant deadline) override;
  void broken_pipe() override {}  // a script sees EPIPE
  int take_number() override;
  void give_back_number(int number) noexcept override;

 private:
  // Some day, the same in every run.
  static constexpr Duration kWallClockOffset = std::chrono::seconds(1'700'000'000);

  [[nodiscard]] Instant next_deadline() const;
  void advance_to(Instant time);
  void wake_sleepers();
  // Waits until every thread that was woken sleeps again, or has asked for the time.
  void settle();

  std::mutex mutex_;
  std::condition_variable_any wake_, settled_;
  Instant now_{std::chrono::seconds(1000)};
  Stack stack_;
  posix::Sockets sockets_;
  InterfaceId interface_;
  SlabCursor slabs_{65536};
  TxPacket tx_;
  bool device_full_ = false;
  std::deque<SentPacket> sent_;
  const std::thread::id script_ = std::this_thread::get_id();
  std::multiset<Instant> sleepers_;  // until when
  std::uint64_t wakes_ = 0;
  int awake_ = 0;                 // woken, and not done with it
  std::vector<pid_t> returning_;  // have asked for the time since they were woken
};

}  // namespace ff::packetdrill
