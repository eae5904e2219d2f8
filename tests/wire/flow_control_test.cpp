// Windows: ours as it is told, the peer's as it binds us (C2, C3). RFC 9293 §3.8.6, RFC 1122 §4.2.3.
#include "wire/language.hpp"

// Receiver's silly-window avoidance (RFC 9293 §3.8.6.2.2), with a buffer of 8000 bytes: half of it is offered at first.
WIRE_TEST(FlowControl, WindowShrinksAsDataWaits) {
  w.set("net.ipv4.tcp_rmem", "4096 8000 8000");
  w.establish();
  w.require(w.first_window() <= 4000, "half of the buffer is offered");
  // The more comes the more is offered, twice what has come, until the buffer is the limit (Linux's rcv_ssthresh).
  const auto first = static_cast<std::uint16_t>(w.first_window() + 2000);
  w.in(data(1, 1000).ack(1));
  w.out(segment(1).ack(1001).window(first));
  w.in(data(1001, 1000).ack(1));
  w.out(segment(1).ack(2001).window(6000));
  w.in(data(2001, 1000).ack(1));
  w.advance(40ms);
  w.out(segment(1).ack(3001).window(5000));
  w.in(data(3001, 1000).ack(1));
  w.advance(40ms);
  w.out(segment(1).ack(4001).window(4000));
  w.in_batch([] {
    std::vector<Segment> batch;
    for (std::uint32_t i = 4; i < 8; ++i) batch.push_back(data(1 + 1000 * i, 1000).ack(1));
    return batch;
  }());
  w.out(segment(1).ack(8001).window(0));
  // Reading a little does not reopen it, reading a segment's worth does (at least a doubling: it was zero).
  w.read(stream(1, 400));
  w.silent();
  w.read(stream(401, 600));
  w.out(segment(1).ack(8001).window(1000));
  w.read(stream(1001, 7000));
  w.out(segment(1).ack(8001).window(8000));
}

// RFC 9293 §3.8.6.1: a probe of a closed window is answered by what the window is; the byte in it is not taken.
WIRE_TEST(FlowControl, ClosedWindowAnswersProbes) {
  w.set("net.ipv4.tcp_rmem", "4096 8000 8000");
  w.establish({.sack = false});
  std::vector<Segment> batch;
  for (std::uint32_t i = 0; i < 8; ++i) batch.push_back(data(1 + 1000 * i, 1000).ack(1));
  // More than the window of the handshake allowed is trimmed: bring it in two batches.
  std::vector<Segment> rest(std::make_move_iterator(batch.begin() + 2), std::make_move_iterator(batch.end()));
  batch.erase(batch.begin() + 2, batch.end());
  w.in_batch(std::move(batch));
  w.out(segment(1).ack(2001));
  w.in_batch(std::move(rest));
  w.out(segment(1).ack(8001).window(0));
  w.advance(1s);
  w.in(data(8001, 1).ack(1));
  w.out(segment(1).ack(8001).window(0));
  w.advance(1s);
  w.in(segment(8000).ack(1));  // Linux's way of probing: an old number, no data
  w.out(segment(1).ack(8001).window(0));
  // An acknowledgement in a segment at the closed window's edge counts all the same (RFC 9293 §3.10.7.4).
  w.write("x");
  w.out(data(1, "x").ack(8001).psh().window(0));
  w.in(segment(8001).ack(2));
  w.require(w.info().unacked == 0, "it is acknowledged");
  w.read(stream(1, 8000));
  w.out(segment(2).ack(8001).window(8000));
}

// RFC 9293 §3.8.6.2.2: what was offered is never taken back, and small advances of the edge are not told.
WIRE_TEST(FlowControl, EdgeNeverMovesBack) {
  w.set("net.ipv4.tcp_rmem", "4096 8000 8000");
  w.establish();
  std::uint32_t next = 1;
  for (int i = 0; i < 39; ++i) {
    w.in(data(next, 150).ack(1));
    next += 150;
    if (i >= 2) w.advance(40ms);  // past the quick start, which a small window shortens
    // The language's model of the window: the edge stays, or moves by a segment at least.
    w.out(segment(1).ack(next));
  }
  w.read(stream(1, next - 1));
  w.out(segment(1).ack(next).window(8000));
}

// ---- the peer's window closes ----

// RFC 9293 §3.8.6.1: probes begin after a retransmission timeout and back off; while the peer answers they never end.
WIRE_TEST(FlowControl, ClosedWindowIsProbedForEver) {
  w.establish();
  w.in(segment(1).ack(1).window(0));
  w.write(stream(1, 100));
  w.silent();
  Duration interval = 210ms;
  w.advance(interval);
  for (int i = 0; i < 40; ++i) {
    // As Linux: an acknowledged number and no data. The peer must answer, and has nothing to take.
    w.out(segment(0).ack(1));
    w.advance(10ms);
    w.in(segment(1).ack(1).window(0));
    interval = std::min<Duration>(2 * interval, 120s);
    w.advance(interval - 10ms);
  }
  w.out(segment(0).ack(1));
  w.state(TcpState::Established);
  w.in(segment(1).ack(1).window(1000));
  w.out(data(1, 100).ack(1).psh());
}

