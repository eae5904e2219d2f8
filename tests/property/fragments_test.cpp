// Fragments in any order, repeated and overlapping: what comes out is what was sent, or nothing.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "ip/fragmenter.hpp"
#include "ip/reassembler.hpp"
#include "wire/endian.hpp"

namespace ff::ip {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Place {
  Counters counters;
  Settings settings;
  Reassembler reassembler;
  explicit Place(bool v4) : reassembler(v4, settings, counters, {}) {}

  std::optional<Bytes> add(const Bytes& packet) {
    const auto fragment = wire::parse_fragment(packet);
    RC_ASSERT(fragment.has_value());
    RC_ASSERT(!wire::complaint_about(*fragment).has_value());
    const auto whole = reassembler.add(Instant{}, 0, *fragment, packet);
    if (!whole) return std::nullopt;
    return Bytes(whole->data(), whole->data() + whole->size());
  }
};

wire::IpHeader header_of(bool v4) {
  wire::IpHeader ip;
  ip.source = v4 ? IpAddress::v4(192, 0, 2, 2) : *IpAddress::parse("2001:db8::2");
  ip.destination = v4 ? IpAddress::v4(192, 0, 2, 1) : *IpAddress::parse("2001:db8::1");
  ip.protocol = wire::protocol::kUdp;
  ip.dont_fragment = false;
  ip.identification = 77;
  return ip;
}

Bytes packet_with(const wire::IpHeader& ip, const Bytes& payload) {
  Bytes packet(wire::kIpv6HeaderSize + payload.size());
  const std::size_t size = wire::emit_ip(ip, payload.size(), packet.data());
  std::ranges::copy(payload, packet.begin() + static_cast<std::ptrdiff_t>(size));
  packet.resize(size + payload.size());
  return packet;
}

// One fragment as bytes, put together by hand.
Bytes fragment_of(bool v4, std::uint32_t offset, bool more, const Bytes& payload) {
  wire::IpHeader ip = header_of(v4);
  if (v4) {
    Bytes packet = packet_with(ip, payload);
    wire::store_be16(packet.data() + 6, static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000u : 0u)));
    return packet;  // the reassembler trusts the checksum to have been verified
  }
  Bytes body{ip.protocol, 0, 0, 0, 0, 0, 0, 77};
  wire::store_be16(body.data() + 2, static_cast<std::uint16_t>(offset | (more ? 1u : 0u)));
  body.insert(body.end(), payload.begin(), payload.end());
  ip.protocol = 44;
  return packet_with(ip, body);
}

Bytes payload_of(std::size_t size) {
  Bytes payload(size);
  for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return payload;
}

// What cutting a packet gives, in order.
std::vector<Bytes> cut(bool v4, const Bytes& payload, std::uint16_t mtu) {
  const Bytes packet = packet_with(header_of(v4), payload);
  const std::size_t ip_size = v4 ? 20 : 40;
  TxPacket whole;
  whole.clear();
  std::copy_n(packet.begin(), ip_size, whole.header_bytes.begin());
  whole.header_size = static_cast<std::uint16_t>(ip_size);
  whole.payload_size = static_cast<std::uint32_t>(payload.size());
  // In pieces, as applications write.
  std::size_t at = 0;
  while (at < payload.size()) {
    const std::size_t size = std::min<std::size_t>(payload.size() - at, 1 + payload.size() / 5);
    whole.payload_pieces[whole.payload_piece_count++] = Slice::copy_of(ByteSpan(payload).subspan(at, size));
    at += size;
  }
  Fragmenter fragmenter;
  fragmenter.begin(whole, mtu, 77);
  std::vector<Bytes> fragments;
  TxPacket fragment;
  while (fragmenter.next(fragment)) {
    Bytes bytes(fragment.header().begin(), fragment.header().end());
    for (const Slice& piece : fragment.payload()) bytes.insert(bytes.end(), piece.span().begin(), piece.span().end());
    RC_ASSERT(bytes.size() <= mtu);
    fragments.push_back(std::move(bytes));
  }
  return fragments;
}

