// What setsockopt() changes: SO_KEEPALIVE, TCP_USER_TIMEOUT, TCP_LINGER2, TCP_SYNCNT, TCP_DEFER_ACCEPT, TCP_MAXSEG,
// TCP_CORK, TCP_NOTSENT_LOWAT, TCP_WINDOW_CLAMP, SO_RCVBUF, SO_SNDBUF, TCP_SAVE_SYN (tcp(7), socket(7)).
#include "wire/language.hpp"

namespace ff::wiretest {
namespace {

SocketOptions keepalive(std::uint32_t idle, std::uint32_t interval, std::uint32_t count) {
  SocketOptions options;
  options.keepalive = true;
  options.keepidle = idle;
  options.keepintvl = interval;
  options.keepcnt = count;
  return options;
}

SocketOptions lingering(std::uint32_t seconds) {
  SocketOptions options;
  options.linger = seconds;
  return options;
}

WIRE_TEST(WindowClamp, BoundsWhatIsOffered) {
  SocketOptions options;
  options.window_clamp = 4000;
  w.listen({.options = options});
  w.in(syn(0));
  w.out(syn_ack(0).ack(1).mss(w.mss()).window(w.mss()));  // half of it, in whole segments
  w.in(segment(1).ack(1));
  w.accept();
  w.in(data(1, 1000).ack(1).psh());
  w.out(segment(1).ack(1001).window(3000));
  w.read(stream(1, 1000));
  w.in(data(1001, 1000).ack(1).psh());
  w.out(segment(1).ack(2001).window(3000));
}

WIRE_TEST(Keepalive, ProbesAndThenGivesUp) {
  w.listen({.options = keepalive(10, 2, 3)});
  w.establish();
  w.advance(9990ms);
  w.silent();
  w.advance(10ms);
  w.out(segment(0).ack(1));
  w.advance(2s);
  w.out(segment(0).ack(1));
  w.advance(2s);
  w.out(segment(0).ack(1));
  w.advance(2s);
  w.out(rst(1).ack(1));
  w.ended_with(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPKeepAlive, 3);
  w.counter(Counter::TcpExt_TCPAbortOnTimeout, 1);
}

WIRE_TEST(Keepalive, AnAnswerBeginsAnew) {
  w.listen({.options = keepalive(10, 2, 2)});
  w.establish();
  w.advance(10s);
  w.out(segment(0).ack(1));
  w.in(segment(1).ack(1));
  w.advance(2s);  // the interval's timer finds that the peer was heard
  w.silent();
  w.advance(8s);
  w.out(segment(0).ack(1));
  w.in(segment(1).ack(1));
}

WIRE_TEST(Keepalive, IsOffByDefaultAndMayBeSwitchedOnLater) {
  w.set("tcp_keepalive_time", "5");
  w.establish();
  w.advance(60s);
  w.silent();
  w.options(keepalive(0, 0, 0));
  w.advance(5s);
  w.out(segment(0).ack(1));
  w.in(segment(1).ack(1));
  w.options({});
  w.advance(1h);
  w.silent();
}

WIRE_TEST(Keepalive, UserTimeoutTakesThePlaceOfTheCount) {
  SocketOptions options = keepalive(10, 2, 9);
  options.user_timeout = 13000;
  w.listen({.options = options});
  w.establish();
  w.advance(10s);
  w.out(segment(0).ack(1));
  w.advance(2s);
  w.out(segment(0).ack(1));
  w.advance(2s);
  w.out(rst(1).ack(1));
  w.ended_with(Error::TimedOut);
}

WIRE_TEST(UserTimeout, EndsAConnectionWhoseDataIsNotAcknowledged) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  SocketOptions options;
  options.user_timeout = 1000;
  w.listen({.options = options});
  w.establish();
  w.write("x");
  w.out(segment(1).ack(1).psh().data("x"));
  w.advance(210ms);
  w.out(segment(1).ack(1).psh().data("x"));
  w.advance(420ms);
  w.out(segment(1).ack(1).psh().data("x"));
  w.advance(580ms);  // 1 s after the first time-out
  w.silent();
  w.ended_with(Error::TimedOut);
  w.counter(Counter::TcpExt_TCPAbortOnTimeout, 1);
}

WIRE_TEST(UserTimeout, EndsAConnectionWhoseWindowStaysShut) {
  SocketOptions options;
  options.user_timeout = 1000;
  w.listen({.options = options});
  w.establish({.window = 0});
  w.write("x");
  w.advance(210ms);
  w.out(segment(0).ack(1));
  w.in(segment(1).ack(1).window(0));
  w.advance(420ms);
  w.out(segment(0).ack(1));
  w.in(segment(1).ack(1).window(0));
  w.advance(840ms);
  w.silent();
  w.ended_with(Error::TimedOut);
}

// Within a user timeout of a second.
void write_into_full_device(Wire& w) {
  SocketOptions options;
  options.user_timeout = 1000;
  w.listen({.options = options});
  w.establish();
  w.device_full(true);
  w.write("x");
}

// The device takes nothing: as Linux, it is tried twice a second.
WIRE_TEST(UserTimeout, EndsAConnectionWhoseDataNeverGoesOut) {
  write_into_full_device(w);
  w.advance(210ms);
  w.require(w.info().probes == 1 && w.info().backoff == 0, "the first time");
  w.advance(500ms);
  w.require(w.info().probes == 2, "the second");
  w.advance(499ms);
  w.no_event(event_bits::kError);
  w.advance(1ms);
  w.ended_with(Error::TimedOut);
}

WIRE_TEST(UserTimeout, ADeviceThatTakesDataAgainIsInTime) {
  write_into_full_device(w);
  w.advance(1100ms);
  w.device_full(false);
  w.out(segment(1).ack(1).psh().data("x"));
  w.in(segment(1).ack(2));
  w.require(w.info().probes == 0, "all is well");
  w.advance(1min);
}

WIRE_TEST(UserTimeout, HoldsWhileAPeerTalksAndTheDeviceTakesNothing) {
  write_into_full_device(w);
  w.advance(100ms);
  w.in(data(1, 10).ack(1));
  w.advance(60s);
  w.ended_with(Error::TimedOut);
}

WIRE_TEST(UserTimeout, HoldsForWhatFollowsWhatWentOut) {
  SocketOptions options;
  options.user_timeout = 1000;
  options.no_delay = true;
  w.listen({.options = options});
  w.establish();
  w.write("a");
  w.out(data(1, "a").ack(1).psh());
  w.device_full(true);
  w.write("b");
  w.advance(10ms);
  w.in(segment(1).ack(2));
  w.advance(60s);
  w.ended_with(Error::TimedOut);
}

// However often the device is tried.
WIRE_TEST(UserTimeout, IsWaitedForByADeviceThatTakesNothing) {
  SocketOptions options;
  options.user_timeout = 20'000;
  w.listen({.options = options});
  w.establish();
  w.device_full(true);
  w.write("x");
  w.advance(12s);
  w.state(TcpState::Established);
}

WIRE_TEST(UserTimeout, DoesNotCountWhatPacingHolds) {
  SocketOptions options;
  options.user_timeout = 1000;
  options.max_pacing_rate = 100;
  options.no_delay = true;
  w.listen({.options = options});
  w.establish();
  w.write(stream(1, 1000));
  w.out(data(1, 1000).ack(1).psh());
  w.advance(10ms);
  w.in(segment(1).ack(1001));
  w.write("x");
  w.advance(9s);
  w.state(TcpState::Established);
  w.advance(990ms);
  w.out(data(1001, "x").ack(1).psh());
}

WIRE_TEST(Linger2, NegativeLeavesNoFinWait2) {
  SocketOptions options;
  options.linger2 = -1;
  w.listen({.options = options});
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.out(rst(2));
  w.population({0, 0, 0, 1});
  w.counter(Counter::TcpExt_TCPAbortOnData, 1);
}

WIRE_TEST(Linger2, NegativeResetsAtCloseInFinWait2) {
  SocketOptions options;
  options.linger2 = -1;
  w.listen({.options = options});
  w.establish();
  w.shutdown_write();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.close();
  w.out(rst(2).ack(1));
  w.population({0, 0, 0, 1});
  w.counter(Counter::TcpExt_TCPAbortOnLinger, 1);
}

WIRE_TEST(Linger2, SetsHowLongFinWait2Lasts) {
  SocketOptions options;
  options.linger2 = 3;
  w.listen({.options = options});
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.advance(2999ms);
  w.population({1, 0, 0, 1});
  w.advance(1ms);
  w.population({0, 0, 0, 1});
}

WIRE_TEST(Linger, ZeroResetsAtClose) {
  SocketOptions options;
  options.linger = 0;
  w.listen({.options = options});
  w.establish();
  w.close();
  w.out(rst(1).ack(1));
  w.population({0, 0, 0, 1});
  w.counter(Counter::TcpExt_TCPAbortOnData, 1);
}

// SO_LINGER with seconds: who closed hears when the peer has acknowledged everything, FIN included.
WIRE_TEST(Linger, EndsWhenEverythingIsAcknowledged) {
  w.listen({.options = lingering(10)});
  w.establish();
  w.write("last words");
  w.out(segment(1).ack(1).psh().data("last words"));
  w.close();
  w.out(fin(11).ack(1));
  w.stale();
  w.in(segment(1).ack(11));
  w.no_event(event_bits::kClosed);
  w.in(segment(1).ack(12));
  w.event(event_bits::kClosed);
  w.population({1, 0, 0, 1});  // an orphan in FIN_WAIT_2
  w.in(fin(1).ack(12));
  w.out(segment(12).ack(2));
  w.no_event(event_bits::kClosed);
  w.population({0, 0, 1, 1});
}

WIRE_TEST(Linger, EndsWithItsTimeAndTheConnectionGoesOn) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.listen({.options = lingering(1)});
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.advance(210ms);
  w.out(fin(1).ack(1));
  w.advance(420ms);
  w.out(fin(1).ack(1));
  w.advance(369ms);
  w.no_event(event_bits::kClosed);
  w.advance(1ms);
  w.event(event_bits::kClosed);
  w.population({1, 0, 0, 1});
  w.advance(470ms);
  w.out(fin(1).ack(1));
  w.in(fin(1).ack(2));
  w.out(segment(2).ack(2));
  w.population({0, 0, 1, 1});
}

