// Timestamps against old segments (C5): RFC 7323 §4.3, §5.
#include "wire/language.hpp"

// RFC 7323 §5.3 R1: an older timestamp: acknowledged, and dropped.
WIRE_TEST(Paws, OlderTimestampIsRefused) {
  w.establish({.ts = 1000});
  w.in(data(1, 100).ack(1).ts(909, 0));
  w.out(segment(1).ack(1).ts(10, 1010));
  w.nothing_to_read();
  w.counter(Counter::TcpExt_PAWSEstab, 1);
  w.dropped(DropReason::TcpPaws, 1);
  w.in(data(1, 100).ack(1).ts(1010, 0));  // as old as the last is new enough
  w.out(segment(1).ack(101).ts(10, 1010));
  w.read(stream(1, 100));
}

// The comparison is modulo 2^32 (RFC 7323 §5.2).
WIRE_TEST(Paws, TimestampsWrap) {
  w.establish({.ts = 0xffff'fff0});
  w.in(data(1, 100).ack(1).ts(5, 0));
  w.out(segment(1).ack(101).ts(10, 5));
  w.advance(1s);
  w.in(data(101, 100).ack(1).ts(0xffff'ff90, 0));
  w.out(segment(1).ack(101).ts(1010, 5));
  w.dropped(DropReason::TcpPaws, 1);
  w.read(stream(1, 100));
}

// RFC 7323 §5.2: "RST segments [are] accepted regardless of their timestamp".
WIRE_TEST(Paws, ResetCountsWhateverItsTimestamp) {
  w.establish({.ts = 1000});
  w.in(rst(1).ts(1, 0));
  w.ended_with(Error::ConnectionReset);
}

// RFC 7323 §5.5: after 24 days of silence the peer's clock may have turned.
WIRE_TEST(Paws, TwentyFourDaysOfSilenceExempt) {
  w.establish({.ts = 1000});
  w.advance(24h * 24 - 1s);
  w.in(data(1, 100).ack(1).ts(500, 0));
  w.out(segment(1).ack(1).ts(24u * 24 * 3600 * 1000 - 1000 + 10, 1010));
  w.advance(1s);
  w.in(data(1, 100).ack(1).ts(500, 0));
  w.out(segment(1).ack(101).ts(24u * 24 * 3600 * 1000 + 10, 500));
  w.read(stream(1, 100));
}

// RFC 7323 §4.3 (2): what lies beyond a gap does not become TS.Recent; what fills it does, though it was sent before.
WIRE_TEST(Paws, EchoIsThatOfTheLastInOrder) {
  w.establish({.ts = 1000});
  w.in(data(1001, 1000).ack(1).ts(1100, 0));
  w.out(segment(1).ack(1).ts(10, 1010).any_window().sack({{1001, 2001}}));
  w.in(data(1, 1000).ack(1).ts(1090, 0));
  w.out(segment(1).ack(2001).ts(10, 1090).any_window());
}

// RFC 7323 §4.3 (A): a delayed acknowledgement echoes the first of the segments that it answers.
WIRE_TEST(Paws, EchoIsThatOfTheFirstUnacknowledged) {
  w.establish({.ts = 1000});
  std::vector<Segment> batch;
  batch.push_back(data(1, 988).ack(1).ts(1100, 0));
  batch.push_back(data(989, 988).ack(1).ts(1105, 0));
  w.in_batch(std::move(batch));
  w.out(segment(1).ack(1977).ts(10, 1100));
}

// As Linux: a segment without the option is taken, although RFC 7323 §3.2 would drop it.
WIRE_TEST(Paws, MissingTimestampIsTolerated) {
  w.establish({.ts = 1000});
  w.in(data(1, 100).ack(1));
  w.out(segment(1).ack(101).ts(10, 1010));
  w.read(stream(1, 100));
}

// What is late by a moment was overtaken on the way, by a retransmission into the gap before it say. Refused, it would
// be lost in earnest.
WIRE_TEST(Paws, OvertakenDataIsTaken) {
  w.establish({.ts = 1000});
  w.in(data(2001, 1000).ack(1).ts(1120, 0));
  w.out(segment(1).ack(1).ts(10, 1010).any_window().sack({{2001, 3001}}));
  w.in(data(1, 1000).ack(1).ts(1200, 0));
  w.out(segment(1).ack(1001).ts(10, 1200).any_window().sack({{2001, 3001}}));
  w.in(data(1001, 1000).ack(1).ts(1100, 0));
  w.out(segment(1).ack(3001).ts(10, 1200).any_window());
  w.dropped(DropReason::TcpPaws, 0);
  w.read(stream(1, 3000));
}

// A pure ACK that another overtook is harmless; it neither counts as old nor is it answered (Linux's
// tcp_disordered_ack).
WIRE_TEST(Paws, OvertakenPureAckIsHarmless) {
  w.establish({.ts = 1000});
  w.in(segment(1).ack(1).ts(1100, 0));
  w.in(segment(1).ack(1).ts(1099, 0));
  w.dropped(DropReason::TcpPaws, 0);
}

// Without timestamps agreed on the option means nothing.
WIRE_TEST(Paws, UnaskedTimestampsAreIgnored) {
  w.establish();
  w.in(data(1, 10).ack(1).ts(1000, 0));
  w.out(segment(1).ack(11));
  w.in(data(11, 10).ack(1).ts(1, 0));
  w.out(segment(1).ack(21));
}

// RFC 7323 §3.2: a SYN-ACK that echoes what we never sent is from an old connection.
WIRE_TEST(Paws, SynAckEchoIsChecked) {
  w.connect();
  w.out(w.our_syn());
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1460).ts(700, 50'000));
  w.out(rst(1));
  w.counter(Counter::TcpExt_PAWSActive, 1);
  w.state(TcpState::SynSent);
  w.in(syn_ack(0).ack(1).mss(1460).ts(700, 0));
  w.out(segment(1).ack(1).ts(10, 700));
}
