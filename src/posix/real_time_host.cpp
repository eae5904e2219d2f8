#include "posix/real_time_host.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <utility>

namespace ff::posix {
namespace {

FileDescriptor new_event() {
  FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) throw std::system_error(errno, std::generic_category(), "eventfd");
  return event;
}

void ring(int event) noexcept {
  const std::uint64_t one = 1;
  if (::write(event, &one, sizeof one) < 0) return;  // it rings already
}

void silence(int event) noexcept {
  std::uint64_t count = 0;
  if (::read(event, &count, sizeof count) < 0) return;  // it does not ring
}

std::chrono::steady_clock::time_point on_the_clock(Instant instant) noexcept {
  return std::chrono::steady_clock::time_point(instant.time_since_epoch());  // both are CLOCK_MONOTONIC
}

timespec time_until(Instant deadline, Instant now) noexcept {
  const auto left = std::max(deadline - now, Duration::zero()).count();
  return {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
}

InterfaceConfig loopback_interface(const Loopback& device) {
  InterfaceConfig config;
  config.name = "lo";
  config.mtu = device.mtu();
  config.addresses = {*Cidr::parse("127.0.0.1/8"), *Cidr::parse("::1/128")};
  config.loopback = true;
  return config;
}

}  // namespace

RealTimeHost::RealTimeHost(StackConfig config)
    : stack_(std::move(config)), loop_(stack_), sockets_(stack_, *this), rouse_(new_event()) {
  loop_.add_device(*stack_.add_interface(loopback_interface(loopback_)), loopback_);
  loop_.on_event([this](Instant, const Event& event) { sockets_.handle(event); });
  // Signals are the program's affair, and are to meet its threads.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  attendant_ = std::thread([this] { attend(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

RealTimeHost::~RealTimeHost() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    rouse_attendant();
  }
  attendant_.join();
}

Result<void> RealTimeHost::add_device(InterfaceConfig config, std::unique_ptr<Device> device) {
  const auto interface = stack_.add_interface(std::move(config));
  if (!interface) return std::unexpected(interface.error());
  loop_.add_device(*interface, *device);
  devices_.push_back(std::move(device));
  rouse_attendant();
  return {};
}

// What happens when nobody calls: packets that come, and deadlines.
void RealTimeHost::attend() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const bool more = loop_.poll();
    tell_waiters();
    attendant_sleeps_until_ = more ? Instant() : loop_.next_deadline();
    const timespec timeout = more ? timespec{} : time_until(attendant_sleeps_until_, loop_.now());
    const bool for_ever = attendant_sleeps_until_ == kNever;
    std::array<pollfd, 2> descriptors{{{loop_.descriptor(), POLLIN, 0}, {rouse_.get(), POLLIN, 0}}};
    lock.unlock();
    ::ppoll(descriptors.data(), descriptors.size(), for_ever ? nullptr : &timeout, nullptr);
    silence(rouse_.get());
    lock.lock();
  }
}

void RealTimeHost::work() {
  const bool more = loop_.poll();
  tell_waiters();
  if (more || loop_.next_deadline() < attendant_sleeps_until_) rouse_attendant();
}

void RealTimeHost::tell_waiters() {
  if (std::exchange(told_, sockets_.changes()) == sockets_.changes()) return;
  changed_.notify_all();
  for (const int bell : bells_) ring(bell);
}

void RealTimeHost::rouse_attendant() const noexcept { ring(rouse_.get()); }

void RealTimeHost::sleep_until(Instant deadline) {
  if (deadline == kNever) return changed_.wait(mutex_);
  changed_.wait_until(mutex_, on_the_clock(deadline));
}

namespace {
thread_local bool pipe_broke = false;
}

void RealTimeHost::broken_pipe() { pipe_broke = true; }
bool RealTimeHost::take_broken_pipe() noexcept { return std::exchange(pipe_broke, false); }

// A real descriptor stands for each of ours, so that no other file gets its number.
int RealTimeHost::take_number() {
  const int number = ::eventfd(0, EFD_CLOEXEC);
  return number < 0 ? -errno : number;
}

void RealTimeHost::give_back_number(int number) noexcept { ::close(number); }

RealTimeHost::Bell::Bell(RealTimeHost& host) : host_(host), event_(new_event()) {
  host_.bells_.push_back(event_.get());
}

RealTimeHost::Bell::~Bell() { std::erase(host_.bells_, event_.get()); }

}  // namespace ff::posix
