// The device of a loopback interface: what a stack sends to itself comes back whole, super-segments and all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ring.hpp"
#include "device/slab_cursor.hpp"
#include "firstflight/device.hpp"

namespace ff {

class Loopback final : public Device {
 public:
  Loopback() : slabs_(kMaxPacket) {}
  [[nodiscard]] std::uint16_t mtu() const noexcept override { return kMtu; }
  bool receive(RxPacket& packet) override;
  SendResult send(Instant now, TxPacket& packet) override;
  // Packets that wait to be received.
  [[nodiscard]] std::size_t waiting() const noexcept { return queue_.size(); }

 private:
  static constexpr std::uint16_t kMtu = 65535;  // the most that IPv4's length field can say; Linux's lo has one more
  static constexpr std::uint32_t kMaxPacket = 65536 + kMaxHeader;
  // Linux's backlog of a CPU (net.core.netdev_max_backlog); what comes on top is not sent yet.
  static constexpr std::size_t kMaxWaiting = 1000;

  Ring<RxPacket> queue_;
  SlabCursor slabs_;
};

}  // namespace ff