WIRE_TEST(Linger, EndsWithTheConnection) {
  w.listen({.options = lingering(10)});
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(rst(1));
  w.event(event_bits::kClosed);
  w.population({0, 0, 0, 1});
}

WIRE_TEST(Linger, HasNothingToWaitForWhereBytesAreUnread) {
  w.listen({.options = lingering(10)});
  w.establish();
  w.in(segment(1).ack(1).psh().data("x"));
  w.out(segment(1).ack(2));
  w.close();
  w.out(rst(1).ack(2));
  w.event(event_bits::kClosed);
  w.population({0, 0, 0, 1});
}

WIRE_TEST(Linger, DoesNotWaitForThePeersFin) {
  w.listen({.options = lingering(10)});
  w.establish();
  w.shutdown_write();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.close();
  w.event(event_bits::kClosed);
}

// While close() waits somebody does: not an orphan yet, with the patience of others.
WIRE_TEST(Linger, IsAnOrphanOnlyAfterwards) {
  w.set("tcp_max_orphans", "0");
  w.listen({.options = lingering(2)});
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.in(segment(1).ack(2));
  w.out(rst(2).ack(1));
  w.event(event_bits::kClosed);
  w.counter(Counter::TcpExt_TCPAbortOnMemory, 1);
  w.population({0, 0, 0, 1});
}

