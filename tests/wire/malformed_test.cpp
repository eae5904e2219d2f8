// Packets that are not what they say: each is counted under its reason, answered by nothing, and changes nothing.
#include "wire/language.hpp"

namespace {

// Data on an established connection, one byte changed; then that the connection is none the worse for it.
struct Spoiled {
  std::size_t offset;  // from the IP header, or from the TCP header
  std::uint8_t value;
  DropReason reason;
};

void sum_up_ip(Wire& w, std::vector<std::uint8_t>& packet) {
  if (w.v6()) return;
  packet[10] = packet[11] = 0;
  const std::uint16_t sum = internet_checksum(ByteSpan(packet).first(20));
  packet[10] = static_cast<std::uint8_t>(sum >> 8), packet[11] = static_cast<std::uint8_t>(sum);
}

void sum_up_tcp(Wire& w, std::vector<std::uint8_t>& packet) {
  const std::size_t tcp = w.v6() ? 40 : 20;
  packet[tcp + 16] = packet[tcp + 17] = 0;
  const auto size = static_cast<std::uint32_t>(packet.size() - tcp);
  const std::uint16_t sum =
      internet_checksum(ByteSpan(packet).subspan(tcp), pseudo_header_sum(w.peer_address(0), w.own_address(), 6, size));
  packet[tcp + 16] = static_cast<std::uint8_t>(sum >> 8), packet[tcp + 17] = static_cast<std::uint8_t>(sum);
}

void still_works(Wire& w) {
  w.in(data(1, "fine").ack(1).psh());
  w.out(segment(1).ack(5));
  w.read("fine");
}

}  // namespace

WIRE_TEST(Malformed, IpHeaders) {
  w.establish();
  const std::vector<Spoiled> cases = w.v6() ? std::vector<Spoiled>{{0, 0x50, DropReason::IpVersion},
                                                                   {5, 0xff, DropReason::IpTruncated},
                                                                   {8, 0xff, DropReason::IpMartianSource},
                                                                   {39, 0x77, DropReason::IpNotForUs}}
                                            : std::vector<Spoiled>{{0, 0x55, DropReason::IpVersion},
                                                                   {0, 0x44, DropReason::IpHeader},
                                                                   {3, 0xff, DropReason::IpTruncated},
                                                                   {12, 224, DropReason::IpMartianSource},
                                                                   {19, 0x77, DropReason::IpNotForUs}};
  for (const Spoiled& one : cases) {
    std::vector<std::uint8_t> packet = w.packet(data(1, "evil").ack(1).psh());
    packet[one.offset] = one.value;
    sum_up_ip(w, packet);
    const std::uint64_t before = w.stack().counters()[one.reason];
    w.in_raw(packet);
    w.dropped(one.reason, before + 1);
  }
  still_works(w);
}

WIRE_TEST(Malformed, Ipv4Checksum) {
  w.establish();
  if (w.v6()) return;
  std::vector<std::uint8_t> packet = w.packet(data(1, "evil").ack(1).psh());
  packet[8] ^= 1;  // the TTL, that the sum does not know of
  w.in_raw(packet);
  w.dropped(DropReason::IpChecksum, 1);
  still_works(w);
}

WIRE_TEST(Malformed, TcpHeaders) {
  w.establish();
  const std::size_t tcp = w.v6() ? 40 : 20;
  const Spoiled cases[] = {
      {12, 0x40, DropReason::TcpHeader},     // a header of 16 bytes
      {12, 0xf0, DropReason::TcpTruncated},  // one that is longer than the segment
  };
  for (const Spoiled& one : cases) {
    std::vector<std::uint8_t> packet = w.packet(data(1, "evil").ack(1).psh());
    packet[tcp + one.offset] = one.value;
    sum_up_tcp(w, packet);
    w.in_raw(packet);
    w.dropped(one.reason, 1);
  }
  // Port 0 is one like others, as in Linux, that nobody has.
  std::vector<std::uint8_t> packet = w.packet(rst(1));
  packet[tcp] = packet[tcp + 1] = 0;
  sum_up_tcp(w, packet);
  w.in_raw(packet);
  w.dropped(DropReason::TcpResetForNoSocket, 1);
  still_works(w);
}

// Cut off at every length.
WIRE_TEST(Malformed, Truncated) {
  w.establish();
  const std::vector<std::uint8_t> whole = w.packet(data(1, "evil").ack(1).psh());
  for (std::size_t size = 0; size < whole.size(); ++size)
    w.in_raw({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
  w.require(w.stack().counters()[DropReason::IpTruncated] + w.stack().counters()[DropReason::IpVersion] == whole.size(),
            "each is counted");
  still_works(w);
}

// Behind the packet's end, as the IP header has it, there may be padding (of Ethernet); it is not data.
WIRE_TEST(Malformed, PaddingIsNotData) {
  w.establish();
  std::vector<std::uint8_t> packet = w.packet(data(1, "fine").ack(1).psh());
  packet.insert(packet.end(), 7, 0xee);
  w.in_raw(packet);
  w.out(segment(1).ack(5));
  w.read("fine");
  w.nothing_to_read();
}

// Every combination of flags, in the middle of a connection: never a crash, never an end but by RST.
WIRE_TEST(Malformed, AllFlags) {
  for (int bits = 0; bits < 256; ++bits) {
    w.use(bits);
    w.establish();
    const auto flags = static_cast<std::uint8_t>(bits);
    if ((flags & (flag::kSyn | flag::kRst | flag::kFin)) != 0 || (flags & flag::kAck) == 0) {
      w.in(segment(1).ack(1).flags(flags));
      if ((flags & flag::kRst) != 0) {
        w.ended_with(Error::ConnectionReset);
      } else if ((flags & flag::kSyn) != 0) {
        w.out(segment(1).ack(1));
        w.state(TcpState::Established);
      } else if ((flags & flag::kAck) == 0) {
        w.state(TcpState::Established);
      } else {
        w.state(TcpState::CloseWait);
      }
    } else {
      w.in(segment(1).ack(1).flags(flags));
      w.state(TcpState::Established);
    }
    w.abort();
    if ((flags & flag::kRst) == 0) {
      const bool fin = (flags & flag::kFin) != 0 && (flags & flag::kAck) != 0 && (flags & flag::kSyn) == 0;
      w.out(rst(1).ack(fin ? 2 : 1));
    }
  }
}
