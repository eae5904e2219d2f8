#include "cli/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr Milliseconds kGrace{2000};

// The guard's, or -1 without one. It is the process's as its signals are.
int interrupts = -1;
sigset_t mask_before;

int rest_of(SteadyClock::time_point deadline) {
  const auto rest = std::chrono::ceil<Milliseconds>(deadline - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<long>(rest, 0, 1 << 30));
}

// Waits until `descriptor` (or -1) is readable; false when the time is over. Throws Interrupted.
bool wait_readable(int descriptor, Milliseconds limit) {
  const auto deadline = SteadyClock::now() + limit;
  for (;;) {
    std::array<pollfd, 2> files{{{descriptor, POLLIN, 0}, {interrupts, POLLIN, 0}}};
    const int count = ::poll(files.data(), files.size(), rest_of(deadline));
    if (count < 0 && errno != EINTR) throw Failure(fmt::format("waiting: {}", std::strerror(errno)));
    if (count > 0 && files[1].revents != 0) {
      signalfd_siginfo info{};
      if (::read(interrupts, &info, sizeof info) == sizeof info) throw Interrupted{static_cast<int>(info.ssi_signo)};
    }
    if (count > 0 && files[0].revents != 0) return true;
    if (count == 0 && SteadyClock::now() >= deadline) return false;
  }
}

// nginx lies in /usr/sbin, which an ordinary user's PATH lacks.
std::string search_path() {
  const char* path = std::getenv("PATH");
  return fmt::format("{}:/usr/local/sbin:/usr/sbin:/sbin", path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path);
}

// The file that a program's name stands for, or "".
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const std::string path = search_path();
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    std::string file = path.substr(begin, end - begin) + "/" + name;
    if (::access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return {};
}

}  // namespace

InterruptGuard::InterruptGuard() {
  // A shell starts background jobs with SIGINT ignored, and the kernel drops what is ignored before we could see it. An
  // ignored SIGHUP is the user's wish, as nohup expresses it.
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, &mask_before);
  interrupts = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (interrupts < 0) throw Failure(fmt::format("signalfd: {}", std::strerror(errno)));
}

InterruptGuard::~InterruptGuard() {
  ::close(std::exchange(interrupts, -1));
  sigprocmask(SIG_SETMASK, &mask_before, nullptr);
}

FileDescriptor signal_descriptor(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  FileDescriptor descriptor(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!descriptor) throw Failure(fmt::format("signals cannot be caught: {}", std::strerror(errno)));
  return descriptor;
}

void take_precedence() {
  sched_param lowest{};
  lowest.sched_priority = ::sched_get_priority_min(SCHED_RR);
  // A container may forbid the one and allow the other.
  if (::sched_setscheduler(0, SCHED_RR, &lowest) != 0) (void)::setpriority(PRIO_PROCESS, 0, -20);
}

Process::Process(std::vector<std::string> argv, const Namespace* where) : argv_(std::move(argv)) {
  output_ = FileDescriptor(::memfd_create("output", MFD_CLOEXEC));
  errors_ = FileDescriptor(::memfd_create("errors", MFD_CLOEXEC));
  const std::string file = find_program(argv_.front());
  if (file.empty()) throw Failure(fmt::format("there is no program {}; install it", argv_.front()));
  std::vector<std::string> words = argv_;
  words.front() = file;
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  id_ = ::fork();
  if (id_ < 0) throw Failure(fmt::format("starting {}: {}", argv_.front(), std::strerror(errno)));
  if (id_ == 0) become_program(pointers, where, parent);
  // Not pidfd_open(): glibc 2.36 declares it without C linkage.
  handle_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));
  if (!handle_) throw Failure(fmt::format("pidfd_open: {}", std::strerror(errno)));
}

// Between fork and exec. A group of its own keeps the terminal's Ctrl-C from it: we decide who ends when.
void Process::become_program(std::vector<char*>& argv, const Namespace* where, pid_t parent) const {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before it could tell the kernel
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output_.get(), STDOUT_FILENO);
  ::dup2(errors_.get(), STDERR_FILENO);
  if (where == nullptr || ::setns(where->descriptor(), CLONE_NEWNET) == 0) ::execv(argv.front(), argv.data());
  ::dprintf(STDERR_FILENO, "cannot be started: %s\n", ::strerror(errno));
  ::_exit(127);
}

Process::~Process() { end(); }

void Process::signal(int number) const noexcept {
  if (!ended_) ::kill(id_, number);
}

void Process::end() noexcept {
  if (ended_) return;
  ::kill(id_, SIGTERM);
  if (wait_quietly(kGrace)) return;
  ::kill(id_, SIGKILL);
  reap();
}

// Not to be interrupted: it is part of cleaning up.
bool Process::wait_quietly(Milliseconds limit) noexcept {
  const auto deadline = SteadyClock::now() + limit;
  pollfd file{handle_.get(), POLLIN, 0};
  int count;
  do {
    count = ::poll(&file, 1, rest_of(deadline));
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  reap();
  return true;
}

void Process::reap() noexcept {
  int status = 0;
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ended_ = true;
}

bool Process::wait(Milliseconds limit) {
  if (ended_) return true;
  if (!wait_readable(handle_.get(), limit)) return false;
  reap();
  return true;
}

void Process::wait_until(const std::function<bool()>& ready, Milliseconds limit) {
  const auto deadline = SteadyClock::now() + limit;
  while (!ready()) {
    if (wait(Milliseconds(5))) throw Failure(complaint());
    if (SteadyClock::now() >= deadline)
      throw Failure(fmt::format("not ready after {} ms: {}", limit.count(), complaint()));
  }
}

std::string Process::contents(const FileDescriptor& file) {
  std::string text;
  std::array<char, 4096> chunk;
  // From the start each time, and without moving the offset that the program writes at.
  while (true) {
    const ssize_t count = ::pread(file.get(), chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
    if (count <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

std::string Process::complaint() const {
  std::string said = errors();
  if (said.empty()) said = output();
  std::ranges::replace(said, '\n', ' ');
  while (said.ends_with(' ')) said.pop_back();
  const std::string how = ended_ ? fmt::format(" (exit status {})", status_) : "";
  return fmt::format("{}{}: {}", fmt::join(argv_, " "), how, said.empty() ? "it said nothing" : said);
}

std::string run_program(std::vector<std::string> argv, const Namespace* where, Milliseconds limit) {
  Process process(std::move(argv), where);
  if (!process.wait(limit)) throw Failure(fmt::format("not done after {} ms: {}", limit.count(), process.complaint()));
  if (process.status() != 0) throw Failure(process.complaint());
  return process.output();
}

bool program_exists(const std::string& name) { return !find_program(name).empty(); }

}  // namespace ff::cli
