// Opening a connection that the peer asks for (B1, B2, B3, B5, B7): RFC 9293 §3.5, §3.10.7.1, §3.10.7.2.
#include "wire/language.hpp"

// RFC 9293 §3.5, Figure 6.
WIRE_TEST(HandshakePassive, ThreeSegmentsMakeAConnection) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.population({.connections = 0, .requests = 1, .time_waits = 0, .listeners = 1});
  w.nothing_to_accept();
  w.in(segment(1).ack(1));
  w.acceptable();
  w.accept();
  w.state(TcpState::Established);
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 1});
  w.counter(Counter::Tcp_PassiveOpens, 1);
  w.counter(Counter::Tcp_CurrEstab, 1);
}

// B7: the connection completes and data is acknowledged without the application calling accept.
WIRE_TEST(HandshakePassive, DataIsTakenBeforeAccept) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.in(data(1, "hello").ack(1).psh());
  w.out(segment(1).ack(6).any_window());  // nobody has accepted, so the test does not follow what is read
  w.accept();
  w.read("hello");
  w.nothing_to_read();
}

// RFC 9293 §3.10.7.4: the ACK of the handshake may carry data.
WIRE_TEST(HandshakePassive, LastAckMayCarryData) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(data(1, "hello").ack(1).psh());
  w.out(segment(1).ack(6));
  w.accept();
  w.read("hello");
}

// The last ACK was lost; the data behind it carries the same acknowledgement.
WIRE_TEST(HandshakePassive, DataBehindALostLastAckCompletesIt) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(data(101, 100).ack(1));  // its first hundred bytes were lost with it
  w.out(segment(1).ack(1));
  w.accept();
  w.in(data(1, 100).ack(1));
  w.out(segment(1).ack(201));
  w.read(stream(1, 200));
}

// The last segment of a handshake may be the FIN already.
WIRE_TEST(HandshakePassive, LastAckMayCarryFin) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(fin(1).ack(1).data("bye").psh());
  w.accept();
  w.state(TcpState::CloseWait);
  w.advance(40ms);
  w.out(segment(1).ack(5));
  w.read("bye");
  w.read_end();
}

// RFC 9293 §3.7.1 and SHLD-6: data in a SYN without Fast Open is not acknowledged; the peer sends it again.
WIRE_TEST(HandshakePassive, DataInAPlainSynIsNotTaken) {
  w.listen();
  w.in(syn(0).mss(1460).data("early"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(data(1, "early").ack(1).psh());
  w.out(segment(1).ack(6));
  w.accept();
  w.read("early");
}

// B5, RFC 6298 §5.5: 1 s, then doubled each time, tcp_synack_retries = 5 times; after another doubling it is over.
WIRE_TEST(HandshakePassive, SynAckIsRepeatedWithBackOffAndGivenUp) {
  w.listen();
  w.in(syn(0).mss(1460).sack_ok().ts(700, 0));
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 700));
  std::uint32_t ms = 0;
  for (const int seconds : {1, 2, 4, 8, 16}) {
    w.advance(std::chrono::seconds(seconds));
    ms += static_cast<std::uint32_t>(seconds) * 1000;
    w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(ms, 700));
  }
  w.advance(32s - 1ms);
  w.population({.connections = 0, .requests = 1, .time_waits = 0, .listeners = 1});
  w.advance(1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
  // Too late.
  w.in(segment(1).ack(1));
  w.out(rst(1));
}

WIRE_TEST(HandshakePassive, SynAckRetriesAreASetting) {
  w.set("net.ipv4.tcp_synack_retries", "1");
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(1s);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(2s);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// A client that repeats its SYN has missed our SYN-ACK.
WIRE_TEST(HandshakePassive, RepeatedSynIsAnsweredAgain) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(600ms);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
}

// RFC 6298 §5.7 (Linux's TCP_TIMEOUT_FALLBACK): without a measurement from the handshake the first timeout is 3 s.
WIRE_TEST(HandshakePassive, LostSynAckMakesTheFirstTimeoutThreeSeconds) {
  w.listen();
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(1s);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.advance(3s);
  w.out(data(1, 100).ack(1).psh());
}

