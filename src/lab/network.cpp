// Scenarios of IP: fragments, routes, neighbours: I3.
#include <algorithm>
#include <vector>

#include "lab/lab.hpp"
#include "lab/packet.hpp"

namespace ff::lab {
namespace {

constexpr std::uint16_t kServerPort = 53, kClientPort = 4000;

Counter by_family(const Lab& lab, Counter v4, Counter v6) { return lab.client.address().is_v4() ? v4 : v6; }

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * i % 26);
  return text;
}

// ---- fragments -----------------------------------------------------------------------------------------------------

void fragments(Lab& lab) {
  const std::string order = lab.parameter("arrival");
  const bool lost = order == "one-lost";
  const std::uint64_t patience =
      lab.client.address().is_v4() ? lab.server.number("ipfrag_time") : lab.server.number("net.ipv6.ip6frag_time");
  DatagramSocket server = lab.server.open(kServerPort), client = lab.client.open(kClientPort);
  const std::string text = pattern(4000);
  lab.say("the client sends a datagram of 4000 bytes, over links that take packets of 1500");
  std::vector<Slice> pieces;
  lab.hold_up(lab.client, pieces);
  (void)client.send(text, Endpoint{lab.server.address(), kServerPort});
  lab.run(1ms);
  lab.stop_holding_up(lab.client);
  lab.expect_equal("it travels in pieces", pieces.size(), 3);
  if (pieces.size() != 3) return;
  if (order == "backwards") std::ranges::reverse(pieces);
  if (lost) pieces.erase(pieces.begin() + 1);
  lab.say("the path delivers {}",
          lost ? "the first and the last" : (order == "backwards" ? "the last one first" : "them in order"));
  for (const Slice& piece : pieces) lab.release(lab.client, piece);
  lab.run(1s);
  const auto received = server.receive();
  const Counter timeouts = by_family(lab, Counter::Ip_ReasmTimeout, Counter::Ip6_ReasmTimeout);
  if (!lost) {
    lab.expect(received && received->bytes.text() == text, "the application receives it whole");
    lab.expect_equal("ReasmOKs", lab.server.count(by_family(lab, Counter::Ip_ReasmOKs, Counter::Ip6_ReasmOKs)), 1);
    lab.expect_equal("bytes that are still kept", lab.server.stack().fragment_memory(), 0);
    return;
  }
  lab.expect(!received, "the application receives nothing");
  lab.expect(lab.server.stack().fragment_memory() >= 2000, "what came is kept, for the piece that is missing");
  lab.say("it never comes");
  lab.run(std::chrono::seconds(patience));
  lab.expect_equal("given up after ipfrag_time (ReasmTimeout)", lab.server.count(timeouts), 1);
  const auto said = lab.icmp(lab.server);
  lab.expect(said.size() == 1 && said[0].kind == wire::IcmpKind::TimeExceeded, "the sender is told: time exceeded");
  lab.expect_equal("bytes that are still kept", lab.server.stack().fragment_memory(), 0);
}

void fragments_overlap(Lab& lab) {
  DatagramSocket server = lab.server.open(kServerPort);
  const Endpoint from{lab.client.address(), kClientPort}, to{lab.server.address(), kServerPort};
  const std::string text = pattern(2400);
  const Slice whole = udp_packet(from, to, text);
  const std::vector<Slice> pieces = fragments_of(whole, 1000, 1);
  lab.say("a datagram comes in three fragments, and the second one twice");
  for (const std::size_t i : {0u, 1u, 1u, 2u}) lab.forge(lab.client, pieces[i]);
  lab.run(1s);
  const auto received = server.receive();
  lab.expect(received && received->bytes.text() == text, "it is received: an exact duplicate is no harm");
  lab.expect_equal("ReasmOverlaps", lab.server.count(Counter::IpExt_ReasmOverlaps), 0);

  lab.say("another one, of which one fragment covers the end of the first with other bytes");
  const std::string other(2400, 'X');
  const std::vector<Slice> next = fragments_of(whole, 1000, 2);
  lab.forge(lab.client, next[0]);
  lab.forge(lab.client, fragment_of(udp_packet(from, to, other), 992, 16, 2));
  lab.forge(lab.client, next[1]);
  lab.forge(lab.client, next[2]);
  lab.run(1s);
  lab.expect(!server.receive(), "nothing of it is received, in neither version");
  lab.expect_equal("dropped: the one that contradicts, and those that come after it",
                   lab.server.count(DropReason::IpFragmentOverlap), 3);
  lab.expect(lab.server.count(Counter::IpExt_ReasmOverlaps) >= 1, "ReasmOverlaps counts it");
}

