#include "device/capture.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "device/segmenter.hpp"
#include "wire/endian.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"
#include "wire/udp.hpp"

namespace ff {
namespace {

using Direction = PcapngWriter::Direction;

// Where the TCP or UDP header of a packet lies; 0: it has none that could be found whole within kMaxHeader.
struct Transport {
  std::uint16_t start = 0, header_size = 0, checksum_offset = 0;
};

Transport find_transport(ByteSpan packet, const wire::IpView& ip) noexcept {
  const ByteSpan segment = packet.subspan(ip.payload_offset, ip.payload_size);
  std::size_t size = 0;
  std::uint16_t checksum_offset = 0;
  if (ip.header.protocol == wire::protocol::kTcp && segment.size() >= wire::kTcpHeaderSize) {
    size = (segment[12] >> 4) * std::size_t{4};
    checksum_offset = 16;
    if (size < wire::kTcpHeaderSize) return {};
  } else if (ip.header.protocol == wire::protocol::kUdp) {
    size = wire::kUdpHeaderSize;
    checksum_offset = 6;
  } else {
    return {};
  }
  if (size > segment.size() || ip.payload_offset + size > kMaxHeader) return {};
  return {static_cast<std::uint16_t>(ip.payload_offset), static_cast<std::uint16_t>(size), checksum_offset};
}

// Makes `sent` the packet that would be received as `received` by a device that offloads: header apart from payload,
// checksum to be completed. False when it is to be recorded as it is.
bool undo_receive_offload(const RxPacket& received, TxPacket& sent) noexcept {
  if (received.checksum == RxChecksum::Unverified) return false;
  const ByteSpan packet = received.bytes.span().subspan(received.link_header_size);
  const auto ip = wire::parse_ip(packet, received.segment_size == 0);
  if (!ip) return false;
  const Transport transport = find_transport(packet, *ip);
  if (transport.start == 0) return false;
  const std::uint8_t* checksum = packet.data() + transport.start + transport.checksum_offset;
  if (ip->header.protocol == wire::protocol::kUdp && wire::load_be16(checksum) == 0) return false;  // RFC 768: none

  sent.clear();
  sent.header_size = static_cast<std::uint16_t>(transport.start + transport.header_size);
  std::memcpy(sent.header_bytes.data(), packet.data(), sent.header_size);
  sent.payload_size = ip->end() - sent.header_size;
  if (sent.payload_size > 0) {
    sent.payload_pieces[0] = received.bytes.sub(received.link_header_size + sent.header_size, sent.payload_size);
    sent.payload_piece_count = 1;
  }
  sent.segment_size = received.segment_size;
  sent.checksum_wanted = true;
  sent.checksum_start = transport.start;
  sent.checksum_offset = transport.checksum_offset;

  const auto length = transport.header_size + sent.payload_size;
  wire::ChecksumAccumulator pseudo_header;
  pseudo_header.add_pseudo_header(ip->header.source, ip->header.destination, ip->header.protocol, length);
  wire::store_be16(sent.header_bytes.data() + transport.start + transport.checksum_offset, pseudo_header.folded());
  return true;
}

}  // namespace

CaptureDevice::CaptureDevice(Device& inner, PcapngWriter& writer, std::string_view name, Clock clock,
                             Duration wall_clock_offset)
    : inner_(inner),
      writer_(writer),
      clock_(std::move(clock)),
      wall_clock_offset_(wall_clock_offset),
      interface_(writer.add_interface(name, inner.ethernet())) {}

std::uint64_t CaptureDevice::wall_time(Instant instant) const noexcept {
  return static_cast<std::uint64_t>((instant.time_since_epoch() + wall_clock_offset_).count());
}

bool CaptureDevice::receive(RxPacket& packet) {
  if (!inner_.receive(packet)) return false;
  const std::uint64_t time = wall_time(clock_());
  if (undo_receive_offload(packet, received_)) {
    record(time, Direction::Inbound, packet.bytes.span().first(packet.link_header_size), received_);
    received_.clear();  // or else the slab would count as shared
  } else {
    writer_.write_packet(interface_, time, Direction::Inbound, packet.bytes.span());
  }
  writer_.flush_if_large();
  return true;
}

Device::SendResult CaptureDevice::send(Instant now, TxPacket& packet) {
  // Recorded first, because the inner device may take the packet apart.
  const std::size_t mark = writer_.mark();
  record(wall_time(now), Direction::Outbound, packet.link_header(), packet);
  const SendResult result = inner_.send(now, packet);
  if (result == SendResult::Full) writer_.rewind(mark);
  writer_.flush_if_large();
  return result;
}

void CaptureDevice::flush(Instant now) {
  inner_.flush(now);
  writer_.flush();
}

void CaptureDevice::record(std::uint64_t time, Direction direction, ByteSpan link_header, const TxPacket& packet) {
  const auto link_size = static_cast<std::uint32_t>(link_header.size());
  for (Segmenter segmenter(packet); segmenter.remaining() > 0;) {
    std::uint8_t* const to = writer_.begin_packet(interface_, time, direction, link_size + segmenter.next_size());
    std::copy(link_header.begin(), link_header.end(), to);
    segmenter.next(to + link_size);
  }
}

}  // namespace ff