// With timestamps the handshake is measured all the same (RFC 7323 §4.1).
WIRE_TEST(HandshakePassive, TimestampsMeasureARepeatedSynAck) {
  w.listen();
  w.in(syn(0).mss(1000).ts(500, 0));
  w.out(syn_ack(0).ack(1).mss(w.mss()).ts(0, 500));
  w.advance(1s);
  w.out(syn_ack(0).ack(1).mss(w.mss()).ts(1000, 500));
  w.advance(10ms);
  w.in(segment(1).ack(1).ts(1510, 1000));
  w.accept();
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh().ts(1010, 1510));
  w.advance(210ms);
  w.out(data(1, 100).ack(1).psh().ts(1220, 1510));
}

// RFC 9293 §3.10.7.4 "fifth", SYN-RECEIVED: an acknowledgement of what was never sent gets a RST; the request stays.
WIRE_TEST(HandshakePassive, WrongAckOfSynAckIsReset) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(5000));
  w.out(rst(5000));
  w.in(segment(1).ack(0));
  w.out(rst(0));
  w.in(segment(1).ack(1));
  w.accept();
}

// RFC 9293 §3.10.7.4 "second", SYN-RECEIVED: back to LISTEN, nobody is told.
WIRE_TEST(HandshakePassive, ResetEndsTheRequest) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(rst(1));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
  w.counter(Counter::TcpExt_EmbryonicRsts, 1);
  w.in(segment(1).ack(1));
  w.out(rst(1));
  w.nothing_to_accept();
}

