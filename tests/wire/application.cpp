// The application's side of a wire test: its calls, what it is told, and what it sees of Fast Open.
#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "wire/language.hpp"

namespace ff::wiretest {
namespace {

std::string errno_text(Error error) { return std::string(to_string(error)); }

std::string events_text(std::uint8_t bits) {
  static constexpr std::pair<std::uint8_t, std::string_view> kNames[] = {
      {event_bits::kAcceptable, "acceptable"},  {event_bits::kEstablished, "established"},
      {event_bits::kReadable, "readable"},      {event_bits::kWritable, "writable"},
      {event_bits::kPeerClosed, "peer closed"}, {event_bits::kClosed, "closed"},
      {event_bits::kUrgent, "urgent"}};
  std::string text;
  for (auto [bit, name] : kNames)
    if ((bits & bit) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
  return text.empty() ? "none" : text;
}

// Sizes into which a split variant cuts what the application does.
std::size_t piece(std::size_t n) {
  static constexpr std::size_t kSizes[] = {1, 2, 3, 1, 7, 101, 5, 1499};
  return kSizes[n % std::size(kSizes)];
}

}  // namespace

template <typename T>
T Wire::must(Result<T> result, std::string_view what, const Where& where) {
  if (!result) fail(fmt::format("{}: {}", what, errno_text(result.error())), where);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void Wire::command(std::string_view text, const Where& where) {
  silent(where);
  note(text, where);
}

void Wire::listen(const Listening& how, Where where) {
  command(fmt::format("listen {}", how.port), where);
  start();
  ListenOptions options;
  options.local = {v6() ? IpAddress::any_v6() : IpAddress::any_v4(), how.port};
  options.backlog = how.backlog;
  options.fast_open_queue = how.fast_open;
  options.fast_open_keys = how.keys;
  options.options = how.options;
  listeners_[how.port] = must(stack_->listen(options), "listen", where);
  listening_ = how.port;
}

ListenerId Wire::listener(const Where& where) {
  if (!listeners_.contains(listening_)) fail("nobody listens", where);
  return listeners_[listening_];
}

void Wire::set_fast_open(std::uint32_t queue, Where where) {
  command(fmt::format("set TCP_FASTOPEN {}", queue), where);
  must(stack().set_fast_open(listener(where), queue), "set TCP_FASTOPEN", where);
}

void Wire::set_fast_open_keys(const std::optional<FastOpenKeys>& keys, Where where) {
  command("set TCP_FASTOPEN_KEY", where);
  must(stack().set_fast_open_keys(listener(where), keys), "set TCP_FASTOPEN_KEY", where);
}

void Wire::close_listener(Where where) {
  command("close listener", where);
  must(stack_->close(now_, listener(where)), "close listener", where);
  listeners_.erase(listening_);
  pump(where);
}

void Wire::accept(Where where) {
  command("accept", where);
  const ConnectionId accepted = must(stack_->accept(listener(where)), "accept", where);
  flow().connection = accepted;
  const FourTuple tuple = must(stack_->info(accepted), "info", where).tuple;
  if (tuple.remote != flow().numbering.peer) fail("accepted another connection: " + tuple.to_string(), where);
  listener_events_ = 0;
  pump(where);
}

void Wire::nothing_to_accept(Where where) {
  command("accept?", where);
  const auto result = stack().accept(listener(where));
  if (result) fail("there is a connection to accept", where);
  if (result.error() != Error::WouldBlock) fail("accept: " + errno_text(result.error()), where);
}

Result<ConnectionId> Wire::try_connect(const Connecting& how) {
  start();
  ConnectOptions options;
  flow().numbering.peer.port = how.remote_port;
  flow().numbering.own.port = how.local_port.value_or(0);
  options.remote = flow().numbering.peer;
  if (how.local_port) options.local = Endpoint{own_address(), *how.local_port};
  options.fast_open = how.fast_open;
  options.fast_open_no_cookie = how.no_cookie;
  options.fast_open_partition = how.partition;
  options.options = how.options;
  options.options.no_delay |= how.no_delay;
  options.data = Slice::copy_of(as_bytes(how.data));
  return stack_->connect(now_, options);
}

void Wire::connect(const Connecting& how, Where where) {
  command(how.data.empty() ? "connect" : fmt::format("connect with {} bytes", how.data.size()), where);
  flow().connection = must(try_connect(how), "connect", where);
  pump(where);
}

void Wire::connect_fails(const Connecting& how, Error error, Where where) {
  command("connect, in vain", where);
  const auto result = try_connect(how);
  if (result) fail("connect succeeded", where);
  if (result.error() != error) fail("connect: " + errno_text(result.error()), where);
}

void Wire::establish(const Peer& peer, Where where) {
  if (listeners_.empty()) listen({}, where);
  Segment ask = syn(0).mss(peer.mss).window(peer.window), answer = syn_ack(0).ack(1).mss(mss());
  if (peer.sack) ask = std::move(ask).sack_ok(), answer = std::move(answer).sack_ok();
  if (peer.ts) ask = std::move(ask).ts(*peer.ts, 0), answer = std::move(answer).ts(0, *peer.ts);
  if (peer.wscale) ask = std::move(ask).wscale(*peer.wscale), answer = std::move(answer).wscale(7);
  in(std::move(ask), where);
  out(answer, where);
  advance(peer.rtt, where);
  const auto ms = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(peer.rtt).count());
  Segment last = segment(1).ack(1).window(peer.window);
  if (peer.ts) last = std::move(last).ts(*peer.ts + ms, 0);
  in(std::move(last), where);
  accept(where);
  if (peer.no_delay) no_delay(true, where);
  state(TcpState::Established, where);
  flow().events = 0;
}

void Wire::establish_active(const Peer& peer, Where where) {
  connect({.no_delay = peer.no_delay}, where);
  out(our_syn(), where);
  advance(peer.rtt, where);
  Segment answer = syn_ack(0).ack(1).mss(peer.mss).window(peer.window);
  if (peer.sack) answer = std::move(answer).sack_ok();
  if (peer.ts) answer = std::move(answer).ts(*peer.ts, 0);
  if (peer.wscale) answer = std::move(answer).wscale(*peer.wscale);
  in(std::move(answer), where);
  const auto ms = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(peer.rtt).count());
  Segment last = segment(1).ack(1);
  if (peer.ts) last = std::move(last).ts(ms, *peer.ts);
  out(last, where);
  event(event_bits::kEstablished, where);
  state(TcpState::Established, where);
}

std::size_t Wire::write_some(std::string_view bytes, Where where) {
  command(fmt::format("write {} bytes", bytes.size()), where);
  std::size_t written = 0;
  for (std::size_t n = 0; written < bytes.size(); ++n) {
    const auto part = bytes.substr(written, variant_.split ? piece(n) : bytes.size());
    const auto result = stack_->write(now_, flow().connection, as_bytes(part));
    if (!result && result.error() != Error::WouldBlock) fail("write: " + errno_text(result.error()), where);
    const std::size_t taken = result.value_or(0);
    written += taken;
    if (taken < part.size()) break;
  }
  pump(where);
  return written;
}

std::size_t Wire::write_once(std::string_view bytes, Where where) {
  command(fmt::format("write {} bytes in one call", bytes.size()), where);
  const std::size_t taken = must(stack_->write(now_, flow().connection, as_bytes(bytes)), "write", where);
  pump(where);
  return taken;
}

void Wire::write(std::string_view bytes, Where where) {
  if (variant_.split) {
    if (const auto written = write_some(bytes, where); written != bytes.size())
      fail(fmt::format("write: room for {} bytes only", written), where);
    return;
  }
  command(fmt::format("write {} bytes", bytes.size()), where);
  must(stack_->write(now_, flow().connection, Slice::copy_of(as_bytes(bytes))), "write", where);
  pump(where);
}

void Wire::write_fails(Error error, Where where) {
  command("write, in vain", where);
  const auto result = stack_->write(now_, flow().connection, as_bytes("x"));
  if (result) fail("write succeeded", where);
  if (result.error() != error) fail("write: " + errno_text(result.error()), where);
  pump(where);
}

void Wire::write_with(std::uint8_t flags, std::string_view bytes, Where where) {
  command(fmt::format("write {} bytes, flags {}", bytes.size(), flags), where);
  if (variant_.split) {
    const std::size_t count = must(stack_->write(now_, flow().connection, as_bytes(bytes), flags), "write", where);
    if (count != bytes.size()) fail(fmt::format("write: room for {} bytes only", count), where);
  } else {
    must(stack_->write(now_, flow().connection, Slice::copy_of(as_bytes(bytes)), flags), "write", where);
  }
  pump(where);
}

// An urgent byte that was passed counts as read, too, but a window that moves by so little is not told of.
std::string Wire::read_once(Where where) {
  command("read", where);
  std::array<std::uint8_t, 4096> into;
  const auto count = stack_->read(now_, flow().connection, into);
  if (!count && count.error() != Error::WouldBlock) fail("read: " + errno_text(count.error()), where);
  flow().reader += static_cast<std::uint32_t>(count.value_or(0));
  pump(where);
  return count ? std::string(as_text(ByteSpan(into).first(*count))) : "nothing";
}

std::string Wire::read_slice_once(Where where) {
  command("read a slice", where);
  const auto slice = stack_->read_slice(now_, flow().connection);
  if (!slice && slice.error() != Error::WouldBlock) fail("read: " + errno_text(slice.error()), where);
  if (slice) flow().reader += slice->size();
  pump(where);
  return slice ? std::string(slice->text()) : "nothing";
}

void Wire::read_urgent(char expected, Where where) {
  command("read the urgent byte", where);
  const auto byte = must(stack_->read_urgent(now_, flow().connection), "read urgent", where);
  if (!byte) fail("read urgent: end of the stream", where);
  if (*byte != static_cast<std::uint8_t>(expected)) fail(fmt::format("read urgent: byte {}", *byte), where);
  pump(where);
}

void Wire::read_urgent_end(Where where) {
  command("read the urgent byte, at the end", where);
  if (must(stack_->read_urgent(now_, flow().connection), "read urgent", where)) fail("there is an urgent byte", where);
}

void Wire::read_urgent_fails(Error error, Where where) {
  command("read the urgent byte, in vain", where);
  const auto result = stack_->read_urgent(now_, flow().connection);
  if (result) fail("read urgent succeeded", where);
  if (result.error() != error) fail("read urgent: " + errno_text(result.error()), where);
}

bool Wire::at_mark(Where where) { return must(stack_->at_urgent_mark(flow().connection), "at mark", where); }

void Wire::read(std::string_view expected, Where where) {
  command(fmt::format("read {} bytes", expected.size()), where);
  std::string got;
  for (std::size_t n = 0; got.size() < expected.size(); ++n) {
    const std::size_t most = std::min(variant_.split ? piece(n) : expected.size(), expected.size() - got.size());
    if (variant_.split && n % 2 == 0) {
      const Slice slice =
          must(stack_->read_slice(now_, flow().connection, static_cast<std::uint32_t>(most)), "read", where);
      if (slice.empty()) fail(fmt::format("the stream ends after {} bytes", got.size()), where);
      got += slice.text();
    } else {
      std::vector<std::uint8_t> into(most);
      const std::size_t count = must(stack_->read(now_, flow().connection, into), "read", where);
      if (count == 0) fail(fmt::format("the stream ends after {} bytes", got.size()), where);
      got += as_text(ByteSpan(into).first(count));
    }
  }
  flow().reader += static_cast<std::uint32_t>(got.size());
  if (got != expected) {
    const auto at = std::ranges::mismatch(got, expected).in1 - got.begin();
    fail(fmt::format("read: wrong bytes from byte {} on", at), where);
  }
  pump(where);
}

void Wire::read_end(Where where) {
  command("read the end", where);
  std::array<std::uint8_t, 1> into;
  const std::size_t count = must(stack_->read(now_, flow().connection, into), "read", where);
  if (count != 0) fail("there are bytes to read", where);
  pump(where);
}

void Wire::read_fails(Error error, Where where) {
  command("read, in vain", where);
  std::array<std::uint8_t, 1> into;
  const auto result = stack_->read(now_, flow().connection, into);
  if (result) fail(*result == 0 ? "read: end of the stream" : "read: there are bytes", where);
  if (result.error() != error) fail("read: " + errno_text(result.error()), where);
  pump(where);
}

void Wire::shutdown_write(Where where) {
  command("shutdown write", where);
  must(stack_->shutdown_write(now_, flow().connection), "shutdown", where);
  pump(where);
}

void Wire::shutdown_read(Where where) {
  command("shutdown read", where);
  must(stack_->shutdown_read(now_, flow().connection), "shutdown", where);
  flow().discards = true;
  pump(where);
}

void Wire::close(Where where) {
  command("close", where);
  must(stack_->close(now_, flow().connection), "close", where);
  flow().discards = true;
  pump(where);
}

void Wire::abort(Where where) {
  command("abort", where);
  must(stack_->abort(now_, flow().connection), "abort", where);
  pump(where);
}

void Wire::options(const SocketOptions& options, Where where) {
  command("setsockopt", where);
  must(stack().set_options(now_, flow().connection, options), "setsockopt", where);
  pump(where);
}

void Wire::quick_ack(bool on, Where where) {
  command(on ? "TCP_QUICKACK on" : "TCP_QUICKACK off", where);
  must(stack().set_quick_ack(now_, flow().connection, on), "TCP_QUICKACK", where);
  pump(where);
}

std::string Wire::saved_syn() { return stack().take_saved_syn(flow().connection).value_or(std::string()); }

void Wire::no_delay(bool on, Where where) {
  command(on ? "no delay" : "delay", where);
  must(stack_->set_no_delay(now_, flow().connection, on), "set_no_delay", where);
  pump(where);
}

// ---- events and state ----

void Wire::collect_events() {
  while (const auto event = stack_->poll_event()) {
    if ((event->bits & event_bits::kAcceptable) != 0) listener_events_ |= event->bits;
    for (auto& [number, f] : flows_)
      if (event->connection.generation != 0 && f.connection == event->connection) {
        f.events |= event->bits;
        f.early_bytes = event->early_bytes;
      }
  }
}

std::uint32_t Wire::early_bytes_told() {
  collect_events();
  return flow().early_bytes;
}

void Wire::event(std::uint8_t bits, Where where) {
  collect_events();
  if ((flow().events & bits) != bits)
    fail(fmt::format("events: expected {}, got {}", events_text(bits), events_text(flow().events)), where);
  flow().events &= static_cast<std::uint8_t>(~bits);
}

void Wire::no_event(std::uint8_t bits, Where where) {
  collect_events();
  if ((flow().events & bits) != 0) fail("unexpected event: " + events_text(flow().events & bits), where);
}

void Wire::acceptable(Where where) {
  if ((listener_events_ & event_bits::kAcceptable) == 0) fail("no event says that there is something to accept", where);
  listener_events_ = 0;
}

ConnectionInfo Wire::info(Where where) { return must(stack_->info(flow().connection), "info", where); }

void Wire::state(TcpState expected, Where where) {
  const TcpState got = info(where).state;
  if (got != expected) fail(fmt::format("state: expected {}, got {}", to_string(expected), to_string(got)), where);
}

void Wire::stale(Where where) {
  const auto result = stack_->info(flow().connection);
  if (result) fail(fmt::format("the connection is still there, in {}", to_string(result->state)), where);
  if (result.error() != Error::StaleHandle) fail("info: " + errno_text(result.error()), where);
}

void Wire::ended_with(std::optional<Error> error, Where where) {
  event(event_bits::kClosed, where);
  const auto got = info(where).error;
  const auto text = [](std::optional<Error> e) { return e ? errno_text(*e) : std::string("no error"); };
  if (got != error) fail(fmt::format("ended with {}, not {}", text(got), text(error)), where);
}

void Wire::outcome(FastOpenOutcome expected, Where where) {
  const FastOpenOutcome got = info(where).fast_open;
  if (got != expected)
    fail(fmt::format("Fast Open outcome: expected \"{}\", got \"{}\"", to_string(expected), to_string(got)), where);
}

void Wire::counter(Counter which, std::uint64_t expected, Where where) {
  const std::uint64_t got = stack().counters()[which];
  if (got != expected) fail(fmt::format("{}: expected {}, got {}", name_of(which), expected, got), where);
}

void Wire::dropped(DropReason reason, std::uint64_t expected, Where where) {
  const std::uint64_t got = stack().counters()[reason];
  if (got != expected) fail(fmt::format("drops for {}: expected {}, got {}", name_of(reason), expected, got), where);
}

void Wire::population(Stack::Population expected, Where where) {
  const auto got = stack().population();
  const auto text = [](const Stack::Population& p) {
    return fmt::format("{} connections, {} requests, {} in TIME_WAIT, {} listeners", p.connections, p.requests,
                       p.time_waits, p.listeners);
  };
  if (text(got) != text(expected)) fail(fmt::format("expected {}; got {}", text(expected), text(got)), where);
}

void Wire::require(bool holds, std::string_view what, Where where) {
  if (!holds) fail(fmt::format("not so: {}", what), where);
}

// ---- Fast Open ----

FastOpenCookie Wire::cookie() { return stack().fast_open_cookie(flow().numbering.peer.address, own_address()); }

// As Linux's tcp_fastopen_cipher: SipHash-2-4 over source and destination address.
FastOpenCookie Wire::cookie(const FastOpenKey& key) const {
  const IpAddress peer = flows_.at(current_).numbering.peer.address, own = own_address();
  std::vector<std::uint8_t> input;
  for (const IpAddress& address : {peer, own}) {
    const ByteSpan bytes = v6() ? ByteSpan(address.bytes()) : ByteSpan(address.v4_bytes());
    input.insert(input.end(), bytes.begin(), bytes.end());
  }
  FastOpenCookie result;
  result.size = 8;
  static_assert(crypto_shorthash_siphash24_BYTES == 8 && crypto_shorthash_siphash24_KEYBYTES == 16);
  crypto_shorthash_siphash24(result.bytes.data(), input.data(), input.size(), key.bytes.data());
  return result;
}

void Wire::have_cookie(const FastOpenCookie& cookie, std::uint16_t mss, bool experimental, std::uint64_t partition) {
  FastOpenCacheEntry entry;
  entry.partition = partition;
  entry.destination = flow().numbering.peer.address;
  entry.source = own_address();
  entry.learned = now_;
  entry.cookie = cookie;
  entry.mss = mss;
  entry.experimental = experimental;
  if (!stack().set_fast_open_cache(entry)) fail("the cache takes no entry", Where::current());
}

std::optional<FastOpenCacheEntry> Wire::cached(std::uint64_t partition) {
  for (const FastOpenCacheEntry& entry : stack().fast_open_cache(now_))
    if (entry.destination == flow().numbering.peer.address && entry.partition == partition) return entry;
  return std::nullopt;
}

}  // namespace ff::wiretest
