// Data that comes out of order (C6), and what we say of it (D3): RFC 2018, RFC 2883.
#include "wire/language.hpp"

// RFC 2018 §3: "The first SACK block MUST specify the contiguous block of data containing the segment which triggered
// this ACK"; §4: then the others, the most recent first.
WIRE_TEST(OutOfOrder, FirstSackBlockIsTheMostRecent) {
  w.establish();
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 2001}}));
  w.in(data(3001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{3001, 4001}, {1001, 2001}}));
  w.in(data(5001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{5001, 6001}, {3001, 4001}, {1001, 2001}}));
  // A block that grows becomes the first again.
  w.in(data(2001, 500).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 2501}, {5001, 6001}, {3001, 4001}}));
  w.in(data(7001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{7001, 8001}, {1001, 2501}, {5001, 6001}, {3001, 4001}}));
  // Four are all that fits.
  w.in(data(9001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{9001, 10001}, {7001, 8001}, {1001, 2501}, {5001, 6001}}));
  w.nothing_to_read();
  w.counter(Counter::TcpExt_TCPOFOQueue, 6);
}

// RFC 2018 §3: with timestamps three blocks fit.
WIRE_TEST(OutOfOrder, TimestampsLeaveRoomForThreeBlocks) {
  w.establish({.ts = 100});
  for (std::uint32_t i = 0; i < 4; ++i) {
    w.in(data(1001 + 2000 * i, 1000).ack(1).ts(120, 0));
    std::vector<SackRange> blocks;
    for (std::uint32_t k = i + 1; k-- > 0 && blocks.size() < 3;) blocks.push_back({1001 + 2000 * k, 2001 + 2000 * k});
    w.out(segment(1).ack(1).ts(10, 110).any_window().sack(blocks));
  }
}

WIRE_TEST(OutOfOrder, FilledGapDeliversAll) {
  w.establish();
  w.in(data(2001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{2001, 3001}}));
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 3001}}));
  w.nothing_to_read();
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(3001));
  w.read(stream(1, 3000));
}

// Only one of two gaps is filled: what remains is still reported.
WIRE_TEST(OutOfOrder, HalfFilledGapsGoOnBeingReported) {
  w.establish();
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 2001}}));
  w.in(data(3001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{3001, 4001}, {1001, 2001}}));
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(2001).any_window().sack({{3001, 4001}}));
  w.read(stream(1, 2000));
  w.in(data(2001, 1000).ack(1));
  w.out(segment(1).ack(4001));
  w.read(stream(2001, 2000));
}

// Without SACK a duplicate ACK for each segment (RFC 5681 §4.2), also when they come in one batch.
WIRE_TEST(OutOfOrder, DuplicateAcksWithoutSack) {
  w.establish({.sack = false});
  std::vector<Segment> batch;
  for (std::uint32_t i = 1; i < 4; ++i) batch.push_back(data(1 + 1000 * i, 1000).ack(1));
  w.in_batch(std::move(batch));
  for (int i = 0; i < 3; ++i) w.out(segment(1).ack(1));
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(4001));
  w.read(stream(1, 4000));
}

// Overlaps of every kind give each byte once; what came twice, and nothing more, is told (RFC 2883 §4).
WIRE_TEST(OutOfOrder, OverlapsAreMerged) {
  w.establish();
  w.in(data(101, 100).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{101, 201}}));
  w.in(data(151, 100).ack(1));  // over its end
  w.out(segment(1).ack(1).any_window().sack({{151, 201}, {101, 251}}));
  w.counter(Counter::TcpExt_TCPOFOMerge, 0);
  w.in(data(51, 100).ack(1));  // over its beginning
  w.out(segment(1).ack(1).any_window().sack({{101, 151}, {51, 251}}));
  w.in(data(301, 100).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{301, 401}, {51, 251}}));
  w.in(data(201, 300).ack(1));  // over the gap and everything behind it
  w.out(segment(1).ack(1).any_window().sack({{201, 251}, {51, 501}}));
  w.in(data(1, 60).ack(1));  // into what waits
  w.out(segment(1).ack(501).any_window().sack({{51, 61}}));
  w.read(stream(1, 500));
  w.nothing_to_read();
}

