// What is remembered of a path when a connection has ended, and what the next one does with it (D8).
#include "wire/language.hpp"

namespace {

// We close, the peer agrees, all within a moment. `seq`, `ack`: the next number of ours and of the peer's.
void close_in_good_order(Wire& w, std::uint32_t seq = 1, std::uint32_t ack = 1) {
  w.close();
  w.out(fin(seq).ack(ack));
  w.in(fin(ack).ack(seq + 1));
  w.out(segment(seq + 1).ack(ack + 1));
}

// A connection that measures this round-trip time, its handshake, and nothing else: the FIN is answered after `rtt`.
void a_visit(Wire& w, Duration rtt) {
  w.establish({.rtt = rtt});
  w.close();
  w.out(fin(1).ack(1));
  w.advance(rtt);
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
}

TcpMetrics only_entry(Wire& w) {
  const auto entries = w.stack().tcp_metrics(w.now());
  w.require(entries.size() == 1, "one path is known");
  return entries.empty() ? TcpMetrics{} : entries.front();
}

}  // namespace

WIRE_TEST(Metrics, AnOrderlyEndIsRemembered) {
  a_visit(w, 300ms);
  const TcpMetrics known = only_entry(w);
  w.require(known.source == w.own_address() && known.destination == w.peer_address(0), "the two addresses");
  w.require(known.rtt == 300ms && known.rttvar == 300ms, "as Linux, the first time varies by all of itself");
  w.require(known.cwnd == 10 && known.ssthresh == 0 && known.reordering == 0, "a FIN makes no use of the window");
  w.require(known.updated == w.now(), "just now");
  w.use(1);
  a_visit(w, 140ms);
  w.require(only_entry(w).rtt == 280ms, "an eighth of the way to what is shorter");
  w.require(only_entry(w).rttvar == 265ms, "a quarter of the way to the distance, 160 ms");
}

// The handshake took 10 ms, but what came before says that the way may take 300: 300 ms + 2 * 300 ms, until something
// else than a SYN is measured.
WIRE_TEST(Metrics, TheFirstTimeoutAllowsForWhatIsKnown) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  a_visit(w, 300ms);
  w.use(1);
  w.establish();
  w.require(w.info().rto == 900ms && w.info().rtt == 10ms, "what is known counts, what was measured stays");
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.advance(900ms);
  w.out(data(1, 100).ack(1).psh());
  w.in(segment(1).ack(101));
  w.write(stream(101, 100));
  w.out(data(101, 100).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(201));
  w.require(w.info().rto == 210ms, "measured");
}

// What is shorter than the handshake was is of no use.
WIRE_TEST(Metrics, TheFirstTimeoutIsNeverShorterForIt) {
  a_visit(w, 10ms);
  w.use(1);
  w.establish({.rtt = 300ms});
  w.require(w.info().rto == 900ms, "300 ms + 4 * 150 ms");
}

// RFC 6298 §5.7's three seconds are for paths of which nothing is known.
WIRE_TEST(Metrics, AHandshakeThatMeasuresNothingHasThemToGoBy) {
  a_visit(w, 100ms);
  w.use(1);
  w.connect();
  w.out(w.our_syn());
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1000).sack_ok());
  w.out(segment(1).ack(1));
  w.require(w.info().rto == 300ms, "100 ms + 2 * 100 ms");
  w.use(2, 1);
  w.connect();
  w.out(w.our_syn());
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1000).sack_ok());
  w.out(segment(1).ack(1));
  w.require(w.info().rto == 3s, "nothing is known of the other host");
}

// RFC 7413 §4.2.2: a connection that begins with a SYN's data has measured nothing when it first answers.
WIRE_TEST(Metrics, AFastOpenServerHasThemToGoBy) {
  w.listen({.fast_open = 16});
  a_visit(w, 600ms);
  w.use(1);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.accept();
  w.read("GET /");
  w.require(w.info().rto == 1800ms, "600 ms + 2 * 600 ms");
  w.advance(1800ms);
  w.out(syn_ack(0).ack(6).mss(w.mss()));
}

WIRE_TEST(Metrics, AResetTellsNothing) {
  w.establish();
  w.abort();
  w.out(rst(1).ack(1));
  w.use(1);
  w.establish();
  w.in(rst(1));
  w.ended_with(Error::ConnectionReset);
  w.require(w.stack().tcp_metrics(w.now()).empty(), "neither end was in good order");
}

WIRE_TEST(Metrics, ThePeersCloseCountsAsOurs) {
  w.establish({.rtt = 50ms});
  w.in(fin(1).ack(1));
  w.close();
  w.out(fin(1).ack(2));
  w.in(segment(2).ack(2));
  w.stale();
  w.require(only_entry(w).rtt < 50ms, "LAST_ACK is over, and the FIN measured, too");
}

