// What must hold of every packet there can be: what is written is read back, and what is read stays within its bytes
// (AddressSanitizer watches: every input lies in memory of exactly its size).
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "wire/checksum.hpp"
#include "wire/icmp.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"
#include "wire/udp.hpp"

namespace ff::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

// ---- generators ----------------------------------------------------------------------------------------------------

// RapidCheck begins with small values; packets hold any from the first.
template <typename T>
T any() {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<T>());
}

std::uint32_t any32() { return any<std::uint32_t>(); }
std::uint8_t any8() { return any<std::uint8_t>(); }
std::uint16_t port() { return *rc::gen::inRange<std::uint16_t>(1, 65535); }

Bytes any_bytes(std::size_t min, std::size_t max) {
  return *rc::gen::container<Bytes>(*rc::gen::inRange<std::size_t>(min, max + 1),
                                    rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint8_t>()));
}

IpHeader any_ip_header(std::uint8_t protocol) {
  IpHeader header;
  if (any<bool>()) {
    header.source = IpAddress::v4(*rc::gen::inRange<std::uint8_t>(1, 224), any8(), any8(), any8());
    header.destination = IpAddress::v4(any8(), any8(), any8(), any8());
    header.identification = any<std::uint16_t>();
    header.dont_fragment = any<bool>();
  } else {
    Bytes source = any_bytes(16, 16);
    source[0] = 0x20;
    Bytes destination = any_bytes(16, 16);
    destination[0] = 0x20;
    header.source = IpAddress::v6(std::span<const std::uint8_t, 16>(source));
    header.destination = IpAddress::v6(std::span<const std::uint8_t, 16>(destination));
  }
  header.protocol = protocol;
  header.ttl = any8();
  header.traffic_class = any8();
  return header;
}

TcpOptions any_options(bool syn) {
  TcpOptions options;
  if (any<bool>()) options.timestamps = Timestamps{Timestamp(any32()), Timestamp(any32())};
  if (!syn) {
    const std::size_t room = options.timestamps ? 3 : 4;
    for (std::size_t i = *rc::gen::inRange<std::size_t>(0, room + 1); i > 0; --i) {
      options.sack.add({Seq(any32()), Seq(any32())});
    }
    return options;
  }
  if (any<bool>()) options.mss = port();
  if (any<bool>()) options.window_scale = WindowScale{*rc::gen::inRange<std::uint8_t>(0, 15)};
  options.sack_permitted = any<bool>();
  if (any<bool>()) {
    FastOpenOption& option = options.fast_open.emplace();
    option.experimental = any<bool>();
    option.cookie.size = *rc::gen::element<std::uint8_t>(0, 4, 6, 8, 10, 12, 14, 16);
    std::ranges::copy(any_bytes(option.cookie.size, option.cookie.size), option.cookie.bytes.begin());
  }
  return options;
}

TcpHeader any_tcp_header() {
  TcpHeader header;
  header.source_port = port();
  header.destination_port = port();
  header.seq = Seq(any32());
  header.ack = Seq(any32());
  header.flags.bits = any8();
  header.window.raw = any<std::uint16_t>();
  header.urgent_pointer = any<std::uint16_t>();
  header.options = any_options(header.flags.syn());
  return header;
}

bool same(const IpHeader& a, const IpHeader& b) {
  return a.source == b.source && a.destination == b.destination && a.protocol == b.protocol && a.ttl == b.ttl &&
         a.traffic_class == b.traffic_class && a.identification == b.identification &&
         a.dont_fragment == b.dont_fragment;
}

bool same(const TcpHeader& a, const TcpHeader& b) {
  return a.source_port == b.source_port && a.destination_port == b.destination_port && a.seq == b.seq &&
         a.ack == b.ack && a.flags == b.flags && a.window == b.window && a.urgent_pointer == b.urgent_pointer &&
         a.options == b.options;
}

// A copy in memory of exactly its size, so that a read past the end is seen.
class Exact {
 public:
  explicit Exact(ByteSpan bytes) : memory_(new std::uint8_t[bytes.size()]), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(memory_.get(), bytes.data(), bytes.size());
  }
  [[nodiscard]] ByteSpan span() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  std::size_t size_;
};

// ---- checksum

