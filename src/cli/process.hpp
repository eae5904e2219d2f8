// Programs that this one starts, waits for and ends. They cannot outlive it: the kernel kills them when it ends,
// however it ends (PR_SET_PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "cli/netns.hpp"
#include "device/file_descriptor.hpp"

namespace ff::cli {

// SIGINT, SIGTERM or SIGHUP came while something was waited for. Whoever catches it has only to clean up.
struct Interrupted {
  int signal;
};

// While it lives, those signals are not deadly but thrown as Interrupted by the waits below. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

// Becomes readable (signalfd_siginfo) when one of these signals comes, which do nothing else from now on.
FileDescriptor signal_descriptor(std::initializer_list<int> signals);

using Milliseconds = std::chrono::milliseconds;

// Gives this process, and those that it starts from now on, precedence over all ordinary ones, where it may. For
// measurements: what else the machine does should not show in them.
void take_precedence();

class Process {
 public:
  // `argv[0]` is looked up in PATH, and in the sbin directories. `where`: the namespace it runs in, or null for ours.
  // Throws Failure when it cannot be started.
  Process(std::vector<std::string> argv, const Namespace* where);
  // Ends it: SIGTERM, and SIGKILL if it has not gone after two seconds.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Waits until it has ended; false when it still runs after that time. Throws Interrupted.
  bool wait(Milliseconds limit);
  // Waits until `ready()`. Throws Failure, with what the program said, when it ends first or the time is over.
  void wait_until(const std::function<bool()>& ready, Milliseconds limit);
  // Sends it a signal, if it still runs.
  void signal(int number) const noexcept;
  // SIGTERM, then waits as the destructor does.
  void end() noexcept;

  // Once it has ended: the exit status, or 128 and the signal.
  [[nodiscard]] int status() const noexcept { return status_; }
  // What it has written so far to its standard output and error.
  [[nodiscard]] std::string output() const { return contents(output_); }
  [[nodiscard]] std::string errors() const { return contents(errors_); }
  // Its name and what it said, in one line.
  [[nodiscard]] std::string complaint() const;

 private:
  static std::string contents(const FileDescriptor& file);
  [[noreturn]] void become_program(std::vector<char*>& argv, const Namespace* where, pid_t parent) const;
  bool wait_quietly(Milliseconds limit) noexcept;
  void reap() noexcept;

  std::vector<std::string> argv_;
  FileDescriptor output_, errors_;
  FileDescriptor handle_;  // readable once the process has ended
  pid_t id_ = -1;
  int status_ = -1;
  bool ended_ = false;
};

// Runs a program to its end and gives its standard output. Throws Failure when it fails or takes longer.
std::string run_program(std::vector<std::string> argv, const Namespace* where, Milliseconds limit);

// Whether there is such a program to be started.
bool program_exists(const std::string& name);

}  // namespace ff::cli
