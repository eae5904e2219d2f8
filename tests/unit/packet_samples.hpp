// Packets for the tests of devices, laid out byte by byte, and checks of them that share no code with what they test.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "firstflight/packet.hpp"

namespace ff::test {

using Bytes = std::vector<std::uint8_t>;

inline std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] * 256 + bytes[at + 1]);
}
inline std::uint32_t get32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(get16(bytes, at)) * 65536 + get16(bytes, at + 2);
}
inline void put16(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}
inline void put32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xffff);
}

// RFC 1071 as its text has it: 16-bit words, end-around carry.
inline std::uint16_t ones_sum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] * 256u + (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<std::uint16_t>(sum);
}

struct SampleSpec {
  bool v6 = false;
  bool udp = false;
  std::uint32_t ip_options = 0;   // bytes; IPv4
  std::uint32_t tcp_options = 0;  // bytes
  std::uint8_t flags = 0x10;      // ACK
  std::uint32_t seq = 1000;
  std::uint32_t ack = 2000;
  std::uint16_t id = 77;
  std::uint16_t source_port = 4321, destination_port = 80;
  std::array<std::uint8_t, 4> v4_source{10, 77, 0, 2}, v4_destination{10, 77, 0, 1};
  std::vector<std::uint32_t> pieces{};  // sizes of the payload's pieces
  std::uint16_t segment_size = 0;
  std::uint8_t fill = 1;  // where the payload's pattern starts
};

inline std::uint32_t ip_header_size(std::span<const std::uint8_t> packet) {
  return packet[0] >> 4 == 4 ? (packet[0] & 15u) * 4u : 40u;
}
inline std::uint8_t protocol_of(std::span<const std::uint8_t> packet) {
  return packet[0] >> 4 == 4 ? packet[9] : packet[6];
}

// The pseudo-header of RFC 9293 §3.1 or RFC 8200 §8.1 for `length` bytes above IP.
inline Bytes pseudo_header(std::span<const std::uint8_t> packet, std::uint32_t length) {
  const bool v4 = packet[0] >> 4 == 4;
  const auto addresses = v4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  Bytes result(addresses.begin(), addresses.end());
  const std::size_t at = result.size();
  result.resize(at + 8);
  put32(result, at, length);
  result[at + 7] = protocol_of(packet);
  return result;
}

inline Bytes sample_payload(std::uint32_t size, std::uint8_t fill) {
  Bytes payload(size);
  std::uint32_t state = fill * 2654435761u;
  for (std::uint8_t& byte : payload) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return payload;
}

inline void fix_ipv4_checksum(std::span<std::uint8_t> packet) {
  put16(packet, 10, 0);
  const auto header = packet.first(ip_header_size(packet));
  put16(packet, 10, 0xffffu - ones_sum(Bytes(header.begin(), header.end())));
}

