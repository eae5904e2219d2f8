#include "wire/ip.hpp"

#include <cassert>
#include <cstring>
#include <optional>

#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::wire {
namespace {

// Why a packet must be dropped; nothing when all is well.
using Fault = std::optional<DropReason>;

enum class Origin : std::uint8_t {
  Wire,          // a whole packet; what is behind the length it names is padding
  SuperSegment,  // a whole packet whose length field says nothing
  Quote,         // the beginning of a packet that we sent, in an ICMP error
};

// ---- IPv4 (RFC 791) ----------------------------------------------------------------------------------------------

constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kFragmentOffset = 0x1fff;

// RFC 1122 §3.2.1.3: neither "this network" nor a group sends packets.
bool is_possible_source_v4(const std::uint8_t* address) noexcept {
  const bool zero_network = address[0] == 0;
  const bool multicast = (address[0] & 0xf0) == 0xe0;
  const bool broadcast = load_be32(address) == 0xffffffff;
  return !zero_network && !multicast && !broadcast;
}

// `size` is a multiple of four, and so small that a loop over words is quicker than ChecksumAccumulator::add().
std::uint16_t header_sum(const std::uint8_t* header, std::size_t size) noexcept {
  ChecksumAccumulator sum;
  for (std::size_t i = 0; i < size; i += 4) sum.add32(load_be32(header + i));
  return sum.folded();
}

Fault read_v4(ByteSpan packet, Origin origin, IpView& view) noexcept {
  if (packet.size() < kIpv4HeaderSize) return DropReason::IpTruncated;
  const std::uint8_t* p = packet.data();
  const std::size_t header_size = static_cast<std::size_t>(p[0] & 0x0f) * 4;
  if (header_size < kIpv4HeaderSize) return DropReason::IpHeader;
  if (header_size > packet.size()) return DropReason::IpTruncated;

  std::size_t total = packet.size();
  if (origin == Origin::Wire) {
    total = load_be16(p + 2);
    if (total < header_size) return DropReason::IpHeader;
    if (total > packet.size()) return DropReason::IpTruncated;
  }
  const std::uint16_t fragment = load_be16(p + 6);
  if (origin != Origin::Quote) {
    if (header_sum(p, header_size) != 0xffff) return DropReason::IpChecksum;
    if (!is_possible_source_v4(p + 12)) return DropReason::IpMartianSource;
    if ((fragment & (kMoreFragments | kFragmentOffset)) != 0) return DropReason::IpFragment;
  } else if ((fragment & kFragmentOffset) != 0) {
    // Only the first fragment holds the ports by which the quote is told apart.
    return DropReason::IpFragment;
  }

  IpHeader& header = view.header;
  header.source = IpAddress::v4(p[12], p[13], p[14], p[15]);
  header.destination = IpAddress::v4(p[16], p[17], p[18], p[19]);
  header.protocol = p[9];
  header.ttl = p[8];
  header.traffic_class = p[1];
  header.identification = load_be16(p + 4);
  header.dont_fragment = (fragment & kDontFragment) != 0;
  view.payload_offset = static_cast<std::uint32_t>(header_size);
  view.payload_size = static_cast<std::uint32_t>(total - header_size);
  return std::nullopt;
}

std::size_t emit_v4(const IpHeader& header, std::size_t payload_size, std::uint8_t* to) noexcept {
  const std::size_t total = kIpv4HeaderSize + payload_size;
  assert(total <= 0xffff);
  to[0] = 0x45;
  to[1] = header.traffic_class;
  store_be16(to + 2, static_cast<std::uint16_t>(total));
  store_be16(to + 4, header.identification);
  store_be16(to + 6, header.dont_fragment ? kDontFragment : std::uint16_t{0});
  to[8] = header.ttl;
  to[9] = header.protocol;
  store_be16(to + 10, 0);
  std::memcpy(to + 12, header.source.v4_bytes().data(), 4);
  std::memcpy(to + 16, header.destination.v4_bytes().data(), 4);
  store_be16(to + 10, static_cast<std::uint16_t>(~header_sum(to, kIpv4HeaderSize)));
  return kIpv4HeaderSize;
}

// ---- IPv6 (RFC 8200) ---------------------------------------------------------------------------------------------

// Next-header values of extension headers.
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestinationOptions = 60;
// More than any honest packet has (RFC 8200 §4.1 lists seven), so that a packet full of them costs nothing.
constexpr int kMaxExtensionHeaders = 8;

bool is_extension_header(std::uint8_t next) noexcept {
  return next == kHopByHop || next == kRouting || next == kFragment || next == kAuthentication ||
         next == kDestinationOptions;
}

// RFC 8200 §4.2: an option that we do not know may be skipped only if its two highest bits are 0.
bool options_may_be_skipped(ByteSpan options) noexcept {
  constexpr std::uint8_t kPad1 = 0;
  while (!options.empty()) {
    const std::uint8_t type = options[0];
    if (type == kPad1) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options.size() - 2 < options[1] || (type & 0xc0) != 0) return false;
    options = options.subspan(std::size_t{2} + options[1]);
  }
  return true;
}