// F2: a peer that does not answer probes at all is given up after tcp_retries2 of them.
WIRE_TEST(FlowControl, UnansweredProbesGiveUp) {
  w.set("net.ipv4.tcp_retries2", "3");
  w.establish();
  w.in(segment(1).ack(1).window(0));
  w.write(stream(1, 100));
  for (const auto wait : {210ms, 420ms, 840ms}) {
    w.advance(wait);
    w.out(segment(0).ack(1));
  }
  w.advance(1680ms);
  w.ended_with(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPAbortOnTimeout, 1);
}

// The window closes behind data in flight: the rest waits, and probing begins when all is acknowledged.
WIRE_TEST(FlowControl, WindowClosesBehindData) {
  w.establish({.window = 2000});
  w.write(stream(1, 3000));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(2001).window(0));
  w.advance(210ms);
  w.out(segment(2000).ack(1));
  w.in(segment(1).ack(2001).window(3000));
  w.out(data(2001, 1000).ack(1).psh());
}

// RFC 9293 §3.8.6.2.1: a window smaller than a segment is not filled with a small one at once; after the override time
// (here the retransmission timeout) what fits goes, so that nothing stands still.
WIRE_TEST(FlowControl, SillyWindowIsNotFilledAtOnce) {
  w.establish();
  w.in(data(1, 1).ack(1));
  w.out(segment(1).ack(2));
  w.in(segment(2).ack(1).window(300));
  w.write(stream(1, 2000));
  w.silent();
  w.advance(210ms);
  w.out(data(1, 300).ack(2).psh());
  w.advance(10ms);
  w.in(segment(2).ack(301).window(2000));
  w.out(data(301, 1000).ack(2));
  w.out(data(1301, 700).ack(2).psh());
}

// What fits as a whole is not silly.
WIRE_TEST(FlowControl, SmallWindowTakesASmallWrite) {
  w.establish();
  w.in(data(1, 1).ack(1));
  w.out(segment(1).ack(2));
  w.in(segment(2).ack(1).window(300));
  w.write(stream(1, 300));
  w.out(data(1, 300).ack(2).psh());
}

// A peer whose whole window is smaller than two segments gets segments of half the window (Linux's
// tcp_bound_to_half_wnd).
WIRE_TEST(FlowControl, SmallPeersGetSmallSegments) {
  w.establish({.window = 1200});
  w.write(stream(1, 3000));
  w.out(data(1, 600).ack(1));
  w.out(data(601, 600).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(601).window(1200));
  w.out(data(1201, 600).ack(1));
}

// A FIN needs no room in the window (Linux sends it into a closed one; RFC 9293 counts it in sequence space only).
WIRE_TEST(FlowControl, FinBehindAClosedWindowWaitsForTheData) {
  w.establish();
  w.in(segment(1).ack(1).window(0));
  w.write(stream(1, 100));
  w.shutdown_write();
  w.advance(210ms);
  w.out(segment(0).ack(1));
  w.in(segment(1).ack(1).window(1000));
  w.out(fin(1).data(stream(1, 100)).ack(1).psh());
}

// A FIN alone waits for the window as data does, also of who has closed.
WIRE_TEST(FlowControl, BareFinBehindAClosedWindowIsProbed) {
  w.establish();
  w.write("abc");
  w.out(data(1, "abc").ack(1).psh());
  w.in(segment(1).ack(4).window(0));
  w.close();
  w.advance(208750us);
  w.out(segment(3).ack(1));
  w.in(segment(1).ack(4).window(0));
  w.advance(417500us);
  w.out(segment(3).ack(1));
  w.in(segment(1).ack(4).window(1000));
  w.out(fin(4).ack(1));
}

// A shrunken window (RFC 9293 §3.8.6, SHLD-14 says that a peer should not, MUST-34 that we survive it): what is beyond
// is sent again only when the window returns.
WIRE_TEST(FlowControl, ShrunkenWindowIsSurvived) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish({.window = 3000});
  w.write(stream(1, 3000));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 1000).ack(1));
  w.out(data(2001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1001).window(1000));
  w.advance(210ms);
  w.out(data(1001, 1000).ack(1));
  w.advance(10ms);
  w.in(segment(1).ack(2001).window(1000));
  w.out(data(2001, 1000).ack(1).psh());
}
