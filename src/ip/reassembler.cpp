#include "ip/reassembler.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::ip {
namespace {

// What a packet in the making, and each of its pieces, cost beside the bytes; rounded up.
constexpr std::size_t kPacketCost = 512;
constexpr std::size_t kPieceCost = 128;
// The largest packet over the smallest MTU that IPv4 has comes in 1366 pieces (RFC 791 §3.2); more are an attack on the
// time that it takes to sort them.
constexpr std::size_t kMaxPieces = 1400;
constexpr std::uint32_t kMaxPacket = 65535;
// With this part of the memory a sender counts as heavy, and is the first to lose what it has when memory ends.
constexpr std::size_t kHeavyShare = 8;

IpAddress network_of(const IpAddress& source) noexcept {
  if (source.is_v4()) return source;
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(source.bytes().begin(), 8, bytes.begin());
  return IpAddress::v6(bytes);
}

void add_address(SipHasher<1, 3>& hasher, const IpAddress& address) noexcept {
  std::array<std::uint64_t, 2> words;
  std::memcpy(words.data(), address.bytes().data(), sizeof words);
  for (const std::uint64_t word : words) hasher.add(word);
}

// RFC 3168 §5.3. Nothing: codepoints that do not go together, the packet must be dropped; else what to set.
std::optional<std::uint8_t> merged_ecn(std::uint8_t seen) noexcept {
  constexpr std::uint8_t kNotEct = 1, kCe = 8;
  if (seen == kNotEct) return std::uint8_t{0};
  if ((seen & kNotEct) != 0) return std::nullopt;
  return (seen & kCe) != 0 ? std::uint8_t{3} : std::uint8_t{0};
}

}  // namespace

Reassembler::Reassembler(bool v4, const Settings& settings, Counters& counters, const SipHashKey& key)
    : v4_(v4), settings_(settings), counters_(counters), by_key_(0, Hash{key}), by_source_(0, Hash{key}) {}

std::size_t Reassembler::Hash::operator()(const Key& packet) const noexcept {
  SipHasher<1, 3> hasher(key);
  add_address(hasher, packet.source);
  add_address(hasher, packet.destination);
  return hasher.finish(packet.identification | std::uint64_t{packet.protocol} << 32, 37);
}

std::size_t Reassembler::Hash::operator()(const IpAddress& address) const noexcept {
  SipHasher<1, 3> hasher(key);
  add_address(hasher, address);
  return hasher.finish(0, 16);
}

std::optional<Slice> Reassembler::add(Instant now, InterfaceId interface, const wire::FragmentView& fragment,
                                      ByteSpan packet) {
  const Key key{fragment.header.source, fragment.header.destination, fragment.identification,
                v4_ ? fragment.header.protocol : std::uint8_t{0}};
  const auto known = by_key_.find(key);
  if (known != by_key_.end() && packets_[known->second].spoilt) {
    fail(DropReason::IpFragmentOverlap);
    return std::nullopt;
  }
  const bool is_new = known == by_key_.end();
  const bool first = fragment.offset == 0;
  const std::size_t cost =
      (is_new ? kPacketCost : 0) + kPieceCost + (first ? packet.size() : std::size_t{fragment.payload_size});
  Packet& whole = is_new ? packet_of(now, interface, key) : packets_[known->second];
  if (!make_room(cost, whole.index)) {
    fail(DropReason::IpFragmentMemory);
    return std::nullopt;
  }
  if (is_new) charge(whole, kPacketCost);
  if (!accept(whole, fragment)) return std::nullopt;
  insert(whole, fragment, packet);
  return whole.total && whole.received == *whole.total ? finish(whole) : std::nullopt;
}

Reassembler::Packet& Reassembler::packet_of(Instant now, InterfaceId interface, const Key& key) {
  Source& source = source_of(network_of(key.source));
  Packet& packet = packets_.create();
  packet.key = key;
  packet.source = source.index;
  packet.interface = interface;
  packet.deadline = now + std::chrono::seconds(v4_ ? settings_.ipfrag_time : settings_.ip6frag_time);
  by_key_.emplace(key, packet.index);
  queue_.push_back(packet);
  source.packets.push_back(packet);
  return packet;
}

