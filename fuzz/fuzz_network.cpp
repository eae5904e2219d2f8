// The network layer under hostile input: frames and packets of any kind, checksums put right where that lets them in
// deeper, time passing, datagram sockets that send and read. Memory stays within its bounds, and whatever is sent is
// well-formed.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <vector>

#include "firstflight/stack.hpp"
#include "require.hpp"
#include "wire/arp.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"
#include "wire/ethernet.hpp"
#include "wire/ip.hpp"

namespace {

using namespace ff;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kMaxOperations = 300;
constexpr std::uint32_t kFragmentMemory = 20000;
constexpr std::uint32_t kNeighbours = 8;
constexpr MacAddress kOwnMac{{2, 0, 0, 0, 0, 1}};
const IpAddress kOwn4 = IpAddress::v4(192, 0, 2, 1);
const IpAddress kOwn6 = *IpAddress::parse("2001:db8::1");

Settings settings() {
  Settings s;
  s.ipfrag_high_thresh = s.ip6frag_high_thresh = kFragmentMemory;
  s.neigh_gc_thresh1 = 2;
  s.neigh_gc_thresh2 = kNeighbours / 2;
  s.neigh_gc_thresh3 = kNeighbours;
  return s;
}

class Fuzz {
 public:
  Fuzz(const std::uint8_t* bytes, std::size_t size)
      : data_(bytes, size), stack_(StackConfig{.seed = Seed::from_number(1), .settings = settings()}) {
    InterfaceConfig plain, ethernet;
    plain.addresses = {{kOwn4, 24}, {kOwn6, 64}};
    ethernet.addresses = {*Cidr::parse("198.51.100.1/24"), *Cidr::parse("2001:db8:1::1/64")};
    ethernet.mac = kOwnMac;
    plain_ = stack_.add_interface(plain).value();
    ethernet_ = stack_.add_interface(ethernet).value();
    DatagramOptions options;
    options.receive_errors = true;
    options.receive_buffer = 3000;
    options.local = {IpAddress::any_v6(), 7};
    sockets_.push_back(stack_.open(options).value());
    options.protocol = DatagramProtocol::Echo;
    sockets_.push_back(stack_.open(options).value());
  }

  void run() {
    for (std::size_t i = 0; i < kMaxOperations && data_.remaining_bytes() > 0; ++i) {
      operate();
      pump();
      FF_REQUIRE(stack_.fragment_memory() <= 2 * kFragmentMemory);
      FF_REQUIRE(stack_.neighbours().size() <= 2 * kNeighbours);
      for (const DatagramId socket : sockets_) FF_REQUIRE(stack_.info(socket)->receive_queue <= 6000 + 65536 + 256);
    }
  }

 private:
  void operate() {
    switch (data_.ConsumeIntegralInRange<int>(0, 6)) {
      case 0:
        return advance();
      case 1:
        return send();
      case 2:
        return read();
      case 3:
        return arp();
      default:
        return packet();
    }
  }

  void advance() {
    using namespace std::chrono_literals;
    now_ += data_.PickValueInArray<Duration>({1us, 10ms, 1s, 5s, 30s, 1000s});
    stack_.handle_deadline(now_);
  }

  IpAddress some_address(bool v4) {
    const auto last = data_.ConsumeIntegral<std::uint8_t>();
    if (v4) return data_.ConsumeBool() ? IpAddress::v4(192, 0, 2, last) : IpAddress::v4(198, 51, 100, last);
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[5] = data_.ConsumeBool() ? 1 : 0;
    bytes[15] = last;
    return IpAddress::v6(bytes);
  }

  void send() {
    const DatagramId socket = sockets_[data_.ConsumeIntegralInRange<std::size_t>(0, sockets_.size() - 1)];
    const bool v4 = data_.ConsumeBool();
    Bytes bytes(data_.PickValueInArray<std::size_t>({0, 8, 100, 1472, 3000, 65507}));
    if (!bytes.empty()) bytes[0] = v4 ? 8 : 128;
    (void)stack_.send(now_, socket, Slice::copy_of(bytes),
                      Endpoint{some_address(v4), data_.ConsumeIntegral<std::uint16_t>()});
  }

  void read() {
    for (const DatagramId socket : sockets_) {
      (void)stack_.receive(socket);
      (void)stack_.receive_error(socket);
    }
  }

  void arp() {
    Bytes bytes = data_.ConsumeBytes<std::uint8_t>(wire::kArpSize);
    bytes.resize(wire::kArpSize);
    if (data_.ConsumeBool()) {
      wire::ArpMessage message{data_.ConsumeBool(),
                               {{2, 0, 0, 0, 0, bytes[0]}},
                               some_address(true),
                               kOwnMac,
                               data_.ConsumeBool() ? some_address(true) : IpAddress::v4(198, 51, 100, 1)};
      wire::emit_arp(message, bytes.data());
    }
    frame(bytes, wire::ethertype::kArp, bytes[13]);
  }

