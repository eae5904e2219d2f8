#include "runtime/link_emulator.hpp"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <system_error>

#include "device/offload_header.hpp"
#include "device/segmenter.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff {
namespace {

constexpr std::uint32_t kMaxPacket = 65535;
constexpr std::uint16_t kUdpChecksumOffset = 6;
// Where a packet starts in the room it is read into: the offload header fits before it.
constexpr std::uint32_t kPacketOffset = 16;
constexpr std::uint32_t kRoom = kPacketOffset + kMaxPacket;
// Read at a time from one side, so that the other side's turn and deadlines come soon.
constexpr int kBatch = 64;

Instant clock_now() noexcept { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

OffloadHeader load_offload_header(const std::uint8_t* from) noexcept {
  OffloadHeader head;
  std::memcpy(&head, from, sizeof head);
  return head;
}

// The kernel leaves a checksum undone when it believes that the packet does not leave the machine. False when the place
// of the checksum is not inside the packet.
bool complete_checksum(MutableByteSpan packet, const OffloadHeader& head) noexcept {
  const std::size_t field = std::size_t{head.checksum_start} + head.checksum_offset;
  if (field + 2 > packet.size()) return false;
  wire::ChecksumAccumulator sum;  // the field itself brings in the pseudo-header
  sum.add(packet.subspan(head.checksum_start));
  std::uint16_t checksum = sum.checksum();
  if (checksum == 0 && head.checksum_offset == kUdpChecksumOffset)
    checksum = 0xffff;  // RFC 768: 0 means that there is none
  wire::store_be16(packet.data() + field, checksum);
  return true;
}

}  // namespace

// ---- one direction -------------------------------------------------------------------------------------------------

EmulatedPath::EmulatedPath(const TunDevice& from, const TunDevice& to, const sim::LinkOptions& options)
    : from_(from.poll_descriptor()),
      to_(to.poll_descriptor()),
      prefix_(from.offload() ? kOffloadHeader : 0),
      whole_(options.only_delays()),
      link_(options),
      frames_(kRoom),
      cut_(kMaxPacket) {
  assert(from.offload() == to.offload());
}

sim::LinkCounts EmulatedPath::link_counts() const noexcept {
  sim::LinkCounts counts = link_.counts();
  if (whole_) counts.delivered_bytes -= counts.delivered * prefix_;  // offload headers
  return counts;
}

bool EmulatedPath::receive() {
  for (int i = 0; i < kBatch; ++i) {
    room_ = frames_.reserve(kRoom);
    const ssize_t size = ::read(from_, room_ + kPacketOffset - prefix_, prefix_ + kMaxPacket);
    if (size < 0) return errno != EBADFD && errno != ENODEV;
    if (size <= static_cast<ssize_t>(prefix_)) continue;
    ++counts_.received;
    const auto packet_size = static_cast<std::uint32_t>(size) - prefix_;
    const Instant now = clock_now();
    whole_ ? take_whole(now, packet_size) : take_as_on_a_wire(now, packet_size);
    deliver(now);
  }
  return true;
}

// Super-segments keep their undone checksum: the kernel will not take them otherwise.
void EmulatedPath::take_whole(Instant now, std::uint32_t size) {
  if (prefix_ != 0) {
    std::uint8_t* const at = room_ + kPacketOffset - prefix_;
    OffloadHeader head = load_offload_header(at);
    if (head.gso_type == OffloadHeader::kGsoNone && (head.flags & OffloadHeader::kNeedsChecksum) != 0) {
      if (!complete_checksum({room_ + kPacketOffset, size}, head)) {
        ++counts_.malformed;
        return;
      }
      head = {};
      std::memcpy(at, &head, sizeof head);
    }
  }
  link_.enqueue(now, frames_.commit(kPacketOffset - prefix_, prefix_ + size));
}

void EmulatedPath::take_as_on_a_wire(Instant now, std::uint32_t size) {
  Slice frame = frames_.commit(kPacketOffset, size);
  const bool finished = prefix_ == 0 || load_offload_header(room_ + kPacketOffset - prefix_).flags == 0;
  if (finished) {
    link_.enqueue(now, std::move(frame));
    return;
  }
  if (!describe(frame, room_ + kPacketOffset - prefix_)) {
    ++counts_.malformed;
    return;
  }
  for (Segmenter segmenter(packet_); segmenter.remaining() > 0;) {
    std::uint8_t* const to = cut_.reserve(segmenter.next_size());
    link_.enqueue(now, cut_.commit(0, segmenter.next(to)));
  }
  packet_.clear();
}

// Puts into packet_ what the kernel says of a packet that it has not finished. False when it does not hold together.
bool EmulatedPath::describe(const Slice& packet, const std::uint8_t* offload_header) {
  const OffloadHeader head = load_offload_header(offload_header);
  const bool partial = (head.flags & OffloadHeader::kNeedsChecksum) != 0;
  const bool super_segment = head.gso_type != OffloadHeader::kGsoNone;
  packet_.clear();
  std::uint32_t header = std::min<std::uint32_t>(packet.size(), kMaxHeader);
  if (super_segment) {
    const std::uint32_t data_offset = head.checksum_start + 12u;  // RFC 9293 §3.1
    if (!partial || head.gso_size == 0 || data_offset >= packet.size()) return false;
    header = head.checksum_start + (packet.data()[data_offset] >> 4) * 4u;
    if (header < head.checksum_start + wire::kTcpHeaderSize || header > packet.size() || header > kMaxHeader)
      return false;
    packet_.segment_size = head.gso_size;
  }
  if (partial) {
    if (head.checksum_start + head.checksum_offset + 2u > header) return false;
    packet_.checksum_wanted = true;
    packet_.checksum_start = head.checksum_start;
    packet_.checksum_offset = head.checksum_offset;
  }
  std::memcpy(packet_.header_bytes.data(), packet.data(), header);
  packet_.header_size = static_cast<std::uint16_t>(header);
  packet_.payload_size = packet.size() - header;
  if (packet_.payload_size > 0) {
    packet_.payload_pieces[0] = packet.sub(header);
    packet_.payload_piece_count = 1;
  }
  return true;
}

void EmulatedPath::deliver(Instant now) {
  while (const auto packet = link_.dequeue(now)) {
    if (!write(*packet)) ++counts_.refused;
  }
}

bool EmulatedPath::write(const Slice& packet) const {
  if (whole_ || prefix_ == 0) return ::write(to_, packet.data(), packet.size()) >= 0;
  OffloadHeader head{};  // one packet, its checksum to be verified
  const std::array<iovec, 2> pieces{{{&head, sizeof head}, {const_cast<std::uint8_t*>(packet.data()), packet.size()}}};
  return ::writev(to_, pieces.data(), pieces.size()) >= 0;
}

// ---- both directions -----------------------------------------------------------------------------------------------

LinkEmulator::LinkEmulator(const TunDevice& a, const TunDevice& b, const sim::LinkOptions& a_to_b,
                           const sim::LinkOptions& b_to_a)
    : devices_{&a, &b},
      paths_{EmulatedPath(a, b, a_to_b), EmulatedPath(b, a, b_to_a)},
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  watch(a.poll_descriptor());
  watch(b.poll_descriptor());
}

void LinkEmulator::watch(int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

std::expected<void, std::string> LinkEmulator::run(int stop) {
  // A thread's timers are late by up to 50 us unless it asks for better.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  watch(stop);
  for (;;) {
    const Instant deadline = std::min(paths_[0].next_deadline(), paths_[1].next_deadline());
    if (!wait_until(deadline, stop)) return {};
    for (std::size_t i = 0; i < paths_.size(); ++i) {
      if (!paths_[i].receive()) return std::unexpected("TUN device " + devices_[i]->name() + " is gone");
    }
    for (EmulatedPath& path : paths_) path.deliver(clock_now());
  }
}

// Sleeps until a packet or the deadline comes; false when it is time to stop.
bool LinkEmulator::wait_until(Instant deadline, int stop) const {
  timespec timeout{};
  if (deadline != kNever) {
    const auto left = std::max(deadline - clock_now(), Duration::zero()).count();
    timeout = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
  }
  std::array<epoll_event, 3> events;
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   deadline == kNever ? nullptr : &timeout, nullptr);
  return std::none_of(events.begin(), events.begin() + std::max(count, 0),
                      [stop](const epoll_event& event) { return event.data.fd == stop; });
}

}  // namespace ff
