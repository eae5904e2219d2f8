// Fast Open, the client's side (A1 to A3, A6 to A9, A13, A15, A17): RFC 7413 §3, §4.1.3, §4.2.1.
#include "wire/language.hpp"

namespace {

FastOpenCookie cookie_of(std::string_view bytes) {
  FastOpenCookie cookie;
  cookie.size = static_cast<std::uint8_t>(bytes.size());
  std::ranges::copy(as_bytes(bytes), cookie.bytes.begin());
  return cookie;
}
const FastOpenCookie kCookie = cookie_of("8 bytes.");
const FastOpenCookie kFresh = cookie_of("newer 8!");

// Our SYN again, without data and cookie, so much later.
Segment plain_syn(const Wire& w, std::uint32_t ms = 0) { return syn(0).mss(w.mss()).sack_ok().ts(ms, 0).wscale(7); }

}  // namespace

// A2: without a cookie one is asked for; the data waits for the handshake.
WIRE_TEST(FastOpenClient, AsksForACookie) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_request());
  w.outcome(FastOpenOutcome::Pending);
  w.in(syn_ack(0).ack(1).mss(1234).tfo(kCookie));
  w.out(data(1, "GET /").ack(1).psh());
  w.event(event_bits::kEstablished);
  w.outcome(FastOpenOutcome::NoCookieYet);
  const auto entry = w.cached();
  w.require(entry && entry->cookie == kCookie && entry->mss == 1234 && !entry->experimental,
            "it is kept, with the MSS");
}

// A3: with a cookie the data rides in the SYN. As Linux, without PSH.
WIRE_TEST(FastOpenClient, DataRidesInTheSyn) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(10ms);
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  w.event(event_bits::kEstablished);
  w.outcome(FastOpenOutcome::Accepted);
  w.require(w.info().syn_data_bytes == 5 && w.info().bytes_acked == 5, "five bytes rode in the SYN");
  w.counter(Counter::TcpExt_TCPFastOpenActive, 1);
  w.counter(Counter::TcpExt_TCPFastOpenActiveFail, 0);
  w.advance(1min);
}

// The second visit of a real pair: what the first one was granted.
WIRE_TEST(FastOpenClient, SecondVisitUsesWhatTheFirstWasGranted) {
  w.connect_fast_open("one");
  w.out(w.our_syn().tfo_request());
  w.in(syn_ack(0).ack(1).mss(1000).tfo(kCookie));
  w.out(data(1, "one").ack(1).psh());
  w.use(1);
  w.connect_fast_open("two");
  w.out(w.our_syn().tfo(kCookie).data("two"));
  w.in(syn_ack(0).ack(4).mss(1000));
  w.out(segment(4).ack(1));
}

// RFC 7413 §4.1.1: cookies of 4 to 16 bytes.
WIRE_TEST(FastOpenClient, CookiesOfEveryLength) {
  int connection = 0;
  for (const std::string_view bytes : {"4444", "666666", "1010101010", "sixteen bytes...", "twelve bytes"}) {
    w.use(connection++);
    w.have_cookie(cookie_of(bytes), 1000);
    w.connect_fast_open("x");
    w.out(w.our_syn().tfo(cookie_of(bytes)).data("x"));
    w.in(syn_ack(0).ack(2).mss(1000));
    w.out(segment(2).ack(1));
  }
}

// A2: anything else that a server grants is ignored.
WIRE_TEST(FastOpenClient, MalformedGrantsAreIgnored) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_request());
  w.in(
      syn_ack(0).ack(1).raw_options({"\x02\x04\x03\xe8\x22\x05"
                                     "abc\x01\x01\x01",
                                     12}));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::CookieNotGranted);
  w.require(w.cached()->cookie.size == 0, "no cookie is kept");
}

