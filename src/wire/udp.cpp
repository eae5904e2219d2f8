#include "wire/udp.hpp"

#include <cassert>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {

std::expected<UdpView, DropReason> parse_udp(const IpHeader& ip, ByteSpan datagram) noexcept {
  if (datagram.size() < kUdpHeaderSize) return std::unexpected(DropReason::UdpTruncated);
  const std::uint8_t* p = datagram.data();
  const std::size_t length = load_be16(p + 4);
  if (length < kUdpHeaderSize || length > datagram.size()) return std::unexpected(DropReason::UdpTruncated);
  const bool has_checksum = load_be16(p + 6) != 0;
  if (!has_checksum && ip.source.is_v6()) return std::unexpected(DropReason::UdpChecksum);
  return UdpView{.source_port = load_be16(p),
                 .destination_port = load_be16(p + 2),
                 .has_checksum = has_checksum,
                 .payload_offset = kUdpHeaderSize,
                 .payload_size = static_cast<std::uint32_t>(length - kUdpHeaderSize)};
}

std::size_t emit_udp(const IpHeader& ip, std::uint16_t source_port, std::uint16_t destination_port, ByteSpan payload,
                     std::uint8_t* to) noexcept {
  const std::size_t length = kUdpHeaderSize + payload.size();
  assert(length <= 0xffff);
  store_be16(to, source_port);
  store_be16(to + 2, destination_port);
  store_be16(to + 4, static_cast<std::uint16_t>(length));
  store_be16(to + 6, 0);

  ChecksumAccumulator sum;
  sum.add_pseudo_header(ip.source, ip.destination, protocol::kUdp, static_cast<std::uint32_t>(length));
  sum.add({to, kUdpHeaderSize});
  sum.add(payload);
  const std::uint16_t checksum = sum.checksum();
  store_be16(to + 6, checksum == 0 ? std::uint16_t{0xffff} : checksum);
  return kUdpHeaderSize;
}

}  // namespace ff::wire
