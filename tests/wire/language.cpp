#include "wire/language.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

namespace ff::wiretest {
namespace {

constexpr std::uint8_t kIcmp = 1, kIcmp6 = 58;
// More packets than this in answer to one thing are a loop.
constexpr int kMostAtOnce = 20000;

std::string errno_text(Error error) { return std::string(to_string(error)); }

std::string file_name(const Where& where) {
  const std::string_view path = where.file_name();
  const auto slash = path.rfind('/');
  return fmt::format("{}:{}", slash == std::string_view::npos ? path : path.substr(slash + 1), where.line());
}

std::string events_text(std::uint8_t bits) {
  static constexpr std::pair<std::uint8_t, std::string_view> kNames[] = {
      {event_bits::kAcceptable, "acceptable"},  {event_bits::kEstablished, "established"},
      {event_bits::kReadable, "readable"},      {event_bits::kWritable, "writable"},
      {event_bits::kPeerClosed, "peer closed"}, {event_bits::kClosed, "closed"}};
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

std::string Variant::to_string() const {
  return fmt::format("{}, our ISN {:#x}, the peer's {:#x}, {}", v6 ? "IPv6" : "IPv4", own_isn, peer_isn,
                     split ? "split" : "whole");
}

Wire::Wire(const Variant& variant) : variant_(variant) {
  settings_.tcp_moderate_rcvbuf = false;  // receive windows that follow from the buffer's size alone
  use(0);
}

Stack& Wire::stack() {
  start();
  return *stack_;
}

void Wire::start() {
  if (stack_) return;
  StackConfig config;
  config.seed = Seed::from_number(1);
  config.settings = settings_;
  config.initial_sequence_number = variant_.own_isn;
  stack_.emplace(std::move(config));
  InterfaceConfig interface;
  interface.name = "wire";
  interface.mtu = mtu_;
  interface.addresses = {Cidr{own_address(), static_cast<std::uint8_t>(v6() ? 64 : 24)}};
  interface.max_super_segment = std::max<std::uint32_t>(max_super_segment_, mtu_);
  const auto added = stack_->add_interface(interface);
  if (!added) fail("add_interface: " + errno_text(added.error()), Where::current());
  interface_ = *added;
}

void Wire::set(std::string_view name, std::string_view value, Where where) {
  command(fmt::format("set {} {}", name, value), where);
  const auto result = stack_ ? stack_->set_setting(name, value) : set_setting(settings_, name, value);
  if (!result) fail(result.error(), where);
}

IpAddress Wire::own_address() const { return *IpAddress::parse(v6() ? "2001:db8::1" : "192.0.2.1"); }
IpAddress Wire::peer_address(int host) const {
  return *IpAddress::parse(fmt::format("{}{}", v6() ? "2001:db8::" : "192.0.2.", host + 2));
}

std::uint16_t Wire::first_window(std::uint16_t announced_mss) const {
  // Half of the buffer, in whole segments, as far as 16 bits reach (Linux's tcp_select_initial_window).
  const std::uint32_t half = std::min<std::uint32_t>(settings_.tcp_rmem.initial / 2, 65535);
  return static_cast<std::uint16_t>(half - half % announced_mss);
}

// ---- connections
// -----------------------------------------------------------------------------------------------------

void Wire::use(int connection, int host) {
  current_ = connection;
  if (flows_.contains(connection)) return;
  Flow fresh;
  fresh.numbering.own = {own_address(), 80};
  fresh.numbering.peer = {peer_address(host), static_cast<std::uint16_t>(40000 + connection)};
  fresh.numbering.own_isn = variant_.own_isn;
  fresh.numbering.peer_isn = host == kSelf ? variant_.own_isn : variant_.peer_isn;
  flows_.emplace(connection, fresh);
}

void Wire::reincarnate(std::uint32_t peer_isn_ahead) {
  Flow fresh;
  fresh.numbering = flow().numbering;
  fresh.numbering.peer_isn += peer_isn_ahead;
  flow() = fresh;
}

// ---- packets
// ---------------------------------------------------------------------------------------------------------

void Wire::deliver(ByteSpan packet, std::uint16_t segment_size) {
  RxPacket rx;
  rx.segment_size = segment_size;
  if (!variant_.split) {
    rx.bytes = Slice::copy_of(packet);
  } else {
    // Amid other bytes, at an odd address.
    const std::uint32_t offset = 1 + 2 * static_cast<std::uint32_t>(pieces_++ % 7);
    const SlabRef slab = slabs_.acquire();
    std::ranges::fill(slab.memory().first(offset + packet.size() + 64), std::uint8_t{0xa5});
    std::ranges::copy(packet, slab.memory().begin() + offset);
    rx.bytes = slab.slice(offset, static_cast<std::uint32_t>(packet.size()));
  }
  stack_->handle_packet(now_, interface_, std::move(rx));
}

void Wire::in(Segment segment, Where where) {
  std::vector<Segment> one;
  one.push_back(std::move(segment));
  in_batch(std::move(one), where);
}

void Wire::in_batch(std::vector<Segment> segments, Where where) {
  silent(where);
  start();
  for (const Segment& segment : segments) {
    Flow& f = flow();
    note("--> " + Codec::describe(segment, f.numbering, true), where);
    if (const auto scale = Codec::offered_scale(segment)) f.peer_scale = scale;
    const auto length = static_cast<std::uint32_t>(Codec::payload(segment).size());
    const std::uint32_t piece_size = Codec::segment_size(segment);
    f.peer_segment = std::max(f.peer_segment, piece_size > 0 ? std::min(piece_size, length) : length);
    if (const auto fin = Codec::fin_seq(segment)) f.peer_fin = fin;
    deliver(Codec::encode(segment, f.numbering), Codec::segment_size(segment));
  }
  pump(where);
}

void Wire::in(const Icmp& error, Where where) {
  silent(where);
  if (history_.size() <= error.back) fail("there is no packet to quote", where);
  std::vector<std::uint8_t> quoted = history_[history_.size() - 1 - error.back];
  const std::size_t tcp = v6() ? 40 : 20;
  if (error.quoted_seq) {
    const std::uint32_t seq = flow().numbering.own_isn + *error.quoted_seq;
    for (std::size_t i = 0; i < 4; ++i) quoted[tcp + 4 + i] = static_cast<std::uint8_t>(seq >> (24 - 8 * i));
  }
  // RFC 792 asks for 8 bytes of the datagram's data, RFC 4443 for as much as fits.
  quoted.resize(std::min<std::size_t>(quoted.size(), v6() ? 1232 : 28));
  const auto mtu = error.mtu;
  std::vector<std::uint8_t> message = {v6() ? error.type_v6 : error.type_v4, v6() ? error.code_v6 : error.code_v4, 0,
                                       0};
  for (int shift = 24; shift >= 0; shift -= 8) message.push_back(static_cast<std::uint8_t>(mtu >> shift));
  message.insert(message.end(), quoted.begin(), quoted.end());
  const IpAddress router = *IpAddress::parse(v6() ? "2001:db8::fe" : "192.0.2.254");
  const auto size = static_cast<std::uint32_t>(message.size());
  const std::uint16_t sum =
      internet_checksum(message, v6() ? pseudo_header_sum(router, own_address(), kIcmp6, size) : 0);
  message[2] = static_cast<std::uint8_t>(sum >> 8), message[3] = static_cast<std::uint8_t>(sum);
  note(fmt::format("--> ICMP type {} code {} mtu {}", message[0], message[1], mtu), where);
  deliver(ip_packet(router, own_address(), v6() ? kIcmp6 : kIcmp, message), 0);
  pump(where);
}

void Wire::in_raw(const std::vector<std::uint8_t>& packet, Where where) {
  silent(where);
  start();
  note(fmt::format("--> {} bytes", packet.size()), where);
  deliver(packet, 0);
  pump(where);
}

std::vector<std::uint8_t> Wire::packet(const Segment& segment) { return Codec::encode(segment, flow().numbering); }

void Wire::loop_back(Where where) {
  silent(where);
  note("--> what we sent", where);
  deliver(history_.back(), 0);
  pump(where);
}

void Wire::observe(const TxPacket& tx, const Where& where) {
  std::vector<std::uint8_t> packet(tx.header().begin(), tx.header().end());
  for (const Slice& slice : tx.payload()) packet.insert(packet.end(), slice.span().begin(), slice.span().end());
  std::vector<std::string> faults;
  if (packet.size() != tx.size()) faults.push_back("payload_size is not the sum of the pieces");
  if (tx.interface != interface_) faults.push_back("wrong interface");
  const std::size_t tcp = v6() ? 40 : 20;
  if (tx.checksum_wanted && packet.size() >= tcp + 20) {
    if (tx.checksum_start != tcp || tx.checksum_offset != 16) faults.push_back("checksum_start or checksum_offset");
    const auto size = static_cast<std::uint32_t>(packet.size() - tcp);
    const Numbering& n = flow().numbering;  // the pseudo-header's sum is the same for either direction
    const IpAddress to = v6() ? IpAddress::v6(std::span<const std::uint8_t, 16>(packet.data() + 24, 16))
                              : IpAddress::v4(std::span<const std::uint8_t, 4>(packet.data() + 16, 4));
    const std::uint32_t pseudo = pseudo_header_sum(n.own.address, to, 6, size);
    if ((packet[tcp + 16] << 8 | packet[tcp + 17]) != static_cast<int>(pseudo))
      faults.push_back("the checksum field does not hold the pseudo-header's sum");
    packet[tcp + 16] = packet[tcp + 17] = 0;
    const std::uint16_t sum = internet_checksum(ByteSpan(packet).subspan(tcp), pseudo);
    packet[tcp + 16] = static_cast<std::uint8_t>(sum >> 8), packet[tcp + 17] = static_cast<std::uint8_t>(sum);
  }
  Observed segment = Codec::decode(packet, static_cast<std::uint8_t>(settings_.ip_default_ttl));
  segment.faults.insert(segment.faults.end(), faults.begin(), faults.end());
  segment.segment_size = tx.segment_size;
  const bool within =
      packet.size() <= (tx.segment_size == 0 ? mtu_ : std::max<std::uint32_t>(max_super_segment_, mtu_));
  if (!within) segment.faults.push_back(fmt::format("packet of {} bytes", packet.size()));
  history_.push_back(packet);
  learn(segment);
  note("<-- " + Codec::describe(segment, flow().numbering), where);
  sent_.push_back({now_, std::move(segment)});
}

// What the first packets of a connection settle for the numbers that follow.
void Wire::learn(Observed& segment) {
  Flow& f = flow();
  if (f.learn_isn && (segment.flags & flag::kSyn) != 0) {
    f.numbering.own_isn = segment.seq;
    f.learn_isn = false;
  }
  if (f.numbering.own.port == 0) {
    f.numbering.own.port = segment.source_port;
    if (segment.source_port < settings_.ip_local_port_range.first ||
        segment.source_port > settings_.ip_local_port_range.last)
      segment.faults.push_back(fmt::format("ephemeral port {}", segment.source_port));
  }
  if (!f.numbering.own_timestamp) f.numbering.own_timestamp = Codec::timestamp(segment);
  if ((segment.flags & flag::kSyn) != 0 && Codec::window_scale(segment)) f.own_scale = Codec::window_scale(segment);
}

void Wire::pump(const Where& where) {
  TxPacket packet;
  int count = 0;
  while (stack_->poll_transmit(now_, packet)) {
    observe(packet, where);
    if (++count > kMostAtOnce) fail("sends without end", where);
  }
  packet.clear();
  collect_events();
  if (const std::string wrong = stack_->check(); !wrong.empty()) fail("invariant broken: " + wrong, where);
}

// The window that a segment of ours has to tell, where the test does not say: what is free of the receive buffer, as
// far as the data so far have opened it, never taking back (RFC 9293 §3.8.6.2.2) and moving by a segment at least.
std::optional<std::uint16_t> Wire::window_to_expect(const Observed& segment) {
  Flow& f = flow();
  if ((segment.flags & flag::kRst) != 0) return 0;
  const std::uint32_t ack = segment.ack - f.numbering.peer_isn;
  if ((segment.flags & flag::kSyn) != 0) {
    const std::uint32_t first = first_window(Codec::mss(segment).value_or(mss()));
    f.ceiling = first;
    f.edge = 1 + f.ceiling;
    // A Fast Open server's SYN-ACK may acknowledge data already.
    return static_cast<std::uint16_t>((segment.flags & flag::kAck) != 0 ? f.edge - ack : first);
  }
  if (f.ceiling == 0) return std::nullopt;
  const std::uint32_t limit = std::max<std::uint32_t>(settings_.tcp_rmem.initial, first_window());
  const std::uint32_t fin = f.peer_fin && ack == *f.peer_fin + 1 ? 1 : 0;
  const std::uint32_t delivered = ack - fin;
  if (delivered > f.largest_ack) f.ceiling = std::min(f.ceiling + 2 * (delivered - f.largest_ack), limit);
  f.largest_ack = std::max(f.largest_ack, delivered);
  const std::uint32_t unread = f.discards ? 0 : delivered - f.reader;
  const std::uint32_t wanted = ack + std::min(limit > unread ? limit - unread : 0, f.ceiling);
  const std::uint32_t worthwhile = std::min<std::uint32_t>(f.peer_segment, limit / 2);
  if (static_cast<std::int32_t>(wanted - f.edge) >= static_cast<std::int32_t>(worthwhile)) f.edge = wanted;
  const std::uint32_t unit = 1u << (f.own_scale && f.peer_scale ? *f.own_scale : 0);
  const std::uint32_t units = std::min((std::max(f.edge, ack) - ack + unit - 1) / unit, 65535u);
  f.edge = std::max(f.edge, ack + units * unit);
  return static_cast<std::uint16_t>(units);
}

void Wire::out(const Segment& expected, Where where) {
  const Numbering& n = flow().numbering;
  if (sent_.empty()) fail("expected " + Codec::describe(expected, n, false) + "\n     got nothing", where);
  const Observed segment = std::move(sent_.front().segment);
  sent_.pop_front();
  const auto found = Codec::differences(expected, segment, n, window_to_expect(segment));
  if (found.empty()) return;
  std::string text = "expected " + Codec::describe(expected, n, false) + "\n     got " + Codec::describe(segment, n);
  for (const std::string& difference : found) text += "\n         " + difference;
  fail(text, where);
}

void Wire::silent(Where where) {
  if (sent_.empty()) return;
  fail("unexpected " + Codec::describe(sent_.front().segment, flow().numbering), where);
}

// ---- time
// ------------------------------------------------------------------------------------------------------------

void Wire::advance(Duration span, Where where) {
  silent(where);
  start();
  note(fmt::format("+{} ms", std::chrono::duration<double, std::milli>(span).count()), where);
  const Instant end = now_ + span;
  int steps = 0;
  while (true) {
    const Instant next = stack_->next_deadline();
    if (next > end) break;
    if (next < now_ && ++steps > 1000) fail("next_deadline() stays in the past", where);
    now_ = std::max(now_, next);
    stack_->handle_deadline(now_);
    pump(where);
    if (!sent_.empty() && now_ < end)
      fail(fmt::format("too early by {} ms: {}", std::chrono::duration<double, std::milli>(end - now_).count(),
                       Codec::describe(sent_.front().segment, flow().numbering)),
           where);
    if (!sent_.empty()) break;
    if (now_ == end && ++steps > 1000) fail("next_deadline() does not move on", where);
  }
  now_ = end;
}

// ---- the application
// -------------------------------------------------------------------------------------------------

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
  listeners_[how.port] = must(stack_->listen(options), "listen", where);
  listening_ = how.port;
}

ListenerId Wire::listener(const Where& where) {
  if (!listeners_.contains(listening_)) fail("nobody listens", where);
  return listeners_[listening_];
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
  options.no_delay = how.no_delay;
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

void Wire::no_delay(bool on, Where where) {
  command(on ? "no delay" : "delay", where);
  must(stack_->set_no_delay(now_, flow().connection, on), "set_no_delay", where);
  pump(where);
}

// ---- events and state
// ------------------------------------------------------------------------------------------------

void Wire::collect_events() {
  while (const auto event = stack_->poll_event()) {
    if ((event->bits & event_bits::kAcceptable) != 0) listener_events_ |= event->bits;
    for (auto& [number, f] : flows_)
      if (event->connection.generation != 0 && f.connection == event->connection) f.events |= event->bits;
  }
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

// ---- Fast Open
// -------------------------------------------------------------------------------------------------------

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

void Wire::have_cookie(const FastOpenCookie& cookie, std::uint16_t mss, bool experimental) {
  FastOpenCacheEntry entry;
  entry.destination = flow().numbering.peer.address;
  entry.cookie = cookie;
  entry.mss = mss;
  entry.experimental = experimental;
  stack().set_fast_open_cache(entry);
}

std::optional<FastOpenCacheEntry> Wire::cached() {
  for (const FastOpenCacheEntry& entry : stack().fast_open_cache())
    if (entry.destination == flow().numbering.peer.address) return entry;
  return std::nullopt;
}

// ---- the runner
// ------------------------------------------------------------------------------------------------------

void Wire::note(std::string_view text, const Where& where) {
  const double seconds = std::chrono::duration<double>(now_ - started_).count();
  ladder_.push_back(fmt::format("  {:10.6f}  #{} {:<90} {}", seconds, current_, text, file_name(where)));
}

std::string Wire::ladder() const {
  constexpr std::size_t kShown = 60;
  const std::size_t skipped = ladder_.size() > kShown ? ladder_.size() - kShown : 0;
  std::string text = skipped > 0 ? fmt::format("  ({} lines before)\n", skipped) : "";
  for (std::size_t i = skipped; i < ladder_.size(); ++i) text += ladder_[i] + "\n";
  return text;
}

void Wire::fail(std::string text, const Where& where) { throw Mismatch{std::move(text), where}; }

void Wire::finish(const Where& where) {
  if (!stack_) fail("the test does nothing", where);
  silent(where);
  for (auto& [number, f] : flows_)
    if ((f.events & event_bits::kClosed) != 0)
      fail(fmt::format("connection #{} has ended, and the test does not say so", number), where);
}

void run(void (*body)(Wire&), const Where& where) {
  std::string report, others;
  Where failed_at = where;
  int failures = 0;
  for (const bool v6 : {false, true})
    for (const std::uint32_t own : {0u, 0x7fffffffu, 0xfffffffdu})
      for (const std::uint32_t peer : {0u, 0x7fffffffu, 0xfffffffdu})
        for (const bool split : {false, true}) {
          const Variant variant{v6, own, peer, split};
          Wire w(variant);
          try {
            body(w);
            w.finish(where);
          } catch (const Mismatch& mismatch) {
            if (++failures == 1) {
              failed_at = mismatch.where;
              report = fmt::format("[{}]\n{}  {}:\n     {}", variant.to_string(), w.ladder(), file_name(mismatch.where),
                                   mismatch.text);
            } else {
              others += fmt::format("\n  [{}] {}: {}", variant.to_string(), file_name(mismatch.where),
                                    mismatch.text.substr(0, mismatch.text.find('\n')));
            }
          }
        }
  if (failures == 36) others = "\n  and in all other variants";
  if (failures > 0) ADD_FAILURE_AT(failed_at.file_name(), static_cast<int>(failed_at.line())) << report << others;
}

}  // namespace ff::wiretest
