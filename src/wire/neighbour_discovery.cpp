#include "wire/neighbour_discovery.hpp"

#include <algorithm>
#include <cstring>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {
namespace {

constexpr std::size_t kFixedSize = 24;
constexpr std::uint8_t kHopLimit = 255;
constexpr std::uint8_t kSourceLinkAddress = 1, kTargetLinkAddress = 2;
constexpr std::uint8_t kRouter = 0x80, kSolicited = 0x40, kOverride = 0x20;

// False when an option has no length or does not fit (RFC 4861 §4.6). Options that are not known are skipped.
bool read_options(ByteSpan options, std::uint8_t wanted, std::optional<MacAddress>& link_address) noexcept {
  while (!options.empty()) {
    if (options.size() < 8 || options[1] == 0) return false;
    const std::size_t size = options[1] * std::size_t{8};
    if (size > options.size()) return false;
    if (options[0] == wanted && size == 8) {
      MacAddress address;
      std::memcpy(address.bytes.data(), options.data() + 2, 6);
      if (!address.is_group()) link_address = address;
    }
    options = options.subspan(size);
  }
  return true;
}

}  // namespace

std::expected<NeighbourMessage, DropReason> parse_neighbour(const IpHeader& ip, ByteSpan message) noexcept {
  if (ip.ttl != kHopLimit) return std::unexpected(DropReason::IpHopLimit);
  const auto malformed = std::unexpected(DropReason::NeighbourDiscovery);
  if (message.size() < kFixedSize || message[1] != 0) return malformed;
  NeighbourMessage result;
  result.solicitation = message[0] == discovery_type::kSolicitation;
  result.target = IpAddress::v6(message.subspan<8, 16>());
  if (result.target.is_v4() || result.target.is_multicast() || result.target.is_any()) return malformed;
  const std::uint8_t option = result.solicitation ? kSourceLinkAddress : kTargetLinkAddress;
  if (!read_options(message.subspan(kFixedSize), option, result.link_address)) return malformed;
  if (result.solicitation) {
    // Somebody who is not sure of an address yet asks from "::" whether it is taken.
    if (ip.source == IpAddress::any_v6() && (ip.destination != solicited_node(result.target) || result.link_address))
      return malformed;
    return result;
  }
  result.router = (message[4] & kRouter) != 0;
  result.solicited = (message[4] & kSolicited) != 0;
  result.override = (message[4] & kOverride) != 0;
  if (result.solicited && ip.destination.is_multicast()) return malformed;
  return result;
}

std::size_t emit_neighbour(const NeighbourMessage& message, const IpHeader& ip, std::uint8_t* to) noexcept {
  std::memset(to, 0, kMaxNeighbourMessage);
  to[0] = message.solicitation ? discovery_type::kSolicitation : discovery_type::kAdvertisement;
  if (!message.solicitation)
    to[4] = static_cast<std::uint8_t>((message.router ? kRouter : 0) | (message.solicited ? kSolicited : 0) |
                                      (message.override ? kOverride : 0));
  std::memcpy(to + 8, message.target.bytes().data(), 16);
  std::size_t size = kFixedSize;
  if (message.link_address) {
    to[24] = message.solicitation ? kSourceLinkAddress : kTargetLinkAddress;
    to[25] = 1;
    std::memcpy(to + 26, message.link_address->bytes.data(), 6);
    size = kMaxNeighbourMessage;
  }
  ChecksumAccumulator sum;
  sum.add_pseudo_header(ip.source, ip.destination, protocol::kIcmp6, static_cast<std::uint32_t>(size));
  sum.add({to, size});
  store_be16(to + 2, sum.checksum());
  return size;
}

IpAddress solicited_node(const IpAddress& address) noexcept {
  std::array<std::uint8_t, 16> bytes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff, 0, 0, 0};
  std::copy_n(address.bytes().begin() + 13, 3, bytes.begin() + 13);
  return IpAddress::v6(bytes);
}

IpAddress all_nodes() noexcept {
  return IpAddress::v6(std::array<std::uint8_t, 16>{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01});
}

}  // namespace ff::wire
