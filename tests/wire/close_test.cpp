// Closing (E1 to E5, E9): RFC 9293 §3.6, §3.10.4, §3.10.7.4 "eighth", RFC 2525 §2.17.
#include "wire/language.hpp"

// RFC 9293 §3.6, Figure 12.
WIRE_TEST(Close, FourSegmentsFromOurSide) {
  w.establish();
  w.shutdown_write();
  w.out(fin(1).ack(1));
  w.state(TcpState::FinWait1);
  w.advance(10ms);
  w.in(segment(1).ack(2));
  w.state(TcpState::FinWait2);
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.event(event_bits::kPeerClosed);
  w.ended_with(std::nullopt);
  w.read_end();
  w.population({.connections = 1, .requests = 0, .time_waits = 1, .listeners = 1});
  w.close();
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
  w.advance(60s);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

WIRE_TEST(Close, FourSegmentsFromThePeersSide) {
  w.establish();
  w.in(fin(1).ack(1));
  w.event(event_bits::kPeerClosed | event_bits::kReadable);
  w.state(TcpState::CloseWait);
  w.read_end();
  w.read_end();  // as often as one asks
  w.advance(1ms);
  w.out(segment(1).ack(2));
  // E9: CLOSE_WAIT lasts as long as we like.
  w.advance(24h);
  w.write("bye");
  w.out(data(1, "bye").ack(2).psh());
  w.advance(10ms);
  w.in(segment(2).ack(4));
  w.shutdown_write();
  w.out(fin(4).ack(2));
  w.state(TcpState::LastAck);
  w.in(segment(2).ack(5));
  w.ended_with(std::nullopt);
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 1});
}

// E1: the acknowledgement of a FIN waits a little, for the application may be about to close, too. As Linux, where no
// data has come before, only until the next tick of the clock.
WIRE_TEST(Close, ThreeSegmentsWhenWeCloseInTime) {
  w.establish();
  w.in(fin(1).ack(1));
  w.silent();
  w.advance(900us);
  w.close();
  w.out(fin(1).ack(2));
  w.in(segment(2).ack(2));
  w.stale();
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// The peer closes with our FIN's acknowledgement: three segments from our side, too.
WIRE_TEST(Close, PeersFinAcknowledgesOurs) {
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// RFC 9293 §3.6, Figure 13.
WIRE_TEST(Close, BothSidesAtOnce) {
  w.establish();
  w.shutdown_write();
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(1));
  w.out(segment(2).ack(2));
  w.state(TcpState::Closing);
  w.in(segment(2).ack(2));
  w.ended_with(std::nullopt);
  w.population({.connections = 1, .requests = 0, .time_waits = 1, .listeners = 1});
}

// CLOSING goes on repeating its FIN.
WIRE_TEST(Close, ClosingRepeatsItsFin) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(1));
  w.out(segment(2).ack(2));
  w.advance(210ms);
  w.out(fin(1).ack(2));
  w.in(segment(2).ack(2));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// E1: half-closed, the other direction goes on; FIN_WAIT_2 of an open socket has no limit (E5).
WIRE_TEST(Close, HalfClose) {
  w.establish();
  w.write("request");
  w.out(data(1, "request").ack(1).psh());
  w.shutdown_write();
  w.out(fin(8).ack(1));
  w.write_fails(Error::BrokenPipe);
  w.in(segment(1).ack(9));
  w.state(TcpState::FinWait2);
  w.advance(1h);
  w.in(data(1, "answer").ack(9).psh());
  w.out(segment(9).ack(7));
  w.read("answer");
  w.in(fin(7).data("!").ack(9).psh());
  w.out(segment(9).ack(9));
  w.read("!");
  w.read_end();
  w.ended_with(std::nullopt);
}

// The FIN rides on the last data where that still waits.
WIRE_TEST(Close, FinRidesOnTheLastData) {
  w.establish({.window = 1000});
  w.write(stream(1, 1400));
  w.out(data(1, 500).ack(1));  // half of the largest window that the peer ever offered
  w.out(data(501, 500).ack(1));
  w.close();
  w.advance(10ms);
  w.in(segment(1).ack(1001).window(1000));
  w.out(fin(1001).data(stream(1001, 400)).ack(1).psh());
  w.in(segment(1).ack(1402));
  w.in(fin(1).ack(1402));
  w.out(segment(1402).ack(2));
}

