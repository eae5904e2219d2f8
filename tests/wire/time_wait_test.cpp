// TIME_WAIT (E6, E7): RFC 9293 §3.6.1, §3.10.7.4, RFC 6191.
#include "wire/language.hpp"

namespace {
// We closed first; both FINs are acknowledged.
void enter_time_wait(Wire& w, const Peer& peer = {}) {
  w.establish(peer);
  const std::optional<std::uint32_t> ts = peer.ts;
  const auto with = [&](Segment s, std::uint32_t value, std::uint32_t echo) {
    return ts ? std::move(s).ts(value, echo) : std::move(s);
  };
  w.close();
  w.out(with(fin(1).ack(1), 10, ts.value_or(0) + 10));
  w.in(with(fin(1).ack(2), ts.value_or(0) + 20, 10));
  w.out(with(segment(2).ack(2), 10, ts.value_or(0) + 20));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}
// E8: by tcp_tw_reuse an outgoing connection takes the place of an entry that is a second old. Its timestamps tell old
// segments from new ones, and the SYN echoes the last that was seen.
WIRE_TEST(TimeWait, GivesWayToAnOutgoingConnection) {
  w.set("net.ipv4.tcp_tw_reuse", "1");
  w.set("net.ipv4.ip_local_port_range", "5000 5000");
  w.connect();
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000).ts(700, 0));
  w.out(segment(1).ack(1).ts(0, 700));
  w.close();
  w.out(fin(1).ack(1).ts(0, 700));
  w.in(fin(1).ack(2).ts(700, 0));
  w.out(segment(2).ack(2).ts(0, 700));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 0});
  w.connect_fails({}, Error::AddressNotAvailable);
  w.advance(1s);
  w.reincarnate(100'000);
  w.learn_isn();
  w.connect();
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 700).wscale(7));
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 0});
  w.counter(Counter::TcpExt_TWRecycled, 1);
}

// By default only between loopback addresses, and never without timestamps.
WIRE_TEST(TimeWait, DoesNotGiveWayByDefault) {
  w.set("net.ipv4.ip_local_port_range", "5000 5000");
  w.connect();
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000).ts(700, 0));
  w.out(segment(1).ack(1).ts(0, 700));
  w.close();
  w.out(fin(1).ack(1).ts(0, 700));
  w.in(fin(1).ack(2).ts(700, 0));
  w.out(segment(2).ack(2).ts(0, 700));
  w.advance(59s);
  w.connect_fails({}, Error::AddressNotAvailable);
}

}  // namespace

WIRE_TEST(TimeWait, LastsSixtySeconds) {
  enter_time_wait(w);
  w.advance(60s - 1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
  w.advance(1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
  w.counter(Counter::TcpExt_TW, 1);
  w.in(fin(1).ack(2));
  w.out(rst(2));
}

// RFC 9293 §3.10.7.4: the only thing that can arrive is the FIN again: acknowledge it, and wait from the start.
WIRE_TEST(TimeWait, RepeatedFinIsAcknowledgedAndRestarts) {
  enter_time_wait(w);
  w.advance(50s);
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.advance(60s - 1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
  w.advance(1ms);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

WIRE_TEST(TimeWait, TimestampsGoOn) {
  enter_time_wait(w, {.ts = 1000});
  w.advance(1s);
  w.in(fin(1).ack(2).ts(2020, 10));
  w.out(segment(2).ack(2).ts(1010, 1020));  // the echo stays, as Linux's
}

// E7: a RST ends it (as Linux with tcp_rfc1337 = 0).
WIRE_TEST(TimeWait, ResetEndsIt) {
  enter_time_wait(w);
  w.in(rst(2));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// A RST that an attacker throws does not.
WIRE_TEST(TimeWait, ResetOutsideTheWindowDoesNot) {
  enter_time_wait(w);
  w.in(rst(900'000));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// With tcp_rfc1337 not even the exact number ends it.
WIRE_TEST(TimeWait, ResetIsIgnoredByRfc1337) {
  w.set("net.ipv4.tcp_rfc1337", "1");
  enter_time_wait(w);
  w.in(rst(2));
  w.dropped(DropReason::TcpTimeWait, 1);
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// E7, RFC 9293 §3.10.7.4 (MAY-2): a SYN beyond the last number begins a new connection on the same four-tuple.
WIRE_TEST(TimeWait, NewerSynReusesTheFourTuple) {
  enter_time_wait(w);
  w.advance(1s);
  w.reincarnate(100'000);
  w.learn_isn();
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.population({.connections = 0, .requests = 1, .time_waits = 0, .listeners = 1});
  w.in(segment(1).ack(1));
  w.accept();
  w.in(data(1, "again").ack(1).psh());
  w.out(segment(1).ack(6));
  w.read("again");
}

// An older SYN is a straggler: the last ACK again.
WIRE_TEST(TimeWait, OlderSynIsAcknowledged) {
  enter_time_wait(w);
  w.advance(1s);
  w.in(syn(0).mss(1000));
  w.out(segment(2).ack(2));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// RFC 6191: with timestamps a newer one will do, whatever the number.
WIRE_TEST(TimeWait, NewerTimestampReusesTheFourTuple) {
  enter_time_wait(w, {.ts = 1000});
  w.advance(2s);
  w.reincarnate(0u - 5000u);
  w.learn_isn();
  w.in(syn(0).mss(1000).sack_ok().ts(5000, 0));
  // Our clock is the same for all connections of two hosts and has gone on.
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(2010, 5000));
}

// And an older one will not, whatever the number (PAWS).
WIRE_TEST(TimeWait, OlderTimestampIsRefused) {
  enter_time_wait(w, {.ts = 1000});
  w.advance(1s);
  w.in(syn(50'000).mss(1000).ts(900, 0));
  w.out(segment(2).ack(2).ts(1010, 1020));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// E6: tcp_max_tw_buckets bounds them; over it a connection closes at once.
WIRE_TEST(TimeWait, BoundIsASetting) {
  w.set("net.ipv4.tcp_max_tw_buckets", "1");
  enter_time_wait(w);
  w.use(1);
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.counter(Counter::TcpExt_TCPTimeWaitOverflow, 1);
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// Old data is acknowledged, not taken.
WIRE_TEST(TimeWait, OldDataIsAcknowledged) {
  enter_time_wait(w);
  w.advance(1s);
  w.in(data(1, 1).ack(2));
  w.out(segment(2).ack(2));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}
