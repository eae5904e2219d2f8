#include "cli/ladder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "wire/endian.hpp"
#include "wire/icmp.hpp"
#include "wire/ip.hpp"
#include "wire/neighbour_discovery.hpp"
#include "wire/udp.hpp"

namespace ff::cli {
namespace {

std::string_view name_of(wire::IcmpKind kind) {
  switch (kind) {
    case wire::IcmpKind::EchoRequest:
      return "echo request";
    case wire::IcmpKind::EchoReply:
      return "echo reply";
    case wire::IcmpKind::NetworkUnreachable:
      return "network unreachable";
    case wire::IcmpKind::HostUnreachable:
      return "host unreachable";
    case wire::IcmpKind::ProtocolUnreachable:
      return "protocol unreachable";
    case wire::IcmpKind::PortUnreachable:
      return "port unreachable";
    case wire::IcmpKind::AdministrativelyProhibited:
      return "administratively prohibited";
    case wire::IcmpKind::PacketTooBig:
      return "packet too big";
    case wire::IcmpKind::TimeExceeded:
    case wire::IcmpKind::ReassemblyTimeExceeded:
      return "time exceeded";
    case wire::IcmpKind::ParameterProblem:
      return "parameter problem";
    case wire::IcmpKind::Other:
      break;
  }
  return "message";
}

// What a packet that is not TCP is. Of what was sent only the header may be at hand, with its checksum undone.
std::string describe_other(const wire::IpHeader& ip, ByteSpan payload, LadderDirection direction) {
  switch (ip.protocol) {
    case wire::protocol::kUdp:
      if (payload.size() < wire::kUdpHeaderSize) return "UDP";
      return fmt::format("UDP {} > {}", wire::load_be16(payload.data()), wire::load_be16(payload.data() + 2));
    case wire::protocol::kIcmp:
    case wire::protocol::kIcmp6: {
      const char* name = ip.protocol == wire::protocol::kIcmp ? "ICMP" : "ICMPv6";
      const auto message = wire::parse_icmp(ip, payload);
      if (!message && direction == LadderDirection::Received) return fmt::format("{}, malformed", name);
      if (!message) return name;
      if (!ip.source.is_v4() && message->type == wire::discovery_type::kSolicitation)
        return "ICMPv6 neighbor solicitation";
      if (!ip.source.is_v4() && message->type == wire::discovery_type::kAdvertisement)
        return "ICMPv6 neighbor advertisement";
      return fmt::format("{} {}", name, name_of(message->kind));
    }
    default:
      return fmt::format("IP protocol {}", ip.protocol);
  }
}

std::string describe_refused(ByteSpan bytes, DropReason reason) {
  std::string dropped = fmt::format("dropped: {}", describe(reason));
  if (reason != DropReason::IpFragment) return dropped;
  const auto piece = wire::parse_fragment(bytes);
  if (!piece) return dropped;
  return fmt::format("fragment, bytes {} to {}{}", piece->offset, piece->offset + piece->payload_size,
                     piece->more ? "" : ", the last");
}

// What else there is on an Ethernet-like device is ARP, which no ladder shows.
bool is_ip(ByteSpan packet) { return !packet.empty() && (packet[0] >> 4 == 4 || packet[0] >> 4 == 6); }

}  // namespace

void LadderRecorder::record(Instant time, LadderDirection direction, ByteSpan bytes, std::uint32_t size,
                            std::uint16_t segment_size) {
  if (rows_.size() >= limit_) {
    ++omitted_;
    return;
  }
  LadderRow row;
  row.time = time;
  row.direction = direction;
  const bool sent = direction == LadderDirection::Sent;
  if (const auto ip = wire::parse_ip(bytes, false); !ip) {
    row.note = describe_refused(bytes, ip.error());
  } else {
    const ByteSpan payload = bytes.subspan(ip->payload_offset, ip->payload_size);
    row.tuple.local.address = sent ? ip->header.source : ip->header.destination;
    row.tuple.remote.address = sent ? ip->header.destination : ip->header.source;
    if (ip->header.protocol != wire::protocol::kTcp) {
      row.note = describe_other(ip->header, payload, direction);
      row.payload = size - ip->payload_offset;
    } else if (const auto tcp = wire::parse_tcp(payload); !tcp) {
      row.note = fmt::format("dropped: {}", describe(tcp.error()));
    } else {
      row.payload = size - ip->payload_offset - tcp->payload_offset;
      describe_tcp(row, tcp->header);
    }
  }
  if (segment_size > 0 && row.payload > 0) row.segments = (row.payload + segment_size - 1) / segment_size;
  rows_.push_back(std::move(row));
}

void LadderRecorder::describe_tcp(LadderRow& row, const wire::TcpHeader& header) {
  const bool sent = row.direction == LadderDirection::Sent;
  row.tuple.local.port = sent ? header.source_port : header.destination_port;
  row.tuple.remote.port = sent ? header.destination_port : header.source_port;
  const std::pair key(row.tuple.local, row.tuple.remote);
  // A SYN without ACK opens a new connection, unless it is a repetition or crosses another (RFC 9293 §3.5).
  if (header.flags.syn() && !header.flags.ack()) {
    const auto old = flows_.find(key);
    if (old != flows_.end()) {
      const Side& side = sent ? old->second.local : old->second.remote;
      if (side.seen && side.initial != header.seq) flows_.erase(old);
    }
  }
  Flow& flow = flows_[key];
  Side& sender = sent ? flow.local : flow.remote;
  Side& receiver = sent ? flow.remote : flow.local;
  if (header.flags.syn()) {
    sender = {.seen = true,
              .initial = header.seq,
              .scales = header.options.window_scale.has_value(),
              .scale = header.options.window_scale.value_or(WindowScale{})};
  } else if (!sender.seen) {
    sender.seen = true;  // we came late: counting starts here, as if the SYN had been just before
    sender.initial = header.seq - 1u;
  }
  if (header.flags.ack() && !receiver.seen) {
    receiver.seen = true;
    receiver.initial = header.ack - 1u;
  }
  row.flags = header.flags;
  row.seq = static_cast<std::uint32_t>(header.seq - sender.initial);
  row.ack = header.flags.ack() ? static_cast<std::uint32_t>(header.ack - receiver.initial) : 0;
  // RFC 7323 §2.2: the window of a SYN is never scaled, others' only when both sides sent the option.
  const bool scaled = !header.flags.syn() && sender.scales && receiver.scales;
  row.window = header.window.bytes(scaled ? sender.scale : WindowScale{});
  row.options = header.options;
  for (std::uint8_t i = 0; i < row.options.sack.count; ++i) {
    wire::SackBlock& block = row.options.sack.blocks[i];
    block = {Seq(static_cast<std::uint32_t>(block.first - receiver.initial)),
             Seq(static_cast<std::uint32_t>(block.end - receiver.initial))};
  }
}

std::vector<LadderRow> LadderRecorder::rows_of(const FourTuple& tuple) const {
  std::vector<LadderRow> result;
  std::ranges::copy_if(rows_, std::back_inserter(result), [&](const LadderRow& row) { return row.tuple == tuple; });
  return result;
}

bool LadderTap::receive(RxPacket& packet) {
  if (!inner_.receive(packet)) return false;
  const ByteSpan bytes = packet.bytes.span().subspan(packet.link_header_size);
  if (is_ip(bytes))
    recorder_.record(clock_(), LadderDirection::Received, bytes, static_cast<std::uint32_t>(bytes.size()),
                     packet.segment_size);
  return true;
}

Device::SendResult LadderTap::send(Instant now, TxPacket& packet) {
  // The inner device may leave the packet as it likes once it has it, so look first and record afterwards.
  const auto header = packet.header_bytes;
  const std::uint16_t header_size = packet.header_size;
  const std::uint32_t size = packet.size();
  const std::uint16_t segment_size = packet.segment_size;
  const SendResult result = inner_.send(now, packet);
  if (result == SendResult::Sent && is_ip({header.data(), header_size}))
    recorder_.record(now, LadderDirection::Sent, {header.data(), header_size}, size, segment_size);
  return result;
}

}  // namespace ff::cli