Reassembler::Source& Reassembler::source_of(const IpAddress& address) {
  if (const auto known = by_source_.find(address); known != by_source_.end()) return sources_[known->second];
  Source& source = sources_.create();
  source.address = address;
  by_source_.emplace(address, source.index);
  return source;
}

bool Reassembler::accept(Packet& packet, const wire::FragmentView& fragment) {
  const std::uint32_t end = fragment.offset + fragment.payload_size;
  const bool beyond_end = packet.total && (fragment.more ? end > *packet.total : end != *packet.total);
  const bool end_before_others = !fragment.more && !packet.pieces.empty() && packet.pieces.back().end() > end;
  if (beyond_end || end_before_others || packet.pieces.size() >= kMaxPieces) {
    spoil(packet, DropReason::IpFragment);
    return false;
  }
  std::size_t low = 0, high = packet.pieces.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (packet.pieces[middle].offset < fragment.offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low < packet.pieces.size()) {
    const Piece& next = packet.pieces[low];
    if (next.offset == fragment.offset && next.end() == end) {
      counters_.drop(DropReason::IpFragment);  // the network repeats; RFC 5722 §4 and Linux let that pass
      return false;
    }
    if (next.offset < end) {
      spoil(packet, DropReason::IpFragmentOverlap);
      return false;
    }
  }
  if (low > 0 && packet.pieces[low - 1].end() > fragment.offset) {
    spoil(packet, DropReason::IpFragmentOverlap);
    return false;
  }
  return true;
}

void Reassembler::insert(Packet& packet, const wire::FragmentView& fragment, ByteSpan bytes) {
  Piece piece{fragment.offset, {}};
  if (fragment.offset == 0) {
    const Slice whole = Slice::copy_of(bytes.first(fragment.payload_offset + fragment.payload_size));
    remember_first(packet, fragment, whole);
    piece.bytes = whole.sub(fragment.payload_offset);
    charge(packet, kPieceCost + whole.size());
  } else {
    // Copied: a fragment must not keep the device's whole slab, or the bound on memory would be none.
    piece.bytes = Slice::copy_of(bytes.subspan(fragment.payload_offset, fragment.payload_size));
    charge(packet, kPieceCost + piece.bytes.size());
  }
  if (!fragment.more) packet.total = fragment.offset + fragment.payload_size;
  packet.received += fragment.payload_size;
  packet.ecn_seen = static_cast<std::uint8_t>(packet.ecn_seen | 1u << (fragment.header.traffic_class & 3));
  std::size_t at = packet.pieces.size();
  while (at > 0 && packet.pieces[at - 1].offset > fragment.offset) --at;
  packet.pieces.insert(at, std::move(piece));
}

void Reassembler::remember_first(Packet& packet, const wire::FragmentView& fragment, const Slice& whole) {
  packet.first = whole;
  packet.header_size = fragment.header_size;
  packet.next_header_field = fragment.next_header_field;
  packet.protocol = fragment.header.protocol;
}

// The first fragment's header, without what made it a fragment, and all the bytes.
std::optional<Slice> Reassembler::finish(Packet& packet) {
  const auto ecn = merged_ecn(packet.ecn_seen);
  const std::uint32_t size = packet.header_size + *packet.total;
  if (!ecn || size - (v4_ ? 0 : wire::kIpv6HeaderSize) > kMaxPacket) {
    spoil(packet, DropReason::IpFragment);
    return std::nullopt;
  }
  std::string bytes(size, '\0');
  auto* const p = reinterpret_cast<std::uint8_t*>(bytes.data());
  std::memcpy(p, packet.first.data(), packet.header_size);
  if (v4_) {
    p[1] = static_cast<std::uint8_t>(p[1] | *ecn);
    wire::store_be16(p + 2, static_cast<std::uint16_t>(size));
    wire::store_be16(p + 6, 0);
    wire::store_be16(p + 10, 0);
    wire::ChecksumAccumulator sum;
    sum.add({p, packet.header_size});
    wire::store_be16(p + 10, sum.checksum());
  } else {
    wire::store_be16(p, static_cast<std::uint16_t>(wire::load_be16(p) | *ecn << 4));
    wire::store_be16(p + 4, static_cast<std::uint16_t>(size - wire::kIpv6HeaderSize));
    p[packet.next_header_field] = packet.protocol;
  }
  for (std::size_t i = 0; i < packet.pieces.size(); ++i) {
    const Piece& piece = packet.pieces[i];
    std::memcpy(p + packet.header_size + piece.offset, piece.bytes.data(), piece.bytes.size());
  }
  counters_.add(v4_ ? Counter::Ip_ReasmOKs : Counter::Ip6_ReasmOKs);
  remove(packet);
  return Slice::adopt(std::move(bytes));
}

