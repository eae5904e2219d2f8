// Opening a connection to a peer (B1, B5): RFC 9293 §3.5, §3.10.1, §3.10.7.3.
#include "wire/language.hpp"

WIRE_TEST(HandshakeActive, ThreeSegmentsMakeAConnection) {
  w.connect();
  w.out(w.our_syn());
  w.state(TcpState::SynSent);
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1460).sack_ok().ts(500, 0).wscale(3).window(1000));
  w.out(segment(1).ack(1).ts(10, 500));
  w.event(event_bits::kEstablished);
  w.state(TcpState::Established);
  w.counter(Counter::Tcp_ActiveOpens, 1);
  const ConnectionInfo info = w.info();
  w.require(info.timestamps && info.sack && info.snd_wscale == 3 && info.rcv_wscale == 7, "all options are agreed on");
  w.require(info.snd_wnd == 1000, "the window of a SYN-ACK is not scaled (RFC 7323 §2.2)");
  w.require(info.rtt == 10ms, "the handshake measures the round trip");
}

// B5, RFC 6298 §5.5: 1 s, doubled each time, tcp_syn_retries = 6 times, then ETIMEDOUT after another doubling: 127 s.
WIRE_TEST(HandshakeActive, SynIsRepeatedWithBackOffAndGivenUp) {
  w.connect();
  w.out(w.our_syn());
  std::uint32_t ms = 0;
  for (const int seconds : {1, 2, 4, 8, 16, 32}) {
    w.advance(std::chrono::seconds(seconds));
    ms += static_cast<std::uint32_t>(seconds) * 1000;
    w.out(syn(0).mss(w.mss()).sack_ok().ts(ms, 0).wscale(7));
  }
  w.advance(64s - 1ms);
  w.state(TcpState::SynSent);
  w.advance(1ms);
  w.ended_with(Error::TimedOut);
  w.write_fails(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPSynRetrans, 6);
  w.counter(Counter::Tcp_AttemptFails, 1);
}

WIRE_TEST(HandshakeActive, SynRetriesAreASetting) {
  w.set("net.ipv4.tcp_syn_retries", "1");
  w.connect();
  w.out(w.our_syn());
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(2s);
  w.ended_with(Error::TimedOut);
}

// tcp_syn_linear_timeouts come on top of tcp_syn_retries, without back-off.
WIRE_TEST(HandshakeActive, LinearTimeoutsComeFirst) {
  w.set("net.ipv4.tcp_syn_retries", "2");
  w.set("net.ipv4.tcp_syn_linear_timeouts", "3");
  w.connect();
  w.out(w.our_syn());
  std::uint32_t ms = 0;
  for (const int seconds : {1, 1, 1, 1, 2}) {
    w.advance(std::chrono::seconds(seconds));
    ms += static_cast<std::uint32_t>(seconds) * 1000;
    w.out(syn(0).mss(w.mss()).sack_ok().ts(ms, 0).wscale(7));
  }
  w.advance(4s);
  w.ended_with(Error::TimedOut);
}

// But the whole takes no longer than the doubling ones alone would, 1 + 2 s here.
WIRE_TEST(HandshakeActive, LinearTimeoutsEndWithTheDoublingOnes) {
  w.set("net.ipv4.tcp_syn_retries", "1");
  w.set("net.ipv4.tcp_syn_linear_timeouts", "4");
  w.connect();
  w.out(w.our_syn());
  for (const std::uint32_t ms : {1000u, 2000u}) {
    w.advance(1s);
    w.out(syn(0).mss(w.mss()).sack_ok().ts(ms, 0).wscale(7));
  }
  w.advance(1s);
  w.ended_with(Error::TimedOut);
}

// RFC 9293 §3.10.7.3 "second": RST with an acceptable ACK.
WIRE_TEST(HandshakeActive, ResetRefusesTheConnection) {
  w.connect();
  w.out(w.our_syn());
  w.in(rst(0).ack(1));
  w.ended_with(Error::ConnectionRefused);
  w.write_fails(Error::ConnectionRefused);
  w.write_fails(Error::BrokenPipe);
}

// RFC 9293 §3.10.7.3: a RST that acknowledges nothing of ours, or nothing at all, is dropped.
WIRE_TEST(HandshakeActive, ResetWithoutOurNumberIsIgnored) {
  w.connect();
  w.out(w.our_syn());
  w.in(rst(0));
  w.in(rst(0).ack(5000));
  w.in(rst(0).ack(0));
  w.state(TcpState::SynSent);
  w.in(syn_ack(0).ack(1).mss(1460));
  w.out(segment(1).ack(1));
  w.event(event_bits::kEstablished);
}

// RFC 9293 §3.10.7.3 "first": an unacceptable ACK is answered by RST, and the SYN goes on (the peer has an old
// connection).
WIRE_TEST(HandshakeActive, UnacceptableAckIsReset) {
  w.connect();
  w.out(w.our_syn());
  w.in(segment(9000).ack(5000));
  w.out(rst(5000));
  w.in(syn_ack(0).ack(5000).mss(1460));
  w.out(rst(5000));
  w.in(syn_ack(0).ack(0).mss(1460));
  w.out(rst(0));
  w.state(TcpState::SynSent);
  // The RST has ended it, and the SYN need not wait for its time-out. Only once: the peer could go on like that.
  w.advance(10ms);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(10, 0).wscale(7));
  w.in(segment(9000).ack(5000));
  w.out(rst(5000));
  w.advance(2s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(2010, 0).wscale(7));
  w.in(syn_ack(0).ack(1).mss(1460));
  w.out(segment(1).ack(1));
}

