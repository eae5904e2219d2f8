#include "wire/datagrams.hpp"

#include <algorithm>
#include <map>

#include "wire/segment.hpp"

namespace ff::wiretest {
namespace {

void put16(Bytes& to, std::uint32_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& to, std::uint32_t value) { put16(to, value >> 16), put16(to, value & 0xffff); }
void put(Bytes& to, std::span<const std::uint8_t> bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void store16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}
std::uint32_t load16(const Bytes& bytes, std::size_t at) { return bytes.at(at) * 256u + bytes.at(at + 1); }

std::uint32_t pseudo(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, std::size_t length) {
  return pseudo_header_sum(from, to, protocol, static_cast<std::uint32_t>(length));
}

void verify_transport(const Packet& packet) {
  const std::uint32_t sum = pseudo(packet.source, packet.destination, packet.protocol, packet.payload.size());
  if (packet.protocol == kUdp) {
    EXPECT_NE(packet.at16(6), 0u) << "no UDP checksum";
    EXPECT_EQ(packet.at16(4), packet.payload.size()) << "UDP length";
    EXPECT_EQ(internet_checksum(packet.payload, sum), 0) << "UDP checksum";
  } else if (packet.protocol == kIcmp6) {
    EXPECT_EQ(internet_checksum(packet.payload, sum), 0) << "ICMPv6 checksum";
  } else if (packet.protocol == kIcmp4) {
    EXPECT_EQ(internet_checksum(packet.payload), 0) << "ICMP checksum";
  }
}

}  // namespace

Packet take_apart(const Bytes& bytes) {
  Packet packet;
  packet.size = bytes.size();
  std::size_t header = 20;
  if (bytes.at(0) >> 4 == 4) {
    EXPECT_EQ(bytes[0], 0x45);
    EXPECT_EQ(load16(bytes, 2), bytes.size()) << "IPv4 length";
    EXPECT_EQ(internet_checksum(ByteSpan(bytes).first(20)), 0) << "IPv4 header checksum";
    packet.traffic_class = bytes[1];
    packet.identification = load16(bytes, 4);
    packet.dont_fragment = (bytes[6] & 0x40) != 0;
    packet.more = (bytes[6] & 0x20) != 0;
    packet.offset = (load16(bytes, 6) & 0x1fff) * 8;
    packet.fragment = packet.more || packet.offset != 0;
    packet.ttl = bytes[8];
    packet.protocol = bytes[9];
    packet.source = IpAddress::v4(std::span<const std::uint8_t, 4>(bytes.data() + 12, 4));
    packet.destination = IpAddress::v4(std::span<const std::uint8_t, 4>(bytes.data() + 16, 4));
  } else {
    header = 40;
    EXPECT_EQ(bytes[0] >> 4, 6);
    EXPECT_EQ(load16(bytes, 4) + 40, bytes.size()) << "IPv6 length";
    packet.traffic_class = static_cast<std::uint8_t>(load16(bytes, 0) >> 4);
    packet.protocol = bytes[6];
    packet.ttl = bytes[7];
    packet.source = IpAddress::v6(std::span<const std::uint8_t, 16>(bytes.data() + 8, 16));
    packet.destination = IpAddress::v6(std::span<const std::uint8_t, 16>(bytes.data() + 24, 16));
    if (packet.protocol == 44) {
      packet.fragment = true;
      packet.protocol = bytes.at(40);
      packet.offset = load16(bytes, 42) & 0xfff8;
      packet.more = (bytes.at(43) & 1) != 0;
      packet.identification = load16(bytes, 44) << 16 | load16(bytes, 46);
      header = 48;
    }
  }
  packet.payload.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  if (packet.more) {
    EXPECT_EQ(packet.payload.size() % 8, 0u) << "a fragment that another follows";
  }
  if (!packet.fragment) verify_transport(packet);
  return packet;
}

Bytes put_together(const std::vector<Packet>& fragments) {
  std::map<std::uint32_t, const Packet*> sorted;
  for (const Packet& fragment : fragments) sorted[fragment.offset] = &fragment;
  Packet whole;
  for (const auto& [offset, fragment] : sorted) {
    if (offset != whole.payload.size() || fragment->identification != fragments[0].identification) return {};
    if (fragment->more != (offset != sorted.rbegin()->first)) return {};
    put(whole.payload, fragment->payload);
  }
  whole.source = fragments.at(0).source;
  whole.destination = fragments[0].destination;
  whole.protocol = fragments[0].protocol;
  verify_transport(whole);
  return whole.payload;
}

Net::Net(bool is_v6, std::uint16_t mtu, const Settings& settings)
    : v6(is_v6),
      own(*IpAddress::parse(v6 ? "2001:db8::1" : "192.0.2.1")),
      peer(*IpAddress::parse(v6 ? "2001:db8::2" : "192.0.2.2")),
      stranger(*IpAddress::parse(v6 ? "2001:db8::99" : "192.0.2.99")),
      stack(StackConfig{.seed = Seed::from_number(1), .settings = settings}) {
  InterfaceConfig config;
  config.mtu = mtu;
  config.addresses = {Cidr{own, static_cast<std::uint8_t>(v6 ? 64 : 24)}};
  interface = stack.add_interface(config).value();
}

void Net::set(std::string_view name, std::string_view value) {
  const auto done = stack.set_setting(name, value);
  EXPECT_TRUE(done) << (done ? "" : done.error());
}

Bytes Net::ip(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, const Bytes& payload,
              const IpFields& fields) const {
  Bytes packet;
  if (from.is_v4()) {
    packet = {0x45, fields.traffic_class};
    put16(packet, static_cast<std::uint32_t>(20 + payload.size()));
    put16(packet, fields.fragment_id.value_or(0x1234));
    put16(packet, fields.fragment_id ? fields.offset / 8 | (fields.more ? 0x2000u : 0u) : 0x4000u);
    packet.push_back(fields.ttl);
    packet.push_back(protocol);
    put16(packet, 0);
    put(packet, from.v4_bytes());
    put(packet, to.v4_bytes());
    store16(packet, 10, internet_checksum(packet));
  } else {
    put32(packet, 0x60000000u | static_cast<std::uint32_t>(fields.traffic_class) << 20);
    put16(packet, static_cast<std::uint32_t>(payload.size() + (fields.fragment_id ? 8 : 0)));
    packet.push_back(fields.fragment_id ? 44 : protocol);
    packet.push_back(fields.ttl);
    put(packet, from.bytes());
    put(packet, to.bytes());
    if (fields.fragment_id) {
      put16(packet, protocol * 256u);
      put16(packet, fields.offset | (fields.more ? 1u : 0u));
      put32(packet, *fields.fragment_id);
    }
  }
  put(packet, payload);
  return packet;
}

Bytes Net::udp(const IpAddress& from_address, const IpAddress& to_address, std::uint16_t from, std::uint16_t to,
               std::string_view payload) const {
  Bytes datagram;
  put16(datagram, from);
  put16(datagram, to);
  put16(datagram, static_cast<std::uint32_t>(8 + payload.size()));
  put16(datagram, 0);
  put(datagram, as_bytes(payload));
  const std::uint16_t sum = internet_checksum(datagram, pseudo(from_address, to_address, kUdp, datagram.size()));
  store16(datagram, 6, sum == 0 ? 0xffff : sum);
  return datagram;
}

Bytes Net::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& body) const {
  return icmp_from(peer, type, code, rest, body);
}

