#include "device/loopback.hpp"

#include <utility>

#include "device/segmenter.hpp"

namespace ff {

bool Loopback::receive(RxPacket& packet) {
  if (queue_.empty()) return false;
  packet = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

Device::SendResult Loopback::send(Instant /*now*/, TxPacket& packet) {
  if (queue_.size() >= kMaxWaiting) return SendResult::Full;
  const bool super_segment = wire_packet_count(packet) > 1;
  const std::uint32_t size = write_joined(packet, slabs_.reserve(packet.size()));
  queue_.push_back({.bytes = slabs_.commit(0, size),
                    .checksum = packet.checksum_wanted ? RxChecksum::Verified : RxChecksum::Unverified,
                    .segment_size = super_segment ? packet.segment_size : std::uint16_t{0}});
  return SendResult::Sent;
}

}  // namespace ff
