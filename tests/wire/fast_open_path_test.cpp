// Paths that swallow Fast Open, during the handshake or behind it (A11): RFC 7413 §4.1.3.1 "Client Caching Negative
// Responses", §7.1.
#include "wire/language.hpp"

namespace {

FastOpenCookie cookie_of(std::string_view bytes) {
  FastOpenCookie cookie;
  cookie.size = static_cast<std::uint8_t>(bytes.size());
  std::ranges::copy(as_bytes(bytes), cookie.bytes.begin());
  return cookie;
}
const FastOpenCookie kCookie = cookie_of("8 bytes.");

void connect_fast(Wire& w) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
}

// The SYN-ACK takes the data; then there is silence.
void connect_and_be_taken(Wire& w) {
  connect_fast(w);
  w.advance(10ms);
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
}

// Of a connection whose SYN with data was lost, the plain SYN a second later, which gets through.
void plain_syn_gets_through(Wire& w) {
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.in(segment(1).ack(6));
  w.outcome(FastOpenOutcome::SynRetransmitted);
}

void lose_syn_data(Wire& w) {
  connect_fast(w);
  w.advance(1s);
  plain_syn_gets_through(w);
}

void connect_the_ordinary_way(Wire& w) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.in(segment(1).ack(6));
  w.outcome(FastOpenOutcome::PathBlackholed);
}

void connect_fast_with_success(Wire& w) {
  connect_and_be_taken(w);
  w.in(data(1, "200 OK").ack(6).psh());
  w.out(segment(6).ack(7));
  w.read("200 OK");
  w.outcome(FastOpenOutcome::Accepted);
}

// What is known once a path was found to be a blackhole so many times in a row.
void have_blackhole(Wire& w, std::uint32_t times) {
  w.have_cookie(kCookie, 1000);
  FastOpenCacheEntry entry = *w.cached();
  entry.blackholes = times;
  entry.retry_after = w.now();
  w.require(w.stack().set_fast_open_cache(entry).has_value(), "the cache takes it");
}

Duration left_alone_for(Wire& w) { return w.cached()->retry_after - w.now(); }

}  // namespace

// Two losses in a row, and this path is left alone for a while; others are not.
WIRE_TEST(FastOpenPath, TwoLostSynsAreABlackhole) {
  w.have_cookie(kCookie, 1000);
  lose_syn_data(w);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
  w.use(1);
  lose_syn_data(w);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.use(2);
  connect_the_ordinary_way(w);
  // Another host is none the worse for it.
  w.use(3, 1);
  w.have_cookie(kCookie, 1000);
  connect_fast_with_success(w);
}

// One loss happens on any path: data that gets through starts the count anew.
WIRE_TEST(FastOpenPath, LossesCountInARow) {
  w.have_cookie(kCookie, 1000);
  lose_syn_data(w);
  w.use(1);
  connect_fast_with_success(w);
  w.use(2);
  lose_syn_data(w);
  w.use(3);
  connect_fast_with_success(w);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// A box may take offence at the option alone.
WIRE_TEST(FastOpenPath, LostRequestsCountToo) {
  for (const int n : {0, 1}) {
    w.use(n);
    w.connect_fast_open("GET /");
    w.out(w.our_syn().tfo_request());
    w.advance(1s);
    plain_syn_gets_through(w);
  }
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.use(2);
  connect_the_ordinary_way(w);
}

// After tcp_fastopen_blackhole_timeout_sec it is tried again; a failure doubles the time, a success ends the matter.
WIRE_TEST(FastOpenPath, ProbesBackOffUntilOneSucceeds) {
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "100");
  w.have_cookie(kCookie, 1000);
  for (const int n : {0, 1}) {
    w.use(n);
    lose_syn_data(w);
  }
  w.advance(100s);
  w.use(2);
  lose_syn_data(w);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 2);
  w.advance(199s);
  w.use(3);
  connect_the_ordinary_way(w);
  w.advance(1s);
  w.use(4);
  connect_fast_with_success(w);
  w.require(w.cached()->syn_losses == 0 && w.cached()->blackholes == 0, "the path works again");
  // One loss is one loss again.
  w.use(5);
  lose_syn_data(w);
  w.use(6);
  connect_fast_with_success(w);
}