Bytes Net::icmp_from(const IpAddress& from, std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                     const Bytes& body) const {
  Bytes message{type, code, 0, 0};
  put32(message, rest);
  put(message, body);
  store16(message, 2, internet_checksum(message, v6 ? pseudo(from, own, kIcmp6, message.size()) : 0));
  return message;
}

void Net::in(const Bytes& packet, RxChecksum checksum) {
  RxPacket received;
  received.bytes = Slice::copy_of(packet);
  received.checksum = checksum;
  stack.handle_packet(now, interface, std::move(received));
}

std::vector<Bytes> Net::raw_out() {
  std::vector<Bytes> packets;
  TxPacket packet;
  while (stack.poll_transmit(now, packet)) {
    Bytes all(packet.header().begin(), packet.header().end());
    for (const Slice& piece : packet.payload()) put(all, piece.span());
    EXPECT_EQ(all.size(), packet.size());
    if (packet.checksum_wanted) {
      const std::size_t at = packet.checksum_start + std::size_t{packet.checksum_offset};
      store16(all, at, internet_checksum(ByteSpan(all).subspan(packet.checksum_start)));
    }
    packets.push_back(std::move(all));
  }
  EXPECT_EQ(stack.check(), "");
  return packets;
}

std::vector<Packet> Net::out() {
  std::vector<Packet> packets;
  for (const Bytes& packet : raw_out()) packets.push_back(take_apart(packet));
  return packets;
}

Packet Net::one() {
  std::vector<Packet> packets = out();
  EXPECT_EQ(packets.size(), 1u);
  if (packets.empty()) throw std::runtime_error("nothing was sent");
  return packets[0];
}

void Net::advance(Duration span) {
  const Instant end = now + span;
  while (stack.next_deadline() <= end) {
    now = std::max(now, stack.next_deadline());
    stack.handle_deadline(now);
  }
  now = end;
}

DatagramId Net::open(std::uint16_t port, DatagramOptions options) {
  if (options.local.address == IpAddress::any_v6() && !v6) options.local.address = IpAddress::any_v4();
  options.local.port = port;
  const auto id = stack.open(options);
  EXPECT_TRUE(id) << to_string(id.error());
  return id.value_or(DatagramId{});
}

void Net::expect(DatagramId socket, std::string_view payload, std::uint16_t from_port) {
  const auto datagram = stack.receive(socket);
  ASSERT_TRUE(datagram) << to_string(datagram.error());
  EXPECT_EQ(datagram->bytes.text(), payload);
  EXPECT_EQ(datagram->source, (Endpoint{peer, from_port}));
  EXPECT_EQ(datagram->destination, own);
}

void Net::expect_error(DatagramId socket, Error error) {
  const auto datagram = stack.receive(socket);
  ASSERT_FALSE(datagram) << datagram->bytes.text();
  EXPECT_EQ(datagram.error(), error) << to_string(datagram.error());
}

}  // namespace ff::wiretest