// A9: bounded by the cached MSS less the room for options; the rest follows the handshake.
WIRE_TEST(FastOpenClient, SynDataIsBoundedByTheCachedMss) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open(stream(1, 2500));
  w.out(w.our_syn().tfo(kCookie).data(stream(1, 960)));
  w.advance(10ms);
  w.in(syn_ack(0).ack(961).mss(1000));
  w.out(data(961, 1000).ack(1));
  w.out(data(1961, 540).ack(1).psh());
  w.outcome(FastOpenOutcome::Accepted);
}

// And by what our own path carries.
WIRE_TEST(FastOpenClient, SynDataIsBoundedByTheMtu) {
  w.mtu(1300);
  w.have_cookie(kCookie, 9000);
  const std::uint32_t room = w.mss() - 40u;
  w.connect_fast_open(stream(1, 3000));
  w.out(w.our_syn().tfo(kCookie).data(stream(1, room)));
  w.in(syn_ack(0).ack(room + 1).mss(9000));
  w.out(data(room + 1, w.mss()).ack(1));
  w.out(data(room + 1 + w.mss(), 3000 - room - w.mss()).ack(1).psh());
}

// What is written before the SYN-ACK follows, too.
WIRE_TEST(FastOpenClient, LaterWritesFollow) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET ");
  w.out(w.our_syn().tfo(kCookie).data("GET "));
  w.write("/");
  w.silent();
  w.in(syn_ack(0).ack(5).mss(1000));
  w.out(data(5, "/").ack(1).psh());
}

// A8: acknowledged is only the SYN: the data goes again at once.
WIRE_TEST(FastOpenClient, DataNotAckedGoesAgain) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::DataNotAcked);
  w.require(w.info().fastopen_client_fail == 2, "Linux's TFO_DATA_NOT_ACKED");
  w.counter(Counter::TcpExt_TCPFastOpenActiveFail, 1);
  w.advance(10ms);
  w.in(segment(1).ack(6));
  w.advance(1min);
}

// A8: acknowledged in part: the rest, once. As Linux, that is data not taken.
WIRE_TEST(FastOpenClient, DataPartlyAckedGoesOn) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(10ms);
  w.in(syn_ack(0).ack(3).mss(1000));
  w.out(data(3, "T /").ack(1).psh());
  w.outcome(FastOpenOutcome::DataNotAcked);
  w.counter(Counter::TcpExt_TCPFastOpenActiveFail, 1);
  w.in(segment(1).ack(6));
  w.advance(1min);
}

// A8: the cookie was refused; the fresh one replaces it.
WIRE_TEST(FastOpenClient, RefusedCookieIsReplaced) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(1).mss(1000).tfo(kFresh));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::CookieRefused);
  w.require(w.cached()->cookie == kFresh, "the fresh cookie is kept");
  w.counter(Counter::TcpExt_TCPFastOpenActiveFail, 1);
}

// A5: a server that changes its key takes the data and grants a fresh cookie.
WIRE_TEST(FastOpenClient, RenewedCookieIsKept) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(6).mss(1100).tfo(kFresh));
  w.out(segment(6).ack(1));
  w.outcome(FastOpenOutcome::Accepted);
  w.require(w.cached()->cookie == kFresh && w.cached()->mss == 1100, "the fresh cookie is kept");
}

// A8: the SYN is lost: it goes again without data and without the option, which may be what the path does not carry.
WIRE_TEST(FastOpenClient, LostSynGoesAgainPlain) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(1s);
  w.out(plain_syn(w, 1000));
  w.advance(2s);
  w.out(plain_syn(w, 3000));
  w.in(syn_ack(0).ack(1).mss(1000).ts(50, 3000));
  w.out(data(1, "GET /").ack(1).psh().ts(3000, 50));
  w.outcome(FastOpenOutcome::SynRetransmitted);
  w.counter(Counter::TcpExt_TCPFastOpenActiveFail, 1);
  w.in(segment(1).ack(6).ts(60, 3000));
  w.advance(1min);
}

