#include "wire/language.hpp"

#include <fmt/format.h>

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

}  // namespace

std::string Variant::to_string() const {
  return fmt::format("{}, our ISN {:#x}, the peer's {:#x}, {}", v6 ? "IPv6" : "IPv4", own_isn, peer_isn,
                     split ? "split" : "whole");
}

Wire::Wire(const Variant& variant) : variant_(variant) {
  settings_.tcp_moderate_rcvbuf = false;      // receive windows that follow from the buffer's size alone
  settings_.tcp_congestion_control = "reno";  // congestion windows that the reader can reckon with in his head
  settings_.tcp_rmem.max = 6291456;           // a window scale of 7
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

// ---- connections ----

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

// ---- packets ----

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
  Observed segment = Codec::decode(packet, static_cast<std::uint8_t>(settings_.ip_default_ttl), !may_be_fragmented_);
  segment.faults.insert(segment.faults.end(), faults.begin(), faults.end());
  if (may_be_fragmented_ && !segment.payload.empty()) {
    if (next_identification_.value_or(segment.identification) != segment.identification)
      segment.faults.push_back(fmt::format("IPv4 identification {}", segment.identification));
    // A device that cuts a super-segment counts on.
    const std::uint32_t packets = tx.segment_size == 0 ? 1 : (tx.payload_size + tx.segment_size - 1) / tx.segment_size;
    if (segment.source.is_v4()) next_identification_ = static_cast<std::uint16_t>(segment.identification + packets);
  }
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

void Wire::device_full(bool full, Where where) {
  command(full ? "device full" : "device has room", where);
  device_full_ = full;
  pump(where);
}

void Wire::pump(const Where& where) {
  TxPacket packet;
  int count = 0;
  while (!device_full_ && stack_->poll_transmit(now_, packet)) {
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

// ---- time ----

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

// ---- the runner ----

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
