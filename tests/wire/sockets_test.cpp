// What a stack says of its sockets (H3, K3): every form, its queues and timers, a batch at a time.
#include "firstflight/sockets.hpp"

#include <algorithm>

#include "wire/language.hpp"

namespace {

std::vector<SocketInfo> in_state(Wire& w, TcpState state) {
  std::vector<SocketInfo> found = w.stack().sockets(w.now());
  std::erase_if(found, [&](const SocketInfo& socket) { return socket.state != state; });
  return found;
}

SocketInfo only(Wire& w, TcpState state) {
  const std::vector<SocketInfo> found = in_state(w, state);
  w.require(found.size() == 1, "there is one socket in that state");
  return found.at(0);
}

}  // namespace

// K3: Recv-Q and Send-Q of a listener are the accept queue and its limit.
WIRE_TEST(Sockets, AListenerShowsItsAcceptQueue) {
  w.listen({.backlog = 7});
  SocketInfo listener = only(w, TcpState::Listen);
  w.require(listener.recv_queue == 0 && listener.send_queue == 7, "nobody waits, seven may");
  w.require(listener.tuple.local.port == 80 && listener.tuple.remote.port == 0, "it has a port and no peer");
  w.require(listener.timer == SocketTimer::None && !listener.connection, "it has no timer and carries nothing");
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.in(segment(1).ack(1));
  w.require(only(w, TcpState::Listen).recv_queue == 1, "one connection waits to be accepted");
  w.accept();
  w.require(only(w, TcpState::Listen).recv_queue == 0, "it was accepted");
}

WIRE_TEST(Sockets, ARequestShowsWhenItsSynAckGoesAgain) {
  w.listen();
  w.in(syn(0).mss(1460));
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  w.advance(400ms);
  SocketInfo request = only(w, TcpState::SynReceived);
  w.require(request.timer == SocketTimer::Retransmit && request.timer_left == 600ms, "the SYN-ACK's timer");
  w.require(request.timer_retries == 0 && request.tuple.remote.address == w.peer_address(0), "its peer");
  w.advance(600ms);
  w.out(syn_ack(0).ack(1).mss(w.mss()));
  request = only(w, TcpState::SynReceived);
  w.require(request.timer_retries == 1 && request.timer_left == 2s, "the second time-out is twice as long");
}

