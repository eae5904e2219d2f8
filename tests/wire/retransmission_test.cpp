// Retransmission timeouts (D1, F2): RFC 6298, RFC 5681 §3.1.
#include "wire/language.hpp"

// RFC 6298 §5.5: doubled each time; the handshake took 10 ms, and 200 ms is the floor under the variance (as Linux).
WIRE_TEST(Retransmission, TimeoutBacksOff) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.require(w.info().rto == 210ms, "10 ms and the floor");
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  for (const auto wait : {210ms, 420ms, 840ms, 1680ms}) {
    w.advance(wait);
    w.out(data(1, 100).ack(1).psh());
  }
  w.advance(10ms);
  w.in(segment(1).ack(101));
  w.advance(1h);
  const ConnectionInfo info = w.info();
  w.require(info.total_retrans == 4 && info.bytes_retrans == 400 && info.retransmits == 0, "four are counted");
  w.counter(Counter::TcpExt_TCPTimeouts, 4);
  w.counter(Counter::Tcp_RetransSegs, 4);
}

// F2: tcp_retries2 = 15 stands for 924.6 s: the first timeout that comes so long after the first retransmission ends
// it. No timeout is longer than 120 s.
WIRE_TEST(Retransmission, PeerThatVanishedIsGivenUp) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  Duration wait = 210ms;
  for (int i = 0; i < 15; ++i) {
    w.advance(wait);
    w.out(data(1, 100).ack(1).psh());
    wait = std::min<Duration>(2 * wait, 120s);
  }
  w.advance(wait);
  w.ended_with(Error::TimedOut);
  w.read_fails(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPAbortOnTimeout, 1);
}

WIRE_TEST(Retransmission, RetriesAreASetting) {
  w.set("tcp_early_retrans", "0");      // no probe comes first
  w.set("net.ipv4.tcp_retries2", "3");  // 200 ms * (2^4 - 1) = 3 s, from the first retransmission on
  w.establish();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  for (const auto wait : {210ms, 420ms, 840ms, 1680ms}) {
    w.advance(wait);
    w.out(data(1, 100).ack(1).psh());
  }
  w.advance(3360ms);
  w.ended_with(Error::TimedOut);
}

// RFC 6298 §5.3: an acknowledgement of new data restarts the timer, with the round trip that it measures:
// SRTT = 7/8 * 10 + 1/8 * 100 = 21.25 ms, RTTVAR = 3/4 * 5 + 1/4 * 90 = 26.25 ms.
WIRE_TEST(Retransmission, AckRestartsTheTimer) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write(stream(1, 2000));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 1000).ack(1).psh());
  w.advance(100ms);
  w.in(segment(1).ack(1001));
  const ConnectionInfo info = w.info();
  w.require(info.rtt == 21250us && info.rttvar == 26250us && info.rto == 221250us, "RFC 6298 §2.3");
  w.advance(221250us);
  w.out(data(1001, 1000).ack(1).psh());
}

// RFC 6298 §2.2: the first measurement R gives R + max(200 ms, 4 * R / 2).
WIRE_TEST(Retransmission, FirstMeasurementSetsTheTimeout) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish({.rtt = 300ms});
  w.require(w.info().rto == 900ms, "300 ms + 4 * 150 ms");
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.advance(900ms);
  w.out(data(1, 100).ack(1).psh());
}

// Karn's rule (RFC 6298 §3): what was sent twice measures nothing, and the backed-off timeout stays until something is
// measured.
WIRE_TEST(Retransmission, KarnKeepsTheBackOff) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.advance(210ms);
  w.out(data(1, 100).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(101));
  w.require(w.info().rtt == 10ms, "nothing was measured");
  w.write(stream(101, 100));
  w.out(data(101, 100).ack(1).psh());
  w.advance(420ms);
  w.out(data(101, 100).ack(1).psh());
  w.in(segment(1).ack(201));
  w.write(stream(201, 100));
  w.out(data(201, 100).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(301));  // measured
  w.write(stream(301, 100));
  w.out(data(301, 100).ack(1).psh());
  w.advance(210ms);
  w.out(data(301, 100).ack(1).psh());
}

// RFC 7323 §4.1: timestamps tell which of the copies is acknowledged.
WIRE_TEST(Retransmission, TimestampsMeasureRetransmissions) {
  w.establish({.ts = 1000});
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh().ts(10, 1010));
  w.advance(210ms);
  w.out(data(1, 100).ack(1).psh().ts(220, 1010));
  w.advance(50ms);
  w.in(segment(1).ack(101).ts(1270, 220));
  // 7/8 * 10 + 1/8 * 50; 3/4 * 5 + 1/4 * 40
  w.require(w.info().rtt == 15ms && w.info().rttvar == 13750us, "50 ms were measured");
  w.require(w.info().rto == 215ms, "and the back-off is over");
}