// It was only late: the data is acknowledged after all, and does not go again.
WIRE_TEST(FastOpenClient, LateSynAckStillAcknowledgesTheData) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(1s);
  w.out(plain_syn(w, 1000));
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  w.outcome(FastOpenOutcome::Accepted);
  w.advance(1min);
}

// A request for a cookie that is lost: the SYN goes again without it.
WIRE_TEST(FastOpenClient, LostRequestGoesAgainPlain) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_request());
  w.advance(1s);
  w.out(plain_syn(w, 1000));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::SynRetransmitted);
}

// On a path of more than a second nothing was lost: the echo says that the first SYN arrived.
WIRE_TEST(FastOpenClient, SynAckOfALongPathAnswersTheFirstSyn) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(1s);
  w.out(plain_syn(w, 1000));
  w.advance(500ms);
  w.in(syn_ack(0).ack(1).mss(1000).ts(50, 0));
  w.out(data(1, "GET /").ack(1).psh().ts(1500, 50));
  w.outcome(FastOpenOutcome::DataNotAcked);
  w.require(w.cached()->syn_losses == 0, "no SYN was lost");
}

WIRE_TEST(FastOpenClient, SynIsGivenUp) {
  w.set("net.ipv4.tcp_syn_retries", "1");
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.advance(1s);
  w.out(plain_syn(w, 1000));
  w.advance(2s);
  w.ended_with(Error::TimedOut);
}

// A8: a SYN-ACK without timestamps, and with a smaller MSS than the cached: the data goes again in pieces that fit.
WIRE_TEST(FastOpenClient, SmallerMssThanCached) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open(stream(1, 960));
  w.out(w.our_syn().tfo(kCookie).data(stream(1, 960)));
  w.in(syn_ack(0).ack(1).mss(500));
  w.out(data(1, 500).ack(1));
  w.out(data(501, 460).ack(1).psh());
  // As Linux: it goes again, but its loss says nothing of the path.
  w.require(w.info().ca_state == CaState::Loss && w.info().snd_cwnd == 10 * 500, "the window is as large as ever");
  w.counter(Counter::Tcp_RetransSegs, 2);
  w.require(w.cached()->mss == 500, "the next SYN will hold less");
  w.in(segment(1).ack(961));
  w.advance(1min);
}

// As Linux: what goes again is no small segment that Nagle's algorithm would wait for.
WIRE_TEST(FastOpenClient, NagleDoesNotWaitForWhatGoesAgain) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.write("more");
  w.out(data(6, "more").ack(1).psh());
}

// The SYN holds all that the send buffer does, and the writer has more.
void open_with_a_waiting_writer(Wire& w) {
  SocketOptions options;
  options.sndbuf = 100;
  w.have_cookie(kCookie, 1000);
  w.connect({.fast_open = FastOpenMode::Now, .data = stream(1, 500), .options = options});
  w.out(w.our_syn().tfo(kCookie).data(stream(1, 500)));
  w.write_fails(Error::WouldBlock);
  w.in(syn_ack(0).ack(501).mss(1000));
}

// As Linux: a writer who waits for room has something to say at once, which takes the acknowledgement along.
WIRE_TEST(FastOpenClient, AWaitingWritersBytesAcknowledgeTheSynAck) {
  open_with_a_waiting_writer(w);
  w.event(event_bits::kWritable);
  w.silent();
  w.advance(1ms);
  w.require(w.write_once(stream(501, 100)) == 100, "there is room");
  w.out(data(501, 100).ack(1).psh());
}

WIRE_TEST(FastOpenClient, AWaitingWriterHasADelayedAcksTime) {
  open_with_a_waiting_writer(w);
  w.advance(200ms);
  w.out(segment(501).ack(1));
}

// With timestamps each segment holds 12 bytes less than the SYN could. What goes again is as long as it was, whatever
// new data follows.
WIRE_TEST(FastOpenClient, TimestampsShrinkWhatGoesAgain) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open(stream(1, 2000));
  w.out(w.our_syn().tfo(kCookie).data(stream(1, 960)));
  w.in(syn_ack(0).ack(1).mss(900).ts(70, 0));
  w.out(data(1, 888).ack(1).ts(0, 70));
  w.out(data(889, 72).ack(1).ts(0, 70));
  w.out(data(961, 888).ack(1).ts(0, 70));
  w.out(data(1849, 152).ack(1).psh().ts(0, 70));
}

