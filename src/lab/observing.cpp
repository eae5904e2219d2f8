// Scenarios of settings, counters, events and captures: H1 to H4.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "lab/lab.hpp"
#include "lab/packet.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"

namespace ff::lab {
namespace {

// ---- H1 ------------------------------------------------------------------------------------------------------------

void settings_live(Lab& lab) {
  const auto has_timestamps = [](const Socket& socket) { return socket.info().timestamps; };
  const Connected first = connected(lab);
  const bool before = lab.server.on("tcp_timestamps") && lab.client.on("tcp_timestamps");
  lab.expect(has_timestamps(first.client) == before, "the first connection has timestamps if both sides want them");
  lab.say("while it is open, net.ipv4.tcp_timestamps of the server is changed to {}", before ? 0 : 1);
  const bool done = lab.server.stack().set_setting("net.ipv4.tcp_timestamps", before ? "0" : "1").has_value();
  lab.expect(done, "the value is taken");
  Socket second = lab.client.connect();
  lab.run(1s);
  lab.expect(has_timestamps(second) == (!before && lab.client.on("tcp_timestamps")),
             "a connection that begins now goes by the new value");
  Socket old = first.client;
  old.write("still here");
  lab.run(1s);
  const auto sent = lab.seen(lab.client, data);
  lab.expect(!sent.empty() && sent.back().tcp.options.timestamps.has_value() == before,
             "the first one keeps to what its two sides agreed on");
}

void bad_settings(Lab& lab) {
  const std::string kind = lab.parameter("mistake");
  const std::string before = lab.server.setting("tcp_fin_timeout");
  Stack& stack = lab.server.stack();
  std::expected<void, std::string> said;
  std::string expected;
  if (kind == "value") {
    said = stack.set_setting("net.ipv4.tcp_fin_timeout", "-3");
    expected = "net.ipv4.tcp_fin_timeout";
  } else if (kind == "name") {
    said = stack.set_setting("net.ipv4.tcp_fin_timeot", "30");
    expected = "net.ipv4.tcp_fin_timeout";
  } else {
    lab.say("two settings are changed at once, and the second cannot be");
    const std::array<SettingAssignment, 2> both{
        {{.name = "net.ipv4.tcp_fin_timeout", .value = "30"}, {.name = "net.ipv4.tcp_sack", .value = "perhaps"}}};
    said = stack.set_settings(both);
    expected = "net.ipv4.tcp_sack";
  }
  lab.expect(!said, "it is refused");
  if (said) return;
  lab.say("\"{}\"", said.error());
  lab.expect(said.error().find(expected) != std::string::npos, "what is said names the setting that is, or was, meant");
  lab.expect_equal("tcp_fin_timeout, as it was", lab.server.setting("tcp_fin_timeout"), before);
}

// ---- H2 ------------------------------------------------------------------------------------------------------------

std::uint64_t all_drops(Host& host) {
  std::uint64_t sum = 0;
  for (std::uint16_t i = 0; i < static_cast<std::uint16_t>(DropReason::kCount); ++i)
    sum += host.stack().counters()[static_cast<DropReason>(i)];
  return sum;
}

// The packet with one byte changed, counted from its end when negative.
Slice spoilt(const Slice& packet, int at, std::uint8_t change) {
  std::string bytes(packet.text());
  const std::size_t index = at < 0 ? bytes.size() - static_cast<std::size_t>(-at) : static_cast<std::size_t>(at);
  bytes[index] = static_cast<char>(static_cast<std::uint8_t>(bytes[index]) ^ change);
  return Slice::adopt(std::move(bytes));
}

void drop_reasons(Lab& lab) {
  Connected both = connected(lab);
  both.client.write("before");
  lab.run(1s);
  lab.expect_equal("packets dropped until now", all_drops(lab.server), 0);
  const auto next = [&](std::string_view payload) {
    Segment segment = lab.next_from(lab.client, both.client.tuple());
    segment.payload = payload;
    return segment;
  };
  struct Case {
    std::string_view what;
    Slice packet;
    DropReason reason;
  };
  Segment beyond = next("from far ahead"), old = next("before"), no_ack = next(""), guess = next(""), no_one = next("");
  beyond.tcp.seq = beyond.tcp.seq + 100'000'000u;
  old.tcp.seq = old.tcp.seq - 6u;
  no_ack.tcp.flags.bits = 0;
  guess.tcp.flags.bits = wire::TcpFlags::kRst;
  guess.tcp.seq = guess.tcp.seq + 7u;
  no_one.destination.port = 81;
  const Slice good = packet_of(next("good"));
  Segment elsewhere = next("");
  elsewhere.destination.address = lab.stranger();
  const Slice datagram = udp_packet({lab.client.address(), 4000}, {lab.server.address(), 9}, "x", UdpChecksum::Wrong);
  const Case cases[] = {
      {"a bit of the payload was inverted on the path", spoilt(good, -1, 0x10), DropReason::TcpChecksum},
      {"half of the packet is missing", good.sub(0, good.size() / 2), DropReason::IpTruncated},
      {"it is for another host", packet_of(elsewhere), DropReason::IpNotForUs},
      {"its number lies far beyond the window", packet_of(beyond), DropReason::TcpUnacceptable},
      {"it has arrived before", packet_of(old), DropReason::TcpOldDuplicate},
      {"it has no flag at all", packet_of(no_ack), DropReason::TcpNoAckFlag},
      {"a RST with a guessed number", packet_of(guess), DropReason::TcpResetSequence},
      {"nobody listens on that port", packet_of(no_one), DropReason::TcpNoSocket},
      {"a UDP datagram with a wrong checksum", datagram, DropReason::UdpChecksum},
  };
  lab.say("{} packets arrive that are of no use, each for a reason of its own", std::size(cases));
  for (const Case& one : cases) {
    lab.forge(lab.client, one.packet);
    lab.run(100ms);
    lab.expect_equal(fmt::format("{}: {}", one.what, name_of(one.reason)), lab.server.count(one.reason), 1);
  }
  lab.expect_equal("dropped packets, under whatever reason", all_drops(lab.server), std::size(cases));
  both.client.write(" and after");
  lab.run(1s);
  lab.expect_equal("what the server's application has", both.server.read(), "before and after");
}

// ---- H3 ------------------------------------------------------------------------------------------------------------

// Writes down what a connection goes through.
class Diary final : public TraceSink {
 public:
  void on_event(Instant, const FourTuple&, const TraceEvent& event) override { events_.push_back(event); }

