// What passes between a stack and its devices. Both ways a packet may be a super-segment: up to 64 KiB of TCP payload
// under one header, which the device (or the software segmenter at its edge) cuts into packets of the path's size.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "firstflight/bytes.hpp"

namespace ff {

// What a device knows of a received packet's TCP or UDP checksum.
enum class RxChecksum : std::uint8_t {
  Unverified,  // the stack verifies it
  Verified,    // the device has verified it, or the packet never left this machine
};

// Destination, source and type of a frame on an Ethernet-like device.
inline constexpr std::size_t kEthernetHeader = 14;

// A packet that a device received: IP header first, or behind an Ethernet header.
struct RxPacket {
  Slice bytes;
  RxChecksum checksum = RxChecksum::Unverified;
  // Payload bytes of each of the segments that were merged into this one (all but the last are that long), or 0 when it
  // is a single segment as it was sent.
  std::uint16_t segment_size = 0;
  // Of the link, before the IP header: kEthernetHeader, or 0.
  std::uint16_t link_header_size = 0;
};

// The largest IP and TCP header together: 60 + 60 bytes (IPv4 with options) fit; 8 bytes to spare.
inline constexpr std::size_t kMaxHeader = 128;
// How many slices the payload of one packet to send may consist of.
inline constexpr std::size_t kMaxPayloadPieces = 48;

// A packet to send: a header and the pieces of its payload, ready to be gathered by one system call.
//
// The IPv4 header checksum is always filled in, for the packet as a whole. When `checksum_wanted`, the TCP or UDP
// checksum field holds the sum of the pseudo-header (folded, not complemented), and whoever sends the packet on
// completes it: sum from `checksum_start` to the end, complement, store at `checksum_start + checksum_offset` (the
// virtio-net convention).
struct TxPacket {
  std::array<std::uint8_t, kMaxHeader> header_bytes;
  std::array<Slice, kMaxPayloadPieces> payload_pieces;
  std::uint32_t payload_size = 0;
  std::uint16_t header_size = 0;
  std::uint16_t payload_piece_count = 0;
  bool checksum_wanted = false;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  // Payload bytes per segment after cutting, or 0 when the packet goes out as it is.
  std::uint16_t segment_size = 0;
  // Which interface it leaves by; the value that Stack::add_interface returned.
  std::uint16_t interface = 0;
  // What goes before all this on an Ethernet-like device, where `header_bytes` may also be an ARP message; 0: nothing.
  std::uint16_t link_header_size = 0;
  std::array<std::uint8_t, kEthernetHeader> link_header_bytes;

  [[nodiscard]] ByteSpan header() const noexcept { return {header_bytes.data(), header_size}; }
  [[nodiscard]] ByteSpan link_header() const noexcept { return {link_header_bytes.data(), link_header_size}; }
  [[nodiscard]] std::span<const Slice> payload() const noexcept { return {payload_pieces.data(), payload_piece_count}; }
  [[nodiscard]] std::uint32_t size() const noexcept { return header_size + payload_size; }

  // Becomes what `other` is, and leaves that one empty. Costs as much as is used of it, where a copy costs all of it.
  void take(TxPacket& other) noexcept {
    clear();
    std::memcpy(header_bytes.data(), other.header_bytes.data(), other.header_size);
    for (std::uint16_t i = 0; i < other.payload_piece_count; ++i) {
      payload_pieces[i] = std::move(other.payload_pieces[i]);
    }
    payload_size = other.payload_size;
    header_size = other.header_size;
    payload_piece_count = other.payload_piece_count;
    checksum_wanted = other.checksum_wanted;
    checksum_start = other.checksum_start;
    checksum_offset = other.checksum_offset;
    segment_size = other.segment_size;
    interface = other.interface;
    link_header_size = other.link_header_size;
    link_header_bytes = other.link_header_bytes;
    other.clear();
  }

  // Drops the payload's references and makes the packet empty, ready for reuse.
  void clear() noexcept {
    for (std::uint16_t i = 0; i < payload_piece_count; ++i) payload_pieces[i] = Slice();
    payload_size = 0;
    header_size = 0;
    payload_piece_count = 0;
    checksum_wanted = false;
    segment_size = 0;
    link_header_size = 0;
  }
};

}  // namespace ff