// A8: ICMP says that the SYN with its data is too big: the plain SYN goes at once, the data in smaller pieces later.
WIRE_TEST(FastOpenClient, PacketTooBigForTheSyn) {
  w.have_cookie(kCookie, 1460);
  const std::uint32_t room = std::min<std::uint32_t>(1460, w.mss()) - 40, small = w.mss_of(1300);
  w.connect_fast_open(stream(1, room));
  w.out(w.our_syn().tfo(kCookie).data(stream(1, room)));
  w.advance(10ms);
  w.in(icmp_packet_too_big(1300));
  w.out(syn(0).mss(static_cast<std::uint16_t>(small)).sack_ok().ts(10, 0).wscale(7));
  w.in(syn_ack(0).ack(1).mss(1460));
  w.out(data(1, small).ack(1));
  w.out(data(small + 1, room - small).ack(1).psh());
  w.in(segment(1).ack(room + 1));
  w.advance(1min);
}

// A15: a SYN-ACK that carries data: the answer is there after one round trip.
WIRE_TEST(FastOpenClient, SynAckCarriesTheAnswer) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(6).mss(1000).data("200 OK").psh());
  w.out(segment(6).ack(7));
  w.read("200 OK");
}

// A15: and even the FIN.
WIRE_TEST(FastOpenClient, SynAckCarriesAnswerAndFin) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(6).fin().mss(1000).data("200 OK").psh());
  w.out(segment(6).ack(8));
  w.state(TcpState::CloseWait);
  w.read("200 OK");
  w.read_end();
}

// The answer may overtake the SYN-ACK; without it nothing can be made of the answer.
WIRE_TEST(FastOpenClient, DataBeforeTheSynAckIsDropped) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(data(1, "200 OK").ack(6).psh());
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  w.nothing_to_read();
}

// RFC 7413 §4.2.1: refused is refused.
WIRE_TEST(FastOpenClient, ResetRefuses) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(rst(0).ack(6));
  w.ended_with(Error::ConnectionRefused);
}

// A RST or SYN-ACK that acknowledges more than was sent is not the server's.
WIRE_TEST(FastOpenClient, AckBeyondTheSynDataIsReset) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn_ack(0).ack(7).mss(1000));
  w.out(rst(7));
  w.in(rst(0).ack(7));
  w.state(TcpState::SynSent);
}

// A1: where kind 34 gets no cookie the next try takes the experimental form, and after that kind 34 again.
WIRE_TEST(FastOpenClient, FormsTakeTurnsUntilOneIsGranted) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_request());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::CookieNotGranted);
  w.use(1);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_exp_request());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.use(2);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_request());
}

WIRE_TEST(FastOpenClient, ExperimentalFormIsKept) {
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_request());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.use(1);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_exp_request());
  w.in(syn_ack(0).ack(1).mss(1000).tfo_exp(kCookie));
  w.out(data(1, "GET /").ack(1).psh());
  w.require(w.cached()->experimental && w.cached()->cookie == kCookie, "cookie and form are kept");
  w.use(2);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo_exp(kCookie).data("GET /"));
}

// A cookie that nobody asked for is not kept.
WIRE_TEST(FastOpenClient, UnaskedCookieIsIgnored) {
  w.connect();
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000).tfo(kCookie));
  w.out(segment(1).ack(1));
  w.require(!w.cached() || w.cached()->cookie.size == 0, "no cookie is kept");
  w.outcome(FastOpenOutcome::NotTried);
}