RC_GTEST_PROP(FragmentsProperty, AnyOrderWithRepetitionsGivesThePacketOnce, ()) {
  const bool v4 = *rc::gen::arbitrary<bool>();
  const Bytes payload = payload_of(*rc::gen::inRange<std::size_t>(1, 6000));
  const auto mtu = static_cast<std::uint16_t>(v4 ? *rc::gen::inRange(68, 1500) : *rc::gen::inRange(1280, 1500));
  const std::vector<Bytes> fragments = cut(v4, payload, mtu);
  RC_PRE(fragments.size() > 1);
  std::vector<std::size_t> order(fragments.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  order = *rc::gen::mapcat(rc::gen::just(order), [](std::vector<std::size_t> all) {
    return rc::gen::map(rc::gen::container<std::vector<std::uint32_t>>(all.size(), rc::gen::arbitrary<std::uint32_t>()),
                        [all](const std::vector<std::uint32_t>& keys) {
                          std::vector<std::size_t> shuffled = all;
                          std::ranges::stable_sort(shuffled, {}, [&](std::size_t i) { return keys[i]; });
                          return shuffled;
                        });
  });
  const auto repeated = *rc::gen::container<std::vector<std::size_t>>(
      rc::gen::inRange<std::size_t>(0, order.size() - 1));  // all of them before the last

  Place place(v4);
  std::vector<std::size_t> sequence(order.begin(), order.end() - 1);
  for (const std::size_t i : repeated) sequence.push_back(order[i]);
  for (const std::size_t i : sequence) RC_ASSERT(!place.add(fragments[i]).has_value());
  const auto whole = place.add(fragments[order.back()]);
  RC_ASSERT(whole.has_value());
  const auto ip = wire::parse_ip(*whole);
  RC_ASSERT(ip.has_value());
  RC_ASSERT(Bytes(whole->begin() + ip->payload_offset, whole->begin() + ip->end()) == payload);
  RC_ASSERT(ip->header.source == header_of(v4).source);
  RC_ASSERT(ip->header.protocol == wire::protocol::kUdp);
  RC_ASSERT(place.reassembler.memory() == 0u);
  RC_ASSERT(place.reassembler.size() == 0u);
}

// The simplest model there is: pieces by place; one that is the same as another is nothing new, one that overlaps
// spoils all.
struct Model {
  std::map<std::uint32_t, Bytes> pieces;
  std::optional<std::uint32_t> total;
  bool spoilt = false;

  std::optional<Bytes> add(std::uint32_t offset, bool more, const Bytes& bytes) {
    if (spoilt) return std::nullopt;
    const auto end = static_cast<std::uint32_t>(offset + bytes.size());
    const bool beyond = total && (more ? end > *total : end != *total);
    const bool cuts_off = !more && !pieces.empty() && pieces.rbegin()->first + pieces.rbegin()->second.size() > end;
    if (beyond || cuts_off) return spoilt = true, std::nullopt;
    for (const auto& [at, piece] : pieces) {
      const auto piece_end = static_cast<std::uint32_t>(at + piece.size());
      if (at == offset && piece_end == end) return std::nullopt;
      if (at < end && offset < piece_end) return spoilt = true, std::nullopt;
    }
    pieces[offset] = bytes;
    if (!more) total = end;
    Bytes whole;
    for (const auto& [at, piece] : pieces) {
      if (at != whole.size()) return std::nullopt;
      whole.insert(whole.end(), piece.begin(), piece.end());
    }
    return total && whole.size() == *total ? std::optional(whole) : std::nullopt;
  }
};

RC_GTEST_PROP(FragmentsProperty, AnyPiecesDoWhatTheModelDoes, ()) {
  const bool v4 = *rc::gen::arbitrary<bool>();
  Place place(v4);
  Model model;
  const int count = *rc::gen::inRange(1, 30);
  for (int i = 0; i < count; ++i) {
    // Small numbers, so that they meet.
    const std::uint32_t offset = *rc::gen::inRange(0u, 6u) * 8;
    const bool more = *rc::gen::inRange(0, 4) != 0;
    const std::size_t size = more ? *rc::gen::inRange<std::size_t>(1, 4) * 8 : *rc::gen::inRange<std::size_t>(1, 25);
    const Bytes bytes(size, static_cast<std::uint8_t>(i + 1));
    const auto expected = model.add(offset, more, bytes);
    // A packet that is one fragment alone is none: parse_ip() takes it as it is.
    if (!more && offset == 0) return;
    const auto whole = place.add(fragment_of(v4, offset, more, bytes));
    RC_ASSERT(whole.has_value() == expected.has_value());
    if (!whole) continue;
    const std::size_t ip_size = v4 ? 20 : 40;
    RC_ASSERT(Bytes(whole->begin() + static_cast<std::ptrdiff_t>(ip_size), whole->end()) == *expected);
    model = {};
  }
}

RC_GTEST_PROP(FragmentsProperty, MemoryStaysWithinTheBound, ()) {
  const bool v4 = *rc::gen::arbitrary<bool>();
  Place place(v4);
  const std::uint32_t limit = *rc::gen::inRange(0u, 20000u);
  place.settings.ipfrag_high_thresh = place.settings.ip6frag_high_thresh = limit;
  for (int i = 0; i < 200; ++i) {
    Bytes packet =
        fragment_of(v4, *rc::gen::inRange(0u, 200u) * 8, true, Bytes(*rc::gen::inRange<std::size_t>(1, 180) * 8, 0));
    // One of a few hosts and a few packets of each.
    packet[15] = *rc::gen::inRange<std::uint8_t>(1, 4);
    packet[v4 ? 5u : 47u] = *rc::gen::inRange<std::uint8_t>(1, 6);
    (void)place.add(packet);
    RC_ASSERT(place.reassembler.memory() <= limit);
  }
  while (place.reassembler.expire(Instant{std::chrono::hours(1)})) {
  }
  RC_ASSERT(place.reassembler.memory() == 0u);
  RC_ASSERT(place.reassembler.next_deadline() == kNever);
}

}  // namespace
}  // namespace ff::ip