// What arrives twice may differ: the first copy stays.
WIRE_TEST(OutOfOrder, FirstCopyStays) {
  w.establish({.sack = false});
  w.in(data(3, "cd").ack(1));
  w.out(segment(1).ack(1));
  w.in(data(3, "XXef").ack(1));
  w.out(segment(1).ack(1));
  w.in(data(1, "ab").ack(1));
  w.out(segment(1).ack(7));
  w.in(data(1, "YYYYYYg").ack(1));
  w.out(segment(1).ack(8));
  w.read("abcdefg");
}

// RFC 2883 §4: a duplicate is reported by the first block, the rest follows.
WIRE_TEST(OutOfOrder, DuplicateBelowTheAckIsReported) {
  w.establish();
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001));
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001).any_window().sack({{1, 1001}}));
  w.counter(Counter::TcpExt_TCPDSACKOldSent, 1);
  // Once only.
  w.in(data(2001, 1000).ack(1));
  w.out(segment(1).ack(1001).any_window().sack({{2001, 3001}}));
  w.in(data(501, 100).ack(1));
  w.out(segment(1).ack(1001).any_window().sack({{501, 601}, {2001, 3001}}));
}

// RFC 2883 §4.1.2 and §4.2: a duplicate of what waits in the queue: the duplicate first, then the block that it is part
// of.
WIRE_TEST(OutOfOrder, DuplicateInTheQueueIsReported) {
  w.establish();
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 2001}}));
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 2001}, {1001, 2001}}));
  w.in(data(2001, 1000).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 3001}}));
  w.in(data(1501, 500).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1501, 2001}, {1001, 3001}}));
  w.counter(Counter::TcpExt_TCPOFOMerge, 2);
}

// As Linux, TCPOFOMerge counts what waits and is covered whole by what comes.
WIRE_TEST(OutOfOrder, SegmentThatCoversOthersReplacesThem) {
  w.establish();
  w.in(data(101, 100).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{101, 201}}));
  w.in(data(301, 100).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{301, 401}, {101, 201}}));
  w.in(data(101, 200).ack(1));  // the first of them, and what follows it
  w.out(segment(1).ack(1).any_window().sack({{101, 201}, {101, 401}}));
  w.counter(Counter::TcpExt_TCPOFOMerge, 1);
  w.in(data(51, 400).ack(1));  // the second, and all there is of the first
  w.out(segment(1).ack(1).any_window().sack({{101, 401}, {51, 451}}));
  w.require(w.stack().counters()[Counter::TcpExt_TCPOFOMerge] >= 3, "what was covered is counted");
  w.in(data(1, 50).ack(1));
  w.out(segment(1).ack(451).any_window());
  w.read(stream(1, 450));
}

// RFC 2883 §4.1.1 example 3: a segment partly old: its old part is the duplicate.
WIRE_TEST(OutOfOrder, OldPartOfASegmentIsReported) {
  w.establish();
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001));
  w.in(data(501, 1000).ack(1));
  w.out(segment(1).ack(1501).any_window().sack({{501, 1001}}));
  w.read(stream(1, 1500));
}

// E5: a FIN beyond a gap waits for the gap to fill.
WIRE_TEST(OutOfOrder, FinWaitsForTheGap) {
  w.establish();
  w.in(fin(1001).data(stream(1001, 500)).ack(1).psh());
  w.out(segment(1).ack(1).any_window().sack({{1001, 1502}}));
  w.state(TcpState::Established);
  w.no_event(event_bits::kPeerClosed);
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1502));
  w.event(event_bits::kPeerClosed);
  w.state(TcpState::CloseWait);
  w.read(stream(1, 1500));
  w.read_end();
}

