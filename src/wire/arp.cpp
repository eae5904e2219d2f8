#include "wire/arp.hpp"

#include <cstring>

#include "wire/endian.hpp"

namespace ff::wire {
namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint16_t kProtocolIpv4 = 0x0800;
constexpr std::uint16_t kRequest = 1, kReply = 2;

IpAddress address_at(const std::uint8_t* p) noexcept { return IpAddress::v4(p[0], p[1], p[2], p[3]); }

}  // namespace

std::expected<ArpMessage, DropReason> parse_arp(ByteSpan message) noexcept {
  if (message.size() < kArpSize) return std::unexpected(DropReason::ArpMalformed);
  const std::uint8_t* p = message.data();
  const std::uint16_t operation = load_be16(p + 6);
  if (load_be16(p) != kHardwareEthernet || load_be16(p + 2) != kProtocolIpv4 || p[4] != 6 || p[5] != 4 ||
      (operation != kRequest && operation != kReply))
    return std::unexpected(DropReason::ArpMalformed);
  ArpMessage arp;
  arp.request = operation == kRequest;
  std::memcpy(arp.sender_mac.bytes.data(), p + 8, 6);
  arp.sender = address_at(p + 14);
  std::memcpy(arp.target_mac.bytes.data(), p + 18, 6);
  arp.target = address_at(p + 24);
  if (arp.sender_mac.is_group() || arp.sender.is_multicast() || arp.sender.is_broadcast())
    return std::unexpected(DropReason::ArpMalformed);
  return arp;
}

void emit_arp(const ArpMessage& message, std::uint8_t* to) noexcept {
  store_be16(to, kHardwareEthernet);
  store_be16(to + 2, kProtocolIpv4);
  to[4] = 6;
  to[5] = 4;
  store_be16(to + 6, message.request ? kRequest : kReply);
  std::memcpy(to + 8, message.sender_mac.bytes.data(), 6);
  std::memcpy(to + 14, message.sender.v4_bytes().data(), 4);
  std::memcpy(to + 18, message.target_mac.bytes.data(), 6);
  std::memcpy(to + 24, message.target.v4_bytes().data(), 4);
}

}  // namespace ff::wire
