#include "runtime/loop.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>
#include <span>
#include <system_error>

namespace ff {
namespace {

// How much is received before it is answered: enough to share one acknowledgement, little enough to stay in the cache
// until the application has read it.
constexpr std::size_t kReceivePackets = 64;
constexpr std::size_t kReceiveBytes = 256 * 1024;
// How much is sent before the devices are asked again for what came in.
constexpr std::size_t kTransmitPackets = 64;
// Rounds without asking epoll, so that other descriptors are never starved by a busy device.
constexpr int kRoundsPerWait = 16;
// The most that poll() makes whoever calls it wait; far more than a stack needs to come to rest that talks to itself.
constexpr int kRoundsPerPoll = 1024;
// How soon to try again a full device that cannot be waited for.
constexpr Duration kFullRetry = std::chrono::milliseconds(1);

// What epoll gives back: a device's stack and interface under this bit, or a descriptor under its generation.
constexpr std::uint64_t kPortKey = std::uint64_t{1} << 63;
std::uint64_t port_key(std::uint16_t side, InterfaceId interface) noexcept {
  return kPortKey | std::uint64_t{side} << 16 | interface;
}

constexpr timespec kNoTime{};

Duration read_clock(clockid_t clock) noexcept {
  timespec time;
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Instant read_monotonic() noexcept { return Instant(read_clock(CLOCK_MONOTONIC)); }

// Kernels before 5.11 and Valgrind know only the call that counts in milliseconds.
int wait_for(int epoll, std::span<epoll_event> ready, const timespec* timeout) noexcept {
  const int capacity = static_cast<int>(ready.size());
  const int count = ::epoll_pwait2(epoll, ready.data(), capacity, timeout, nullptr);
  if (count >= 0 || errno != ENOSYS) return count;
  if (timeout == nullptr) return ::epoll_wait(epoll, ready.data(), capacity, -1);
  const auto milliseconds = timeout->tv_sec * 1000 + (timeout->tv_nsec + 999'999) / 1'000'000;
  return ::epoll_wait(epoll, ready.data(), capacity, static_cast<int>(std::min<std::int64_t>(milliseconds, INT_MAX)));
}

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

// ---- set-up --------------------------------------------------------------------------------------------------------

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw_errno("epoll_create1");
}

Loop::Loop(Stack& stack) : Loop() { add_side(stack); }

Loop::Side& Loop::add_side(Stack& stack) {
  return *sides_.emplace_back(std::make_unique<Side>(stack, static_cast<std::uint16_t>(sides_.size())));
}

void Loop::add_stack(Stack& stack, InterfaceId interface, Device& device, EventHandler handler) {
  Side& side = add_side(stack);
  side.event_handler = std::move(handler);
  add_device(side, interface, device);
}

void Loop::control(int operation, int descriptor, std::uint32_t events, std::uint64_t key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (::epoll_ctl(epoll_.get(), operation, descriptor, &event) != 0) throw_errno("epoll_ctl");
}

void Loop::add_device(Side& side, InterfaceId interface, Device& device) {
  if (side.ports.size() <= interface) side.ports.resize(interface + std::size_t{1});
  Port& port = side.ports[interface];
  port = {.device = &device, .descriptor = device.poll_descriptor(), .readable = true};
  if (port.descriptor >= 0) control(EPOLL_CTL_ADD, port.descriptor, EPOLLIN, port_key(side.number, interface));
}

void Loop::add_descriptor(int descriptor, std::uint32_t events, DescriptorCallback callback) {
  last_generation_ = (last_generation_ + 1) & 0x7fffffff;
  control(EPOLL_CTL_ADD, descriptor, events, std::uint64_t{last_generation_} << 32 | static_cast<unsigned>(descriptor));
  descriptors_[descriptor] = {last_generation_, std::make_shared<DescriptorCallback>(std::move(callback))};
}

void Loop::change_descriptor(int descriptor, std::uint32_t events) {
  const std::uint32_t generation = descriptors_.at(descriptor).generation;
  control(EPOLL_CTL_MOD, descriptor, events, std::uint64_t{generation} << 32 | static_cast<unsigned>(descriptor));
}

void Loop::remove_descriptor(int descriptor) {
  if (descriptors_.erase(descriptor) != 0) control(EPOLL_CTL_DEL, descriptor, 0, 0);
}

void Loop::on_signals(std::initializer_list<int> signals, SignalCallback callback) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  FileDescriptor descriptor(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!descriptor) throw_errno("signalfd");
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    throw std::system_error(error, std::generic_category(), "pthread_sigmask");
  }
  const int number = descriptor.get();
  add_descriptor(number, EPOLLIN, [number, callback = std::move(callback)](Instant now, std::uint32_t) {
    signalfd_siginfo info;
    while (::read(number, &info, sizeof info) == sizeof info) callback(now, static_cast<int>(info.ssi_signo));
  });
  signal_descriptors_.push_back(std::move(descriptor));
}

Loop::TimerId Loop::call_at(Instant due, TimerCallback callback) {
  const TimerId id{due, ++last_timer_};
  timers_.emplace(id, std::move(callback));
  return id;
}

bool Loop::cancel(TimerId timer) { return timers_.erase(timer) != 0; }

Instant Loop::now() noexcept {
  if (!running_) now_ = read_monotonic();
  return now_;
}

Duration Loop::wall_clock_offset() noexcept { return read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC); }

