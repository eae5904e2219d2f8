// Scenarios of what Fast Open remembers: of paths (A11), of servers (A12), of SYNs (A14).
#include <memory>
#include <set>

#include "lab/fast_open_visit.hpp"

namespace ff::lab {
namespace {

// ---- A11 -----------------------------------------------------------------------------------------------------------

void blackhole(Lab& lab) {
  const std::uint64_t base = lab.client.number("tcp_fastopen_blackhole_timeout_sec");
  serve(lab);
  visit(lab);
  lab.say("from now on a firewall drops every SYN with data");
  lab.meddle(lab.client, [](Segment& segment) { return !syn_with_data(segment); });
  int fast_tries = 0;
  Visit one;
  do {
    one = visit(lab);
    ++fast_tries;
  } while (one.outcome == FastOpenOutcome::SynRetransmitted && fast_tries < 5);
  if (base == 0) {
    lab.expect_equal("tries without and with detection off, each a second late", fast_tries, 5);
    lab.expect_equal("TCPFastOpenBlackhole", lab.client.count(Counter::TcpExt_TCPFastOpenBlackhole), 0);
    return;
  }
  lab.expect(fast_tries <= 3, fmt::format("after {} lost SYNs the client leaves Fast Open alone here", fast_tries - 1));
  expect_outcome(lab, "the outcome then", one.outcome, FastOpenOutcome::PathBlackholed);
  lab.expect_about("which costs no time-out any more", one.first_byte, 2 * kRoundTrip, 1ms);
  lab.expect_equal("TCPFastOpenBlackhole", lab.client.count(Counter::TcpExt_TCPFastOpenBlackhole), 1);
  lab.say("the firewall is replaced; {} s later the client dares to try", base);
  lab.meddle(lab.client, [](Segment&) { return true; });
  lab.run(std::chrono::seconds(base));
  expect_outcome(lab, "the probe", visit(lab).outcome, FastOpenOutcome::Accepted);
  expect_outcome(lab, "and the next visit", visit(lab).outcome, FastOpenOutcome::Accepted);
}

// A box that lets the handshake pass and swallows what follows a SYN with data, either way.
void silence(Lab& lab) {
  const std::uint64_t base = lab.client.number("tcp_fastopen_blackhole_timeout_sec");
  const bool says_more = lab.parameter("client") == "says-more";
  serve(lab);
  visit(lab);
  lab.say("a box on the path loses track of connections whose SYN carries data, and swallows them from then on");
  const auto lost = std::make_shared<std::set<std::uint16_t>>();
  lab.meddle(lab.client, [lost](Segment& segment) {
    if (syn_with_data(segment)) lost->insert(segment.source.port);
    return syn(segment) || pure_ack(segment) || !lost->contains(segment.source.port);
  });
  lab.meddle(lab.server,
             [lost](Segment& segment) { return syn_ack(segment) || !lost->contains(segment.destination.port); });
  Socket socket = lab.client.connect(fast());
  lab.run(kRoundTrip);
  expect_outcome(lab, "the handshake looks as it should", socket.info().fast_open, FastOpenOutcome::Accepted);
  if (says_more) {
    lab.say("the client has more to say");
    socket.write("more");
  } else {
    lab.say("the client waits in vain, and closes after ten seconds");
    lab.run(10s);
    socket.close();
  }
  lab.run(5s);
  lab.expect_equal("TCPFastOpenBlackhole", lab.client.count(Counter::TcpExt_TCPFastOpenBlackhole), base == 0 ? 0 : 1);
  if (base == 0) return;
  const Visit next = visit(lab);
  expect_outcome(lab, "the next visit's outcome", next.outcome, FastOpenOutcome::PathBlackholed);
  lab.expect_equal("its answer", next.answer, kAnswer);
}

void probe(Lab& lab) {
  lab.client.set("tcp_fastopen_blackhole_timeout_sec", 60);
  lab.client.set("tcp_fastopen_cache_expire_sec", 0);  // the cookie is to outlast all of this
  const std::uint64_t base = lab.client.number("tcp_fastopen_blackhole_timeout_sec");
  serve(lab);
  visit(lab);
  lab.say("a firewall drops SYNs with data: two of them are enough");
  lab.meddle(lab.client, [](Segment& segment) { return !syn_with_data(segment); });
  for (int i = 0; i < 2; ++i) visit(lab);
  if (base == 0) return lab.expect_equal("without detection nothing is left alone", 0, 0);
  lab.expect_equal("TCPFastOpenBlackhole", lab.client.count(Counter::TcpExt_TCPFastOpenBlackhole), 1);
  for (int failures = 1; failures <= 9; ++failures) {
    const auto pause = [&] { return lab.client.stack().fast_open_cache(lab.now()).front().retry_after - lab.now(); };
    lab.run(pause());
    const Instant before = lab.now();
    expect_outcome(lab, fmt::format("probe {}", failures), visit(lab).outcome, FastOpenOutcome::SynRetransmitted);
    lab.expect_about(fmt::format("the pause after it"), pause() + (lab.now() - before),
                     std::chrono::seconds(base << std::min(failures, 6)), 2s);
  }
}

// ---- A12 -----------------------------------------------------------------------------------------------------------

void client_cache(Lab& lab) {
  const Duration later = lab.parameter("away") == "a-night" ? Duration(8h) : Duration(24h * 30);
  const bool same_site = lab.parameter("partition") == "same";
  const std::uint64_t most = lab.client.number("tcp_fastopen_cache_max");
  const std::uint64_t expire = lab.client.number("tcp_fastopen_cache_expire_sec");
  serve(lab);
  expect_outcome(lab, "the first visit", visit(lab).outcome,
                 most == 0 ? FastOpenOutcome::Disabled : FastOpenOutcome::NoCookieYet);
  constexpr std::int64_t kUnixTime = 1'763'712'000;
  const std::string file = format_fast_open_cache(lab.client.stack().fast_open_cache(lab.now()), lab.now(), kUnixTime);
  lab.say("the program writes its cache to a file of {} bytes, and ends", file.size());
  lab.client.restart();
  lab.run(later);
  lab.say("{} hours later it is started again, and reads the file", later / 1h);
  const auto entries = parse_fast_open_cache(file, "the file", lab.now(), kUnixTime + later / 1s);
  lab.expect(entries.has_value(), "the file is as it should be");
  if (!entries) return;
  lab.expect_equal("paths in it", entries->size(), most == 0 ? 0 : 1);
  for (const FastOpenCacheEntry& entry : *entries) (void)lab.client.stack().set_fast_open_cache(entry);
  ConnectOptions options = fast();
  if (!same_site) {
    lab.say("the visit is on behalf of another site, which must not share cookies with the first");
    options.fast_open_partition = 1;
  }
  const bool fresh = expire == 0 || later < std::chrono::seconds(expire);
  FastOpenOutcome expected = fresh && same_site ? FastOpenOutcome::Accepted : FastOpenOutcome::NoCookieYet;
  if (most == 0) expected = FastOpenOutcome::Disabled;
  expect_outcome(lab, "its first visit's outcome", visit(lab, options).outcome, expected);
}

// ---- A14 -----------------------------------------------------------------------------------------------------------

void early_bytes(Lab& lab) {
  const Listener listener = lab.server.listen({.fast_open_queue = 16});
  visit_before(lab, listener);
  std::uint32_t told = 0;
  lab.server.on_event([&told](const Event& event) { told = event.early_bytes; });
  lab.say("a client sends an order in its SYN, which must not be carried out twice");
  lab.client.connect(fast("POST /order HTTP/1.1\r\n\r\n"));
  lab.run(kDelay);
  Socket order = lab.server.accept(listener);
  lab.run(1ms);
  lab.expect_equal("bytes of which the application is told that they came before the handshake was over", told,
                   order.info().unread);
  lab.expect_state("the state", order.state(), TcpState::SynReceived);
  lab.say("it waits for the end of the handshake, which a copy of the SYN would not reach");
  lab.run(kRoundTrip);
  lab.expect(order.established(), "the client is there");
  lab.expect_equal("bytes that may be a copy, as the next event tells", told, 0);
  lab.expect_equal("bytes that rode in the SYN all the same", order.info().syn_data_bytes, order.info().unread);
}

void replayed_syn(Lab& lab) {
  const bool filters = lab.server.number("tcp_fastopen_replay_filter_kb") != 0;
  serve(lab);
  visit(lab);
  const Visit second = visit(lab);
  lab.expect_equal("the answer", second.answer, kAnswer);
  Segment copy = lab.seen(lab.client, syn_with_data).back();
  lab.say("the connection is gone; a copy of its SYN comes, sent again by somebody on the path");
  lab.run(10s);
  const std::uint64_t before = lab.server.count(Counter::TcpExt_TCPFastOpenPassive);
  const std::size_t answers = lab.number_of(lab.server, data);
  lab.forge(lab.client, copy);
  lab.run(1s);
  const bool acted = lab.number_of(lab.server, data) > answers;
  lab.expect_equal("connections that it opened at once", lab.server.count(Counter::TcpExt_TCPFastOpenPassive) - before,
                   filters ? 0 : 1);
  lab.expect(acted != filters,
             filters ? "the server did not act on it" : "the server's application acted on the request once more");
  lab.expect_equal("SYNs known again", lab.server.count(FastOpenOutcome::SynRepeated), filters ? 1 : 0);
  lab.say("the client itself is not held up");
  expect_outcome(lab, "its next visit", visit(lab).outcome, FastOpenOutcome::Accepted);
}

}  // namespace

std::vector<Scenario> fast_open_memory_scenarios() {
  return {
      {.name = "fast-open-blackhole",
       .ids = {"A11"},
       .summary = "where SYNs with data vanish, the client stops trying for a while, on this path alone",
       .lesson =
           "A firewall that drops SYNs with data makes each connection a second slower. The client notices and "
           "leaves Fast Open alone on this path for a while; then one connection is the probe that may find it mended. "
           "All other paths stay fast.",
       .knobs = {{"tcp_fastopen_blackhole_timeout_sec", {"3600", "60", "0"}, ""}},
       .play = blackhole},
      {.name = "fast-open-blackhole-probes",
       .ids = {"A11"},
       .summary = "each probe that fails doubles the time until the next, up to 64 times",
       .lesson = "A path that is broken today is most likely broken tomorrow, so the client asks less and less often. "
                 "But paths get repaired, and a client that never asked again would never know.",
       .knobs = {{"client.tcp_fastopen_blackhole_timeout_sec", {"60", "3600"}, ""}},
       .play = probe},
      {.name = "fast-open-silence",
       .ids = {"A11"},
       .summary = "a path that lets the handshake pass and swallows the rest is found out, too",
       .lesson = "Some boxes expect the sequence numbers of a SYN without data, and drop everything after it as "
                 "invalid. The handshake looks fine, and then there is silence: after three time-outs in a row before "
                 "the first byte the client draws its conclusion.",
       .knobs = {{"client", {"says-more", "gives-up"}, "what the client does while no answer comes"},
                 {"tcp_fastopen_blackhole_timeout_sec", {"3600", "0"}, ""}},
       .play = silence},
      {.name = "fast-open-cache",
       .ids = {"A12"},
       .summary = "cookies survive the program in a file, expire, and are kept apart for privacy",
       .lesson =
           "A cookie is what makes a visit fast, and it also tells the server that the same client is back. So a "
           "client keeps it from run to run, but not for ever, and a browser gives each site that it shows cookies "
           "of its own, lest a server embedded in many sites follow a visitor through all of them.",
       .knobs = {{"away", {"a-night", "a-month"}, "how long the program does not run"},
                 {"partition", {"same", "another"}, "on whose behalf the second visit is"},
                 {"client.tcp_fastopen_cache_expire_sec", {"604800", "3600", "0"}, ""},
                 {"client.tcp_fastopen_cache_max", {"16384", "0"}, ""}},
       .play = client_cache},
      {.name = "fast-open-early-bytes",
       .ids = {"A14"},
       .summary = "an application can tell bytes that may be a copy from those that are none",
       .lesson =
           "The network may deliver a SYN twice, and with it the request inside. Reading a page twice does no harm, "
           "ordering twice does. Only the end of the handshake shows that the client is there, so the application "
           "is told which bytes came before it.",
       .play = early_bytes},
      {.name = "fast-open-replay",
       .ids = {"A14"},
       .summary = "a copy of a SYN is acted on again, unless the server remembers",
       .lesson =
           "While a connection lives, a copy of its SYN changes nothing; when it is gone, nothing but memory tells "
           "the copy from the original. The filter remembers for as long as packets live, in a fixed amount of "
           "memory; what it mistakes for a copy loses one round trip and nothing else.",
       .knobs = {{"server.tcp_fastopen_replay_filter_kb", {"0", "64"}, ""}},
       .play = replayed_syn},
  };
}

}  // namespace ff::lab
