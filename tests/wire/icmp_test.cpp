// ICMP errors about a connection (C8, I2): RFC 9293 §3.9.2.2, RFC 1191, RFC 8201, RFC 5927.
#include "wire/language.hpp"

WIRE_TEST(Icmp, UnreachableEndsAConnect) {
  w.connect();
  w.out(w.our_syn());
  w.in(icmp_host_unreachable());
  w.ended_with(Error::HostUnreachable);
  w.write_fails(Error::HostUnreachable);
}

WIRE_TEST(Icmp, PortUnreachableRefusesAConnect) {
  w.connect();
  w.out(w.our_syn());
  w.in(icmp_port_unreachable());
  w.ended_with(Error::ConnectionRefused);
}

WIRE_TEST(Icmp, ProhibitedRefusesAConnect) {
  w.connect();
  w.out(w.our_syn());
  w.in(icmp_prohibited());
  w.ended_with(w.v6() ? Error::PermissionDenied : Error::HostUnreachable);  // as Linux has it
}

// RFC 5927 §4.1: an error about a number that is not in flight is forged, or too late.
WIRE_TEST(Icmp, NumberMustBeInFlight) {
  w.connect();
  w.out(w.our_syn());
  w.in(icmp_host_unreachable().quoting_seq(1));
  w.in(icmp_host_unreachable().quoting_seq(0u - 1u));
  w.state(TcpState::SynSent);
  w.counter(Counter::TcpExt_OutOfWindowIcmps, 2);
  w.dropped(DropReason::IcmpSequence, 2);
}

// As Linux's tcp_req_err(): a client that cannot be reached has no place in the queue.
WIRE_TEST(Icmp, UnreachableClientIsForgotten) {
  w.listen();
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.population({.connections = 0, .requests = 1, .time_waits = 0, .listeners = 1});
  w.in(w.v6() ? icmp_port_unreachable() : icmp_host_unreachable());
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
  w.counter(Counter::TcpExt_ListenDrops, 1);
  w.advance(1min);  // and nothing is sent to it any more
}

// Linux takes these for passing.
WIRE_TEST(Icmp, LesserErrorsLeaveTheClientItsPlace) {
  w.listen();
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(w.v6() ? icmp_host_unreachable() : icmp_port_unreachable());
  w.dropped(DropReason::IcmpIgnored, 1);
  w.in(segment(1).ack(1));
  w.accept();
  w.counter(Counter::TcpExt_ListenDrops, 0);
}

WIRE_TEST(Icmp, NumberMustBeThatOfTheSynAck) {
  w.listen();
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  const Icmp error = w.v6() ? icmp_port_unreachable() : icmp_host_unreachable();
  w.in(Icmp(error).quoting_seq(1));
  w.in(Icmp(error).quoting_seq(0u - 1u));
  w.counter(Counter::TcpExt_OutOfWindowIcmps, 2);
  w.dropped(DropReason::IcmpSequence, 2);
  w.in(segment(1).ack(1));
  w.accept();
}

// RFC 1122 §4.2.3.9 (MUST-54): on an established connection it may be passing, and aborts nothing; it is what a timeout
// will tell in the end.
WIRE_TEST(Icmp, UnreachableIsSoftOnceEstablished) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("net.ipv4.tcp_retries2", "1");
  w.establish();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.in(icmp_host_unreachable());
  w.state(TcpState::Established);
  w.nothing_to_read();
  w.write(stream(101, 10));
  w.advance(210ms);
  w.out(data(1, 100).ack(1).psh());
  w.advance(420ms);
  w.out(data(1, 100).ack(1).psh());
  w.advance(840ms);
  w.ended_with(Error::HostUnreachable);
}

// What the network reports on one day is forgotten once the peer answers.
WIRE_TEST(Icmp, SoftErrorIsForgottenWithTheNextAck) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("net.ipv4.tcp_retries2", "1");
  w.establish();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.in(icmp_host_unreachable());
  w.advance(10ms);
  w.in(segment(1).ack(101));
  w.write(stream(101, 100));
  w.out(data(101, 100).ack(1).psh());
  w.advance(210ms);
  w.out(data(101, 100).ack(1).psh());
  w.advance(420ms);
  w.out(data(101, 100).ack(1).psh());
  w.advance(840ms);
  w.ended_with(Error::TimedOut);
}

