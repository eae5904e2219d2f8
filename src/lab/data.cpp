// Scenarios of moving data: C1 to C6.
#include <algorithm>
#include <string>

#include "lab/transfer.hpp"

namespace ff::lab {
namespace {

// ---- C1 ------------------------------------------------------------------------------------------------------------

void sequence_wrap(Lab& lab) {
  const Connected both = connected(lab);
  const std::string text = text_of(100'000);
  lab.say("the connection starts {} bytes before the end of the sequence numbers", 20'000);
  lab.lose(lab.client, [](const Segment& segment) {
    return segment.size() > 0 && segment.end().raw() < segment.tcp.seq.raw();  // the one that crosses
  });
  const std::string received = transfer(lab, both, text);
  const auto segments = lab.seen(lab.client, data);
  const auto crossing = std::ranges::count_if(
      segments, [](const Segment& segment) { return segment.end().raw() < segment.tcp.seq.raw(); });
  lab.expect(crossing >= 2, "the segment that crosses the end was lost, and sent again");
  lab.expect(received == text, "all 100000 bytes arrived, in order");
  lab.run(1s);
  lab.expect_equal("bytes acknowledged", both.client.info().bytes_acked, text.size());
}

// ---- C2 ------------------------------------------------------------------------------------------------------------

void zero_window(Lab& lab) {
  lab.server.set("tcp_rmem", "4096 8192 8192");
  const Connected both = connected(lab);
  Socket reader = both.server;
  lab.say("the server's application reads nothing; the client writes until it must stop");
  const std::string text = text_of(30'000);
  Writer writer(both.client, text);
  lab.run(10s);
  lab.expect_equal("the window the client sees", both.client.info().snd_wnd, 0);
  lab.say("an hour passes");
  lab.run(1h);
  const std::uint64_t probes = lab.client.count(Counter::TcpExt_TCPWinProbe);
  lab.expect(probes > 20 && probes < 100,
             fmt::format("{} probes asked whether there is room, ever less often", probes));
  lab.expect_state("the connection, which is not given up while the peer answers", both.client.state(),
                   TcpState::Established);
  lab.say("the application reads at last");
  std::string received;
  lab.run_until(
      [&] {
        received += reader.read();
        writer.go_on();
        return received.size() == text.size();
      },
      5min);
  lab.expect(received == text, "everything arrives");
}

void window_scaling(Lab& lab) {
  const bool scaling = lab.client.on("tcp_window_scaling") && lab.server.on("tcp_window_scaling");
  lab.path({.delay = 100ms});
  Connected both;
  both.listener = lab.server.listen();
  both.client = lab.client.connect();
  lab.run(1s);
  both.server = lab.server.accept(both.listener);
  const std::string text = text_of(4'000'000);
  const Instant start = lab.now();
  std::uint32_t widest = 0, most_in_flight = 0;
  Writer writer(both.client, text);
  Socket reader = both.server;
  std::size_t received = 0;
  lab.client.on_event([&](const Event&) { writer.go_on(); });
  lab.server.on_event([&](const Event&) { received += reader.read().size(); });
  lab.run_until(
      [&] {
        widest = std::max(widest, both.client.info().snd_wnd);
        most_in_flight = std::max(most_in_flight, both.client.info().unacked);
        return received == text.size();
      },
      10min);
  lab.client.on_event({});
  lab.server.on_event({});
  const double seconds = std::chrono::duration<double>(lab.now() - start).count();
  lab.say("4 MB took {:.1f} s over a path of 200 ms: {:.1f} Mbit/s", seconds, 8 * 4 / seconds);
  lab.expect_equal("bytes received", received, text.size());
  if (scaling) {
    lab.expect(widest > 1'000'000, fmt::format("the window grew to {} bytes", widest));
    lab.expect(most_in_flight > 65'535, fmt::format("and up to {} bytes were under way", most_in_flight));
    lab.expect(seconds < 6, "in less than 6 s");
  } else {
    lab.expect(widest <= 65'535, fmt::format("the window never exceeded 16 bits: {}", widest));
    lab.expect(seconds > 12, "64 KB a round trip is all there is: more than 12 s");
  }
}

// ---- C3 ------------------------------------------------------------------------------------------------------------

void nagle(Lab& lab) {
  const bool no_delay = lab.parameter("TCP_NODELAY") == "1";
  Connected both = connected(lab, {.options = {.no_delay = no_delay}});
  lab.say("the client writes five times ten bytes, a millisecond apart");
  for (int i = 0; i < 5; ++i) {
    both.client.write("0123456789");
    lab.run(1ms);
  }
  lab.run(1s);
  const auto segments = lab.seen(lab.client, data);
  lab.expect_equal("bytes that arrived", both.server.read().size(), 50);
  if (no_delay) {
    lab.expect_equal("segments: one for each write", segments.size(), 5);
  } else {
    lab.expect_equal("segments: the first at once, the others together when it was acknowledged", segments.size(), 2);
    lab.expect_equal("bytes in the second", segments.back().size(), 40);
    lab.expect_about("which left after", segments.back().time - segments.front().time, kRoundTrip, 1ms);
  }
}

void more_follows(Lab& lab) {
  const std::string how = lab.parameter("how");
  const Connected both = connected(lab, {.options = {.cork = how == "TCP_CORK"}});
  lab.say("a program writes a header, and a millisecond later what belongs to it");
  const std::uint8_t flags = how == "MSG_MORE" ? write_bits::kMore : 0;
  (void)lab.client.stack().write(lab.now(), both.client.id(), as_bytes("HTTP/1.1 200 OK\r\n\r\n"), flags);
  lab.run(1ms);
  (void)lab.client.stack().write(lab.now(), both.client.id(), as_bytes("Hello"));
  if (how == "TCP_CORK") {
    lab.run(1ms);
    (void)lab.client.stack().set_options(lab.now(), both.client.id(), {});  // the cork is pulled
  }
  lab.run(1s);
  const auto segments = lab.seen(lab.client, data);
  if (how == "nothing") {
    lab.expect_equal("segments: the header, and a round trip later the rest, which Nagle held", segments.size(), 2);
    lab.expect_about("the round trip", segments.back().time - segments.front().time, kRoundTrip, 1ms);
  } else {
    lab.expect_equal("segments: both in one", segments.size(), 1);
  }
  lab.say("another header, and nothing more");
  const Instant alone = lab.now();
  if (how == "TCP_CORK") (void)lab.client.stack().set_options(lab.now(), both.client.id(), {.cork = true});
  (void)lab.client.stack().write(lab.now(), both.client.id(), as_bytes("HTTP/1.1 204 No Content\r\n\r\n"), flags);
  lab.run(1s);
  const Duration waited = lab.seen(lab.client, data).back().time - alone;
  lab.expect(
      how == "nothing" ? waited == Duration::zero() : waited >= 200ms && waited <= 300ms,
      fmt::format("it leaves after {} ms", std::chrono::duration_cast<std::chrono::milliseconds>(waited).count()));
}

void silly_window(Lab& lab) {
  lab.server.set("tcp_rmem", "4096 8192 8192");
  lab.server.set("tcp_moderate_rcvbuf", 0);
  const Connected both = connected(lab);
  Socket reader = both.server;
  Writer writer(both.client, text_of(100'000));
  lab.run(5s);
  lab.expect_equal("the window once the server's buffer is full", both.client.info().snd_wnd, 0);
  lab.say("the server's application reads 100 bytes every 100 ms");
  const Instant start = lab.now();
  std::size_t read = 0;
  for (int i = 0; i < 100; ++i) {
    read += reader.read(100).size();
    writer.go_on();
    lab.run(100ms);
  }
  const auto segments = lab.seen(lab.client, data);
  const auto late = std::ranges::count_if(segments, [&](const Segment& segment) { return segment.time >= start; });
  lab.expect_equal("bytes read", read, 10'000);
  lab.expect(late > 0 && late < 20,
             fmt::format("{} segments brought them, not a hundred: small openings of the window are not told", late));
}

// ---- C4 ------------------------------------------------------------------------------------------------------------

void delayed_ack(Lab& lab) {
  Connected both = connected(lab, {.options = {.no_delay = true}});
  const auto exchange = [&](std::string_view answer) {
    const std::size_t before = lab.number_of(lab.server, pure_ack);
    both.client.write("request");
    const Instant start = lab.now() + kDelay;
    lab.run(kDelay);
    (void)both.server.read();
    if (!answer.empty()) both.server.write(answer);
    lab.run(1s);
    (void)both.client.read();
    const auto sent = lab.seen(lab.server);
    return std::pair(lab.number_of(lab.server, pure_ack) - before, sent.back().time - start - kDelay);
  };
  const auto first = exchange("");
  lab.expect_equal("ACKs for the first request", first.first, 1);
  lab.expect_about("which came at once: a new connection is in a hurry", first.second, 0ns, 1ms);
  (void)exchange("answer");
  lab.say("the application has answered; the stack expects it to go on so");
  lab.expect_equal("ACKs for the next request: the answer carries it", exchange("answer").first, 0);
  const auto last = exchange("");
  lab.expect_equal("ACKs for a request without an answer", last.first, 1);
  lab.expect(last.second >= 35ms && last.second <= 200ms,
             fmt::format("which waited {} ms for something to ride on",
                         std::chrono::duration_cast<std::chrono::milliseconds>(last.second).count()));
  lab.expect(lab.server.count(Counter::TcpExt_DelayedACKs) >= 1, "DelayedACKs counts it");
}

void every_second_segment(Lab& lab) {
  lab.path({.delay = kDelay, .rate = 10'000'000});  // so that segments arrive one by one
  const Connected both = connected(lab);
  const std::string text = text_of(1'000'000);
  const std::string received = transfer(lab, both, text);
  lab.run(1s);
  const std::size_t segments = lab.number_of(lab.client, data);
  const std::size_t acks = lab.number_of(lab.server, pure_ack);
  lab.expect(received == text, "a megabyte arrives");
  lab.expect(acks >= segments / 3 && acks < segments * 3 / 4,
             fmt::format("{} segments had {} ACKs: about one for two, and more in the beginning", segments, acks));
}

// ---- C5 ------------------------------------------------------------------------------------------------------------

void paws(Lab& lab) {
  const bool timestamps = lab.client.on("tcp_timestamps") && lab.server.on("tcp_timestamps");
  Connected both = connected(lab);
  both.client.write("good ");
  lab.run(1s);
  lab.say("a duplicate turns up that was under way while the sequence numbers went round once: its number fits again");
  Segment old = lab.next_from(lab.client, both.client.tuple());
  old.payload = "evil";
  old.tcp.flags = {wire::TcpFlags::kAck | wire::TcpFlags::kPsh};
  if (old.tcp.options.timestamps)
    old.tcp.options.timestamps->value = Timestamp(old.tcp.options.timestamps->value.raw() - 60'000);
  lab.forge(lab.client, old);
  lab.run(100ms);
  lab.expect_equal("PAWSEstab", lab.server.count(Counter::TcpExt_PAWSEstab), timestamps ? 1 : 0);
  both.client.write("data");
  lab.run(1s);
  const std::string read = both.server.read();
  if (timestamps) {
    lab.expect_equal("what the server reads: its timestamp gave it away", read, "good data");
  } else {
    lab.expect_equal("what the server reads: without timestamps nothing tells old from new", read, "good evil");
  }
}

// ---- C6 ------------------------------------------------------------------------------------------------------------

void out_of_order(Lab& lab) {
  Connected both = connected(lab);
  const std::string text = text_of(8'000);
  lab.lose(lab.client, data);
  lab.say("six segments are sent, and the first of them gets lost");
  both.client.write(text);
  lab.run(kDelay + 5ms);
  lab.expect_equal("bytes that the application can read: the order is kept", both.server.info().unread, 0);
  lab.expect(lab.server.count(Counter::TcpExt_TCPOFOQueue) >= 4, "the others wait in the out-of-order queue");
  lab.run(kDelay);
  const auto acks = lab.seen(lab.server, pure_ack);
  const bool sack = lab.client.on("tcp_sack") && lab.server.on("tcp_sack");
  lab.expect_equal("SACK blocks in the last ACK", acks.back().tcp.options.sack.count, sack ? 1 : 0);
  lab.run(2s);
  lab.expect(both.server.read() == text, "the repeated segment fills the gap, and all is there at once");
  lab.expect_equal("segments that went twice", both.client.info().total_retrans, 1);
}

void duplicates(Lab& lab) {
  lab.path({.delay = kDelay, .duplicate = 0.3});
  const Connected both = connected(lab);
  const std::string text = text_of(200'000);
  lab.say("the path delivers three of ten packets twice");
  const std::string received = transfer(lab, both, text);
  lab.expect(received == text, "200000 bytes arrive, each once");
  lab.expect(lab.server.count(Counter::TcpExt_TCPDSACKOldSent) > 0 || !lab.server.on("tcp_sack"),
             "the server told the client of duplicates (DSACK)");
}

// ---- C6: urgent data

void urgent_data(Lab& lab) {
  const bool in_line = lab.parameter("SO_OOBINLINE") == "1";
  const bool std_urg = lab.server.on("tcp_stdurg");
  const Listener listener = lab.server.listen({.options = {.oob_inline = in_line}});
  const Socket client = lab.client.connect();
  lab.run(1s);
  const Socket server = lab.server.accept(listener);
  Stack& receiver = lab.server.stack();
  bool told = false;
  lab.server.on_event([&](const Event& event) { told |= (event.bits & event_bits::kUrgent) != 0; });
  const auto next = [&] {
    const auto piece = receiver.read_slice(lab.now(), server.id());
    return piece ? std::string(piece->text()) : std::string();
  };

  lab.say("\"abc\" with MSG_OOB, then \"def\"");
  (void)lab.client.stack().write(lab.now(), client.id(), as_bytes("abc"), write_bits::kUrgent);
  lab.run(1s);
  (void)lab.client.stack().write(lab.now(), client.id(), as_bytes("def"));
  lab.run(1s);
  lab.server.on_event({});
  lab.expect(told, "the application hears of it (SIGURG, POLLPRI)");
  const std::string urgent = std_urg ? "d" : "c", before = std_urg ? "abc" : "ab", behind = std_urg ? "ef" : "def";
  const auto byte = receiver.read_urgent(lab.now(), server.id());
  if (in_line) {
    lab.expect_error("recv(MSG_OOB)", byte ? std::nullopt : std::optional(byte.error()), Error::InvalidArgument);
  } else {
    lab.expect_equal("recv(MSG_OOB)", byte && *byte ? std::string(1, static_cast<char>(**byte)) : "", urgent);
  }
  lab.expect_equal("read() stops at the mark", next(), before);
  lab.expect(receiver.at_urgent_mark(server.id()).value_or(false), "SIOCATMARK says that the mark is here");
  lab.expect_equal("read() from there", next(), in_line ? urgent + behind : behind);
}

}  // namespace

std::vector<Scenario> data_scenarios() {
  return {
      {.name = "sequence-wrap",
       .ids = {"C1"},
       .summary = "sequence numbers go round after 4 GiB, and nobody notices",
       .lesson =
           "A sequence number has 32 bits, so at 10 Gbit/s it comes round within four seconds. All comparisons are "
           "made modulo 2^32: what counts is the distance, not which number is larger.",
       .play = sequence_wrap,
       .initial_sequence_number = 0xffffffffu - 20'000},
      {.name = "zero-window",
       .ids = {"C2", "C7"},
       .summary = "a reader that sleeps closes the window; probes ask whether it is open again",
       .lesson =
           "The window says how much the receiver has room for. When it is closed only the receiver can open it, by "
           "a packet that may get lost; so the sender asks now and then, ever less often, and never gives up as "
           "long as it is answered.",
       .play = zero_window},
      {.name = "window-scaling",
       .ids = {"C2"},
       .summary = "64 KB a round trip are too little for a long path; a scale makes them more",
       .lesson =
           "The window field has 16 bits. Over 200 ms that allows 2.6 Mbit/s, whatever the link can do. With "
           "window scaling, agreed in the SYNs, it counts in units of up to 16 KiB. A box that removes the option "
           "makes a long path slow.",
       .knobs = {{"tcp_window_scaling", {"1", "0"}, ""}},
       .play = window_scaling},
      {.name = "nagle",
       .ids = {"C3"},
       .summary = "small writes are gathered while something small is unacknowledged, unless TCP_NODELAY",
       .lesson =
           "A header of 40 bytes for each key stroke is a waste. Nagle's rule lets one small segment be under way at "
           "a time and gathers what is written meanwhile. Together with delayed ACKs it can cost 40 ms; programs "
           "that write whole messages switch it off.",
       .knobs = {{"TCP_NODELAY", {"0", "1"}, "the socket option"}},
       .play = nagle},
      {.name = "more-follows",
       .ids = {"C3"},
       .summary = "a short segment waits for the rest when the program says that there is more: MSG_MORE, TCP_CORK",
       .lesson =
           "A header that goes out alone costs a packet, and what follows waits for its acknowledgement, by Nagle. A "
           "program that says that more follows gets both in one segment. A program that forgets to go on is helped "
           "out after 200 ms.",
       .knobs = {{"how", {"MSG_MORE", "TCP_CORK", "nothing"}, "how the program says so"}},
       .play = more_follows},
      {.name = "silly-window",
       .ids = {"C3", "C2"},
       .summary = "a slow reader does not make segments small",
       .lesson = "If every few bytes of room were told at once, the sender would fill them at once, and the connection "
                 "would go on in tiny segments for ever. So the receiver stays silent until there is room for a full "
                 "segment or half its buffer, and the sender waits too.",
       .play = silly_window},
      {.name = "delayed-ack",
       .ids = {"C4"},
       .summary = "an ACK waits a moment for data to ride on, but not on a new connection",
       .lesson =
           "A request is mostly answered soon, and the answer can carry the ACK. If nothing comes within 40 to 200 "
           "ms the ACK goes alone. At the start of a connection the sender needs ACKs to open its window, so there "
           "they are not delayed.",
       .play = delayed_ack},
      {.name = "ack-every-second-segment",
       .ids = {"C4"},
       .summary = "in a bulk transfer there is about one ACK for two full segments",
       .lesson = "ACKs are the clock by which the sender sends: too few make it send in bursts, too many are work for "
                 "nothing. Every second full segment is acknowledged at once.",
       .play = every_second_segment},
      {.name = "paws",
       .ids = {"C5"},
       .summary = "timestamps tell an old duplicate from new data when its sequence number fits again",
       .lesson =
           "A packet that strayed for a while may come back when the sequence numbers have gone round, and fit by "
           "accident. With timestamps it is older than the last one seen, and dropped. Without them the bytes are "
           "taken for good ones.",
       .knobs = {{"tcp_timestamps", {"1", "0"}, ""}},
       .play = paws},
      {.name = "out-of-order",
       .ids = {"C6"},
       .summary = "what arrives behind a gap waits, and is delivered when the gap is filled",
       .lesson =
           "A stream has an order, so one lost segment holds up everything behind it (head-of-line blocking). The "
           "receiver keeps what is there and tells the sender by SACK, so that only the missing piece goes again.",
       .knobs = {{"tcp_sack", {"1", "0"}, ""}},
       .play = out_of_order},
      {.name = "duplicates",
       .ids = {"C6"},
       .summary = "packets that arrive twice are noticed and do no harm",
       .lesson =
           "Networks sometimes deliver a packet twice, and senders repeat what was only late. The sequence numbers "
           "say so; the receiver acknowledges again and, with SACK, names the duplicate.",
       .play = duplicates},
      {.name = "urgent-data",
       .ids = {"C6"},
       .summary = "one byte of the stream can be marked as urgent: MSG_OOB",
       .lesson =
           "TCP has no second channel. The urgent pointer only marks a byte of the stream; the receiver hears of it "
           "early, takes the byte out and can tell where it was. Where the pointer points was disputed for thirty "
           "years: everybody says behind the byte, RFC 1122 said at it.",
       .knobs = {{"SO_OOBINLINE", {"0", "1"}, "the server's socket option"}, {"server.tcp_stdurg", {"0", "1"}, ""}},
       .play = urgent_data},
  };
}

}  // namespace ff::lab
