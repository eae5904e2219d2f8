// Where packets come from and go to. A device belongs to one thread and never blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "firstflight/packet.hpp"
#include "firstflight/time.hpp"

namespace ff {

class Device {
 public:
  virtual ~Device() = default;

  // Bytes of the largest IP packet that the device carries.
  [[nodiscard]] virtual std::uint16_t mtu() const noexcept = 0;

  // Whether packets have an Ethernet header (link_header_size), both ways.
  [[nodiscard]] virtual bool ethernet() const noexcept { return false; }

  // Takes one received packet; false when there is none now.
  virtual bool receive(RxPacket& packet) = 0;

  enum class SendResult : std::uint8_t {
    Sent,  // the device has it, or has dropped it as a real wire may; it counts such drops
    Full,  // not now: try the same packet again later
  };
  // Completes the checksum if wanted and cuts super-segments if the hardware will not. Leaves `packet` as it is when
  // Full.
  virtual SendResult send(Instant now, TxPacket& packet) = 0;

  // Sends what send() has only gathered. Called at the end of each batch.
  virtual void flush(Instant /*now*/) {}

  // The file descriptor that becomes readable when receive() has something, or -1.
  [[nodiscard]] virtual int poll_descriptor() const noexcept { return -1; }
};

}  // namespace ff
