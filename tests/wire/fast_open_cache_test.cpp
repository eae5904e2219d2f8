// What a client remembers of servers, for how long, and for whom (A12): RFC 7413 §4.1.3.
#include "wire/language.hpp"

namespace {

FastOpenCookie cookie_of(std::string_view bytes) {
  FastOpenCookie cookie;
  cookie.size = static_cast<std::uint8_t>(bytes.size());
  std::ranges::copy(as_bytes(bytes), cookie.bytes.begin());
  return cookie;
}
const FastOpenCookie kCookie = cookie_of("8 bytes.");
const FastOpenCookie kOther = cookie_of("other 8!");

void expect_data_in_syn(Wire& w, std::uint64_t partition = 0, const FastOpenCookie& cookie = kCookie) {
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .partition = partition});
  w.out(w.our_syn().tfo(cookie).data("GET /"));
  w.in(syn_ack(0).ack(6).mss(1000));
  w.out(segment(6).ack(1));
}

// `granted`: the cookie that the server gives.
void expect_request(Wire& w, std::uint64_t partition = 0, const FastOpenCookie& granted = kCookie) {
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .partition = partition});
  w.out(w.our_syn().tfo_request());
  w.in(syn_ack(0).ack(1).mss(1000).tfo(granted));
  w.out(data(1, "GET /").ack(1).psh());
  w.in(segment(1).ack(6));
}

}  // namespace

WIRE_TEST(FastOpenCache, ClearedCacheAsksAgain) {
  w.have_cookie(kCookie, 1000);
  w.stack().clear_fast_open_cache();
  expect_request(w);
}

// A cookie is good for a pair of addresses (RFC 7413 §4.1.3): that of another address of ours is of no use.
WIRE_TEST(FastOpenCache, CookieOfAnotherSourceIsNotUsed) {
  w.have_cookie(kCookie, 1000);
  FastOpenCacheEntry entry = *w.cached();
  w.stack().clear_fast_open_cache();
  entry.source = w.peer_address(100);
  w.require(w.stack().set_fast_open_cache(entry).has_value(), "the cache takes it");
  expect_request(w);
}

WIRE_TEST(FastOpenCache, PartitionsShareNothing) {
  w.have_cookie(kCookie, 1000, false, 7);
  expect_request(w, 0, kOther);
  w.use(1);
  expect_data_in_syn(w, 7);
  w.use(2);
  expect_data_in_syn(w, 0, kOther);
  w.use(3);
  expect_request(w, UINT64_MAX);
  w.require(w.cached(7)->cookie == kCookie && w.cached()->cookie == kOther, "each keeps its own");
}

// Not even that the path swallows Fast Open.
WIRE_TEST(FastOpenCache, PartitionsDoNotShareBlackholes) {
  w.have_cookie(kCookie, 1000, false, 7);
  FastOpenCacheEntry entry = *w.cached(7);
  entry.blackholes = 1;
  entry.retry_after = w.now() + 1h;
  w.require(w.stack().set_fast_open_cache(entry).has_value(), "the cache takes it");
  w.have_cookie(kCookie, 1000);
  expect_data_in_syn(w);
  w.use(1);
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .partition = 7});
  w.out(w.our_syn());
  w.outcome(FastOpenOutcome::PathBlackholed);
}

// As when a browser's private window is closed.
WIRE_TEST(FastOpenCache, OnePartitionCanBeForgotten) {
  w.have_cookie(kCookie, 1000, false, 7);
  w.have_cookie(kOther, 1000);
  w.stack().clear_fast_open_cache(7);
  expect_data_in_syn(w, 0, kOther);
  w.use(1);
  expect_request(w, 7);
}

WIRE_TEST(FastOpenCache, CookiesExpire) {
  w.set("net.ipv4.tcp_fastopen_cache_expire_sec", "100");
  w.have_cookie(kCookie, 1000);
  w.advance(100s - 1ms);
  expect_data_in_syn(w);
  // Use alone keeps nothing fresh: only the server does.
  w.advance(1ms);
  w.require(!w.cached(), "it is gone");
  w.use(1);
  expect_request(w, 0, kOther);
  w.advance(99s);
  w.use(2);
  expect_data_in_syn(w, 0, kOther);
}

WIRE_TEST(FastOpenCache, CookiesNeedNotExpire) {
  w.set("net.ipv4.tcp_fastopen_cache_expire_sec", "0");
  w.have_cookie(kCookie, 1000);
  w.advance(24h * 365);
  expect_data_in_syn(w);
}

