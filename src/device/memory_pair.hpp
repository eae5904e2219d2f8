// Two devices joined in memory: what one sends, the other receives. For tests, benchmarks and simulations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/slab_cursor.hpp"
#include "firstflight/device.hpp"

namespace ff {

struct MemoryPairOptions {
  std::uint16_t mtu = 1500;
  // Packets that may wait in each direction; then the device is Full. A packet that is more than that by itself still
  // finds room in an empty queue.
  std::size_t queue_packets = 1024;
  // True: as a wire, packets of the MTU's size with complete checksums that the receiver verifies. False:
  // super-segments cross whole and count as verified.
  bool segment = true;
};

class MemoryPair {
 public:
  explicit MemoryPair(MemoryPairOptions options = {});
  MemoryPair(const MemoryPair&) = delete;
  MemoryPair& operator=(const MemoryPair&) = delete;

  [[nodiscard]] Device& a() noexcept { return a_; }
  [[nodiscard]] Device& b() noexcept { return b_; }

 private:
  // First in, first out; grows to the size it needs and stays there.
  class Queue {
   public:
    explicit Queue(std::size_t capacity);
    [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }
    void push(RxPacket packet);
    bool pop(RxPacket& packet) noexcept;

   private:
    void grow();
    std::vector<RxPacket> ring_;  // a power of two
    std::size_t head_ = 0, tail_ = 0;
  };

  class End final : public Device {
   public:
    End(const MemoryPairOptions& options, Queue& in, Queue& out)
        : options_(options), in_(in), out_(out), slabs_(kMaxPacket) {}
    [[nodiscard]] std::uint16_t mtu() const noexcept override { return options_.mtu; }
    bool receive(RxPacket& packet) override { return in_.pop(packet); }
    SendResult send(Instant now, TxPacket& packet) override;

   private:
    static constexpr std::uint32_t kMaxPacket = 65536 + kMaxHeader;
    const MemoryPairOptions& options_;
    Queue& in_;
    Queue& out_;
    SlabCursor slabs_;
  };

  MemoryPairOptions options_;
  Queue to_a_, to_b_;
  End a_, b_;
};

}  // namespace ff
