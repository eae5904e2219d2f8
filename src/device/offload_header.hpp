// What stands before a packet of a TUN device when offloads are on: struct virtio_net_hdr of the virtio specification,
// §5.1.6, without num_buffers, in the machine's byte order. (<linux/virtio_net.h> does not compile as C++.)
#pragma once

#include <cstdint>

namespace ff {

struct OffloadHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1, kDataValid = 2;  // flags
  static constexpr std::uint8_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_size = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
};
inline constexpr std::uint32_t kOffloadHeader = sizeof(OffloadHeader);
static_assert(kOffloadHeader == 10);

}  // namespace ff
