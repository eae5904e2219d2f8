#include "cli/group_witness.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

// A set of signals, as it goes over the channel.
using Mask = std::uint64_t;
Mask bit(int signal) noexcept { return Mask{1} << signal; }

sigset_t set_of(Mask signals) noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (int signal = 1; signal < 64; ++signal)
    if ((signals & bit(signal)) != 0) sigaddset(&set, signal);
  return set;
}

// Asked for some signals, answers which of them have come since it was asked for them last.
[[noreturn]] void testify(int channel, Mask signals, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const sigset_t set = set_of(signals);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const int pending = ::signalfd(-1, &set, SFD_NONBLOCK);
  if (pending < 0 || ::getppid() != parent) ::_exit(1);
  // Who reads what we write is not to wait for this process, which writes nothing.
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (standard != channel && standard != pending) ::close(standard);
  Mask seen = 0, asked = 0;
  while (::recv(channel, &asked, sizeof asked, 0) == sizeof asked) {
    signalfd_siginfo info{};
    while (::read(pending, &info, sizeof info) == sizeof info) seen |= bit(static_cast<int>(info.ssi_signo));
    const Mask answer = seen & asked;
    seen &= ~asked;
    ::send(channel, &answer, sizeof answer, MSG_NOSIGNAL);
  }
  ::_exit(0);
}

}  // namespace

GroupWitness::GroupWitness(std::initializer_list<int> signals) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw Failure(fmt::format("socketpair: {}", std::strerror(errno)));
  channel_ = FileDescriptor(ends[0]);
  const FileDescriptor theirs(ends[1]);
  Mask mask = 0;
  for (const int signal : signals) mask |= bit(signal);
  const pid_t parent = ::getpid();
  id_ = ::fork();
  if (id_ < 0) throw Failure(fmt::format("fork: {}", std::strerror(errno)));
  if (id_ != 0) return;
  channel_ = FileDescriptor();
  testify(theirs.get(), mask, parent);
}

GroupWitness::~GroupWitness() {
  ::kill(id_, SIGKILL);
  while (::waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool GroupWitness::saw(int signal) noexcept {
  // The kernel signals a group under a lock that this call takes as well: once it returns, with whatever result, the
  // whole group has the signal that we have.
  (void)::setpgid(0, ::getpgrp());
  const Mask asked = bit(signal);
  Mask answer = 0;
  if (::send(channel_.get(), &asked, sizeof asked, MSG_NOSIGNAL) != sizeof asked) return false;
  ssize_t size;
  do {
    size = ::recv(channel_.get(), &answer, sizeof answer, 0);
  } while (size < 0 && errno == EINTR);
  return size == sizeof answer && (answer & asked) != 0;
}

}  // namespace ff::cli