WIRE_TEST(SynCount, BoundsTheRetransmissionsOfASyn) {
  SocketOptions options;
  options.syncnt = 2;
  w.connect({.options = options});
  w.out(w.our_syn());
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(2s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(3000, 0).wscale(7));
  w.advance(4s);
  w.silent();
  w.ended_with(Error::TimedOut);
}

WIRE_TEST(DeferAccept, WaitsForDataAndRemindsOnce) {
  SocketOptions options;
  options.defer_accept = 3;  // two SYN-ACK time-outs: at 1 s and 3 s
  w.listen({.options = options});
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.nothing_to_accept();
  w.counter(Counter::TcpExt_TCPDeferAcceptDrop, 1);
  w.in(segment(1).ack(1).psh().data("hello"));
  w.out(segment(1).ack(6));
  w.accept();
  w.read("hello");
}

WIRE_TEST(DeferAccept, TakesABareAckWhenItsTimeIsOver) {
  SocketOptions options;
  options.defer_accept = 3;
  w.listen({.options = options});
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.advance(1s);
  w.silent();  // it has been acknowledged: no need to repeat it
  w.advance(2s);
  w.out(syn_ack(0).ack(1).mss(w.mss()));  // a last time
  w.in(segment(1).ack(1));
  w.accept();
}

