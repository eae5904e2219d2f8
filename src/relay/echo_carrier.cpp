#include "relay/echo_carrier.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace ff::relay {
namespace {

using wire::IcmpKind;

// Each costs the host a descriptor; a program that asks a whole network gets the newest.
constexpr std::size_t kMostFlows = 128;
constexpr Duration kIdle = std::chrono::seconds(30);
constexpr int kTakenAtOnce = 64;

IcmpKind kind_of(Error why) noexcept {
  switch (why) {
    case Error::NetworkUnreachable:
      return IcmpKind::NetworkUnreachable;
    case Error::PermissionDenied:
      return IcmpKind::AdministrativelyProhibited;
    default:
      return IcmpKind::HostUnreachable;
  }
}

wire::IpHeader header(const IpAddress& from, const IpAddress& to) noexcept {
  wire::IpHeader ip;
  ip.source = from;
  ip.destination = to;
  ip.protocol = from.is_v4() ? wire::protocol::kIcmp : wire::protocol::kIcmp6;
  return ip;
}

}  // namespace

EchoCarrier::EchoCarrier(Device& device, Network& outer, std::vector<IpAddress> own, Clock clock)
    : device_(device), outer_(outer), own_(std::move(own)), clock_(std::move(clock)) {}

// After so many of ours the loop has other work, and is told of the rest by the device.
bool EchoCarrier::receive(RxPacket& packet) {
  for (int taken = 0; taken < kTakenAtOnce; ++taken) {
    if (!device_.receive(packet)) return false;
    if (!take(packet)) return true;
  }
  return false;
}

// Whether it was an echo request to somebody else. All that is not sound is left to the stack, which counts it.
bool EchoCarrier::take(const RxPacket& packet) {
  if (packet.segment_size != 0) return false;
  const auto ip = wire::parse_ip(packet.bytes.span());
  if (!ip) return false;
  const auto& [source, destination] = std::tie(ip->header.source, ip->header.destination);
  const std::uint8_t protocol = destination.is_v4() ? wire::protocol::kIcmp : wire::protocol::kIcmp6;
  if (ip->header.protocol != protocol || std::ranges::find(own_, destination) != own_.end()) return false;
  const auto icmp = wire::parse_icmp(ip->header, packet.bytes.span().subspan(ip->payload_offset, ip->payload_size));
  if (!icmp || icmp->kind != IcmpKind::EchoRequest) return false;
  carry(clock_(), {source, destination, icmp->identifier}, packet, *ip);
  return true;
}

void EchoCarrier::carry(Instant now, const Key& key, const RxPacket& packet, const wire::IpView& ip) {
  Slice request = Slice::copy_of(packet.bytes.span());  // one that is kept must not keep a whole slab
  auto found = flows_.find(key);
  if (found == flows_.end()) {
    make_room(now);
    auto channel = outer_.open_echoes(now, key.remote);
    if (!channel) return refuse(now, key, request, channel.error());
    found = flows_.try_emplace(key).first;
    found->second.channel = *std::move(channel);
    found->second.channel->on_change([this, key](Instant then) { from_network(then, key); });
  }
  Flow& flow = found->second;
  flow.last = now;
  flow.request = request;
  if (const auto sent = flow.channel->send(now, request.sub(ip.payload_offset, ip.payload_size)); !sent)
    refuse(now, key, request, sent.error());
}

void EchoCarrier::from_network(Instant now, const Key& key) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return;
  for (;;) {
    const auto message = found->second.channel->receive(now);
    if (message) {
      answer(now, key, message->span());
    } else if (message.error() == Error::WouldBlock || message.error() == Error::StaleHandle) {
      return;
    } else {
      refuse(now, key, found->second.request, message.error());
    }
  }
}

// What comes back has the identifier of whoever sent it on.
void EchoCarrier::answer(Instant now, const Key& key, ByteSpan message) {
  constexpr std::size_t kEchoHeader = 8;
  if (message.size() < kEchoHeader) return;
  const wire::IpHeader ip = header(key.remote, key.program);
  const auto sequence = static_cast<std::uint16_t>(message[6] << 8 | message[7]);
  std::string reply(message.size(), '\0');
  wire::emit_echo(IcmpKind::EchoReply, ip, key.identifier, sequence, message.subspan(kEchoHeader),
                  reinterpret_cast<std::uint8_t*>(reply.data()));
  emit(now, ip, std::move(reply));
}

// From the gateway, as a router would say so.
void EchoCarrier::refuse(Instant now, const Key& key, const Slice& request, Error why) {
  const auto gateway = std::ranges::find(own_, key.program.is_v4(), &IpAddress::is_v4);
  if (gateway == own_.end() || why == Error::MessageTooLong) return;
  const wire::IpHeader ip = header(*gateway, key.program);
  std::string message(wire::kMaxIcmpError, '\0');
  message.resize(
      wire::emit_icmp_error(kind_of(why), ip, 0, request.span(), reinterpret_cast<std::uint8_t*>(message.data())));
  emit(now, ip, std::move(message));
}

void EchoCarrier::emit(Instant now, const wire::IpHeader& ip, std::string message) {
  TxPacket packet;
  packet.header_size = static_cast<std::uint16_t>(wire::emit_ip(ip, message.size(), packet.header_bytes.data()));
  packet.payload_size = static_cast<std::uint32_t>(message.size());
  packet.payload_pieces[0] = Slice::adopt(std::move(message));
  packet.payload_piece_count = 1;
  (void)device_.send(now, packet);  // a full device loses it, as a full queue would
}

void EchoCarrier::make_room(Instant now) {
  std::erase_if(flows_, [now](const auto& entry) { return now - entry.second.last >= kIdle; });
  if (flows_.size() < kMostFlows) return;
  flows_.erase(std::ranges::min_element(flows_, {}, [](const auto& entry) { return entry.second.last; }));
}

}  // namespace ff::relay