void fragment_flood(Lab& lab) {
  const bool v4 = lab.client.address().is_v4();
  const char* const setting = v4 ? "net.ipv4.ipfrag_high_thresh" : "net.ipv6.ip6frag_high_thresh";
  lab.server.set(setting, 200'000);
  const std::uint64_t bound = lab.server.number(setting);
  DatagramSocket server = lab.server.open(kServerPort), client = lab.client.open(kClientPort);
  constexpr std::uint32_t kPieces = 5000;
  lab.say("strangers send {} first fragments, whose others never come", kPieces);
  const Endpoint to{lab.server.address(), kServerPort};
  std::size_t most = 0;
  for (std::uint32_t i = 0; i < kPieces; ++i) {
    const Endpoint from{lab.stranger(static_cast<std::uint8_t>(i)), kClientPort};
    lab.forge(lab.client, fragment_of(udp_packet(from, to, std::string(1400, 'x')), 0, 1000, i));
    if (i % 50 == 0) {
      lab.run(10ms);
      most = std::max(most, lab.server.stack().fragment_memory());
    }
  }
  lab.run(1s);
  lab.expect(most > bound / 2 && most <= bound, fmt::format("{} bytes are kept at most, of {} allowed", most, bound));
  lab.expect(lab.server.count(DropReason::IpFragmentMemory) > kPieces / 2, "the others were dropped for it");
  lab.say("in the middle of it, an honest client sends a datagram of 3000 bytes");
  const std::string text = pattern(3000);
  (void)client.send(text, to);
  lab.run(1s);
  const auto received = server.receive();
  lab.expect(received && received->bytes.text() == text, "which is received");
}

// ---- routes --------------------------------------------------------------------------------------------------------

void longest_prefix(Lab& lab) {
  const bool v4 = lab.client.address().is_v4();
  const auto prefix = [&](const char* v4_text, const char* v6_text) {
    return Cidr::parse(v4 ? v4_text : v6_text).value();
  };
  InterfaceConfig config;
  config.name = "eth1";
  config.addresses = {prefix("172.16.0.1/24", "fd02::1/64")};
  const sim::Attachment second = lab.add_interface(lab.client, config);
  std::vector<IpAddress> by_second;
  lab.world.on_packet(second, [&](PcapngWriter::Direction, const Slice& packet) {
    if (const auto ip = wire::parse_ip(packet.span())) by_second.push_back(ip->header.source);
  });
  Stack& stack = lab.client.stack();
  const Route narrow{.prefix = prefix("198.51.100.128/25", "2001:db8:0:8000::/49"),
                     .gateway = prefix("172.16.0.9/32", "fd02::9/128").address,
                     .interface = second.interface,
                     .metric = 0,
                     .source = {}};
  lab.expect(stack.add_route(narrow).has_value(),
             fmt::format("a route to {}/{} leads through eth1", narrow.prefix.address.to_string(),
                         narrow.prefix.prefix_length));
  DatagramSocket socket = lab.client.open(kClientPort);
  const auto send_to = [&](const char* v4_text, const char* v6_text) {
    const std::size_t first = lab.packets(lab.client).size(), other = by_second.size();
    (void)socket.send("x", Endpoint{prefix(v4_text, v6_text).address, 9});
    lab.run(100ms);
    return std::string(lab.packets(lab.client).size() > first ? "eth0"
                                                              : (by_second.size() > other ? "eth1" : "nowhere"));
  };
  const auto inside = [&] { return send_to("198.51.100.200/32", "2001:db8:0:8000::1/128"); };
  const auto beside = [&] { return send_to("198.51.100.5/32", "2001:db8::1/128"); };
  lab.expect_equal("what is within that prefix leaves by", inside(), "eth1");
  lab.expect(!by_second.empty() && by_second.back() == config.addresses[0].address,
             "and with eth1's address as its source, so that the answer finds back");
  lab.expect_equal("what is beside it, by the default route", beside(), "eth0");
  lab.say("a route to everything through eth1, with a larger metric, changes nothing");
  const Route everything{.prefix = prefix("0.0.0.0/0", "::/0"),
                         .gateway = narrow.gateway,
                         .interface = second.interface,
                         .metric = 100,
                         .source = {}};
  lab.expect(stack.add_route(everything).has_value(), "it is added");
  lab.expect_equal("what is beside the prefix leaves by", beside(), "eth0");
  lab.say("the long prefix is removed");
  lab.expect(stack.remove_route(narrow.prefix).has_value(), "it is gone");
  lab.expect_equal("what was within it leaves by", inside(), "eth0");
}

// ---- neighbours ----------------------------------------------------------------------------------------------------

std::string state_of(const Host& host, Lab& lab) {
  for (const Neighbour& neighbour : lab.client.stack().neighbours())
    if (neighbour.address == host.address()) return std::string(to_string(neighbour.state));
  return "unknown";
}

void neighbours(Lab& lab) {
  lab.path({.delay = 1ms});
  lab.run(1s);
  DatagramSocket server = lab.server.open(kServerPort);
  DatagramOptions options;
  options.receive_errors = true;
  DatagramSocket client = lab.client.open(kClientPort, options);
  const Endpoint to{lab.server.address(), kServerPort};
  lab.expect_equal("what the client knows of the server", state_of(lab.server, lab), "unknown");
  lab.say("it sends two datagrams to it: somebody must be asked for the Ethernet address first");
  (void)client.send("one", to);
  (void)client.send("two", to);
  lab.run(500us);
  lab.expect_equal("while it asks", state_of(lab.server, lab), "INCOMPLETE");
  lab.run(10ms);
  const auto received = server.receive_all();
  lab.expect_equal("datagrams that waited for the answer, and arrived then", received.size(), 2);
  lab.expect_equal("the server now", state_of(lab.server, lab), "REACHABLE");
  lab.say("a minute of silence passes");
  lab.run(1min);
  lab.expect_equal("nobody has confirmed it", state_of(lab.server, lab), "STALE");
  (void)client.send("three", to);
  lab.run(10ms);
  lab.expect_equal("what is sent goes at once all the same", server.receive_all().size(), 1);
  lab.run(10s);
  lab.expect_equal("and the address is checked", state_of(lab.server, lab), "REACHABLE");

  lab.say("the server's cable is pulled, and two minutes pass");
  lab.unplug();
  lab.run(2min);
  (void)client.send("four", to);
  lab.run(1min);
  lab.expect_equal("nobody has answered", state_of(lab.server, lab), "FAILED");
  lab.say("now the address is not known any more: the next datagram waits for an answer, in vain");
  (void)client.send("five", to);
  lab.run(10s);
  lab.expect(lab.client.count(DropReason::NeighbourFailed) >= 1, "it is dropped");
  const auto error = client.receive_error();
  lab.expect_error("the application is told", error ? std::optional(error->error) : std::nullopt,
                   Error::HostUnreachable);
}

}  // namespace

