#include "cli/namespaced_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "cli/commands.hpp"
#include "device/link.hpp"
#include "device/tun.hpp"

namespace ff::cli {
namespace {

// What the process says before it waits: this, with the descriptors, or a sentence that tells what is missing.
constexpr std::string_view kReady = "ready";
constexpr std::size_t kLongestComplaint = 512;
constexpr std::uint32_t kQueueLength = 4096;

[[noreturn]] void fail(const std::string& what, int error) {
  throw Failure(fmt::format("{}: {}", what, std::strerror(error)));
}

template <typename Result>
void require(const Result& outcome) {
  if (!outcome) throw Failure(outcome.error());
}

void write_file(const char* path, const std::string& text) {
  const FileDescriptor file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail(fmt::format("writing {}", path), errno);
}

// The user is the same inside; the groups beyond the first are not there (user_namespaces(7)).
void enter_user_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) {
    const int error = errno;
    throw Failure(
        fmt::format("no user namespaces for ordinary users here ({}): run as root, or let root allow them "
                    "(sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, "
                    "kernel.apparmor_restrict_unprivileged_userns)",
                    std::strerror(error)));
  }
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", fmt::format("{} {} 1", user, user));
  write_file("/proc/self/gid_map", fmt::format("{} {} 1", group, group));
}

void enter_namespaces(bool with_mounts) {
  const int kinds = CLONE_NEWNET | (with_mounts ? CLONE_NEWNS : 0);
  if (::unshare(kinds) == 0) return;
  if (errno != EPERM) fail("making a network namespace", errno);
  enter_user_namespace();
  if (::unshare(kinds) != 0) fail("making a network namespace in a user namespace", errno);
  // As an ordinary user the program is to listen on ports under 1024 here, which `-p` gives it.
  write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  // And to ping, by sockets that need no capability; what the host allows shows outside.
  write_file("/proc/sys/net/ipv4/ping_group_range", fmt::format("{0} {0}", ::getegid()));
}

void replace_resolv_conf(const std::string& text) {
  // Nothing that is mounted here is to be seen outside.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) fail("keeping mounts to ourselves", errno);
  std::string name = "/tmp/ff-resolv.conf-XXXXXX";
  const FileDescriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) fail("making a file in /tmp", errno);
  ::fchmod(file.get(), 0644);
  const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool mounted = written && ::mount(name.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0;
  const int error = errno;
  ::unlink(name.c_str());
  if (!mounted) fail("replacing /etc/resolv.conf", error);
}

FileDescriptor make_device(const NamespaceOptions& options) {
  auto tun = TunDevice::open({.name = options.device, .create = true, .offload = options.offload});
  require(tun);
  const std::string& name = (*tun)->name();
  require(link::set_up("lo"));
  require(link::set_mtu(name, options.mtu));
  (void)link::set_queue_length(name, kQueueLength);  // for which a user namespace's capability does not suffice
  require(link::set_up(name));
  for (const Cidr& address : options.addresses) require(link::add_address(name, address));
  for (const IpAddress& gateway : options.gateways)
    require(link::add_route(name, {gateway.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6(), 0}, gateway));
  // Until then the kernel drops what the program sends.
  for (int attempt = 0; attempt < 200 && !link::is_settled(name); ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return std::move(**tun).release();
}

void send_descriptors(int channel, std::string_view text, std::array<int, 2> descriptors) {
  iovec piece{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> room{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(head), descriptors.data(), sizeof descriptors);
  if (::sendmsg(channel, &message, MSG_NOSIGNAL) < 0) fail("handing over the device", errno);
}

}  // namespace

NamespacedProgram::NamespacedProgram(const NamespaceOptions& options, std::vector<std::string> argv) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) fail("socketpair", errno);
  channel_ = FileDescriptor(ends[0]);
  FileDescriptor theirs(ends[1]);
  const pid_t parent = ::getpid();
  id_ = ::fork();
  if (id_ < 0) fail("fork", errno);
  if (id_ == 0) become_program(options, argv, parent, theirs.get());
  theirs = FileDescriptor();
  handle_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));
  const std::string complaint = handle_ ? receive_device() : fmt::format("pidfd_open: {}", std::strerror(errno));
  if (complaint.empty()) return;
  ::kill(id_, SIGKILL);
  wait();
  throw Failure(complaint);
}

NamespacedProgram::~NamespacedProgram() {
  if (ended_) return;
  ::kill(id_, SIGKILL);
  wait();
}

// Between fork and exec, in the same process group as we: a terminal's signals and job control reach both.
void NamespacedProgram::become_program(const NamespaceOptions& options, std::vector<std::string>& argv, pid_t parent,
                                       int channel) const {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // without us it has no network, and nobody to return its status to
  if (::getppid() != parent) ::_exit(127);
  try {
    enter_namespaces(options.resolv_conf.has_value());
    const FileDescriptor device = make_device(options);
    if (options.resolv_conf) replace_resolv_conf(*options.resolv_conf);
    const FileDescriptor space(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!space) fail("opening /proc/self/ns/net", errno);
    send_descriptors(channel, kReady, {device.get(), space.get()});
  } catch (const std::exception& error) {
    ::send(channel, error.what(), std::strlen(error.what()), MSG_NOSIGNAL);
    ::_exit(127);
  }
  char go = 0;
  if (::recv(channel, &go, 1, 0) != 1) ::_exit(127);
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& word : argv) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execvp(pointers.front(), pointers.data());
  const int error = errno;
  ::send(channel, &error, sizeof error, MSG_NOSIGNAL);
  ::_exit(127);
}

// What is wrong, or an empty string.
std::string NamespacedProgram::receive_device() {
  std::array<char, kLongestComplaint> text{};
  std::array<int, 2> descriptors{};
  iovec piece{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> room{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  ssize_t size;
  do {
    size = ::recvmsg(channel_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return "the network namespace cannot be made: its process ended";
  const std::string_view said(text.data(), static_cast<std::size_t>(size));
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (said != kReady || head == nullptr) return std::string(said);
  std::memcpy(descriptors.data(), CMSG_DATA(head), sizeof descriptors);
  device_ = FileDescriptor(descriptors[0]);
  namespace_ = FileDescriptor(descriptors[1]);
  return {};
}

std::optional<int> NamespacedProgram::exec() {
  ::send(channel_.get(), "", 1, MSG_NOSIGNAL);
  int error = 0;
  ssize_t size;
  do {
    size = ::recv(channel_.get(), &error, sizeof error, 0);  // nothing comes, and the end, when exec closes it
  } while (size < 0 && errno == EINTR);
  channel_ = FileDescriptor();
  return size == sizeof error ? std::optional(error) : std::nullopt;
}

void NamespacedProgram::signal(int number) const noexcept {
  if (!ended_) ::kill(id_, number);
}

int NamespacedProgram::wait() {
  int status = 0;
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
  return status;
}

}  // namespace ff::cli