std::optional<Reassembler::Expired> Reassembler::expire(Instant now) {
  if (queue_.empty() || queue_.front().deadline > now) return std::nullopt;
  Packet& packet = queue_.front();
  Expired expired{packet.interface, packet.first};
  if (!packet.spoilt) {
    counters_.add(v4_ ? Counter::Ip_ReasmTimeout : Counter::Ip6_ReasmTimeout);
    fail(DropReason::IpFragmentTimeout);
  }
  remove(packet);
  return expired;
}

// ---- memory --------------------------------------------------------------------------------------------------------

bool Reassembler::is_heavy(const Source& source) const noexcept { return source.memory > limit() / kHeavyShare; }

// Forgets older packets until there is room. False when it was the packet's own that had to go.
bool Reassembler::make_room(std::size_t bytes, std::uint32_t for_packet) {
  while (memory_ + bytes > limit()) {
    Packet* const loser = victim(sources_[packets_[for_packet].source]);
    const bool own = loser == nullptr || loser->index == for_packet;
    if (loser != nullptr && !own && !loser->spoilt) fail(DropReason::IpFragmentMemory);
    remove(own ? packets_[for_packet] : *loser);
    if (own) return false;
  }
  return true;
}

// A flood from one sender costs that sender: the oldest packet of whoever is heavy goes first. A flood from many is
// outlasted by whoever sends the fragments of a packet at once: then the oldest of all goes.
Reassembler::Packet* Reassembler::victim(const Source& arriving) noexcept {
  if (is_heavy(arriving)) return const_cast<Packet*>(&arriving.packets.front());
  while (!heavy_.empty()) {
    Source& source = sources_[heavy_.back()];
    if (is_heavy(source)) return &source.packets.front();
    heavy_.pop_back();
  }
  return queue_.empty() ? nullptr : &queue_.front();
}

void Reassembler::charge(Packet& packet, std::size_t bytes) {
  Source& source = sources_[packet.source];
  const bool was_heavy = is_heavy(source);
  packet.memory += bytes;
  source.memory += bytes;
  memory_ += bytes;
  if (!was_heavy && is_heavy(source) && std::ranges::find(heavy_, source.index) == heavy_.end())
    heavy_.push_back(source.index);
}

void Reassembler::refund(Packet& packet, std::size_t bytes) noexcept {
  packet.memory -= bytes;
  sources_[packet.source].memory -= bytes;
  memory_ -= bytes;
}

// ---- ends ----------------------------------------------------------------------------------------------------------

void Reassembler::spoil(Packet& packet, DropReason reason) noexcept {
  if (reason == DropReason::IpFragmentOverlap) counters_.add(Counter::IpExt_ReasmOverlaps);
  fail(reason);
  packet.spoilt = true;
  packet.pieces = {};
  packet.first = {};
  if (packet.memory > kPacketCost) refund(packet, packet.memory - kPacketCost);
}

void Reassembler::fail(DropReason reason) noexcept {
  counters_.add(v4_ ? Counter::Ip_ReasmFails : Counter::Ip6_ReasmFails);
  counters_.drop(reason);
}

void Reassembler::remove(Packet& packet) noexcept {
  refund(packet, packet.memory);
  by_key_.erase(packet.key);
  Source& source = sources_[packet.source];
  packets_.destroy(packet.index);  // leaves its lists
  if (!source.packets.empty()) return;
  std::erase(heavy_, source.index);
  by_source_.erase(source.address);
  sources_.destroy(source.index);
}

}  // namespace ff::ip