std::vector<Scenario> network_scenarios() {
  return {
      {.name = "fragments",
       .ids = {"I3"},
       .summary = "a packet that is too large travels in pieces, and is whole again only when all are there",
       .lesson =
           "The pieces may come in any order. When one is lost all are lost, for nobody sends a single piece again: "
           "the receiver keeps what it has for ipfrag_time, and then tells the sender. That is why TCP cuts its "
           "segments to size itself.",
       .knobs = {{"arrival", {"in-order", "backwards", "one-lost"}, "how the path delivers the pieces"}},
       .play = fragments},
      {.name = "fragments-overlap",
       .ids = {"I3"},
       .summary = "fragments that contradict each other make the whole packet void",
       .lesson =
           "Two fragments with the same place and other bytes are no accident: somebody hopes that a firewall reads "
           "the one and the host the other. Nothing of such a packet is used (RFC 5722). An exact copy is only a "
           "duplicate.",
       .play = fragments_overlap},
      {.name = "fragment-flood",
       .ids = {"I3"},
       .summary = "fragments whose others never come fill a bounded place, and honest ones get through",
       .lesson = "Each first fragment asks the receiver to keep it for half a minute. The memory for that is bounded "
                 "(ipfrag_high_thresh); when it is full, what is oldest goes, of whoever holds the most.",
       .play = fragment_flood},
      {.name = "longest-prefix",
       .ids = {"I3"},
       .summary = "of all routes that fit, the one with the longest prefix is taken",
       .lesson =
           "A route to a few addresses is meant more precisely than one to many: so one may send a single network "
           "elsewhere, and leave the rest to the default route. Only among equals does the metric decide. The "
           "interface also decides the source address.",
       .play = longest_prefix},
      {.name = "neighbours",
       .ids = {"I3"},
       .summary = "on an Ethernet the other host must be found first, by ARP or neighbour discovery",
       .lesson =
           "A frame goes to an Ethernet address, which only its owner can tell. What is to be sent waits for the "
           "answer; the answer is kept, doubted after a while, and checked when it is used. Nobody answers: \"no route "
           "to host\", after three seconds.",
       .play = neighbours,
       .ethernet = true},
  };
}

}  // namespace ff::lab
