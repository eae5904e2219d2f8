// The memory of all connections together (C7): Linux's tcp_mem, in pages of 4096 bytes.
//
// The tests hold memory by single bytes: the first of a connection takes a small slab of 4096 bytes, and what it costs
// to keep one, which is a little more than a page.
#include "wire/language.hpp"

namespace ff::wiretest {
namespace {

// A connection of its own, to a host of its own, where one byte waits to be read.
void hold_a_page(Wire& w, int connection) {
  w.use(connection, connection);
  w.establish();
  w.in(segment(1).ack(1).psh().data("x"));
  w.out(segment(1).ack(2).any_window());
}

std::vector<Segment> small_segments(std::uint32_t first, std::uint32_t count) {
  std::vector<Segment> batch;
  for (std::uint32_t i = 0; i < count; ++i) batch.push_back(data(first + 250 * i, 250).ack(1));
  return batch;
}

}  // namespace

WIRE_TEST(Memory, CountsWhatWaitsAndNoMore) {
  w.establish();
  w.require(w.stack().memory().bytes == 0, "nothing waits");
  w.in(segment(1).ack(1).psh().data("hello"));
  w.out(segment(1).ack(6));
  const std::uint64_t received = w.stack().memory().bytes;
  w.require(received > 4096 && received < 8192, "a small slab");
  w.write("hello");
  w.out(segment(1).ack(6).psh().data("hello"));
  w.require(w.stack().memory().bytes > received, "and what is in flight");
  w.read("hello");
  w.in(segment(6).ack(6));
  w.require(w.stack().memory().bytes == 0, "read, and acknowledged");
}

WIRE_TEST(Memory, PressureBeginsAboveTheSecondBoundAndEndsBelowTheFirst) {
  w.set("tcp_mem", "1 2 1000");
  hold_a_page(w, 1);
  hold_a_page(w, 2);
  w.require(!w.stack().memory().pressure, "it is looked at before more is taken");
  hold_a_page(w, 3);
  w.require(w.stack().memory().pressure, "more than two pages are held");
  w.counter(Counter::TcpExt_TCPMemoryPressures, 1);
  w.advance(100ms);
  w.read("x");
  w.use(2, 2);
  w.require(w.stack().memory().pressure, "two pages are more than one");
  w.read("x");
  w.use(1, 1);
  w.read("x");
  w.require(!w.stack().memory().pressure, "nothing is held");
  w.counter(Counter::TcpExt_TCPMemoryPressuresChrono, 100);
}

// Above the third bound nothing more is taken. The peer keeps what was dropped, and sends it again.
WIRE_TEST(Memory, UsedUpDropsWhatArrives) {
  w.set("tcp_mem", "0 0 1");
  hold_a_page(w, 1);
  w.in(segment(2).ack(1).psh().data("y"));
  w.out(segment(1).ack(2).any_window());
  w.counter(Counter::TcpExt_PruneCalled, 1);
  w.counter(Counter::TcpExt_TCPRcvQDrop, 1);
  w.dropped(DropReason::TcpMemory, 1);
  w.read("x");
  w.in(segment(2).ack(1).psh().data("y"));
  w.out(segment(1).ack(3).any_window());
  w.read("y");
}

// One that waits for nothing else gets what it waits for: otherwise nothing would ever go on.
WIRE_TEST(Memory, UsedUpLeavesEachReaderOneSegment) {
  w.set("tcp_mem", "0 0 1");
  hold_a_page(w, 1);
  hold_a_page(w, 2);
  w.read("x");
  w.counter(Counter::TcpExt_TCPRcvQDrop, 0);
}

WIRE_TEST(Memory, UsedUpDropsWhatIsOutOfOrder) {
  w.set("tcp_mem", "0 0 1");
  hold_a_page(w, 1);
  w.use(2, 2);
  w.establish();
  w.in(segment(4).ack(1).psh().data("d"));
  w.out(segment(1).ack(1).any_window());
  w.counter(Counter::TcpExt_TCPOFODrop, 1);
  w.counter(Counter::TcpExt_TCPRcvQDrop, 0);
}

// What lies furthest ahead is given up first, and the sender is told of it no more (RFC 2018 §8).
WIRE_TEST(Memory, UsedUpGivesUpWhatIsFurthestAhead) {
  w.set("tcp_mem", "0 0 1");
  w.use(2, 2);
  w.establish();
  w.in(segment(11).ack(1).psh().data("0123456789"));
  w.out(segment(1).ack(1).any_window().sack({{11, 21}}));
  w.in(segment(31).ack(1).psh().data("0123456789"));
  w.out(segment(1).ack(1).any_window().sack({{31, 41}, {11, 21}}));
  hold_a_page(w, 1);
  w.use(2, 2);
  w.in(segment(21).ack(1).psh().data("0123456789"));
  w.out(segment(1).ack(1).any_window().sack({{11, 21}}));
  w.counter(Counter::TcpExt_OfoPruned, 1);
  w.counter(Counter::TcpExt_TCPOFODrop, 1);
}

// Between the second and the third bound who has more than its share gets no more, and the others do.
WIRE_TEST(Memory, PressureLeavesEachItsShare) {
  w.set("tcp_mem", "0 0 6");
  hold_a_page(w, 1);
  hold_a_page(w, 2);
  w.use(3, 3);
  w.establish();
  w.in_batch(small_segments(1, 17));  // 4250 bytes: two pages, the third part of six
  w.out(segment(1).ack(4251).any_window());
  w.in(data(4251, 250).ack(1));
  w.out(segment(1).ack(4251).any_window());
  w.counter(Counter::TcpExt_TCPRcvQDrop, 1);
  w.use(2, 2);
  w.in(segment(2).ack(1).psh().data("y"));
  w.out(segment(1).ack(3).any_window());
  w.counter(Counter::TcpExt_TCPRcvQDrop, 1);
}

// As Linux: no more than four segments, where little of the buffer is free. What was promised stays promised.
WIRE_TEST(Memory, PressureKeepsWindowsSmall) {
  w.set("tcp_mem", "0 8 1000");
  w.set("tcp_rmem", "4096 40000 40000");
  w.use(5, 5);
  w.establish();
  for (std::uint32_t at = 1; at < 25001; at += 5000) {
    w.in_batch(small_segments(at, 20));
    w.out(segment(1).ack(at + 5000).any_window());
  }
  w.require(w.info().rcv_ssthresh == 40000 && w.info().rcv_wnd == 15000, "the window is as large as the buffer allows");
  for (int connection = 1; connection <= 3; ++connection) hold_a_page(w, connection);
  w.use(5, 5);
  w.in_batch(small_segments(25001, 3));
  w.out(segment(1).ack(25751).window(14250));
  w.require(w.stack().memory().pressure && w.info().rcv_ssthresh == 4u * w.mss(), "it is to become four segments");
}

WIRE_TEST(Memory, PressureKeepsSendBuffersSmall) {
  w.set("tcp_mem", "0 0 1000");
  hold_a_page(w, 1);
  w.in(segment(2).ack(1).psh().data("y"));  // now there is pressure
  w.out(segment(1).ack(3).any_window());
  w.use(2, 2);
  w.establish({.window = 0});
  // Each packet costs 1280 bytes besides its own; the last is filled.
  w.require(w.write_once(std::string(50000, 'x')) == 8000, "the second number of tcp_wmem");
}

WIRE_TEST(Memory, UsedUpRefusesWritersAndTellsThemLater) {
  w.set("tcp_mem", "0 0 1");
  hold_a_page(w, 1);
  w.use(2, 2);
  w.establish();
  w.write_fails(Error::WouldBlock);
  w.advance(1s);
  w.no_event(event_bits::kWritable);
  w.use(1, 1);
  w.read("x");
  w.use(2, 2);
  w.event(event_bits::kWritable);
  w.write("h");
  w.out(segment(1).ack(1).any_window().psh().data("h"));
}

// A byte that waits in a large slab, amid bytes that nobody wants any more, moves to a small one.
WIRE_TEST(Memory, PressurePacksWhatWaits) {
  w.set("tcp_mem", "0 0 1000000");
  w.use(1, 1);
  w.establish();
  for (std::uint32_t i = 0; i < 3; ++i) {
    w.in(data(1 + 1000 * i, 1000).ack(1));
    w.out(segment(1).ack(1001 + 1000 * i).any_window());
  }
  hold_a_page(w, 2);
  w.require(w.stack().memory().pressure && w.stack().memory().bytes < 5 * 4224, "3001 bytes take no more than that");
  w.counter(Counter::TcpExt_TCPRcvCollapsed, w.in_large_slabs() ? 1 : 0);
  w.use(1, 1);
  w.read(stream(1, 3000));
}

// As Linux's tcp_check_oom().
WIRE_TEST(Memory, UsedUpEndsOrphansThatHoldMuch) {
  w.set("tcp_mem", "0 0 3");
  w.establish({.window = 0});
  w.require(w.write_once(stream(1, 9000)) > 8000, "two pages, and part of a third");
  w.close();
  w.out(rst(1).ack(1));
  w.counter(Counter::TcpExt_TCPAbortOnMemory, 1);
}

// One that sleeps in front of a full buffer holds up nobody else (C9), however little memory there is.
WIRE_TEST(Memory, ASleepingReaderDoesNotHoldUpOthers) {
  w.set("tcp_mem", "1 2 3");
  for (int sleeper = 1; sleeper <= 4; ++sleeper) hold_a_page(w, sleeper);
  w.use(5, 5);
  w.establish();
  for (std::uint32_t i = 0; i < 14; ++i) {
    w.in(data(1 + 1000 * i, 1000).ack(1));
    w.out(segment(1).ack(1001 + 1000 * i).any_window());
    w.read(stream(1 + 1000 * i, 1000));
  }
}

}  // namespace ff::wiretest
