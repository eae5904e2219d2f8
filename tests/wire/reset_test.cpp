// Resets and SYNs that may be forged (B8): RFC 9293 §3.10.7.4 "second" and "fourth", RFC 5961.
#include "wire/language.hpp"

// RFC 5961 §3.2: the exact number resets.
WIRE_TEST(Reset, ExactNumberResets) {
  w.establish();
  w.in(data(1, 10).ack(1));
  w.out(segment(1).ack(11));
  w.in(rst(11));
  w.ended_with(Error::ConnectionReset);
  w.read(stream(1, 10));  // what came before is still there
  w.read_fails(Error::ConnectionReset);
  w.read_end();
  w.write_fails(Error::BrokenPipe);
  w.counter(Counter::Tcp_EstabResets, 1);
  w.counter(Counter::Tcp_CurrEstab, 0);
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 1});
  w.close();
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

WIRE_TEST(Reset, NumberInTheWindowIsChallenged) {
  w.establish();
  w.in(rst(2));
  w.out(segment(1).ack(1));
  w.state(TcpState::Established);
  w.counter(Counter::TcpExt_TCPChallengeACK, 1);
  w.dropped(DropReason::TcpResetSequence, 1);
  // The real peer answers the challenge with the exact number.
  w.in(rst(1));
  w.ended_with(Error::ConnectionReset);
}

WIRE_TEST(Reset, NumberOutsideTheWindowIsDropped) {
  w.establish();
  w.in(rst(0));
  w.in(rst(1 + 64240 + 1000));
  w.in(rst(2'000'000'000));
  w.state(TcpState::Established);
  w.counter(Counter::TcpExt_TCPChallengeACK, 0);
}

// The acknowledgement number of a RST does not matter, nor does what it carries (RFC 9293 §3.5.3: text that says why).
WIRE_TEST(Reset, AckAndTextOfAResetAreIgnored) {
  w.establish();
  w.in(rst(1).ack(12345).data("because"));
  w.ended_with(Error::ConnectionReset);
  w.read_fails(Error::ConnectionReset);
}

// As Linux: in CLOSE-WAIT the reading side has ended in order already; what fails is writing.
WIRE_TEST(Reset, InCloseWaitItBreaksThePipe) {
  w.establish();
  w.in(fin(1).ack(1));
  w.advance(1ms);
  w.out(segment(1).ack(2));
  w.in(rst(2));
  w.ended_with(Error::BrokenPipe);
}

// RFC 5961 §4.2, B8: a SYN on an established connection is challenged, whatever its number; the peer that has really
// forgotten the connection answers with the exact RST.
WIRE_TEST(Reset, SynIsChallenged) {
  w.establish();
  w.in(syn(1'000'000).mss(1460));
  w.out(segment(1).ack(1));
  w.counter(Counter::TcpExt_TCPChallengeACK, 1);
  w.in(rst(1));
  w.ended_with(Error::ConnectionReset);
}

WIRE_TEST(Reset, SynInTheWindowIsChallenged) {
  w.establish();
  w.in(syn(1).mss(1460));
  w.out(segment(1).ack(1));
  w.counter(Counter::TcpExt_TCPSYNChallenge, 1);
  w.advance(1s);
  w.in(syn_ack(500).ack(1).mss(1460));
  w.out(segment(1).ack(1));
  w.counter(Counter::TcpExt_TCPSYNChallenge, 2);
  w.state(TcpState::Established);
}

// Linux's tcp_invalid_ratelimit: one challenge in 500 ms for each connection.
WIRE_TEST(Reset, ChallengesAreLimitedForEachConnection) {
  w.establish();
  w.in(syn(1000).mss(1460));
  w.out(segment(1).ack(1));
  w.in(syn(1000).mss(1460));
  w.in(rst(7));
  w.counter(Counter::TcpExt_TCPACKSkippedChallenge, 2);
  w.advance(499ms);
  w.in(rst(7));
  w.advance(1ms);
  w.in(rst(7));
  w.out(segment(1).ack(1));
  w.counter(Counter::TcpExt_TCPChallengeACK, 2);
}

// RFC 5961 §7: and so many in a second for all together.
WIRE_TEST(Reset, ChallengesAreLimitedForAll) {
  w.set("net.ipv4.tcp_challenge_ack_limit", "2");
  for (const int n : {0, 1, 2}) {
    w.use(n);
    w.establish();
  }
  for (const int n : {0, 1, 2}) {
    w.use(n);
    w.in(rst(7));
    if (n < 2) w.out(segment(1).ack(1));
  }
  w.counter(Counter::TcpExt_TCPACKSkippedChallenge, 1);
  w.advance(1s);
  w.in(rst(7));
  w.out(segment(1).ack(1));
}

// What comes after the end finds nobody.
WIRE_TEST(Reset, SegmentsAfterAResetAreReset) {
  w.establish();
  w.in(rst(1));
  w.ended_with(Error::ConnectionReset);
  w.in(data(1, 10).ack(1));
  w.out(rst(1));
}
