// Scenarios of recovery from loss: D1, D3, D4.
#include <algorithm>
#include <set>
#include <string>

#include "lab/transfer.hpp"

namespace ff::lab {
namespace {

// ---- D1 ------------------------------------------------------------------------------------------------------------

void timeout_estimator(Lab& lab) {
  const bool rfc793 = lab.client.on("tcp_rfc793_rto");
  const Connected both = connected(lab);
  lab.path({.delay = 60ms});
  Socket reader = both.server;
  Socket client = both.client;
  const auto ask = [&](int times) {
    for (int i = 0; i < times; ++i) {
      client.write("a line");
      lab.run(2s);
      (void)reader.read();
    }
  };
  lab.say("a line every two seconds; the round trip takes 120 ms");
  ask(10);
  const Duration steady = client.info().rto;
  lab.say("the time-out is {} ms by now", std::chrono::duration_cast<std::chrono::milliseconds>(steady).count());
  lab.say("the way becomes longer: 260 ms there and back; nothing is lost");
  lab.path({.delay = 130ms});
  const std::uint64_t before = lab.client.count(Counter::Tcp_RetransSegs);
  ask(10);
  const std::uint64_t needless = lab.client.count(Counter::Tcp_RetransSegs) - before;
  if (rfc793) {
    lab.expect(steady < 260ms, "twice the smoothed round-trip time is less than the new way takes");
    lab.expect(needless > 0, fmt::format("lines sent twice for nothing: {}", needless));
  } else {
    lab.expect(steady > 260ms, "the round-trip time, and a margin that is never below 200 ms");
    lab.expect_equal("lines sent twice for nothing", needless, 0);
  }
}

// ---- D3 ------------------------------------------------------------------------------------------------------------

// Of the segments with data that the client sends first, those with these numbers get lost, from 1.
void lose_numbers(Lab& lab, std::set<int> numbers) {
  lab.meddle(lab.client, [seen = 0, numbers = std::move(numbers)](Segment& segment) mutable {
    if (segment.payload.empty()) return true;
    return !numbers.contains(++seen);
  });
}

void selective_acknowledgements(Lab& lab) {
  const bool sack = lab.client.on("tcp_sack") && lab.server.on("tcp_sack");
  lab.path({.delay = kDelay, .rate = 100'000'000});
  const Connected both = connected(lab);
  Socket client = both.client, server = both.server;
  lose_numbers(lab, {1, 3, 5});
  lab.say("the client writes ten segments; the first, the third and the fifth get lost");
  const Duration start = lab.elapsed();
  const std::string text = text_of(14'480);
  client.write(text);
  std::string received;
  lab.run_until([&] { return (received += server.read()).size() >= text.size(); }, 1min);
  const Duration took = lab.elapsed() - start;
  lab.expect(received == text, "all of it arrives");
  lab.expect_equal("segments sent again", lab.client.count(Counter::Tcp_RetransSegs), 3);
  // One way for what arrives, one back for the news; then the holes, all in one round trip or one in each.
  if (sack) {
    lab.expect_about("all holes are filled in one round trip", took, 3 * kDelay, 10ms);
  } else {
    lab.expect_about("each hole takes a round trip of its own", took, 7 * kDelay, 10ms);
  }
}

// ---- D4 ------------------------------------------------------------------------------------------------------------

void tail_loss(Lab& lab) {
  const bool probes = lab.client.on("tcp_early_retrans");
  const Connected both = connected(lab);
  Socket client = both.client, server = both.server;
  const std::string text = text_of(9'900);
  lose_numbers(lab, {6, 7});
  lab.say("the client writes seven segments; the last two get lost, so that nothing comes which could tell");
  const Duration start = lab.elapsed();
  client.write(text);
  std::string received;
  lab.run_until([&] { return (received += server.read()).size() >= text.size(); }, 1min);
  const Duration took = lab.elapsed() - start;
  lab.expect_equal("bytes that arrive", received.size(), text.size());
  const std::uint64_t timeouts = lab.client.count(Counter::TcpExt_TCPTimeouts);
  if (probes) {
    lab.expect_equal("time-outs", timeouts, 0);
    lab.expect_equal("probes", lab.client.count(Counter::TcpExt_TCPLossProbes), 1);
    lab.expect(took < 5 * kRoundTrip, fmt::format("it took {:.1f} round trips", took / (1.0 * kRoundTrip)));
  } else {
    lab.expect_equal("time-outs", timeouts, 1);
    lab.expect(took > client.info().rto, fmt::format("it took {:.1f} round trips", took / (1.0 * kRoundTrip)));
  }
}

void needless_timeout(Lab& lab) {
  const bool frto = lab.client.on("tcp_frto");
  lab.client.set("tcp_early_retrans", 0);
  lab.client.set("tcp_timestamps", 0);  // they would tell as well
  const Connected both = connected(lab);
  Socket client = both.client, server = both.server;
  std::string received;
  const std::string text = text_of(28'000);
  std::vector<Slice> held;
  lab.say(
      "the client writes 28 kilobytes; somewhere the packets are held up for a quarter of a second, but none gets "
      "lost");
  lab.hold_up(lab.client, held);
  client.write(text);
  lab.run(260ms);
  lab.say("they are let go, after the time-out");
  lab.stop_holding_up(lab.client);
  for (const Slice& packet : held) {
    lab.release(lab.client, packet);
    lab.run(1ms);
  }
  lab.run_until([&] { return (received += server.read()).size() >= text.size(); }, 1min);
  lab.run(1s);
  lab.expect(received == text, "all of it arrives");
  lab.expect_equal("time-outs", lab.client.count(Counter::TcpExt_TCPTimeouts), 1);
  const std::uint64_t again = lab.client.count(Counter::Tcp_RetransSegs);
  const std::uint64_t undone = lab.client.count(Counter::TcpExt_TCPSpuriousRTOs);
  if (frto) {
    lab.expect_equal("segments sent again", again, 1);
    lab.expect_equal("time-outs found to be needless", undone, 1);
    lab.expect(client.info().snd_cwnd >= 14'000, "the window is as large as before");
  } else {
    lab.expect(again > 1, fmt::format("segments sent again: {}", again));
    lab.expect_equal("time-outs found to be needless", undone, 0);
  }
}

void reordering(Lab& lab) {
  lab.path({.delay = kDelay,
            .rate = 100'000'000,
            .queue = {.packets = 20'000},
            .reorder = 0.05,
            .reorder_delay = kRoundTrip / 4});
  const Connected both = connected(lab);
  const std::string text = text_of(8'000'000);
  lab.say("one packet in twenty takes a quarter of a round trip longer; none gets lost");
  const Duration start = lab.elapsed();
  lab.expect(transfer(lab, both, text) == text, "8 MB arrive");
  const Duration took = lab.elapsed() - start;
  const std::uint64_t again = lab.client.count(Counter::Tcp_RetransSegs);
  const std::uint64_t seen = lab.client.count(Counter::TcpExt_TCPSACKReorder);
  const std::uint64_t timeouts = lab.client.count(Counter::TcpExt_TCPTimeouts);
  lab.expect(seen > 0, fmt::format("times that the client saw them arrive out of order: {}", seen));
  lab.expect(again * 100 < 5525 * 5, fmt::format("segments of 5525 that went twice: {}", again));
  lab.expect_equal("time-outs", timeouts, 0);
  lab.say("it took {} ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
}

}  // namespace

std::vector<Scenario> recovery_scenarios() {
  return {
      {.name = "retransmission-timeout",
       .ids = {"D1"},
       .summary = "the time-out follows the round-trip time, with a margin for how much that varies",
       .lesson =
           "A time-out that is too short repeats what is only late, and adds to the very queue that made it late; in "
           "1986 that brought the Internet down. RFC 793 waited twice the average. Since Jacobson the margin is four "
           "times what the times vary by.",
       .knobs = {{"client.tcp_rfc793_rto", {"0", "1"}, ""}},
       .play = timeout_estimator},
      {.name = "selective-acknowledgements",
       .ids = {"D2", "D3"},
       .summary = "with SACK all holes are filled in one round trip, without it takes one for each",
       .lesson =
           "An acknowledgement names the first byte that is missing, and no more. With selective acknowledgements the "
           "receiver says as well what it has beyond that; so the sender knows every hole, and need not wait for one "
           "to be filled to hear of the next.",
       .knobs = {{"client.tcp_sack", {"1", "0"}, ""}},
       .play = selective_acknowledgements},
      {.name = "tail-loss",
       .ids = {"D4"},
       .summary = "when the end of a message gets lost nothing behind it can tell; a probe asks",
       .lesson =
           "A loss shows by what arrives behind it. Behind the last segment nothing comes, so that the loss of a few "
           "bytes used to cost a time-out of 200 ms and more, in which the reader waits. A tail loss probe repeats the "
           "last segment after two round trips: its acknowledgement tells what is missing.",
       .knobs = {{"client.tcp_early_retrans", {"3", "0"}, ""}},
       .play = tail_loss},
      {.name = "needless-timeout",
       .ids = {"D4"},
       .summary = "packets that were only late set off a time-out; the sender finds that out and goes on as before",
       .lesson =
           "After a time-out a sender takes everything for lost and starts over with one segment. If the path was only "
           "slow for a moment, it repeats what has arrived. F-RTO first sends something new: if acknowledgements come "
           "for what was sent before the time-out, that was needless, and all is taken back.",
       .knobs = {{"client.tcp_frto", {"2", "0"}, ""}},
       .play = needless_timeout},
      {.name = "reordering",
       .ids = {"D4"},
       .summary = "a path that overtakes its own packets looks like one that loses them, until the sender learns",
       .lesson =
           "Counting three packets that came too early as a loss was right while paths kept the order. RACK goes by "
           "time: what is overtaken has a part of a round trip to arrive. The part grows with each report that "
           "something was repeated for nothing.",
       .knobs = {{"client.tcp_recovery", {"1", "2"}, ""}},
       .play = reordering},
  };
}

}  // namespace ff::lab
