// Scenarios of what connections share: buffers and memory (C7), the path (C8), the link (C9).
#include <algorithm>
#include <memory>
#include <string>

#include "lab/transfer.hpp"

namespace ff::lab {
namespace {

// ---- C7 ------------------------------------------------------------------------------------------------------------

void buffers(Lab& lab) {
  lab.server.set("tcp_rmem", "4096 20000 20000");
  lab.client.set("tcp_wmem", "4096 16384 16384");
  const std::string rmem = lab.server.setting("tcp_rmem"), wmem = lab.client.setting("tcp_wmem");
  Connected both = connected(lab);
  lab.say("the client writes, the server's application does not read");
  std::size_t taken = 0;
  for (int i = 0; i < 100; ++i) {
    taken += both.client.write(std::string(10'000, 'x'));
    lab.run(100ms);
  }
  const std::uint32_t at_server = both.server.info().unread;
  const std::uint32_t at_client = both.client.info().unacked + both.client.info().notsent;
  lab.expect_equal("bytes that write() took: those in one of the two buffers", taken, at_server + at_client);
  const auto last_number = [](const std::string& text) {
    return std::stoul(text.substr(text.find_last_of("\t ") + 1));
  };
  lab.expect(at_server > 0 && at_server <= last_number(rmem),
             fmt::format("the server's holds {} bytes of at most {}", at_server, last_number(rmem)));
  // A quarter of tcp_rmem is half of the window.
  const std::size_t most = last_number(wmem) + last_number(rmem) / 4;
  lab.expect(at_client > 0 && at_client <= most,
             fmt::format("the client's holds {} bytes, of at most {} and what fills the last packet", at_client,
                         last_number(wmem)));
  lab.expect_error("what one more write() says", both.client.try_write("x"), Error::WouldBlock);
}

void memory_limits(Lab& lab) {
  lab.server.set("tcp_mem", "50 75 100");
  const std::string limits = lab.server.setting("tcp_mem");
  const std::uint64_t high = std::stoull(limits.substr(limits.find_last_of("\t ") + 1)) * 4096;
  const Listener listener = lab.server.listen({.backlog = 16});
  std::vector<std::unique_ptr<Writer>> writers;
  lab.client.on_event([&](const Event&) {
    for (const auto& writer : writers) writer->go_on();
  });
  lab.say("tcp_mem is {}, in pages of 4096 bytes; ten clients send to a program that reads nothing", limits);
  for (int i = 0; i < 10; ++i) {
    const Socket client = lab.client.connect();
    lab.run(100ms);
    (void)lab.server.accept(listener);
    writers.push_back(std::make_unique<Writer>(client, text_of(200'000)));
  }
  lab.run(5s);
  const std::uint64_t held = lab.server.stack().memory().bytes;
  const std::uint64_t pressures = lab.server.count(Counter::TcpExt_TCPMemoryPressures);
  const bool scarce = high < 10 * 200'000;
  lab.expect((pressures > 0) == scarce, fmt::format("times that memory came under pressure: {}", pressures));
  lab.expect(held <= high + 100'000, fmt::format("the server holds {} bytes, of at most {}", held, high));
  if (scarce) {
    lab.expect(lab.server.count(DropReason::TcpMemory) > 0, "what there was no memory for was dropped");
    lab.expect(lab.server.count(Counter::TcpExt_PruneCalled) > 0, "after a try to make room (PruneCalled)");
  }
  lab.say("one more connects, and the program reads that one");
  Connected reader{.listener = listener, .client = lab.client.connect(), .server = {}};
  lab.run(100ms);
  reader.server = lab.server.accept(listener);
  const std::string text = text_of(100'000);
  lab.expect(transfer(lab, reader, text, 1min) == text, "it gets all of its 100000 bytes");
}

void receive_autotuning(Lab& lab) {
  const bool grows = lab.server.on("tcp_moderate_rcvbuf");
  lab.path({.delay = 50ms});
  Connected both;
  both.listener = lab.server.listen();
  both.client = lab.client.connect();
  lab.run(1s);
  both.server = lab.server.accept(both.listener);
  const std::uint32_t before = both.client.info().snd_wnd;
  const std::string text = text_of(6'000'000);
  lab.expect_equal("bytes moved", transfer(lab, both, text).size(), text.size());
  lab.run(1s);
  const std::uint32_t after = both.client.info().snd_wnd;
  const std::uint32_t fixed = lab.server.stack().settings().tcp_rmem.initial;
  lab.expect(
      grows ? after > 2 * fixed : after <= fixed,
      fmt::format("the server's window was {} bytes in the beginning, and is {} in the end; tcp_rmem's default is {}",
                  before, after, fixed));
}

// ---- C8 ------------------------------------------------------------------------------------------------------------

void path_mtu(Lab& lab) {
  const Connected both = connected(lab);
  const std::uint16_t mtu = lab.client.address().is_v4() ? 1000 : 1300;
  lab.narrow_path(mtu, true);
  lab.say("a router on the path takes packets of {} bytes, and says so by ICMP", mtu);
  const std::string text = text_of(20'000);
  const std::string received = transfer(lab, both, text);
  lab.expect(received == text, "20000 bytes arrive");
  const std::uint32_t headers = (lab.client.address().is_v4() ? 40 : 60) + (lab.client.on("tcp_timestamps") ? 12 : 0);
  lab.expect_equal("largest payload after the router spoke", both.client.info().snd_mss, mtu - headers);
  const std::uint64_t heard = lab.client.count(Counter::Icmp_InDestUnreachs);
  lab.expect(heard >= 1 || !lab.client.address().is_v4(), fmt::format("ICMP errors heard: {}", heard));
}

void black_hole(Lab& lab) {
  lab.client.set("tcp_mtu_probing", 1);
  const std::uint64_t probing = lab.client.number("tcp_mtu_probing");
  const Connected both = connected(lab);
  const std::uint16_t mtu = lab.client.address().is_v4() ? 1200 : 1300;
  lab.narrow_path(mtu, false);
  lab.say("a router on the path swallows packets of more than {} bytes, without a word", mtu);
  const std::string text = text_of(1'000'000);
  const Instant start = lab.now();
  const std::string received = transfer(lab, both, text, 2min);
  const double seconds = std::chrono::duration<double>(lab.now() - start).count();
  if (probing == 0) {
    lab.expect(received.empty(), "nothing arrives: every segment is as large as the first");
    return;
  }
  lab.expect(received == text, fmt::format("all arrives, after {:.1f} s", seconds));
  if (probing == 1) {
    lab.say("tcp_retries1 = {}: so long it takes until the path is suspected", lab.client.number("tcp_retries1"));
    lab.expect(seconds > 3, "it began with time-outs");
  } else {
    lab.expect(seconds < 3, "it began with segments that are sure to pass");
  }
  const std::uint32_t headers = (lab.client.address().is_v4() ? 40 : 60) + (lab.client.on("tcp_timestamps") ? 12 : 0);
  const std::uint32_t found = both.client.info().snd_mss + headers;
  lab.expect(found <= mtu && found + lab.client.number("tcp_probe_threshold") > mtu,
             fmt::format("the path was found to carry {} bytes", found));
  lab.expect(lab.client.count(Counter::TcpExt_TCPMTUPSuccess) > 0, "probes that arrived");
  lab.expect(lab.client.count(Counter::TcpExt_TCPMTUPFail) > 0, "probes that did not");
}

void forged_icmp(Lab& lab) {
  Connected both = connected(lab);
  both.client.write("hello");
  lab.run(1s);
  const std::uint32_t before = both.client.info().snd_mss;
  lab.say("an attacker reports a tiny path MTU, for a packet that is not under way");
  Segment quoted = lab.next_from(lab.client, both.client.tuple());
  quoted.tcp.seq = quoted.tcp.seq + 100'000u;
  quoted.payload = std::string(100, 'x');
  lab.forge(lab.server, icmp_error(wire::IcmpKind::PacketTooBig, lab.router(), 1290, packet_of(quoted).span()));
  lab.forge(lab.server, icmp_error(wire::IcmpKind::PortUnreachable, lab.router(), 0, packet_of(quoted).span()));
  lab.run(1s);
  lab.expect_equal("the segment size, as it was", both.client.info().snd_mss, before);
  lab.expect_state("the connection", both.client.state(), TcpState::Established);
  lab.expect_equal("errors dropped because nothing like it is under way", lab.client.count(DropReason::IcmpSequence),
                   2);
}

// ---- C9 ------------------------------------------------------------------------------------------------------------

void fair_share(Lab& lab) {
  lab.path({.delay = 10ms, .rate = 10'000'000, .queue = {.packets = 100}});
  const Listener listener = lab.server.listen({.backlog = 16});
  constexpr std::size_t kConnections = 3;
  std::vector<Socket> clients, servers;
  for (std::size_t i = 0; i < kConnections; ++i) {
    clients.push_back(lab.client.connect());
    lab.run(100ms);
    servers.push_back(lab.server.accept(listener));
  }
  lab.say("three connections, each with as much to send as it may; the third one's reader is asleep");
  std::vector<std::unique_ptr<Writer>> writers;
  writers.reserve(clients.size());
  std::vector<std::size_t> received(kConnections);
  const std::string text = text_of(20'000'000);
  for (const Socket& client : clients) writers.push_back(std::make_unique<Writer>(client, text));
  lab.client.on_event([&](const Event&) {
    for (const auto& writer : writers) writer->go_on();
  });
  lab.server.on_event([&](const Event& event) {
    for (std::size_t i = 0; i + 1 < kConnections; ++i)
      if (event.connection == servers[i].id()) received[i] += servers[i].read().size();
  });
  const Instant start = lab.now();
  lab.run(10s);
  lab.client.on_event({});
  lab.server.on_event({});
  const double seconds = std::chrono::duration<double>(lab.now() - start).count();
  const double total = 8.0 * static_cast<double>(received[0] + received[1]) / seconds / 1e6;
  const double share = static_cast<double>(received[0]) / static_cast<double>(received[0] + received[1]);
  lab.expect(total > 8, fmt::format("the two that are read share the link: {:.1f} of 10 Mbit/s", total));
  lab.expect(share > 0.25 && share < 0.75, fmt::format("the first has {:.0f} % of it", 100 * share));
  lab.expect(clients[2].info().snd_wnd < 2000,
             fmt::format("the window of the third is closed, or nearly: {} bytes", clients[2].info().snd_wnd));
}

}  // namespace

std::vector<Scenario> resource_scenarios() {
  return {
      {.name = "buffers",
       .ids = {"C7"},
       .summary = "what was written and not yet read is in one of two buffers, and both are bounded",
       .lesson =
           "A write() that succeeds has only filled the own send buffer. When the peer does not read, first its "
           "receive buffer fills, then ours, and then write() blocks: that is how a slow reader slows its writer.",
       .knobs = {{"server.tcp_rmem", {"4096 20000 20000", "4096 60000 60000"}, ""}},
       .play = buffers},
      {.name = "memory-limits",
       .ids = {"C7", "C9"},
       .summary = "all connections together hold no more memory than tcp_mem says",
       .lesson =
           "Each buffer has its bound, but a hundred thousand of them would be too much together. Above tcp_mem's "
           "second "
           "number the stack is under pressure: windows and buffers stop growing, and who holds more than its share "
           "gets no more. Above the third what arrives is dropped, and the sender keeps it. Who reads what it gets "
           "goes on all the while.",
       .knobs = {{"server.tcp_mem", {"50 75 100", "20 30 40", "196608 262144 393216"}, ""}},
       .play = memory_limits},
      {.name = "receive-buffer-autotuning",
       .ids = {"C7"},
       .summary = "the receive buffer grows with what the connection carries",
       .lesson = "The window must hold what a round trip can bring; how much that is shows only while the connection "
                 "runs. So it starts small and grows up to tcp_rmem's maximum, as long as the application reads what "
                 "comes.",
       .knobs = {{"tcp_moderate_rcvbuf", {"1", "0"}, ""}},
       .play = receive_autotuning},
      {.name = "path-mtu",
       .ids = {"C8", "I3"},
       .summary = "a router with a narrow link says what fits, and the sender cuts smaller segments",
       .lesson = "TCP's packets ask not to be fragmented on the way, so one that is too big is dropped, and an ICMP "
                 "error tells "
                 "the size that fits. Where a firewall drops such errors, small packets pass and large ones vanish: a "
                 "black hole.",
       .play = path_mtu},
      {.name = "path-mtu-black-hole",
       .ids = {"C8", "F2"},
       .summary = "where no router says what fits, segments of growing size find it out",
       .lesson =
           "Where ICMP errors are filtered, large packets vanish and small ones pass: the handshake works, and the "
           "first full segment never arrives. Time-outs in a row raise the suspicion; then probes of different sizes "
           "find out what the path carries, and losing one of them is no sign of congestion.",
       .knobs = {{"client.tcp_mtu_probing", {"1", "2", "0"}, ""}},
       .play = black_hole},
      {.name = "forged-icmp",
       .ids = {"C8", "I2"},
       .summary = "ICMP errors about what is not under way are ignored",
       .lesson =
           "Anyone can send ICMP errors. The error quotes the packet it is about: only one whose sequence number is "
           "just under way can be the answer to something that was sent (RFC 5927).",
       .play = forged_icmp},
      {.name = "fair-share",
       .ids = {"C9"},
       .summary = "connections of one host take turns, and one that is stuck does not hold up the others",
       .lesson =
           "All connections of a host share its link. They take turns in sending; one whose peer does not read fills "
           "its own buffers and nobody else's.",
       .play = fair_share},
  };
}

}  // namespace ff::lab
