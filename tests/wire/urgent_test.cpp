// Urgent data (C6): RFC 9293 §3.8.5, RFC 6093 §3, and Linux's MSG_OOB, SO_OOBINLINE and SIOCATMARK.
#include "wire/language.hpp"

namespace ff::wiretest {
namespace {

constexpr std::uint8_t kUrgent = write_bits::kUrgent;

void in_line(Wire& w) {
  SocketOptions options;
  options.oob_inline = true;
  w.listen({.options = options});
}

}  // namespace

// ---- sending

WIRE_TEST(UrgentSending, PointerNamesTheByteBehind) {
  w.establish();
  w.write_with(kUrgent, "abc");
  w.out(segment(1).ack(1).psh().urgent(3).data("abc"));
  w.in(segment(1).ack(4));
  w.write("def");
  w.out(segment(4).ack(1).psh().data("def"));
}

// Nagle's algorithm would let the small segment wait for the one before it.
WIRE_TEST(UrgentSending, DoesNotWait) {
  w.establish();
  w.write("x");
  w.out(segment(1).ack(1).psh().data("x"));
  w.write_with(kUrgent, "y");
  w.out(segment(2).ack(1).psh().urgent(1).data("y"));
  w.write("z");  // nor does what follows, while the peer has not acknowledged it
  w.out(segment(3).ack(1).psh().data("z"));
}

// Each segment before the byte says how far away it is; a device could not cut that from one large segment.
WIRE_TEST(UrgentSending, EverySegmentBeforeItTellsOfIt) {
  w.super_segments(65535);
  w.establish();
  w.write_with(kUrgent, stream(1, 2500));
  w.out(data(1, 1000).ack(1).urgent(2500));
  w.out(data(1001, 1000).ack(1).urgent(1500));
  w.out(data(2001, 500).ack(1).psh().urgent(500));
  w.in(segment(1).ack(2501));
  w.write(stream(2501, 2000));
  w.out(data(2501, 2000).ack(1).psh().segments_of(1000));
}

WIRE_TEST(UrgentSending, RetransmissionTellsOfItToo) {
  w.establish();
  w.write_with(kUrgent, "abc");
  w.out(segment(1).ack(1).psh().urgent(3).data("abc"));
  w.advance(210ms);
  w.out(segment(1).ack(1).psh().urgent(3).data("abc"));
}

// The pointer reaches 64 KiB; from further away it says "at least so far".
WIRE_TEST(UrgentSending, PointerFarAheadIsTheLargest) {
  SocketOptions options;
  options.sndbuf = 200000;
  w.listen({.options = options});
  w.establish({.window = 2000});
  w.write_with(kUrgent, stream(1, 66500));
  w.out(data(1, 1000).ack(1).urgent(65535));
  // As Linux: a packet is pushed that brings what was written to more than half of the window.
  auto second = data(1001, 1000).ack(1).urgent(65500);
  w.out(w.in_large_slabs() ? std::move(second).psh() : std::move(second));
}

// RFC 9293 §3.8.5: a closed window does not keep it from being told of.
WIRE_TEST(UrgentSending, IsToldOfThroughAClosedWindow) {
  w.establish({.window = 0});
  w.write_with(kUrgent, "abc");
  w.silent();
  w.in(segment(1).ack(1).psh().window(0).data("hello"));
  w.out(segment(1).ack(6).urgent(3));  // on any segment
  w.advance(210ms);
  w.out(segment(1).ack(6).urgent(3));  // where the peer looks at the pointer
  w.out(segment(0).ack(6).urgent(4));  // where it must answer
  w.in(segment(6).ack(1));
  w.out(segment(1).ack(6).psh().urgent(3).data("abc"));
}

// ---- receiving

WIRE_TEST(UrgentReceiving, ByteIsTakenOutOfTheStream) {
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(3).data("abcd"));
  w.out(segment(1).ack(5));
  w.event(event_bits::kUrgent);
  w.require(!w.at_mark(), "two bytes are in front of the mark");
  w.require(w.read_once() == "ab", "read() stops at the mark");
  w.require(w.at_mark(), "and there it is");
  w.read_urgent('c');
  w.read_urgent_fails(Error::InvalidArgument);  // taken already
  w.require(w.read_once() == "d", "the urgent byte is not in the stream");
  w.require(!w.at_mark(), "the mark is passed");
  w.require(w.read_once() == "nothing", "that was all");
}

WIRE_TEST(UrgentReceiving, SlicesStopAtTheMarkToo) {
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(3).data("abcd"));
  w.out(segment(1).ack(5));
  w.require(w.read_slice_once() == "ab", "up to the mark");
  w.require(w.read_slice_once() == "d", "from behind it");
}

