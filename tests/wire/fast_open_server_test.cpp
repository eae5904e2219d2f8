// Fast Open, the server's side (A1 to A6, A10, A13, A15, A17): RFC 7413 §3, §4.2.2, §5.1.
#include "wire/language.hpp"

namespace {

FastOpenKey key_of(std::string_view text) { return *FastOpenKey::parse(text); }
constexpr std::string_view kOldKey = "00112233-44556677-8899aabb-ccddeeff";
constexpr std::string_view kNewKey = "deadbeef-01234567-89abcdef-0badcafe";

// A SYN with a valid cookie and a request, and our SYN-ACK to it.
void ask_fast(Wire& w) {
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
}

}  // namespace

// RFC 7413 §3, Figure 1: first the client asks for a cookie.
WIRE_TEST(FastOpenServer, GrantsACookie) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.nothing_to_accept();
  w.in(segment(1).ack(1));
  w.accept();
  w.counter(Counter::TcpExt_TCPFastOpenCookieReqd, 1);
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 0);
}

// A4: SipHash-2-4 of client's and server's address, as Linux computes it; worked out here by another program.
WIRE_TEST(FastOpenServer, CookieOfAKnownKey) {
  constexpr FastOpenCookie kV4{.bytes = {0xeb, 0xfa, 0x09, 0xe3, 0xbf, 0xdc, 0xca, 0xee}, .size = 8};
  constexpr FastOpenCookie kV6{.bytes = {0x12, 0x42, 0x70, 0x77, 0xfb, 0x53, 0x1a, 0xea}, .size = 8};
  w.listen({.fast_open = 16, .keys = FastOpenKeys{.primary = key_of(kOldKey), .backup = {}}});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.v6() ? kV6 : kV4));
  w.in(segment(1).ack(1));
  w.accept();
}

// A1: in the form of the option that the client used.
WIRE_TEST(FastOpenServer, GrantsInTheClientsForm) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_exp_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo_exp(w.cookie()));
  w.in(segment(1).ack(1));
  w.accept();
}

// As Linux: in the first SYN-ACK alone, whether it is repeated by itself or because the client asks again.
WIRE_TEST(FastOpenServer, RepeatedSynAckGrantsNothing) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.advance(500ms);
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(500ms);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
}

// Beside every other option.
WIRE_TEST(FastOpenServer, GrantsBesideAllOptions) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1460).sack_ok().ts(100, 0).wscale(7).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 100).wscale(7).tfo(w.cookie()));
  w.use(1);
  w.in(syn(0).mss(1460).sack_ok().ts(100, 0).wscale(7).tfo_exp_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).sack_ok().ts(0, 100).wscale(7).tfo_exp(w.cookie()));
}

// Data beside the request is not taken: the client has proven nothing yet.
WIRE_TEST(FastOpenServer, DataBesideARequestIsNotTaken) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_request().data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.in(data(1, "GET /").ack(1).psh());
  w.out(segment(1).ack(6));
  w.accept();
  w.read("GET /");
}

// A3, RFC 7413 §4.2.2: data with a valid cookie is acknowledged, readable, and may be answered, before the handshake
// ends.
WIRE_TEST(FastOpenServer, AnswersBeforeTheHandshakeEnds) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.acceptable();
  w.accept();
  w.state(TcpState::SynReceived);
  w.outcome(FastOpenOutcome::Accepted);
  w.event(event_bits::kReadable);
  w.read("GET /");
  w.write("200 OK");
  w.out(data(1, "200 OK").ack(6).psh());
  w.no_event(event_bits::kEstablished);
  w.advance(50ms);
  w.in(segment(6).ack(7));
  w.event(event_bits::kEstablished);
  w.state(TcpState::Established);
  w.require(w.info().syn_data_bytes == 5, "five bytes rode in the SYN");
  w.require(w.info().rtt == 50ms, "the handshake is measured");
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 1);
  w.counter(Counter::Tcp_PassiveOpens, 1);
  w.population({.connections = 1, .requests = 0, .time_waits = 0, .listeners = 1});
}