// ---- running -------------------------------------------------------------------------------------------------------

void Loop::run() {
  now_ = read_monotonic();
  running_ = true;
  stopped_ = false;
  try {
    while (!stopped_) {
      bool more = true;
      for (int round = 0; more && round < kRoundsPerWait && !stopped_; ++round) more = run_round();
      if (!stopped_) wait(!more);
    }
    send_out();  // what the callback that ended the loop has told the stack, such as to abort
  } catch (...) {
    running_ = false;
    throw;
  }
  running_ = false;
}

bool Loop::poll() {
  now_ = read_monotonic();
  running_ = true;
  wait(false);
  bool more = true;
  for (int round = 0; more && round < kRoundsPerPoll; ++round) more = run_round();
  running_ = false;
  return more;
}

// The order is that of stack.hpp. True when it pays to go on without asking epoll.
bool Loop::run_round() {
  ++counters_.rounds;
  now_ = read_monotonic();
  for (const auto& side : sides_) {
    for (std::size_t i = 0; i < side->ports.size(); ++i) {
      Port& port = side->ports[i];
      if (port.device != nullptr && (port.readable || port.descriptor < 0))
        receive(*side, static_cast<InterfaceId>(i), port);
    }
    if (side->stack.next_deadline() <= now_) side->stack.handle_deadline(now_);
  }
  run_timers();
  handle_events();
  const bool transmit_left = send_out();
  const bool events_left = handle_events();
  const bool receive_left = std::ranges::any_of(sides_, [](const auto& side) {
    return std::ranges::any_of(side->ports, [](const Port& port) { return port.readable; });
  });
  return transmit_left || events_left || receive_left;
}

void Loop::receive(Side& side, InterfaceId interface, Port& port) {
  port.readable = true;
  std::size_t bytes = 0;
  for (std::size_t packets = 0; packets < kReceivePackets && bytes < kReceiveBytes; ++packets) {
    if (!port.device->receive(rx_)) {
      port.readable = false;
      return;
    }
    ++counters_.packets_in;
    bytes += rx_.bytes.size();
    side.stack.handle_packet(now_, interface, std::move(rx_));
  }
}

bool Loop::handle_events() {
  bool any = false;
  for (const auto& side : sides_) {
    while (const std::optional<Event> event = side->stack.poll_event()) {
      any = true;
      if (side->event_handler) side->event_handler(now_, *event);
    }
  }
  return any;
}

bool Loop::send_out() {
  bool left = false;
  for (const auto& side : sides_) {
    if (transmit(*side)) left = true;
    for (const Port& port : side->ports) {
      if (port.device != nullptr) port.device->flush(now_);
    }
  }
  return left;
}

// True when there is more to send and room for it.
bool Loop::transmit(Side& side) {
  TxPacket& tx = side.tx;
  for (std::size_t packets = 0; packets < kTransmitPackets; ++packets) {
    now_ = read_monotonic();
    if (!side.tx_pending && !side.stack.poll_transmit(now_, tx)) return false;
    side.tx_pending = false;
    Port* port = tx.interface < side.ports.size() ? &side.ports[tx.interface] : nullptr;
    if (port == nullptr || port->device == nullptr) {
      ++counters_.no_interface;
      continue;
    }
    if (port->device->send(now_, tx) == Device::SendResult::Full) {
      ++counters_.full;
      side.tx_pending = true;
      await_writable(side, *port, true);
      return false;
    }
    ++counters_.packets_out;
    // A peer on this machine has often answered before send() returns: look once more before sleeping.
    port->readable = true;
  }
  return true;
}

