#include "ip/ethernet.hpp"

#include <algorithm>

#include "wire/endian.hpp"
#include "wire/ethernet.hpp"

namespace ff::ip {
namespace {

constexpr std::uint8_t kDiscoveryHopLimit = 255;

bool is_v4(const TxPacket& packet) noexcept { return packet.header_bytes[0] >> 4 == 4; }

IpAddress destination_of(const TxPacket& packet) noexcept {
  const std::uint8_t* p = packet.header_bytes.data();
  return is_v4(packet) ? IpAddress::v4(std::span<const std::uint8_t, 4>(p + 16, 4))
                       : IpAddress::v6(std::span<const std::uint8_t, 16>(p + 24, 16));
}

}  // namespace

Ethernet::Ethernet(const Interfaces& interfaces, const Settings& settings, Counters& counters, const Seed& seed)
    : interfaces_(interfaces),
      counters_(counters),
      neighbours_v4_(settings, counters, derive_key(seed.bytes, "ARP"), Random(derive_secret(seed.bytes, "ARP times"))),
      neighbours_v6_(settings, counters, derive_key(seed.bytes, "neighbour discovery"),
                     Random(derive_secret(seed.bytes, "neighbour discovery times"))) {}

void Ethernet::announce(InterfaceId interface) {
  const MacAddress& mac = *interfaces_[interface].mac;
  for (const Cidr& own : interfaces_[interface].addresses) {
    if (own.address.is_v4()) {
      send_arp(interface, MacAddress::broadcast(), {true, mac, own.address, {}, own.address});
    } else {
      send_discovery(interface, own.address, wire::all_nodes(), wire::group_address(wire::all_nodes()),
                     {.solicitation = false, .target = own.address, .link_address = mac, .override = true});
    }
  }
}

// ---- what comes in -------------------------------------------------------------------------------------------------

bool Ethernet::frame_arrives(Instant now, InterfaceId interface, RxPacket& frame) {
  const auto header = wire::parse_ethernet(frame.bytes.span());
  const auto drop = [&](DropReason reason) {
    counters_.drop(reason);
    return false;
  };
  if (!header) return drop(header.error());
  const MacAddress& mac = *interfaces_[interface].mac;
  // Our own frames, that a hub or bridge gave back.
  if (header->source == mac) return drop(DropReason::EthernetNotForUs);
  if (header->destination != mac && !header->destination.is_group()) return drop(DropReason::EthernetNotForUs);
  frame.bytes.drop_front(kEthernetHeader);
  switch (header->type) {
    case wire::ethertype::kArp:
      arp_arrives(now, interface, header->destination, frame.bytes.span());
      return false;
    case wire::ethertype::kIpv4:
    case wire::ethertype::kIpv6: {
      const int version = header->type == wire::ethertype::kIpv4 ? 4 : 6;
      if (frame.bytes.empty() || frame.bytes.data()[0] >> 4 != version) return drop(DropReason::EthernetType);
      return true;
    }
    default:
      return drop(DropReason::EthernetType);
  }
}

void Ethernet::arp_arrives(Instant now, InterfaceId interface, const MacAddress& to, ByteSpan bytes) {
  const auto arp = wire::parse_arp(bytes);
  if (!arp) return counters_.drop(arp.error());
  const MacAddress& mac = *interfaces_[interface].mac;
  // Somebody claims an address of ours. We have it; what it says must not change anything (RFC 5227 §2.4 c).
  const bool conflict = interfaces_.owns(interface, arp->sender);
  if (conflict) return counters_.drop(DropReason::NeighbourIgnored);
  const bool probe = arp->sender == IpAddress::any_v4();
  const bool for_us = interfaces_.owns(interface, arp->target);
  if (arp->request && for_us) {
    // A probe asks whether it may have the address: there is nobody to remember yet.
    const bool on_link = !probe && interfaces_.own_address_near(interface, arp->sender) != nullptr;
    if (on_link) neighbours_v4_.heard(now, interface, arp->sender, {.mac = arp->sender_mac, .creates = true});
    return send_arp(interface, arp->sender_mac, {false, mac, arp->target, arp->sender_mac, arp->sender});
  }
  if (probe) return counters_.drop(DropReason::NeighbourIgnored);
  // An answer, or an announcement; neither makes us remember somebody whom we did not ask for.
  const bool announcement = arp->sender == arp->target;
  neighbours_v4_.heard(now, interface, arp->sender,
                       {.mac = arp->sender_mac,
                        .answer = !arp->request && !to.is_group(),
                        .overrides = announcement || !neighbours_v4_.is_locked(now, interface, arp->sender)});
}

bool Ethernet::is_own_group(InterfaceId interface, const IpAddress& group) const noexcept {
  if (group == wire::all_nodes()) return true;
  return std::ranges::any_of(interfaces_[interface].addresses, [&](const Cidr& own) {
    return own.address.is_v6() && wire::solicited_node(own.address) == group;
  });
}

void Ethernet::discovery_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip, ByteSpan bytes,
                                 const MacAddress& frame_source) {
  const auto message = wire::parse_neighbour(ip, bytes);
  counters_.add(bytes[0] == wire::discovery_type::kSolicitation ? Counter::Icmp6_InNeighborSolicits
                                                                : Counter::Icmp6_InNeighborAdvertisements);
  if (!message) {
    counters_.add(Counter::Icmp6_InErrors);
    return counters_.drop(message.error());
  }
  if (message->solicitation) return solicitation_arrives(now, interface, ip, *message, frame_source);
  advertisement_arrives(now, interface, *message);
}

