// Loss seen by duplicate acknowledgements (D2): RFC 5681 §3.2, RFC 6582, RFC 3042. Without SACK, but where it says so.
#include "wire/language.hpp"

namespace {
// Ten segments of a thousand bytes, all there is, in flight.
void ten_in_flight(Wire& w, bool sack = false) {
  w.establish({.sack = sack});
  w.write(stream(1, 10'000));
  for (std::uint32_t i = 0; i < 10; ++i) {
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 9 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
}
}  // namespace

WIRE_TEST(FastRetransmit, ThirdDuplicateRetransmits) {
  ten_in_flight(w);
  w.in(segment(1).ack(1));
  w.in(segment(1).ack(1));
  w.silent();
  w.in(segment(1).ack(1));
  w.out(data(1, 1000).ack(1));
  for (int i = 0; i < 6; ++i) w.in(segment(1).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  const ConnectionInfo info = w.info();
  w.require(info.snd_cwnd == 5000 && info.snd_ssthresh == 5000, "RFC 6582 §3.2 step 3: the window is ssthresh again");
  w.require(info.total_retrans == 1, "one retransmission");
  w.counter(Counter::TcpExt_TCPFastRetrans, 1);
  w.counter(Counter::TcpExt_TCPTimeouts, 0);
  w.advance(1min);
}

// RFC 6582 §3.2 step 3: a partial acknowledgement names the next segment that is missing; it goes at once.
WIRE_TEST(FastRetransmit, PartialAckRetransmitsTheNext) {
  ten_in_flight(w);
  // Segments 1, 4 and 8 were lost; seven others give duplicates.
  w.in(segment(1).ack(1));
  w.in(segment(1).ack(1));
  w.in(segment(1).ack(1));
  w.out(data(1, 1000).ack(1));
  for (int i = 0; i < 4; ++i) w.in(segment(1).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(3001));
  w.out(data(3001, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(7001));
  w.out(data(7001, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.require(w.info().snd_cwnd == 5000, "one reduction for all three");
  w.advance(1min);
}

// RFC 3042: each of the first two duplicates lets a new segment out; RFC 5681 §3.2 does not count them for ssthresh.
// Then every second duplicate lets another out, so that the window has halved after a round trip (RFC 6937).
WIRE_TEST(FastRetransmit, LimitedTransmitAndProportionalReduction) {
  w.establish({.sack = false});
  w.write(stream(1, 14'000));
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(1));
  w.out(data(10'001, 1000).ack(1));
  w.in(segment(1).ack(1));
  w.out(data(11'001, 1000).ack(1));
  w.in(segment(1).ack(1));
  w.out(data(1, 1000).ack(1));
  w.require(w.info().snd_ssthresh == 5000, "half of ten segments");
  w.in(segment(1).ack(1));
  w.silent();
  w.in(segment(1).ack(1));
  w.out(data(12'001, 1000).ack(1));
  w.in(segment(1).ack(1));
  w.silent();
  w.in(segment(1).ack(1));
  w.out(data(13'001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(14'001));
}

// Fewer than three are reordering.
WIRE_TEST(FastRetransmit, TwoDuplicatesAreReordering) {
  ten_in_flight(w);
  w.in(segment(1).ack(1));
  w.in(segment(1).ack(1));
  w.in(segment(1).ack(4001));
  w.in(segment(1).ack(4001));
  w.in(segment(1).ack(4001));
  w.in(segment(1).ack(10'001));
  w.require(w.info().total_retrans == 0, "nothing went twice");
}

// RFC 5681 §2: what carries data, or moves the window, is no duplicate.
WIRE_TEST(FastRetransmit, DataAndWindowUpdatesAreNoDuplicates) {
  ten_in_flight(w);
  for (std::uint32_t i = 0; i < 4; ++i) {
    w.in(data(1 + 10 * i, 10).ack(1));
    w.out(segment(10'001).ack(11 + 10 * i));
  }
  for (std::uint16_t i = 0; i < 4; ++i) w.in(segment(41).ack(1).window(static_cast<std::uint16_t>(60'000 + i)));
  w.in(segment(41).ack(10'001));
  w.require(w.info().total_retrans == 0, "nothing went twice");
}

// With nothing in flight there is nothing that could be missing.
WIRE_TEST(FastRetransmit, AcksWithNothingInFlightAreNoDuplicates) {
  w.establish();
  for (int i = 0; i < 10; ++i) w.in(segment(1).ack(1));
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
}

// With SACK agreed on the duplicates carry blocks; one that reports a duplicate (RFC 2883) says nothing of a loss.
WIRE_TEST(FastRetransmit, DuplicatesWithSackBlocks) {
  ten_in_flight(w, true);
  w.in(segment(1).ack(1).sack({{1001, 2001}}));
  w.in(segment(1).ack(1).sack({{1001, 3001}}));
  w.in(segment(1).ack(1).sack({{1001, 4001}}));
  w.out(data(1, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.require(w.info().total_retrans == 1, "one retransmission");
}

WIRE_TEST(FastRetransmit, DsackIsNoDuplicate) {
  w.establish();
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1001));
  w.write(stream(1001, 5000));
  for (std::uint32_t i = 1; i < 6; ++i) {
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 5 ? std::move(next).psh() : std::move(next));
  }
  for (int i = 0; i < 4; ++i) w.in(segment(1).ack(1001).sack({{1, 1001}}));
  w.in(segment(1).ack(6001));
  w.require(w.info().total_retrans == 0, "nothing went twice");
}

// RFC 6582 §3.2 step 4: the retransmission is lost as well; the timeout takes over, and starts from the first hole.
WIRE_TEST(FastRetransmit, LostRetransmissionTimesOut) {
  ten_in_flight(w);
  for (int i = 0; i < 3; ++i) w.in(segment(1).ack(1));
  w.out(data(1, 1000).ack(1));
  for (int i = 0; i < 6; ++i) w.in(segment(1).ack(1));
  w.advance(200ms);
  w.out(data(1, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.advance(1min);
}

// RFC 6582 §4: duplicates of segments that a timeout sent needlessly do not start another recovery.
WIRE_TEST(FastRetransmit, DuplicatesAfterATimeoutDoNotRetransmit) {
  ten_in_flight(w);
  w.advance(200ms);
  w.out(data(1, 1000).ack(1));
  w.in(segment(1).ack(1001));
  w.out(data(1001, 1000).ack(1));
  w.out(data(2001, 1000).ack(1));
  for (int i = 0; i < 5; ++i) w.in(segment(1).ack(1001));
  w.in(segment(1).ack(10'001));
  w.counter(Counter::TcpExt_TCPFastRetrans, 0);
  w.advance(1min);
}