void Loop::run_timers() {
  // Those that callbacks add for now wait for the next round, so that one cannot keep the loop here.
  const std::uint64_t last = last_timer_;
  for (auto timer = timers_.begin(); timer != timers_.end() && timer->first.due <= now_; timer = timers_.begin()) {
    if (timer->first.number > last) break;
    const TimerCallback callback = std::move(timer->second);
    timers_.erase(timer);
    callback(now_);
  }
}

Instant Loop::next_deadline() const {
  Instant deadline = timers_.empty() ? kNever : timers_.begin()->first.due;
  for (const auto& side : sides_) {
    deadline = std::min(deadline, side->stack.next_deadline());
    if (side->tx_pending && side->ports[side->tx.interface].descriptor < 0)
      deadline = std::min(deadline, now_ + kFullRetry);
  }
  return deadline;
}

// ---- waiting -------------------------------------------------------------------------------------------------------

void Loop::wait(bool may_sleep) {
  ++counters_.waits;
  std::array<epoll_event, 64> ready;
  const int count = may_sleep ? sleep(ready) : wait_for(epoll_.get(), ready, &kNoTime);
  if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
  now_ = read_monotonic();
  for (int i = 0; i < count && !stopped_; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    dispatch(event.data.u64, event.events);
  }
}

int Loop::sleep(std::span<epoll_event> ready) {
  const Instant deadline = next_deadline();
  const Instant soon = read_monotonic() + busy_poll_;
  if (busy_poll_judge_.pays()) {
    const int count = look(ready, std::min(soon, deadline));
    busy_poll_judge_.looked(count > 0);
    if (count != 0) return count;
  }
  const auto left = std::max((deadline - read_monotonic()).count(), Duration::rep{0});
  const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
  const int count = wait_for(epoll_.get(), ready, deadline == kNever ? nullptr : &timeout);
  busy_poll_judge_.slept(read_monotonic() < soon);
  return count;
}

int Loop::look(std::span<epoll_event> ready, Instant until) {
  do {
    const int count = wait_for(epoll_.get(), ready, &kNoTime);
    if (count > 0) ++counters_.polled;
    if (count != 0) return count;
  } while (read_monotonic() < until);
  return 0;
}

void Loop::dispatch(std::uint64_t key, std::uint32_t events) {
  if ((key & kPortKey) != 0) {
    port_ready(*sides_[key >> 16 & 0xffff], static_cast<InterfaceId>(key), events);
    return;
  }
  const auto found = descriptors_.find(static_cast<int>(key & 0xffffffff));
  // An earlier callback of this batch may have removed it.
  if (found == descriptors_.end() || found->second.generation != key >> 32) return;
  const std::shared_ptr<DescriptorCallback> callback = found->second.callback;  // it may remove itself
  (*callback)(now_, events);
}

void Loop::port_ready(Side& side, InterfaceId interface, std::uint32_t events) {
  Port& port = side.ports[interface];
  if ((events & EPOLLIN) != 0) port.readable = true;
  if ((events & EPOLLOUT) != 0) await_writable(side, port, false);
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLIN) == 0) port_lost(side, interface);
}

void Loop::port_lost(Side& side, InterfaceId interface) {
  Port& port = side.ports[interface];
  control(EPOLL_CTL_DEL, port.descriptor, 0, 0);
  port = {};
  if (device_lost_handler_) {
    device_lost_handler_(now_, interface);
  } else {
    stop();
  }
}

void Loop::await_writable(Side& side, Port& port, bool on) {
  if (port.descriptor < 0 || port.awaits_writable == on) return;
  port.awaits_writable = on;
  const auto interface = static_cast<InterfaceId>(&port - side.ports.data());
  control(EPOLL_CTL_MOD, port.descriptor, on ? EPOLLIN | EPOLLOUT : EPOLLIN, port_key(side.number, interface));
}

}  // namespace ff
