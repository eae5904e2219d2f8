// IP headers: any bytes may be read, and what was read can be written and read again.
#include <algorithm>
#include <array>
#include <vector>

#include "require.hpp"
#include "wire/ip.hpp"

namespace {

using namespace ff;
using namespace ff::wire;

bool same(const IpHeader& a, const IpHeader& b) {
  return a.source == b.source && a.destination == b.destination && a.protocol == b.protocol && a.ttl == b.ttl &&
         a.traffic_class == b.traffic_class && a.identification == b.identification &&
         a.dont_fragment == b.dont_fragment;
}

void check_bounds(const IpView& view, ByteSpan packet) {
  FF_REQUIRE(view.payload_offset >= (view.header.source.is_v4() ? kIpv4HeaderSize : kIpv6HeaderSize));
  FF_REQUIRE(std::size_t{view.payload_offset} + view.payload_size <= packet.size());
}

// What parse_ip() found to be a fragment lies whole in the packet.
void check_fragment(ByteSpan packet) {
  const auto fragment = parse_fragment(packet);
  if (!fragment) return;
  FF_REQUIRE(std::size_t{fragment->payload_offset} + fragment->payload_size <= packet.size());
  FF_REQUIRE(fragment->header_size <= fragment->payload_offset);
  FF_REQUIRE(fragment->more || fragment->offset > 0);
}

void check_packet(ByteSpan packet, bool trust_length_field) {
  const auto view = parse_ip(packet, trust_length_field);
  if (!view) {
    FF_REQUIRE(view.error() <= DropReason::IpExtensionHeader);
    if (view.error() == DropReason::IpFragment && trust_length_field) check_fragment(packet);
    return;
  }
  check_bounds(*view, packet);
  FF_REQUIRE(view->header.source.is_v4() == view->header.destination.is_v4());
  if (!trust_length_field) {
    FF_REQUIRE(view->end() == packet.size());
    // Beyond it no length field can tell the size.
    if (packet.size() > 0xffff) return;
  }

  const ByteSpan payload = packet.subspan(view->payload_offset, view->payload_size);
  std::vector<std::uint8_t> again(kIpv6HeaderSize + payload.size());
  const std::size_t header_size = emit_ip(view->header, payload.size(), again.data());
  std::ranges::copy(payload, again.begin() + static_cast<std::ptrdiff_t>(header_size));
  again.resize(header_size + payload.size());
  const auto second = parse_ip(again);
  FF_REQUIRE(second.has_value());
  FF_REQUIRE(same(second->header, view->header));
  FF_REQUIRE(std::ranges::equal(ByteSpan(again).subspan(second->payload_offset, second->payload_size), payload));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan packet(data, size);
  check_packet(packet, true);
  check_packet(packet, false);
  if (const auto quoted = parse_quoted_ip(packet)) check_bounds(*quoted, packet);
  return 0;
}
