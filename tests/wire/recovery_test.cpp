// Repair of losses where the peer has SACK (D3, D4): RFC 6675's scoreboard, RACK-TLP (RFC 8985), Proportional Rate
// Reduction (RFC 6937), F-RTO (RFC 5682), undoing what was no loss (RFC 3522, RFC 3708).
#include "wire/language.hpp"

namespace {

constexpr std::uint32_t kMss = 1000;

// So many segments of a thousand bytes, all there is, in flight for 10 ms: the round trip.
void in_flight(Wire& w, std::uint32_t segments, const Peer& peer = {}) {
  w.establish(peer);
  w.write(stream(1, segments * kMss));
  for (std::uint32_t i = 0; i < segments; ++i) {
    auto next = data(1 + kMss * i, kMss).ack(1);
    w.out(i == segments - 1 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
}

// The n-th segment, from 1, and what acknowledges all before it.
std::uint32_t start_of(std::uint32_t n) { return 1 + kMss * (n - 1); }
Segment segment_again(std::uint32_t n) { return data(start_of(n), kMss).ack(1); }
Segment acks_before(std::uint32_t n) { return segment(1).ack(start_of(n)); }
SackRange segments(std::uint32_t first, std::uint32_t last) { return {start_of(first), start_of(last + 1)}; }

}  // namespace

// ---- SACK and RACK ------------------------------------------------------------------------------------------------

// Segments 1, 4 and 8 are lost. Each goes again once, within the round trip; the window falls to half meanwhile.
WIRE_TEST(SackRecovery, EachHoleIsRepairedOnce) {
  in_flight(w, 10);
  w.in(acks_before(1).sack({segments(2, 2)}));
  w.in(acks_before(1).sack({segments(2, 3)}));
  w.silent();
  w.in(acks_before(1).sack({segments(5, 5), segments(2, 3)}));
  w.out(segment_again(1));
  w.require(w.info().ca_state == CaState::Recovery && w.info().snd_ssthresh == 5000, "a loss, and half the window");
  w.in(acks_before(1).sack({segments(5, 6), segments(2, 3)}));
  w.silent();  // five segments are in the network
  w.in(acks_before(1).sack({segments(5, 7), segments(2, 3)}));
  w.out(segment_again(4));
  w.in(acks_before(1).sack({segments(9, 9), segments(5, 7), segments(2, 3)}));
  w.out(segment_again(8));
  w.in(acks_before(1).sack({segments(9, 10), segments(5, 7), segments(2, 3)}));
  w.require(w.info().sacked == 7000 && w.info().lost == 0, "what is known of the ten");
  w.advance(10ms);
  w.in(acks_before(4).sack({segments(9, 10), segments(5, 7)}));
  w.in(acks_before(8).sack({segments(9, 10)}));
  w.in(acks_before(11));
  w.require(w.info().ca_state == CaState::Open && w.info().snd_cwnd == 5000, "all is repaired");
  w.require(w.info().total_retrans == 3, "three segments");
  w.counter(Counter::TcpExt_TCPSackRecovery, 1);
  w.counter(Counter::TcpExt_TCPFastRetrans, 3);
  w.counter(Counter::TcpExt_TCPTimeouts, 0);
  w.advance(1min);
}

// RFC 3042: what was SACKed has left the network and lets new data out, before any loss is known.
WIRE_TEST(SackRecovery, LimitedTransmit) {
  w.establish();
  w.write(stream(1, 14'000));
  for (std::uint32_t i = 1; i <= 10; ++i) w.out(segment_again(i));
  w.advance(10ms);
  w.in(acks_before(1).sack({segments(2, 2)}));
  w.out(segment_again(11));
  w.require(w.info().ca_state == CaState::Disorder, "nothing is known to be lost");
  w.in(acks_before(1).sack({segments(2, 3)}));
  w.out(segment_again(12));
  w.in(acks_before(1).sack({segments(2, 4)}));
  w.out(segment_again(1));
  w.advance(10ms);
  w.in(acks_before(13));
  w.out(segment_again(13));
  w.out(segment_again(14).psh());
}

// RFC 8985 §6.2: fewer than three segments above the hole, but nothing has come for a quarter of a round trip.
WIRE_TEST(SackRecovery, AHoleThatStaysOpenIsALoss) {
  in_flight(w, 3);
  w.in(acks_before(2).sack({segments(3, 3)}));
  w.silent();
  w.advance(2500us);
  w.out(segment_again(2));
  w.advance(10ms);
  w.in(acks_before(4));
  w.require(w.info().ca_state == CaState::Open, "repaired");
  w.counter(Counter::TcpExt_TCPSackRecovery, 1);
}

// Once the path was seen to reorder, even many segments above a hole do not make it a loss at once.
WIRE_TEST(SackRecovery, ReorderingIsWaitedFor) {
  in_flight(w, 10);
  w.in(acks_before(1).sack({segments(2, 2)}));
  w.in(acks_before(3));
  w.counter(Counter::TcpExt_TCPSACKReorder, 1);
  w.require(w.info().reord_seen == 1, "the first came after the second");
  w.in(acks_before(3).sack({segments(4, 8)}));
  w.silent();
  w.advance(2ms);
  w.in(acks_before(9));
  w.in(acks_before(11));
  w.require(w.info().total_retrans == 0, "it came, after all");
}

// As Linux: the fifth segment, which waited behind the first, says how long the path may take, and not the first, which
// went again later. So the sixth is given as long.
WIRE_TEST(SackRecovery, WhatWaitedBehindAHoleTellsTheRoundTrip) {
  in_flight(w, 5);
  w.write(stream(5001, kMss));
  w.out(segment_again(6).psh());
  w.advance(5ms);
  w.in(acks_before(1).sack({segments(2, 4)}));
  w.out(segment_again(1));
  w.advance(20ms);
  w.in(acks_before(6));
  w.advance(10ms - 1us);
  w.silent();
  w.advance(1us);
  w.out(segment_again(6).psh());
}

// RFC 8985 §6.2 step 4: what was repeated for nothing makes the path count as one that reorders more. The receiver
// tells by RFC 2883.
WIRE_TEST(SackRecovery, ADuplicateReportWidensTheReorderingWindow) {
  in_flight(w, 10);
  w.in(acks_before(1).sack({segments(2, 2)}));
  w.in(acks_before(3));
  w.in(acks_before(3).sack({segments(4, 5)}));
  w.advance(2500us);
  w.out(segment_again(3));
  w.in(acks_before(6));
  w.in(acks_before(6).sack({segments(3, 3)}));  // both copies have come
  w.counter(Counter::TcpExt_TCPDSACKRecv, 1);
  w.require(w.info().dsack_dups == 1, "one duplicate was reported");
  w.in(acks_before(6).sack({segments(7, 8)}));
  w.advance(2500us);
  w.silent();
  w.advance(2500us);
  w.out(segment_again(6));
}

// A retransmission that is lost again is noticed by what was sent after it: no time-out is needed.
WIRE_TEST(SackRecovery, ALostRetransmissionIsSentAgain) {
  w.establish();
  w.write(stream(1, 16'000));
  for (std::uint32_t i = 1; i <= 10; ++i) w.out(segment_again(i));
  w.advance(10ms);
  w.in(acks_before(1).sack({segments(2, 8)}));
  w.out(segment_again(1));
  w.out(segment_again(11));
  w.out(segment_again(12));
  w.advance(10ms);
  w.in(acks_before(1).sack({segments(2, 11)}));
  w.out(segment_again(1));
  for (std::uint32_t i = 13; i <= 15; ++i) w.out(segment_again(i));
  w.counter(Counter::TcpExt_TCPLostRetransmit, 1);
  w.counter(Counter::TcpExt_TCPTimeouts, 0);
}

// RFC 2018 §8: a receiver may throw away what it has SACKed. It is sent again after all.
WIRE_TEST(SackRecovery, RenegingIsSurvived) {
  in_flight(w, 6);
  w.in(acks_before(1).sack({segments(2, 4)}));
  w.out(segment_again(1));
  w.in(acks_before(2));  // and not 5, although 2 to 4 had come
  w.advance(10ms);
  w.out(segment_again(2));
  w.counter(Counter::TcpExt_TCPSACKReneging, 1);
  w.advance(10ms);
  w.in(acks_before(3));
  w.out(segment_again(3));
  w.out(segment_again(4));
  w.in(acks_before(7));
}

// Blocks of what was never sent, of what lies below, and that end where they begin.
WIRE_TEST(SackRecovery, SenselessBlocksAreIgnored) {
  in_flight(w, 4);
  w.in(acks_before(1).sack({{4001, 6001}}));
  w.in(acks_before(1).sack({{50'001, 60'001}}));
  w.counter(Counter::TcpExt_TCPSACKDiscard, 2);
  w.in(acks_before(1).sack({{2001, 2001}}));
  w.in(acks_before(1).sack({{3001, 2001}}));
  w.require(w.info().sacked == 0 && w.info().lost == 0, "nothing is known");
  w.in(acks_before(5));
}

// As Linux: receivers SACK the segments that they received, and not parts of them.
WIRE_TEST(SackRecovery, PartsOfSegmentsDoNotCount) {
  in_flight(w, 4);
  w.in(acks_before(1).sack({{4000, 4001}}));
  w.require(w.info().sacked == 0, "the last byte");
  w.in(acks_before(1).sack({{2001, 2500}}));
  w.require(w.info().sacked == 0, "the first half");
  w.in(acks_before(1).sack({{1500, 3500}}));
  w.require(w.info().sacked == 1000, "the third alone is in it");
  w.in(acks_before(5));
}

// What went again was cut elsewhere than at first, and is SACKed as it went.
WIRE_TEST(SackRecovery, SmallSegmentsThatWentAgainTogetherCount) {
  w.establish({.no_delay = true});
  for (std::uint32_t i = 0; i < 12; ++i) {
    w.write(stream(1 + 300 * i, 300));
    w.out(data(1 + 300 * i, 300).ack(1).psh());
  }
  w.advance(10ms);
  w.in(acks_before(1).sack({{301, 601}, {1801, 3601}}));
  w.out(data(1, 300).ack(1).psh());
  w.out(data(601, 1000).ack(1));
  w.advance(10ms);
  w.in(acks_before(1).sack({{301, 1601}, {1801, 3601}}));
  w.require(w.info().sacked == 3100, "all that arrived");
  w.out(data(1, 300).ack(1).psh());
  w.out(data(1601, 200).ack(1).psh());
}

// What counts is how large the segments were when they went.
WIRE_TEST(SackRecovery, SegmentsOfAnotherSizeCount) {
  w.super_segments(65535);
  w.establish();
  w.write(stream(1, 4 * kMss));
  w.out(data(1, 2 * kMss).ack(1).psh().segments_of(kMss));
  w.out(data(1 + 2 * kMss, 2 * kMss).ack(1).psh().segments_of(kMss));
  SocketOptions options;
  options.maxseg = 600;
  w.options(options);
  w.in(acks_before(1).sack({segments(2, 2)}));
  w.require(w.info().sacked == kMss, "a whole one of before");
  w.in(acks_before(5));
}

// ---- tail loss probe ----------------------------------------------------------------------------------------------

// The last segment of the flight is lost: nothing that comes later could tell. As Linux: the probe goes when the
// time-out would come, if not before.
WIRE_TEST(TailLossProbe, RepeatsTheLastSegment) {
  in_flight(w, 4);
  w.in(acks_before(4));
  w.advance(200ms);  // 210 ms since it was sent
  w.out(segment_again(4).psh());
  w.counter(Counter::TcpExt_TCPLossProbes, 1);
  w.advance(10ms);
  w.in(acks_before(5));
  w.counter(Counter::TcpExt_TCPTimeouts, 0);
}

// Of several the probe's acknowledgement shows which.
WIRE_TEST(TailLossProbe, ShowsWhatElseIsMissing) {
  in_flight(w, 4);
  w.in(acks_before(2));
  w.advance(10ms);  // two round trips since they were sent
  w.out(segment_again(4).psh());
  w.advance(10ms);
  w.in(acks_before(2).sack({segments(4, 4)}));
  w.out(segment_again(2));
  w.advance(10ms);
  w.in(acks_before(3).sack({segments(4, 4)}));
  w.out(segment_again(3));
  w.advance(10ms);
  w.in(acks_before(5));
  w.counter(Counter::TcpExt_TCPTimeouts, 0);
  w.require(w.info().ca_state == CaState::Open, "repaired");
}

// New data does as well, and more.
WIRE_TEST(TailLossProbe, SendsNewDataIfThereIsSome) {
  w.establish({.window = 4000});
  w.write(stream(1, 6000));
  for (std::uint32_t i = 1; i <= 4; ++i) w.out(segment_again(i));
  w.advance(10ms);
  w.in(acks_before(1).window(8000));
  w.out(segment_again(5));
  w.out(segment_again(6).psh());
}

// RFC 8985 §7.4.2: the probe repaired a loss and hid it. The window is reduced all the same.
WIRE_TEST(TailLossProbe, ALossThatItRepairedCounts) {
  in_flight(w, 10);
  w.in(acks_before(10));
  w.advance(200ms);  // 210 ms since it was sent
  w.out(segment_again(10).psh());
  w.write(stream(10'001, 1000));
  w.out(data(10'001, 1000).ack(1).psh());
  w.advance(10ms);
  const std::uint32_t before = w.info().snd_cwnd;
  w.in(segment(1).ack(11'001));
  w.counter(Counter::TcpExt_TCPLossProbeRecovery, 1);
  w.require(w.info().snd_cwnd < before, "the window is smaller");
}

// Both copies arrived: nothing was lost.
WIRE_TEST(TailLossProbe, ADuplicateOfItIsNoLoss) {
  in_flight(w, 10);
  w.in(acks_before(10));
  w.advance(200ms);  // 210 ms since it was sent
  w.out(segment_again(10).psh());
  const std::uint32_t before = w.info().snd_cwnd;
  w.in(acks_before(11));
  w.in(acks_before(11).sack({segments(10, 10)}));
  w.write(stream(10'001, 1000));
  w.out(data(10'001, 1000).ack(1).psh());
  w.in(segment(1).ack(11'001));
  w.counter(Counter::TcpExt_TCPLossProbeRecovery, 0);
  w.require(w.info().snd_cwnd >= before, "the window is what it was");
}

WIRE_TEST(TailLossProbe, CanBeTurnedOff) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  in_flight(w, 2);
  w.advance(200ms);
  w.out(segment_again(1));
  w.counter(Counter::TcpExt_TCPLossProbes, 0);
  w.counter(Counter::TcpExt_TCPTimeouts, 1);
}

// ---- what was no loss ---------------------------------------------------------------------------------------------

// RFC 3522: the acknowledgement that ends the recovery echoes a timestamp from before the retransmission.
WIRE_TEST(Undo, ByTimestamps) {
  w.establish({.ts = 1000});
  w.write(stream(1, 8 * 988));
  for (std::uint32_t i = 0; i < 8; ++i) {
    auto next = data(1 + 988 * i, 988).ack(1).ts(10, 1010);
    w.out(i == 7 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
  const std::uint32_t before = w.info().snd_cwnd;
  w.in(segment(1).ack(1).sack({{989, 1 + 4 * 988}}).ts(1020, 10));
  w.out(data(1, 988).ack(1).ts(20, 1020));
  w.require(w.info().snd_ssthresh < before, "it looked like a loss");
  w.advance(1ms);
  w.in(segment(1).ack(1 + 8 * 988).ts(1021, 10));
  w.require(w.info().snd_cwnd >= before && w.info().ca_state == CaState::Open, "it was none");
  w.counter(Counter::TcpExt_TCPFullUndo, 1);
}

// The same while other segments are still missing: they may be late as well.
WIRE_TEST(Undo, ByTimestampsBeforeTheEnd) {
  w.establish({.ts = 1000});
  w.write(stream(1, 10 * 988));
  for (std::uint32_t i = 0; i < 10; ++i) {
    auto next = data(1 + 988 * i, 988).ack(1).ts(10, 1010);
    w.out(i == 9 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
  w.in(segment(1).ack(1).sack({{989, 1 + 988 * 2}, {1 + 988 * 3, 1 + 988 * 6}}).ts(1020, 10));
  w.out(data(1, 988).ack(1).ts(20, 1020));
  w.advance(1ms);
  w.in(segment(1).ack(1 + 988 * 2).sack({{1 + 988 * 3, 1 + 988 * 6}}).ts(1021, 10));
  w.counter(Counter::TcpExt_TCPPartialUndo, 1);
  w.counter(Counter::TcpExt_TCPTSReorder, 1);
  w.require(w.info().lost == 0, "nothing is held to be lost any more");
  w.in(segment(1).ack(1 + 10 * 988).ts(1021, 10));
}

// Without SACK, too: the duplicates that told of the loss told of what has arrived by now.
WIRE_TEST(Undo, ByTimestampsBeforeTheEndWithoutSack) {
  w.establish({.sack = false, .ts = 1000});
  w.write(stream(1, 10 * 988));
  for (std::uint32_t i = 0; i < 10; ++i) {
    auto next = data(1 + 988 * i, 988).ack(1).ts(10, 1010);
    w.out(i == 9 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
  for (int i = 0; i < 3; ++i) w.in(segment(1).ack(1).ts(1020, 10));
  w.out(data(1, 988).ack(1).ts(20, 1020));
  for (int i = 0; i < 3; ++i) w.in(segment(1).ack(1).ts(1020, 10));
  w.advance(1ms);
  w.in(segment(1).ack(1 + 988 * 7).ts(1021, 10));
  w.counter(Counter::TcpExt_TCPPartialUndo, 1);
  w.silent();
  w.require(w.info().lost == 0 && w.info().ca_state == CaState::Open && w.info().snd_cwnd >= 10 * 988, "all is well");
  w.in(segment(1).ack(1 + 10 * 988).ts(1021, 10));
}

// RFC 3708: every byte that was repeated is reported as a duplicate.
WIRE_TEST(Undo, ByDuplicateReports) {
  in_flight(w, 10);
  const std::uint32_t before = w.info().snd_cwnd;
  w.in(acks_before(1).sack({segments(2, 4)}));
  w.out(segment_again(1));
  w.in(acks_before(5));
  w.in(acks_before(5).sack({segments(1, 1)}));
  w.counter(Counter::TcpExt_TCPDSACKUndo, 1);
  w.require(w.info().snd_cwnd >= before && w.info().ca_state == CaState::Open, "the window is what it was");
  w.in(acks_before(11));
}

// A report of what was never repeated in this recovery, and one from the clouds.
WIRE_TEST(Undo, OtherReportsDoNotCount) {
  in_flight(w, 10);
  w.in(acks_before(5));
  w.in(acks_before(5).sack({{90'001, 91'001}, {90'001, 91'001}}));
  w.counter(Counter::TcpExt_TCPDSACKOfoRecv, 1);
  w.counter(Counter::TcpExt_TCPDSACKIgnoredNoUndo, 1);
  w.in(acks_before(5).sack({segments(6, 8)}));
  w.out(segment_again(5));
  w.in(acks_before(5).sack({{90'001, 91'001}, {90'001, 91'001}}));
  w.counter(Counter::TcpExt_TCPDSACKIgnoredOld, 1);
  w.in(acks_before(5).sack({segments(1, 1), segments(6, 8)}));
  w.require(w.info().ca_state == CaState::Recovery, "the loss stays one");
  w.counter(Counter::TcpExt_TCPDSACKUndo, 0);
  w.in(acks_before(11));
}

// ---- F-RTO --------------------------------------------------------------------------------------------------------

// RFC 5682 §3.1: the path held everything up for long. After the time-out the acknowledgements of what was sent first
// arrive: it was needless, and nothing else goes again.
WIRE_TEST(FRto, ANeedlessTimeoutIsUndone) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  in_flight(w, 6);
  const std::uint32_t before = w.info().snd_cwnd;
  w.advance(200ms);
  w.out(segment_again(1));
  w.require(w.info().ca_state == CaState::Loss && w.info().snd_cwnd == 1000, "a time-out");
  w.write(stream(6001, 3000));
  w.in(acks_before(2));
  w.out(data(6001, 1000).ack(1));  // new data, and not the next that a time-out calls lost
  w.out(data(7001, 1000).ack(1));
  w.in(acks_before(3));
  w.require(w.info().ca_state == CaState::Open && w.info().snd_cwnd >= before, "as if nothing had been");
  w.out(data(8001, 1000).ack(1).psh());
  w.counter(Counter::TcpExt_TCPSpuriousRTOs, 1);
  w.counter(Counter::TcpExt_TCPLossUndo, 1);
  w.in(segment(1).ack(9001));
  w.require(w.info().total_retrans == 1, "one segment went twice");
}

// Duplicates follow the new data: it was a loss, and is repaired as one.
WIRE_TEST(FRto, ARealLossIsRepaired) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  in_flight(w, 6);
  w.advance(200ms);
  w.out(segment_again(1));
  w.write(stream(6001, 3000));
  w.advance(10ms);
  w.in(acks_before(2));
  w.out(data(6001, 1000).ack(1));
  w.out(data(7001, 1000).ack(1));
  w.advance(10ms);
  w.in(acks_before(2).sack({{6001, 7001}}));
  w.out(segment_again(2));
  w.counter(Counter::TcpExt_TCPSpuriousRTOs, 0);
}

WIRE_TEST(FRto, CanBeTurnedOff) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("tcp_frto", "0");
  in_flight(w, 6);
  w.advance(200ms);
  w.out(segment_again(1));
  w.write(stream(6001, 3000));
  w.advance(10ms);
  w.in(acks_before(2));
  w.out(segment_again(2));
  w.out(segment_again(3));
}