// RFC 4861 §7.2.3.
void Ethernet::solicitation_arrives(Instant now, InterfaceId interface, const wire::IpHeader& ip,
                                    const wire::NeighbourMessage& message, const MacAddress& frame_source) {
  if (!interfaces_.owns(interface, message.target)) return counters_.drop(DropReason::NeighbourIgnored);
  const bool nobody = ip.source == IpAddress::any_v6();
  const bool on_link = !nobody && (ip.source.is_v6() && interfaces_.own_address_near(interface, ip.source) != nullptr);
  if (message.link_address && on_link && !interfaces_.owns(interface, ip.source))
    neighbours_v6_.heard(now, interface, ip.source, {.mac = *message.link_address, .creates = true});
  const IpAddress to = nobody ? wire::all_nodes() : ip.source;
  send_discovery(interface, message.target, to,
                 nobody ? wire::group_address(to) : message.link_address.value_or(frame_source),
                 {.solicitation = false,
                  .target = message.target,
                  .link_address = interfaces_[interface].mac,
                  .solicited = !nobody,
                  .override = true});
}

// RFC 4861 §7.2.5.
void Ethernet::advertisement_arrives(Instant now, InterfaceId interface, const wire::NeighbourMessage& message) {
  if (interfaces_.owns(interface, message.target) || !message.link_address)
    return counters_.drop(DropReason::NeighbourIgnored);
  neighbours_v6_.heard(now, interface, message.target,
                       {.mac = *message.link_address, .answer = message.solicited, .overrides = message.override});
}

// ---- what goes out -------------------------------------------------------------------------------------------------

bool Ethernet::address(Instant now, TxPacket& packet) {
  if (!interfaces_[packet.interface].mac) return true;
  const IpAddress destination = destination_of(packet);
  const bool v4 = is_v4(packet);
  const std::uint16_t type = v4 ? wire::ethertype::kIpv4 : wire::ethertype::kIpv6;
  if (destination.is_multicast() || destination.is_broadcast()) {
    write_header(packet, wire::group_address(destination), type);
    return true;
  }
  const IpAddress hop = interfaces_.next_hop(packet.interface, destination);
  Neighbours& neighbours = v4 ? neighbours_v4_ : neighbours_v6_;
  const auto mac = neighbours.resolve(now, packet.interface, hop, packet);
  if (mac) write_header(packet, *mac, type);
  return mac.has_value();
}

bool Ethernet::poll(TxPacket& packet) {
  sort_out(neighbours_v4_);
  sort_out(neighbours_v6_);
  if (ready_.empty()) return false;
  packet.take(*ready_.front());
  ready_.pop_front();
  return true;
}