WIRE_TEST(FastOpenServer, ExperimentalCookieIsTakenToo) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_exp(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.accept();
  w.read("GET /");
}

// RFC 7413 §4.2.2 step 3: a cookie without data is good, too: the server may speak first.
WIRE_TEST(FastOpenServer, CookieWithoutData) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo(w.cookie()));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.acceptable();
  w.accept();
  w.write("220 ready");
  w.out(data(1, "220 ready").ack(1).psh());
  w.in(segment(1).ack(10));
  w.state(TcpState::Established);
}

// The client goes on sending behind its SYN.
WIRE_TEST(FastOpenServer, MoreDataCompletesTheHandshake) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.in(data(6, " HTTP/1.1").ack(1).psh());
  w.out(segment(1).ack(15).any_window());  // nobody has accepted, so the test does not follow what is read
  w.accept();
  w.state(TcpState::Established);
  w.read("GET / HTTP/1.1");
}

// RFC 7413 §4.2.2 step 2: an invalid cookie: the data is not taken, a fresh cookie is granted, nothing is lost.
WIRE_TEST(FastOpenServer, InvalidCookieFallsBack) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo(w.cookie(key_of(kOldKey))).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.nothing_to_accept();
  w.counter(Counter::TcpExt_TCPFastOpenPassiveFail, 1);
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 0);
  w.in(data(1, "GET /").ack(1).psh());
  w.out(segment(1).ack(6));
  w.accept();
  w.read("GET /");
}

// A cookie is good for the address that it was granted to.
WIRE_TEST(FastOpenServer, CookieOfAnotherClientIsInvalid) {
  w.listen({.fast_open = 16});
  const FastOpenCookie stolen = w.cookie();
  w.use(1, 1);
  w.in(syn(0).mss(1000).tfo(stolen).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.counter(Counter::TcpExt_TCPFastOpenPassiveFail, 1);
}

// RFC 7413 §4.1.1: 4 to 16 bytes, an even number; anything else is no Fast Open option.
WIRE_TEST(FastOpenServer, MalformedCookiesAreIgnored) {
  w.listen({.fast_open = 16});
  const std::string bytes(18, 'c');
  int connection = 0;
  for (const std::size_t size : {1, 2, 3, 5, 17, 18}) {
    w.use(connection++);
    const std::string option = std::string("\x22") + static_cast<char>(size + 2) + bytes.substr(0, size);
    w.in(syn(0).raw_options(option).data("GET /"));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
  }
  w.counter(Counter::TcpExt_TCPFastOpenPassiveFail, 0);
  w.counter(Counter::TcpExt_TCPFastOpenCookieReqd, 0);
}

// A cookie that is well formed, of another length than ours: invalid.
WIRE_TEST(FastOpenServer, CookieOfAnotherLengthIsInvalid) {
  w.listen({.fast_open = 16});
  FastOpenCookie half = w.cookie();
  half.size = 4;
  w.in(syn(0).mss(1000).tfo(half).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
  w.counter(Counter::TcpExt_TCPFastOpenPassiveFail, 1);
}

// A4: SipHash-2-4 over both addresses under tcp_fastopen_key, computed here by another library.
WIRE_TEST(FastOpenServer, CookieFollowsFromTheKey) {
  w.set("net.ipv4.tcp_fastopen_key", kOldKey);
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie(key_of(kOldKey))));
}

// A5: a cookie under the backup key is good, and replaced.
WIRE_TEST(FastOpenServer, BackupKeyIsAcceptedAndRenewed) {
  w.set("net.ipv4.tcp_fastopen_key", std::string(kNewKey) + "," + std::string(kOldKey));
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo(w.cookie(key_of(kOldKey))).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()).tfo(w.cookie(key_of(kNewKey))));
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 1);
  w.counter(Counter::TcpExt_TCPFastOpenPassiveAltKey, 1);
  w.accept();
  w.read("GET /");
  // Repeated, the SYN-ACK is a plain one.
  w.advance(1s);
  w.out(syn_ack(0).ack(6).mss(w.mss()));
}

