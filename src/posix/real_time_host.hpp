// Sockets on real time: one stack that talks to itself over a loopback interface and to the world over devices. Calls
// do the stack's work in the thread that makes them, as system calls do; a thread of its own takes care of what comes
// between calls.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "device/file_descriptor.hpp"
#include "device/loopback.hpp"
#include "firstflight/stack.hpp"
#include "posix/host.hpp"
#include "posix/sockets.hpp"
#include "runtime/loop.hpp"

namespace ff::posix {

class RealTimeHost final : public Host {
 public:
  explicit RealTimeHost(StackConfig config);
  ~RealTimeHost() override;

  // Every use of what follows, and of sockets(), is under this lock. A call that blocks gives it up while it does.
  [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }
  [[nodiscard]] Sockets& sockets() noexcept { return sockets_; }
  [[nodiscard]] Stack& stack() noexcept { return stack_; }
  Result<void> add_device(InterfaceConfig config, std::unique_ptr<Device> device);

  // Becomes readable when anything has happened, until it is read: for waiting for other descriptors, too.
  class Bell {
   public:
    explicit Bell(RealTimeHost& host);
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;
    ~Bell();
    [[nodiscard]] int descriptor() const noexcept { return event_.get(); }

   private:
    RealTimeHost& host_;
    FileDescriptor event_;
  };

  Instant now() override { return loop_.now(); }
  Duration wall_clock_offset() override { return Loop::wall_clock_offset(); }
  void work() override;
  void sleep_until(Instant deadline) override;
  void broken_pipe() override;
  // Whether this thread's call is to raise SIGPIPE: to be asked when the lock is given up, for a handler may make
  // calls.
  static bool take_broken_pipe() noexcept;
  int take_number() override;
  void give_back_number(int number) noexcept override;

 private:
  void attend();
  void tell_waiters();
  void rouse_attendant() const noexcept;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Stack stack_;
  Loop loop_;
  Loopback loopback_;
  std::vector<std::unique_ptr<Device>> devices_;
  Sockets sockets_;
  std::vector<int> bells_;
  std::uint64_t told_ = 0;  // of Sockets::changes()
  FileDescriptor rouse_;    // readable: the attendant is to look again
  Instant attendant_sleeps_until_ = kNever;
  bool ending_ = false;
  std::thread attendant_;
};

}  // namespace ff::posix
