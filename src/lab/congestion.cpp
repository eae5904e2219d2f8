// Scenarios of congestion, and of what is remembered of it: D5 to D8.
#include <string>

#include "lab/lab.hpp"
#include "lab/transfer.hpp"

namespace ff::lab {
namespace {

// ---- D5 ------------------------------------------------------------------------------------------------------------

constexpr std::uint64_t kRate = 20'000'000;
constexpr sim::QueueLimit kQueue{.packets = 83};  // a round trip's worth

void two_controls(Lab& lab) {
  const std::string chosen = lab.client.setting("tcp_congestion_control");
  const double loss = std::stod(lab.parameter("loss")) / 100;
  const Connected both = connected(lab);
  lab.expect_equal("the connection's congestion control", both.client.info().congestion_control, chosen);
  lab.path({.delay = kDelay, .rate = kRate, .queue = kQueue, .loss = loss});
  lab.say("the path carries 20 Mbit/s, holds as much as it carries in a round trip, and loses {} % of the packets",
          lab.parameter("loss"));
  const std::string text = text_of(4'000'000);
  const Duration before = lab.elapsed();
  lab.expect(transfer(lab, both, text) == text, "4 MB arrive");
  const double seconds = std::chrono::duration<double>(lab.elapsed() - before).count();
  const double share = static_cast<double>(text.size()) * 8 / seconds / static_cast<double>(kRate);
  const std::string took =
      fmt::format("{} took {:.1f} s, {:.0f} % of what the path carries", chosen, seconds, 100 * share);
  const std::uint64_t repeated = lab.client.count(Counter::Tcp_RetransSegs);
  lab.say("segments sent again: {}", repeated);
  if (loss == 0 || chosen == "bbr") {
    lab.expect(share > 0.5, took);
  } else {
    lab.expect(share < 0.5, took + ": each loss counts as a sign of congestion");
  }
}

// ---- D6 ------------------------------------------------------------------------------------------------------------

void paced_window(Lab& lab) {
  lab.client.set("tcp_congestion_control", "bbr");
  const bool paced = lab.client.setting("tcp_congestion_control") == "bbr";
  const Connected both = connected(lab);
  lab.path({.delay = kDelay, .rate = kRate});
  const std::string text = text_of(14'000);
  lab.expect(transfer(lab, both, text) == text, "14,000 bytes arrive");
  std::vector<Instant> times;
  for (const Segment& segment : lab.seen(lab.client, data)) times.push_back(segment.time);
  const Duration spread = times.back() - times.front();
  lab.expect(times.size() == 10, "as ten segments, the first window");
  if (paced) {
    lab.expect(spread > kRoundTrip / 4 && spread < kRoundTrip / 2,
               fmt::format("spread over {} ms: 2.77 windows would take a round trip", spread / 1ms));
  } else {
    lab.expect(spread < 1ms, "all at once");
  }
}

// ---- D7 ------------------------------------------------------------------------------------------------------------

void congestion_marks(Lab& lab) {
  lab.client.set("tcp_ecn", 1);
  const bool ecn = lab.client.number("tcp_ecn") == 1 && lab.server.on("tcp_ecn");
  const Connected both = connected(lab);
  lab.expect_equal("the two agree on ECN", both.client.info().ecn, ecn);
  lab.path({.delay = kDelay, .rate = 10'000'000, .queue = {.packets = 100}, .mark = sim::QueueLimit{.packets = 20}});
  lab.say("the path carries 10 Mbit/s from now on; a router marks what finds 20 packets waiting, and drops at 100");
  const std::string text = text_of(6'000'000);
  lab.expect(transfer(lab, both, text) == text, "6 MB arrive");
  const std::uint64_t marked =
      lab.server.count(lab.server.address().is_v4() ? Counter::IpExt_InCEPkts : Counter::Ip6_InCEPkts);
  const std::uint64_t echoed = lab.client.count(Counter::TcpExt_TCPDeliveredCE);
  const std::uint64_t repeated = lab.client.count(Counter::Tcp_RetransSegs);
  if (ecn) {
    lab.expect(marked > 0 && echoed > 0, fmt::format("packets marked: {}; segments whose acknowledgement echoed a "
                                                     "mark: {}",
                                                     marked, echoed));
    lab.expect_equal("segments sent again", repeated, 0u);
  } else {
    lab.expect_equal("packets marked", marked, 0u);
    lab.expect(repeated > 0, fmt::format("segments sent again, because the router dropped them: {}", repeated));
  }
}

// ---- D8 ------------------------------------------------------------------------------------------------------------

// A line at a time, over a path on which a handshake is quicker than data. How many segments went twice.
std::uint64_t talk(Lab& lab, const Listener& listener) {
  lab.path({.delay = kDelay});
  Socket client = lab.client.connect();
  lab.run(kRoundTrip + kDelay);
  Socket server = lab.server.accept(listener);
  lab.path({.delay = 8 * kDelay});
  const std::uint64_t before = lab.client.count(Counter::Tcp_RetransSegs);
  for (int i = 0; i < 10; ++i) {
    client.write("a line");
    lab.run(2s);
    (void)server.read();
  }
  client.close();
  lab.run(1s);
  server.close();
  lab.run(1s);
  return lab.client.count(Counter::Tcp_RetransSegs) - before;
}

void memory_of_paths(Lab& lab) {
  lab.client.set("tcp_early_retrans", 0);  // a probe would come before the time-out
  const bool remembers = !lab.client.on("tcp_no_metrics_save");
  const Listener listener = lab.server.listen();
  lab.say("handshakes take 50 ms here, and data 400 ms: it shares the way with a download");
  const std::uint64_t first = talk(lab, listener);
  lab.expect(first > 0, fmt::format("lines of the first connection that went twice for nothing: {}", first));
  const auto known = lab.client.stack().tcp_metrics(lab.now());
  lab.expect_equal("paths that the client remembers", known.size(), remembers ? 1 : 0);
  for (const TcpMetrics& path : known) {
    lab.say("round-trip time {} ms, give or take {}; {} segments at a time", path.rtt / 1ms, path.rttvar / 1ms,
            path.cwnd);
    lab.expect(path.rtt > 200ms, "which is more than a handshake takes");
  }
  const std::uint64_t second = talk(lab, listener);
  if (remembers) {
    lab.expect_equal("of the second connection, which knew", second, 0);
  } else {
    lab.expect_equal("of the second connection, which did not know", second, first);
  }
}

}  // namespace

std::vector<Scenario> congestion_scenarios() {
  return {
      {.name = "two-controls",
       .ids = {"D5"},
       .summary = "the same transfer over the same path with another congestion control",
       .lesson =
           "Reno and CUBIC take every lost packet for a sign that the path is full and send less for a while; on a "
           "path that loses packets for another reason they use a fraction of it. BBR measures how fast the path "
           "delivers and how long an empty one takes, sends at that rate, and slows down only when more than 2 % of "
           "the packets of a round trip get lost.",
       .knobs = {{"client.tcp_congestion_control", {"cubic", "bbr", "reno"}, ""},
                 {"loss", {"1", "0"}, "per cent of the packets that get lost"}},
       .play = two_controls},
      {.name = "paced-window",
       .ids = {"D6"},
       .summary = "a sender that paces spreads its window over the round trip",
       .lesson =
           "What a window allows may leave at once, and then waits in a queue where the path is slow. BBR says not "
           "only how much may be in the network but also how fast it may go there; SO_MAX_PACING_RATE does so for "
           "every congestion control.",
       .knobs = {{"client.tcp_congestion_control", {"bbr", "cubic", "reno"}, ""}},
       .play = paced_window},
      {.name = "congestion-marks",
       .ids = {"D7"},
       .summary = "a router marks packets before its queue overflows, and the sender slows down in time",
       .lesson =
           "A sender finds out how fast a path is by going faster until packets are lost. With ECN a router marks "
           "packets while its queue grows; the receiver echoes the mark, the sender shrinks its window as if it had "
           "lost something, and nothing has to be sent twice.",
       .knobs = {{"client.tcp_ecn", {"1", "2"}, ""}, {"server.tcp_ecn", {"2", "0"}, ""}},
       .play = congestion_marks},
      {.name = "memory-of-paths",
       .ids = {"D8"},
       .summary = "what one connection finds out about a path helps the next",
       .lesson =
           "A new connection knows nothing of its path but how long the handshake took, and SYNs are small. Whoever "
           "was there before knows better: how long data takes, how much of it may be on the way, how far packets "
           "overtake each other. So a host remembers that of each pair of addresses, for an hour, and starts from it.",
       .knobs = {{"client.tcp_no_metrics_save", {"0", "1"}, ""}},
       .play = memory_of_paths},
  };
}

}  // namespace ff::lab