// A5: a listener's own keys take the place of the stack's.
WIRE_TEST(FastOpenServer, ListenersKeysAreItsOwn) {
  w.set("net.ipv4.tcp_fastopen_key", kOldKey);
  w.listen({.fast_open = 16, .keys = FastOpenKeys{key_of(kNewKey), std::nullopt}});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie(key_of(kNewKey))));
  w.use(1);
  w.in(syn(0).mss(1000).tfo(w.cookie(key_of(kOldKey))).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie(key_of(kNewKey))));
  w.use(2);
  w.in(syn(0).mss(1000).tfo(w.cookie(key_of(kNewKey))).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
}

// A10, RFC 7413 §5.1: over the bound the handshake goes the ordinary way; a handshake that ends makes room.
WIRE_TEST(FastOpenServer, QueueIsBounded) {
  w.listen({.fast_open = 1});
  ask_fast(w);
  w.use(1);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.counter(Counter::TcpExt_TCPFastOpenListenOverflow, 1);
  w.in(data(1, "GET /").ack(1).psh());
  w.out(segment(1).ack(6).any_window());
  w.use(0);
  w.in(segment(6).ack(1));
  w.use(2);
  ask_fast(w);
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 2);
}

// A10, RFC 7413 §5.1: a RST keeps its place busy for 60 s, or a flood with spoofed addresses would free it by itself.
WIRE_TEST(FastOpenServer, ResetKeepsThePlaceBusy) {
  w.listen({.fast_open = 1});
  ask_fast(w);
  w.in(rst(6));
  w.use(1);
  w.advance(60s - 1ms);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.counter(Counter::TcpExt_TCPFastOpenListenOverflow, 1);
  w.in(rst(1));
  w.advance(1ms);
  w.use(2);
  ask_fast(w);
}

// A15: a reset before accept: what came in the SYN can be read all the same, then the error.
WIRE_TEST(FastOpenServer, ResetBeforeAccept) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.in(rst(6));
  w.accept();
  w.ended_with(Error::ConnectionReset);
  w.read("GET /");
  w.read_fails(Error::ConnectionReset);
}

WIRE_TEST(FastOpenServer, ResetAfterAccept) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  w.write("200 OK");
  w.out(data(1, "200 OK").ack(6).psh());
  w.in(rst(6));
  w.ended_with(Error::ConnectionReset);
  w.write_fails(Error::ConnectionReset);
}

// The SYN-ACK is repeated like any other, once more than for a request (as Linux), and then it is over.
WIRE_TEST(FastOpenServer, SynAckIsRepeatedAndGivenUp) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  for (const int seconds : {1, 2, 4, 8, 16, 32}) {
    w.advance(std::chrono::seconds(seconds));
    w.out(syn_ack(0).ack(6).mss(w.mss()));
  }
  w.advance(64s);
  w.ended_with(Error::TimedOut);
}

// The answer behind it waits for the handshake: its acknowledgement may cover both.
WIRE_TEST(FastOpenServer, SynAckAloneIsRepeatedBeforeTheAnswer) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  w.write("200 OK");
  w.out(data(1, "200 OK").ack(6).psh());
  w.advance(1s);
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.in(segment(6).ack(7));
  w.event(event_bits::kEstablished);
  w.advance(1min);
  w.require(w.info().unacked == 0, "nothing is left to send");
}

// The SYN-ACK arrived, the answer did not: it goes again after a timeout. The repeated SYN-ACK measures nothing, so 3
// s.
WIRE_TEST(FastOpenServer, LostAnswerIsRepeated) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  w.write("200 OK");
  w.out(data(1, "200 OK").ack(6).psh());
  w.advance(10ms);
  w.in(segment(6).ack(1));
  w.state(TcpState::Established);
  w.advance(210ms);
  w.out(data(1, "200 OK").ack(6).psh());
  w.in(segment(6).ack(7));
}

// A client whose SYN-ACK was lost repeats its SYN, without data and cookie: the SYN-ACK again, which still
// acknowledges.
WIRE_TEST(FastOpenServer, RepeatedSynIsAnswered) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  w.advance(900ms);
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.nothing_to_read();
  w.in(segment(6).ack(1));
  w.state(TcpState::Established);
}