// As Linux, 64 times as long at most.
WIRE_TEST(FastOpenPath, BackOffIsBounded) {
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "100");
  w.connect();
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  int connection = 1;
  for (const std::uint32_t times : {5, 6, 7, 8, 1000}) {
    w.use(connection++);
    have_blackhole(w, times);
    lose_syn_data(w);
    w.require(left_alone_for(w) == (times == 5 ? 3200s : 6400s), "the time doubles up to 64 times the base");
  }
}

// While one connection tries, the others go the ordinary way.
WIRE_TEST(FastOpenPath, OneConnectionIsTheProbe) {
  have_blackhole(w, 1);
  connect_fast(w);
  w.use(1);
  connect_the_ordinary_way(w);
  w.use(0);
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  // The SYN has passed. What the path does to the answer is not known yet.
  w.use(2);
  connect_the_ordinary_way(w);
  w.use(0);
  w.in(data(1, "200 OK").ack(6).psh());
  w.out(segment(6).ack(7));
  w.read("200 OK");
  w.use(3);
  connect_fast_with_success(w);
}

// A probe that ends without having shown anything lets the next one try.
WIRE_TEST(FastOpenPath, ProbeThatShowsNothingIsGivenBack) {
  have_blackhole(w, 1);
  connect_fast(w);
  w.abort();
  w.use(1);
  connect_fast(w);
  w.in(rst(0).ack(6));
  w.ended_with(Error::ConnectionRefused);
  w.use(2);
  w.connect_fast_open("");
  w.out(w.our_syn().tfo(kCookie));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  w.outcome(FastOpenOutcome::NoData);
  w.use(3);
  connect_fast_with_success(w);
  w.require(w.cached()->blackholes == 0, "the path works again");
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// A server that takes no data shows all the same that the SYN arrived, and its answer.
WIRE_TEST(FastOpenPath, RefusedDataIsNoBlackhole) {
  have_blackhole(w, 1);
  connect_fast(w);
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.in(data(1, "200 OK").ack(6).psh());
  w.out(segment(6).ack(7));
  w.read("200 OK");
  w.require(w.cached()->blackholes == 0, "the path works again");
}

// Connections that began before the path was known to be a blackhole bring no news of it.
WIRE_TEST(FastOpenPath, ConnectionsSideBySideCountOnce) {
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "100");
  w.have_cookie(kCookie, 1000);
  for (const int n : {0, 1, 2, 3, 4}) {
    w.use(n);
    connect_fast(w);
  }
  w.advance(1s);
  for (const int n : {0, 1, 2, 3, 4}) {
    w.use(n);
    w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  }
  for (const int n : {0, 1, 2, 3, 4}) {
    w.use(n);
    w.in(syn_ack(0).ack(1).mss(1000));
    w.out(data(1, "GET /").ack(1).psh());
    w.in(segment(1).ack(6));
  }
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.require(left_alone_for(w) == 100s, "the time has not doubled");
}

// 0 switches the detection off, and forgives what was found before.
WIRE_TEST(FastOpenPath, DetectionCanBeSwitchedOff) {
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "0");
  w.have_cookie(kCookie, 1000);
  for (const int n : {0, 1, 2, 3}) {
    w.use(n);
    lose_syn_data(w);
  }
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "100");
  w.use(4);
  lose_syn_data(w);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "0");
  w.use(5);
  connect_fast_with_success(w);
}

// ---- nobody answers the SYN at all ---------------------------------------------------------------------------------

// RFC 7413 §4.1.3.1: a box may block the whole connection because of its first SYN. As Linux, at the third time-out.
WIRE_TEST(FastOpenPath, SynWithoutAnyAnswer) {
  w.have_cookie(kCookie, 1000);
  connect_fast(w);
  for (const int seconds : {1, 2}) {
    w.advance(std::chrono::seconds(seconds));
    w.out(syn(0).mss(w.mss()).sack_ok().ts(seconds == 1 ? 1000 : 3000, 0).wscale(7));
  }
  w.advance(4s - 1ms);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
  w.advance(1ms);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(7000, 0).wscale(7));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  // Its fourth SYN gets through: this was said already.
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.in(segment(1).ack(6));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.use(1);
  connect_the_ordinary_way(w);
}

