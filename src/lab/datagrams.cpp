// Scenarios of UDP and ICMP: I1 and I2.
#include <algorithm>

#include "lab/lab.hpp"
#include "lab/packet.hpp"

namespace ff::lab {
namespace {

constexpr std::uint16_t kServerPort = 53, kClientPort = 4000;

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", text);
  return all.empty() ? "nothing" : all;
}

Counter by_family(const Lab& lab, Counter v4, Counter v6) { return lab.client.address().is_v4() ? v4 : v6; }

std::size_t count_of(Lab& lab, const Host& from, wire::IcmpKind kind) {
  return static_cast<std::size_t>(std::ranges::count(lab.icmp(from), kind, &wire::IcmpView::kind));
}

// ---- I1 ------------------------------------------------------------------------------------------------------------

void udp_boundaries(Lab& lab) {
  DatagramSocket server = lab.server.open(kServerPort), client = lab.client.open(kClientPort);
  const Endpoint to{lab.server.address(), kServerPort};
  lab.say("the client sends \"one\", an empty datagram, \"two\", and \"three\"; the path loses the third of them");
  std::vector<Slice> on_path;
  lab.hold_up(lab.client, on_path);
  for (const std::string_view text : {"one", "", "two", "three"}) (void)client.send(text, to);
  lab.run(1ms);
  lab.stop_holding_up(lab.client);
  lab.expect_equal("packets: one for each", on_path.size(), 4);
  if (on_path.size() != 4) return;
  lab.say("and the last one overtakes the others");
  for (const std::size_t i : {3u, 0u, 1u}) lab.release(lab.client, on_path[i]);
  lab.run(1min);
  lab.expect_equal("what the server receives: as it came, and nothing is sent again", joined(server.receive_all()),
                   R"("three", "one", "")");
  lab.expect_equal("packets that the server sent: nobody acknowledges", lab.packets(lab.server).size(), 0);
}

void udp_port_unreachable(Lab& lab) {
  const bool connects = lab.parameter("connected") == "yes";
  DatagramSocket client = lab.client.open(kClientPort);
  const Endpoint to{lab.server.address(), kServerPort};
  if (connects) (void)client.connect(to);
  lab.say("the client's socket {}; nobody has port {} at the server", connects ? "is connected" : "is not connected",
          kServerPort);
  lab.expect_error("what the first send() says: it cannot know yet", client.send("anybody?", to), std::nullopt);
  lab.run(1s);
  lab.expect_equal("ICMP errors from the server", count_of(lab, lab.server, wire::IcmpKind::PortUnreachable), 1);
  lab.expect_equal("NoPorts", lab.server.count(by_family(lab, Counter::Udp_NoPorts, Counter::Udp6_NoPorts)), 1);
  lab.expect_error("what the next send() says", client.send("hello?", to),
                   connects ? std::optional(Error::ConnectionRefused) : std::nullopt);
}

void udp_checksum(Lab& lab) {
  const bool v4 = lab.client.address().is_v4();
  DatagramSocket server = lab.server.open(kServerPort);
  const Endpoint from{lab.client.address(), kClientPort}, to{lab.server.address(), kServerPort};
  lab.say("three datagrams arrive: with the right checksum, with a wrong one, and with none");
  lab.forge(lab.client, udp_packet(from, to, "right", UdpChecksum::Right));
  lab.forge(lab.client, udp_packet(from, to, "wrong", UdpChecksum::Wrong));
  lab.forge(lab.client, udp_packet(from, to, "none", UdpChecksum::None));
  lab.run(1s);
  lab.expect_equal("what the application receives", joined(server.receive_all()),
                   v4 ? R"("right", "none")" : R"("right")");
  if (v4) {
    lab.say("over IPv4 a checksum of zero means that the sender made none");
  } else {
    lab.say("over IPv6, whose header has no checksum of its own, there must be one");
  }
  lab.expect_equal("dropped for it",
                   lab.server.count(DropReason::UdpChecksum) + lab.server.count(DropReason::UdpTruncated), v4 ? 1 : 2);
  lab.expect_equal("InErrors", lab.server.count(by_family(lab, Counter::Udp_InErrors, Counter::Udp6_InErrors)),
                   v4 ? 1 : 2);
}

void udp_queue(Lab& lab) {
  lab.server.set("rmem_default", 20'000);
  const std::uint64_t bound = lab.server.number("rmem_default");
  DatagramSocket server = lab.server.open(kServerPort), client = lab.client.open(kClientPort);
  constexpr std::size_t kSent = 1000;
  lab.say("the client sends {} datagrams of 1000 bytes, a millisecond apart; the server's application sleeps", kSent);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < kSent; ++i) {
    if (client.send(fmt::format("{:04}", i) + std::string(996, 'x'), Endpoint{lab.server.address(), kServerPort}))
      ++refused;
    lab.run(1ms);
  }
  lab.run(1s);
  lab.expect_equal("sends that failed: UDP does not slow its sender", refused, 0);
  // As Linux: the queue takes one as long as it is not full, whatever that one's size.
  lab.expect(server.info().receive_queue <= bound + 2048,
             fmt::format("{} bytes of memory are taken: {}, and what is left of the last one",
                         server.info().receive_queue, bound));
  const std::uint64_t dropped = lab.server.count(by_family(lab, Counter::Udp_RcvbufErrors, Counter::Udp6_RcvbufErrors));
  const std::vector<std::string> received = server.receive_all();
  lab.expect(!received.empty() && dropped > 0, fmt::format("{} datagrams are there", received.size()));
  lab.expect_equal("those, and those that found no room (RcvbufErrors)", received.size() + dropped, kSent);
  lab.expect(!received.empty() && received.front().starts_with("0000"), "what came first has stayed");
  const std::string last = fmt::format("{:04}", received.size() - 1);
  lab.expect(!received.empty() && received.back().starts_with(last), "in order and without a gap");
}

// ---- I2 ------------------------------------------------------------------------------------------------------------

std::string echo_request(bool v4, std::uint16_t sequence, std::string_view data) {
  std::string message(8, '\0');
  message[0] = v4 ? '\x08' : '\x80';
  message[6] = static_cast<char>(sequence >> 8);
  message[7] = static_cast<char>(sequence);
  return message.append(data);
}

void echo(Lab& lab) {
  const bool v4 = lab.client.address().is_v4();
  const bool silent = lab.server.on("icmp_echo_ignore_all");
  DatagramOptions options;
  options.protocol = DatagramProtocol::Echo;
  DatagramSocket client = lab.client.open(77, options);
  const std::string large(4000, 'x');
  lab.say("the client sends two echo requests, the second with 4000 bytes: more than a packet takes");
  const Instant start = lab.now();
  (void)client.send(echo_request(v4, 1, "are you there?"), Endpoint{lab.server.address(), 0});
  (void)client.send(echo_request(v4, 2, large), Endpoint{lab.server.address(), 0});
  std::vector<std::string> replies;
  Duration took{};
  lab.run_until(
      [&] {
        for (std::string& reply : client.receive_all()) {
          if (replies.empty()) took = lab.now() - start;
          replies.push_back(reply.substr(8));
        }
        return replies.size() == 2;
      },
      10s);
  lab.expect_equal("InEchos at the server",
                   lab.server.count(by_family(lab, Counter::Icmp_InEchos, Counter::Icmp6_InEchos)), 2);
  if (silent) {
    lab.expect_equal("replies: the server was told to be silent", replies.size(), 0);
    lab.expect_equal("dropped", lab.server.count(DropReason::IcmpIgnored), 2);
    return;
  }
  lab.expect_equal("replies", replies.size(), 2);
  if (replies.size() != 2) return;
  lab.expect_equal("what comes back is what was sent", replies[0], "are you there?");
  lab.expect(replies[1] == large, "all 4000 bytes of it, in fragments both ways");
  lab.expect_about("the round trip", took, kRoundTrip, 1ms);
}

void icmp_rate_limit(Lab& lab) {
  // As Linux: over IPv6, where the route leads to a /64 and not to one host, four times as often.
  const bool v4 = lab.client.address().is_v4();
  const std::uint64_t interval =
      v4 ? lab.server.number("icmp_ratelimit") : lab.server.number("net.ipv6.icmp.ratelimit") / 4;
  constexpr std::size_t kAttempts = 200;
  constexpr std::size_t kBurst = 6;
  DatagramSocket client = lab.client.open(kClientPort);
  lab.run(1min);
  lab.say("the client sends {} datagrams to a closed port, 10 ms apart", kAttempts);
  const std::size_t before = lab.icmp(lab.server).size();
  for (std::size_t i = 0; i < kAttempts; ++i) {
    (void)client.send("x", Endpoint{lab.server.address(), kServerPort});
    lab.run(10ms);
  }
  lab.run(1s);
  const std::size_t errors = lab.icmp(lab.server).size() - before;
  const std::uint64_t held =
      lab.server.count(by_family(lab, Counter::Icmp_OutRateLimitHost, Counter::Icmp6_OutRateLimitHost));
  lab.expect_equal("datagrams to a closed port",
                   lab.server.count(by_family(lab, Counter::Udp_NoPorts, Counter::Udp6_NoPorts)), kAttempts);
  if (interval == 0) {
    lab.expect_equal("errors: without a limit, one for each", errors, kAttempts);
    return;
  }
  const std::size_t later = 2000 / interval;  // in the two seconds that it took
  lab.expect(errors >= kBurst && errors <= kBurst + later + 1,
             fmt::format("{} errors: {} at once, then one each {} ms", errors, kBurst, interval));
  lab.expect_equal("the others were held back (OutRateLimitHost)", held, kAttempts - errors);
}

}  // namespace

