#include "ip/fragmenter.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"
#include "wire/ip.hpp"

namespace ff::ip {

std::uint32_t FragmentIds::next(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol) noexcept {
  // Of 32 bits a random choice is good enough; 16 bits are too few for that and count up from a secret start.
  if (source.is_v6()) return static_cast<std::uint32_t>(random_.next());
  SipHasher<1, 3> hasher(key_);
  std::array<std::uint64_t, 4> words;
  std::memcpy(words.data(), source.bytes().data(), 16);
  std::memcpy(words.data() + 2, destination.bytes().data(), 16);
  for (const std::uint64_t word : words) hasher.add(word);
  const std::uint64_t hash = hasher.finish(protocol, 33);
  return (static_cast<std::uint32_t>(hash >> 32) + ++turns_[hash % turns_.size()]) & 0xffff;
}

namespace {

void complete_checksum(TxPacket& packet) noexcept {
  if (!packet.checksum_wanted) return;
  wire::ChecksumAccumulator sum;
  sum.add(packet.header().subspan(packet.checksum_start));  // with the pseudo-header's sum in the field
  for (const Slice& piece : packet.payload()) sum.add(piece.span());
  const std::uint16_t checksum = sum.checksum();
  // RFC 768: a 0 would say that there is none.
  wire::store_be16(packet.header_bytes.data() + packet.checksum_start + packet.checksum_offset,
                   checksum == 0 ? std::uint16_t{0xffff} : checksum);
  packet.checksum_wanted = false;
}

std::uint32_t ip_header_size(const TxPacket& packet) noexcept {
  return packet.header_bytes[0] >> 4 == 4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
}

constexpr std::uint32_t kFragmentHeader = 8;
constexpr std::uint8_t kFragmentNextHeader = 44;
constexpr std::uint16_t kMoreFragmentsV4 = 0x2000;

}  // namespace

void Fragmenter::begin(TxPacket& packet, std::uint16_t mtu, std::uint32_t identification) noexcept {
  complete_checksum(packet);
  whole_.take(packet);
  identification_ = identification;
  const std::uint32_t ip_size = ip_header_size(whole_);
  const std::uint32_t room = mtu - ip_size - (is_v4() ? 0 : kFragmentHeader);
  step_ = room & ~7u;  // offsets count in eights
  total_ = whole_.size() - ip_size;
  offset_ = 0;
  piece_ = 0;
  piece_offset_ = 0;
  // The transport header goes whole into the first fragment (RFC 7112; RFC 1858 for IPv4).
  assert(step_ >= whole_.header_size - ip_size);
}

bool Fragmenter::next(TxPacket& fragment) noexcept {
  if (offset_ >= total_) return false;
  fragment.clear();
  const std::uint32_t size = std::min(step_, total_ - offset_);
  write_header(fragment, size, offset_ + size < total_);
  std::uint32_t payload = size;
  if (offset_ == 0) {
    const std::uint32_t ip_size = ip_header_size(whole_);
    const std::uint32_t transport = whole_.header_size - ip_size;
    std::memcpy(fragment.header_bytes.data() + fragment.header_size, whole_.header_bytes.data() + ip_size, transport);
    fragment.header_size = static_cast<std::uint16_t>(fragment.header_size + transport);
    payload -= transport;
  }
  take_payload(fragment, payload);
  fragment.interface = whole_.interface;
  offset_ += size;
  if (offset_ == total_) whole_.clear();
  return true;
}

void Fragmenter::write_header(TxPacket& fragment, std::uint32_t size, bool more) const noexcept {
  std::uint8_t* const to = fragment.header_bytes.data();
  if (is_v4()) {
    std::memcpy(to, whole_.header_bytes.data(), wire::kIpv4HeaderSize);
    fragment.header_size = wire::kIpv4HeaderSize;
    wire::store_be16(to + 2, static_cast<std::uint16_t>(wire::kIpv4HeaderSize + size));
    wire::store_be16(to + 4, static_cast<std::uint16_t>(identification_));
    wire::store_be16(to + 6, static_cast<std::uint16_t>(offset_ / 8 | (more ? kMoreFragmentsV4 : 0u)));
    wire::store_be16(to + 10, 0);
    wire::ChecksumAccumulator sum;
    sum.add({to, wire::kIpv4HeaderSize});
    wire::store_be16(to + 10, sum.checksum());
    return;
  }
  std::memcpy(to, whole_.header_bytes.data(), wire::kIpv6HeaderSize);
  wire::store_be16(to + 4, static_cast<std::uint16_t>(kFragmentHeader + size));
  std::uint8_t* const extension = to + wire::kIpv6HeaderSize;
  extension[0] = std::exchange(to[6], kFragmentNextHeader);
  extension[1] = 0;
  wire::store_be16(extension + 2, static_cast<std::uint16_t>(offset_ | (more ? 1u : 0u)));
  wire::store_be32(extension + 4, identification_);
  fragment.header_size = wire::kIpv6HeaderSize + kFragmentHeader;
}

void Fragmenter::take_payload(TxPacket& fragment, std::uint32_t size) noexcept {
  fragment.payload_size = size;
  while (size > 0) {
    const Slice& piece = whole_.payload_pieces[piece_];
    const std::uint32_t part = std::min(size, piece.size() - piece_offset_);
    fragment.payload_pieces[fragment.payload_piece_count++] = piece.sub(piece_offset_, part);
    size -= part;
    piece_offset_ += part;
    if (piece_offset_ == piece.size()) {
      ++piece_;
      piece_offset_ = 0;
    }
  }
}

}  // namespace ff::ip
