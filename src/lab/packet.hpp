// Packets beside TCP as a scenario forges them, and takes them apart.
#pragma once

#include <string_view>
#include <vector>

#include "firstflight/address.hpp"
#include "firstflight/bytes.hpp"

namespace ff::lab {

enum class UdpChecksum : std::uint8_t { Right, Wrong, None };

// A UDP datagram in an IP packet.
Slice udp_packet(const Endpoint& from, const Endpoint& to, std::string_view payload,
                 UdpChecksum checksum = UdpChecksum::Right);
// `size` bytes of an IP packet's payload from `offset` on, as a fragment of that packet.
Slice fragment_of(const Slice& packet, std::uint32_t offset, std::uint32_t size, std::uint32_t identification);
// All of them, `step` bytes of payload in each.
std::vector<Slice> fragments_of(const Slice& packet, std::uint32_t step, std::uint32_t identification);

}  // namespace ff::lab
