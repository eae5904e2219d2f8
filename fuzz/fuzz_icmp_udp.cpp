// ICMP and UDP: any bytes may be read, and what was read can be written and read again. The first byte chooses the
// version of IP and whether the checksum is put right, without which hardly any input would get past it.
#include <algorithm>
#include <array>
#include <vector>

#include "require.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"
#include "wire/icmp.hpp"
#include "wire/tcp.hpp"
#include "wire/udp.hpp"

namespace {

using namespace ff;
using namespace ff::wire;

IpHeader ip_header(bool v4, std::uint8_t protocol) {
  IpHeader ip;
  ip.source = v4 ? IpAddress::v4(192, 0, 2, 1) : *IpAddress::parse("2001:db8::1");
  ip.destination = v4 ? IpAddress::v4(192, 0, 2, 2) : *IpAddress::parse("2001:db8::2");
  ip.protocol = protocol;
  return ip;
}

void put_checksum_right(const IpHeader& ip, std::size_t field, std::vector<std::uint8_t>& message) {
  if (message.size() < field + 2) return;
  store_be16(message.data() + field, 0);
  ChecksumAccumulator sum;
  if (ip.protocol != protocol::kIcmp) {
    sum.add_pseudo_header(ip.source, ip.destination, ip.protocol, static_cast<std::uint32_t>(message.size()));
  }
  sum.add(message);
  store_be16(message.data() + field, sum.checksum());
}

bool is_error(IcmpKind kind) {
  return kind != IcmpKind::EchoRequest && kind != IcmpKind::EchoReply && kind != IcmpKind::Other;
}

void check_icmp(bool v4, bool mend, std::vector<std::uint8_t> message) {
  const IpHeader ip = ip_header(v4, v4 ? protocol::kIcmp : protocol::kIcmp6);
  if (mend) put_checksum_right(ip, 2, message);
  const auto view = parse_icmp(ip, message);
  if (!view) {
    FF_REQUIRE(view.error() == DropReason::IcmpTruncated || view.error() == DropReason::IcmpChecksum);
    return;
  }
  FF_REQUIRE(std::size_t{view->body_offset} + view->body_size == message.size());
  const ByteSpan body = ByteSpan(message).subspan(view->body_offset, view->body_size);
  if (const auto quoted = parse_quoted_ip(body)) {
    FF_REQUIRE(quoted->end() <= body.size());
    static_cast<void>(parse_quoted_tcp(body.subspan(quoted->payload_offset, quoted->payload_size)));
  }

  std::vector<std::uint8_t> again(std::max(kMaxIcmpError, 8 + body.size()));
  if (is_error(view->kind)) {
    again.resize(emit_icmp_error(view->kind, ip, view->mtu, body, again.data()));
  } else if (view->kind != IcmpKind::Other) {
    again.resize(emit_echo(view->kind, ip, view->identifier, view->sequence, body, again.data()));
  } else {
    return;
  }
  const auto second = parse_icmp(ip, again);
  FF_REQUIRE(second.has_value());
  FF_REQUIRE(second->kind == view->kind && second->mtu == view->mtu);
  FF_REQUIRE(second->identifier == view->identifier && second->sequence == view->sequence);
  FF_REQUIRE(std::ranges::equal(ByteSpan(again).subspan(second->body_offset), body.first(second->body_size)));
}

void check_udp(bool v4, bool mend, std::vector<std::uint8_t> datagram) {
  const IpHeader ip = ip_header(v4, protocol::kUdp);
  if (mend) put_checksum_right(ip, 6, datagram);
  const auto view = parse_udp(ip, datagram);
  if (!view) {
    FF_REQUIRE(view.error() == DropReason::UdpTruncated || (!v4 && view.error() == DropReason::UdpChecksum));
    return;
  }
  FF_REQUIRE(std::size_t{view->payload_offset} + view->payload_size <= datagram.size());
  const ByteSpan payload = ByteSpan(datagram).subspan(view->payload_offset, view->payload_size);
  std::vector<std::uint8_t> again(kUdpHeaderSize);
  emit_udp(ip, view->source_port, view->destination_port, payload, again.data());
  again.insert(again.end(), payload.begin(), payload.end());
  FF_REQUIRE(verify_transport_checksum(ip, again));
  const auto second = parse_udp(ip, again);
  FF_REQUIRE(second.has_value() && second->has_checksum);
  FF_REQUIRE(second->source_port == view->source_port && second->destination_port == view->destination_port);
  FF_REQUIRE(second->payload_size == view->payload_size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 0xffff) return 0;
  const bool v4 = (data[0] & 1) != 0;
  const bool mend = (data[0] & 2) != 0;
  const std::vector<std::uint8_t> message(data + 1, data + size);
  check_icmp(v4, mend, message);
  check_udp(v4, mend, message);
  return 0;
}