  template <typename Event>
  [[nodiscard]] std::vector<Event> all() const {
    std::vector<Event> found;
    for (const TraceEvent& event : events_)
      if (const auto* one = std::get_if<Event>(&event)) found.push_back(*one);
    return found;
  }

 private:
  std::vector<TraceEvent> events_;
};

std::string states_in(const std::vector<trace::RecoveryChanged>& changes) {
  std::string text;
  for (const trace::RecoveryChanged& change : changes)
    text += fmt::format("{}{}", text.empty() ? "" : " ", to_string(change.to));
  return text;
}

void events_of_a_loss(Lab& lab) {
  const bool all_of_it = lab.parameter("lost") == "everything";
  lab.path({.delay = kDelay, .rate = 10'000'000});  // so that segments arrive one by one
  Connected both = connected(lab);
  Diary diary;
  lab.client.stack().set_trace(&diary);
  lab.lose(lab.client, data, all_of_it ? 10 : 1);
  if (all_of_it) lab.client.set("tcp_early_retrans", 0);  // no probe comes before the time-out
  const std::string text(14'480, 'x');
  lab.say("the client writes ten segments, of which {}; somebody listens to the events",
          all_of_it ? "none arrives" : "the first gets lost");
  both.client.write(text);
  lab.run(10s);
  lab.client.stack().set_trace(nullptr);
  lab.expect_equal("bytes that arrive in the end", both.server.read().size(), text.size());

  const std::string states = states_in(diary.all<trace::RecoveryChanged>());
  lab.expect_equal("what the sender goes through", states, all_of_it ? "Loss Open" : "Disorder Recovery Open");
  const auto resent = diary.all<trace::Retransmitted>();
  const auto segments = std::accumulate(resent.begin(), resent.end(), 0u,
                                        [](std::uint32_t sum, const auto& one) { return sum + one.segments; });
  lab.expect_equal("segments sent again, by the events", segments, both.client.info().total_retrans);
  lab.expect_equal("and as the network saw it", segments, all_of_it ? 10 : 1);
  const auto fired = diary.all<trace::TimerFired>();
  lab.expect_equal("time-outs of the retransmission timer",
                   static_cast<std::size_t>(std::ranges::count(fired, "retransmit", &trace::TimerFired::timer)),
                   all_of_it ? 1 : 0);
  const auto windows = diary.all<trace::CongestionChanged>();
  const auto smallest = std::ranges::min_element(windows, {}, &trace::CongestionChanged::cwnd);
  lab.expect(smallest != windows.end() && smallest->cwnd < 14'480,
             fmt::format("the congestion window falls to {} bytes", smallest == windows.end() ? 0 : smallest->cwnd));
  lab.expect(!diary.all<trace::RttMeasured>().empty(), "round trips are measured");
  lab.expect_equal("time-outs that struct tcp_info tells of", both.client.info().total_rto, all_of_it ? 1 : 0);
}

// ---- H4 ------------------------------------------------------------------------------------------------------------

constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a, kEnhancedPacket = 6;  // pcapng's block types

// The packets in a capture. Empty when it is no well-formed one.
std::vector<std::string> packets_in(ByteSpan file) {
  constexpr std::size_t kPacketAt = 28, kLengthAt = 20;
  std::vector<std::string> packets;
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, file.data() + at, sizeof value);
    return value;
  };
  for (std::size_t at = 0; at < file.size();) {
    if (file.size() - at < 12 || (at == 0 && word(0) != kSectionHeader)) return {};
    const std::uint32_t length = word(at + 4);
    if (length < 12 || length > file.size() - at || word(at + length - 4) != length) return {};
    if (word(at) == kEnhancedPacket) packets.emplace_back(as_text(file.subspan(at + kPacketAt, word(at + kLengthAt))));
    at += length;
  }
  return packets;
}

void capture(Lab& lab) {
  MemorySink file;
  PcapngWriter writer(file);
  lab.capture(lab.client, writer);
  (void)lab.server.listen({.fast_open_queue = 16});
  lab.server.set("tcp_fastopen", 3);
  lab.say("the client's interface is recorded while it connects with Fast Open, and sends 5000 bytes");
  Socket client = lab.client.connect({.fast_open = FastOpenMode::Now});
  lab.run(1s);
  client.write(std::string(5000, 'x'));
  lab.run(1s);
  writer.flush();

  const std::vector<std::string> recorded = packets_in(file.bytes());
  std::vector<std::string> passed;
  for (const Host* host : {&lab.client, &lab.server})
    for (const Slice& packet : lab.packets(*host)) passed.emplace_back(packet.text());
  lab.expect_equal("packets in the file: as many as passed", recorded.size(), passed.size());
  lab.expect(std::ranges::is_permutation(recorded, passed), "each of them byte for byte, checksums complete");
  const auto largest = std::ranges::max_element(recorded, {}, &std::string::size);
  lab.expect(largest != recorded.end() && largest->size() <= 1500,
             fmt::format("none is larger than the wire carries: {} bytes at most",
                         largest == recorded.end() ? 0 : largest->size()));
  constexpr char kFastOpenOption[] = {34, 2};
  lab.expect(!recorded.empty() && recorded[0].find(std::string_view(kFastOpenOption, 2)) != std::string::npos,
             "the first has option 34, the request for a cookie");
}

}  // namespace

