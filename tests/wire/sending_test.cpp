// Sending data: segments, PSH, Nagle (C3), the congestion window's part in it (D2, D6). RFC 9293 §3.7.4, §3.8, RFC
// 5681.
#include "wire/language.hpp"

WIRE_TEST(Sending, OneWriteIsOneSegment) {
  w.establish();
  w.write("hello");
  w.out(data(1, "hello").ack(1).psh());
  w.require(w.info().unacked == 5 && w.info().notsent == 0, "five bytes are in flight");
  w.in(segment(1).ack(6));
  w.require(w.info().unacked == 0 && w.info().bytes_acked == 5, "and acknowledged");
  w.advance(60s);
}

// RFC 9293 §3.9.1.2: PSH marks the end of what was written.
WIRE_TEST(Sending, PushMarksTheEndOfAWrite) {
  w.establish();
  w.write(stream(1, 2500));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 1000).ack(1));
  w.out(data(2001, 500).ack(1).psh());
}

// RFC 6928: ten segments, then as acknowledgements come; in slow start two for each segment acknowledged (RFC 5681
// §3.1).
WIRE_TEST(Sending, InitialWindowIsTenSegments) {
  w.establish();
  w.write(stream(1, 16000));
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(2001));
  for (std::uint32_t i = 10; i < 14; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.in(segment(1).ack(4001));
  w.out(data(14001, 1000).ack(1));
  w.out(data(15001, 1000).ack(1).psh());
  w.in(segment(1).ack(16001));
}

// C3, RFC 9293 §3.7.4 in Minshall's variant: a small segment waits only while another small one is in flight.
WIRE_TEST(Sending, NagleHoldsTheSecondSmallSegment) {
  w.establish();
  w.write("a");
  w.out(data(1, "a").ack(1).psh());
  w.write("b");
  w.write("c");
  w.silent();
  w.advance(10ms);
  w.in(segment(1).ack(2));
  w.out(data(2, "bc").ack(1).psh());
}

WIRE_TEST(Sending, NagleLetsATailBehindFullSegmentsGo) {
  w.establish();
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
  w.write(stream(1001, 10));
  w.out(data(1001, 10).ack(1).psh());
  w.write(stream(1011, 10));
  w.silent();
  // What becomes a full segment goes at once.
  w.write(stream(1021, 990));
  w.out(data(1011, 1000).ack(1).psh());
}

WIRE_TEST(Sending, NoDelaySwitchesNagleOff) {
  w.establish({.no_delay = true});
  w.write("a");
  w.out(data(1, "a").ack(1).psh());
  w.write("b");
  w.out(data(2, "b").ack(1).psh());
}

// Switching it off sends what was held (Linux's TCP_NODELAY).
WIRE_TEST(Sending, NoDelayReleasesWhatWasHeld) {
  w.establish();
  w.write("a");
  w.out(data(1, "a").ack(1).psh());
  w.write("b");
  w.silent();
  w.no_delay(true);
  w.out(data(2, "b").ack(1).psh());
}

// A FIN takes with it what Nagle holds: nothing more will come to fill the segment.
WIRE_TEST(Sending, FinReleasesWhatNagleHolds) {
  w.establish();
  w.write("a");
  w.out(data(1, "a").ack(1).psh());
  w.write("b");
  w.silent();
  w.shutdown_write();
  w.out(fin(2).data("b").ack(1).psh());
}

// B9, C2: never more than the peer's window holds.
WIRE_TEST(Sending, PeersWindowIsTheLimit) {
  w.establish({.window = 3000});
  w.write(stream(1, 5000));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 1000).ack(1));
  w.out(data(2001, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(1001).window(3000));
  w.out(data(3001, 1000).ack(1));
  // A window that opens without acknowledging anything counts, too.
  w.in(segment(1).ack(1001).window(4000));
  w.out(data(4001, 1000).ack(1).psh());
}

// RFC 9293 §3.10.7.4, SND.WL1 and SND.WL2: an older segment does not bring back an older window.
WIRE_TEST(Sending, OldSegmentsDoNotSetTheWindow) {
  w.establish();
  w.in(data(101, 100).ack(1).window(2000));
  w.out(segment(1).ack(1).sack({{101, 201}}));
  w.in(data(1, 100).ack(1).window(60000));
  w.out(segment(1).ack(201).any_window());
  w.require(w.info().snd_wnd == 2000, "the newer segment's window stands");
  // Of two that look alike the larger window counts (as Linux); a closed one always does.
  w.in(segment(201).ack(1).window(3000));
  w.in(segment(201).ack(1).window(1500));
  w.require(w.info().snd_wnd == 3000, "the larger window");
  w.in(segment(201).ack(1).window(0));
  w.require(w.info().snd_wnd == 0, "a closed window");
}