// RFC 5681 §3.1: after a timeout one segment, then slow start over what was lost; ssthresh is half of the flight.
WIRE_TEST(Retransmission, SlowStartAfterATimeout) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write(stream(1, 8000));
  for (std::uint32_t i = 0; i < 8; ++i) {
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 7 ? std::move(next).psh() : std::move(next));
  }
  w.advance(210ms);
  w.out(data(1, 1000).ack(1));
  w.require(w.info().snd_cwnd == 1000 && w.info().snd_ssthresh == 4000, "loss window and ssthresh");
  w.advance(10ms);
  w.in(segment(1).ack(1001));
  w.out(data(1001, 1000).ack(1));
  w.out(data(2001, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(3001));
  for (std::uint32_t i = 3; i < 7; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(8001));
  w.require(w.info().unacked == 0, "all is acknowledged");
}

// Only the first of them was lost: its acknowledgement covers the others, which are not sent again.
WIRE_TEST(Retransmission, WhatHadArrivedIsNotSentAgain) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write(stream(1, 5000));
  for (std::uint32_t i = 0; i < 5; ++i) {
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 4 ? std::move(next).psh() : std::move(next));
  }
  w.advance(210ms);
  w.out(data(1, 1000).ack(1));
  w.in(segment(1).ack(5001));
  w.advance(10s);
}

// RFC 9293 §3.10.8, RFC 1122 §4.2.2.15: small segments are gathered when they go again.
WIRE_TEST(Retransmission, SmallSegmentsAreGathered) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish({.no_delay = true});
  for (std::uint32_t i = 0; i < 5; ++i) {
    w.write(stream(1 + 10 * i, 10));
    w.out(data(1 + 10 * i, 10).ack(1).psh());
  }
  w.advance(210ms);
  w.out(data(1, 50).ack(1).psh());
  w.in(segment(1).ack(51));
  w.advance(10s);
}

// An acknowledgement in the middle of a segment (RFC 9293 §3.10.7.4: segments partly acknowledged are cut).
WIRE_TEST(Retransmission, PartlyAcknowledgedSegmentIsCut) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(301));
  w.advance(210ms);
  w.out(data(301, 700).ack(1).psh());
}

// RFC 5681 §3.1, as Linux: one lost SYN leaves the initial window at ten segments, for a timeout of one second may have
// been too early; the second makes it one.
WIRE_TEST(Retransmission, InitialWindowAfterLostSyns) {
  for (const int losses : {1, 2}) {
    w.use(losses);
    w.connect();
    w.out(w.our_syn());
    std::uint32_t ms = 0;
    for (int i = 0; i < losses; ++i) {
      w.advance(std::chrono::seconds(1 << i));
      ms += 1000u << i;
      w.out(syn(0).mss(w.mss()).sack_ok().ts(ms, 0).wscale(7));
    }
    w.in(syn_ack(0).ack(1).mss(1000));
    w.out(segment(1).ack(1));
    w.require(w.info().snd_cwnd == (losses == 1 ? 10'000u : 1000u), "the initial window");
  }
}

WIRE_TEST(Retransmission, InitialWindowAfterLostSynAcks) {
  w.listen();
  for (const int losses : {1, 2}) {
    w.use(losses);
    w.in(syn(0).mss(1000));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    for (int i = 0; i < losses; ++i) {
      w.advance(std::chrono::seconds(1 << i));
      w.out(syn_ack(0).ack(1).mss(w.mss()));
    }
    w.in(segment(1).ack(1));
    w.accept();
    w.require(w.info().snd_cwnd == (losses == 1 ? 10'000u : 1000u), "the initial window");
  }
}

// RFC 793 §3.7, by a setting of our own: twice the smoothed round-trip time. What Jacobson changed is that a path whose
// times vary gets more patience, and one whose times do not gets less.
WIRE_TEST(Retransmission, ClassicTimeoutIsTwiceTheRoundTripTime) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("tcp_rfc793_rto", "1");
  w.establish({.rtt = 400ms});
  w.require(w.info().rto == 800ms, "and not 400 ms and four times a variance of 200 ms");
  w.write("x");
  w.out(segment(1).ack(1).psh().data("x"));
  w.advance(800ms);
  w.out(segment(1).ack(1).psh().data("x"));
  w.advance(1600ms);
  w.out(segment(1).ack(1).psh().data("x"));
}

WIRE_TEST(Retransmission, ClassicTimeoutHasAFloor) {
  w.set("tcp_rfc793_rto", "1");
  w.establish({.rtt = 10ms});
  w.require(w.info().rto == 200ms, "the smallest timeout");
}
