#include "packetdrill/virtual_host.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "device/segmenter.hpp"

namespace ff::packetdrill {
namespace {

// This thread was woken and has made the others wait for it.
thread_local bool is_awaited = false;

// As packetdrill itself finds out, too.
bool sleeps(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string id, name;
  char state = 'S';  // it may have ended
  file >> id >> name >> state;
  return state == 'S';
}

}  // namespace

VirtualHost::VirtualHost(StackConfig config, InterfaceConfig interface)
    : stack_(std::move(config)), sockets_(stack_, *this) {
  interface_ = *stack_.add_interface(std::move(interface));
  for (const char* all : {"0.0.0.0/0", "::/0"}) {
    Route route;
    route.prefix = *Cidr::parse(all);
    route.interface = interface_;
    (void)stack_.add_route(route);  // no address of that family, no route
  }
}

// ---- time

Instant VirtualHost::read_clock() {
  if (std::exchange(is_awaited, false)) {
    --awake_;
    returning_.push_back(::gettid());
    settled_.notify_all();
    return now_;
  }
  advance_to(now_ + std::chrono::microseconds(1));
  return now_;
}

void VirtualHost::let_threads_finish() {
  std::vector<pid_t> threads;
  {
    const std::lock_guard lock(mutex_);
    threads.swap(returning_);
  }
  for (const pid_t thread : threads)
    for (int waited_ms = 0; waited_ms < 1000 && !sleeps(thread); ++waited_ms)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Instant VirtualHost::next_deadline() const {
  const Instant first = stack_.next_deadline();
  return sleepers_.empty() ? first : std::min(first, *sleepers_.begin());
}

void VirtualHost::advance_to(Instant time) {
  for (;;) {
    settle();
    const Instant next = next_deadline();
    now_ = std::max(now_, std::min(next, time));
    if (next > time) return;
    if (stack_.next_deadline() <= now_) stack_.handle_deadline(now_);
    work();
    wake_sleepers();
  }
}

void VirtualHost::settle() {
  settled_.wait(mutex_, [this] { return awake_ == 0; });
}

void VirtualHost::wake_sleepers() {
  if (sleepers_.empty()) return;
  awake_ += static_cast<int>(sleepers_.size());
  sleepers_.clear();
  ++wakes_;
  wake_.notify_all();
}

void VirtualHost::sleep_until(Instant deadline) {
  if (std::this_thread::get_id() == script_) {
    // Nobody else moves the clock.
    const Instant next = std::min(deadline, next_deadline());
    if (next == kNever) {
      std::fputs("firstflight: a call of the script blocks, and nothing can ever end it\n", stderr);
      std::_Exit(1);
    }
    return advance_to(next);
  }
  sleepers_.insert(deadline);
  if (std::exchange(is_awaited, false)) {
    --awake_;
    settled_.notify_all();
  }
  const std::uint64_t before = wakes_;
  wake_.wait(mutex_, [&] { return wakes_ != before; });
  is_awaited = true;
}

// ---- packets

void VirtualHost::deliver(std::span<const std::uint8_t> packet) {
  settle();
  std::uint8_t* const room = slabs_.reserve(static_cast<std::uint32_t>(packet.size()));
  std::ranges::copy(packet, room);
  RxPacket received;
  received.bytes = slabs_.commit(0, static_cast<std::uint32_t>(packet.size()));
  stack_.handle_packet(now_, interface_, std::move(received));
  work();
  wake_sleepers();
}

void VirtualHost::set_device_full(bool full) {
  device_full_ = full;
  work();
}

void VirtualHost::work() {
  for (;;) {
    while (const std::optional<Event> event = stack_.poll_event()) sockets_.handle(*event);
    if (device_full_ || !stack_.poll_transmit(now_, tx_)) {
      if (stack_.next_deadline() > now_) return;
      stack_.handle_deadline(now_);
      continue;
    }
    for (Segmenter segmenter(tx_); segmenter.remaining() > 0;) {
      SentPacket packet{.at = now_, .bytes = std::vector<std::uint8_t>(segmenter.next_size())};
      segmenter.next(packet.bytes.data());
      sent_.push_back(std::move(packet));
    }
  }
}

std::optional<SentPacket> VirtualHost::take_sent() {
  for (;;) {
    settle();
    if (!sent_.empty()) break;
    const Instant next = next_deadline();
    if (next == kNever) return std::nullopt;
    advance_to(next);
  }
  SentPacket packet = std::move(sent_.front());
  sent_.pop_front();
  return packet;
}

// ---- descriptors

// A real descriptor stands for each of ours: at its end packetdrill closes them by libc's close().
int VirtualHost::take_number() {
  const int number = ::eventfd(0, EFD_CLOEXEC);
  return number < 0 ? -errno : number;
}

void VirtualHost::give_back_number(int number) noexcept { ::close(number); }

}  // namespace ff::packetdrill