WIRE_TEST(FastOpenPath, SynThatIsGivenUpBefore) {
  w.set("net.ipv4.tcp_syn_retries", "1");
  w.have_cookie(kCookie, 1000);
  connect_fast(w);
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(2s);
  w.ended_with(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
}

// An ordinary connection that nobody answers says nothing of Fast Open.
WIRE_TEST(FastOpenPath, OrdinarySynWithoutAnswerSaysNothing) {
  w.set("net.ipv4.tcp_syn_retries", "1");
  w.connect({.data = "GET /"});
  w.out(w.our_syn());
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(2s);
  w.ended_with(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// ---- silence after the handshake -----------------------------------------------------------------------------------

// RFC 7413 §7.1: a box that does not understand data in a SYN may swallow what follows it. As Linux, at the third
// time-out in a row.
WIRE_TEST(FastOpenPath, SilenceAfterTheHandshake) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.write(" more");
  w.out(data(6, " more").ack(1).psh());
  for (const int ms : {210, 420}) {
    w.advance(std::chrono::milliseconds(ms));
    w.out(data(6, " more").ack(1).psh());
  }
  w.advance(839ms);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
  w.advance(1ms);
  w.out(data(6, " more").ack(1).psh());
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.counter(Counter::TcpExt_TCPFastOpenActiveFail, 1);
  w.use(1);
  connect_the_ordinary_way(w);
}

// Once an answer has come, time-outs have other reasons (here Linux would blame Fast Open).
WIRE_TEST(FastOpenPath, SilenceAfterAnAnswerIsAnotherMatter) {
  w.have_cookie(kCookie, 1000);
  connect_fast_with_success(w);
  w.write(" more");
  w.out(data(6, " more").ack(7).psh());
  for (const int ms : {210, 420, 840}) {
    w.advance(std::chrono::milliseconds(ms));
    w.out(data(6, " more").ack(7).psh());
  }
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// A client that has nothing more to say notices by keepalive.
WIRE_TEST(FastOpenPath, KeepaliveFindsTheSilence) {
  w.have_cookie(kCookie, 1000);
  w.connect({.fast_open = FastOpenMode::Now,
             .data = "GET /",
             .options = {.keepalive = true, .keepidle = 10, .keepintvl = 5, .keepcnt = 1}});
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  w.advance(10s);
  w.out(segment(5).ack(1));
  w.advance(5s);
  w.out(rst(6).ack(1));
  w.ended_with(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
}

// Or when it gives up: its FIN is not acknowledged either.
WIRE_TEST(FastOpenPath, UnansweredFinIsSilence) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.close();
  w.out(fin(6).ack(1));
  for (const int ms : {210, 420, 840}) {
    w.advance(std::chrono::milliseconds(ms));
    w.out(fin(6).ack(1));
  }
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
}

// Nothing is known of a connection that the application gives up.
WIRE_TEST(FastOpenPath, AbortSaysNothing) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.abort();
  w.out(rst(6).ack(1));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// The server's RST comes ahead of bytes that somebody has taken off the path (as Linux).
WIRE_TEST(FastOpenPath, ResetOutOfOrder) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.in(rst(101));
  w.out(segment(6).ack(1));
  w.state(TcpState::Established);
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.use(1);
  connect_the_ordinary_way(w);
}

WIRE_TEST(FastOpenPath, ResetOutOfOrderAfterAnAnswer) {
  w.have_cookie(kCookie, 1000);
  connect_fast_with_success(w);
  w.in(rst(101));
  w.out(segment(6).ack(7));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// Nor may anybody who does not know the window blame Fast Open.
WIRE_TEST(FastOpenPath, ForgedResetIsNoEvidence) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.in(rst(0x40000000));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// A FIN alone waits behind bytes that never come (as Linux, which looks when the connection is gone).
WIRE_TEST(FastOpenPath, FinOutOfOrderAlone) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.in(fin(101).ack(6));
  w.out(segment(6).ack(1));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
  w.abort();
  w.out(rst(6).ack(1));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
}

// With data before the FIN it was an ordinary loss.
WIRE_TEST(FastOpenPath, FinOutOfOrderBehindData) {
  w.have_cookie(kCookie, 1000);
  connect_and_be_taken(w);
  w.in(data(100, "x").ack(6));
  w.out(segment(6).ack(1));
  w.in(fin(101).ack(6));
  w.out(segment(6).ack(1));
  w.abort();
  w.out(rst(6).ack(1));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 0);
}

// A probe may fail behind the handshake, too: the time doubles.
WIRE_TEST(FastOpenPath, ProbeFailsBehindTheHandshake) {
  w.set("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "100");
  have_blackhole(w, 1);
  connect_and_be_taken(w);
  w.in(rst(101));
  w.out(segment(6).ack(1));
  w.counter(Counter::TcpExt_TCPFastOpenBlackhole, 1);
  w.require(left_alone_for(w) == 200s, "twice the base");
}