// RFC 9293 §3.10.7.3 "fifth": neither SYN nor RST.
WIRE_TEST(HandshakeActive, AckWithoutSynIsDropped) {
  w.connect();
  w.out(w.our_syn());
  w.in(segment(1).ack(1));
  w.in(data(1, "abc").ack(1));
  w.in(fin(1));
  w.state(TcpState::SynSent);
}

// RFC 9293 §3.10.7.3 "fourth": a SYN-ACK may carry data.
WIRE_TEST(HandshakeActive, SynAckMayCarryData) {
  w.connect();
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1460).data("banner").psh());
  w.out(segment(1).ack(7));
  w.read("banner");
}

// A SYN-ACK that comes again says that our ACK was lost (RFC 9293 §3.10.7.4 "first": not acceptable, acknowledge).
WIRE_TEST(HandshakeActive, RepeatedSynAckIsAcknowledgedAgain) {
  w.establish_active();
  w.advance(1s);
  w.in(syn_ack(0).ack(1).mss(1000).sack_ok());
  w.out(segment(1).ack(1));
  w.state(TcpState::Established);
}

// B1, RFC 9293 §3.5, Figure 7: two SYNs cross. As Linux: the SYN-ACK repeats a SYN that came before, and the
// acknowledgement says so (RFC 2883).
WIRE_TEST(HandshakeActive, SimultaneousOpen) {
  w.connect({.local_port = 5000});
  w.out(w.our_syn());
  w.in(syn(0).mss(1460).sack_ok().ts(800, 0).wscale(2));
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 800).wscale(7));
  w.state(TcpState::SynReceived);
  w.in(syn_ack(0).ack(1).mss(1460).sack_ok().ts(800, 0).wscale(2));
  w.out(segment(1).ack(1).ts(0, 800).sack({{0, 1}}));
  w.event(event_bits::kEstablished);
  w.state(TcpState::Established);
  w.write("x");
  w.out(data(1, "x").ack(1).psh().ts(0, 800));
}

// The other side's SYN-ACK was lost and its data is what comes.
WIRE_TEST(HandshakeActive, SimultaneousOpenEndsWithAnyAck) {
  w.connect({.local_port = 5000});
  w.out(w.our_syn());
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(data(1, "abc").ack(1).psh());
  w.out(segment(1).ack(4));
  w.state(TcpState::Established);
  w.read("abc");
}

// In SYN-RECEIVED after a simultaneous open the SYN-ACK is what is repeated.
WIRE_TEST(HandshakeActive, SimultaneousOpenRepeatsItsSynAck) {
  w.connect({.local_port = 5000});
  w.out(w.our_syn());
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(1s);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(rst(1));
  w.ended_with(Error::ConnectionRefused);
}

// B1: a socket connected to itself: its SYN is the one that crosses it.
WIRE_TEST(HandshakeActive, SelfConnect) {
  w.set("net.ipv4.tcp_timestamps", "0");  // they would echo themselves
  w.use(1, Wire::kSelf);
  w.connect({.local_port = 5000, .remote_port = 5000});
  w.out(syn(0).mss(w.mss()).sack_ok().wscale(7));
  w.loop_back();
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().wscale(7));
  w.loop_back();
  w.out(segment(1).ack(1).any_window().sack({{0, 1}}));
  w.loop_back();
  w.state(TcpState::Established);
  w.write("h");
  w.out(data(1, "h").ack(1).psh().any_window());
  w.loop_back();
  w.out(segment(2).ack(2).any_window());
  w.loop_back();
  w.read("h");
  w.require(w.info().unacked == 0, "it is acknowledged");
}

// What was written before the handshake ends goes out with its end.
WIRE_TEST(HandshakeActive, EarlyWritesFollowTheHandshake) {
  w.connect();
  w.out(w.our_syn());
  w.write(stream(1, 1500));
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 500).ack(1).psh());
}

// RFC 9293 §3.10.4: close in SYN-SENT deletes the connection; what answers later finds nobody.
WIRE_TEST(HandshakeActive, CloseInSynSentForgets) {
  w.connect();
  w.out(w.our_syn());
  w.close();
  w.stale();
  w.in(syn_ack(0).ack(1).mss(1460));
  w.out(rst(1));
}

// RFC 9293 §3.10.4, SYN-SENT with half-close by the application: the FIN waits for the handshake.
WIRE_TEST(HandshakeActive, ShutdownInSynSentSendsFinLater) {
  w.connect();
  w.out(w.our_syn());
  w.write("abc");
  w.shutdown_write();
  w.in(syn_ack(0).ack(1).mss(1460));
  w.out(fin(1).data("abc").ack(1).psh());
  w.state(TcpState::FinWait1);
}

// A lost SYN: no measurement without timestamps, so 3 s (RFC 6298 §5.7).
WIRE_TEST(HandshakeActive, LostSynMakesTheFirstTimeoutThreeSeconds) {
  w.set("net.ipv4.tcp_timestamps", "0");
  w.connect();
  w.out(syn(0).mss(w.mss()).sack_ok().wscale(7));
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().wscale(7));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.advance(3s);
  w.out(data(1, 100).ack(1).psh());
}

// Ports: an ephemeral one from ip_local_port_range, and never one that is taken for the same destination.
WIRE_TEST(HandshakeActive, PortsComeFromTheRange) {
  w.set("net.ipv4.ip_local_port_range", "50000 50001");
  w.connect();
  w.out(w.our_syn());
  w.use(1);
  // Towards the same destination, so the other port.
  w.connect({}, Where::current());
  w.learn_isn();
  w.out(w.our_syn());
  w.use(2);
  w.connect_fails({}, Error::AddressNotAvailable);
}