WIRE_TEST(MaxSegment, BoundsWhatIsAnnouncedAndSent) {
  SocketOptions options;
  options.maxseg = 500;
  options.no_delay = true;
  w.listen({.options = options});
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(500));
  w.in(segment(1).ack(1));
  w.accept();
  w.write(std::string(600, 'x'));
  w.out(segment(1).ack(1).data(std::string(500, 'x')));
  w.out(segment(501).ack(1).psh().data(std::string(100, 'x')));
}

void establish_corked(Wire& w) {
  SocketOptions options;
  options.cork = true;
  w.listen({.options = options});
  w.establish();
}

WIRE_TEST(Cork, HoldsAShortSegmentUntilItIsPulled) {
  establish_corked(w);
  w.write("ab");
  w.silent();
  w.write("cd");
  w.silent();
  w.options({});
  w.out(segment(1).ack(1).psh().data("abcd"));
}

WIRE_TEST(Cork, HoldsForOneTimeoutAtMost) {
  establish_corked(w);
  w.write("ab");
  w.advance(210ms);
  w.out(segment(1).ack(1).psh().data("ab"));
}

// As Linux's TCP_NODELAY: it pushes out what waits, once; the cork stays.
WIRE_TEST(Cork, NoDelayPushesOutWhatItHolds) {
  establish_corked(w);
  w.write("ab");
  w.silent();
  SocketOptions options;
  options.cork = options.no_delay = true;
  w.options(options);
  w.out(segment(1).ack(1).psh().data("ab"));
  w.write("cd");
  options.keepalive = true;
  w.options(options);
  w.silent();  // it was on before
  w.no_delay(true);
  w.out(segment(3).ack(1).psh().data("cd"));
}

WIRE_TEST(More, NoDelayPushesOutWhatItHolds) {
  w.establish();
  w.write_with(write_bits::kMore, "header ");
  w.silent();
  w.no_delay(true);
  w.out(segment(1).ack(1).data("header "));
}

WIRE_TEST(More, HoldsAShortSegmentUntilTheRestIsWritten) {
  w.establish();
  w.write_with(write_bits::kMore, "header ");
  w.silent();
  w.write("body");
  w.out(segment(1).ack(1).psh().data("header body"));
}

WIRE_TEST(More, HoldsForOneTimeoutAtMost) {
  w.establish();
  w.write_with(write_bits::kMore, "header ");
  w.advance(210ms);
  w.out(segment(1).ack(1).psh().data("header "));
}