// E2, RFC 2525 §2.17: closing with unread data is a reset.
WIRE_TEST(Close, UnreadDataMakesItAReset) {
  w.establish();
  w.in(data(1, 100).ack(1).psh());
  w.out(segment(1).ack(101));
  w.close();
  w.out(rst(1).ack(101));
  w.stale();
  w.counter(Counter::TcpExt_TCPAbortOnClose, 1);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// E2: data that comes after close: nobody will read it. As Linux, the RST answers the segment.
WIRE_TEST(Close, DataAfterCloseIsReset) {
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.in(data(1, 100).ack(2).psh());
  w.out(rst(2));
  w.counter(Counter::TcpExt_TCPAbortOnData, 1);
  w.dropped(DropReason::TcpAfterClose, 1);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// Also while the FIN is not acknowledged.
WIRE_TEST(Close, DataInFinWait1IsResetOnceClosed) {
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(data(1, 100).ack(1).psh());
  w.out(rst(1));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// Nor will one who has shut down both directions, as Linux.
WIRE_TEST(Close, DataForOneWhoHasShutBothDirectionsIsReset) {
  w.establish();
  w.shutdown_write();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.shutdown_read();
  w.in(data(1, 100).ack(2).psh());
  w.out(rst(2));
  w.counter(Counter::TcpExt_TCPAbortOnData, 1);
  w.ended_with(Error::ConnectionReset);
}

// E3: SO_LINGER with 0.
WIRE_TEST(Close, AbortResets) {
  w.establish();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.abort();
  w.out(rst(101).ack(1));
  w.stale();
  w.counter(Counter::TcpExt_TCPAbortOnData, 1);
  w.in(segment(1).ack(101));
  w.out(rst(101));
}

// E4: the FIN is repeated like data; an orphan's tcp_orphan_retries = 0 stands for 8.
WIRE_TEST(Close, FinIsRepeatedAndGivenUp) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  Duration wait = 210ms;
  for (int i = 0; i < 8; ++i, wait *= 2) {
    w.advance(wait);
    w.out(fin(1).ack(1));
  }
  w.advance(wait - 1ms);
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 1});
  w.advance(1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

WIRE_TEST(Close, OrphanRetriesAreASetting) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.set("net.ipv4.tcp_orphan_retries", "2");
  w.establish();
  w.in(fin(1).ack(1));
  w.close();
  w.out(fin(1).ack(2));
  w.advance(210ms);
  w.out(fin(1).ack(2));
  for (const auto wait : {420ms, 840ms}) {
    w.advance(wait);
    w.out(fin(1).ack(2));
  }
  w.advance(1680ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// E5: an orphan stays tcp_fin_timeout in FIN_WAIT_2.
WIRE_TEST(Close, OrphanLeavesFinWait2) {
  w.set("net.ipv4.tcp_fin_timeout", "30");
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.advance(30s - 1ms);
  w.require(w.stack().population().connections + w.stack().population().time_waits == 1, "it is still known");
  w.advance(1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
  w.in(fin(1).ack(2));
  w.out(rst(2));
}

// E1, three-way by data: what the application wrote before closing is delivered first.
WIRE_TEST(Close, WrittenDataIsDeliveredAfterClose) {
  w.establish();
  w.write(stream(1, 12'000));
  for (std::uint32_t i = 0; i < 10; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.close();
  w.advance(10ms);
  w.in(segment(1).ack(10'001));
  w.out(data(10'001, 1000).ack(1));
  w.out(fin(11'001).data(stream(11'001, 1000)).ack(1).psh());
  w.advance(10ms);
  w.in(fin(1).ack(12'002));
  w.out(segment(12'002).ack(2));
}

// RFC 9293 §3.10.7.4 "eighth": a FIN that comes again is acknowledged again.
WIRE_TEST(Close, RepeatedFinIsAcknowledgedAgain) {
  w.establish();
  w.in(fin(1).ack(1));
  w.advance(1ms);
  w.out(segment(1).ack(2));
  w.advance(200ms);
  w.in(fin(1).ack(1));
  w.out(segment(1).ack(2));
  w.state(TcpState::CloseWait);
}

// Nothing can follow a FIN.
WIRE_TEST(Close, DataBehindTheFinIsDropped) {
  w.establish({.sack = false});
  w.in(fin(1).ack(1));
  w.advance(1ms);
  w.out(segment(1).ack(2));
  w.in(data(2, 100).ack(1));
  w.out(segment(1).ack(2));
  w.read_end();
  w.dropped(DropReason::TcpAfterFin, 1);
}

// A reset ends an orphan, too.
WIRE_TEST(Close, ResetEndsAnOrphan) {
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(rst(1));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// Data and FIN in one segment, with our FIN acknowledged by it.
WIRE_TEST(Close, DataAndFinTogether) {
  w.establish();
  w.shutdown_write();
  w.out(fin(1).ack(1));
  w.in(fin(1).data("last words").ack(2).psh());
  w.out(segment(2).ack(12));
  w.read("last words");
  w.read_end();
  w.ended_with(std::nullopt);
  w.population({.connections = 1, .requests = 0, .time_waits = 1, .listeners = 1});
}
