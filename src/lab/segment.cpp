#include "lab/segment.hpp"

#include <array>
#include <vector>

#include "firstflight/packet.hpp"
#include "wire/checksum.hpp"
#include "wire/ip.hpp"

namespace ff::lab {

std::optional<Segment> parse_segment(ByteSpan packet) {
  const auto ip = wire::parse_ip(packet);
  if (!ip || ip->header.protocol != wire::protocol::kTcp) return std::nullopt;
  const auto tcp = wire::parse_tcp(packet.subspan(ip->payload_offset, ip->payload_size));
  if (!tcp) return std::nullopt;
  Segment segment;
  segment.source = {ip->header.source, tcp->header.source_port};
  segment.destination = {ip->header.destination, tcp->header.destination_port};
  segment.tcp = tcp->header;
  segment.payload = as_text(packet.subspan(ip->payload_offset + tcp->payload_offset, tcp->payload_size));
  return segment;
}

Slice packet_of(const Segment& segment) {
  std::array<std::uint8_t, kMaxHeader> head{};
  wire::IpHeader ip;
  ip.source = segment.source.address;
  ip.destination = segment.destination.address;
  ip.protocol = wire::protocol::kTcp;
  wire::TcpHeader header = segment.tcp;
  header.source_port = segment.source.port;
  header.destination_port = segment.destination.port;
  const std::size_t ip_size = ip.source.is_v4() ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
  const std::size_t tcp_size = wire::emit_tcp(header, head.data() + ip_size);
  wire::emit_ip(ip, tcp_size + segment.size(), head.data());
  std::string packet(as_text({head.data(), ip_size + tcp_size}));
  packet += segment.payload;
  wire::ChecksumAccumulator sum;
  sum.add_pseudo_header(ip.source, ip.destination, wire::protocol::kTcp,
                        static_cast<std::uint32_t>(tcp_size + segment.size()));
  sum.add(as_bytes(packet).subspan(ip_size));
  const std::uint16_t checksum = sum.checksum();
  packet[ip_size + 16] = static_cast<char>(checksum >> 8);
  packet[ip_size + 17] = static_cast<char>(checksum & 0xff);
  return Slice::adopt(std::move(packet));
}

Slice icmp_error(wire::IcmpKind kind, const IpAddress& router, std::uint16_t mtu, ByteSpan packet) {
  const auto offending = wire::parse_ip(packet);
  if (!offending) return {};
  wire::IpHeader ip;
  ip.source = router;
  ip.destination = offending->header.source;
  ip.protocol = router.is_v4() ? wire::protocol::kIcmp : wire::protocol::kIcmp6;
  const std::size_t ip_size = router.is_v4() ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
  std::vector<std::uint8_t> bytes(ip_size + wire::kMaxIcmpError);
  const std::size_t size = wire::emit_icmp_error(kind, ip, mtu, packet, bytes.data() + ip_size);
  wire::emit_ip(ip, size, bytes.data());
  return Slice::copy_of(ByteSpan(bytes).first(ip_size + size));
}

}  // namespace ff::lab
