// ARP for IPv4 on Ethernet (RFC 826).
#pragma once

#include <cstdint>
#include <expected>

#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/network.hpp"

namespace ff::wire {

inline constexpr std::size_t kArpSize = 28;

struct ArpMessage {
  bool request = true;
  MacAddress sender_mac;
  IpAddress sender;
  MacAddress target_mac;
  IpAddress target;
};

// `message` may be followed by padding. Refused is what is not ARP for IPv4 on Ethernet, and senders that no host can
// be.
std::expected<ArpMessage, DropReason> parse_arp(ByteSpan message) noexcept;

// Writes kArpSize bytes.
void emit_arp(const ArpMessage& message, std::uint8_t* to) noexcept;

}  // namespace ff::wire