// Full segments go, without PSH: the message is not complete.
WIRE_TEST(More, HoldsTheTailOnly) {
  w.establish();
  w.write_with(write_bits::kMore, stream(1, 1100));
  w.out(data(1, 1000).ack(1));
  w.write_with(write_bits::kMore, stream(1101, 900));
  w.out(data(1001, 1000).ack(1));
  w.write_with(0, stream(2001, 1));
  w.out(data(2001, 1).ack(1).psh());
}

// As Linux: it is about this write, and does not outlast the next word from the peer. The message is still not
// complete, so that nothing is pushed.
WIRE_TEST(More, EndsWithTheNextAck) {
  w.establish();
  w.write("x");
  w.out(segment(1).ack(1).psh().data("x"));
  w.write_with(write_bits::kMore, "y");
  w.silent();
  w.in(segment(1).ack(2));
  w.out(segment(2).ack(1).data("y"));
}

// MSG_EOR, as Linux: what is written behind it begins a segment of its own, the first time and again.
WIRE_TEST(EndOfRecord, NoSegmentHoldsBytesOfTwo) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.super_segments(65535);
  w.establish({.window = 0, .no_delay = true});
  w.write_with(write_bits::kEndOfRecord, stream(1, 300));
  w.write_with(write_bits::kEndOfRecord, stream(301, 300));
  w.write(stream(601, 100));
  w.write(stream(701, 100));
  w.silent();
  w.in(segment(1).ack(1).window(5000));
  w.out(data(1, 300).ack(1).psh());
  w.out(data(301, 300).ack(1).psh());
  w.out(data(601, 200).ack(1).psh());
  w.advance(210ms);
  w.out(data(1, 300).ack(1).psh());
  w.in(segment(1).ack(301));
  w.out(data(301, 300).ack(1).psh());
  w.out(data(601, 200).ack(1).psh());
}

// A record may be of several writes; where it ends inside a packet, the rest of that stays free.
WIRE_TEST(EndOfRecord, EndsWithTheWriteThatSaysSo) {
  establish_corked(w);
  w.write(stream(1, 700));
  w.write_with(write_bits::kEndOfRecord, stream(701, 700));
  w.out(data(1, 1000).ack(1));
  w.silent();  // the cork holds a record's end like any other
  w.write(stream(1401, 1000));
  w.out(data(1001, 400).ack(1).psh());
  w.out(data(1401, 1000).ack(1).psh());
}

// As Linux: the bound is looked at where a packet begins; one that has begun is filled.
WIRE_TEST(NotSentLowat, BoundsWhatWaitsUnsent) {
  SocketOptions options;
  options.notsent_lowat = 1500;
  w.listen({.options = options});
  w.establish({.window = 0});
  w.require(w.write_once(stream(1, 1100)) == 1100, "1100 bytes fit");
  w.require(w.write_once(stream(1101, 5000)) == 900, "what the second packet holds");
  w.write_fails(Error::WouldBlock);
  w.in(segment(1).ack(1).window(2000));
  w.out(data(1, 1000).ack(1).psh());  // more than half of the largest window so far, which held nothing
  w.out(data(1001, 1000).ack(1).psh());
  w.event(event_bits::kWritable);
}

