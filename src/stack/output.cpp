// The way out, below TCP and UDP: whose turn it is, and cutting what is larger than its path carries.
#include "stack/impl.hpp"
#include "wire/endian.hpp"
#include "wire/ip.hpp"

namespace ff {
namespace {

constexpr std::uint16_t kDontFragment = 0x4000;

bool is_v4(const TxPacket& packet) noexcept { return packet.header_bytes[0] >> 4 == 4; }

bool may_be_fragmented(const TxPacket& packet) noexcept {
  return !is_v4(packet) || (wire::load_be16(packet.header_bytes.data() + 6) & kDontFragment) == 0;
}

IpAddress source_of(const TxPacket& packet) noexcept {
  const std::uint8_t* p = packet.header_bytes.data();
  return is_v4(packet) ? IpAddress::v4(std::span<const std::uint8_t, 4>(p + 12, 4))
                       : IpAddress::v6(std::span<const std::uint8_t, 16>(p + 8, 16));
}

IpAddress destination_of(const TxPacket& packet) noexcept {
  const std::uint8_t* p = packet.header_bytes.data();
  return is_v4(packet) ? IpAddress::v4(std::span<const std::uint8_t, 4>(p + 16, 4))
                       : IpAddress::v6(std::span<const std::uint8_t, 16>(p + 24, 16));
}

}  // namespace

bool Stack::Impl::poll_transmit(Instant now, TxPacket& packet) {
  packet.clear();
  if (ethernet_ == nullptr) return next_ip_packet(now, packet);
  do {
    if (ethernet_->poll(packet)) return true;
    if (!next_ip_packet(now, packet)) return false;
  } while (!ethernet_->address(now, packet));
  return true;
}

bool Stack::Impl::next_ip_packet(Instant now, TxPacket& packet) {
  if (fragmenter_.next(packet)) {
    env_.counters.add(is_v4(packet) ? Counter::Ip_FragCreates : Counter::Ip6_FragCreates);
    return true;
  }
  return next_packet(now, packet);
}

// What belongs to no connection first: little of it, and bounded. Then connections and datagram sockets in turn.
bool Stack::Impl::next_packet(Instant now, TxPacket& packet) {
  if (control_.take(packet)) return finish_unsegmented(now, packet);
  if (delayed_.take(now, packet)) return true;
  if (datagrams_.has_output() && (datagrams_turn_ || transmit_ring_.empty())) {
    datagrams_turn_ = false;
    while (datagrams_.has_output())
      if (next_datagram(now, packet)) return finish_unsegmented(now, packet);
  }
  datagrams_turn_ = true;
  if (next_segment(now, packet)) return true;
  if (!datagrams_.has_output()) return false;
  return next_packet(now, packet);
}

// Counts a packet that is no super-segment; of one that is too large the first fragment goes now.
bool Stack::Impl::finish_unsegmented(Instant now, TxPacket& packet) {
  const bool v4 = is_v4(packet);
  Counters& counters = env_.counters;
  counters.add(v4 ? Counter::Ip_OutRequests : Counter::Ip6_OutRequests);
  const std::uint16_t link = interfaces_[packet.interface].mtu;
  const IpAddress destination = destination_of(packet);
  const std::uint16_t mtu = path_mtu_.lookup(now, destination, link);
  if (packet.size() <= mtu || !may_be_fragmented(packet)) return true;
  const std::uint8_t protocol = packet.header_bytes[v4 ? 9 : 6];
  const std::uint32_t id = v4 ? wire::load_be16(packet.header_bytes.data() + 4)
                              : fragment_ids_.next(source_of(packet), destination, protocol);
  fragmenter_.begin(packet, mtu, id);
  counters.add(v4 ? Counter::Ip_FragOKs : Counter::Ip6_FragOKs);
  counters.add(v4 ? Counter::Ip_FragCreates : Counter::Ip6_FragCreates);
  return fragmenter_.next(packet);
}

}  // namespace ff