// A RST that a blind attacker sends beside the window changes nothing.
WIRE_TEST(HandshakePassive, ResetOutsideTheWindowIsIgnored) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(rst(500'000));
  w.population({.connections = 0, .requests = 1, .time_waits = 0, .listeners = 1});
  w.in(segment(1).ack(1));
  w.accept();
}

// B7, RFC 9293 §3.10.7.1: no socket, RST. With an ACK the RST takes its number; without one it acknowledges.
WIRE_TEST(HandshakePassive, NoListenerMeansReset) {
  w.use(0);
  w.in(syn(0).mss(1460));
  w.out(rst(0).raw_seq().ack(1));
  w.in(syn(0).mss(1460).data("12345"));
  w.out(rst(0).raw_seq().ack(6));
  w.in(segment(77).ack(3000));
  w.out(rst(3000));
  w.in(data(77, "12345").ack(3000).psh());
  w.out(rst(3000));
  w.in(fin(77));
  w.out(rst(0).raw_seq().ack(78));
  w.in(data(77, "12345"));
  w.out(rst(0).raw_seq().ack(82));
  w.counter(Counter::Tcp_OutRsts, 6);
}

// RFC 9293 §3.10.7.1: "An incoming segment containing a RST is discarded."
WIRE_TEST(HandshakePassive, ResetForNoSocketIsNotAnswered) {
  w.in(rst(0));
  w.in(rst(0).ack(1));
  w.dropped(DropReason::TcpResetForNoSocket, 2);
}

// RFC 9293 §3.10.7.2, LISTEN: RST ignored, ACK reset, anything else without SYN dropped; a SYN that is also a FIN is
// nonsense.
WIRE_TEST(HandshakePassive, ListenerTakesSynOnly) {
  w.listen();
  w.in(rst(0));
  w.in(segment(0));
  w.in(fin(0));
  w.in(data(0, "abc"));
  w.in(syn(0).flags(flag::kSyn | flag::kFin));
  w.in(segment(10).ack(20));
  w.out(rst(20));
  w.in(syn_ack(10).ack(20));
  w.out(rst(20));
  w.in(syn(0).flags(flag::kSyn | flag::kRst));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// B3: the accept queue holds one more than its limit, as Linux's; when it is full the last ACK is dropped, and the
// connection comes about once there is room.
WIRE_TEST(HandshakePassive, FullAcceptQueueDelaysTheConnection) {
  w.listen({.backlog = 2});
  for (const int n : {0, 1, 2, 3}) {
    w.use(n);
    if (n == 3) continue;
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    w.in(segment(1).ack(1));
    if (n != 1) continue;
    // While there is still room the fourth asks.
    w.use(3);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(3);
  w.in(segment(1).ack(1));
  w.counter(Counter::TcpExt_ListenOverflows, 1);
  w.counter(Counter::TcpExt_ListenDrops, 1);
  w.population({.connections = 3, .requests = 1, .time_waits = 0, .listeners = 1});
  w.advance(1s);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.use(0);
  w.accept();
  w.use(3);
  w.in(segment(1).ack(1));
  w.use(1);
  w.accept();
  w.use(2);
  w.accept();
  w.use(3);
  w.accept();
  w.state(TcpState::Established);
}

// While the accept queue is full not even a SYN is taken (Linux's tcp_conn_request).
WIRE_TEST(HandshakePassive, FullAcceptQueueDropsSyns) {
  w.listen({.backlog = 1});
  for (const int n : {0, 1}) {
    w.use(n);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    w.in(segment(1).ack(1));
  }
  w.use(2);
  w.in(syn(0).mss(1460));
  w.counter(Counter::TcpExt_ListenOverflows, 1);
  w.dropped(DropReason::TcpAcceptQueueFull, 1);
  w.use(0);
  w.accept();
  w.use(2);
  w.advance(1s);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

// B3: with tcp_abort_on_overflow a RST says so.
WIRE_TEST(HandshakePassive, AbortOnOverflowResets) {
  w.set("net.ipv4.tcp_abort_on_overflow", "1");
  w.listen({.backlog = 2});
  for (const int n : {0, 1}) {
    w.use(n);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    w.in(segment(1).ack(1));
  }
  for (const int n : {2, 3}) {
    w.use(n);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(2);
  w.in(segment(1).ack(1));
  w.use(3);
  w.in(segment(1).ack(1));
  w.out(rst(1));
  w.population({.connections = 3, .requests = 0, .time_waits = 0, .listeners = 1});
}

// B2: net.core.somaxconn cuts the backlog.
WIRE_TEST(HandshakePassive, SomaxconnCutsTheBacklog) {
  w.set("net.core.somaxconn", "1");
  w.listen({.backlog = 100});
  for (const int n : {0, 1, 2}) {
    w.use(n);
    w.in(syn(0).mss(1460));
    if (n == 2) break;
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    w.in(segment(1).ack(1));
  }
  w.dropped(DropReason::TcpAcceptQueueFull, 1);
}

// B4, without SYN cookies: a full SYN queue drops. It holds one more than the limit, as Linux's.
WIRE_TEST(HandshakePassive, FullSynQueueDropsSyns) {
  w.set("net.ipv4.tcp_syncookies", "0");
  w.listen({.backlog = 1});
  int answered = 0;
  for (int n = 0; n < 2; ++n, ++answered) {
    w.use(n);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(2);
  w.in(syn(0).mss(1460));
  w.counter(Counter::TcpExt_TCPReqQFullDrop, 1);
  w.dropped(DropReason::TcpSynQueueFull, 1);
  w.use(0);
  w.in(rst(1));
  w.use(2);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

// A reset before anybody accepted: the connection is handed out once more to tell of it.
WIRE_TEST(HandshakePassive, ResetBeforeAcceptIsReportedByTheConnection) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.in(rst(1));
  w.accept();
  w.ended_with(Error::ConnectionReset);
  w.read_fails(Error::ConnectionReset);
  w.read_end();
}

// Closing the listener forgets its requests and resets whom nobody accepted.
WIRE_TEST(HandshakePassive, ClosingTheListenerResetsTheUnaccepted) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.use(1);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.close_listener();
  w.out(rst(1).ack(1).any_window());
  w.use(0);
  w.in(segment(1).ack(1));
  w.out(rst(1));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 0});
}

// An accepted connection lives on without its listener.
WIRE_TEST(HandshakePassive, AcceptedConnectionOutlivesTheListener) {
  w.establish();
  w.close_listener();
  w.in(data(1, "still here").ack(1).psh());
  w.out(segment(1).ack(11));
  w.read("still here");
}
