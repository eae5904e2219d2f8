// Neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/network.hpp"
#include "wire/ip.hpp"

namespace ff::wire {

namespace discovery_type {
inline constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
}

constexpr bool is_discovery_type(std::uint8_t type) noexcept {
  return type == discovery_type::kSolicitation || type == discovery_type::kAdvertisement;
}

struct NeighbourMessage {
  bool solicitation = true;
  IpAddress target;
  std::optional<MacAddress> link_address{};  // of the source of a solicitation, of the target of an advertisement
  bool router = false, solicited = false, override = false;  // of an advertisement
};

// `message`: an ICMPv6 message whose checksum is right. The rules of RFC 4861 §7.1 are checked, the hop limit of 255
// first: nothing from beyond the link has it.
std::expected<NeighbourMessage, DropReason> parse_neighbour(const IpHeader& ip, ByteSpan message) noexcept;

inline constexpr std::size_t kMaxNeighbourMessage = 32;
// Writes a message that `ip` will carry, checksum included; says its size.
std::size_t emit_neighbour(const NeighbourMessage& message, const IpHeader& ip, std::uint8_t* to) noexcept;

// The group that whoever has `address` is in (RFC 4291 §2.7.1).
IpAddress solicited_node(const IpAddress& address) noexcept;
IpAddress all_nodes() noexcept;

}  // namespace ff::wire