// Repeated with its data (as old clients do), it is not read twice.
WIRE_TEST(FastOpenServer, RepeatedSynWithDataIsReadOnce) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  w.advance(900ms);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.nothing_to_read();
}

// A15: the client has closed when its handshake ends.
WIRE_TEST(FastOpenServer, FinEndsTheHandshake) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.in(fin(6).ack(1));
  w.state(TcpState::CloseWait);
  w.read("GET /");
  w.read_end();
  w.write("200 OK");
  w.out(data(1, "200 OK").ack(7).psh());
  w.close();
  w.out(fin(7).ack(7));
  w.in(segment(7).ack(8));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 1});
}

// A SYN that is a FIN as well is nonsense to a listener, Fast Open or not (as Linux).
WIRE_TEST(FastOpenServer, SynWithFinIsDropped) {
  w.listen({.fast_open = 16});
  w.in(syn(0).fin().mss(1000).tfo(w.cookie()).data("GET /"));
  w.dropped(DropReason::TcpFlags, 1);
}

// The whole exchange in the client's two flights: request in the SYN, answer and FIN right behind the SYN-ACK.
WIRE_TEST(FastOpenServer, ClosesBeforeTheHandshakeEnds) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.read("GET /");
  w.write("200 OK");
  w.out(data(1, "200 OK").ack(6).psh());
  w.close();
  w.out(fin(7).ack(6));
  w.advance(10ms);
  w.in(fin(6).ack(8));
  w.out(segment(8).ack(7));
  w.population({.connections = 0, .requests = 0, .time_waits = 1, .listeners = 1});
}

// The window of the SYN, never scaled (RFC 7323 §2.2), bounds the answer until the handshake ends.
WIRE_TEST(FastOpenServer, WindowOfTheSynBoundsTheAnswer) {
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).wscale(7).window(2000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()).wscale(7));
  w.accept();
  w.read("GET /");
  w.write(stream(1, 3000));
  w.out(data(1, 1000).ack(6));
  w.out(data(1001, 1000).ack(6));
  w.in(segment(6).ack(2001).window(100));
  w.out(data(2001, 1000).ack(6).psh());
}

// A wrong acknowledgement of a half-open Fast Open connection is reset; the connection stays.
WIRE_TEST(FastOpenServer, WrongAckIsReset) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.in(segment(6).ack(5000));
  w.out(rst(5000));
  w.state(TcpState::SynReceived);
  w.in(segment(6).ack(1));
  w.state(TcpState::Established);
}

// As Linux: one that nobody has accepted ends by it.
WIRE_TEST(FastOpenServer, IcmpErrorEndsTheHalfOpenThatNobodyHas) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.in(icmp_host_unreachable());
  w.counter(Counter::Tcp_AttemptFails, 1);
  w.advance(1min);
}

// A15: an ICMP error for a half-open Fast Open connection does not end it: the application has it already.
WIRE_TEST(FastOpenServer, IcmpErrorIsSoftWhileHalfOpen) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.accept();
  w.in(icmp_host_unreachable());
  w.state(TcpState::SynReceived);
  w.read("GET /");
  w.nothing_to_read();
  w.in(segment(6).ack(1));
  w.state(TcpState::Established);
}

// Nobody will accept any more.
WIRE_TEST(FastOpenServer, ClosingTheListenerResetsTheHalfOpen) {
  w.listen({.fast_open = 16});
  ask_fast(w);
  w.close_listener();
  w.out(rst(1).ack(6));
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 0});
}

// A14: a listener without Fast Open answers as if the option were not there.
WIRE_TEST(FastOpenServer, ListenerWithoutFastOpenIgnoresTheOption) {
  w.listen();
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.use(1);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 0);
}