  // A packet whose header, and transport checksum, are put right as far as that is possible.
  void packet() {
    Bytes bytes = data_.ConsumeBytes<std::uint8_t>(data_.ConsumeIntegralInRange<std::size_t>(0, 200));
    if (data_.ConsumeBool()) bytes.resize(bytes.size() + data_.PickValueInArray<std::size_t>({8, 160, 1400}));
    const bool v4 = data_.ConsumeBool();
    const bool on_ethernet = data_.ConsumeBool();
    if (bytes.size() >= 48 && data_.ConsumeBool()) mend(bytes, v4, on_ethernet);
    if (on_ethernet) return frame(bytes, v4 ? wire::ethertype::kIpv4 : wire::ethertype::kIpv6, 2);
    RxPacket packet;
    packet.bytes = Slice::copy_of(bytes);
    packet.segment_size = data_.PickValueInArray<std::uint16_t>({0, 0, 0, 1000});
    stack_.handle_packet(now_, plain_, std::move(packet));
  }

  void mend(Bytes& bytes, bool v4, bool on_ethernet) {
    const IpAddress own = v4 ? (on_ethernet ? IpAddress::v4(198, 51, 100, 1) : kOwn4)
                             : (on_ethernet ? *IpAddress::parse("2001:db8:1::1") : kOwn6);
    std::uint8_t* const p = bytes.data();
    if (v4) {
      p[0] = 0x45;
      wire::store_be16(p + 2, static_cast<std::uint16_t>(bytes.size()));
      std::copy_n(own.v4_bytes().begin(), 4, p + 16);
      wire::store_be16(p + 10, 0);
      wire::ChecksumAccumulator sum;
      sum.add({p, 20});
      wire::store_be16(p + 10, sum.checksum());
    } else {
      p[0] = 0x60;
      wire::store_be16(p + 4, static_cast<std::uint16_t>(bytes.size() - 40));
      if (data_.ConsumeBool()) std::copy_n(own.bytes().begin(), 16, p + 24);
    }
    const auto ip = wire::parse_ip(bytes);
    if (!ip) return;
    const bool icmp = ip->header.protocol == wire::protocol::kIcmp || ip->header.protocol == wire::protocol::kIcmp6;
    const std::uint32_t field = ip->payload_offset + (icmp ? 2u : 6u);
    if ((!icmp && ip->header.protocol != wire::protocol::kUdp) || ip->payload_size < 8) return;
    if (!icmp && data_.ConsumeBool())
      wire::store_be16(p + ip->payload_offset + 4, static_cast<std::uint16_t>(ip->payload_size));
    wire::store_be16(p + field, 0);
    wire::ChecksumAccumulator sum;
    if (ip->header.protocol != wire::protocol::kIcmp)
      sum.add_pseudo_header(ip->header.source, ip->header.destination, ip->header.protocol, ip->payload_size);
    sum.add(ByteSpan(bytes).subspan(ip->payload_offset, ip->payload_size));
    wire::store_be16(p + field, sum.checksum());
  }

  void frame(const Bytes& body, std::uint16_t type, std::uint8_t from) {
    Bytes bytes(kEthernetHeader + body.size());
    const MacAddress to = data_.ConsumeBool() ? kOwnMac : MacAddress::broadcast();
    wire::emit_ethernet({to, {{2, 0, 0, 0, 0, from}}, type}, bytes.data());
    std::ranges::copy(body, bytes.begin() + kEthernetHeader);
    if (data_.ConsumeIntegralInRange<int>(0, 9) == 0)
      bytes.resize(data_.ConsumeIntegralInRange<std::size_t>(0, bytes.size()));
    RxPacket packet;
    packet.bytes = Slice::copy_of(bytes);
    packet.link_header_size = kEthernetHeader;
    stack_.handle_packet(now_, ethernet_, std::move(packet));
  }

  void pump() {
    TxPacket packet;
    for (int i = 0; i < 2000 && stack_.poll_transmit(now_, packet); ++i) {
      FF_REQUIRE((packet.interface == ethernet_) == (packet.link_header_size == kEthernetHeader));
      Bytes bytes(packet.header().begin(), packet.header().end());
      for (const Slice& piece : packet.payload()) bytes.insert(bytes.end(), piece.span().begin(), piece.span().end());
      if (packet.link_header_size != 0 && wire::load_be16(packet.link_header_bytes.data() + 12) == 0x0806) {
        FF_REQUIRE(wire::parse_arp(bytes).has_value());
        continue;
      }
      FF_REQUIRE(bytes.size() <= 1500);
      const auto ip = wire::parse_ip(bytes);
      FF_REQUIRE(ip.has_value() || ip.error() == DropReason::IpFragment);
      if (!ip) FF_REQUIRE(!wire::complaint_about(*wire::parse_fragment(bytes)).has_value());
    }
    while (stack_.poll_event()) {
    }
  }

  FuzzedDataProvider data_;
  Instant now_{std::chrono::seconds(1)};
  Stack stack_;
  InterfaceId plain_ = 0, ethernet_ = 0;
  std::vector<DatagramId> sockets_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  Fuzz(bytes, size).run();
  return 0;
}