// A7: TCP_FASTOPEN_CONNECT: with a cookie at hand the SYN waits for the first write.
WIRE_TEST(FastOpenClient, SynWaitsForTheFirstWrite) {
  w.have_cookie(kCookie, 1000);
  w.connect({.fast_open = FastOpenMode::OnFirstWrite});
  w.advance(10s);
  w.learn_isn();
  w.write("G");
  w.out(w.our_syn().tfo(kCookie).data("G"));
  w.write("ET /");
  w.silent();
  w.in(syn_ack(0).ack(2).mss(1000));
  w.out(data(2, "ET /").ack(1).psh());
  w.outcome(FastOpenOutcome::Accepted);
}

// Without one there is nothing to wait for.
WIRE_TEST(FastOpenClient, SynThatAsksDoesNotWait) {
  w.connect({.fast_open = FastOpenMode::OnFirstWrite});
  w.out(w.our_syn().tfo_request());
  w.write("GET /");
  w.in(syn_ack(0).ack(1).mss(1000).tfo(kCookie));
  w.out(data(1, "GET /").ack(1).psh());
}

// Nothing was ever written: the SYN goes with the FIN's wish, or not at all.
WIRE_TEST(FastOpenClient, ClosingBeforeTheFirstWriteSendsNothing) {
  w.have_cookie(kCookie, 1000);
  w.connect({.fast_open = FastOpenMode::OnFirstWrite});
  w.close();
  w.advance(10s);
  w.population({.connections = 0, .requests = 0, .time_waits = 0, .listeners = 0});
}

// With a cookie and nothing to say the SYN carries the cookie alone.
WIRE_TEST(FastOpenClient, NothingToPutIntoTheSyn) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("");
  w.out(w.our_syn().tfo(kCookie));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  w.outcome(FastOpenOutcome::NoData);
}

// The FIN waits for the handshake.
WIRE_TEST(FastOpenClient, FinFollowsTheHandshake) {
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.shutdown_write();
  w.silent();
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(fin(6).ack(1));
  w.in(data(1, "200 OK").ack(7).psh());
  w.out(segment(7).ack(7));
  w.read("200 OK");
}

// A15: two SYNs cross; the data in ours counts for nothing until the peer acknowledges it.
WIRE_TEST(FastOpenClient, SimultaneousOpenSendsTheDataAgain) {
  w.have_cookie(kCookie, 1000);
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .local_port = 5000});
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.out(data(1, "GET /").ack(1).psh());
  w.in(segment(1).ack(6));
  w.advance(1min);
}

// Or has acknowledged it with the SYN.
WIRE_TEST(FastOpenClient, SimultaneousOpenWithDataTaken) {
  w.have_cookie(kCookie, 1000);
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .local_port = 5000});
  w.out(w.our_syn().tfo(kCookie).data("GET /"));
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(6));
  w.state(TcpState::Established);
  w.advance(1min);
}

// A6: bit 0x1 switches the client on.
WIRE_TEST(FastOpenClient, BitOneSwitchesItOn) {
  w.set("net.ipv4.tcp_fastopen", "2");
  w.have_cookie(kCookie, 1000);
  w.connect_fast_open("GET /");
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::Disabled);
}

// A6: bit 0x4 sends data without a cookie, and without the option.
WIRE_TEST(FastOpenClient, BitFourSendsDataWithoutCookie) {
  w.set("net.ipv4.tcp_fastopen", "5");
  w.connect_fast_open("GET /");
  w.out(w.our_syn().data("GET /"));
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
  w.outcome(FastOpenOutcome::Accepted);
}

// A7: TCP_FASTOPEN_NO_COOKIE does so for one connection.
WIRE_TEST(FastOpenClient, NoCookieForOneConnection) {
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .no_cookie = true});
  w.out(w.our_syn().data("GET /"));
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::DataNotAcked);
}

// A connection that did not ask for Fast Open does not get it, cookie or not.
WIRE_TEST(FastOpenClient, OffMeansOff) {
  w.have_cookie(kCookie, 1000);
  w.connect({.data = "GET /"});
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::NotTried);
}
