#include "device/segmenter.hpp"

#include <algorithm>
#include <cstring>

#include "wire/endian.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff {
namespace {

constexpr std::uint16_t kTcpChecksumOffset = 16;
constexpr std::uint16_t kUdpChecksumOffset = 6;

bool needs_cutting(const TxPacket& packet) noexcept {
  return packet.segment_size != 0 && packet.payload_size > packet.segment_size;
}

bool is_v4(const std::uint8_t* ip) noexcept { return ip[0] >> 4 == 4; }

// RFC 768: a UDP checksum that computes to 0 is sent as all ones, because 0 means that there is none.
void store_checksum(std::uint16_t checksum, std::uint16_t checksum_offset, std::uint8_t* transport) noexcept {
  if (checksum == 0 && checksum_offset == kUdpChecksumOffset) checksum = 0xffff;
  wire::store_be16(transport + checksum_offset, checksum);
}

// Addresses and protocol of RFC 9293 §3.1 or RFC 8200 §8.1; the length is added for each segment.
wire::ChecksumAccumulator tcp_pseudo_header(const std::uint8_t* ip) noexcept {
  wire::ChecksumAccumulator sum;
  sum.add(is_v4(ip) ? ByteSpan(ip + 12, 8) : ByteSpan(ip + 8, 32));
  sum.add16(wire::protocol::kTcp);
  return sum;
}

}  // namespace

std::uint32_t wire_packet_count(const TxPacket& packet) noexcept {
  if (!needs_cutting(packet)) return 1;
  return (packet.payload_size + packet.segment_size - 1) / packet.segment_size;
}

Segmenter::Segmenter(const TxPacket& packet) noexcept : packet_(packet), remaining_(wire_packet_count(packet)) {
  if (remaining_ == 1) return;
  assert(packet.checksum_wanted && packet.checksum_offset == kTcpChecksumOffset);
  assert(packet.header_size >= packet.checksum_start + wire::kTcpHeaderSize);
  pseudo_header_ = tcp_pseudo_header(packet.header_bytes.data());
}

std::uint32_t Segmenter::next(std::uint8_t* to) noexcept {
  assert(remaining_ > 0);
  if (!needs_cutting(packet_)) {
    remaining_ = 0;
    return write_completed(packet_, to);
  }
  const std::uint32_t payload = next_payload();
  const std::uint32_t header = packet_.header_size;
  std::memcpy(to, packet_.header_bytes.data(), header);
  fix_ip_header(to, header + payload);
  std::uint8_t* tcp = to + packet_.checksum_start;
  const std::uint32_t tcp_header = header - packet_.checksum_start;
  fix_tcp_header(tcp, index_ == 0, remaining_ == 1);

  wire::ChecksumAccumulator sum = pseudo_header_;
  sum.add32(tcp_header + payload);
  sum.add({tcp, tcp_header});
  copy_payload(to + header, payload, sum);
  store_checksum(sum.checksum(), kTcpChecksumOffset, tcp);

  ++index_;
  --remaining_;
  return header + payload;
}

void Segmenter::fix_ip_header(std::uint8_t* ip, std::uint32_t packet_size) const noexcept {
  if (!is_v4(ip)) {
    wire::store_be16(ip + 4, static_cast<std::uint16_t>(packet_size - wire::kIpv6HeaderSize));
    return;
  }
  wire::store_be16(ip + 2, static_cast<std::uint16_t>(packet_size));
  wire::store_be16(ip + 4, static_cast<std::uint16_t>(wire::load_be16(ip + 4) + index_));
  wire::store_be16(ip + 10, 0);
  wire::ChecksumAccumulator sum;
  sum.add({ip, (ip[0] & 0xfu) * 4});
  wire::store_be16(ip + 10, sum.checksum());
}

void Segmenter::fix_tcp_header(std::uint8_t* tcp, bool first, bool last) const noexcept {
  wire::store_be32(tcp + 4, wire::load_be32(tcp + 4) + offset_);
  std::uint8_t& flags = tcp[13];
  // RFC 3168 §6.1.2: the sender answers ECE once, so CWR must not be said again by every segment.
  if (!first) flags &= static_cast<std::uint8_t>(~wire::TcpFlags::kCwr);
  if (!last) flags &= static_cast<std::uint8_t>(~(wire::TcpFlags::kFin | wire::TcpFlags::kPsh));
  wire::store_be16(tcp + kTcpChecksumOffset, 0);
}

void Segmenter::copy_payload(std::uint8_t* to, std::uint32_t size, wire::ChecksumAccumulator& sum) noexcept {
  offset_ += size;
  while (size > 0) {
    const Slice& piece = packet_.payload_pieces[piece_];
    const std::uint32_t part = std::min(size, piece.size() - piece_offset_);
    sum.add_and_copy({piece.data() + piece_offset_, part}, to);
    to += part;
    size -= part;
    piece_offset_ += part;
    if (piece_offset_ == piece.size()) {
      ++piece_;
      piece_offset_ = 0;
    }
  }
}

std::uint32_t write_completed(const TxPacket& packet, std::uint8_t* to) noexcept {
  if (!packet.checksum_wanted) return write_joined(packet, to);
  std::memcpy(to, packet.header_bytes.data(), packet.header_size);
  std::uint8_t* transport = to + packet.checksum_start;
  wire::ChecksumAccumulator sum;  // the field itself brings in the pseudo-header
  sum.add({transport, static_cast<std::size_t>(packet.header_size - packet.checksum_start)});
  std::uint8_t* end = to + packet.header_size;
  for (const Slice& piece : packet.payload()) {
    sum.add_and_copy(piece.span(), end);
    end += piece.size();
  }
  store_checksum(sum.checksum(), packet.checksum_offset, transport);
  return static_cast<std::uint32_t>(end - to);
}

std::uint32_t write_joined(const TxPacket& packet, std::uint8_t* to) noexcept {
  std::memcpy(to, packet.header_bytes.data(), packet.header_size);
  std::uint8_t* end = to + packet.header_size;
  for (const Slice& piece : packet.payload()) {
    if (piece.empty()) continue;
    std::memcpy(end, piece.data(), piece.size());
    end += piece.size();
  }
  return static_cast<std::uint32_t>(end - to);
}

}  // namespace ff
