// The UDP header (RFC 768).
#pragma once

#include <cstdint>
#include <expected>

#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "wire/ip.hpp"

namespace ff::wire {

inline constexpr std::size_t kUdpHeaderSize = 8;

struct UdpView {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  bool has_checksum = true;          // IPv4 allows none; IPv6 does not (RFC 8200 §8.1)
  std::uint32_t payload_offset = 0;  // from the UDP header
  std::uint32_t payload_size = 0;
};

// Checks the header. The length field may end the datagram before `datagram` does (the rest is padding). A checksum
// that is there is checked by verify_transport_checksum() over the first payload_offset + payload_size bytes
// (wire/tcp.hpp), which the caller may leave out when the device has done it.
std::expected<UdpView, DropReason> parse_udp(const IpHeader& ip, ByteSpan datagram) noexcept;

// Writes the header with the checksum over `payload` (RFC 768: a computed 0 is sent as 0xffff). Says the size, 8.
std::size_t emit_udp(const IpHeader& ip, std::uint16_t source_port, std::uint16_t destination_port, ByteSpan payload,
                     std::uint8_t* to) noexcept;

}  // namespace ff::wire
