// Explicit Congestion Notification (D7, and B4 where a SYN cookie has to remember it): RFC 3168.
#include "wire/language.hpp"

namespace {

// A connection by the peer's SYN whose both sides know of ECN; the peer's MSS is 1000.
void establish_with_ecn(Wire& w) {
  w.listen();
  w.in(syn(0).mss(1000).sack_ok().ece().cwr());
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ece());
  w.advance(10ms);
  w.in(segment(1).ack(1));
  w.accept();
}

}  // namespace

// ---- RFC 3168 §6.1.1: the handshake

WIRE_TEST(Ecn, IsNotAskedForByDefault) {
  w.connect();
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000).ece());
  w.out(segment(1).ack(1));
  w.require(!w.info().ecn, "who did not ask has none");
}

WIRE_TEST(Ecn, IsAskedForWhenSet) {
  w.set("tcp_ecn", "1");
  w.connect();
  w.out(w.our_syn().ece().cwr());
  w.in(syn_ack(0).ack(1).mss(1000).ece());
  w.out(segment(1).ack(1));
  w.require(w.info().ecn, "both sides know of it");
  w.write("hello");
  w.out(data(1, "hello").ack(1).psh().ect());
}

WIRE_TEST(Ecn, APeerWithoutItSaysNothing) {
  w.set("tcp_ecn", "1");
  w.connect();
  w.out(w.our_syn().ece().cwr());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  w.require(!w.info().ecn, "the peer did not agree");
  w.write("hello");
  w.out(data(1, "hello").ack(1).psh());
}

// Some hosts send reserved bits back as they came.
WIRE_TEST(Ecn, AReflectionIsNoAgreement) {
  w.set("tcp_ecn", "1");
  w.connect();
  w.out(w.our_syn().ece().cwr());
  w.in(syn_ack(0).ack(1).mss(1000).ece().cwr());
  w.out(segment(1).ack(1));
  w.require(!w.info().ecn, "both flags came back");
}

WIRE_TEST(Ecn, TheSecondSynDoesWithout) {
  w.set("tcp_ecn", "1");
  w.connect();
  w.out(w.our_syn().ece().cwr());
  w.advance(1000ms);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
}

WIRE_TEST(Ecn, TheSecondSynAsksAgainWithoutFallback) {
  w.set("tcp_ecn", "1");
  w.set("tcp_ecn_fallback", "0");
  w.connect();
  w.out(w.our_syn().ece().cwr());
  w.advance(1000ms);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7).ece().cwr());
}

WIRE_TEST(Ecn, IsAgreedToByDefault) {
  establish_with_ecn(w);
  w.require(w.info().ecn, "both sides know of it");
}

WIRE_TEST(Ecn, IsNotAgreedToWhenOff) {
  w.set("tcp_ecn", "0");
  w.listen();
  w.in(syn(0).mss(1000).ece().cwr());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
  w.require(!w.info().ecn, "we did not agree");
}

// ECE alone asks for nothing; nor is a SYN that was marked on its way to be trusted, for none may be markable.
WIRE_TEST(Ecn, HalfAQuestionIsNone) {
  w.listen();
  w.in(syn(0).mss(1000).ece());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.use(1);
  w.in(syn(0).mss(1000).ece().cwr().ce());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

WIRE_TEST(Ecn, TheSynAckRepeatsItself) {
  w.listen();
  w.in(syn(0).mss(1000).ece().cwr());
  w.out(syn_ack(0).ack(1).mss(w.mss()).ece());
  w.advance(1000ms);
  w.out(syn_ack(0).ack(1).mss(w.mss()).ece());
}

WIRE_TEST(Ecn, GoesWithFastOpen) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /").ece().cwr());
  w.out(syn_ack(0).ack(6).mss(w.mss()).ece());
  w.accept();
  w.read("GET /");
  w.write("answer");
  w.out(data(1, "answer").ack(6).psh().ect());
}

// A SYN cookie keeps it in the timestamp (B4).
WIRE_TEST(Ecn, SurvivesASynCookie) {
  w.set("tcp_syncookies", "2");
  w.listen();
  w.learn_isn();
  w.in(syn(0).mss(1460).sack_ok().ts(800, 0).wscale(5).ece().cwr());
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 800).wscale(7).ece());
  w.in(segment(1).ack(1).ts(801, 0));
  w.accept();
  w.require(w.info().ecn, "the cookie knew");
}

WIRE_TEST(Ecn, IsNotInventedByASynCookie) {
  w.set("tcp_syncookies", "2");
  w.listen();
  w.learn_isn();
  w.in(syn(0).mss(1460).sack_ok().ts(800, 0).wscale(5));
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 800).wscale(7));
  w.in(segment(1).ack(1).ts(801, 0));
  w.accept();
  w.require(!w.info().ecn, "the peer did not ask");
}

// ---- RFC 3168 §6.1.2 and §6.1.5: the sender

// Only what is sent for the first time may be marked: no acknowledgement, nothing repeated, no probe.
WIRE_TEST(Ecn, OnlyNewDataMayBeMarked) {
  establish_with_ecn(w);
  w.write("hello");
  w.out(data(1, "hello").ack(1).psh().ect());
  w.in(data(1, 1000).ack(1));
  w.out(segment(6).ack(1001));
  w.advance(200ms);
  w.advance(10ms);
  w.out(data(1, "hello").ack(1001).psh());
  w.in(segment(1001).ack(6).window(0));
  w.write("more");
  w.advance(210ms);
  w.out(segment(5).ack(1001));
}