// What can go at once does not wait.
WIRE_TEST(NotSentLowat, LeavesAloneWhatCanGo) {
  SocketOptions options;
  options.notsent_lowat = 1500;
  w.listen({.options = options});
  w.establish({.window = 5000});
  w.require(w.write_once(stream(1, 20'000)) == 7000, "5000 bytes go, and two packets wait");
  for (std::uint32_t i = 0; i < 5; ++i) {
    // As Linux, in the middle of a write where more than half of the window has been written.
    auto next = data(1 + 1000 * i, 1000).ack(1);
    w.out(i == 2 ? std::move(next).psh() : std::move(next));
  }
}

WIRE_TEST(SendBuffer, BoundsWhatIsWritten) {
  SocketOptions options;
  options.sndbuf = 5000;
  w.listen({.options = options});
  w.establish({.window = 0});
  // Each packet costs 1280 bytes besides its own; another begins while less than SO_SNDBUF is taken, and is filled.
  w.require(w.write_once(std::string(20000, 'x')) == 3000, "SO_SNDBUF bounds what waits");
}

WIRE_TEST(QuickAck, SendsTheDelayedAckAtOnce) {
  w.establish({.rtt = 100ms});
  w.quick_ack(false);
  w.in(segment(1).ack(1).psh().data("x"));
  w.silent();
  w.quick_ack(true);
  w.out(segment(1).ack(2));
}

WIRE_TEST(Orphans, OverTheBoundAreReset) {
  w.set("tcp_max_orphans", "1");
  w.establish();
  w.close();
  w.out(fin(1).ack(1));
  w.use(1, 1);
  w.establish();
  w.close();
  w.out(rst(1).ack(1));
  w.counter(Counter::TcpExt_TCPAbortOnMemory, 1);
  w.population({1, 0, 0, 1});
}

WIRE_TEST(SaveSyn, IsTheHeadersAndIsToldOnce) {
  SocketOptions options;
  options.save_syn = 1;
  w.listen({.options = options});
  w.in(syn(0).mss(1000));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
  const std::size_t ip = w.v6() ? 40 : 20;
  const std::string saved = w.saved_syn();
  w.require(saved.size() == ip + 24, "the SYN's IP and TCP header, MSS option included");
  w.require((saved[0] & 0xf0) == (w.v6() ? 0x60 : 0x40), "an IP header");
  w.require(saved[ip + 13] == 2, "the SYN flag");
  w.require(w.saved_syn().empty(), "told once");
}

// TCP_TX_DELAY: each packet goes out so much later than it would; what comes in is not held up.
WIRE_TEST(TransmitDelay, HoldsEveryPacketBack) {
  SocketOptions options;
  options.tx_delay = 20'000;
  w.listen({.options = options});
  w.in(syn(0).mss(1000));
  w.advance(20ms);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.accept();
  w.write(stream(1, 100));
  w.advance(10ms);
  w.write(stream(101, 1000));
  w.advance(10ms);
  w.out(data(1, 100).ack(1).psh());
  w.advance(10ms);
  w.out(data(101, 1000).ack(1).psh());
}

TEST(SocketOptionsCheck, NamesOptionValueAndWhatIsAllowed) {
  SocketOptions options;
  EXPECT_TRUE(check(options));
  options.maxseg = 87;
  EXPECT_EQ(check(options).error(), "TCP_MAXSEG cannot be 87; allowed is 88 to 32767, or 0 for the default");
  options = {};
  options.linger2 = 121;
  EXPECT_EQ(check(options).error(),
            "TCP_LINGER2 cannot be 121; allowed is up to 120, or a negative number for not at all");
}

}  // namespace
}  // namespace ff::wiretest

// ---- IP_TOS, IP_TTL

// The two bits of ECN stay TCP's own. The language checks that every packet has the TTL that the stack is set to.
WIRE_TEST(SocketOptions, TosGoesIntoEveryPacket) {
  w.listen({.options = {.tos = 0xba}});
  w.in(syn(0).mss(1000).ece().cwr());
  w.out(syn_ack(0).ack(1).mss(w.mss()).ece().traffic_class(0xb8));
  w.in(segment(1).ack(1));
  w.accept();
  w.in(data(1, "hi").ack(1));
  w.out(segment(1).ack(3).traffic_class(0xb8));
  w.write("hello");
  w.out(data(1, "hello").ack(3).psh().traffic_class(0xb8 | 2));
  w.options({.tos = 0x20});
  w.write("again");
  w.in(segment(3).ack(6));
  w.out(data(6, "again").ack(3).psh().traffic_class(0x20 | 2));
}
