// Bytes that come before the handshake is over may be a copy of older ones (RFC 7413 §2.1, §6.1): the application is
// told, and copies are found out (A14).
#include "wire/language.hpp"

namespace {

// A SYN with a valid cookie and a request that is taken.
void ask_fast(Wire& w) {
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
}

// The same SYN, whose data is not taken.
void ask_in_vain(Wire& w) {
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

// The client of the SYN before knows nothing of our SYN-ACK and ends the connection.
void copy_is_reset(Wire& w) { w.in(rst(6)); }

std::uint64_t repeated(Wire& w) { return w.stack().counters()[FastOpenOutcome::SynRepeated]; }

}  // namespace

WIRE_TEST(FastOpenEarlyData, IsToldWhileTheHandshakeLasts) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.event(event_bits::kReadable);
  w.no_event(event_bits::kEstablished);
  w.require(w.early_bytes_told() == 5 && w.info().early_bytes == 5, "five bytes may be a copy");
  w.read("GET /");
  w.require(w.info().early_bytes == 5, "and still may, now that they are read");
  w.in(data(6, " HTTP/1.1").ack(1).psh());
  w.out(segment(1).ack(15));
  w.event(event_bits::kEstablished);
  w.require(w.early_bytes_told() == 0 && w.info().early_bytes == 0, "a copy does not end the handshake");
  w.require(w.info().syn_data_bytes == 5, "they rode in the SYN all the same");
  w.read(" HTTP/1.1");
}

// Who accepts late, when the handshake is over, has nothing to fear.
WIRE_TEST(FastOpenEarlyData, IsNotToldAfterwards) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.in(segment(6).ack(1));
  w.accept();
  w.event(event_bits::kReadable | event_bits::kEstablished);
  w.require(w.early_bytes_told() == 0 && w.info().early_bytes == 0, "they are no copy");
}

WIRE_TEST(FastOpenEarlyData, ThereIsNoneInAnOrdinaryHandshake) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_request().data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.in(data(1, "GET /").ack(1).psh());
  w.out(segment(1).ack(6));
  w.accept();
  w.event(event_bits::kReadable);
  w.require(w.early_bytes_told() == 0 && w.info().early_bytes == 0, "nothing came early");
}

// Nor in a SYN that has the cookie alone.
WIRE_TEST(FastOpenEarlyData, NoneWithoutData) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo(w.cookie()));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.accept();
  w.require(w.info().early_bytes == 0, "nothing came early");
}

// A client has none: what it reads before its handshake is over, nobody can have copied.
WIRE_TEST(FastOpenEarlyData, NoneForAClient) {
  w.connect({.data = "GET /", .local_port = 5000});
  w.out(w.our_syn());
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.require(w.info().early_bytes == 0, "nothing came early");
}

// ---- net.ipv4.tcp_fastopen_replay_filter_kb ------------------------------------------------------------------------

// Off, as it is unless set: a copy that comes when the first connection is gone is taken again.
WIRE_TEST(FastOpenEarlyData, WithoutFilterACopyIsTakenAgain) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  copy_is_reset(w);
  w.reincarnate(0);
  ask_fast(w);
  w.require(repeated(w) == 0, "nobody noticed");
}

WIRE_TEST(FastOpenEarlyData, FilterTakesACopyOnce) {
  w.set("net.ipv4.tcp_fastopen_replay_filter_kb", "64");
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  copy_is_reset(w);
  w.reincarnate(0);
  ask_in_vain(w);
  w.in(rst(1));
  w.nothing_to_accept();
  w.require(repeated(w) == 1, "it is counted");
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 1);
  w.counter(Counter::TcpExt_TCPFastOpenPassiveFail, 0);
}

// Should it be no copy, the client loses a round trip and nothing else.
WIRE_TEST(FastOpenEarlyData, FilterCostsARoundTripAtMost) {
  w.set("net.ipv4.tcp_fastopen_replay_filter_kb", "64");
  w.listen({.fast_open = 16});
  ask_fast(w);
  copy_is_reset(w);
  w.accept();
  w.reincarnate(0);
  ask_in_vain(w);
  w.in(data(1, "GET /").ack(1).psh());
  w.out(segment(1).ack(6));
  w.accept();
  w.read("GET /");
  w.nothing_to_read();
  w.outcome(FastOpenOutcome::SynRepeated);
}

// The same client may say the same thing again, on another connection or from another number on.
WIRE_TEST(FastOpenEarlyData, FilterKnowsNewSynsFromCopies) {
  w.set("net.ipv4.tcp_fastopen_replay_filter_kb", "64");
  w.listen({.fast_open = 16});
  ask_fast(w);
  copy_is_reset(w);
  w.reincarnate(100000);
  ask_fast(w);
  w.use(1);
  ask_fast(w);
  w.use(2, 1);
  ask_fast(w);
  w.require(repeated(w) == 0, "none is a copy");
}

// Longer than any packet lives, and not for ever.
WIRE_TEST(FastOpenEarlyData, FilterForgets) {
  w.set("net.ipv4.tcp_fastopen_replay_filter_kb", "64");
  w.listen({.fast_open = 16});
  ask_fast(w);
  copy_is_reset(w);
  w.accept();
  w.advance(120s);
  w.reincarnate(0);
  ask_in_vain(w);
  w.in(rst(1));
  w.advance(240s);
  w.reincarnate(0);
  ask_fast(w);
}

// It spares neither a connection without cookie (0x200) nor a cookie of the backup key.
WIRE_TEST(FastOpenEarlyData, FilterWorksWithoutCookiesToo) {
  w.set("net.ipv4.tcp_fastopen", "0x202");
  w.set("net.ipv4.tcp_fastopen_replay_filter_kb", "64");
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  copy_is_reset(w);
  w.reincarnate(0);
  w.in(syn(0).mss(1000).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.require(repeated(w) == 1, "it is counted");
}