// FIN_WAIT_2 and then TIME_WAIT: one end, not two.
WIRE_TEST(Metrics, AnOrphanIsRememberedOnce) {
  a_visit(w, 100ms);
  w.use(1);
  w.establish({.rtt = 20ms});
  w.close();
  w.out(fin(1).ack(1));
  w.advance(20ms);
  w.in(segment(1).ack(2));
  w.require(only_entry(w).rtt == 90ms, "as soon as nobody waits for it");
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.require(only_entry(w).rtt == 90ms, "once");
}

// Nobody knows how long the way takes now, so what was known does not hold, either.
WIRE_TEST(Metrics, AnEndThatMeasuredNothingForgetsTheTime) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  a_visit(w, 300ms);
  w.use(1);
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.advance(900ms);
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.require(only_entry(w).rtt == Duration::zero() && only_entry(w).cwnd == 10, "of which this FIN is the answer?");
  w.use(2);
  w.establish();
  w.require(w.info().rto == 210ms, "nothing is known");
}

WIRE_TEST(Metrics, NothingIsSavedWhereTheSettingSaysSo) {
  w.set("net.ipv4.tcp_no_metrics_save", "1");
  a_visit(w, 300ms);
  w.require(w.stack().tcp_metrics(w.now()).empty(), "nothing is known");
}

WIRE_TEST(Metrics, AnHourLaterAllIsForgotten) {
  a_visit(w, 300ms);
  w.advance(1h);
  w.require(w.stack().tcp_metrics(w.now()).empty(), "nothing is told");
  w.use(1);
  w.establish();
  w.require(w.info().rto == 210ms, "and nothing used");
}

WIRE_TEST(Metrics, AreForgottenWhenSomebodyAsks) {
  a_visit(w, 300ms);
  w.stack().clear_tcp_metrics();
  w.use(1);
  w.establish();
  w.require(w.info().rto == 210ms && w.stack().tcp_metrics(w.now()).empty(), "nothing is known");
}

// A time-out takes the window down to one segment, and slow start ends at two (RFC 5681 §3.1).
WIRE_TEST(Metrics, TheThresholdOfSlowStartIsKeptByRequest) {
  w.set("tcp_early_retrans", "0");
  w.set("net.ipv4.tcp_no_ssthresh_metrics_save", "0");
  w.establish();
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
  w.advance(210ms);
  w.out(data(1, 1000).ack(1).psh());
  w.in(segment(1).ack(1001));
  w.write(stream(1001, 1000));
  w.out(data(1001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(2001));
  w.require(w.info().snd_ssthresh == 2000 && w.info().snd_cwnd >= 2000, "congestion avoidance");
  close_in_good_order(w, 2001);
  w.require(only_entry(w).ssthresh == 2 && only_entry(w).cwnd == 1, "half of the window, as Linux, the first time");
  w.use(1);
  w.establish();
  w.require(w.info().snd_ssthresh == 2000 && w.info().snd_cwnd == 10000, "slow start is over before it begins");
}

WIRE_TEST(Metrics, TheThresholdOfSlowStartIsLeftOutByDefault) {
  w.set("tcp_early_retrans", "0");
  w.establish();
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
  w.advance(210ms);
  w.out(data(1, 1000).ack(1).psh());
  w.in(segment(1).ack(1001));
  close_in_good_order(w, 1001);
  w.require(only_entry(w).ssthresh == 0, "not kept");
}

// A path that lets segments overtake by nine: the three of RFC 5681 §3.2 above a hole prove nothing there.
WIRE_TEST(Metrics, ReorderingIsExpectedWhereItWasSeen) {
  w.establish();
  w.write(stream(1, 10000));
  for (std::uint32_t i = 0; i < 9; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(9001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in_batch({segment(1).ack(1).sack({{8001, 10001}}), segment(1).ack(10001)});
  w.counter(Counter::TcpExt_TCPSACKReorder, 1);
  close_in_good_order(w, 10001);
  w.require(only_entry(w).reordering == 10, "the first came after the end of the tenth: as Linux counts");

  w.use(1);
  w.establish();
  w.write(stream(1, 10000));
  for (std::uint32_t i = 0; i < 9; ++i) w.out(data(1 + 1000 * i, 1000).ack(1));
  w.out(data(9001, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1).sack({{1001, 4001}}));
  w.silent();
  w.advance(2500us);  // a quarter of the round trip (RFC 8985 §6.2)
  w.out(data(1, 1000).ack(1));
}

// Without cookies the last quarter of tcp_max_syn_backlog is for those who have been here before.
WIRE_TEST(Metrics, APeerThatIsKnownGetsAPlaceInTheQueue) {
  w.set("net.ipv4.tcp_syncookies", "0");
  w.set("net.ipv4.tcp_max_syn_backlog", "8");
  w.listen({.backlog = 100});
  a_visit(w, 10ms);
  for (int n = 1; n <= 7; ++n) {
    w.use(n, 1);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(8, 1);
  w.in(syn(0).mss(1460));
  w.dropped(DropReason::TcpSynQueueFull, 1);
  w.use(9, 0);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}
