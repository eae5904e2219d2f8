// What the two SYNs of a connection settle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/seq.hpp"
#include "base/units.hpp"
#include "firstflight/address.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/socket_options.hpp"
#include "tcp/ecn.hpp"
#include "tcp/emit.hpp"
#include "wire/tcp_options.hpp"

namespace ff::tcp {

// IP and TCP header without options.
inline std::uint32_t header_overhead(bool v4) noexcept {
  return static_cast<std::uint32_t>((v4 ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize) + wire::kTcpHeaderSize);
}
// RFC 9293 §3.7.1: what a peer without the option can take.
inline constexpr std::uint16_t kDefaultMss = 536;
inline constexpr std::uint16_t kDefaultMssV6 = 1220;
// NOP, NOP and the timestamps option.
inline constexpr std::uint32_t kTimestampsSize = 12;

// The path that a connection takes, as the network layer sees it.
struct Path {
  Delivery delivery;
  std::uint16_t mtu = 0;
  std::uint16_t max_mss = 0;            // TCP_MAXSEG; 0: as the MTU allows
  std::uint32_t max_super_segment = 0;  // IP header included

  // What the socket wants of it.
  void adopt(const SocketOptions& options, const Settings& settings) noexcept {
    max_mss = static_cast<std::uint16_t>(options.maxseg);
    delivery.ttl = static_cast<std::uint8_t>(options.ttl != 0 ? options.ttl : settings.ip_default_ttl);
    delivery.traffic_class = static_cast<std::uint8_t>(options.tos & 0xfc);
    delivery.may_fragment = options.path_mtu_discovery == PathMtuDiscovery::Dont;
  }

  [[nodiscard]] std::uint16_t mss(bool v4) const noexcept {
    const auto fits = static_cast<std::uint16_t>(mtu - header_overhead(v4));
    return max_mss > 0 ? std::min(fits, max_mss) : fits;
  }
};

// The receive buffer of a socket: SO_RCVBUF fixes it, TCP_WINDOW_CLAMP bounds it, and with it the window scale.
inline BufferSizes receive_buffer(const Settings& settings, const SocketOptions& options) noexcept {
  BufferSizes sizes = settings.tcp_rmem;
  if (options.rcvbuf != 0) sizes.initial = sizes.max = std::max(options.rcvbuf, sizes.min);
  if (options.window_clamp == 0) return sizes;
  return {sizes.min, std::min(sizes.initial, options.window_clamp), std::min(sizes.max, options.window_clamp)};
}

// What our SYN offers, or would offer.
struct Offer {
  bool timestamps = false;
  bool sack = false;
  bool window_scaling = false;
  bool ecn = false;  // agreed to; whether it is asked for is the connection's affair
  // tcp_min_snd_mss: a peer that asks for less would have us send headers only.
  std::uint16_t min_snd_mss = 48;

  static Offer of(const Settings& settings) noexcept {
    return {settings.tcp_timestamps, settings.tcp_sack, settings.tcp_window_scaling,
            settings.tcp_ecn != ecn_setting::kOff, static_cast<std::uint16_t>(settings.tcp_min_snd_mss)};
  }
};

// What both sides agreed on, and what the peer's SYN said.
struct Agreed {
  std::uint16_t peer_mss = kDefaultMss;
  bool timestamps = false;
  bool sack = false;
  bool window_scaling = false;
  bool ecn = false;
  WindowScale snd_scale;  // the peer's
  Timestamp ts_recent;

  static Agreed of(const Offer& offer, const Segment& syn, bool v4) noexcept {
    const wire::TcpOptions& peer = syn.options;
    Agreed agreed;
    agreed.peer_mss = std::max(peer.mss.value_or(v4 ? kDefaultMss : kDefaultMssV6), offer.min_snd_mss);
    agreed.timestamps = offer.timestamps && peer.timestamps.has_value();
    agreed.sack = offer.sack && peer.sack_permitted;
    agreed.window_scaling = offer.window_scaling && peer.window_scale.has_value();
    if (agreed.window_scaling) agreed.snd_scale = *peer.window_scale;
    if (peer.timestamps) agreed.ts_recent = peer.timestamps->value;
    agreed.ecn = offer.ecn && (syn.flags.ack() ? agrees_to_ecn(syn.flags) : asks_for_ecn(syn.flags, syn.ecn));
    return agreed;
  }
};

// The clock of RFC 7323 §5.4: a millisecond a tick, from a place that differs for each pair of hosts.
inline Timestamp timestamp_at(Instant now, std::uint32_t offset) noexcept {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return Timestamp(static_cast<std::uint32_t>(ms) + offset);
}

}  // namespace ff::tcp
