#include "lab/packet.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"
#include "wire/ip.hpp"
#include "wire/udp.hpp"

namespace ff::lab {
namespace {

constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint8_t kFragmentHeader = 44;  // RFC 8200 §4.5
constexpr std::size_t kUdpChecksumOffset = 6;

std::uint8_t* bytes_of(std::string& text) { return reinterpret_cast<std::uint8_t*>(text.data()); }

}  // namespace

Slice udp_packet(const Endpoint& from, const Endpoint& to, std::string_view payload, UdpChecksum checksum) {
  wire::IpHeader ip;
  ip.source = from.address;
  ip.destination = to.address;
  ip.protocol = wire::protocol::kUdp;
  std::string packet(wire::kIpv6HeaderSize + wire::kUdpHeaderSize, '\0');
  const std::size_t ip_size = wire::emit_ip(ip, wire::kUdpHeaderSize + payload.size(), bytes_of(packet));
  packet.resize(ip_size + wire::kUdpHeaderSize);
  std::uint8_t* const udp = bytes_of(packet) + ip_size;
  wire::emit_udp(ip, from.port, to.port, as_bytes(payload), udp);
  if (checksum == UdpChecksum::None) wire::store_be16(udp + kUdpChecksumOffset, 0);
  if (checksum == UdpChecksum::Wrong) udp[kUdpChecksumOffset] ^= 0x55;
  return Slice::adopt(packet.append(payload));
}

Slice fragment_of(const Slice& packet, std::uint32_t offset, std::uint32_t size, std::uint32_t identification) {
  const auto whole = wire::parse_ip(packet.span());
  if (!whole) return {};
  const bool v4 = whole->header.source.is_v4();
  const bool more = offset + size < whole->payload_size;
  wire::IpHeader ip = whole->header;
  ip.dont_fragment = false;
  ip.identification = static_cast<std::uint16_t>(identification);
  const std::size_t extra = v4 ? 0 : 8;
  if (!v4) ip.protocol = kFragmentHeader;
  std::string fragment(wire::kIpv6HeaderSize + extra, '\0');
  const std::size_t header = wire::emit_ip(ip, extra + size, bytes_of(fragment));
  std::uint8_t* const p = bytes_of(fragment);
  if (v4) {
    wire::store_be16(p + 6, static_cast<std::uint16_t>(offset / 8 | (more ? kMoreFragments : 0)));
    wire::store_be16(p + 10, 0);
    wire::ChecksumAccumulator sum;
    sum.add({p, header});
    wire::store_be16(p + 10, sum.checksum());
  } else {
    p[header] = whole->header.protocol;
    wire::store_be16(p + header + 2, static_cast<std::uint16_t>(offset | (more ? 1 : 0)));
    wire::store_be32(p + header + 4, identification);
  }
  fragment.resize(header + extra);
  return Slice::adopt(fragment.append(as_text(packet.span().subspan(whole->payload_offset + offset, size))));
}

std::vector<Slice> fragments_of(const Slice& packet, std::uint32_t step, std::uint32_t identification) {
  std::vector<Slice> all;
  const auto whole = wire::parse_ip(packet.span());
  if (!whole) return all;
  for (std::uint32_t at = 0; at < whole->payload_size; at += step)
    all.push_back(fragment_of(packet, at, std::min(step, whole->payload_size - at), identification));
  return all;
}

}  // namespace ff::lab
