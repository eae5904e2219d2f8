// Path MTU discovery without ICMP (C8): RFC 4821, as Linux's tcp_mtu_probing does it.
#include "wire/language.hpp"

namespace ff::wiretest {
namespace {

constexpr std::uint32_t kBase = 1024;  // tcp_base_mss

// The payload of the first probe: halfway between the base and the interface's MTU.
std::uint32_t first_probe(const Wire& w) {
  const std::uint32_t headers = 1500u - w.mss_of(1500);
  return (kBase + headers + 1500) / 2 - headers;
}

// An established connection that has sent its initial window in segments of the base size, with `more` to send.
void fill_initial_window(Wire& w, std::uint32_t more) {
  SocketOptions options;
  options.sndbuf = 200000;
  w.listen({.options = options});
  w.establish({.mss = 9000});
  w.write(stream(1, 10 * kBase + more));
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(i * kBase + 1, kBase).ack(1));
}

// And then has sent a probe behind it, with `kFollowers` segments in all to follow.
constexpr std::uint32_t kFollowers = 4;
void send_probe(Wire& w) {
  const std::uint32_t probe = first_probe(w), start = 10 * kBase + 1;
  fill_initial_window(w, probe + kFollowers * kBase);
  w.in(segment(1).ack(2 * kBase + 1));  // a larger congestion window
  w.out(data(start, probe).ack(1));
  w.out(data(start + probe, kBase).ack(1));
  w.out(data(start + probe + kBase, kBase).ack(1));
  w.in(segment(1).ack(start));
  w.out(data(start + probe + 2 * kBase, kBase).ack(1));
  w.out(data(start + probe + 3 * kBase, kBase).ack(1).psh());
}

}  // namespace

WIRE_TEST(MtuProbing, ASegmentThatArrivesIsTheSizeOfTheNext) {
  w.set("tcp_mtu_probing", "2");
  send_probe(w);
  const std::uint32_t probe = first_probe(w), end = 14 * kBase + probe + 1;
  w.in(segment(1).ack(end));
  w.counter(Counter::TcpExt_TCPMTUPSuccess, 1);
  w.require(w.info().snd_mss == probe, "segments are as large as the probe");
  w.write(stream(end, 2 * probe));
  w.out(data(end, probe).ack(1));
  w.out(data(end + probe, probe).ack(1).psh());
}

// RFC 4821 §7.6.2: a probe that is lost was too large, and the path is not congested.
WIRE_TEST(MtuProbing, OneThatDoesNotIsNoCongestion) {
  w.set("tcp_mtu_probing", "2");
  send_probe(w);
  const std::uint32_t probe = first_probe(w), start = 10 * kBase + 1, end = 14 * kBase + probe + 1;
  const ConnectionInfo before = w.info();
  for (std::uint32_t i = 1; i <= 3; ++i) w.in(segment(1).ack(start).sack({{start + probe, start + probe + i * kBase}}));
  w.out(data(start, kBase).ack(1));
  w.out(data(start + kBase, probe - kBase).ack(1));
  w.require(w.info().snd_cwnd >= before.snd_cwnd && w.info().snd_ssthresh == before.snd_ssthresh,
            "the congestion window is not reduced");
  w.counter(Counter::TcpExt_TCPMTUPFail, 1);
  w.counter(Counter::TcpExt_TCPFastRetrans, 0);
  w.in(segment(1).ack(end));
  w.require(w.info().snd_mss == kBase && w.info().ca_state == CaState::Open, "and the segments too");
}

// A probe is worth waiting for the window, as long as acknowledgements are under way.
WIRE_TEST(MtuProbing, WaitsForRoomInTheWindow) {
  w.set("tcp_mtu_probing", "2");
  const std::uint32_t probe = first_probe(w);
  fill_initial_window(w, probe + kFollowers * kBase);
  const auto room = static_cast<std::uint16_t>(8 * kBase + probe + kFollowers * kBase);
  w.in(segment(1).ack(2 * kBase + 1).window(room - 1));
  w.silent();
  w.in(segment(1).ack(2 * kBase + 1).window(room));
  w.out(data(10 * kBase + 1, probe).ack(1));
  w.out(data(10 * kBase + 1 + probe, kBase).ack(1));
  w.out(data(11 * kBase + 1 + probe, kBase).ack(1));
}

WIRE_TEST(MtuProbing, EndsWhereWhatIsKnownIsExactEnough) {
  w.set("tcp_mtu_probing", "2");
  w.set("tcp_probe_threshold", "1000");
  fill_initial_window(w, 10 * kBase);
  w.in(segment(1).ack(2 * kBase + 1));
  for (std::uint32_t i = 10; i < 14; ++i) w.out(data(i * kBase + 1, kBase).ack(1));
}