// Fills in `packet`, which must be empty, as a stack does.
inline void fill_sample(const SampleSpec& spec, TxPacket& packet) {
  std::uint32_t payload_size = 0;
  for (const std::uint32_t piece : spec.pieces) payload_size += piece;
  const std::uint32_t ip = spec.v6 ? 40 : 20 + spec.ip_options;
  const std::uint32_t transport = spec.udp ? 8 : 20 + spec.tcp_options;
  const std::uint32_t total = ip + transport + payload_size;
  Bytes header(ip + transport);
  if (spec.v6) {
    header[0] = 0x60;
    put16(header, 4, total - 40);
    header[6] = spec.udp ? 17 : 6;
    header[7] = 64;
    const Bytes source{0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
    std::copy(source.begin(), source.end(), header.begin() + 8);
    std::copy(source.begin(), source.end(), header.begin() + 24);
    header[39] = 1;
  } else {
    header[0] = static_cast<std::uint8_t>(0x40 + ip / 4);
    put16(header, 2, total);
    put16(header, 4, spec.id);
    put16(header, 6, 0x4000);  // DF
    header[8] = 64;
    header[9] = spec.udp ? 17 : 6;
    std::copy(spec.v4_source.begin(), spec.v4_source.end(), header.begin() + 12);
    std::copy(spec.v4_destination.begin(), spec.v4_destination.end(), header.begin() + 16);
    std::fill_n(header.begin() + 20, spec.ip_options, std::uint8_t{1});  // NOP
    fix_ipv4_checksum(header);
  }
  put16(header, ip, spec.source_port);
  put16(header, ip + 2, spec.destination_port);
  if (spec.udp) {
    put16(header, ip + 4, transport + payload_size);
  } else {
    put32(header, ip + 4, spec.seq);
    put32(header, ip + 8, spec.ack);
    header[ip + 12] = static_cast<std::uint8_t>(transport / 4 << 4);
    header[ip + 13] = spec.flags;
    put16(header, ip + 14, 0xffff);
    std::fill_n(header.begin() + ip + 20, spec.tcp_options, std::uint8_t{1});  // NOP
  }
  packet.checksum_offset = spec.udp ? 6 : 16;
  put16(header, ip + packet.checksum_offset, ones_sum(pseudo_header(header, transport + payload_size)));

  std::copy(header.begin(), header.end(), packet.header_bytes.begin());
  packet.header_size = static_cast<std::uint16_t>(header.size());
  packet.checksum_wanted = true;
  packet.checksum_start = static_cast<std::uint16_t>(ip);
  packet.segment_size = spec.segment_size;
  packet.payload_size = payload_size;
  const Bytes payload = sample_payload(payload_size, spec.fill);
  std::size_t at = 0;
  for (const std::uint32_t piece : spec.pieces) {
    packet.payload_pieces[packet.payload_piece_count++] = Slice::copy_of(std::span(payload).subspan(at, piece));
    at += piece;
  }
}

inline Bytes joined(const TxPacket& packet) {
  Bytes all(packet.header().begin(), packet.header().end());
  for (const Slice& piece : packet.payload()) all.insert(all.end(), piece.span().begin(), piece.span().end());
  return all;
}

// What hardware makes of `packet`, worked out from whole packets: take the joined one apart, build each segment from
// nothing, and compute every checksum at the end.
inline std::vector<Bytes> expected_on_wire(const TxPacket& packet) {
  const Bytes whole = joined(packet);
  const std::uint32_t ip = ip_header_size(whole);
  const bool v4 = whole[0] >> 4 == 4;
  const bool tcp = protocol_of(whole) == 6;
  const std::uint32_t header = packet.header_size;
  const std::size_t step = packet.segment_size != 0 ? packet.segment_size : whole.size();
  std::vector<Bytes> result;
  std::size_t from = header;
  do {
    const std::size_t to = std::min(whole.size(), from + step);
    Bytes segment(whole.begin(), whole.begin() + header);
    segment.insert(segment.end(), whole.begin() + static_cast<std::ptrdiff_t>(from),
                   whole.begin() + static_cast<std::ptrdiff_t>(to));
    if (v4) {
      put16(segment, 2, static_cast<std::uint32_t>(segment.size()));
      put16(segment, 4, (get16(whole, 4) + static_cast<std::uint32_t>(result.size())) & 0xffff);
      fix_ipv4_checksum(segment);
    } else {
      put16(segment, 4, static_cast<std::uint32_t>(segment.size() - 40));
    }
    if (tcp) {
      put32(segment, ip + 4, get32(whole, ip + 4) + static_cast<std::uint32_t>(from - header));
      if (to != whole.size()) segment[ip + 13] = static_cast<std::uint8_t>(segment[ip + 13] & ~0x09);  // FIN, PSH
      if (from != header) segment[ip + 13] = static_cast<std::uint8_t>(segment[ip + 13] & ~0x80);      // CWR
    }
    const std::size_t field = ip + (tcp ? 16u : 6u);
    put16(segment, field, 0);
    Bytes summed = pseudo_header(segment, static_cast<std::uint32_t>(segment.size() - ip));
    summed.insert(summed.end(), segment.begin() + ip, segment.end());
    const std::uint32_t checksum = 0xffffu - ones_sum(summed);
    put16(segment, field, checksum == 0 && !tcp ? 0xffff : checksum);
    result.push_back(std::move(segment));
    from = to;
  } while (from < whole.size());
  return result;
}

// Empty when every length and checksum of a TCP or UDP packet is right.
inline std::string complaint_about(const Bytes& packet) {
  const std::uint32_t ip = ip_header_size(packet);
  if (packet[0] >> 4 == 4) {
    if (get16(packet, 2) != packet.size()) return "IPv4 total length";
    if (ones_sum(Bytes(packet.begin(), packet.begin() + ip)) != 0xffff) return "IPv4 header checksum";
  } else if (get16(packet, 4) + 40u != packet.size()) {
    return "IPv6 payload length";
  }
  Bytes summed = pseudo_header(packet, static_cast<std::uint32_t>(packet.size() - ip));
  summed.insert(summed.end(), packet.begin() + ip, packet.end());
  return ones_sum(summed) == 0xffff ? "" : "transport checksum";
}

}  // namespace ff::test
