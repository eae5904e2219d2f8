// Scenarios of TCP Fast Open: A1 to A10, A13, A15, A17.
#include <algorithm>
#include <memory>

#include "lab/fast_open_visit.hpp"

namespace ff::lab {
namespace {

std::string hex(const FastOpenCookie& cookie) {
  std::string text;
  for (const std::uint8_t byte : cookie.span()) text += fmt::format("{:02x}", byte);
  return text;
}

// The option of the last SYN, or SYN-ACK, from that host.
wire::FastOpenOption last_option(const Lab& lab, const Host& from, Kind kind) {
  const auto segments = lab.seen(from, kind);
  if (segments.empty()) return {};
  return segments.back().tcp.options.fast_open.value_or(wire::FastOpenOption{});
}

// ---- A1, A2, A3, A17 -----------------------------------------------------------------------------------------------

void first_visit(Lab& lab) {
  serve(lab);
  lab.say("the client has never been here: its SYN asks for a cookie, the request must wait");
  const Visit first = visit(lab);
  lab.expect_about("the first byte of the answer after", first.first_byte, 2 * kRoundTrip, 0ns);
  lab.expect_equal("bytes in the SYN", first.syn_data, 0);
  expect_outcome(lab, "the client's outcome", first.outcome, FastOpenOutcome::NoCookieYet);
  const auto cache = lab.client.stack().fast_open_cache(lab.now());
  lab.expect_equal("destinations in the client's cache", cache.size(), 1);
  if (cache.empty()) return;
  lab.expect(cache[0].cookie == last_option(lab, lab.server, syn_ack).cookie,
             fmt::format("it keeps the SYN-ACK's cookie, {}", hex(cache[0].cookie)));
  lab.expect_equal("the MSS it keeps with it", cache[0].mss,
                   lab.seen(lab.server, syn_ack).back().tcp.options.mss.value_or(0));
  lab.expect_equal("TCPFastOpenCookieReqd of the server", lab.server.count(Counter::TcpExt_TCPFastOpenCookieReqd), 1);
}

void second_visit(Lab& lab) {
  serve(lab);
  visit(lab);
  lab.say("the client comes again: cookie and request ride in the SYN");
  const Instant start = lab.now();
  const std::size_t before = lab.number_of(lab.server, any);
  const Visit second = visit(lab);
  lab.expect_about("the first byte of the answer after", second.first_byte, kRoundTrip, 0ns);
  lab.expect_equal("bytes in the SYN", second.syn_data, kRequest.size());
  lab.expect_equal("the answer", second.answer, kAnswer);
  expect_outcome(lab, "the client's outcome", second.outcome, FastOpenOutcome::Accepted);
  const auto from_server = lab.seen(lab.server);
  const auto acks = lab.seen(lab.client, pure_ack);
  const auto ack = std::ranges::find_if(acks, [&](const Segment& segment) { return segment.time >= start; });
  lab.expect(before + 1 < from_server.size() && from_server[before + 1].size() > 0 && ack != acks.end() &&
                 from_server[before + 1].time <= ack->time,
             "the answer came right behind the SYN-ACK: the server had not waited for the client's ACK");
  lab.expect_equal("TCPFastOpenActive of the client", lab.client.count(Counter::TcpExt_TCPFastOpenActive), 1);
  lab.expect_equal("TCPFastOpenPassive of the server", lab.server.count(Counter::TcpExt_TCPFastOpenPassive), 1);
}

void option_forms(Lab& lab) {
  serve(lab);
  lab.say("a box on the path removes TCP option 34, which it does not know");
  lab.meddle(lab.client, [](Segment& segment) {
    auto& option = segment.tcp.options.fast_open;
    if (option && !option->experimental) option.reset();
    return true;
  });
  expect_outcome(lab, "first visit, asking by option 34", visit(lab).outcome, FastOpenOutcome::CookieNotGranted);
  expect_outcome(lab, "second visit, asking by option 254", visit(lab).outcome, FastOpenOutcome::NoCookieYet);
  lab.expect(last_option(lab, lab.client, syn).experimental, "the client asked in the experimental form");
  lab.expect(last_option(lab, lab.server, syn_ack).experimental, "the server answered in the form it was asked in");
  expect_outcome(lab, "third visit, with that cookie", visit(lab).outcome, FastOpenOutcome::Accepted);
}

// ---- A4, A5 --------------------------------------------------------------------------------------------------------

constexpr std::string_view kKey = "00112233-44556677-8899aabb-ccddeeff";
constexpr std::string_view kOtherKey = "01234567-89abcdef-01234567-89abcdef";

void cookie_key(Lab& lab) {
  lab.server.set("tcp_fastopen_key", kKey);
  serve(lab);
  visit(lab);
  const FastOpenCookie cookie = last_option(lab, lab.server, syn_ack).cookie;
  const std::string key = lab.server.setting("tcp_fastopen_key");
  // What Linux 6.18 granted 10.0.0.1 for 10.0.0.2, and fd00::1 for fd00::2, under this key.
  const std::string linux_cookie = lab.client.address().is_v4() ? "acf1f9d14263185d" : "1d1993ff2b6ef501";
  lab.expect((hex(cookie) == linux_cookie) == (key == kKey),
             fmt::format("under the key {} the cookie is {}; a Linux kernel with the key {} grants {}", key,
                         hex(cookie), kKey, linux_cookie));
  lab.say("the server is replaced by another machine of the pool, which has the same key");
  lab.server.restart();
  lab.server.set("tcp_fastopen_key", kKey);
  serve(lab);
  expect_outcome(lab, "the client's next visit, with its old cookie", visit(lab).outcome, FastOpenOutcome::Accepted);
}

void key_rotation(Lab& lab) {
  const bool keep = lab.parameter("keep_old_key") == "yes";
  lab.server.set("tcp_fastopen_key", kKey);
  serve(lab);
  visit(lab);
  const FastOpenCookie old_cookie = last_option(lab, lab.server, syn_ack).cookie;
  const std::string keys = keep ? fmt::format("{},{}", kOtherKey, kKey) : std::string(kOtherKey);
  lab.say("the operator changes the key to {}", keys);
  lab.server.set("tcp_fastopen_key", keys);
  const Visit second = visit(lab);
  expect_outcome(lab, "the next visit, with the old cookie", second.outcome,
                 keep ? FastOpenOutcome::Accepted : FastOpenOutcome::CookieRefused);
  const FastOpenCookie fresh = last_option(lab, lab.server, syn_ack).cookie;
  lab.expect(fresh.size > 0 && !(fresh == old_cookie), "the SYN-ACK brings a cookie of the new key");
  lab.expect_equal("TCPFastOpenPassiveAltKey", lab.server.count(Counter::TcpExt_TCPFastOpenPassiveAltKey),
                   keep ? 1 : 0);
  lab.expect_equal("TCPFastOpenPassiveFail", lab.server.count(Counter::TcpExt_TCPFastOpenPassiveFail), keep ? 0 : 1);
  lab.expect_equal("the answer came all the same", second.answer, kAnswer);
  expect_outcome(lab, "the visit after that", visit(lab).outcome, FastOpenOutcome::Accepted);
}

// ---- A6, A7 --------------------------------------------------------------------------------------------------------

void setting_bits(Lab& lab) {
  using namespace fast_open_bits;
  const std::uint64_t client = lab.client.number("tcp_fastopen");
  const std::uint64_t server = lab.server.number("tcp_fastopen");
  const bool client_on = (client & kClient) != 0;
  const bool without_cookie = client_on && (client & kClientNoCookie) != 0;
  const bool server_on = (server & kServer) != 0;
  const bool takes_without = server_on && (server & kServerNoCookie) != 0;
  const bool asks = client_on && !without_cookie;
  serve(lab);
  const Visit first = visit(lab);
  lab.expect_equal("cookies asked for on the first visit", lab.server.count(Counter::TcpExt_TCPFastOpenCookieReqd),
                   asks ? 1 : 0);
  lab.expect_equal("bytes in the first SYN: only without cookie (0x4)", lab.seen(lab.client, syn).front().size(),
                   without_cookie ? kRequest.size() : 0);
  const bool granted = asks && server_on && !takes_without;  // who takes everything needs no cookies
  lab.expect_equal(
      "cookies in the client's cache",
      static_cast<std::uint64_t>(std::ranges::count_if(lab.client.stack().fast_open_cache(lab.now()),
                                                       [](const auto& entry) { return entry.cookie.size > 0; })),
      granted ? 1 : 0);
  const Visit second = visit(lab);
  const bool sends = without_cookie || granted;
  const bool taken = sends && server_on && (granted || takes_without);
  lab.expect_equal("bytes in the second SYN", lab.seen(lab.client, syn).back().size(), sends ? kRequest.size() : 0);
  lab.expect_about("the first byte of the answer after", second.first_byte, taken ? kRoundTrip : 2 * kRoundTrip, 1ms);
  lab.expect_equal("both answers", first.answer + second.answer, std::string(kAnswer) + std::string(kAnswer));
}

void interfaces(Lab& lab) {
  const std::string how = lab.parameter("call");
  const bool no_cookie = how == "no-cookie";
  if (no_cookie) lab.server.set("tcp_fastopen", "0x203");
  serve(lab);
  if (!no_cookie) visit(lab);
  const Instant start = lab.now();
  const std::size_t syns = lab.number_of(lab.client, syn);
  Socket socket;
  if (how == "connect-then-write") {
    lab.say("setsockopt(TCP_FASTOPEN_CONNECT), then connect(): it returns at once, and nothing is sent");
    socket = lab.client.connect({.fast_open = FastOpenMode::OnFirstWrite});
    lab.run(1ms);
    lab.expect_equal("SYNs so far", lab.number_of(lab.client, syn) - syns, 0);
    lab.say("the first write() sends SYN and data");
    socket.write(kRequest);
  } else if (no_cookie) {
    lab.say("setsockopt(TCP_FASTOPEN_NO_COOKIE), towards a server that needs none (0x200): no visit before");
    socket = lab.client.connect(
        {.fast_open = FastOpenMode::Now, .fast_open_no_cookie = true, .data = Slice::copy_of(as_bytes(kRequest))});
  } else {
    lab.say("sendto(MSG_FASTOPEN): connect and send in one call");
    socket = lab.client.connect(fast());
  }
  lab.run_until([&] { return socket.info().unread > 0; }, 10s);
  lab.expect_equal("bytes in the SYN", socket.info().syn_data_bytes, kRequest.size());
  lab.expect_about("the answer after", lab.now() - start, kRoundTrip, 1ms);
  lab.expect_equal("the answer", socket.read(), kAnswer);
}

// ---- A8, A9 --------------------------------------------------------------------------------------------------------

// Whatever goes wrong with a SYN, the server reads the request once, and whole.
void expect_exactly_once(Lab& lab, const Visit& visit, FastOpenOutcome outcome) {
  lab.expect_equal("the answer", visit.answer, kAnswer);
  expect_outcome(lab, "the client's outcome", visit.outcome, outcome);
}

void syn_lost(Lab& lab) {
  serve(lab);
  visit(lab);
  lab.say("the SYN with cookie and data gets lost");
  lab.lose(lab.client, syn_with_data);
  const Visit second = visit(lab);
  const Segment again = lab.seen(lab.client, syn).back();
  lab.expect(again.size() == 0 && !again.tcp.options.fast_open, "the SYN goes again without data and cookie");
  expect_exactly_once(lab, second, FastOpenOutcome::SynRetransmitted);
  lab.expect_about("the first byte of the answer after", second.first_byte, 1s + 2 * kRoundTrip, 1ms);
  lab.expect_equal("TCPFastOpenActiveFail", lab.client.count(Counter::TcpExt_TCPFastOpenActiveFail), 1);
}

void data_not_acknowledged(Lab& lab) {
  const std::uint32_t taken = lab.parameter("acknowledged") == "some" ? 5 : 0;
  serve(lab);
  visit(lab);
  lab.say("the SYN-ACK acknowledges the SYN and {} bytes of the data: an odd server, or a box that rewrites", taken);
  lab.meddle(lab.server, [taken](Segment& segment) {
    if (syn_ack(segment)) segment.tcp.ack = segment.tcp.ack - static_cast<std::uint32_t>(kRequest.size()) + taken;
    return !data(segment) || segment.tcp.flags.syn();
  });
  const Socket socket = lab.client.connect(fast());
  lab.run(kRoundTrip);
  const auto resent = lab.seen(lab.client, data);
  lab.expect_equal("bytes that go again, with the ACK", resent.back().size(), kRequest.size() - taken);
  lab.expect(!syn(resent.back()), "in a segment of their own");
  lab.meddle(lab.server, [](Segment&) { return true; });
  lab.run_until([&] { return socket.info().unread > 0; }, 1min);
  Socket reader = socket;
  lab.expect_equal("the answer, once", reader.read(), kAnswer);
  if (taken == 0) {
    expect_outcome(lab, "the client's outcome", socket.info().fast_open, FastOpenOutcome::DataNotAcked);
    lab.expect_equal("TCPFastOpenActiveFail", lab.client.count(Counter::TcpExt_TCPFastOpenActiveFail), 1);
  }
}

void large_request(Lab& lab) {
  const Listener listener = lab.server.listen({.fast_open_queue = 16});
  visit_before(lab, listener);
  const std::string request(5000, 'r');
  lab.say("the client has {} bytes to send at once", request.size());
  const Socket socket = lab.client.connect(fast(request));
  lab.run(kDelay);
  Socket accepted = lab.server.accept(listener);
  const std::uint32_t first = accepted.info().unread;
  const Segment sent = lab.seen(lab.client, syn_with_data).back();
  lab.expect_equal("bytes that the server can read with the SYN", first, sent.size());
  const std::uint32_t mss = lab.client.stack().fast_open_cache(lab.now()).front().mss;
  lab.expect(first < mss && first >= mss - 40,
             fmt::format("as many as the server's MSS of {} allows, less the options: {}", mss, first));
  lab.run(1s);
  lab.expect_equal("all that the server reads in the end", accepted.read().size(), request.size());
  lab.expect_equal("bytes that went twice", socket.info().bytes_retrans, 0);
}

// ---- A10 -----------------------------------------------------------------------------------------------------------

void queue_full(Lab& lab) {
  const Listener listener = lab.server.listen({.fast_open_queue = 2});
  visit_before(lab, listener);
  lab.say("two SYNs with data and stolen cookies, from addresses that never answer");
  for (const std::uint8_t i : {std::uint8_t{1}, std::uint8_t{2}}) {
    Segment forged;
    forged.source = {lab.stranger(i), 1234};
    forged.destination = {lab.server.address(), kPort};
    forged.tcp.flags = {wire::TcpFlags::kSyn};
    forged.tcp.window = {1000};
    forged.tcp.options.mss = 1000;
    forged.tcp.options.fast_open =
        wire::FastOpenOption{lab.server.stack().fast_open_cookie(lab.stranger(i), lab.server.address()), false};
    forged.payload = "evil";
    lab.forge(lab.client, forged);
  }
  lab.run(100ms);
  lab.expect_equal("connections at the server that are half-open by Fast Open", lab.server.population().connections, 2);
  lab.say("an honest client comes with its cookie");
  const Socket honest = lab.client.connect(fast());
  lab.run(100ms);
  expect_outcome(lab, "its outcome", honest.info().fast_open, FastOpenOutcome::DataNotAcked);
  lab.expect(honest.established(), "its connection is made the ordinary way");
  lab.expect_equal("TCPFastOpenListenOverflow", lab.server.count(Counter::TcpExt_TCPFastOpenListenOverflow), 1);
  lab.say("the owners of the two addresses wake up and answer with RST");
  for (const std::uint8_t i : {std::uint8_t{1}, std::uint8_t{2}}) {
    const FourTuple theirs{{lab.stranger(i), 1234}, {lab.server.address(), kPort}};
    Segment reset = lab.next_from(lab.client, theirs);
    reset.tcp.flags = {wire::TcpFlags::kRst};
    reset.tcp.seq = Seq(5);
    lab.forge(lab.client, reset);
  }
  lab.run(1s);
  const Socket after = lab.client.connect(fast());
  lab.run(1s);
  expect_outcome(lab, "a RST does not free the place for the next one", after.info().fast_open,
                 FastOpenOutcome::DataNotAcked);
  lab.run(60s);
  const Socket later = lab.client.connect(fast());
  lab.run(1s);
  expect_outcome(lab, "a minute later it is free", later.info().fast_open, FastOpenOutcome::Accepted);
}

// ---- A13 -----------------------------------------------------------------------------------------------------------

void reasons(Lab& lab) {
  lab.client.set("tcp_fastopen_blackhole_timeout_sec", 60);
  serve(lab);
  const auto is = [&](std::string_view when, FastOpenOutcome expected) {
    const Visit one = visit(lab);
    lab.expect_equal(fmt::format("{}: \"{}\"", when, to_string(one.outcome)), name_of(one.outcome), name_of(expected));
  };
  lab.expect_equal("without asking for it", name_of(visit(lab, fast(kRequest, FastOpenMode::Off)).outcome),
                   name_of(FastOpenOutcome::NotTried));
  is("the first visit", FastOpenOutcome::NoCookieYet);
  is("the second", FastOpenOutcome::Accepted);
  lab.client.stack().clear_fast_open_cache();
  lab.server.set("tcp_fastopen", 1);
  is("to a server that has it switched off", FastOpenOutcome::CookieNotGranted);
  lab.server.set("tcp_fastopen", 3);
  lab.client.set("tcp_fastopen", 2);
  is("with one's own switched off", FastOpenOutcome::Disabled);
  lab.client.set("tcp_fastopen", 3);
  is("asking again", FastOpenOutcome::NoCookieYet);
  lab.server.set("tcp_fastopen_key", kOtherKey);
  is("after the server's key has changed", FastOpenOutcome::CookieRefused);
  lab.lose(lab.client, syn_with_data);
  is("when the SYN gets lost", FastOpenOutcome::SynRetransmitted);
  lab.expect_equal("the counter of accepted ones", lab.client.count(FastOpenOutcome::Accepted), 1);
  lab.expect_equal("the counter of refused ones", lab.client.count(FastOpenOutcome::CookieRefused), 1);
  lab.expect_equal("the counter of those repeated", lab.client.count(FastOpenOutcome::SynRetransmitted), 1);
}

// ---- A15 -----------------------------------------------------------------------------------------------------------

void fin_at_once(Lab& lab) {
  const Listener listener = lab.server.listen({.fast_open_queue = 16});
  visit_before(lab, listener);
  lab.say("a client connects with data and says at once that this was all (shutdown)");
  Socket socket = lab.client.connect(fast());
  socket.shutdown_write();
  lab.run(kDelay);
  Socket accepted = lab.server.accept(listener);
  lab.expect_equal("what the server reads before the handshake is over", accepted.read(), kRequest);
  lab.expect_state("its state", accepted.state(), TcpState::SynReceived);
  lab.run(1s);
  lab.expect(accepted.peer_closed(), "the FIN follows the handshake");
  lab.expect_state("the server's state", accepted.state(), TcpState::CloseWait);
  accepted.close();
  lab.run(1s);
  socket.close();
  lab.expect_equal("connections left", lab.server.population().connections + lab.client.population().connections, 0);
  lab.expect_equal("resets", lab.number_of(lab.client, rst) + lab.number_of(lab.server, rst), 0);
}

void reset_while_half_open(Lab& lab) {
  const bool accept_first = lab.parameter("accept") == "before";
  const Listener listener = lab.server.listen({.fast_open_queue = 16});
  Segment forged;
  forged.source = {lab.stranger(), 1234};
  forged.destination = {lab.server.address(), kPort};
  forged.tcp.flags = {wire::TcpFlags::kSyn};
  forged.tcp.seq = Seq(1000);
  forged.tcp.window = {1000};
  forged.tcp.options.fast_open =
      wire::FastOpenOption{lab.server.stack().fast_open_cookie(lab.stranger(), lab.server.address()), false};
  forged.payload = "hello";
  lab.say("a SYN with cookie and data comes, and soon a RST");
  lab.forge(lab.client, forged);
  lab.run(kDelay);
  Socket accepted;
  if (accept_first) {
    accepted = lab.server.accept(listener);
    lab.expect_equal("bytes that the application could read", accepted.info().unread, 5);
  }
  forged.tcp.flags = {wire::TcpFlags::kRst};
  forged.tcp.seq = forged.tcp.seq + 6u;
  forged.tcp.options = {};
  forged.payload.clear();
  lab.forge(lab.client, forged);
  lab.run(kDelay);
  if (!accept_first) accepted = lab.server.accept(listener);
  lab.expect_error("the accepted connection's error", accepted.info().error, Error::ConnectionReset);
  accepted.close();
  lab.expect_equal("connections left", lab.server.population().connections, 0);
}

void simultaneous_fast_open(Lab& lab) {
  lab.say("both hosts have cookies for each other, and open with data at the same moment");
  for (Host* host : {&lab.client, &lab.server}) {
    const Host& other = lab.other(*host);
    FastOpenCacheEntry entry;
    entry.destination = other.address();
    entry.source = host->address();
    entry.learned = lab.now();
    entry.cookie.size = 8;
    entry.mss = 1400;
    (void)host->stack().set_fast_open_cache(entry);
  }
  ConnectOptions here = fast("from the client"), there = fast("from the server");
  here.local = Endpoint{lab.client.address(), 4000};
  here.remote = {lab.server.address(), 5000};
  there.local = here.remote;
  there.remote = *here.local;
  Socket client = lab.client.connect(here), server = lab.server.connect(there);
  lab.run(5s);
  lab.expect_state("the client", client.state(), TcpState::Established);
  lab.expect_equal("what the client reads, once", client.read(), "from the server");
  lab.expect_equal("what the server reads, once", server.read(), "from the client");
}

}  // namespace

std::vector<Scenario> fast_open_scenarios() {
  return {
      {.name = "fast-open-forms",
       .ids = {"A1", "A8"},
       .summary = "two option numbers for one thing: 34, and the experimental 254 where 34 does not pass",
       .lesson =
           "Before option 34 was assigned, implementations used the experimental number 254 with a magic value. "
           "Some servers and boxes know only one of them. A client asks with 34, and next time with the other when "
           "it got no cookie; a server answers as it was asked.",
       .play = option_forms},
      {.name = "fast-open-first-visit",
       .ids = {"A2", "A17"},
       .summary = "the first visit asks for a cookie; nothing is faster yet",
       .lesson =
           "A server must not work for whoever forges a sender's address. So it first hands out a cookie that only "
           "the true owner of the address can have received. The client keeps it for later visits; this one takes "
           "the usual two round trips.",
       .play = first_visit},
      {.name = "fast-open-second-visit",
       .ids = {"A3", "A17"},
       .summary = "the second visit sends the request in the SYN and has the answer after one round trip",
       .lesson =
           "With the cookie the server knows that the client is who it says, hands the request to the application "
           "at once, and may answer before the handshake is over. That saves one round trip for each connection, "
           "which is half of the time until the first byte.",
       .play = second_visit},
      {.name = "fast-open-cookie-key",
       .ids = {"A4"},
       .summary = "servers with the same key grant the same cookies, Linux or firstflight",
       .lesson =
           "A cookie is a hash of both addresses under the server's key, and nothing is stored. Machines behind one "
           "address must share the key, or a client that meets another of them is refused; and all must compute "
           "the same hash.",
       .knobs = {{"server.tcp_fastopen_key", {std::string(kKey), std::string(kOtherKey)}, ""}},
       .play = cookie_key},
      {.name = "fast-open-key-rotation",
       .ids = {"A5"},
       .summary = "a new key, with the old one kept for a while, costs nobody a round trip",
       .lesson =
           "Keys should be changed now and then, as whoever collects cookies can use them until then. With the old "
           "key as the second one, old cookies still work and are replaced in passing. Without it every client's "
           "next visit falls back to the slow way once.",
       .knobs = {{"keep_old_key", {"yes", "no"}, "whether the old key stays as the second one"}},
       .play = key_rotation},
      {.name = "fast-open-setting",
       .ids = {"A6"},
       .summary = "what the bits of net.ipv4.tcp_fastopen switch, on either side",
       .lesson =
           "1 is the client's half and 2 the server's; both are needed, each on its machine. 4 lets a client send "
           "data without a cookie, 0x200 lets a server take it: safe only where nobody can forge addresses. An "
           "unused half is no error, just slower.",
       .knobs = {{"client.tcp_fastopen", {"3", "2", "0", "7"}, ""},
                 {"server.tcp_fastopen", {"3", "1", "0x203"}, ""},
                 {"tcp_fastopen", {"0x207", "0"}, ""}},
       .play = setting_bits},
      {.name = "fast-open-calls",
       .ids = {"A7"},
       .summary = "three ways for a program to ask for it",
       .lesson =
           "sendto() with MSG_FASTOPEN connects and sends in one call. With TCP_FASTOPEN_CONNECT a program stays as "
           "it is: connect() returns at once and the first write goes with the SYN; but then only that write "
           "shows whether anybody is there. TCP_FASTOPEN_NO_COOKIE does without cookies.",
       .knobs = {{"call", {"sendto", "connect-then-write", "no-cookie"}, "how the program connects"}},
       .play = interfaces},
      {.name = "fast-open-syn-lost",
       .ids = {"A8"},
       .summary = "a lost SYN goes again without data and cookie, in case they were the reason",
       .lesson = "Some boxes drop SYNs that carry data or an option they do not know. So the repetition is an ordinary "
                 "SYN, and the data follows after the handshake: slower by a second, but nothing is lost.",
       .play = syn_lost},
      {.name = "fast-open-data-not-acked",
       .ids = {"A8"},
       .summary = "what the SYN-ACK does not acknowledge goes again, once",
       .lesson = "A server may acknowledge the SYN and none of its data, or a part. The client sends the rest with the "
                 "ACK of the handshake, without waiting for any time-out; the application on either side notices "
                 "nothing.",
       .knobs = {{"acknowledged", {"nothing", "some"}, "how much of the data the SYN-ACK acknowledges"}},
       .play = data_not_acknowledged},
      {.name = "fast-open-large-request",
       .ids = {"A9"},
       .summary = "what does not fit into the SYN follows after the handshake",
       .lesson = "The SYN is one packet. The client knows the server's MSS from its last visit and fills the SYN up to "
                 "that, less the options; what is left follows with the ACK, so that nothing goes twice.",
       .play = large_request},
      {.name = "fast-open-queue-full",
       .ids = {"A10"},
       .summary = "a bound on connections that are half-open by Fast Open, and why a RST does not free a place",
       .lesson =
           "Stolen cookies would let an attacker make the server work before any handshake. So only so many such "
           "connections may be unconfirmed; above that all goes the ordinary way. The victims whose addresses were "
           "used answer with RST: if that freed the place, the bound would not bind.",
       .play = queue_full},
      {.name = "fast-open-reasons",
       .ids = {"A13", "A8"},
       .summary = "why a connection was not fast is a value that the program can read",
       .lesson = "Fast Open falls back so silently that one may believe to use it for years without a single fast "
                 "connection. Each connection therefore says what became of it, and each outcome has a counter.",
       .play = reasons},
      {.name = "fast-open-fin-at-once",
       .ids = {"A15"},
       .summary = "connect with data and shut down: the request is there at once, the FIN behind the handshake",
       .lesson = "The server's application may have read and answered before it is known whether the client is still "
                 "there. A client that has nothing more to say is no special case: its FIN waits for the SYN-ACK.",
       .play = fin_at_once},
      {.name = "fast-open-reset",
       .ids = {"A15"},
       .summary = "a RST while the connection is half-open, before or after the application accepted it",
       .lesson = "By Fast Open an application can hold a connection that does not exist yet. When a RST ends it, the "
                 "application gets a connection that is dead already, and finds ECONNRESET, rather than nothing.",
       .knobs = {{"accept", {"before", "after"}, "whether the application accepts before the RST or after it"}},
       .play = reset_while_half_open},
      {.name = "fast-open-simultaneous",
       .ids = {"A15", "B1"},
       .summary = "both sides open with data at once: ordinary simultaneous open, data afterwards",
       .lesson =
           "SYNs that cross cannot be validated by a cookie, as nobody listens. Both sides ignore the data in them "
           "and send it again behind the handshake, so that each byte is delivered once.",
       .play = simultaneous_fast_open},
  };
}

}  // namespace ff::lab