// Skips extension headers; sets protocol and payload, or says why the packet must be dropped.
Fault skip_extension_headers(const std::uint8_t* packet, std::uint8_t next, std::size_t offset, std::size_t end,
                             Origin origin, IpView& view) noexcept {
  for (int count = 0;; ++count) {
    if (!is_extension_header(next)) break;
    if (count == kMaxExtensionHeaders || end - offset < 8) return DropReason::IpExtensionHeader;
    const std::uint8_t* p = packet + offset;
    std::size_t size = 8 + std::size_t{p[1]} * 8;
    switch (next) {
      case kHopByHop:
        if (count > 0) return DropReason::IpExtensionHeader;
        [[fallthrough]];
      case kDestinationOptions:
        if (size > end - offset || !options_may_be_skipped({p + 2, size - 2})) return DropReason::IpExtensionHeader;
        break;
      case kRouting: {
        const std::uint8_t segments_left = p[3];
        if (size > end - offset || segments_left != 0) return DropReason::IpExtensionHeader;
        break;
      }
      case kFragment: {
        size = 8;
        // "Atomic" fragments are whole packets (RFC 6946); of a quote the first fragment will do.
        const std::uint16_t field = load_be16(p + 2);
        const bool first = (field & 0xfff8) == 0;
        const bool more = (field & 1) != 0;
        if (!first || (more && origin != Origin::Quote)) return DropReason::IpFragment;
        break;
      }
      default:  // authentication: there are no keys to verify it with
        return DropReason::IpExtensionHeader;
    }
    next = p[0];
    offset += size;
  }
  view.header.protocol = next;
  view.payload_offset = static_cast<std::uint32_t>(offset);
  view.payload_size = static_cast<std::uint32_t>(end - offset);
  return std::nullopt;
}

Fault read_v6(ByteSpan packet, Origin origin, IpView& view) noexcept {
  if (packet.size() < kIpv6HeaderSize) return DropReason::IpTruncated;
  const std::uint8_t* p = packet.data();
  std::size_t end = packet.size();
  if (origin == Origin::Wire) {
    end = kIpv6HeaderSize + load_be16(p + 4);
    if (end > packet.size()) return DropReason::IpTruncated;
  }

  IpHeader& header = view.header;
  header.source = IpAddress::v6(packet.subspan<8, 16>());
  header.destination = IpAddress::v6(packet.subspan<24, 16>());
  // An IPv4-mapped address would pass for IPv4 in everything above (RFC 4942 §2.2).
  if (header.source.is_v4() || header.source.is_multicast()) return DropReason::IpMartianSource;
  if (header.destination.is_v4()) return DropReason::IpNotForUs;
  header.ttl = p[7];
  header.traffic_class = static_cast<std::uint8_t>(load_be16(p) >> 4);
  header.identification = 0;
  header.dont_fragment = true;
  if (const Fault fault = skip_extension_headers(p, p[6], kIpv6HeaderSize, end, origin, view)) return fault;
  // A host that is still looking for an address speaks from "::", but only neighbour discovery (RFC 4291 §2.5.2).
  if (header.source == IpAddress::any_v6() && header.protocol != protocol::kIcmp6) {
    return DropReason::IpMartianSource;
  }
  return std::nullopt;
}

std::size_t emit_v6(const IpHeader& header, std::size_t payload_size, std::uint8_t* to) noexcept {
  assert(payload_size <= 0xffff);
  store_be32(to, 0x60000000u | static_cast<std::uint32_t>(header.traffic_class) << 20);
  store_be16(to + 4, static_cast<std::uint16_t>(payload_size));
  to[6] = header.protocol;
  to[7] = header.ttl;
  std::memcpy(to + 8, header.source.bytes().data(), 16);
  std::memcpy(to + 24, header.destination.bytes().data(), 16);
  return kIpv6HeaderSize;
}

Fault read(ByteSpan packet, Origin origin, IpView& view) noexcept {
  if (packet.empty()) return DropReason::IpTruncated;
  switch (packet[0] >> 4) {
    case 4:
      return read_v4(packet, origin, view);
    case 6:
      return read_v6(packet, origin, view);
    default:
      return DropReason::IpVersion;
  }
}

// One variable for every way out, so that the view is built where the caller wants it and never copied.
std::expected<IpView, DropReason> parse(ByteSpan packet, Origin origin) noexcept {
  std::expected<IpView, DropReason> result;
  if (const Fault fault = read(packet, origin, *result)) result = std::unexpected(*fault);
  return result;
}

}  // namespace

