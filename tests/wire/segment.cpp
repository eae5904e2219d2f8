#include "wire/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace ff::wiretest {
namespace {

constexpr std::uint8_t kTcp = 6;

void put8(std::vector<std::uint8_t>& to, std::uint32_t value) { to.push_back(static_cast<std::uint8_t>(value)); }
void put16(std::vector<std::uint8_t>& to, std::uint32_t value) { put8(to, value >> 8), put8(to, value); }
void put32(std::vector<std::uint8_t>& to, std::uint32_t value) { put16(to, value >> 16), put16(to, value); }
void put(std::vector<std::uint8_t>& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

std::uint32_t get(ByteSpan bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
  return value;
}

ByteSpan address_bytes(const IpAddress& address) {
  if (address.is_v4()) return address.v4_bytes();
  return address.bytes();
}

std::string flags_text(std::uint8_t flags) {
  static constexpr std::pair<std::uint8_t, char> kLetters[] = {{flag::kSyn, 'S'}, {flag::kFin, 'F'}, {flag::kRst, 'R'},
                                                               {flag::kPsh, 'P'}, {flag::kUrg, 'U'}, {flag::kEce, 'E'},
                                                               {flag::kCwr, 'C'}, {flag::kAck, '.'}};
  std::string text;
  for (auto [bit, letter] : kLetters)
    if ((flags & bit) != 0) text += letter;
  return text.empty() ? "-" : text;
}

std::string hex(ByteSpan bytes) {
  std::string text;
  for (std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

// A number as the test counts it, when it lies near the start; else as it stands.
std::string relative(std::uint32_t raw, std::uint32_t base) {
  const auto distance = static_cast<std::int32_t>(raw - base);
  if (distance > -1'000'000 && distance < 100'000'000) return std::to_string(distance);
  return fmt::format("raw {}", raw);
}

std::string sack_text(ByteSpan body, std::uint32_t base) {
  std::string text = "sack";
  for (std::size_t at = 0; at + 8 <= body.size(); at += 8)
    text += fmt::format(" {}:{}", relative(get(body, at, 4), base), relative(get(body, at + 4, 4), base));
  return text;
}

struct OptionBases {
  std::uint32_t sack, value, echo;
};

std::string option_text(std::uint8_t kind, ByteSpan body, const OptionBases& bases) {
  if (kind == 2 && body.size() == 2) return fmt::format("mss {}", get(body, 0, 2));
  if (kind == 3 && body.size() == 1) return fmt::format("wscale {}", body[0]);
  if (kind == 4 && body.empty()) return "sackOK";
  if (kind == 5) return sack_text(body, bases.sack);
  if (kind == 8 && body.size() == 8)
    return fmt::format("TS {} ecr {}", get(body, 0, 4) - bases.value,
                       get(body, 4, 4) == 0 ? 0 : get(body, 4, 4) - bases.echo);
  if (kind == 34) return fmt::format("tfo {}", body.empty() ? "request" : hex(body));
  if (kind == 254 && body.size() >= 2 && get(body, 0, 2) == 0xf989)
    return fmt::format("tfo-exp {}", body.size() == 2 ? "request" : hex(body.subspan(2)));
  return fmt::format("kind {} {}", kind, hex(body));
}

std::string options_text(ByteSpan bytes, const OptionBases& bases) {
  std::string text;
  const auto add = [&](const std::string& one) { text += (text.empty() ? "" : ", ") + one; };
  for (std::size_t at = 0; at < bytes.size();) {
    if (bytes[at] == 0 || bytes[at] == 1) {
      add(bytes[at++] == 0 ? "eol" : "nop");
      continue;
    }
    if (at + 1 >= bytes.size() || bytes[at + 1] < 2 || at + bytes[at + 1] > bytes.size()) {
      add("malformed " + hex(bytes.subspan(at)));
      break;
    }
    add(option_text(bytes[at], bytes.subspan(at + 2, bytes[at + 1] - 2u), bases));
    at += bytes[at + 1];
  }
  return text.empty() ? "" : " <" + text + ">";
}

OptionBases option_bases(const Numbering& numbering, bool from_peer) {
  const std::uint32_t own = numbering.own_timestamp.value_or(0);
  // A peer's timestamps are the test's own choice and stand as they are.
  return from_peer ? OptionBases{numbering.own_isn, 0, own} : OptionBases{numbering.peer_isn, own, 0};
}

std::optional<ByteSpan> find_option(const Observed& observed, std::uint8_t kind) {
  const ByteSpan bytes = as_bytes(observed.options);
  for (std::size_t at = 0; at < bytes.size();) {
    if (bytes[at] == 0) break;
    if (bytes[at] == 1) {
      ++at;
      continue;
    }
    if (at + 1 >= bytes.size() || bytes[at + 1] < 2 || at + bytes[at + 1] > bytes.size()) break;
    if (bytes[at] == kind) return bytes.subspan(at + 2, bytes[at + 1] - 2u);
    at += bytes[at + 1];
  }
  return std::nullopt;
}

// Reads the IP header, notes its faults, and says where the payload begins; nothing when it cannot be read at all.
std::optional<std::size_t> decode_ip(ByteSpan packet, std::uint8_t ttl, bool dont_fragment, Observed& out) {
  const auto fault = [&](std::string text) { out.faults.push_back(std::move(text)); };
  if (packet.empty()) return fault("empty packet"), std::nullopt;
  if (packet[0] >> 4 == 4 && packet.size() >= 40) {
    if (packet[0] != 0x45) fault("IPv4 header with options");
    out.traffic_class = packet[1];
    if (get(packet, 2, 2) != packet.size())
      fault(fmt::format("IPv4 length {} of {}", get(packet, 2, 2), packet.size()));
    if (const auto field = get(packet, 6, 2); field != (dont_fragment ? 0x4000 : 0))
      fault(fmt::format("IPv4 fragment field {:#x}", field));
    out.identification = static_cast<std::uint16_t>(get(packet, 4, 2));
    if (packet[8] != ttl) fault(fmt::format("TTL {}", packet[8]));
    if (packet[9] != kTcp) return fault(fmt::format("protocol {}", packet[9])), std::nullopt;
    if (internet_checksum(packet.first(20)) != 0) fault("wrong IPv4 header checksum");
    out.source = IpAddress::v4(std::span<const std::uint8_t, 4>(packet.data() + 12, 4));
    out.destination = IpAddress::v4(std::span<const std::uint8_t, 4>(packet.data() + 16, 4));
    return 20;
  }
  if (packet[0] >> 4 == 6 && packet.size() >= 60) {
    out.traffic_class = static_cast<std::uint8_t>(get(packet, 0, 2) >> 4);
    if (get(packet, 4, 2) + 40 != packet.size())
      fault(fmt::format("IPv6 length {} of {}", get(packet, 4, 2), packet.size()));
    if (packet[6] != kTcp) return fault(fmt::format("next header {}", packet[6])), std::nullopt;
    if (packet[7] != ttl) fault(fmt::format("hop limit {}", packet[7]));
    out.source = IpAddress::v6(std::span<const std::uint8_t, 16>(packet.data() + 8, 16));
    out.destination = IpAddress::v6(std::span<const std::uint8_t, 16>(packet.data() + 24, 16));
    return 40;
  }
  return fault("neither IPv4 nor IPv6 with TCP, or too short"), std::nullopt;
}

}  // namespace

std::string stream(std::uint32_t first, std::uint32_t count) {
  std::string bytes(count, '\0');
  // 251 is prime, so that no shift by a power of two, or by a segment's length, looks the same.
  for (std::uint32_t i = 0; i < count; ++i) bytes[i] = static_cast<char>((first + i) % 251 + 1);
  return bytes;
}

std::uint16_t internet_checksum(ByteSpan bytes, std::uint32_t initial) {
  std::uint32_t sum = initial;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? bytes[i] * 256u : bytes[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint32_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                std::uint32_t length) {
  std::vector<std::uint8_t> bytes;
  put(bytes, address_bytes(source));
  put(bytes, address_bytes(destination));
  put32(bytes, length);
  put32(bytes, protocol);
  return static_cast<std::uint16_t>(~internet_checksum(bytes));
}

std::vector<std::uint8_t> ip_packet(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                    ByteSpan payload, std::uint8_t traffic_class) {
  const auto size = static_cast<std::uint32_t>(payload.size());
  std::vector<std::uint8_t> packet;
  if (source.is_v4()) {
    put16(packet, 0x4500u + traffic_class), put16(packet, 20 + size), put16(packet, 0x1234), put16(packet, 0x4000);
    put8(packet, 64), put8(packet, protocol), put16(packet, 0);
    put(packet, source.v4_bytes()), put(packet, destination.v4_bytes());
    const std::uint16_t sum = internet_checksum(packet);
    packet[10] = static_cast<std::uint8_t>(sum >> 8), packet[11] = static_cast<std::uint8_t>(sum);
  } else {
    put32(packet, 0x60000000u + (std::uint32_t{traffic_class} << 20)), put16(packet, size), put8(packet, protocol),
        put8(packet, 64);
    put(packet, source.bytes()), put(packet, destination.bytes());
  }
  put(packet, payload);
  return packet;
}

// The layout that Linux writes, and that its fast path wants: MSS, SACK-permitted with timestamps, window scale, SACK,
// Fast Open, each padded to words in front, Fast Open behind.
std::string Codec::options(const Segment& s, const Numbering& numbering, bool from_peer) {
  if (s.raw_options_) {
    std::string bytes = *s.raw_options_;
    bytes.resize((bytes.size() + 3) / 4 * 4, '\0');
    return bytes;
  }
  const std::uint32_t own = numbering.own_timestamp.value_or(0);
  std::vector<std::uint8_t> o;
  if (s.mss_) put16(o, 0x0204), put16(o, *s.mss_);
  if (s.ts_) {
    put16(o, s.sack_ok_ ? 0x0402 : 0x0101), put16(o, 0x080a);
    put32(o, from_peer ? s.ts_->first : s.ts_->first + own);
    // An echo of 0 on a SYN is none (RFC 7323 §3.2).
    const bool none = (s.flags_ & flag::kAck) == 0 && s.ts_->second == 0;
    put32(o, from_peer && !none ? s.ts_->second + own : s.ts_->second);
  } else if (s.sack_ok_) {
    put32(o, 0x01010402);
  }
  if (s.wscale_) put16(o, 0x0103), put8(o, 3), put8(o, *s.wscale_);
  if (!s.sack_.empty()) {
    put16(o, 0x0101), put8(o, 5), put8(o, static_cast<std::uint32_t>(2 + 8 * s.sack_.size()));
    const std::uint32_t base = from_peer ? numbering.own_isn : numbering.peer_isn;
    for (const SackRange& block : s.sack_) put32(o, base + block.first), put32(o, base + block.end);
  }
  if (s.tfo_) {
    put8(o, s.tfo_exp_ ? 254 : 34), put8(o, static_cast<std::uint32_t>(s.tfo_->size() + (s.tfo_exp_ ? 4 : 2)));
    if (s.tfo_exp_) put16(o, 0xf989);
    put(o, as_bytes(*s.tfo_));
    while (o.size() % 4 != 0) put8(o, 1);
  }
  return {o.begin(), o.end()};
}

std::vector<std::uint8_t> Codec::encode(const Segment& s, const Numbering& numbering) {
  const std::string opts = options(s, numbering, true);
  std::vector<std::uint8_t> t;
  put16(t, numbering.peer.port), put16(t, numbering.own.port);
  put32(t, s.raw_seq_ ? s.seq_ : numbering.peer_isn + s.seq_);
  const bool has_ack = (s.flags_ & flag::kAck) != 0;
  put32(t, !has_ack ? 0 : s.raw_ack_ ? s.ack_ : numbering.own_isn + s.ack_);
  put8(t, static_cast<std::uint32_t>((20 + opts.size()) / 4 * 16)), put8(t, s.flags_),
      put16(t, s.window_.value_or(65535));
  put16(t, 0), put16(t, s.urgent_);
  put(t, as_bytes(opts)), put(t, as_bytes(s.payload_));
  const auto sum =
      static_cast<std::uint16_t>(internet_checksum(t, pseudo_header_sum(numbering.peer.address, numbering.own.address,
                                                                        kTcp, static_cast<std::uint32_t>(t.size()))) +
                                 (s.bad_checksum_ ? 1 : 0));
  t[16] = static_cast<std::uint8_t>(sum >> 8), t[17] = static_cast<std::uint8_t>(sum);
  return ip_packet(numbering.peer.address, numbering.own.address, kTcp, t, s.traffic_class_);
}

Observed Codec::decode(ByteSpan packet, std::uint8_t ttl, bool dont_fragment) {
  Observed out;
  out.packet.assign(packet.begin(), packet.end());
  const auto start = decode_ip(packet, ttl, dont_fragment, out);
  if (!start) return out;
  const ByteSpan t = packet.subspan(*start);
  const std::size_t header = (t[12] >> 4) * 4u;
  if (header < 20 || header > t.size()) return out.faults.push_back("TCP data offset"), out;
  if ((t[12] & 0x0f) != 0) out.faults.push_back("reserved TCP header bits");
  const std::uint32_t pseudo =
      pseudo_header_sum(out.source, out.destination, kTcp, static_cast<std::uint32_t>(t.size()));
  if (internet_checksum(t, pseudo) != 0) out.faults.push_back("wrong TCP checksum");
  out.source_port = static_cast<std::uint16_t>(get(t, 0, 2)),
  out.destination_port = static_cast<std::uint16_t>(get(t, 2, 2));
  out.seq = get(t, 4, 4), out.ack = get(t, 8, 4), out.flags = t[13];
  out.window = static_cast<std::uint16_t>(get(t, 14, 2)), out.urgent = static_cast<std::uint16_t>(get(t, 18, 2));
  out.options = as_text(t.subspan(20, header - 20));
  out.payload = as_text(t.subspan(header));
  return out;
}

std::vector<std::string> Codec::differences(const Segment& e, const Observed& o, const Numbering& n,
                                            std::optional<std::uint16_t> default_window) {
  std::vector<std::string> found = o.faults;
  const auto differ = [&](std::string_view what, const auto& expected, const auto& got) {
    if (expected != got) found.push_back(fmt::format("{}: expected {}, got {}", what, expected, got));
  };
  differ("source", Endpoint{n.own.address, n.own.port}.to_string(), Endpoint{o.source, o.source_port}.to_string());
  differ("destination", n.peer.to_string(), Endpoint{o.destination, o.destination_port}.to_string());
  differ("flags", flags_text(e.flags_), flags_text(o.flags));
  differ("traffic class", e.traffic_class_, o.traffic_class);
  differ("sequence number", e.raw_seq_ ? e.seq_ : n.own_isn + e.seq_, o.seq);
  const bool has_ack = (e.flags_ & flag::kAck) != 0;
  differ("acknowledgement number", !has_ack ? 0u : e.raw_ack_ ? e.ack_ : n.peer_isn + e.ack_, o.ack);
  if (!e.any_window_) {
    const auto window = e.window_ ? e.window_ : default_window;
    if (window) {
      differ("window", *window, o.window);
    } else {
      found.push_back(fmt::format("window: the test must say which; got {}", o.window));
    }
  }
  differ("urgent pointer", e.urgent_, o.urgent);
  const std::string wanted = options(e, n, false);
  if (wanted != o.options) {
    const OptionBases bases = option_bases(n, false);
    found.push_back(fmt::format("options: expected{}, got{}", options_text(as_bytes(wanted), bases),
                                options_text(as_bytes(o.options), bases)));
  }
  differ("payload length", e.payload_.size(), o.payload.size());
  if (e.payload_.size() == o.payload.size() && e.payload_ != o.payload) {
    const auto at = std::ranges::mismatch(e.payload_, o.payload).in1 - e.payload_.begin();
    found.push_back(fmt::format("payload differs from its byte {} on", at));
  }
  differ("segment size", e.segment_size_, o.segment_size);
  return found;
}

std::string Codec::describe(const Segment& s, const Numbering& n, bool from_peer) {
  const auto length = s.payload_.size();
  std::string text =
      fmt::format("{} {}{}:{}({})", flags_text(s.flags_), s.raw_seq_ ? "raw " : "", s.seq_, s.seq_ + length, length);
  if ((s.flags_ & flag::kAck) != 0) text += fmt::format(" ack {}{}", s.raw_ack_ ? "raw " : "", s.ack_);
  if (from_peer || s.window_) text += fmt::format(" win {}", s.window_.value_or(65535));
  if (s.urgent_ != 0) text += fmt::format(" urg {}", s.urgent_);
  if (s.traffic_class_ != 0) text += fmt::format(" tos {:#x}", s.traffic_class_);
  if (s.segment_size_ != 0) text += fmt::format(" in pieces of {}", s.segment_size_);
  return text + options_text(as_bytes(options(s, n, from_peer)), option_bases(n, from_peer));
}

std::string Codec::describe(const Observed& o, const Numbering& n) {
  const auto length = static_cast<std::uint32_t>(o.payload.size());
  std::string text = fmt::format("{} {}:{}({})", flags_text(o.flags), relative(o.seq, n.own_isn),
                                 relative(o.seq + length, n.own_isn), length);
  if ((o.flags & flag::kAck) != 0) text += fmt::format(" ack {}", relative(o.ack, n.peer_isn));
  text += fmt::format(" win {}", o.window);
  if (o.traffic_class != 0) text += fmt::format(" tos {:#x}", o.traffic_class);
  if (o.segment_size != 0) text += fmt::format(" in pieces of {}", o.segment_size);
  return text + options_text(as_bytes(o.options), option_bases(n, false));
}

std::optional<std::uint8_t> Codec::offered_scale(const Segment& s) {
  return (s.flags_ & flag::kSyn) != 0 ? s.wscale_ : std::nullopt;
}

std::optional<std::uint32_t> Codec::fin_seq(const Segment& s) {
  if ((s.flags_ & flag::kFin) == 0) return std::nullopt;
  return s.seq_ + static_cast<std::uint32_t>(s.payload_.size()) + ((s.flags_ & flag::kSyn) != 0 ? 1 : 0);
}

std::optional<std::uint32_t> Codec::timestamp(const Observed& observed) {
  const auto body = find_option(observed, 8);
  if (!body || body->size() != 8) return std::nullopt;
  return get(*body, 0, 4);
}

std::optional<std::uint16_t> Codec::mss(const Observed& observed) {
  const auto body = find_option(observed, 2);
  if (!body || body->size() != 2) return std::nullopt;
  return static_cast<std::uint16_t>(get(*body, 0, 2));
}

std::optional<std::uint8_t> Codec::window_scale(const Observed& observed) {
  const auto body = find_option(observed, 3);
  if (!body || body->size() != 1) return std::nullopt;
  return (*body)[0];
}

}  // namespace ff::wiretest
