// Receiving data: when to acknowledge (C4), what the application gets (C6). RFC 9293 §3.8.6.3,
// RFC 5681 §4.2, RFC 6093.
#include "wire/language.hpp"

namespace {
// The quick acknowledgements with which each connection begins (Linux's TCP_MAX_QUICKACKS), spent. `first`: the next
// byte.
std::uint32_t spend_quick_acks(Wire& w, std::uint32_t size = 1000) {
  std::uint32_t next = 1;
  for (int i = 0; i < 16; ++i, next += size) {
    w.in(data(next, size).ack(1));
    w.out(segment(1).ack(next + size));
  }
  return next;
}
}  // namespace

WIRE_TEST(Receiving, DataReachesTheReader) {
  w.establish();
  w.in(data(1, 1000).ack(1).psh());
  w.out(segment(1).ack(1001));
  w.event(event_bits::kReadable);
  w.require(w.info().unread == 1000, "a thousand bytes wait");
  w.read(stream(1, 1000));
  w.nothing_to_read();
  w.require(w.info().bytes_received == 1000, "they are counted");
}

// C4: at its start a connection acknowledges each segment at once, for the peer may be in slow start.
WIRE_TEST(Receiving, FirstSegmentsAreAcknowledgedAtOnce) {
  w.establish();
  const std::uint32_t next = spend_quick_acks(w);
  // Then one segment alone waits for 40 ms (Linux's TCP_ATO_MIN).
  w.in(data(next, 1000).ack(1));
  w.advance(40ms);
  w.out(segment(1).ack(next + 1000));
  w.counter(Counter::TcpExt_DelayedACKs, 1);
}

// RFC 9293 §3.8.6.3 (SHLD-19): every second full-sized segment is acknowledged at once.
WIRE_TEST(Receiving, EverySecondFullSegmentIsAcknowledgedAtOnce) {
  w.establish();
  std::uint32_t next = spend_quick_acks(w);
  for (int i = 0; i < 3; ++i, next += 2000) {
    w.in(data(next, 1000).ack(1));
    w.silent();
    w.advance(5ms);
    w.in(data(next + 1000, 1000).ack(1));
    w.out(segment(1).ack(next + 2000));
  }
}

// Small segments do not count as full ones: the acknowledgement waits for a full segment's worth, or its time.
WIRE_TEST(Receiving, SmallSegmentsAreAcknowledgedTogether) {
  w.establish();
  const std::uint32_t next = spend_quick_acks(w);
  w.in(data(next, 100).ack(1).psh());
  w.advance(10ms);
  w.in(data(next + 100, 100).ack(1).psh());
  w.advance(10ms);
  w.in(data(next + 200, 100).ack(1).psh());
  w.advance(20ms);
  w.out(segment(1).ack(next + 300));
}

// Packets of one batch are acknowledged together.
WIRE_TEST(Receiving, OneBatchIsOneAcknowledgement) {
  w.establish();
  std::vector<Segment> batch;
  for (std::uint32_t i = 0; i < 6; ++i) batch.push_back(data(1 + 1000 * i, 1000).ack(1));
  w.in_batch(std::move(batch));
  w.out(segment(1).ack(6001));
  w.read(stream(1, 6000));
}

// What goes the other way carries the acknowledgement.
WIRE_TEST(Receiving, AnswersCarryTheAcknowledgement) {
  w.establish();
  w.in(data(1, 100).ack(1).psh());
  w.out(segment(1).ack(101));
  w.read(stream(1, 100));
  w.write(stream(1, 50));
  w.out(data(1, 50).ack(101).psh());
  // Now the connection counts as a conversation: the next acknowledgement waits for the answer.
  w.advance(10ms);
  w.in(data(101, 100).ack(51).psh());
  w.advance(20ms);
  w.read(stream(101, 100));
  w.write(stream(51, 50));
  w.out(data(51, 50).ack(201).psh());
  // And if none is given, only so long.
  w.advance(10ms);
  w.in(data(201, 100).ack(101).psh());
  w.advance(40ms);
  w.out(segment(101).ack(301));
}

// C4: the delay follows the rhythm of the data (Linux's ato), and is never above 200 ms; RFC 9293 MUST-40 allows 500.
WIRE_TEST(Receiving, DelayFollowsTheRhythm) {
  w.establish({.rtt = 500ms});
  const std::uint32_t next = spend_quick_acks(w);
  w.in(data(next, 10).ack(1).psh());
  w.advance(30ms);
  w.in(data(next + 10, 10).ack(1).psh());  // 40 ms / 2 + 30 ms = 50 ms from now on
  w.advance(10ms);
  w.out(segment(1).ack(next + 20));
  w.advance(20ms);
  w.in(data(next + 20, 10).ack(1).psh());  // 50 ms / 2 + 30 ms = 55 ms
  w.advance(55ms);
  w.out(segment(1).ack(next + 30));
}