std::expected<IpView, DropReason> parse_ip(ByteSpan packet, bool trust_length_field) noexcept {
  return parse(packet, trust_length_field ? Origin::Wire : Origin::SuperSegment);
}

std::expected<IpView, DropReason> parse_quoted_ip(ByteSpan packet) noexcept { return parse(packet, Origin::Quote); }

// ---- fragments -----------------------------------------------------------------------------------------------------

namespace {

std::expected<FragmentView, DropReason> parse_fragment_v4(ByteSpan packet) noexcept {
  const std::uint8_t* p = packet.data();
  const std::uint16_t field = load_be16(p + 6);
  FragmentView view;
  view.header.source = IpAddress::v4(p[12], p[13], p[14], p[15]);
  view.header.destination = IpAddress::v4(p[16], p[17], p[18], p[19]);
  view.header.protocol = p[9];
  view.header.ttl = p[8];
  view.header.traffic_class = p[1];
  view.identification = view.header.identification = load_be16(p + 4);
  view.offset = (field & kFragmentOffset) * 8u;
  view.more = (field & kMoreFragments) != 0;
  view.header_size = view.payload_offset = (p[0] & 0x0fu) * 4u;
  view.payload_size = load_be16(p + 2) - view.header_size;
  return view;
}

std::expected<FragmentView, DropReason> parse_fragment_v6(ByteSpan packet) noexcept {
  const std::uint8_t* p = packet.data();
  const std::uint32_t end = kIpv6HeaderSize + load_be16(p + 4);
  std::uint32_t field = 6;
  std::uint32_t offset = kIpv6HeaderSize;
  // parse_ip() has been here and found each header whole.
  for (;;) {
    if (!is_extension_header(p[field]) || offset + 8 > end) return std::unexpected(DropReason::IpFragment);
    const bool is_fragment_header = p[field] == kFragment;
    // An atomic one before it makes no fragment (RFC 6946).
    if (is_fragment_header && (load_be16(p + offset + 2) & 0xfff9) != 0) break;
    field = offset;
    offset += is_fragment_header ? 8u : 8u + p[offset + 1] * 8u;
  }
  FragmentView view;
  view.header.source = IpAddress::v6(packet.subspan<8, 16>());
  view.header.destination = IpAddress::v6(packet.subspan<24, 16>());
  view.header.protocol = p[offset];
  view.header.ttl = p[7];
  view.header.traffic_class = static_cast<std::uint8_t>(load_be16(p) >> 4);
  view.identification = load_be32(p + offset + 4);
  view.offset = load_be16(p + offset + 2) & 0xfff8u;
  view.more = (p[offset + 3] & 1) != 0;
  view.header_size = offset;
  view.next_header_field = field;
  view.payload_offset = offset + 8;
  view.payload_size = end - view.payload_offset;
  return view;
}

}  // namespace

std::expected<FragmentView, DropReason> parse_fragment(ByteSpan packet) noexcept {
  return packet[0] >> 4 == 4 ? parse_fragment_v4(packet) : parse_fragment_v6(packet);
}

IpView FragmentView::as_packet() const noexcept {
  IpView view;
  view.header = header;
  view.payload_offset = payload_offset;
  view.payload_size = payload_size;
  return view;
}

std::optional<std::uint32_t> complaint_about(const FragmentView& fragment) noexcept {
  constexpr std::uint32_t kMaxPacket = 65535;
  constexpr std::uint32_t kLengthField = 4;
  const bool v4 = fragment.header.source.is_v4();
  if (fragment.payload_size == 0 || (fragment.more && fragment.payload_size % 8 != 0)) return kLengthField;
  const auto uncounted = static_cast<std::uint32_t>(v4 ? 0 : kIpv6HeaderSize);
  if (fragment.header_size - uncounted + fragment.offset + fragment.payload_size > kMaxPacket)
    return fragment.header_size + 2;
  return std::nullopt;
}

std::uint32_t next_header_field(ByteSpan packet) noexcept {
  std::uint32_t field = 6;
  std::uint32_t offset = kIpv6HeaderSize;
  while (is_extension_header(packet[field]) && offset + 8 <= packet.size()) {
    const std::uint32_t size = packet[field] == kFragment ? 8u : 8u + packet[offset + 1] * 8u;
    field = offset;
    offset += size;
  }
  return field;
}

std::size_t emit_ip(const IpHeader& header, std::size_t payload_size, std::uint8_t* to) noexcept {
  assert(header.source.is_v4() == header.destination.is_v4());
  return header.source.is_v4() ? emit_v4(header, payload_size, to) : emit_v6(header, payload_size, to);
}

}  // namespace ff::wire