// H3: tcpi_busy_time, tcpi_rwnd_limited and tcpi_sndbuf_limited.
WIRE_TEST(Sockets, AConnectionShowsWhatHeldItUp) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  const auto about = [](Duration actual, Duration expected) {
    return actual > expected - 3ms && actual < expected + 3ms;  // counted in units of about a millisecond
  };
  w.establish();
  w.advance(1s);
  w.require(w.info().busy_time == 0ms, "an idle connection is not busy");
  w.write(stream(1, 100));
  w.out(data(1, 100).ack(1).psh());
  w.advance(100ms);
  w.in(segment(1).ack(101).window(0));
  w.require(about(w.info().busy_time, 100ms), "busy until all was acknowledged");
  w.write(stream(101, 100));
  w.advance(200ms);
  w.in(segment(1).ack(101).window(65535));
  w.out(data(101, 100).ack(1).psh());
  w.require(about(w.info().rwnd_limited, 200ms), "the window was shut for 200 ms");
  w.in(segment(1).ack(201));
  w.options({.sndbuf = 4096});
  const auto taken = static_cast<std::uint32_t>(w.write_some(stream(201, 20'000)));
  const std::uint32_t end = 201 + taken;
  w.require(taken < 10'000, "there is room for less than the congestion window");
  for (std::uint32_t at = 201; at < end; at += 1000) {
    auto next = data(at, std::min(1000u, end - at)).ack(1);
    w.out(at + 1000 >= end ? std::move(next).psh() : std::move(next));
  }
  w.advance(50ms);
  w.in(segment(1).ack(end));
  const ConnectionInfo info = w.info();
  w.require(about(info.sndbuf_limited, 50ms), "the buffer was full of what was in flight");
  w.require(about(info.rwnd_limited, 200ms) && about(info.busy_time, 350ms), "one thing at a time");
}

// H3: tcpi_total_rto, tcpi_total_rto_recoveries, tcpi_total_rto_time.
WIRE_TEST(Sockets, AConnectionShowsItsTimeouts) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write("x");
  w.out(data(1, "x").ack(1).psh());
  w.advance(210ms);
  w.out(data(1, "x").ack(1).psh());
  w.advance(420ms);
  w.out(data(1, "x").ack(1).psh());
  w.require(w.info().total_rto == 2 && w.info().total_rto_recoveries == 1, "two time-outs in a row");
  w.advance(80ms);
  w.in(segment(1).ack(2));
  w.require(w.info().total_rto_time == 500ms, "half a second from the first to the acknowledgement");
}

WIRE_TEST(Sockets, ALostSynCountsAsATimeout) {
  w.connect();
  w.out(w.our_syn());
  w.advance(1s);
  w.out(syn(0).mss(w.mss()).sack_ok().ts(1000, 0).wscale(7));
  w.advance(10ms);
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(segment(1).ack(1));
  w.require(w.info().total_rto == 1 && w.info().total_rto_recoveries == 1 && w.info().total_rto_time == 10ms,
            "and the time until the answer came");
}

// K3: of a connection, unread and unacknowledged bytes.
WIRE_TEST(Sockets, AConnectionShowsItsQueuesAndTimer) {
  w.establish();
  SocketInfo socket = only(w, TcpState::Established);
  w.require(socket.recv_queue == 0 && socket.send_queue == 0 && socket.timer == SocketTimer::None, "it is idle");
  w.in(data(1, "hello").ack(1).psh());
  w.out(segment(1).ack(6));
  w.write("answer");
  w.out(data(1, "answer").ack(6).psh());
  socket = only(w, TcpState::Established);
  w.require(socket.recv_queue == 5, "five bytes are unread");
  w.require(socket.send_queue == 6, "six bytes are not acknowledged");
  w.require(socket.timer == SocketTimer::Retransmit && socket.timer_left == 210ms, "the retransmission timer runs");
  w.require(socket.memory.rmem_alloc == 4096 && socket.memory.wmem_queued == 1286 && socket.memory.wmem_alloc == 6,
            "memory held for both");
  const ConnectionInfo& info = *socket.connection;
  w.require(info.data_segs_in == 1 && info.data_segs_out == 1 && info.bytes_received == 5, "what it carried");
  w.require(info.last_data_recv == w.now() && info.last_data_sent == w.now(), "and when");
  w.in(segment(6).ack(7));
  w.read("hello");
  socket = only(w, TcpState::Established);
  w.require(socket.recv_queue == 0 && socket.send_queue == 0 && socket.timer == SocketTimer::None, "all is done");
  w.require(socket.connection->delivered == 1 && socket.connection->segs_out == 2, "the totals went on");
}

WIRE_TEST(Sockets, ATimeOutIsASenderInLoss) {
  w.set("tcp_early_retrans", "0");  // no probe comes first
  w.establish();
  w.write("lost");
  w.out(data(1, "lost").ack(1).psh());
  w.advance(210ms);
  w.out(data(1, "lost").ack(1).psh());
  const SocketInfo socket = only(w, TcpState::Established);
  w.require(socket.connection->ca_state == CaState::Loss, "the sender knows of a loss");
  w.require(socket.timer_retries == 1 && socket.connection->backoff == 1, "the timer ran out once");
}

WIRE_TEST(Sockets, TimeWaitShowsItsEnd) {
  w.establish();
  w.close();
  w.out(segment(1).ack(1).fin());
  w.in(segment(1).ack(2).fin());
  w.out(segment(2).ack(2));
  w.advance(20s);
  const SocketInfo socket = only(w, TcpState::TimeWait);
  w.require(socket.timer == SocketTimer::TimeWait && socket.timer_left == 40s, "it goes after a minute");
}

// A list that is read in pieces holds each socket once; what is not wanted is not in it.
WIRE_TEST(Sockets, AreReadInBatches) {
  w.listen();
  for (int connection = 1; connection <= 5; ++connection) {
    w.use(connection);
    w.in(syn(0).mss(1460));
    w.out(syn_ack(0).ack(1).mss(w.mss()));
    if (connection > 2) w.in(segment(1).ack(1));
  }
  std::vector<std::uint64_t> ids;
  SocketCursor cursor;
  while (!cursor.at_end())
    for (const SocketInfo& socket : w.stack().sockets(w.now(), cursor, 2)) ids.push_back(socket.id);
  w.require(ids.size() == 6, "a listener, two requests and three connections");
  std::ranges::sort(ids);
  w.require(std::ranges::adjacent_find(ids) == ids.end(), "each once");

  SocketCursor requests(SocketCursor::bit(TcpState::SynReceived), true, true);
  w.require(w.stack().sockets(w.now(), requests, 100).size() == 2 && requests.at_end(), "the requests alone");
  SocketCursor udp(SocketCursor::kAllStates, false, true);
  w.require(w.stack().sockets(w.now(), udp, 100).empty() && udp.at_end(), "none of them is UDP's");
}