std::vector<Scenario> datagram_scenarios() {
  return {
      {.name = "udp-boundaries",
       .ids = {"I1"},
       .summary = "a datagram arrives whole or not at all, and nobody looks after it",
       .lesson =
           "UDP keeps what one send() has sent together, which TCP does not. It keeps no order, repeats nothing and "
           "tells nobody whether anything arrived: all that is the program's own business.",
       .play = udp_boundaries},
      {.name = "udp-port-unreachable",
       .ids = {"I1", "I2"},
       .summary = "a closed port is told by ICMP, and only a connected socket hears of it",
       .lesson =
           "UDP has no RST. The host answers with an ICMP error, which quotes the datagram; a socket that is connected "
           "to one peer is told ECONNREFUSED by its next call. One that sends to many is told nothing, for it could "
           "not know which of them was meant.",
       .knobs = {{"connected", {"yes", "no"}, "the client's socket"}},
       .play = udp_port_unreachable},
      {.name = "udp-checksum",
       .ids = {"I1"},
       .summary = "a wrong checksum drops a datagram; none at all is allowed over IPv4 alone",
       .lesson = "Over IPv4 the field may be zero: no checksum. IPv6 has none in its own header, so there a datagram "
                 "without one could end up anywhere, and is dropped. Play it with -6.",
       .play = udp_checksum},
      {.name = "udp-queue",
       .ids = {"I1"},
       .summary = "datagrams for a program that sleeps wait up to a bound; what comes then is lost",
       .lesson =
           "TCP's window stops a sender whose receiver does not read. UDP has none: the queue of the socket fills, and "
           "what comes then is dropped and counted in RcvbufErrors, while the sender sees nothing but success.",
       .knobs = {{"server.rmem_default", {"20000", "200000"}, ""}},
       .play = udp_queue},
      {.name = "echo",
       .ids = {"I2"},
       .summary = "an echo request comes back as it went, unless the host was told to be silent",
       .lesson =
           "ping asks a host's stack, not one of its programs: an answer says that address, route and stack work, and "
           "nothing about a service. A host that does not answer may be alive and well, and silent by "
           "icmp_echo_ignore_all.",
       .knobs = {{"server.icmp_echo_ignore_all", {"0", "1"}, ""}},
       .play = echo},
      {.name = "icmp-rate-limit",
       .ids = {"I2"},
       .summary = "a host says \"unreachable\" only so often",
       .lesson =
           "Whoever is asked to say the same thing a million times should not: errors could be provoked to flood a "
           "third party. So each host is told a few at once and then one each icmp_ratelimit milliseconds. It makes "
           "scanning closed UDP ports slow, and traceroute show stars.",
       .knobs = {{"server.icmp_ratelimit", {"1000", "100", "0"}, ""}},
       .play = icmp_rate_limit},
  };
}

}  // namespace ff::lab
