#include "device/memory_pair.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "device/segmenter.hpp"

namespace ff {

MemoryPair::MemoryPair(MemoryPairOptions options)
    : options_(options),
      to_a_(options.queue_packets),
      to_b_(options.queue_packets),
      a_(options_, to_a_, to_b_),
      b_(options_, to_b_, to_a_) {}

Device::SendResult MemoryPair::End::send(Instant /*now*/, TxPacket& packet) {
  const std::uint32_t segments = wire_packet_count(packet);
  const std::uint32_t count = options_.segment ? segments : 1;
  if (out_.size() != 0 && out_.size() + count > options_.queue_packets) return SendResult::Full;
  if (!options_.segment) {
    const std::uint32_t size = write_joined(packet, slabs_.reserve(packet.size()));
    out_.push({.bytes = slabs_.commit(0, size),
               .checksum = packet.checksum_wanted ? RxChecksum::Verified : RxChecksum::Unverified,
               .segment_size = segments > 1 ? packet.segment_size : std::uint16_t{0}});
    return SendResult::Sent;
  }
  for (Segmenter segmenter(packet); segmenter.remaining() > 0;) {
    const std::uint32_t size = segmenter.next(slabs_.reserve(segmenter.next_size()));
    out_.push({.bytes = slabs_.commit(0, size)});
  }
  return SendResult::Sent;
}

MemoryPair::Queue::Queue(std::size_t capacity) : ring_(std::bit_ceil(std::max<std::size_t>(capacity, 1))) {}

void MemoryPair::Queue::push(RxPacket packet) {
  if (size() == ring_.size()) grow();
  ring_[tail_++ & (ring_.size() - 1)] = std::move(packet);
}

bool MemoryPair::Queue::pop(RxPacket& packet) noexcept {
  if (size() == 0) return false;
  packet = std::move(ring_[head_++ & (ring_.size() - 1)]);
  return true;
}

void MemoryPair::Queue::grow() {
  std::vector<RxPacket> larger(ring_.size() * 2);
  const std::size_t count = size();
  for (std::size_t i = 0; i < count; ++i) larger[i] = std::move(ring_[(head_ + i) & (ring_.size() - 1)]);
  ring_ = std::move(larger);
  head_ = 0;
  tail_ = count;
}

}  // namespace ff
