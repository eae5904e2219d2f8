// Ethernet frames, and the addresses of groups on them (RFC 1112 §6.4, RFC 2464 §7).
#pragma once

#include <cstdint>
#include <cstring>
#include <expected>

#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/network.hpp"
#include "firstflight/packet.hpp"
#include "wire/endian.hpp"

namespace ff::wire {

namespace ethertype {
inline constexpr std::uint16_t kIpv4 = 0x0800, kArp = 0x0806, kIpv6 = 0x86dd;
}

struct EthernetHeader {
  MacAddress destination, source;
  std::uint16_t type = 0;
};

inline std::expected<EthernetHeader, DropReason> parse_ethernet(ByteSpan frame) noexcept {
  if (frame.size() < kEthernetHeader) return std::unexpected(DropReason::EthernetHeader);
  EthernetHeader header;
  std::memcpy(header.destination.bytes.data(), frame.data(), 6);
  std::memcpy(header.source.bytes.data(), frame.data() + 6, 6);
  header.type = load_be16(frame.data() + 12);
  if (header.source.is_group()) return std::unexpected(DropReason::EthernetHeader);
  return header;
}

inline void emit_ethernet(const EthernetHeader& header, std::uint8_t* to) noexcept {
  std::memcpy(to, header.destination.bytes.data(), 6);
  std::memcpy(to + 6, header.source.bytes.data(), 6);
  store_be16(to + 12, header.type);
}

// Where frames to a multicast or broadcast address go.
inline MacAddress group_address(const IpAddress& group) noexcept {
  const auto bytes = group.bytes();
  if (group.is_broadcast()) return MacAddress::broadcast();
  if (group.is_v4()) return {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(bytes[13] & 0x7f), bytes[14], bytes[15]}};
  return {{0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]}};
}

}  // namespace ff::wire