WIRE_TEST(UrgentReceiving, InLineItStaysWhereItIs) {
  in_line(w);
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(3).data("abcd"));
  w.out(segment(1).ack(5));
  w.event(event_bits::kUrgent);
  w.read_urgent_fails(Error::InvalidArgument);
  w.require(w.read_once() == "ab", "read() stops at the mark");
  w.require(w.at_mark(), "and there it is");
  w.require(w.read_once() == "cd", "with the urgent byte first");
}

WIRE_TEST(UrgentReceiving, PassedWithoutATakerTheByteIsLost) {
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(1).data("abc"));
  w.out(segment(1).ack(4));
  w.require(w.at_mark(), "it is the first byte");
  w.require(w.read_once() == "bc", "what is behind it");
  w.read_urgent_fails(Error::InvalidArgument);
}

WIRE_TEST(UrgentReceiving, IsAnnouncedBeforeItComes) {
  w.establish();
  w.read_urgent_fails(Error::InvalidArgument);
  w.in(segment(1).ack(1).urgent(5));
  w.event(event_bits::kUrgent);
  w.read_urgent_fails(Error::WouldBlock);
  w.in(segment(1).ack(1).psh().data("abcdef"));
  w.out(segment(1).ack(7));
  w.event(event_bits::kUrgent);
  w.read_urgent('e');
}

WIRE_TEST(UrgentReceiving, ByteAheadOfAGapIsHereAtOnce) {
  w.establish();
  w.in(segment(4).ack(1).psh().urgent(1).data("d"));
  w.out(segment(1).ack(1).sack({{4, 5}}));
  w.event(event_bits::kUrgent);
  w.read_urgent('d');
  w.in(segment(1).ack(1).psh().data("abc"));
  w.out(segment(1).ack(5));
  w.read("abc");
}

// tcp_stdurg: RFC 1122 §4.2.2.4 said that the pointer names the byte itself; RFC 6093 §3.1 gave that up.
WIRE_TEST(UrgentReceiving, StandardPointerNamesTheByteItself) {
  w.set("tcp_stdurg", "1");
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(2).data("abc"));
  w.out(segment(1).ack(4));
  w.read_urgent('c');
}

// There is one mark: with a new one the byte before it is an ordinary one, unless the reader stands just there.
WIRE_TEST(UrgentReceiving, ANewerOneTakesThePlace) {
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(2).data("ab"));
  w.out(segment(1).ack(3));
  w.in(segment(3).ack(1).psh().urgent(2).data("cd"));
  w.out(segment(1).ack(5));
  w.require(w.read_once() == "abc", "the older byte is in the stream");
  w.in(segment(5).ack(1).psh().urgent(2).data("ef"));
  w.out(segment(1).ack(7));
  w.require(w.read_once() == "e", "it was at the mark: its byte is passed");
  w.read_urgent('f');
}

WIRE_TEST(UrgentReceiving, AfterTheEndNothingComes) {
  w.establish();
  w.in(segment(1).ack(1).urgent(5));
  w.in(fin(1).ack(1));
  w.advance(1ms);
  w.out(segment(1).ack(2));
  w.read_urgent_end();
}

// Whatever the pointer says, the bytes arrive.
WIRE_TEST(UrgentReceiving, WildPointersDoNoHarm) {
  w.establish();
  w.in(segment(1).ack(1).psh().urgent(65535).data("abc"));
  w.out(segment(1).ack(4));
  w.require(w.read_once() == "abc", "a mark far ahead");
  w.in(segment(4).ack(1).psh().urgent(10).data("def"));
  w.out(segment(1).ack(7));
  w.require(w.read_once() == "def", "one before the last is none");
  w.in(segment(4).ack(1).psh().urgent(1).data("def"));
  w.out(segment(1).ack(7).sack({{4, 7}}));
  w.require(w.read_once() == "nothing", "an old segment says nothing");
  w.in(segment(7).ack(1).psh().urgent(0).data("ghi"));
  w.out(segment(1).ack(10));
  w.require(w.read_once() == "ghi", "nor does a pointer of 0 behind a newer one");
  w.read_urgent_fails(Error::WouldBlock);
}

WIRE_TEST(UrgentReceiving, NobodyHearsOfItAfterShutdown) {
  w.establish();
  w.shutdown_read();
  w.in(segment(1).ack(1).psh().urgent(1).data("abc"));
  w.out(segment(1).ack(4));
  w.no_event(event_bits::kUrgent);
  w.read_urgent_fails(Error::InvalidArgument);
}

}  // namespace ff::wiretest
