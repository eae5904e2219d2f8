// The Internet checksum (RFC 1071).
#pragma once

#include <cstddef>
#include <cstdint>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"

namespace ff::wire {

// A one's-complement sum in the making, over bytes in network order. Pieces of odd length may follow one another.
class ChecksumAccumulator {
 public:
  void add(ByteSpan bytes) noexcept;
  // Copies `bytes` to `to` and adds them, in one pass over the memory.
  void add_and_copy(ByteSpan bytes, std::uint8_t* to) noexcept;
  // A value that stands at an even offset, given in host order.
  void add16(std::uint16_t value) noexcept { sum_ += __builtin_bswap16(value); }
  void add32(std::uint32_t value) noexcept { sum_ += __builtin_bswap32(value); }
  // Source and destination address, protocol and length of RFC 9293 §3.1 or RFC 8200 §8.1.
  void add_pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                         std::uint32_t length) noexcept;

  // The sum folded to 16 bits, not complemented: host order of the network-order field.
  [[nodiscard]] std::uint16_t folded() const noexcept { return __builtin_bswap16(fold(sum_)); }
  // What goes into a checksum field: the complement.
  [[nodiscard]] std::uint16_t checksum() const noexcept { return static_cast<std::uint16_t>(~folded()); }

 private:
  static constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
  }
  void add_sum(std::uint64_t sum, std::size_t size) noexcept;

  std::uint64_t sum_ = 0;  // of little-endian words; byte order is mended in folded() (RFC 1071 §2 B)
  bool odd_ = false;       // an odd number of bytes was added so far
};

}  // namespace ff::wire
