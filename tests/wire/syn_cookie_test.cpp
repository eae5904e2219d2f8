// SYN cookies (B4): RFC 4987 §3.6, and what Linux puts into the timestamp.
#include "wire/language.hpp"

namespace {

// A listener whose SYN queue is full, and a connection of its own for the test.
void fill_queue(Wire& w) {
  w.listen({.backlog = 1});
  for (const int n : {1, 2}) {
    w.use(n);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(0);
  w.learn_isn();  // it carries the cookie
}

}  // namespace

WIRE_TEST(SynCookie, IsSentWhereTheQueueIsFull) {
  fill_queue(w);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.population({.connections = 0, .requests = 2, .time_waits = 0, .listeners = 1});
  w.counter(Counter::TcpExt_SyncookiesSent, 1);
  w.counter(Counter::TcpExt_TCPReqQFullDoCookies, 1);
  w.advance(900ms);  // nothing is kept, so nothing is repeated
  w.in(segment(1).ack(1));
  w.counter(Counter::TcpExt_SyncookiesRecv, 1);
  w.accept();
  w.state(TcpState::Established);
  w.in(data(1, "hello").ack(1).psh());
  w.out(segment(1).ack(6).any_window());
  w.read("hello");
}

// The MSS comes back as the next lower one of four; without timestamps there is room for nothing else.
WIRE_TEST(SynCookie, KeepsTheMss) {
  fill_queue(w);
  w.in(syn(0).mss(1450).sack_ok().wscale(7));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
  const ConnectionInfo info = w.info();
  w.require(!info.sack && !info.timestamps && info.snd_wscale == 0 && info.rcv_wscale == 0, "no option is agreed on");
  w.require(info.snd_mss == 1440u, "1450 is kept as 1440");
}

// With them, window scale and SACK ride in the lowest bits.
WIRE_TEST(SynCookie, KeepsOptionsInTheTimestamp) {
  fill_queue(w);
  w.advance(50ms);
  w.in(syn(0).mss(1460).sack_ok().ts(800, 0).wscale(5));
  // The first timestamp of ours that this peer sees counts as 0; the bits in it are looked at when it comes back.
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 800).wscale(7));
  w.in(segment(1).ack(1).ts(801, 0));
  w.accept();
  const ConnectionInfo info = w.info();
  w.require(info.sack && info.timestamps && info.snd_wscale == 5 && info.rcv_wscale == 7, "all options are agreed on");
}

WIRE_TEST(SynCookie, OptionsThatWereNotOfferedAreNotRemembered) {
  fill_queue(w);
  w.in(syn(0).mss(1460).ts(800, 0));
  w.out(syn_ack(0).ack(1).mss(w.mss()).ts(0, 800));
  w.in(segment(1).ack(1).ts(801, 0));
  w.accept();
  const ConnectionInfo info = w.info();
  w.require(!info.sack && info.timestamps && info.snd_wscale == 0 && info.rcv_wscale == 0, "timestamps alone");
}

// The ACK may be lost and data come first; and data may come with it.
WIRE_TEST(SynCookie, DataBringsItToo) {
  fill_queue(w);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(data(1, "GET /").ack(1).psh());
  w.out(segment(1).ack(6).any_window());
  w.accept();
  w.read("GET /");
}

WIRE_TEST(SynCookie, AGuessIsRefused) {
  fill_queue(w);
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(100));
  w.out(rst(100));
  w.in(segment(7).ack(1));  // another client's number
  w.out(rst(1));
  w.counter(Counter::TcpExt_SyncookiesFailed, 2);
  w.population({.connections = 0, .requests = 2, .time_waits = 0, .listeners = 1});
}

// A cookie counts for the minute in which it was made and the next.
WIRE_TEST(SynCookie, Expires) {
  w.set("net.ipv4.tcp_syncookies", "2");
  w.listen();
  w.learn_isn();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(2min);
  w.in(segment(1).ack(1));
  w.out(rst(1));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// Where no cookie was sent lately none is looked for, so that a flood of ACKs costs no hashing.
WIRE_TEST(SynCookie, IsNotLookedForWhereNoneWasSent) {
  w.listen();
  w.in(segment(1).ack(1));
  w.out(rst(1));
  w.counter(Counter::TcpExt_SyncookiesFailed, 0);
}

WIRE_TEST(SynCookie, SwitchedOffDropsSyns) {
  w.set("net.ipv4.tcp_syncookies", "0");
  fill_queue(w);
  w.in(syn(0).mss(1460));
  w.counter(Counter::TcpExt_TCPReqQFullDrop, 1);
  w.counter(Counter::TcpExt_ListenDrops, 1);
  w.dropped(DropReason::TcpSynQueueFull, 1);
  w.counter(Counter::TcpExt_SyncookiesSent, 0);
}

// tcp_syncookies = 2: for every SYN.
WIRE_TEST(SynCookie, AlwaysKeepsNothing) {
  w.set("net.ipv4.tcp_syncookies", "2");
  w.listen();
  w.learn_isn();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
  w.in(segment(1).ack(1));
  w.accept();
}

// The accept queue's bound holds for them, too: a cookie that finds no room is dropped like any last ACK.
WIRE_TEST(SynCookie, FindsNoRoomInAFullAcceptQueue) {
  w.set("net.ipv4.tcp_syncookies", "2");
  w.listen({.backlog = 0});
  for (const int n : {0, 1}) {
    w.use(n);
    w.learn_isn();
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(0);
  w.in(segment(1).ack(1));
  w.use(1);
  w.in(segment(1).ack(1));
  w.counter(Counter::TcpExt_ListenOverflows, 1);
  w.use(0);
  w.accept();
  w.use(1);
  w.in(data(1, "x").ack(1).psh());
  w.out(segment(1).ack(2).any_window());
  w.accept();
}

// Without cookies the last quarter of tcp_max_syn_backlog is kept from peers that nothing is known of.
WIRE_TEST(SynCookie, WithoutThemTheLastQuarterIsKeptBack) {
  w.set("net.ipv4.tcp_syncookies", "0");
  w.set("net.ipv4.tcp_max_syn_backlog", "8");
  w.listen({.backlog = 100});
  for (int n = 0; n < 7; ++n) {
    w.use(n);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.use(7);
  w.in(syn(0).mss(1460));
  w.dropped(DropReason::TcpSynQueueFull, 1);
}
