// Scenarios of closing a connection: E1 to E9.
#include <algorithm>

#include "lab/lab.hpp"

namespace ff::lab {
namespace {

// ---- E1 ------------------------------------------------------------------------------------------------------------

void four_way_close(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.say("the client has no more to say: shutdown");
  client.shutdown_write();
  lab.expect_state("the client", client.state(), TcpState::FinWait1);
  lab.run(200ms);
  lab.expect_state("the client, its FIN being acknowledged", client.state(), TcpState::FinWait2);
  lab.expect_state("the server, which may go on", server.state(), TcpState::CloseWait);
  lab.say("the server closes too");
  server.close();
  lab.run(kDelay + 1ms);
  lab.expect_equal("TIME_WAIT entries at the client, which closed first", lab.client.population().time_waits, 1);
  lab.run(200ms);
  lab.expect_equal("TIME_WAIT entries at the server", lab.server.population().time_waits, 0);
  lab.expect_equal("connections at the server", lab.server.population().connections, 0);
  lab.expect_equal("FINs", lab.number_of(lab.client, fin) + lab.number_of(lab.server, fin), 2);
}

void three_way_close(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.server.on_event([&lab](const Event& event) {
    if ((event.bits & event_bits::kPeerClosed) != 0) (void)lab.server.stack().close(lab.now(), event.connection);
  });
  const std::size_t before = lab.number_of(lab.server, any) + lab.number_of(lab.client, any);
  lab.say("the client closes; the server's application does so at once, too");
  client.close();
  lab.run(1s);
  lab.expect_equal("packets", lab.number_of(lab.server, any) + lab.number_of(lab.client, any) - before, 3);
  lab.expect_equal("connections left", lab.client.population().connections + lab.server.population().connections, 0);
}

void half_close(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  client.write("everything I have");
  client.shutdown_write();
  lab.say("the client sends and shuts its side: end of file for the server, which answers for a long while");
  lab.run(200ms);
  lab.expect_equal("what the server reads", server.read(), "everything I have");
  lab.expect(server.peer_closed(), "and that this was all");
  for (int minutes = 0; minutes < 5; ++minutes) {
    server.write("still at it\n");
    lab.run(1min);
  }
  lab.expect_equal("bytes that the client has read meanwhile", client.read().size(), 5 * 12);
  lab.expect_state("the client: an open socket stays in FIN_WAIT_2 as long as it likes", client.state(),
                   TcpState::FinWait2);
  lab.expect_error("what a write() of the client reports", client.try_write("more"), Error::BrokenPipe);
}

void shut_reader(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.say("the server's application wants to read no more (SHUT_RD); the client writes on");
  server.shutdown_read();
  client.write("is anybody listening?");
  lab.run(1s);
  lab.expect_equal("bytes acknowledged all the same", client.info().bytes_acked, 21);
  lab.expect_equal("bytes for the server to read", server.info().unread, 0);
  lab.expect_state("the client's connection", client.state(), TcpState::Established);
  lab.expect_equal("resets", lab.number_of(lab.server, rst), 0);
}

// ---- E2 ------------------------------------------------------------------------------------------------------------

void unread_data(Lab& lab) {
  const bool reads = lab.parameter("server_reads") == "yes";
  auto [listener, client, server] = connected(lab);
  client.write("please do this for me");
  lab.run(200ms);
  if (reads) (void)server.read();
  lab.say("the server closes {} what the client has sent", reads ? "having read" : "without reading");
  server.close();
  lab.run(200ms);
  lab.expect_equal("FINs from the server", lab.number_of(lab.server, fin), reads ? 1 : 0);
  lab.expect_equal("resets from the server", lab.number_of(lab.server, rst), reads ? 0 : 1);
  lab.expect_equal("TCPAbortOnClose", lab.server.count(Counter::TcpExt_TCPAbortOnClose), reads ? 0 : 1);
  lab.expect_error("what read() tells the client", client.try_read(),
                   reads ? std::nullopt : std::optional(Error::ConnectionReset));
  lab.expect_error("what write() tells it then", client.try_write("more"),
                   reads ? std::nullopt : std::optional(Error::BrokenPipe));
}

void data_after_close(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.say("the server closes; the client does not look, and writes twice");
  server.close();
  lab.run(200ms);
  lab.expect_error("the first write(): it is only put into the buffer", client.try_write("one"), std::nullopt);
  lab.run(200ms);
  lab.expect_equal("resets from the server", lab.number_of(lab.server, rst), 1);
  lab.expect_equal("TCPAbortOnData", lab.server.count(Counter::TcpExt_TCPAbortOnData), 1);
  lab.expect_error("what read() says", client.error(), Error::BrokenPipe);
  (void)client.try_write("two");
  lab.expect_error("the write() after the error was told", client.try_write("three"), Error::BrokenPipe);
}

// ---- E3 ------------------------------------------------------------------------------------------------------------

void linger_zero(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  client.write("half a sentence, and th");
  lab.say("the client closes with SO_LINGER on and 0 seconds");
  client.abort();
  lab.run(1s);
  lab.expect_equal("resets from the client", lab.number_of(lab.client, rst), 1);
  lab.expect_equal("FINs", lab.number_of(lab.client, fin), 0);
  lab.expect_equal("TIME_WAIT entries", lab.client.population().time_waits, 0);
  lab.expect_error("what the server is told", server.error(), Error::ConnectionReset);
  lab.expect_equal("TCPAbortOnData", lab.client.count(Counter::TcpExt_TCPAbortOnData), 1);
}

void linger(Lab& lab) {
  const bool plugged = lab.parameter("cable") == "plugged";
  auto [listener, client, server] = connected(lab, {.options = {.linger = 5}});
  lab.say("the client writes and closes, with SO_LINGER on and 5 seconds");
  if (!plugged) lab.unplug();
  client.write("last words");
  const Duration closed = lab.elapsed();
  client.close();
  lab.run_until([&] { return client.closed(); }, 1min);
  lab.expect(client.closed(), "close() has come to its end");
  const Duration waited = client.closed_at().value_or(Duration::zero()) - closed;
  if (plugged) {
    lab.expect_about("it took until the FIN was acknowledged", waited, kRoundTrip, 45ms);
    lab.expect_equal("what the server has got by then", server.read(), "last words");
    return;
  }
  lab.expect_about("it took the 5 seconds", waited, 5s, 1ms);
  lab.expect_equal("the connection goes on by itself", lab.client.population().connections, 1);
  lab.say("the cable is plugged in again");
  lab.plug();
  lab.run(30s);
  lab.expect_equal("what the server gets", server.read(), "last words");
}

// ---- E4, E5 --------------------------------------------------------------------------------------------------------

void unanswered_fin(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  const std::uint64_t setting = lab.client.number("tcp_orphan_retries");
  const std::uint64_t retries = setting == 0 ? 8 : setting;
  lab.say("the cable is pulled, the client closes: nobody owns the connection any more");
  lab.unplug();
  const Instant closed = lab.now();
  client.close();
  lab.run_until([&] { return lab.client.population().connections == 0; }, 24h);
  const std::size_t fins = lab.number_of(lab.client, fin);
  // One of them may be a tail loss probe's.
  lab.expect(fins >= retries + 1 && fins <= retries + 3,
             fmt::format("FINs: {}, where tcp_orphan_retries is {} and 0 means 8", fins, setting));
  // The time that so many time-outs, from 200 ms on, would take; the probe adds the first of them.
  const Duration limit = 200ms * ((std::int64_t{2} << retries) - 1);
  lab.expect(lab.now() - closed >= limit && lab.now() - closed <= 3 * limit + 300ms,
             fmt::format("the connection was forgotten after {:.1f} s",
                         std::chrono::duration<double>(lab.now() - closed).count()));
  lab.expect_equal("TCPAbortOnTimeout", lab.client.count(Counter::TcpExt_TCPAbortOnTimeout), 1);
  lab.expect_equal("TIME_WAIT entries", lab.client.population().time_waits, 0);
}

void fin_wait_2(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  const std::uint64_t seconds = lab.client.number("tcp_fin_timeout");
  lab.say("the client closes; the server's application forgets to");
  client.close();
  const Instant closed = lab.now();
  lab.run(200ms);
  lab.expect_state("the server", server.state(), TcpState::CloseWait);
  lab.expect_equal("connections of the client: one, in FIN_WAIT2, that nobody owns",
                   lab.client.population().connections, 1);
  lab.run_until([&] { return lab.client.population().connections == 0; }, 1h);
  lab.expect_about("it was kept for", lab.now() - closed, std::chrono::seconds(seconds) + kRoundTrip, 1s);
  lab.say("at last the server writes");
  server.write("sorry for the delay");
  lab.run(200ms);
  lab.expect_equal("resets from the client, which knows nothing of it", lab.number_of(lab.client, rst), 1);
}

void fin_out_of_order(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.client.stack().set_no_delay(lab.now(), client.id(), true);
  lab.say("the client writes and closes; the data gets lost, the FIN behind it arrives");
  lab.lose(lab.client, [](const Segment& segment) { return data(segment) && !fin(segment); });
  client.write("last words");
  lab.run(1ms);
  client.close();
  lab.run(kDelay + 5ms);
  lab.expect_state("the server: a FIN behind a gap says nothing yet", server.state(), TcpState::Established);
  lab.expect(!server.peer_closed(), "its application has not been told of an end");
  lab.run(2s);
  lab.expect_equal("what it reads once the data was repeated", server.read(), "last words");
  lab.expect_state("the server now", server.state(), TcpState::CloseWait);
}

// ---- E6, E7 --------------------------------------------------------------------------------------------------------

// The client closes first, so that it is in TIME_WAIT; what was its connection.
FourTuple close_into_time_wait(Lab& lab, const Endpoint& local) {
  Socket client = lab.client.connect({.local = local});
  lab.run(200ms);
  client.close();
  lab.run(200ms);
  return client.tuple();
}

// The server closes first, so that it is in TIME_WAIT, where the client can send its next SYN.
Connected time_wait_at_server(Lab& lab) {
  Connected both = connected(lab, {.local = Endpoint{lab.client.address(), 4000}});
  both.server.close();
  lab.run(200ms);
  both.client.close();
  lab.run(200ms);
  lab.expect_equal("TIME_WAIT entries at the server, which closed first", lab.server.population().time_waits, 1);
  return both;
}

void time_wait(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.say("the server closes first, then the client; the server's ACK of the client's FIN gets lost");
  server.close();
  lab.run(200ms);
  lab.lose(lab.server, pure_ack);
  client.close();
  lab.run(2s);
  const auto fins = lab.seen(lab.client, fin);
  lab.expect_equal("FINs of the client: it had to repeat it", fins.size(), 2);
  lab.expect_equal("connections at the client: the repetition was answered", lab.client.population().connections, 0);
  lab.expect_equal("TIME_WAIT entries at the server, which closed first", lab.server.population().time_waits, 1);
  lab.run_until([&] { return lab.server.population().time_waits == 0; }, 5min);
  lab.expect_about("TIME_WAIT lasted, from the first FIN on", lab.now() - fins.front().time - kDelay, 60s, 1s);
  lab.expect_equal("TW", lab.server.count(Counter::TcpExt_TW), 1);
}

void time_wait_bound(Lab& lab) {
  lab.client.set("tcp_max_tw_buckets", 3);
  const std::uint64_t most = lab.client.number("tcp_max_tw_buckets");
  const Listener listener = lab.server.listen();
  lab.server.on_event([&lab, listener](const Event& event) {
    Stack& stack = lab.server.stack();
    while (stack.accept(listener.id)) {
    }
    if ((event.bits & event_bits::kPeerClosed) != 0) (void)stack.close(lab.now(), event.connection);
  });
  lab.say("the client opens and closes five connections, one after the other");
  for (std::uint16_t port = 4000; port < 4005; ++port) close_into_time_wait(lab, {lab.client.address(), port});
  const std::uint64_t kept = std::min<std::uint64_t>(most, 5);
  lab.expect_equal("TIME_WAIT entries", lab.client.population().time_waits, kept);
  lab.expect_equal("TCPTimeWaitOverflow", lab.client.count(Counter::TcpExt_TCPTimeWaitOverflow), 5 - kept);
  lab.expect_equal("connections left", lab.server.population().connections, 0);
}

void syn_in_time_wait(Lab& lab) {
  const bool newer = lab.parameter("syn") == "newer";
  const Connected both = time_wait_at_server(lab);
  lab.run(2s);
  if (newer) {
    lab.say("the client connects again from the same port: its clock and its sequence numbers have gone on");
    const Socket again = lab.client.connect({.local = both.client.tuple().local});
    lab.run(kRoundTrip);
    lab.expect_state("the client", again.state(), TcpState::Established);
    lab.expect_equal("TIME_WAIT entries at the server", lab.server.population().time_waits, 0);
    return;
  }
  lab.say("a late duplicate of the first SYN arrives");
  const std::size_t before = lab.number_of(lab.server, pure_ack);
  lab.forge(lab.client, lab.seen(lab.client, syn).front());
  lab.run(kRoundTrip);
  lab.expect_equal("SYN-ACKs in answer", lab.number_of(lab.server, syn_ack), 1);
  lab.expect_equal("ACKs in answer: the last one, again", lab.number_of(lab.server, pure_ack) - before, 1);
  lab.expect_equal("TIME_WAIT entries at the server", lab.server.population().time_waits, 1);
}

// The hazard of RFC 1337: an old duplicate makes the side that has forgotten the connection send a RST, which ends the
// TIME_WAIT of the side that has not.
void reset_in_time_wait(Lab& lab) {
  const bool ignored = lab.server.on("tcp_rfc1337");
  const Connected both = time_wait_at_server(lab);
  lab.say("an old segment of the server's turns up at the client, which knows nothing of it and answers with RST");
  Segment reset = lab.next_from(lab.client, both.client.tuple());
  reset.tcp.flags = {wire::TcpFlags::kRst};
  reset.tcp.options = {};
  lab.forge(lab.client, reset);
  lab.run(100ms);
  lab.expect_equal("TIME_WAIT entries at the server", lab.server.population().time_waits, ignored ? 1 : 0);
}

// ---- E8 ------------------------------------------------------------------------------------------------------------

void time_wait_reuse(Lab& lab) {
  lab.client.set("tcp_tw_reuse", 1);
  lab.client.set("ip_local_port_range", "40000 40000");
  const bool reuse = lab.client.number("tcp_tw_reuse") == 1 && lab.client.on("tcp_timestamps");
  const Listener listener = lab.server.listen();
  lab.say("the client has one port for outgoing connections; it connects, and closes first");
  Socket first = lab.client.connect();
  lab.run(200ms);
  first.close();
  lab.run(100ms);
  lab.server.accept(listener).close();
  lab.run(100ms);
  lab.expect_equal("TIME_WAIT entries at the client", lab.client.population().time_waits, 1);
  lab.expect_error("connecting again at once", lab.client.try_connect(), Error::AddressNotAvailable);
  lab.run(2s);
  if (!reuse) {
    lab.expect_error("and two seconds later", lab.client.try_connect(), Error::AddressNotAvailable);
    lab.run(60s);
    lab.expect_error("only when the minute is over", lab.client.try_connect(), std::nullopt);
    return;
  }
  const Socket again = lab.client.connect();
  lab.run(200ms);
  lab.expect_state("two seconds later the same port is taken once more", again.state(), TcpState::Established);
  lab.expect_equal("TIME_WAIT entries at the client", lab.client.population().time_waits, 0);
}

// ---- E9 ------------------------------------------------------------------------------------------------------------

void close_wait(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.say("the client closes; the server's application has a bug and never does");
  client.close();
  lab.run(24h);
  lab.expect_state("the server, a day later", server.state(), TcpState::CloseWait);
  lab.expect_equal("connections at the client", lab.client.population().connections, 0);
  lab.say("the bug is found");
  server.close();
  lab.run(1s);
  lab.expect_equal("connections at the server", lab.server.population().connections, 0);
}

void last_ack(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  client.close();
  lab.run(200ms);
  lab.say("the server closes as well, just when the cable is pulled");
  lab.unplug();
  const std::uint64_t setting = lab.server.number("tcp_orphan_retries");
  server.close();
  lab.run_until([&] { return lab.server.population().connections == 0; }, 24h);
  const std::size_t fins = lab.number_of(lab.server, fin);
  const std::uint64_t retries = setting == 0 ? 8 : setting;
  // One of them may be a tail loss probe's.
  lab.expect(fins >= retries + 1 && fins <= retries + 3,
             fmt::format("FINs: {}, where tcp_orphan_retries is {} and 0 means 8", fins, setting));
  lab.expect_equal("connections at the server", lab.server.population().connections, 0);
}

void simultaneous_close(Lab& lab) {
  auto [listener, client, server] = connected(lab);
  lab.say("both shut down at the same moment: the FINs cross");
  client.shutdown_write();
  server.shutdown_write();
  lab.run(kDelay + 1ms);
  lab.expect_state("the client", client.state(), TcpState::Closing);
  lab.expect_state("the server", server.state(), TcpState::Closing);
  lab.run(200ms);
  lab.expect_equal("TIME_WAIT entries: one on each side",
                   lab.client.population().time_waits + lab.server.population().time_waits, 2);
}

}  // namespace

std::vector<Scenario> closing_scenarios() {
  return {
      {.name = "four-way-close",
       .ids = {"E1"},
       .summary = "FIN and ACK from each side: the two directions end independently",
       .lesson =
           "A FIN says \"I have no more to say\", not \"go away\". Each direction is closed and acknowledged on its "
           "own. The side that sends the first FIN keeps the TIME_WAIT entry: better the client than a busy server.",
       .play = four_way_close},
      {.name = "three-way-close",
       .ids = {"E1"},
       .summary = "when the other side closes at once, its FIN carries the acknowledgement",
       .lesson =
           "The acknowledgement of a FIN waits a moment, like any other. When the application reacts to the end of "
           "the stream by closing, FIN and ACK go out together, and three packets are enough.",
       .play = three_way_close},
      {.name = "half-close",
       .ids = {"E1", "E5"},
       .summary = "after shutdown(SHUT_WR) one may still read, for as long as one likes",
       .lesson =
           "Half-closing is how one says where a request ends without saying its length first. The socket is still "
           "owned, so no timer ends FIN_WAIT2: that one is for sockets that were closed.",
       .play = half_close},
      {.name = "shutdown-read",
       .ids = {"E1"},
       .summary = "after shutdown(SHUT_RD) what still arrives is acknowledged and thrown away",
       .lesson =
           "There is no way in TCP to say that one does not want to read any more. So SHUT_RD is a local matter: the "
           "peer sends happily into the void, and never learns of it.",
       .play = shut_reader},
      {.name = "close-with-unread-data",
       .ids = {"E2"},
       .summary = "closing without having read everything resets the connection",
       .lesson =
           "If a FIN were sent, the peer would believe that all it wrote was read. So a close with bytes left unread "
           "sends a RST: the peer's next read fails with ECONNRESET, the next write with EPIPE. It is a frequent "
           "cause of lost answers, as a RST may overtake them.",
       .knobs = {{"server_reads", {"no", "yes"}, "whether the server reads before it closes"}},
       .play = unread_data},
      {.name = "data-after-close",
       .ids = {"E2"},
       .summary = "data for a socket that was closed is answered by RST",
       .lesson =
           "close() gives up both directions, but the peer only sees a FIN, which could as well be a half-close. So "
           "the first write after it succeeds, and its RST makes the second fail with EPIPE. A program that does "
           "not look for the end of the stream learns of it this way.",
       .play = data_after_close},
      {.name = "linger-zero",
       .ids = {"E3"},
       .summary = "SO_LINGER with 0 seconds: RST instead of FIN, and no TIME_WAIT",
       .lesson =
           "The connection is gone at once, and so is what was not delivered yet. It is sometimes used to get rid of "
           "TIME_WAIT; what it gets rid of is the guarantee that the peer received everything.",
       .play = linger_zero},
      {.name = "linger",
       .ids = {"E3"},
       .summary = "close() with SO_LINGER waits until the peer has acknowledged everything, but not for ever",
       .lesson =
           "Ordinarily close() returns at once and the system delivers what was written. With SO_LINGER and a time "
           "it waits for the peer's acknowledgement. That the peer's application has read anything is not said by it, "
           "and when the time is over the delivery goes on all the same.",
       .knobs = {{"cable", {"plugged", "pulled"}, "the network cable"}},
       .play = linger},
      {.name = "unanswered-fin",
       .ids = {"E4", "F3"},
       .summary = "a FIN that nobody acknowledges is repeated tcp_orphan_retries times",
       .lesson =
           "After close() no program owns the connection, but its memory is still used. An orphan gets less patience "
           "than others: eight retransmissions by default, about 100 seconds, and no program ever hears of it.",
       .knobs = {{"tcp_orphan_retries", {"0", "3", "1"}, ""}},
       .play = unanswered_fin},
      {.name = "fin-wait-2",
       .ids = {"E5"},
       .summary = "a closed connection waits tcp_fin_timeout for the peer's FIN, no longer",
       .lesson =
           "The peer has acknowledged our FIN and may send for years. As no program owns the connection any more, "
           "there is nobody to send to: after tcp_fin_timeout it is forgotten, and what comes later gets a RST.",
       .knobs = {{"tcp_fin_timeout", {"60", "5"}, ""}},
       .play = fin_wait_2},
      {.name = "fin-out-of-order",
       .ids = {"E5", "C6"},
       .summary = "a FIN that overtakes data waits until the gap is filled",
       .lesson =
           "A FIN has a sequence number like a byte. If data in front of it is missing, the end of the stream has "
           "not come yet: the state changes, and the application is told, only when everything before it is there.",
       .play = fin_out_of_order},
      {.name = "time-wait",
       .ids = {"E6"},
       .summary = "the side that closed first remembers the connection for 60 s, for a FIN that comes again",
       .lesson =
           "The last ACK may get lost, and nobody acknowledges an acknowledgement. So its sender must stay reachable "
           "for a repeated FIN, and old packets must die out before the same ports are used again. An entry costs "
           "64 bytes: many of them are no problem.",
       .play = time_wait},
      {.name = "time-wait-bound",
       .ids = {"E6"},
       .summary = "above tcp_max_tw_buckets connections close without TIME_WAIT",
       .lesson = "The bound protects memory, and gives up the protection against old packets for the connections above "
                 "it. TCPTimeWaitOverflow says that it happens.",
       .knobs = {{"client.tcp_max_tw_buckets", {"3", "0", "100"}, ""}},
       .play = time_wait_bound},
      {.name = "syn-in-time-wait",
       .ids = {"E7"},
       .summary = "a newer SYN may take over a TIME_WAIT entry, an older one gets the last ACK again",
       .lesson = "A busy client comes round to the same port before 60 s are over. If the SYN can be told from an old "
                 "duplicate, by its timestamp or sequence number, the new connection is safe and is made at once.",
       .knobs = {{"syn", {"newer", "older"}, "what comes for the entry"}, {"tcp_timestamps", {"1", "0"}, ""}},
       .play = syn_in_time_wait},
      {.name = "reset-in-time-wait",
       .ids = {"E7"},
       .summary = "a RST ends TIME_WAIT early, unless tcp_rfc1337 forbids it",
       .lesson =
           "TIME_WAIT protects a later connection from old packets, and an old packet can end it: the peer, which "
           "has forgotten the connection, answers it with a RST. RFC 1337 calls that assassination, and advises to "
           "ignore the RST; Linux leaves it to a setting.",
       .knobs = {{"tcp_rfc1337", {"0", "1"}, ""}},
       .play = reset_in_time_wait},
      {.name = "time-wait-reuse",
       .ids = {"E8", "G3"},
       .summary = "with tcp_tw_reuse an outgoing connection may take a port that is in TIME_WAIT",
       .lesson =
           "A client that opens many short connections to one server uses up its ports, as each stays in TIME_WAIT "
           "for a minute. After a second the timestamps tell old packets from new, so the port can be taken again. "
           "There is no tcp_tw_recycle: it broke clients behind one NAT address.",
       .knobs = {{"client.tcp_tw_reuse", {"1", "0"}, ""}, {"tcp_timestamps", {"1", "0"}, ""}},
       .play = time_wait_reuse},
      {.name = "close-wait",
       .ids = {"E9"},
       .summary = "CLOSE_WAIT waits for the own application, without limit",
       .lesson = "The peer is done; whether this side still has something to send only its application knows. Many "
                 "connections in CLOSE_WAIT therefore mean a program that does not close: no setting helps.",
       .play = close_wait},
      {.name = "last-ack",
       .ids = {"E9", "F3"},
       .summary = "in LAST_ACK the FIN is repeated like that of any orphan, then the connection is forgotten",
       .lesson =
           "The side that closes second needs one more ACK and then is done, without TIME_WAIT. If the ACK does not "
           "come, tcp_orphan_retries bounds how often it asks.",
       .knobs = {{"tcp_orphan_retries", {"0", "2"}, ""}},
       .play = last_ack},
      {.name = "simultaneous-close",
       .ids = {"E9", "E1"},
       .summary = "FINs that cross: both sides pass through CLOSING, and both keep a TIME_WAIT entry",
       .lesson =
           "Each side sees the other's FIN before the acknowledgement of its own. Neither closed second, so neither "
           "can be sure that its last ACK arrived: both wait.",
       .play = simultaneous_close},
  };
}

}  // namespace ff::lab