// RFC 1191 §6.5: what was too big goes again at once, in pieces that fit; that is no congestion.
WIRE_TEST(Icmp, PacketTooBigShrinksTheSegments) {
  w.establish({.mss = 9000});
  const std::uint32_t big = w.mss(), small = w.mss_of(1300);
  w.write(stream(1, 2 * big));
  w.out(data(1, big).ack(1));
  w.out(data(big + 1, big).ack(1).psh());
  const std::uint32_t cwnd = w.info().snd_cwnd;
  w.in(icmp_packet_too_big(1300));
  w.out(data(1, small).ack(1));
  w.out(data(small + 1, small).ack(1));
  w.out(data(2 * small + 1, 2 * big - 2 * small).ack(1).psh());
  w.require(w.info().snd_mss == small && w.info().snd_cwnd == cwnd, "smaller segments, the same window");
  w.in(segment(1).ack(2 * big + 1));
  w.write(stream(2 * big + 1, 1500));
  w.out(data(2 * big + 1, small).ack(1));
  w.out(data(2 * big + 1 + small, 1500 - small).ack(1).psh());
}

// IP_PMTUDISC_DONT: routers may cut IPv4 packets, and what they say of sizes is not heeded. IPv6 has nothing like it.
WIRE_TEST(Icmp, PacketTooBigIsForRoutersToSolve) {
  SocketOptions options;
  options.path_mtu_discovery = PathMtuDiscovery::Dont;
  w.may_be_fragmented();
  w.listen({.options = options});
  w.establish({.mss = 9000});
  const std::uint32_t big = w.mss(), small = w.mss_of(1300);
  w.write(stream(1, 2 * big));
  w.out(data(1, big).ack(1));
  w.out(data(big + 1, big).ack(1).psh());
  w.in(icmp_packet_too_big(1300));
  if (!w.v6()) {
    w.silent();
  } else {
    w.out(data(1, small).ack(1));
    w.out(data(small + 1, small).ack(1));
    w.out(data(2 * small + 1, 2 * big - 2 * small).ack(1).psh());
  }
}

// A device that cuts up super-segments numbers the parts.
WIRE_TEST(Icmp, SuperSegmentsTakeAsManyIdentifications) {
  SocketOptions options;
  options.path_mtu_discovery = PathMtuDiscovery::Dont;
  w.super_segments(65535);
  w.may_be_fragmented();
  w.listen({.options = options});
  w.establish();
  w.write(stream(1, 5000));
  w.out(data(1, 2000).ack(1).psh().segments_of(1000));
  w.out(data(2001, 2000).ack(1).psh().segments_of(1000));
  w.out(data(4001, 1000).ack(1).psh());
}

// An MTU that is no smaller than ours says nothing; one below what every path carries is not believed.
WIRE_TEST(Icmp, PacketTooBigIsPlausible) {
  w.establish({.mss = 9000});
  const std::uint32_t big = w.mss();
  w.write(stream(1, big));
  w.out(data(1, big).ack(1).psh());
  w.in(icmp_packet_too_big(1500));
  w.in(icmp_packet_too_big(9000));
  w.silent();
  w.in(icmp_packet_too_big(100));
  const std::uint32_t least = w.mss_of(w.v6() ? 1280 : 552);  // RFC 8200 §5; Linux's min_pmtu
  std::uint32_t at = 1;
  for (; at + least < big; at += least) w.out(data(at, least).ack(1));
  w.out(data(at, big + 1 - at).ack(1).psh());
}

WIRE_TEST(Icmp, PacketTooBigMustBeAboutBytesInFlight) {
  w.establish({.mss = 9000});
  const std::uint32_t big = w.mss();
  w.write(stream(1, big));
  w.out(data(1, big).ack(1).psh());
  w.in(icmp_packet_too_big(1300).quoting_seq(big + 1));
  w.in(icmp_packet_too_big(1300).quoting_seq(0));
  w.require(w.info().snd_mss == big, "nothing has changed");
}

// About a connection that does not exist.
WIRE_TEST(Icmp, NobodysErrorIsCounted) {
  w.in(segment(1).ack(1));
  w.out(rst(1));
  w.in(icmp_host_unreachable());
  w.dropped(DropReason::IcmpNoSocket, 1);
}