std::vector<Scenario> observing_scenarios() {
  return {
      {.name = "settings-on-a-running-stack",
       .ids = {"H1"},
       .summary = "a changed setting holds for what begins afterwards",
       .lesson =
           "Settings have sysctl's names and can be changed while connections are open. What two sides agreed on in "
           "a handshake stays as it is: neither could tell the other that it has changed its mind.",
       .knobs = {{"client.tcp_timestamps", {"1", "0"}, ""}, {"server.tcp_timestamps", {"1", "0"}, ""}},
       .play = settings_live},
      {.name = "bad-settings",
       .ids = {"H1"},
       .summary = "a setting that cannot be changes nothing, and says what would be right",
       .lesson =
           "A misspelt name or a value out of range is told at once, with what is allowed; a list of changes is made "
           "whole or not at all. A setting that is silently ignored, or half applied, costs days to find.",
       .knobs = {{"mistake", {"value", "name", "list"}, "a value out of range, a misspelt name, one bad one of two"}},
       .play = bad_settings},
      {.name = "drop-reasons",
       .ids = {"H2"},
       .summary = "every packet that is dropped is counted under one named reason",
       .lesson =
           "\"Where did my packet go?\" has an answer when each drop has a counter of its own. One packet counts under "
           "one reason, so that the sum is the number of packets lost here, and the difference to what was sent is "
           "what the network has lost. ff nstat shows them.",
       .play = drop_reasons},
      {.name = "events-of-a-loss",
       .ids = {"H3", "D1", "D2"},
       .summary = "what a connection goes through when packets get lost, as it tells those who listen",
       .lesson =
           "Counters say how often, events say when and in which order: the gap, the retransmission, the window that "
           "shrinks and grows again. One lost segment is repaired within a round trip or two by what arrives behind "
           "it; where nothing arrives only the timer helps.",
       .knobs = {{"lost", {"segment", "everything"}, "what of the first ten segments"}},
       .play = events_of_a_loss},
      {.name = "capture",
       .ids = {"H4", "A1"},
       .summary = "what passes an interface can be recorded, for Wireshark",
       .lesson =
           "A capture shows what was on the wire, not what the stack believes. It holds the packets after they were "
           "cut "
           "to size and summed, so that every checksum in it is right. In Wireshark the filter tcp.options.tfo finds "
           "Fast Open's cookies.",
       .play = capture},
  };
}

}  // namespace ff::lab
