// Many segments under one header, both ways: what a device with TSO and GRO takes and gives. Each must mean what its
// segments one by one would.
#include "wire/language.hpp"

namespace {

// As if the other end were so near that the window alone bounds what goes at once.
void burst_freely(Wire& w, std::uint32_t largest = 65535) {
  w.super_segments(largest);
  w.set("tcp_tso_rtt_log", "20");
  w.set("tcp_tso_win_divisor", "255");
}

}  // namespace

WIRE_TEST(SuperSegments, OneWriteIsOnePacket) {
  burst_freely(w);
  w.establish();
  w.write(stream(1, 4500));
  w.out(data(1, 4500).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(4501));
  w.advance(1min);
  w.counter(Counter::TcpExt_TCPOrigDataSent, 5);
}

// The congestion window is the bound, not the device; as Linux, a packet holds half of it at most.
WIRE_TEST(SuperSegments, CongestionWindowIsTheBound) {
  burst_freely(w);
  w.establish();
  w.write(stream(1, 20'000));
  w.out(data(1, 5000).ack(1).psh().segments_of(1000));
  w.out(data(5001, 5000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.out(data(10'001, 10'000).ack(1).psh().segments_of(1000));
}

// As Linux's tcp_tso_autosize(): ten segments in 10 ms, and twice that in slow start, are less than two in a
// millisecond, but two may always go.
WIRE_TEST(SuperSegments, ABurstIsAMillisecondsWorth) {
  w.super_segments(65535);
  w.establish();
  w.write(stream(1, 9000));
  for (std::uint32_t i = 0; i < 4; ++i) w.out(data(1 + 2000 * i, 2000).ack(1).psh().segments_of(1000));
  w.out(data(8001, 1000).ack(1).psh());
}

WIRE_TEST(SuperSegments, ABurstIsOfSoManySegmentsAtLeast) {
  w.super_segments(65535);
  w.set("tcp_min_tso_segs", "4");
  w.establish();
  w.write(stream(1, 9000));
  for (std::uint32_t i = 0; i < 2; ++i) w.out(data(1 + 4000 * i, 4000).ack(1).psh().segments_of(1000));
  w.out(data(8001, 1000).ack(1).psh());
}

// Four windows in a round trip are 3906 bytes in a millisecond: as Linux counts it, the 1024th part of a second.
WIRE_TEST(SuperSegments, ABurstGrowsWithTheRate) {
  w.super_segments(65535);
  w.set("tcp_pacing_ss_ratio", "400");
  w.establish();
  w.write(stream(1, 9000));
  for (std::uint32_t i = 0; i < 3; ++i) w.out(data(1 + 3000 * i, 3000).ack(1).psh().segments_of(1000));
}

// The other ratio counts once the window is no longer to double: here 3906 bytes in a millisecond, were it not for the
// window, where it was one segment.
WIRE_TEST(SuperSegments, ABurstGrowsWithTheRateOfCongestionAvoidance) {
  w.super_segments(65535);
  w.set("tcp_min_tso_segs", "1");
  w.set("tcp_pacing_ca_ratio", "800");
  w.establish();
  w.write(stream(1, 10'000));
  for (std::uint32_t i = 0; i < 9; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(9001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1).sack({{1001, 10'001}}));
  w.out(data(1, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.write(stream(10'001, 7000));
  w.out(data(10'001, 2000).ack(1).psh().segments_of(1000));
  w.out(data(12'001, 2000).ack(1).psh().segments_of(1000));
  w.out(data(14'001, 1000).ack(1));
}

// 10 ms are four times 2^11 microseconds: 64 KiB, halved as often, come on top.
WIRE_TEST(SuperSegments, ABurstIsLargerWhereTheOtherEndIsNear) {
  w.super_segments(65535);
  w.set("tcp_tso_rtt_log", "11");
  w.establish();
  w.write(stream(1, 9000));
  w.out(data(1, 5000).ack(1).psh().segments_of(1000));
  w.out(data(5001, 4000).ack(1).psh().segments_of(1000));
}

// No packet is larger than the device says; only the last piece of the last is short.
WIRE_TEST(SuperSegments, DeviceSaysHowLarge) {
  burst_freely(w, 5000);
  w.establish();
  w.write(stream(1, 9900));
  w.out(data(1, 4000).ack(1).psh().segments_of(1000));
  w.out(data(4001, 4000).ack(1).psh().segments_of(1000));
  w.out(data(8001, 1900).ack(1).psh().segments_of(1000));
}

// A window is filled with whole segments, by two packets at least.
WIRE_TEST(SuperSegments, PeersWindowIsTheBound) {
  burst_freely(w);
  w.establish({.window = 7500});
  w.write(stream(1, 10'000));
  w.out(data(1, 3000).ack(1).psh().segments_of(1000));
  w.out(data(3001, 3000).ack(1).psh().segments_of(1000));
  w.out(data(6001, 1000).ack(1));
}

// As Linux: each is pushed, whether or not more follows; a segment by itself only at the end.
WIRE_TEST(SuperSegments, ArePushed) {
  burst_freely(w);
  w.establish();
  w.write(stream(1, 11'000));
  w.out(data(1, 5000).ack(1).psh().segments_of(1000));
  w.out(data(5001, 5000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.write(stream(11'001, 4000));
  w.in(segment(1).ack(1001));
  w.out(data(10'001, 2000).ack(1).psh().segments_of(1000));
  w.in(segment(1).ack(1001).window(11'000));
  w.in(segment(1).ack(2001).window(11'000));
  w.out(data(12'001, 1000).ack(1));
}

// Nagle keeps back the short end alone.
WIRE_TEST(SuperSegments, NagleKeepsBackTheShortEnd) {
  w.super_segments(65535);
  w.establish();
  w.write("a");
  w.out(data(1, "a").ack(1).psh());
  w.write(stream(2, 2500));
  w.out(data(2, 2000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(2002));
  w.out(data(2002, 500).ack(1).psh());
}

WIRE_TEST(SuperSegments, TimestampsTakeTheirRoom) {
  burst_freely(w);
  w.establish({.ts = 100});
  w.write(stream(1, 3000));
  w.out(data(1, 3000).ack(1).psh().ts(10, 110).segments_of(988));
}

WIRE_TEST(SuperSegments, FinRidesOnTheLast) {
  w.super_segments(65535);
  w.establish();
  w.write(stream(1, 12'500));
  for (std::uint32_t i = 0; i < 5; ++i) w.out(data(1 + 2000 * i, 2000).ack(1).psh().segments_of(1000));
  w.close();
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.out(fin(10'001).data(stream(10'001, 2500)).ack(1).psh().segments_of(1000));
}

// After a timeout one segment goes, and not the packet as it was.
WIRE_TEST(SuperSegments, TimeoutSendsOneSegment) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  burst_freely(w);
  w.establish();
  w.write(stream(1, 8000));
  w.out(data(1, 5000).ack(1).psh().segments_of(1000));
  w.out(data(5001, 3000).ack(1).psh().segments_of(1000));
  w.advance(210ms);
  w.out(data(1, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(1001));
  w.out(data(1001, 2000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(8001));
  w.advance(1min);
}

// Duplicate acknowledgements name one segment of it.
WIRE_TEST(SuperSegments, FastRetransmitSendsOneSegment) {
  burst_freely(w);
  w.establish({.sack = false});
  w.write(stream(1, 10'000));
  w.out(data(1, 5000).ack(1).psh().segments_of(1000));
  w.out(data(5001, 5000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(2001));
  for (int i = 0; i < 2; ++i) w.in(segment(1).ack(2001));
  w.in(segment(1).ack(2001));
  w.out(data(2001, 1000).ack(1));
  w.in(segment(1).ack(10'001));
  w.advance(1min);
}

// What is lost goes again in bursts of a millisecond's worth, too, but without regard to half of the window.
WIRE_TEST(SuperSegments, RetransmissionsAreBursts) {
  w.super_segments(65535);
  w.establish();
  w.write(stream(1, 10'000));
  for (std::uint32_t i = 0; i < 5; ++i) w.out(data(1 + 2000 * i, 2000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(1).sack({{4001, 10'001}}));
  w.out(data(1, 2000).ack(1).psh().segments_of(1000));
  w.out(data(2001, 2000).ack(1).psh().segments_of(1000));
}

// What was sent together goes again together, and no more.
WIRE_TEST(SuperSegments, RetransmissionsEndWhereTheyDidBefore) {
  w.super_segments(65535);
  w.establish();
  w.write(stream(1, 10'000));
  for (std::uint32_t i = 0; i < 5; ++i) w.out(data(1 + 2000 * i, 2000).ack(1).psh().segments_of(1000));
  w.advance(10ms);
  w.in(segment(1).ack(1001).sack({{5001, 10'001}}));
  w.out(data(1001, 1000).ack(1));
  w.out(data(2001, 2000).ack(1).psh().segments_of(1000));
  w.out(data(4001, 1000).ack(1));
}

// The peer's segments, merged by a device: acknowledged at once, for they are more than one.
WIRE_TEST(SuperSegments, ReceivedInOnePiece) {
  w.establish();
  w.in(data(1, 5500).ack(1).psh().segments_of(1000));
  w.out(segment(1).ack(5501));
  w.read(stream(1, 5500));
  w.counter(Counter::Tcp_InSegs, 1 + 1 + 6);
}

// The full size of the peer's segments is that of a piece.
WIRE_TEST(SuperSegments, PiecesAreTheFullSize) {
  w.establish();
  std::uint32_t next = 1;
  for (int i = 0; i < 8; ++i, next += 2000) {
    w.in(data(next, 2000).ack(1).segments_of(1000));
    w.out(segment(1).ack(next + 2000));
  }
  // Past the quick start; two segments make an acknowledgement, one does not.
  w.in(data(next, 1000).ack(1));
  w.silent();
  w.in(data(next + 1000, 1000).ack(1));
  w.out(segment(1).ack(next + 2000));
}

// A super-segment partly old, partly beyond the window.
WIRE_TEST(SuperSegments, TrimmedAtBothEnds) {
  w.set("net.ipv4.tcp_rmem", "4096 8000 8000");
  w.establish({.sack = false});
  const std::uint32_t window = w.first_window();
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001));
  w.in(data(501, 8000).ack(1).segments_of(1000));
  const std::uint32_t edge = 1001 + window + 2000;  // twice what had come is offered on top of the first window
  w.out(segment(1).ack(edge));
  w.read(stream(1, edge - 1));
  w.out(segment(1).ack(edge).window(8000));
  w.nothing_to_read();
}

// The answer to a request by Fast Open, in one piece behind the SYN-ACK.
WIRE_TEST(SuperSegments, FastOpenAnswer) {
  w.super_segments(65535);
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.accept();
  w.read("GET /");
  w.write(stream(1, 9000));
  w.out(data(1, 5000).ack(6).psh().segments_of(1000));
  w.out(data(5001, 4000).ack(6).psh().segments_of(1000));
}