// RFC 1071 §1, word by word.
std::uint16_t naive_sum(ByteSpan bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

RC_GTEST_PROP(ChecksumProperty, IsTheNaiveSumAtEveryAlignmentAndLength, ()) {
  // Runs of ff make the carries that random bytes seldom make.
  Bytes bytes = any<bool>() ? any_bytes(0, 600) : Bytes(*rc::gen::inRange<std::size_t>(0, 70000), 0xff);
  for (std::size_t offset = 0; offset < std::min<std::size_t>(33, bytes.size()); ++offset) {
    const Exact part(ByteSpan(bytes).subspan(offset));
    ChecksumAccumulator in_place;
    in_place.add(ByteSpan(bytes).subspan(offset));
    ChecksumAccumulator copying;
    Bytes copy(part.span().size());
    copying.add_and_copy(part.span(), copy.data());
    RC_ASSERT(in_place.folded() == naive_sum(part.span()));
    RC_ASSERT(copying.folded() == naive_sum(part.span()));
    RC_ASSERT(std::ranges::equal(copy, part.span()));
  }
}

RC_GTEST_PROP(ChecksumProperty, IsTheSameHoweverTheBytesAreCut, ()) {
  const Bytes bytes = any_bytes(0, 2000);
  ChecksumAccumulator sum;
  for (ByteSpan rest = bytes; !rest.empty();) {
    const std::size_t size = *rc::gen::inRange<std::size_t>(1, std::min<std::size_t>(rest.size(), 300) + 1);
    Bytes copy(size);
    if (any<bool>()) {
      sum.add(rest.first(size));
    } else {
      sum.add_and_copy(rest.first(size), copy.data());
    }
    rest = rest.subspan(size);
  }
  RC_ASSERT(sum.folded() == naive_sum(bytes));
}

// ---- what is written is read back

RC_GTEST_PROP(IpProperty, ReadsWhatItWrites, ()) {
  const IpHeader header = any_ip_header(protocol::kTcp);
  const std::size_t payload = *rc::gen::inRange<std::size_t>(0, 1400);
  Bytes packet(kIpv6HeaderSize + payload);
  const std::size_t size = emit_ip(header, payload, packet.data());
  packet.resize(size + payload);
  for (const bool trust : {true, false}) {
    const auto view = parse_ip(packet, trust);
    RC_ASSERT(view.has_value());
    RC_ASSERT(same(view->header, header));
    RC_ASSERT(view->payload_offset == size);
    RC_ASSERT(view->payload_size == payload);
  }
  const auto quoted = parse_quoted_ip(ByteSpan(packet).first(size));
  RC_ASSERT(quoted.has_value());
  RC_ASSERT(same(quoted->header, header));
}

RC_GTEST_PROP(TcpProperty, ReadsWhatItWrites, ()) {
  const TcpHeader header = any_tcp_header();
  Bytes segment(60);
  const std::size_t size = emit_tcp(header, segment.data());
  RC_ASSERT(size % 4 == 0u);
  RC_ASSERT(size <= 60u);
  segment.resize(size);
  const Bytes payload = any_bytes(0, 100);
  segment.insert(segment.end(), payload.begin(), payload.end());
  const auto view = parse_tcp(segment);
  RC_ASSERT(view.has_value());
  RC_ASSERT(same(view->header, header));
  RC_ASSERT(view->payload_offset == size);
  RC_ASSERT(view->payload_size == payload.size());
}

RC_GTEST_PROP(UdpProperty, ReadsWhatItWrites, ()) {
  const IpHeader ip = any_ip_header(protocol::kUdp);
  const Bytes payload = any_bytes(0, 100);
  const std::uint16_t from = port();
  const std::uint16_t to = port();
  Bytes datagram(kUdpHeaderSize);
  emit_udp(ip, from, to, payload, datagram.data());
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  RC_ASSERT(verify_transport_checksum(ip, datagram));
  const auto view = parse_udp(ip, datagram);
  RC_ASSERT(view.has_value());
  RC_ASSERT(view->source_port == from);
  RC_ASSERT(view->destination_port == to);
  RC_ASSERT(view->has_checksum);
  RC_ASSERT(view->payload_size == payload.size());
}

RC_GTEST_PROP(IcmpProperty, ReadsWhatItWrites, ()) {
  IpHeader ip = any_ip_header(protocol::kIcmp);
  if (ip.source.is_v6()) ip.protocol = protocol::kIcmp6;
  const Bytes data = any_bytes(0, 100);
  const std::uint16_t identifier = port();
  const std::uint16_t sequence = port();
  const IcmpKind kind = any<bool>() ? IcmpKind::EchoRequest : IcmpKind::EchoReply;
  Bytes message(8 + data.size());
  RC_ASSERT(emit_echo(kind, ip, identifier, sequence, data, message.data()) == message.size());
  const auto echo = parse_icmp(ip, message);
  RC_ASSERT(echo.has_value());
  RC_ASSERT(echo->kind == kind);
  RC_ASSERT(echo->identifier == identifier);
  RC_ASSERT(echo->sequence == sequence);
  RC_ASSERT(std::ranges::equal(ByteSpan(message).subspan(echo->body_offset, echo->body_size), data));
}

// ---- anything may be read

// Reads a packet as the stack does, through every layer, and checks that views stay within what they view.
void read_all_layers(ByteSpan packet, bool trust_length_field) {
  const auto ip = parse_ip(packet, trust_length_field);
  if (!ip) return;
  RC_ASSERT(std::size_t{ip->payload_offset} + ip->payload_size <= packet.size());
  const Exact payload(packet.subspan(ip->payload_offset, ip->payload_size));
  static_cast<void>(verify_transport_checksum(ip->header, payload.span()));
  if (const auto tcp = parse_tcp(payload.span())) {
    RC_ASSERT(std::size_t{tcp->payload_offset} + tcp->payload_size == payload.span().size());
  }
  if (const auto udp = parse_udp(ip->header, payload.span())) {
    RC_ASSERT(std::size_t{udp->payload_offset} + udp->payload_size <= payload.span().size());
  }
  if (const auto icmp = parse_icmp(ip->header, payload.span())) {
    RC_ASSERT(std::size_t{icmp->body_offset} + icmp->body_size == payload.span().size());
    const Exact body(payload.span().subspan(icmp->body_offset, icmp->body_size));
    if (const auto quoted = parse_quoted_ip(body.span())) {
      RC_ASSERT(quoted->end() <= body.span().size());
      static_cast<void>(parse_quoted_tcp(body.span().subspan(quoted->payload_offset, quoted->payload_size)));
    }
  }
}

RC_GTEST_PROP(AnyBytes, AreReadWithinTheirBounds, ()) {
  Bytes bytes = any_bytes(0, 120);
  // Most random bytes are no IP at all; the version makes them reach further.
  if (!bytes.empty() && any<bool>()) bytes[0] = *rc::gen::element<std::uint8_t>(0x45, 0x46, 0x4f, 0x60);
  const Exact exact(bytes);
  read_all_layers(exact.span(), any<bool>());
  static_cast<void>(parse_quoted_ip(exact.span()));
  static_cast<void>(parse_tcp(exact.span()));
  static_cast<void>(parse_quoted_tcp(exact.span()));
  TcpOptions options;
  static_cast<void>(
      parse_tcp_options(exact.span().first(std::min(kMaxTcpOptions, bytes.size())), any<bool>(), options));
  RC_ASSERT(options.sack.count <= SackBlocks::kMax);
  if (options.fast_open && options.fast_open->cookie.size != 0) {
    RC_ASSERT(FastOpenCookie::valid_size(options.fast_open->cookie.size));
  }
}

Bytes any_tcp_packet() {
  const IpHeader ip = any_ip_header(protocol::kTcp);
  Bytes segment(60);
  segment.resize(emit_tcp(any_tcp_header(), segment.data()));
  Bytes packet(kIpv6HeaderSize);
  packet.resize(emit_ip(ip, segment.size(), packet.data()));
  packet.insert(packet.end(), segment.begin(), segment.end());
  return packet;
}

RC_GTEST_PROP(TruncatedPackets, AreRefusedAtEveryLength, ()) {
  const Bytes packet = any_tcp_packet();
  for (std::size_t size = 0; size < packet.size(); ++size) {
    const Exact part(ByteSpan(packet).first(size));
    RC_ASSERT(parse_ip(part.span()).error() == DropReason::IpTruncated);
    read_all_layers(part.span(), false);
    static_cast<void>(parse_quoted_ip(part.span()));
  }
}

RC_GTEST_PROP(DamagedPackets, AreReadWithinTheirBounds, ()) {
  Bytes packet = any_tcp_packet();
  for (int i = *rc::gen::inRange(1, 5); i > 0; --i) packet[*rc::gen::inRange<std::size_t>(0, packet.size())] = any8();
  const Exact exact(packet);
  read_all_layers(exact.span(), false);
  read_all_layers(exact.span(), true);
}

}  // namespace
}  // namespace ff::wire