// A6: bit 0x2 switches the server on.
WIRE_TEST(FastOpenServer, BitTwoSwitchesItOn) {
  w.set("net.ipv4.tcp_fastopen", "1");
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.use(1);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

// A6: bit 0x200 takes data without a cookie.
WIRE_TEST(FastOpenServer, BitTwoHundredTakesDataWithoutCookie) {
  w.set("net.ipv4.tcp_fastopen", "0x202");
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.accept();
  w.read("GET /");
  // A cookie that is wrong does not matter either.
  w.use(1);
  w.in(syn(0).mss(1000).tfo(w.cookie(key_of(kOldKey))).data("GET /"));
  w.out(syn_ack(0).ack(6).mss(w.mss()));
  w.accept();
  // Nor need there be data: as in today's Linux, who asks for a cookie gets the connection, and no cookie.
  w.use(2);
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.accept();
  w.write("220 ready");
  w.out(data(1, "220 ready").ack(1).psh());
  // A SYN that has nothing to do with Fast Open is an ordinary one.
  w.use(3);
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.population({.connections = 3, .requests = 1, .time_waits = 0, .listeners = 1});
}

// A6: bit 0x400 gives every listener a queue.
WIRE_TEST(FastOpenServer, BitFourHundredMeansAllListeners) {
  w.set("net.ipv4.tcp_fastopen", "0x402");
  w.listen();
  ask_fast(w);
}

// A6: of the length of its backlog.
WIRE_TEST(FastOpenServer, BitFourHundredGivesABacklogOfPlaces) {
  w.set("net.ipv4.tcp_fastopen", "0x402");
  w.listen({.backlog = 2});
  for (const int n : {0, 1}) {
    w.use(n);
    ask_fast(w);
    w.accept();
  }
  w.use(2);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.counter(Counter::TcpExt_TCPFastOpenListenOverflow, 1);
}

// A6, as Linux: a listener that begins without 0x2 has no queue, and gets none when 0x2 comes later.
WIRE_TEST(FastOpenServer, BitFourHundredCountsWhenTheListenerBegins) {
  w.set("net.ipv4.tcp_fastopen", "0x401");
  w.listen();
  w.set("net.ipv4.tcp_fastopen", "0x403");
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

// A14: a listener says no for itself, before it begins or while it listens, and may change its mind.
WIRE_TEST(FastOpenServer, ListenerTurnsItOffUnderBitFourHundred) {
  w.set("net.ipv4.tcp_fastopen", "0x403");
  w.listen({.fast_open = 0});
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.set_fast_open(16);
  w.use(1);
  ask_fast(w);
  w.set_fast_open(0);
  w.use(2);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.counter(Counter::TcpExt_TCPFastOpenPassive, 1);
}

// A6: the historical bits of early Linux kernels do nothing, nor does any other.
WIRE_TEST(FastOpenServer, HistoricalBitsDoNothing) {
  w.set("net.ipv4.tcp_fastopen", "0x100902");
  w.listen();
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.use(1);
  w.set_fast_open(16);
  w.in(syn(0).mss(1000).tfo(w.cookie(key_of(kOldKey))).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
}

// A5: TCP_FASTOPEN_KEY on a listener that listens already.
WIRE_TEST(FastOpenServer, ListenersKeysCanBeChanged) {
  w.listen({.fast_open = 16});
  w.set_fast_open_keys(FastOpenKeys{key_of(kNewKey), std::nullopt});
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie(key_of(kNewKey))));
  w.set_fast_open_keys(std::nullopt);
  w.use(1);
  w.in(syn(0).mss(1000).tfo_request());
  w.out(syn_ack(0).ack(1).mss(w.mss()).tfo(w.cookie()));
}

// Without the bits nothing is taken from a SYN, whatever the listener wants.
WIRE_TEST(FastOpenServer, BitsTwoHundredAndFourHundredNeedBitTwo) {
  w.set("net.ipv4.tcp_fastopen", "0x601");
  w.listen({.fast_open = 16});
  w.in(syn(0).mss(1000).data("GET /"));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
}

// The accept queue's bound holds for Fast Open connections as well.
WIRE_TEST(FastOpenServer, FullAcceptQueueDropsTheSyn) {
  w.listen({.fast_open = 16, .backlog = 1});
  for (const int n : {0, 1}) {
    w.use(n);
    ask_fast(w);
  }
  w.use(2);
  w.in(syn(0).mss(1000).tfo(w.cookie()).data("GET /"));
  w.counter(Counter::TcpExt_ListenOverflows, 1);
}