WIRE_TEST(Ecn, AnEchoHalvesTheWindowOnce) {
  establish_with_ecn(w);
  w.write(stream(1, 12000));
  for (std::uint32_t at = 1; at < 10000; at += 1000) w.out(data(at, 1000).ack(1).ect());
  w.in(segment(1).ack(1001).ece());
  w.require(w.info().snd_ssthresh == 5000, "half of what was in flight");
  w.require(w.info().ca_state == CaState::Cwr, "the window is being reduced");
  w.out(data(10001, 1000).ack(1).ect().cwr());
  w.in(segment(1).ack(2001).ece());
  w.silent();
  w.require(w.info().snd_ssthresh == 5000, "once in a round trip");
  w.in(segment(1).ack(6001).ece());
  // The peer has heard.
  w.in(segment(1).ack(8001));
  w.out(data(11001, 1000).ack(1).psh().ect());
  w.in(segment(1).ack(12001));
  w.require(w.info().ca_state == CaState::Open, "all that was in flight then has arrived");
  w.counter(Counter::TcpExt_TCPDeliveredCE, 6);
  w.require(w.info().delivered_ce == 6, "six segments were acknowledged with the echo");
  // A mark on what was sent since counts again.
  w.write(stream(12001, 4000));
  for (std::uint32_t at = 12001; at < 15000; at += 1000) w.out(data(at, 1000).ack(1).ect());
  w.out(data(15001, 1000).ack(1).psh().ect());
  w.in(segment(1).ack(13001).ece());
  w.require(w.info().snd_ssthresh == 2000, "half again");
}

// A loss reduces the window, too, and is told likewise; after a mark in the same window it costs nothing more.
WIRE_TEST(Ecn, ALossAfterAMarkReducesNothingMore) {
  establish_with_ecn(w);
  w.write(stream(1, 10000));
  for (std::uint32_t at = 1; at < 9000; at += 1000) w.out(data(at, 1000).ack(1).ect());
  w.out(data(9001, 1000).ack(1).psh().ect());
  w.in(segment(1).ack(1001).ece());
  w.require(w.info().snd_ssthresh == 5000, "half of what was in flight");
  for (std::uint32_t i = 1; i <= 3; ++i) w.in(segment(1).ack(1001).sack({{2001, 2001 + 1000 * i}}));
  w.out(data(1001, 1000).ack(1));
  w.require(w.info().ca_state == CaState::Recovery && w.info().snd_ssthresh == 5000, "and it stays so");
  w.in(segment(1).ack(10001));
  w.require(w.info().ca_state == CaState::Open && w.info().snd_cwnd == 5000, "repaired in the window there is");
}

WIRE_TEST(Ecn, ALossIsToldWithTheNextNewData) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  establish_with_ecn(w);
  w.write(stream(1, 3000));
  w.out(data(1, 1000).ack(1).ect());
  w.out(data(1001, 1000).ack(1).ect());
  w.out(data(2001, 1000).ack(1).psh().ect());
  w.advance(210ms);
  w.out(data(1, 1000).ack(1));
  w.in(segment(1).ack(3001));
  w.write(stream(3001, 1000));
  w.out(data(3001, 1000).ack(1).psh().ect().cwr());
}

// Nobody who did not agree can slow us down.
WIRE_TEST(Ecn, AnEchoWithoutAgreementIsIgnored) {
  w.establish();
  w.write(stream(1, 2000));
  w.out(data(1, 1000).ack(1));
  w.out(data(1001, 1000).ack(1).psh());
  w.in(segment(1).ack(1001).ece());
  w.require(w.info().ca_state == CaState::Open && w.info().delivered_ce == 0, "nothing happened");
}

// ---- RFC 3168 §6.1.3: the receiver

WIRE_TEST(Ecn, AMarkIsEchoedUntilTheSenderSlowsDown) {
  establish_with_ecn(w);
  w.in(data(1, 1000).ack(1).ce());
  w.out(segment(1).ack(1001).ece());
  w.in(data(1001, 1000).ack(1).ect());
  w.out(segment(1).ack(2001).ece());
  w.write("hello");  // data acknowledges, too
  w.out(data(1, "hello").ack(2001).psh().ect().ece());
  w.in(data(2001, 1000).ack(6).ect().cwr());
  w.out(segment(6).ack(3001));
  w.counter(w.v6() ? Counter::Ip6_InCEPkts : Counter::IpExt_InCEPkts, 1);
  w.counter(w.v6() ? Counter::Ip6_InECT0Pkts : Counter::IpExt_InECT0Pkts, 2);
  w.require(w.info().ecn_seen, "the peer's packets may be marked");
}

// The segment that says so may have been marked again.
WIRE_TEST(Ecn, AMarkOnTheVerySegmentCounts) {
  establish_with_ecn(w);
  w.in(data(1, 1000).ack(1).ce());
  w.out(segment(1).ack(1001).ece());
  w.in(data(1001, 1000).ack(1).ce().cwr());
  w.out(segment(1).ack(2001).ece());
}

WIRE_TEST(Ecn, AMarkWithoutAgreementIsIgnored) {
  w.establish();
  w.in(data(1, 1000).ack(1).ce());
  w.out(segment(1).ack(1001));
  w.require(!w.info().ecn_seen, "there is no ECN here");
}

// A super-segment says once that the window was reduced; the device repeats all flags but that one.
WIRE_TEST(Ecn, MergedSegmentsAreCountedOneByOne) {
  establish_with_ecn(w);
  w.in(data(1, 3000).ack(1).ce().segments_of(1000));
  w.out(segment(1).ack(3001).ece());
  w.counter(w.v6() ? Counter::Ip6_InCEPkts : Counter::IpExt_InCEPkts, 3);
}