// The path may have changed: after tcp_probe_interval a search that had ended begins from the start.
WIRE_TEST(MtuProbing, BeginsAnewAfterAWhile) {
  w.set("tcp_mtu_probing", "2");
  w.set("tcp_probe_threshold", "300");
  w.set("tcp_probe_interval", "60");
  send_probe(w);
  const std::uint32_t probe = first_probe(w), start = 10 * kBase + 1, end = 14 * kBase + probe + 1;
  for (std::uint32_t i = 1; i <= 3; ++i) w.in(segment(1).ack(start).sack({{start + probe, start + probe + i * kBase}}));
  w.out(data(start, kBase).ack(1));
  w.out(data(start + kBase, probe - kBase).ack(1));
  w.in(segment(1).ack(end));
  w.advance(60s);
  w.write(stream(end, 11 * kBase + probe + kFollowers * kBase));
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(end + i * kBase, kBase).ack(1));
  w.in(segment(1).ack(end + 2 * kBase));
  w.out(data(end + 10 * kBase, kBase).ack(1));
  w.out(data(end + 11 * kBase, probe).ack(1));
  w.out(data(end + 11 * kBase + probe, kBase).ack(1));
}

// A black hole: what is large vanishes, and nobody says so. RFC 4821 §7.7, tcp_retries1.
WIRE_TEST(MtuProbing, TimeoutsInARowRaiseSuspicion) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("tcp_mtu_probing", "1");
  w.establish({.mss = 9000});
  const std::uint32_t full = w.mss();
  w.write(stream(1, full));
  w.out(data(1, full).ack(1).psh());
  for (const auto wait : {210ms, 420ms, 840ms, 1680ms}) {
    w.advance(wait);
    w.out(data(1, full).ack(1).psh());
  }
  w.advance(3360ms);  // more than 3 s since the first of them
  w.out(data(1, kBase).ack(1));
  w.advance(6720ms);  // not even that
  w.out(data(1, kBase / 2).ack(1));
  w.in(segment(1).ack(kBase / 2 + 1));
  w.out(data(kBase / 2 + 1, kBase / 2).ack(1));
  w.out(data(kBase + 1, full - kBase).ack(1).psh());
  w.in(segment(1).ack(full + 1));
}

WIRE_TEST(MtuProbing, GoesDownToItsFloorOnly) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("tcp_mtu_probing", "1");
  w.set("tcp_retries1", "0");
  w.set("tcp_mtu_probe_floor", "600");
  w.establish({.mss = 9000});
  w.write(stream(1, 1200));
  w.out(data(1, 1200).ack(1).psh());
  w.advance(210ms);
  w.out(data(1, 1200).ack(1).psh());
  w.advance(420ms);
  w.out(data(1, kBase).ack(1));
  w.advance(840ms);
  w.out(data(1, 600).ack(1));
  w.advance(1680ms);
  w.out(data(1, 600).ack(1));
}

WIRE_TEST(MtuProbing, IsOffByDefault) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish({.mss = 9000});
  const std::uint32_t full = w.mss();
  w.write(stream(1, full));
  w.out(data(1, full).ack(1).psh());
  for (const auto wait : {210ms, 420ms, 840ms, 1680ms, 3360ms, 6720ms}) {
    w.advance(wait);
    w.out(data(1, full).ack(1).psh());
  }
}

// RFC 8201 §5.2 still holds: a router's word ends the search above it.
WIRE_TEST(MtuProbing, TakesARoutersWord) {
  w.set("tcp_mtu_probing", "2");
  send_probe(w);
  const std::uint32_t probe = first_probe(w), start = 10 * kBase + 1;
  w.in(icmp_packet_too_big(1200).quoting(4));  // it is about the probe
  w.out(data(start, kBase).ack(1));
  for (std::uint32_t at = start + kBase; at < start + probe + 4 * kBase; at += kBase) {
    const std::uint32_t size = std::min(kBase, start + probe + 4 * kBase - at);
    Segment expected = data(at, size).ack(1);
    w.out(size < kBase ? std::move(expected).psh() : std::move(expected));
  }
  w.counter(Counter::TcpExt_TCPMTUPFail, 0);
}

// A peer that asks for tiny segments would have us send headers (tcp_min_snd_mss).
WIRE_TEST(MinimumSegmentSize, IsKept) {
  w.set("tcp_min_snd_mss", "200");
  w.establish({.mss = 50});
  w.write(stream(1, 300));
  w.out(data(1, 200).ack(1));
  w.out(data(201, 100).ack(1).psh());
}

}  // namespace ff::wiretest