// RFC 5681 §4.2: a segment that fills a gap, in whole or in part, is acknowledged at once; so is one beyond a gap.
WIRE_TEST(Receiving, GapsAreAcknowledgedAtOnce) {
  w.establish({.sack = false});
  const std::uint32_t next = spend_quick_acks(w);
  w.in(data(next + 1000, 1000).ack(1));
  w.out(segment(1).ack(next));
  w.in(data(next + 2000, 1000).ack(1));
  w.out(segment(1).ack(next));
  w.in(data(next, 1000).ack(1));
  w.out(segment(1).ack(next + 3000));
  w.read(stream(1, next + 2999));
}

// RFC 9293 §3.10.7.4 "first": an old duplicate is acknowledged at once.
WIRE_TEST(Receiving, OldDuplicatesAreAcknowledgedAtOnce) {
  w.establish({.sack = false});
  const std::uint32_t next = spend_quick_acks(w);
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(next));
  w.dropped(DropReason::TcpOldDuplicate, 1);
  w.read(stream(1, next - 1));
}

// C6: partly old, partly new.
WIRE_TEST(Receiving, NewPartOfAnOverlapIsTaken) {
  w.establish({.sack = false});
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001));
  w.in(data(501, 1000).ack(1));
  w.out(segment(1).ack(1501));
  w.read(stream(1, 1500));
  w.nothing_to_read();
}

// RFC 9293 §3.10.7.4: a keepalive probe carries the last byte again, or nothing, at RCV.NXT - 1; both are answered.
WIRE_TEST(Receiving, KeepaliveProbesAreAnswered) {
  w.establish({.sack = false});
  w.in(data(1, 10).ack(1));
  w.out(segment(1).ack(11));
  w.advance(1s);
  w.in(segment(10).ack(1));
  w.out(segment(1).ack(11));
  w.advance(1s);
  w.in(data(10, 1).ack(1));
  w.out(segment(1).ack(11));
}

// A pure ACK is not acknowledged.
WIRE_TEST(Receiving, PureAcksAreNotAnswered) {
  w.establish();
  w.in(segment(1).ack(1));
  w.in(segment(1).ack(1).window(1000));
  w.advance(1s);
}

// RFC 9293 §3.10.7.4 "fifth": no ACK flag, no further processing.
WIRE_TEST(Receiving, DataWithoutAckFlagIsDropped) {
  w.establish();
  w.in(data(1, 100));
  w.dropped(DropReason::TcpNoAckFlag, 1);
  w.nothing_to_read();
}

// RFC 9293 §3.1: a segment whose checksum is wrong never was.
WIRE_TEST(Receiving, WrongChecksumIsDropped) {
  w.establish();
  w.in(data(1, 100).ack(1).bad_checksum());
  w.in(rst(1).bad_checksum());
  w.dropped(DropReason::TcpChecksum, 2);
  w.counter(Counter::Tcp_InCsumErrors, 2);
  w.state(TcpState::Established);
}

// C7: as far as the window was offered the data is taken, beyond it not a byte (RFC 9293 §3.10.7.4: trim to the
// window).
WIRE_TEST(Receiving, DataBeyondTheWindowIsCutOff) {
  w.set("net.ipv4.tcp_rmem", "4096 8000 8000");
  w.establish({.sack = false});
  const std::uint32_t window = w.first_window();
  w.in(data(1, window + 500).ack(1).psh());
  w.out(segment(1).ack(window + 1));
  w.read(stream(1, window));
  w.nothing_to_read();
}

// A segment that begins beyond the window is not acceptable: acknowledged, and dropped.
WIRE_TEST(Receiving, SegmentsBeyondTheWindowAreAcknowledgedAndDropped) {
  w.establish({.sack = false});
  w.in(data(70'000, 100).ack(1));
  w.out(segment(1).ack(1));
  w.dropped(DropReason::TcpUnacceptable, 1);
}

// E1: after shutdown of the reading side what comes is acknowledged and dropped.
WIRE_TEST(Receiving, ShutReaderAcknowledgesAndDrops) {
  w.establish();
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001));
  w.shutdown_read();
  w.read_end();
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(2001));
  w.read_end();
  w.write("still writing");
  w.out(data(1, "still writing").ack(2001).psh());
}
