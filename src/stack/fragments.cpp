// Fragments that come in (I3), and what the sender is told of those that do not become a packet.
#include "stack/impl.hpp"
#include "wire/ip.hpp"

namespace ff {

void Stack::Impl::fragment_arrives(Instant now, InterfaceId interface, const RxPacket& packet) {
  Counters& counters = env_.counters;
  const ByteSpan bytes = packet.bytes.span();
  const auto fragment = wire::parse_fragment(bytes);
  if (!fragment) {
    counters.add(bytes[0] >> 4 == 4 ? Counter::Ip_InHdrErrors : Counter::Ip6_InHdrErrors);
    return counters.drop(fragment.error());
  }
  const bool v4 = fragment->header.source.is_v4();
  if (!interfaces_.takes(interface, fragment->header.destination)) {
    counters.add(v4 ? Counter::Ip_InAddrErrors : Counter::Ip6_InAddrErrors);
    return counters.drop(DropReason::IpNotForUs);
  }
  counters.add(v4 ? Counter::Ip_ReasmReqds : Counter::Ip6_ReasmReqds);
  if (const auto complaint = wire::complaint_about(*fragment)) {
    counters.add(v4 ? Counter::Ip_ReasmFails : Counter::Ip6_ReasmFails);
    counters.drop(DropReason::IpFragment);
    // RFC 8200 §4.5 wants the sender to know; RFC 791 has nothing to say it with.
    if (!v4)
      send_icmp_error(now, interface, wire::IcmpKind::ParameterProblem, packet, fragment->as_packet(), *complaint);
    return;
  }
  auto whole = (v4 ? fragments_v4_ : fragments_v6_).add(now, interface, *fragment, bytes);
  if (!whole) return;
  RxPacket joined;
  joined.bytes = *std::move(whole);
  const auto ip = wire::parse_ip(joined.bytes.span());
  if (!ip) return counters.drop(ip.error());
  deliver_ip(now, interface, joined, *ip);
}

// RFC 1122 §3.3.2, RFC 8200 §4.5: whoever sent a first fragment hears that the others did not come.
void Stack::Impl::expire_fragments(Instant now) {
  for (ip::Reassembler* fragments : {&fragments_v4_, &fragments_v6_}) {
    while (const auto expired = fragments->expire(now)) {
      if (expired->first.empty()) continue;
      RxPacket packet;
      packet.bytes = expired->first;
      const auto fragment = wire::parse_fragment(packet.bytes.span());
      if (!fragment) continue;
      send_icmp_error(now, expired->interface, wire::IcmpKind::ReassemblyTimeExceeded, packet, fragment->as_packet());
    }
  }
}

}  // namespace ff
