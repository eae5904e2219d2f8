// Scenarios of peers that vanish: F1 to F3.
#include <algorithm>

#include "lab/lab.hpp"

namespace ff::lab {
namespace {

// ---- F2 ------------------------------------------------------------------------------------------------------------

// The time that so many time-outs would take, from the smallest RTO of 200 ms on, doubling up to 120 s.
Duration patience(std::uint64_t retries) {
  Duration total{}, timeout = 200ms;
  for (std::uint64_t i = 0; i <= retries; ++i) {
    total += timeout;
    timeout = std::min<Duration>(2 * timeout, 120s);
  }
  return total;
}

void retries2(Lab& lab) {
  const std::uint64_t retries = lab.client.number("tcp_retries2");
  Connected both = connected(lab);
  lab.unplug();
  lab.say("the cable is pulled, and the client writes");
  const Instant start = lab.now();
  both.client.write("hello?");
  lab.run_until([&] { return both.client.closed(); }, 24h);
  const Duration lasted = lab.now() - start;
  const Duration limit = patience(retries);
  lab.expect_error("what the application is told", both.client.error(), Error::TimedOut);
  lab.expect(lasted >= limit && lasted <= limit + std::max<Duration>(limit, 121s),
             fmt::format("after {:.1f} s; tcp_retries2 = {} means at least {:.1f} s",
                         std::chrono::duration<double>(lasted).count(), retries,
                         std::chrono::duration<double>(limit).count()));
  const auto tries = lab.seen(lab.client, data);
  lab.expect(tries.size() >= 2, fmt::format("the segment was sent {} times", tries.size()));
  // The first repetition is a tail loss probe's, and comes when the first time-out would.
  if (tries.size() >= 4) {
    const Duration first = tries[2].time - tries[1].time, second = tries[3].time - tries[2].time;
    lab.expect_about("each pause is twice the one before", second, 2 * first, 10ms);
  }
  lab.expect_equal("TCPAbortOnTimeout", lab.client.count(Counter::TcpExt_TCPAbortOnTimeout), 1);
}

void last_icmp_error(Lab& lab) {
  lab.client.set("tcp_retries2", 3);
  Connected both = connected(lab);
  lab.say("the server's network is gone; a router says \"host unreachable\" to each packet");
  lab.meddle(lab.client, [&lab](Segment& segment) {
    lab.forge(lab.server, icmp_error(wire::IcmpKind::HostUnreachable, lab.router(), 0, packet_of(segment).span()));
    return false;
  });
  both.client.write("hello?");
  lab.run(kRoundTrip);
  lab.expect(!both.client.closed(), "an established connection does not end by that: routes come and go");
  lab.run_until([&] { return both.client.closed(); }, 1h);
  lab.expect_error("what the application is told in the end: not the time-out, but its reason", both.client.error(),
                   Error::HostUnreachable);
}

void user_timeout(Lab& lab) {
  const std::string seconds = lab.parameter("TCP_USER_TIMEOUT");
  const auto patience_here = std::chrono::milliseconds(std::stoul(seconds));
  ConnectOptions options;
  options.options.user_timeout = static_cast<std::uint32_t>(patience_here.count());
  Connected both = connected(lab, options);
  lab.unplug();
  lab.say("the cable is pulled, and the client writes");
  const Instant start = lab.now();
  both.client.write("hello?");
  lab.run_until([&] { return both.client.closed(); }, 24h);
  lab.expect_error("what the application is told", both.client.error(), Error::TimedOut);
  lab.expect_about("after", lab.now() - start, patience_here, patience_here / 10 + 300ms);
  lab.expect_equal("TCPAbortOnTimeout", lab.client.count(Counter::TcpExt_TCPAbortOnTimeout), 1);
}

// ---- F1 ------------------------------------------------------------------------------------------------------------

void keepalive(Lab& lab) {
  const bool answers = lab.parameter("peer") == "there";
  const std::uint64_t idle = lab.client.number("tcp_keepalive_time"),
                      interval = lab.client.number("tcp_keepalive_intvl"),
                      probes = lab.client.number("tcp_keepalive_probes");
  ConnectOptions options;
  options.options.keepalive = true;
  Connected both = connected(lab, options);
  const Instant start = lab.now();
  if (!answers) lab.unplug();
  lab.say("SO_KEEPALIVE is on, and nobody says anything; the peer is {}", answers ? "there" : "gone");
  if (answers) {
    lab.run(std::chrono::seconds(3 * idle + 5));
    lab.expect_state("the connection, after three times tcp_keepalive_time", both.client.state(),
                     TcpState::Established);
    const auto asked = lab.number_of(lab.client, pure_ack);
    lab.expect(asked >= 3, fmt::format("{} probes or more were sent, and answered", asked - 1));
    return;
  }
  lab.run_until([&] { return both.client.closed(); }, 100h);
  lab.expect_error("what the application is told", both.client.error(), Error::TimedOut);
  lab.expect_about("tcp_keepalive_time + tcp_keepalive_probes * tcp_keepalive_intvl later", lab.now() - start,
                   std::chrono::seconds(idle + probes * interval), 2s);
  lab.expect_equal("probes, and the RST that ends it", lab.number_of(lab.client, any) - 2, probes + 1);
}

// ---- F3 ------------------------------------------------------------------------------------------------------------

void process_dies(Lab& lab) {
  const bool unread = lab.parameter("unread_data") == "yes";
  Connected both = connected(lab);
  if (unread) {
    both.client.write("an order nobody reads");
    lab.run(200ms);
  }
  lab.say("the server's process is killed: its kernel closes its sockets");
  both.server.close();
  lab.run(200ms);
  if (unread) {
    lab.expect_error("the client learns at once", both.client.error(), Error::ConnectionReset);
  } else {
    lab.expect(both.client.peer_closed(), "the client sees the end of the stream at once, as if it was on purpose");
    lab.expect_state("its state", both.client.state(), TcpState::CloseWait);
  }
}

void host_returns(Lab& lab) {
  const bool talks = lab.parameter("client") == "talks";
  Connected both = connected(lab);
  lab.say("the server's machine loses power, and is back a minute later; nobody says goodbye");
  lab.unplug();
  lab.server.restart();
  lab.run(1min);
  lab.plug();
  if (talks) {
    lab.say("the client writes");
    both.client.write("are you there?");
    lab.run(1s);
    lab.expect_equal("resets from the server, which knows nothing of the connection", lab.number_of(lab.server, rst),
                     1);
    lab.expect_error("what the client is told", both.client.error(), Error::ConnectionReset);
    return;
  }
  lab.run(24h);
  lab.expect_state("a client that only listens, a day later", both.client.state(), TcpState::Established);
  lab.expect_equal("packets that it sent since", lab.number_of(lab.client, data), 0);
}

void gone_for_good(Lab& lab) {
  Connected both = connected(lab);
  lab.say("the server's machine is switched off for ever; the client waits for something to read");
  lab.unplug();
  lab.run(24h * 30);
  lab.expect_state("the client's connection, a month later", both.client.state(), TcpState::Established);
  lab.expect_error("what read() says", both.client.try_read(), Error::WouldBlock);
  lab.say("it writes");
  both.client.write("hello?");
  lab.run_until([&] { return both.client.closed(); }, 1h);
  lab.expect_error("only that tells", both.client.error(), Error::TimedOut);
}

void cable_idle(Lab& lab) {
  Connected both = connected(lab);
  lab.unplug();
  lab.say("the cable is pulled for an hour while nobody has anything to say");
  lab.run(1h);
  lab.plug();
  both.client.write("good morning");
  lab.run(1s);
  lab.expect_equal("what the server reads", both.server.read(), "good morning");
  lab.expect_equal("retransmissions", both.client.info().total_retrans, 0);
}

void cable_busy(Lab& lab) {
  Connected both = connected(lab);
  lab.unplug();
  lab.say("the cable is pulled; the client writes; 10 s later it is put back");
  both.client.write("are you still there?");
  lab.run(10s);
  const std::size_t tries = lab.number_of(lab.client, data);
  lab.expect(tries >= 5 && tries <= 7, fmt::format("the segment was tried {} times, with doubling pauses", tries));
  lab.plug();
  const Instant back = lab.now();
  lab.run_until([&] { return both.server.info().unread > 0; }, 1min);
  lab.expect_equal("what the server reads", both.server.read(), "are you still there?");
  const Duration waited = lab.now() - back;
  lab.expect(waited > kDelay && waited < 10s,
             fmt::format("but only {:.1f} s after the cable was back: the next try was due then",
                         std::chrono::duration<double>(waited).count()));
  lab.expect_state("the connection", both.client.state(), TcpState::Established);
}

}  // namespace

std::vector<Scenario> vanishing_peer_scenarios() {
  return {
      {.name = "keepalive",
       .ids = {"F1", "F3"},
       .summary = "probes on an idle connection find out whether the peer is still there",
       .lesson =
           "An idle connection cannot tell a silent peer from a dead one. With SO_KEEPALIVE a probe goes out after "
           "two hours of silence: an old sequence number that the peer must answer. Nine without an answer, 75 "
           "seconds apart, end the connection. All three are settings, and options of the socket.",
       .knobs = {{"peer", {"gone", "there"}, "whether the peer still answers"},
                 {"tcp_keepalive_time", {"7200", "60"}, ""},
                 {"tcp_keepalive_probes", {"9", "2"}, ""}},
       .play = keepalive},
      {.name = "user-timeout",
       .ids = {"F2"},
       .summary = "TCP_USER_TIMEOUT: how long data may stay unacknowledged, in the program's own words",
       .lesson =
           "tcp_retries2 is for the whole machine, and its unit is odd. TCP_USER_TIMEOUT says in milliseconds how "
           "long this connection may wait for an acknowledgement before it is given up with ETIMEDOUT.",
       .knobs = {{"TCP_USER_TIMEOUT", {"5000", "30000"}, "the socket option, milliseconds"}},
       .play = user_timeout},
      {.name = "retries2",
       .ids = {"F2", "F3"},
       .summary = "unacknowledged data is repeated for as long as tcp_retries2 says, then ETIMEDOUT",
       .lesson =
           "The number is not a count of packets: it names the time that so many time-outs would take if the first "
           "were 200 ms. The default of 15 stands for 924.6 s, a quarter of an hour in which a program hears "
           "nothing. A program that must know "
           "earlier sets a limit of its own (TCP_USER_TIMEOUT).",
       .knobs = {{"tcp_retries2", {"15", "8", "3"}, ""}},
       .play = retries2},
      {.name = "last-icmp-error",
       .ids = {"F2", "F3"},
       .summary = "\"host unreachable\" does not end a connection, but names the reason when it is given up",
       .lesson =
           "While a connection is being made, such an error ends it. Later it may be a passing fault of routing, so "
           "the stack goes on trying, and remembers the last error to report it instead of a bare time-out.",
       .play = last_icmp_error},
      {.name = "process-dies",
       .ids = {"F3", "E2"},
       .summary = "when the peer's process dies its kernel says so: FIN, or RST if data was unread",
       .lesson =
           "A crash of a program is not a crash of its machine. The kernel closes what the program had open, so that "
           "the other side learns of it within a round trip, and cannot tell it from a deliberate end.",
       .knobs = {{"unread_data", {"no", "yes"}, "whether the process dies with data unread"}},
       .play = process_dies},
      {.name = "host-returns",
       .ids = {"F3"},
       .summary = "a machine that lost power knows nothing of its connections, and says RST to who speaks",
       .lesson =
           "No packet tells of a power failure. When the machine is back, the first segment for a connection it does "
           "not know gets a RST. A peer that never sends never learns: it needs keepalive, or messages of its own.",
       .knobs = {{"client", {"talks", "listens"}, "whether the client has something to say afterwards"}},
       .play = host_returns},
      {.name = "gone-for-good",
       .ids = {"F3"},
       .summary = "an idle connection to a dead machine stays established for ever",
       .lesson = "A TCP connection without data in flight sends nothing, and so needs nobody. That is a virtue when a "
                 "cable is replaced, and a leak when a peer is gone for good: keepalive is what tells them apart.",
       .play = gone_for_good},
      {.name = "cable-pulled-idle",
       .ids = {"F3"},
       .summary = "a cable that is pulled and put back is not noticed by an idle connection",
       .lesson =
           "The connection exists in the memory of two machines, not on the wire. As long as nobody sends, nothing "
           "can fail.",
       .play = cable_idle},
      {.name = "cable-pulled-busy",
       .ids = {"F3", "F2"},
       .summary = "data in flight is repeated with growing pauses, so that it takes a while after the cable is back",
       .lesson =
           "Each retransmission waits twice as long as the one before. When the path works again, the next try may "
           "be as far away as the path was gone. Nothing is lost, and no program notices but by the delay.",
       .play = cable_busy},
  };
}

}  // namespace ff::lab
