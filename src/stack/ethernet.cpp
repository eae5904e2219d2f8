// Where the stack meets Ethernet-like devices; what happens there is in ip/ethernet.hpp.
#include <cstring>

#include "stack/impl.hpp"
#include "wire/neighbour_discovery.hpp"

namespace ff {
namespace {

constexpr std::uint8_t kUnreachableV4 = 3, kHostV4 = 1;
constexpr std::uint8_t kUnreachableV6 = 1, kAddressV6 = 3;

bool is_discovery(const RxPacket& packet, const wire::IpView& ip) noexcept {
  if (ip.header.protocol != wire::protocol::kIcmp6 || ip.payload_size == 0) return false;
  return wire::is_discovery_type(packet.bytes.data()[ip.payload_offset]);
}

}  // namespace

Result<InterfaceId> Stack::Impl::add_interface(InterfaceConfig config) {
  const bool has_frames = config.mac.has_value();
  const auto id = interfaces_.add(std::move(config));
  if (!id || !has_frames) return id;
  if (ethernet_ == nullptr)
    ethernet_ = std::make_unique<ip::Ethernet>(interfaces_, env_.settings, env_.counters, config_.seed);
  ethernet_->announce(*id);
  return id;
}

bool Stack::Impl::unwrap_frame(Instant now, InterfaceId interface, RxPacket& packet) {
  if (ethernet_ != nullptr && interfaces_[interface].mac) return ethernet_->frame_arrives(now, interface, packet);
  env_.counters.drop(DropReason::EthernetHeader);
  return false;
}

// RFC 6980 §5: neighbour discovery that came in fragments is not heard, and those have no frame any more.
bool Stack::Impl::is_neighbour_discovery(InterfaceId interface, const RxPacket& packet,
                                         const wire::IpView& ip) const noexcept {
  if (packet.link_header_size == 0 || !is_discovery(packet, ip)) return false;
  return interfaces_.takes(interface, ip.header.destination) ||
         ethernet_->is_own_group(interface, ip.header.destination);
}

void Stack::Impl::discovery_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip,
                                    const RxPacket& packet, ByteSpan message) {
  MacAddress from;
  std::memcpy(from.bytes.data(), packet.bytes.data() - packet.link_header_size + from.bytes.size(), from.bytes.size());
  ethernet_->discovery_arrives(now, interface, ip, message, from);
}

// Nobody answers on the link: what Linux tells itself by ICMP then.
void Stack::Impl::report_failed_neighbours(Instant now) {
  while (const auto packet = ethernet_->take_failed()) {
    env_.counters.drop(DropReason::NeighbourFailed);
    const auto ip = wire::parse_quoted_ip(packet->header());
    if (!ip) continue;
    const bool v4 = ip->header.source.is_v4();
    wire::IcmpView error;
    error.kind = wire::IcmpKind::HostUnreachable;
    error.type = v4 ? kUnreachableV4 : kUnreachableV6;
    error.code = v4 ? kHostV4 : kAddressV6;
    icmp_error_arrives(now, ip->header, error, packet->header());  // from ourselves, as in Linux
  }
}

}  // namespace ff