void Ethernet::sort_out(Neighbours& neighbours) {
  while (const auto question = neighbours.next_question()) ask(*question);
  while (auto released = neighbours.next_released()) {
    if (!released->to) {
      failed_.push_back(std::move(released->packet));
      continue;
    }
    write_header(*released->packet, *released->to,
                 is_v4(*released->packet) ? wire::ethertype::kIpv4 : wire::ethertype::kIpv6);
    ready_.push_back(std::move(released->packet));
  }
}

std::unique_ptr<TxPacket> Ethernet::take_failed() {
  sort_out(neighbours_v4_);
  sort_out(neighbours_v6_);
  if (failed_.empty()) return nullptr;
  auto first = std::move(failed_.front());
  failed_.pop_front();
  return first;
}

void Ethernet::ask(const Neighbours::Question& question) {
  const InterfaceConfig& interface = interfaces_[question.interface];
  const bool v4 = question.address.is_v4();
  const IpAddress* from = interfaces_.own_address_near(question.interface, question.address);
  for (const Cidr& own : interface.addresses)
    if (from == nullptr && own.address.is_v4() == v4) from = &own.address;
  if (from == nullptr) return;
  if (v4) {
    return send_arp(question.interface, question.to.value_or(MacAddress::broadcast()),
                    {true, *interface.mac, *from, {}, question.address});
  }
  const IpAddress to = question.to ? question.address : wire::solicited_node(question.address);
  send_discovery(question.interface, *from, to, question.to.value_or(wire::group_address(to)),
                 {.solicitation = true, .target = question.address, .link_address = interface.mac});
}

void Ethernet::send_arp(InterfaceId interface, const MacAddress& to, const wire::ArpMessage& message) {
  TxPacket* frame = new_frame(interface);
  if (frame == nullptr) return;
  wire::emit_arp(message, frame->header_bytes.data());
  frame->header_size = wire::kArpSize;
  write_header(*frame, to, wire::ethertype::kArp);
}

void Ethernet::send_discovery(InterfaceId interface, const IpAddress& from, const IpAddress& to,
                              const MacAddress& link_to, const wire::NeighbourMessage& message) {
  wire::IpHeader ip;
  ip.source = from;
  ip.destination = to;
  ip.protocol = wire::protocol::kIcmp6;
  ip.ttl = kDiscoveryHopLimit;
  TxPacket* frame = new_frame(interface);
  if (frame == nullptr) return;
  std::uint8_t* const p = frame->header_bytes.data();
  const std::size_t size = wire::emit_neighbour(message, ip, p + wire::kIpv6HeaderSize);
  frame->header_size = static_cast<std::uint16_t>(wire::emit_ip(ip, size, p) + size);
  write_header(*frame, link_to, wire::ethertype::kIpv6);
  counters_.add(Counter::Ip6_OutRequests);
  counters_.add(Counter::Icmp6_OutMsgs);
  counters_.add(message.solicitation ? Counter::Icmp6_OutNeighborSolicits : Counter::Icmp6_OutNeighborAdvertisements);
}

void Ethernet::write_header(TxPacket& packet, const MacAddress& to, std::uint16_t type) const noexcept {
  wire::emit_ethernet({to, *interfaces_[packet.interface].mac, type}, packet.link_header_bytes.data());
  packet.link_header_size = kEthernetHeader;
}

TxPacket* Ethernet::new_frame(InterfaceId interface) {
  if (ready_.size() >= kMaxAnswers) {
    counters_.drop(DropReason::TransmitQueueFull);
    return nullptr;
  }
  auto frame = std::make_unique<TxPacket>();
  frame->clear();
  frame->interface = interface;
  return ready_.push_back(std::move(frame)).get();
}

void Ethernet::handle_deadline(Instant now) {
  neighbours_v4_.handle_deadline(now);
  neighbours_v6_.handle_deadline(now);
}

std::vector<Neighbour> Ethernet::neighbours() const {
  std::vector<Neighbour> all;
  neighbours_v4_.list(all);
  neighbours_v6_.list(all);
  return all;
}

}  // namespace ff::ip
