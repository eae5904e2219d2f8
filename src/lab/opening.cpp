// Scenarios of opening a connection: B1 to B9.
#include <set>

#include "lab/lab.hpp"
#include "lab/names.hpp"

namespace ff::lab {
namespace {

// ---- B1 ------------------------------------------------------------------------------------------------------------

void three_way_handshake(Lab& lab) {
  const Listener listener = lab.server.listen();
  lab.say("the server listens on port {}, the client connects", kPort);
  const Socket socket = lab.client.connect();
  lab.expect_state("the client's state behind the SYN", socket.state(), TcpState::SynSent);
  lab.run(kRoundTrip - 1ms);
  lab.expect(!socket.established(), "the client must wait for the SYN-ACK");
  lab.expect_equal("half-open requests at the server", lab.server.population().requests, 1);
  lab.run(1ms);
  lab.expect_state("the client's state after one round trip", socket.state(), TcpState::Established);
  lab.run(kDelay);
  const Socket accepted = lab.server.accept(listener);
  lab.expect_state("the server's state once the ACK is there", accepted.state(), TcpState::Established);
  lab.expect_equal("ActiveOpens", lab.client.count(Counter::Tcp_ActiveOpens), 1);
  lab.expect_equal("PassiveOpens", lab.server.count(Counter::Tcp_PassiveOpens), 1);
  lab.expect_equal("packets for the handshake", lab.number_of(lab.client, any) + lab.number_of(lab.server, any), 3);
}

void simultaneous_open(Lab& lab) {
  ConnectOptions from_client, from_server;
  from_client.local = Endpoint{lab.client.address(), 4000};
  from_client.remote = {lab.server.address(), 5000};
  from_server.local = from_client.remote;
  from_server.remote = *from_client.local;
  lab.say("both hosts connect to each other at the same moment; nobody listens");
  const Socket here = lab.client.connect(from_client);
  const Socket there = lab.server.connect(from_server);
  lab.run(kDelay);
  lab.expect_state("a host whose SYN met another", here.state(), TcpState::SynReceived);
  lab.run(1s);
  lab.expect_state("the client in the end", here.state(), TcpState::Established);
  lab.expect_state("the server in the end", there.state(), TcpState::Established);
  lab.expect_equal("connections at the client", lab.client.population().connections, 1);
  lab.expect_equal("resets", lab.number_of(lab.client, rst) + lab.number_of(lab.server, rst), 0);
}

void self_connect(Lab& lab) {
  ConnectOptions options;
  options.local = Endpoint{lab.client.address(), 4000};
  options.remote = *options.local;
  lab.say("a socket bound to port 4000 connects to port 4000 of its own address");
  Socket socket = lab.client.connect(options);
  lab.run(1s);
  lab.expect_state("its state", socket.state(), TcpState::Established);
  socket.write("echo?");
  lab.run(1s);
  lab.expect_equal("what it reads after writing \"echo?\"", socket.read(), "echo?");
  lab.expect_equal("connections on this host", lab.client.population().connections, 1);
}

// ---- B2, B3 --------------------------------------------------------------------------------------------------------

void accept_queue_limit(Lab& lab) {
  lab.server.set("somaxconn", 2);
  const std::uint32_t backlog = 5;
  const std::uint64_t limit = std::min<std::uint64_t>(backlog, lab.server.number("somaxconn"));
  const Listener listener = lab.server.listen({.backlog = backlog});
  lab.say("listen() with a backlog of {}; six clients connect and nobody accepts", backlog);
  for (int i = 0; i < 6; ++i) {
    lab.client.connect();
    lab.run(200ms);
  }
  std::uint64_t waiting = 0;
  while (lab.server.try_accept(listener)) ++waiting;
  // Linux compares with "greater", so that one more than the limit fits.
  lab.expect_equal("connections in the accept queue, the smaller of both and one", waiting, limit + 1);
  lab.expect(lab.server.count(Counter::TcpExt_ListenOverflows) > 0 || limit + 1 >= 6, "the others were turned away");
}

void accept_queue_overflow(Lab& lab) {
  const bool abort = lab.server.on("tcp_abort_on_overflow");
  const Listener listener = lab.server.listen({.backlog = 2});
  lab.say("the accept queue of a backlog of 2 takes three connections; two are there, nobody accepts");
  lab.client.connect();
  lab.client.connect();
  lab.run(500ms);
  lab.say("two more clients connect at the same moment");
  const Socket third = lab.client.connect();
  const Socket fourth = lab.client.connect();
  lab.run(kRoundTrip);
  lab.expect(third.established() && fourth.established(), "both get a SYN-ACK and believe that they are connected");
  lab.run(kRoundTrip);
  lab.expect_equal("connections at the server", lab.server.population().connections, 3);
  lab.expect_equal("ListenOverflows", lab.server.count(Counter::TcpExt_ListenOverflows), 1);
  lab.expect_equal("ListenDrops", lab.server.count(Counter::TcpExt_ListenDrops), 1);
  if (abort) {
    lab.expect_error("what the fourth client is told", fourth.error(), Error::ConnectionReset);
    lab.expect_equal("resets", lab.number_of(lab.server, rst), 1);
    return;
  }
  lab.expect(!fourth.closed(), "the ACK that would complete the fourth connection was dropped, as if it were lost");
  lab.say("the application accepts one: there is room");
  (void)lab.server.accept(listener);
  lab.expect(lab.run_until([&] { return lab.server.population().connections == 4; }, 10s),
             "the server repeats its SYN-ACK, the client its ACK, and that completes the connection");
  lab.expect_equal("SYN-ACKs for four connections", lab.number_of(lab.server, syn_ack), 5);
  lab.expect_equal("resets", lab.number_of(lab.server, rst), 0);
}

// ---- B4 ------------------------------------------------------------------------------------------------------------

void syn_flood(Lab& lab) {
  const std::uint64_t cookies = lab.server.number("tcp_syncookies");
  const Listener listener = lab.server.listen({.backlog = 8});
  lab.say("a hundred SYNs come from addresses that never answer; the backlog is 8");
  Segment forged;
  forged.destination = {lab.server.address(), kPort};
  forged.tcp.flags = {wire::TcpFlags::kSyn};
  forged.tcp.window = {1000};
  forged.tcp.options.mss = 1000;
  for (std::uint8_t i = 0; i < 100; ++i) {
    forged.source = {lab.stranger(i), 1234};
    lab.forge(lab.client, forged);
  }
  lab.run(100ms);
  lab.expect(lab.server.population().requests <= 9,
             fmt::format("requests that the server keeps: {}, not a hundred", lab.server.population().requests));
  lab.say("now an honest client connects");
  Socket honest = lab.client.connect();
  lab.run(200ms);
  if (cookies == 0) {
    lab.expect_state("it waits, as its SYN was dropped", honest.state(), TcpState::SynSent);
    lab.expect(lab.server.count(Counter::TcpExt_TCPReqQFullDrop) > 0, "TCPReqQFullDrop counts the dropped");
    return;
  }
  lab.expect_state("it is connected, though there was no room to remember its SYN", honest.state(),
                   TcpState::Established);
  lab.expect(lab.server.count(Counter::TcpExt_SyncookiesSent) > 0,
             "SyncookiesSent counts the SYN-ACKs that are cookies");
  lab.expect_equal("SyncookiesRecv", lab.server.count(Counter::TcpExt_SyncookiesRecv), 1);
  Socket accepted = lab.server.accept(listener);
  lab.expect(accepted.info().sack && accepted.info().snd_wscale > 0,
             "what the SYN offered (SACK, window scale) came back through the timestamp");
  honest.write("hello");
  lab.run(200ms);
  lab.expect_equal("and data flows", accepted.read(), "hello");
}

// ---- B5 ------------------------------------------------------------------------------------------------------------

void syn_retries(Lab& lab) {
  const std::uint64_t retries = lab.client.number("tcp_syn_retries");
  lab.unplug();
  lab.say("nobody is there: the path swallows everything");
  const Socket socket = lab.client.connect();
  lab.run_until([&] { return socket.closed(); }, 100h);
  lab.expect_error("what connect() reports", socket.error(), Error::TimedOut);
  const auto syns = lab.seen(lab.client, syn);
  // Where the stack has it, so many repetitions come first, a second apart (Linux 6.5).
  const std::uint64_t linear =
      canonical_setting("tcp_syn_linear_timeouts") ? lab.client.number("tcp_syn_linear_timeouts") : 0;
  lab.expect_equal("SYNs: the first, and tcp_syn_retries more", syns.size(), retries + linear + 1);
  Duration wait = 1s, total{};
  for (std::size_t i = 1; i < syns.size(); ++i) {
    lab.expect_about(fmt::format("pause before retransmission {}", i), syns[i].time - syns[i - 1].time, wait,
                     wait / 50);
    total += wait;
    if (i > linear) wait = std::min<Duration>(2 * wait, 120s);
  }
  lab.expect_about("until connect() gave up", socket.closed_at().value_or(0s), total + wait, 1s);
  lab.expect_equal("TCPSynRetrans", lab.client.count(Counter::TcpExt_TCPSynRetrans), retries + linear);
  lab.expect_equal("AttemptFails", lab.client.count(Counter::Tcp_AttemptFails), 1);
}

void syn_ack_retries(Lab& lab) {
  const std::uint64_t retries = lab.server.number("tcp_synack_retries");
  lab.server.listen();
  lab.say("a SYN from an address where nobody answers, as in a SYN flood");
  Segment forged;
  forged.source = {lab.stranger(), 1234};
  forged.destination = {lab.server.address(), kPort};
  forged.tcp.flags = {wire::TcpFlags::kSyn};
  forged.tcp.seq = Seq(1);
  forged.tcp.window = {1000};
  lab.forge(lab.client, forged);
  lab.run(100ms);
  lab.expect_equal("half-open requests", lab.server.population().requests, 1);
  lab.run_until([&] { return lab.server.population().requests == 0; }, 24h);
  lab.expect_equal("SYN-ACKs: the first, and tcp_synack_retries more", lab.number_of(lab.server, syn_ack), retries + 1);
  lab.expect_equal("half-open requests after the last", lab.server.population().requests, 0);
}

// ---- B6 ------------------------------------------------------------------------------------------------------------

void initial_sequence_numbers(Lab& lab) {
  lab.server.listen();
  lab.say("four connections to the same server, each from another port");
  std::set<std::uint32_t> numbers;
  for (std::uint16_t port = 4000; port < 4004; ++port) {
    Socket socket = lab.client.connect({.local = Endpoint{lab.client.address(), port}});
    lab.run(100ms);
    socket.abort();
    lab.run(100ms);
  }
  for (const Segment& segment : lab.seen(lab.client, syn)) numbers.insert(segment.tcp.seq.raw() >> 20);
  lab.expect_equal("different beginnings (the upper 12 bits)", numbers.size(), 4);
  lab.say("the first one's addresses and ports again, 4 s later");
  lab.run(4s);
  lab.client.connect({.local = Endpoint{lab.client.address(), 4000}});
  lab.run(100ms);
  const auto syns = lab.seen(lab.client, syn);
  const std::int32_t ahead = syns.back().tcp.seq - syns.front().tcp.seq;
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(syns.back().time - syns.front().time);
  lab.expect(ahead > 0, "its number is ahead of the earlier one's, so that old packets cannot be taken for new ones");
  lab.expect_about("the clock between both, 4 µs a tick", std::chrono::microseconds(std::int64_t{ahead} * 4), elapsed,
                   elapsed / 10);
}

// ---- B7 ------------------------------------------------------------------------------------------------------------

void no_listener(Lab& lab) {
  lab.say("nobody listens on port {}", kPort);
  const Socket socket = lab.client.connect();
  lab.run(1s);
  lab.expect_error("what connect() reports", socket.error(), Error::ConnectionRefused);
  lab.expect_about("after", socket.closed_at().value_or(0s), kRoundTrip, 0ns);
  lab.expect_equal("OutRsts of the server", lab.server.count(Counter::Tcp_OutRsts), 1);
  lab.expect_equal("AttemptFails of the client", lab.client.count(Counter::Tcp_AttemptFails), 1);
  lab.expect_equal("packets dropped because no socket wanted them", lab.server.count(DropReason::TcpNoSocket), 1);
}

void data_before_accept(Lab& lab) {
  const Listener listener = lab.server.listen();
  Socket socket = lab.client.connect();
  lab.run(200ms);
  lab.say("the client writes; the server's application has not called accept()");
  socket.write("is anybody there?");
  lab.run(1s);
  lab.expect_equal("bytes acknowledged all the same", socket.info().bytes_acked, 17);
  lab.say("now it does");
  Socket accepted = lab.server.accept(listener);
  lab.expect_equal("what it reads at once", accepted.read(), "is anybody there?");
}

// ---- B8 ------------------------------------------------------------------------------------------------------------

void syn_on_established(Lab& lab) {
  const Listener listener = lab.server.listen();
  const Endpoint local{lab.client.address(), 4000};
  const Socket before = lab.client.connect({.local = local});
  lab.run(200ms);
  const Socket accepted = lab.server.accept(listener);
  lab.say("the client's machine loses power and returns; it connects from the same port");
  lab.client.restart();
  const Socket again = lab.client.connect({.local = local});
  lab.run(kRoundTrip);
  lab.expect_state("the server's old connection behind the SYN", accepted.state(), TcpState::Established);
  lab.expect_equal("TCPSYNChallenge", lab.server.count(Counter::TcpExt_TCPSYNChallenge), 1);
  lab.expect_equal("TCPChallengeACK", lab.server.count(Counter::TcpExt_TCPChallengeACK), 1);
  lab.say("the client never sent what this ACK acknowledges: it answers with a RST of exactly that number");
  lab.run(kDelay);
  lab.expect_error("the server's old connection ends by it", accepted.error(), Error::ConnectionReset);
  lab.expect(lab.run_until([&] { return again.established(); }, 5s), "the client's next SYN finds the way free");
  (void)before;
}

void challenge_ack_limit(Lab& lab) {
  const Listener listener = lab.server.listen();
  const Socket socket = lab.client.connect();
  lab.run(200ms);
  (void)lab.server.accept(listener);
  Segment forged = lab.next_from(lab.client, socket.tuple());
  forged.tcp.flags = {wire::TcpFlags::kSyn};
  lab.say("an attacker who guessed addresses and ports sends ten SYNs within 10 ms");
  for (int i = 0; i < 10; ++i) {
    lab.forge(lab.client, forged);
    lab.run(1ms);
  }
  lab.run(100ms);
  const std::uint64_t pause = lab.server.number("tcp_invalid_ratelimit");
  const std::uint64_t answered = pause == 0 ? 10 : 1;
  lab.expect_equal("challenge ACKs in answer", lab.server.count(Counter::TcpExt_TCPChallengeACK), answered);
  lab.expect_equal("answers saved", lab.server.count(Counter::TcpExt_TCPACKSkippedChallenge), 10 - answered);
  lab.expect_state("the connection", socket.state(), TcpState::Established);
}

// ---- B9 ------------------------------------------------------------------------------------------------------------

void maximum_segment_size(Lab& lab) {
  const Listener listener = lab.server.listen();
  lab.say("the client's interface takes packets of 1500 bytes; someone on the path lowers the SYN's MSS to 1000");
  lab.meddle(lab.client, [](Segment& segment) {
    if (syn(segment)) segment.tcp.options.mss = 1000;
    return true;
  });
  Socket socket = lab.client.connect();
  lab.run(200ms);
  Socket accepted = lab.server.accept(listener);
  const std::uint16_t headers = lab.client.address().is_v4() ? 40 : 60;
  lab.expect_equal("MSS that the client announces: the MTU less IP and TCP header",
                   lab.seen(lab.client, syn).front().tcp.options.mss.value_or(0), 1500u - headers);
  accepted.write(std::string(5000, 'x'));
  socket.write(std::string(5000, 'x'));
  lab.run(1s);
  const std::uint32_t options = lab.server.on("tcp_timestamps") && lab.client.on("tcp_timestamps") ? 12 : 0;
  std::uint32_t down = 0, up = 0;
  for (const Segment& segment : lab.seen(lab.server, data)) down = std::max(down, segment.size());
  for (const Segment& segment : lab.seen(lab.client, data)) up = std::max(up, segment.size());
  lab.expect_equal("largest payload from the server, which was told 1000, less options", down, 1000 - options);
  lab.expect_equal("largest payload from the client, which was told all", up, 1500u - headers - options);
}

}  // namespace

std::vector<Scenario> opening_scenarios() {
  return {
      {.name = "three-way-handshake",
       .ids = {"B1"},
       .summary = "SYN, SYN-ACK, ACK: one round trip until the client may send",
       .lesson =
           "Both sides must learn the other's first sequence number, and know that theirs was learnt. That takes "
           "three packets: the client may send after one round trip, and the server knows of it half a round trip "
           "later. Until then it keeps no more than a small request.",
       .play = three_way_handshake},
      {.name = "simultaneous-open",
       .ids = {"B1"},
       .summary = "two hosts connect to each other at once, and become one connection",
       .lesson =
           "TCP has no roles on the wire: when both sides send a SYN for the same pair of ports, each answers with "
           "SYN-ACK and there is one connection, not two, and no server. It is how two hosts behind NAT may meet.",
       .play = simultaneous_open},
      {.name = "self-connect",
       .ids = {"B1"},
       .summary = "a socket that connects to its own address and port talks to itself",
       .lesson =
           "A special case of the simultaneous open: SYN and answer are the same socket's. A client that keeps "
           "trying an unused local port out of the ephemeral range meets this by accident, and then believes that "
           "the server is up.",
       .play = self_connect},
      {.name = "accept-queue-limit",
       .ids = {"B2"},
       .summary = "listen()'s backlog counts only up to somaxconn",
       .lesson =
           "Connections that are complete wait in the accept queue until the application takes them. Its length is "
           "the smaller of listen()'s backlog and net.core.somaxconn, so that raising one alone does nothing. The "
           "queue holds one more than its limit.",
       .knobs = {{"server.somaxconn", {"2", "1", "4096"}, ""}},
       .play = accept_queue_limit},
      {.name = "accept-queue-overflow",
       .ids = {"B3"},
       .summary = "what happens to clients when the application does not accept fast enough",
       .lesson =
           "A full accept queue is mostly a short burst, so that by default the kernel plays for time: it drops the "
           "packet that would complete the connection, and a retransmission succeeds when there is room. With "
           "tcp_abort_on_overflow the client is told at once, by a RST. Slow connects of about a second and "
           "ListenOverflows are the sign.",
       .knobs = {{"tcp_abort_on_overflow", {"0", "1"}, ""}},
       .play = accept_queue_overflow},
      {.name = "syn-flood",
       .ids = {"B4", "B2"},
       .summary = "SYN cookies serve honest clients while forged SYNs fill the queue",
       .lesson =
           "Each forged SYN takes a place in the SYN queue until its SYN-ACK has been repeated in vain. When the "
           "queue is full, the server remembers nothing: it puts what it must know into the sequence number of the "
           "SYN-ACK, signed with a secret, and makes the connection when that number comes back.",
       .knobs = {{"server.tcp_syncookies", {"1", "0", "2"}, ""}},
       .play = syn_flood},
      {.name = "syn-retries",
       .ids = {"B5"},
       .summary = "a client that gets no answer repeats its SYN with growing pauses, then gives up",
       .lesson =
           "Silence may mean a lost packet or a dead host. The client repeats the SYN after 1, 2, 4, ... seconds, "
           "tcp_syn_retries times; with the default of 6 that is 127 s until connect() fails with ETIMEDOUT. A program "
           "to which that "
           "is too long sets TCP_SYNCNT, or a timer of its own.",
       .knobs = {{"tcp_syn_retries", {"6", "2", "1"}, ""}},
       .play = syn_retries},
      {.name = "syn-ack-retries",
       .ids = {"B5", "B2"},
       .summary = "a half-open request lives as long as its SYN-ACK is repeated",
       .lesson =
           "The server repeats its SYN-ACK tcp_synack_retries times, as it cannot know whether the client or only a "
           "packet is lost. Until then the request takes a place in the SYN queue; with the default of 5 that is a "
           "minute for one forged packet.",
       .knobs = {{"tcp_synack_retries", {"5", "1", "0"}, ""}},
       .play = syn_ack_retries},
      {.name = "initial-sequence-numbers",
       .ids = {"B6"},
       .summary = "where sequence numbers start: unpredictable for others, ascending for oneself",
       .lesson =
           "If an attacker could guess a connection's sequence numbers, he could speak in it. So each pair of "
           "addresses and ports starts at a secret place; within the same pair a clock of 4 µs moves it on, so that "
           "a reopened connection is ahead of what may still be under way of the old one (RFC 6528).",
       .play = initial_sequence_numbers},
      {.name = "no-listener",
       .ids = {"B7"},
       .summary = "a SYN to a port where nobody listens is answered by RST: connection refused",
       .lesson = "\"Connection refused\" is a good sign: the host is there and says no, within a round trip. Only a "
                 "time-out leaves open whether host, path or firewall is to blame.",
       .play = no_listener},
      {.name = "data-before-accept",
       .ids = {"B7"},
       .summary = "connections complete, and data is acknowledged, before the application accepts",
       .lesson =
           "The handshake and the first data are the stack's business; accept() only hands over a connection that "
           "is there already. An acknowledgement therefore never says that an application has seen anything.",
       .play = data_before_accept},
      {.name = "syn-on-established",
       .ids = {"B8", "F3"},
       .summary = "a host that restarted opens the same connection again: challenge ACK, RST, done",
       .lesson =
           "A SYN for a connection that exists may come from a peer that restarted, or from an attacker. The answer "
           "is an ACK of what is expected next: only the true peer, seeing it, can send a RST of just that number. "
           "It costs the honest client one retransmission.",
       .play = syn_on_established},
      {.name = "challenge-ack-limit",
       .ids = {"B8"},
       .summary = "forged SYNs for a connection neither end it nor get an answer each",
       .lesson = "The challenge ACK of RFC 5961 could be used to make a host send; so at most one is sent within "
                 "tcp_invalid_ratelimit milliseconds and connection. The connection itself does not notice.",
       .knobs = {{"tcp_invalid_ratelimit", {"500", "0"}, ""}},
       .play = challenge_ack_limit},
      {.name = "maximum-segment-size",
       .ids = {"B9"},
       .summary = "each side says in its SYN how much it takes in a segment, and a router may lower it",
       .lesson =
           "The MSS option is no negotiation: each direction has its own. It comes from the MTU of the interface; a "
           "router that knows of a narrow path behind it (PPPoE, a tunnel) often lowers it in passing. Options such "
           "as timestamps are deducted from it.",
       .knobs = {{"tcp_timestamps", {"1", "0"}, ""}},
       .play = maximum_segment_size},
  };
}

}  // namespace ff::lab