// What a path does outlives the cookie: its time is its own.
WIRE_TEST(FastOpenCache, BlackholesOutliveTheCookie) {
  w.set("net.ipv4.tcp_fastopen_cache_expire_sec", "100");
  w.have_cookie(kCookie, 1000);
  FastOpenCacheEntry entry = *w.cached();
  entry.blackholes = 1;
  entry.retry_after = w.now() + 1h;
  w.require(w.stack().set_fast_open_cache(entry).has_value(), "the cache takes it");
  w.advance(200s);
  w.connect_fast_open("GET /");
  w.out(w.our_syn());
  w.outcome(FastOpenOutcome::PathBlackholed);
  w.require(w.cached() && w.cached()->cookie.size == 0, "the cookie is gone");
}

// No requests, which would show servers that somebody asks and never comes back with an answer.
WIRE_TEST(FastOpenCache, SwitchedOff) {
  w.set("net.ipv4.tcp_fastopen_cache_max", "0");
  w.connect_fast_open("GET /");
  w.out(w.our_syn());
  w.in(syn_ack(0).ack(1).mss(1000));
  w.out(data(1, "GET /").ack(1).psh());
  w.outcome(FastOpenOutcome::Disabled);
  // Where cookies are not needed none need be kept.
  w.use(1);
  w.connect({.fast_open = FastOpenMode::Now, .data = "GET /", .no_cookie = true});
  w.out(w.our_syn().data("GET /"));
  FastOpenCacheEntry entry;
  entry.source = w.own_address();
  entry.destination = w.peer_address(0);
  w.require(w.stack().set_fast_open_cache(entry) == std::unexpected(Error::NoBufferSpace), "there is no room");
}

WIRE_TEST(FastOpenCache, SwitchingItOffForgets) {
  w.have_cookie(kCookie, 1000);
  w.set("net.ipv4.tcp_fastopen_cache_max", "0");
  w.set("net.ipv4.tcp_fastopen_cache_max", "100");
  expect_request(w);
}

// What was used least recently makes room.
WIRE_TEST(FastOpenCache, LeastRecentlyUsedMakesRoom) {
  w.set("net.ipv4.tcp_fastopen_cache_max", "2");
  for (const int host : {1, 2}) {
    w.use(host, host);
    w.have_cookie(kCookie, 1000);
  }
  w.use(3, 1);
  expect_data_in_syn(w);
  w.use(4, 3);
  expect_request(w);
  w.require(w.cached() && w.stack().fast_open_cache(w.now()).size() == 2, "there are two");
  w.use(5, 1);
  expect_data_in_syn(w);
  w.use(6, 2);
  expect_request(w);
}

WIRE_TEST(FastOpenCache, LoweringTheBoundForgetsAtOnce) {
  for (const int host : {1, 2, 3}) {
    w.use(host, host);
    w.have_cookie(kCookie, 1000);
  }
  w.set("net.ipv4.tcp_fastopen_cache_max", "1");
  w.require(w.stack().fast_open_cache(w.now()).size() == 1 && w.cached(), "the last one is left");
}

// The order in which the cache is told is the order in which it is to be filled again.
WIRE_TEST(FastOpenCache, ToldInOrderOfUse) {
  for (const int host : {1, 2, 3}) {
    w.use(host, host);
    w.have_cookie(kCookie, 1000);
  }
  w.use(4, 1);
  expect_data_in_syn(w);
  const auto told = w.stack().fast_open_cache(w.now());
  w.require(told.size() == 3 && told[0].destination == w.peer_address(2) && told[1].destination == w.peer_address(3) &&
                told[2].destination == w.peer_address(1),
            "used last stands last");
}

WIRE_TEST(FastOpenCache, NonsenseIsRefused) {
  w.have_cookie(kCookie, 1000);
  FastOpenCacheEntry entry = *w.cached();
  entry.source = *IpAddress::parse(w.v6() ? "192.0.2.9" : "2001:db8::9");
  w.require(w.stack().set_fast_open_cache(entry) == std::unexpected(Error::InvalidArgument), "two IP versions");
  entry.source = w.v6() ? IpAddress::any_v6() : IpAddress::any_v4();
  w.require(w.stack().set_fast_open_cache(entry) == std::unexpected(Error::InvalidArgument), "no address");
}
