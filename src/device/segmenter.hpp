// What hardware with TCP segmentation and checksum offload does, for devices without it: a packet to send becomes the
// packets that a wire carries, each complete. Payload is copied and summed in one pass over the memory.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <utility>

#include "firstflight/bytes.hpp"
#include "firstflight/packet.hpp"
#include "wire/checksum.hpp"

namespace ff {

// Cuts one packet, in order. The packet must stay as it is meanwhile. One that needs no cutting comes out as one
// packet.
class Segmenter {
 public:
  explicit Segmenter(const TxPacket& packet) noexcept;

  // Packets that are still to come.
  [[nodiscard]] std::uint32_t remaining() const noexcept { return remaining_; }
  // Bytes of the next one.
  [[nodiscard]] std::uint32_t next_size() const noexcept { return packet_.header_size + next_payload(); }
  // Writes the next one to `to`, which has room for next_size() bytes; says how many they were.
  std::uint32_t next(std::uint8_t* to) noexcept;

 private:
  [[nodiscard]] std::uint32_t next_payload() const noexcept {
    return remaining_ > 1 ? packet_.segment_size : packet_.payload_size - offset_;
  }
  void finish_ip_header(std::uint8_t* ip, std::uint32_t packet_size) const noexcept;
  void finish_tcp_header(std::uint8_t* tcp, wire::ChecksumAccumulator& sum) const noexcept;
  void copy_payload(std::uint8_t* to, std::uint32_t size, wire::ChecksumAccumulator& sum) noexcept;

  const TxPacket& packet_;
  // What all headers have in common: the fields that differ are zero, and the sums are of the rest.
  std::array<std::uint8_t, kMaxHeader> header_;
  wire::ChecksumAccumulator ip_sum_;
  wire::ChecksumAccumulator tcp_sum_;  // with the pseudo-header, but for its length
  std::uint32_t remaining_;
  std::uint32_t index_ = 0;   // of the next packet
  std::uint32_t offset_ = 0;  // of its payload
  std::uint16_t piece_ = 0;   // where that is
  std::uint32_t piece_offset_ = 0;
};

// The number of packets that `packet` is on a wire.
std::uint32_t wire_packet_count(const TxPacket& packet) noexcept;

// Calls f(ByteSpan) with each packet that `packet` is on a wire. `buffer` holds one at a time: the MTU's size is enough
// for a packet whose segment size fits the MTU.
template <typename F>
void for_each_wire_packet(const TxPacket& packet, MutableByteSpan buffer, F&& f) {
  for (Segmenter segmenter(packet); segmenter.remaining() > 0;) {
    assert(segmenter.next_size() <= buffer.size());
    const std::uint32_t size = segmenter.next(buffer.data());
    f(ByteSpan(buffer.data(), size));
  }
}

// Writes `packet` uncut, in one piece and with its checksum completed, to `to`, which has room for packet.size() bytes.
std::uint32_t write_completed(const TxPacket& packet, std::uint8_t* to) noexcept;

// The same without completing the checksum.
std::uint32_t write_joined(const TxPacket& packet, std::uint8_t* to) noexcept;

}  // namespace ff