// C2, RFC 7323 §2.3: windows are scaled on everything but a SYN.
WIRE_TEST(Sending, ScaledWindows) {
  w.establish({.wscale = 4, .window = 100});
  w.require(w.info().snd_wnd == 1600, "100 << 4");
  w.write(stream(1, 1600));
  w.out(data(1, 800).ack(1));
  w.out(data(801, 800).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1601).window(1000));
  w.write(stream(1601, 3400));
  w.out(data(1601, 1000).ack(1));
  w.out(data(2601, 1000).ack(1));
  w.out(data(3601, 1000).ack(1));
  w.out(data(4601, 400).ack(1).psh());
}

// RFC 5961 §5.2: an acknowledgement of what was not sent yet: challenged, and it acknowledges nothing.
WIRE_TEST(Sending, AckOfUnsentDataIsChallenged) {
  w.establish();
  w.write("abc");
  w.out(data(1, "abc").ack(1).psh());
  w.in(segment(1).ack(5));
  w.out(segment(4).ack(1));
  w.dropped(DropReason::TcpBadAck, 1);
  w.in(data(1, "xyz").ack(100));
  w.advance(500ms - 290ms);  // the challenge is rate-limited; the data timed out meanwhile
  w.out(data(1, "abc").ack(1).psh());
  w.nothing_to_read();
  w.in(segment(1).ack(4));
}

// RFC 5961 §5.2: nor what lies further back than the window ever reached.
WIRE_TEST(Sending, AncientAckIsChallenged) {
  w.establish({.window = 1000});
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.in(segment(1).ack(101).window(1000));
  w.in(data(1, "xyz").ack(0u - 2000u));
  w.out(segment(101).ack(1));
  w.nothing_to_read();
  // Within the window's reach it is merely old, and its data is good.
  w.in(data(1, "xyz").ack(1).window(1000));
  w.out(segment(101).ack(4));
  w.read("xyz");
}

// C7: tcp_wmem bounds what a connection queues, in memory: a packet costs 1280 bytes besides its own. Once a third of
// it is free again the writer is told.
WIRE_TEST(Sending, SendBufferIsBounded) {
  w.set("net.ipv4.tcp_wmem", "4096 16384 16384");
  w.establish();
  w.require(w.write_once(stream(1, 100'000)) == 8000, "the eighth packet begins below 16384 bytes, and is filled");
  for (std::uint32_t i = 0; i < 7; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(7001, 1000).ack(1).psh());
  w.write_fails(Error::WouldBlock);
  w.advance(10ms);
  w.in(segment(1).ack(3001));
  w.no_event(event_bits::kWritable);
  w.in(segment(1).ack(4001));
  w.event(event_bits::kWritable);
  w.require(w.write_once(stream(8001, 100'000)) == 4000, "four packets have made room");
  for (std::uint32_t i = 8; i < 11; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(11'001, 1000).ack(1).psh());
}

// As Linux's tcp_sndbuf_expand(): it begins with two initial windows, and has two windows when there is too little in
// it to fill one.
WIRE_TEST(Sending, SendBufferGrowsWithTheWindow) {
  w.establish();
  w.require(w.write_once(stream(1, 100'000)) == 21'000, "two windows of ten segments");
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.advance(10ms);
  w.write_fails(Error::WouldBlock);
  w.in(segment(1).ack(10'001));
  for (std::uint32_t i = 10; i < 20; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(20'001, 1000).ack(1).psh());
  w.event(event_bits::kWritable);
  w.require(w.write_once(stream(21'001, 100'000)) == 30'000, "two windows of twenty");
  for (std::uint32_t i = 21; i < 30; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
}

// What has been SACKed waits for a gap to be filled, and takes its room until then.
WIRE_TEST(Sending, WhatIsSackedTakesRoom) {
  w.set("net.ipv4.tcp_wmem", "4096 16384 16384");
  w.establish();
  w.require(w.write_once(stream(1, 100'000)) == 8000, "eight packets");
  for (std::uint32_t i = 0; i < 7; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(7001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1).sack({{1001, 3001}}));
  w.write_fails(Error::WouldBlock);
  w.in(segment(1).ack(3001));
  w.require(w.write_once(stream(8001, 100'000)) == 3000, "three packets have made room");
  w.out(data(8001, 1000).ack(1));
  w.out(data(9001, 1000).ack(1));
  w.out(data(10'001, 1000).ack(1).psh());
}

// RFC 5681 §4.1: after a pause longer than the timeout the window starts over from the restart window.
WIRE_TEST(Sending, SlowStartAfterIdle) {
  w.establish();
  w.write(stream(1, 20000));
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(10001));
  for (std::uint32_t i = 10; i < 20; ++i) {
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 19 ? std::move(next).psh() : std::move(next));
  }
  w.advance(10ms);
  w.in(segment(1).ack(20001));
  w.require(w.info().snd_cwnd == 20000, "slow start doubled the window");
  w.advance(10s);
  w.write(stream(20001, 20000));
  for (std::uint32_t i = 20; i < 30; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.silent();
}