// A bare FIN beyond a gap has no bytes, but a number to report, and fills a gap like data.
WIRE_TEST(OutOfOrder, BareFinWaitsForTheGap) {
  w.establish();
  w.in(fin(1001).ack(1));
  w.out(segment(1).ack(1).any_window().sack({{1001, 1002}}));
  w.state(TcpState::Established);
  w.in(data(1, 500).ack(1));
  w.out(segment(1).ack(501).any_window().sack({{1001, 1002}}));
  w.in(data(501, 500).ack(1));
  w.out(segment(1).ack(1002));
  w.state(TcpState::CloseWait);
}

WIRE_TEST(OutOfOrder, BareFinWaitsForTheGapWithoutSack) {
  w.establish({.sack = false});
  w.in(fin(1001).ack(1));
  w.out(segment(1).ack(1));
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1002));
  w.state(TcpState::CloseWait);
}

// C6: the queue is bounded: what does not fit is dropped, counted, and can be sent again.
WIRE_TEST(OutOfOrder, QueueIsBounded) {
  w.set("net.ipv4.tcp_rmem", "4096 16384 16384");
  w.establish({.sack = false});
  // One byte here, one there: memory is what such a flood costs, not the bytes.
  for (std::uint32_t at = 15; at < 6000; at += 10) {
    w.in(data(at, 1).ack(1));
    w.out(segment(1).ack(1));
  }
  w.require(w.stack().counters()[DropReason::TcpOutOfOrderFull] > 0, "not all of them were kept");
  w.require(w.stack().counters()[Counter::TcpExt_TCPOFODrop] == w.stack().counters()[DropReason::TcpOutOfOrderFull],
            "each drop is counted under both names");
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001).any_window());
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(2001).any_window());
  w.read(stream(1, 2000));
}

// But all that the window promised is kept, and it costs memory besides its bytes.
WIRE_TEST(OutOfOrder, AllThatTheWindowPromisedIsKept) {
  w.set("net.ipv4.tcp_rmem", "4096 65536 65536");
  w.establish();
  const std::uint32_t window = 32768;
  for (std::uint32_t at = 1001; at + 1000 <= window; at += 1000) {
    w.in(data(at, 1000).ack(1));
    w.out(segment(1).ack(1).any_window().sack({{1001, at + 1000}}));
  }
  w.dropped(DropReason::TcpOutOfOrderFull, 0);
  w.counter(Counter::TcpExt_OfoPruned, 0);
}

// What lies nearer to the gap is wanted sooner: what is furthest ahead makes room for it.
WIRE_TEST(OutOfOrder, WhatIsNearerTakesThePlaceOfWhatIsFurther) {
  w.set("net.ipv4.tcp_rmem", "4096 16384 16384");
  w.establish({.sack = false});
  for (std::uint32_t at = 15; at < 2000; at += 10) {
    w.in(data(at, 1).ack(1));
    w.out(segment(1).ack(1));
  }
  const std::uint64_t drops = w.stack().counters()[DropReason::TcpOutOfOrderFull];
  w.require(drops > 0, "the queue is full");
  w.in(data(5, 1).ack(1));
  w.out(segment(1).ack(1));
  w.counter(Counter::TcpExt_OfoPruned, 1);
  w.dropped(DropReason::TcpOutOfOrderFull, drops);
  w.counter(Counter::TcpExt_RcvPruned, drops);
  w.in(data(1, 4).ack(1));
  w.out(segment(1).ack(6).any_window());
}

// Segments of one message in every order, in one batch each.
WIRE_TEST(OutOfOrder, EveryOrderGivesTheSameStream) {
  w.establish();
  std::array<std::uint32_t, 5> order{0, 1, 2, 3, 4};
  std::uint32_t base = 1;
  do {
    std::vector<Segment> batch;
    for (const std::uint32_t i : order) batch.push_back(data(base + 10 * i, 10).ack(1));
    w.in_batch(std::move(batch));
    base += 50;
    w.out(segment(1).ack(base).any_window());
    w.read(stream(base - 50, 50));
  } while (std::ranges::next_permutation(order).found);
}
