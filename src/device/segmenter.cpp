#include "device/segmenter.hpp"

#include <algorithm>
#include <cstring>

#include "wire/endian.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff {
namespace {

constexpr std::uint16_t kTcpChecksumOffset = 16;
constexpr std::size_t kTcpFlagsOffset = 13;  // the low byte of the word that begins with the data offset
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

}  // namespace

std::uint32_t wire_packet_count(const TxPacket& packet) noexcept {
  if (!needs_cutting(packet)) return 1;
  return (packet.payload_size + packet.segment_size - 1) / packet.segment_size;
}

Segmenter::Segmenter(const TxPacket& packet) noexcept : packet_(packet), remaining_(wire_packet_count(packet)) {
  if (remaining_ == 1) return;
  assert(packet.checksum_wanted && packet.checksum_offset == kTcpChecksumOffset);
  assert(packet.header_size >= packet.checksum_start + wire::kTcpHeaderSize);
  std::memcpy(header_.data(), packet.header_bytes.data(), packet.header_size);
  std::uint8_t* const ip = header_.data();
  std::uint8_t* const tcp = ip + packet.checksum_start;
  if (is_v4(ip)) {
    wire::store_be32(ip + 2, 0);  // total length, identification
    wire::store_be16(ip + 10, 0);
    ip_sum_.add({ip, (ip[0] & 0xfu) * 4});
    tcp_sum_.add({ip + 12, 8});
  } else {
    wire::store_be16(ip + 4, 0);  // payload length
    tcp_sum_.add({ip + 8, 32});
  }
  wire::store_be32(tcp + 4, 0);
  tcp[kTcpFlagsOffset] = 0;
  wire::store_be16(tcp + kTcpChecksumOffset, 0);
  tcp_sum_.add16(wire::protocol::kTcp);
  tcp_sum_.add({tcp, static_cast<std::size_t>(packet.header_size - packet.checksum_start)});
}

std::uint32_t Segmenter::next(std::uint8_t* to) noexcept {
  assert(remaining_ > 0);
  if (!needs_cutting(packet_)) {
    remaining_ = 0;
    return write_completed(packet_, to);
  }
  const std::uint32_t payload = next_payload();
  const std::uint32_t header = packet_.header_size;
  std::memcpy(to, header_.data(), header);
  finish_ip_header(to, header + payload);
  std::uint8_t* const tcp = to + packet_.checksum_start;

  wire::ChecksumAccumulator sum = tcp_sum_;
  sum.add32(header - packet_.checksum_start + payload);
  finish_tcp_header(tcp, sum);
  copy_payload(to + header, payload, sum);
  wire::store_be16(tcp + kTcpChecksumOffset, sum.checksum());

  ++index_;
  --remaining_;
  return header + payload;
}

void Segmenter::finish_ip_header(std::uint8_t* ip, std::uint32_t packet_size) const noexcept {
  if (!is_v4(ip)) {
    wire::store_be16(ip + 4, static_cast<std::uint16_t>(packet_size - wire::kIpv6HeaderSize));
    return;
  }
  const auto length = static_cast<std::uint16_t>(packet_size);
  const auto identification = static_cast<std::uint16_t>(wire::load_be16(packet_.header_bytes.data() + 4) + index_);
  wire::store_be16(ip + 2, length);
  wire::store_be16(ip + 4, identification);
  wire::ChecksumAccumulator sum = ip_sum_;
  sum.add16(length);
  sum.add16(identification);
  wire::store_be16(ip + 10, sum.checksum());
}

void Segmenter::finish_tcp_header(std::uint8_t* tcp, wire::ChecksumAccumulator& sum) const noexcept {
  const std::uint8_t* const original = packet_.header_bytes.data() + packet_.checksum_start;
  const std::uint32_t seq = wire::load_be32(original + 4) + offset_;
  std::uint8_t flags = original[kTcpFlagsOffset];
  // RFC 3168 §6.1.2: the sender answers ECE once, so CWR must not be said again by every segment.
  if (index_ > 0) flags &= static_cast<std::uint8_t>(~wire::TcpFlags::kCwr);
  if (remaining_ > 1) flags &= static_cast<std::uint8_t>(~(wire::TcpFlags::kFin | wire::TcpFlags::kPsh));
  wire::store_be32(tcp + 4, seq);
  tcp[kTcpFlagsOffset] = flags;
  sum.add32(seq);
  sum.add16(flags);
}

void Segmenter::copy_payload(std::uint8_t* to, std::uint32_t size, wire::ChecksumAccumulator& sum) noexcept {
  offset_ += size;
  while (size > 0) {
    const Slice& piece = packet_.payload_pieces[piece_];
    const std::uint32_t part = std::min(size, piece.size() - piece_offset_);
    piece.note_copy();
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
    piece.note_copy();
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
    piece.note_copy();
    std::memcpy(end, piece.data(), piece.size());
    end += piece.size();
  }
  return static_cast<std::uint32_t>(end - to);
}

}  // namespace ff
