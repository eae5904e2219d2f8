#include "tcp/mtu_probing.hpp"

#include <algorithm>

#include "tcp/connection.hpp"

namespace ff::tcp {

using wire::TcpFlags;

namespace {
// RFC 4821 §7.4: three segments must be able to follow the probe, or its loss could not be told by duplicate ACKs.
constexpr std::uint32_t kFollowers = 4;
// As Linux: a loss costs least where much is in flight.
constexpr std::uint32_t kSmallestWindow = 11;
}  // namespace

// What a packet holds beside payload.
std::uint32_t Connection::packet_overhead() const noexcept {
  return header_overhead(tuple_.local.address.is_v4()) + (timestamps_ ? kTimestampsSize : 0);
}

// The largest packet that both the interface, or a router, and the peer allow.
std::uint16_t Connection::largest_packet() const noexcept {
  const std::uint32_t peer = peer_mss_ + header_overhead(tuple_.local.address.is_v4());
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(path_.mtu, peer));
}

void Connection::start_mtu_probing(Context& c) {
  const std::uint32_t base = c.env.settings.tcp_base_mss + packet_overhead();
  const std::uint16_t high = largest_packet();
  const auto low = static_cast<std::uint16_t>(std::min<std::uint32_t>(base, high));
  mtu_probing_ = std::make_unique<MtuProbing>(low, high, c.now);
}

// RFC 4821 §7.7: time-outs in a row may mean that the path swallows what is large. Where probing is on already, what
// was thought to pass may not do so any more: half of it.
void Connection::suspect_black_hole(Context& c) {
  const Settings& settings = c.env.settings;
  if (settings.tcp_mtu_probing == 0) return;
  if (mtu_probing_ == nullptr) {
    start_mtu_probing(c);
  } else {
    const std::uint32_t overhead = packet_overhead();
    const std::uint32_t half = (mtu_probing_->low() - std::min<std::uint32_t>(mtu_probing_->low(), overhead)) / 2;
    const std::uint32_t mss =
        std::max({std::min(settings.tcp_base_mss, half), settings.tcp_mtu_probe_floor, settings.tcp_min_snd_mss});
    mtu_probing_->lower_low(static_cast<std::uint16_t>(std::min<std::uint32_t>(mss + overhead, mtu_probing_->high())));
  }
  segment_size_changed();
}

// The payload of the next probe; nothing when the search has come to its end. After tcp_probe_interval it begins anew.
std::optional<std::uint32_t> Connection::next_mtu_probe(const Context& c) noexcept {
  MtuProbing& probing = *mtu_probing_;
  const Settings& settings = c.env.settings;
  if (probing.high() < probing.low() ||
      probing.high() - probing.low() < static_cast<int>(settings.tcp_probe_threshold)) {
    if (c.now - probing.began() >= std::chrono::seconds(settings.tcp_probe_interval))
      probing.begin(static_cast<std::uint16_t>(send_mss() + packet_overhead()), largest_packet(), c.now);
    return std::nullopt;
  }
  const std::uint32_t payload = probing.next() - packet_overhead();
  return payload > send_mss() ? std::optional(payload) : std::nullopt;
}

// Where the path may be probed now: Wait, when it is worth letting the window open for it (as Linux).
Connection::MtuProbe Connection::transmit_mtu_probe(Context& c, TxPacket& packet) {
  const std::uint32_t mss = send_mss();
  const bool calm = recovery_.state == CaState::Open && !rcv_.sack_pending() && !sends_urgent();
  if (mtu_probing_->under_way() || !calm || window_.cwnd < kSmallestWindow * mss) return MtuProbe::None;
  const auto payload = next_mtu_probe(c);
  if (!payload) return MtuProbe::None;
  const std::uint32_t needed = *payload + kFollowers * mss;
  if (snd_.unsent() < needed || snd_.window() < needed) return MtuProbe::None;
  if (snd_.usable_window() < needed) return MtuProbe::Wait;
  if (in_flight() + *payload > window_.cwnd) return in_flight() > 0 ? MtuProbe::Wait : MtuProbe::None;

  const Seq seq = snd_.nxt();
  if (snd_.gather(seq, *payload, packet) < *payload) {  // it lies in more pieces than a packet holds
    packet.clear();
    return MtuProbe::None;
  }
  record_sent(c, *payload, c.send_cache);
  mtu_probing_->sent(seq, snd_.nxt(), static_cast<std::uint16_t>(*payload + packet_overhead()));
  bytes_sent_ += *payload;
  c.env.counters.add(Counter::TcpExt_TCPOrigDataSent);
  last_sent_ = c.now;
  timers_.cancel(TimerKind::Persist);
  if (!timers_.armed(TimerKind::Retransmit)) timers_.arm(TimerKind::Retransmit, c.now + rto());
  emit_segment(c, seq, TcpFlags::kAck, packet, ecn_.agreed() ? wire::Ecn::Ect0 : wire::Ecn::NotEct, *payload);
  return MtuProbe::Sent;
}

void Connection::check_mtu_probe_passed(Context& c) {
  if (!mtu_probing_->acknowledged_by(snd_.una())) return;
  mtu_probing_->passed();
  c.env.counters.add(Counter::TcpExt_TCPMTUPSuccess);
}

// Duplicate ACKs point to the probe: too large, and no congestion (RFC 4821 §7.6.2). Its bytes go again in segments of
// the size that passes.
bool Connection::mtu_probe_was_lost(Context& c) {
  if (mtu_probing_ == nullptr || !mtu_probing_->begins_at(snd_.una())) return false;
  const std::uint32_t length = mtu_probing_->length();
  mtu_probing_->lost();
  c.env.counters.add(Counter::TcpExt_TCPMTUPFail);
  repeat_without_congestion(length);
  return true;
}

}  // namespace ff::tcp
