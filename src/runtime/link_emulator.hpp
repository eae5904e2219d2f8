// Joins two TUN devices by a link with the properties of sim::Link: what the kernel sends into one comes out of the
// other, both ways.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>

#include "device/file_descriptor.hpp"
#include "device/slab_cursor.hpp"
#include "device/tun.hpp"
#include "firstflight/packet.hpp"
#include "sim/link.hpp"

namespace ff {

// One direction.
class EmulatedPath {
 public:
  // The devices must have the same offloads, and outlive this.
  EmulatedPath(const TunDevice& from, const TunDevice& to, const sim::LinkOptions& options);

  // Takes what the kernel has sent, up to a batch. False when `from` is gone.
  bool receive();
  // Hands over what has arrived.
  void deliver(Instant now);
  [[nodiscard]] Instant next_deadline() const noexcept { return link_.next_deadline(); }

  // What happened besides what the link counts.
  struct Counts {
    std::uint64_t received = 0;   // packets and super-segments from the kernel
    std::uint64_t malformed = 0;  // of these, what no wire can carry
    std::uint64_t refused = 0;    // arrived, and not taken by the kernel: the device is down, as a rule
  };
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] sim::LinkCounts link_counts() const noexcept;

 private:
  void take_whole(Instant now, std::uint32_t size);
  void take_as_on_a_wire(Instant now, std::uint32_t size);
  bool describe(const Slice& packet, const std::uint8_t* offload_header);
  [[nodiscard]] bool write(const Slice& packet) const;

  int from_;
  int to_;
  std::uint32_t prefix_;  // bytes of offload header before each packet that is read or written
  // No packet's fate depends on what it is: it passes as the kernel gave it, offload header and all.
  bool whole_;
  sim::Link link_;
  SlabCursor frames_;  // what is read
  SlabCursor cut_;     // what is cut or completed from it
  std::uint8_t* room_ = nullptr;
  TxPacket packet_;
  Counts counts_;
};

class LinkEmulator {
 public:
  // Throws std::system_error when the process may have no more descriptors. The devices must outlive this.
  LinkEmulator(const TunDevice& a, const TunDevice& b, const sim::LinkOptions& a_to_b, const sim::LinkOptions& b_to_a);

  // Works until `stop` becomes readable. The error, one sentence: a device went away.
  std::expected<void, std::string> run(int stop);

  [[nodiscard]] const EmulatedPath& a_to_b() const noexcept { return paths_[0]; }
  [[nodiscard]] const EmulatedPath& b_to_a() const noexcept { return paths_[1]; }

 private:
  void watch(int descriptor);
  [[nodiscard]] bool wait_until(Instant deadline, int stop) const;

  std::array<const TunDevice*, 2> devices_;
  std::array<EmulatedPath, 2> paths_;
  FileDescriptor epoll_;
};

}  // namespace ff
