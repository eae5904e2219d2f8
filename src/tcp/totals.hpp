// What a connection has carried so far: counts that decide nothing, for struct tcp_info.
#pragma once

#include <cstdint>

#include "firstflight/connection_info.hpp"
#include "firstflight/time.hpp"
#include "tcp/segment.hpp"

namespace ff::tcp {

struct Totals {
  std::uint32_t segs_in = 0, segs_out = 0;
  std::uint32_t data_segs_in = 0, data_segs_out = 0;
  std::uint32_t delivered = 0;     // segments of ours that arrived
  std::uint32_t delivered_ce = 0;  // of them, acknowledged with ECN's echo
  std::uint32_t rcv_ooopack = 0;   // that came ahead of a gap
  std::uint32_t rcv_drops = 0;     // for which there was no room
  Instant last_data_recv{};
  Instant last_ack_recv{};

  void received(const Segment& segment, Instant now) noexcept {
    segs_in += segment.count;
    if (segment.flags.ack()) last_ack_recv = now;
    if (segment.payload.empty()) return;
    data_segs_in += segment.count;
    last_data_recv = now;
  }
  void sent(std::uint32_t segments, bool data) noexcept {
    segs_out += segments;
    if (data) data_segs_out += segments;
  }

  void put_into(ConnectionInfo& info) const noexcept {
    info.segs_in = segs_in;
    info.segs_out = segs_out;
    info.data_segs_in = data_segs_in;
    info.data_segs_out = data_segs_out;
    info.delivered = delivered;
    info.delivered_ce = delivered_ce;
    info.rcv_ooopack = rcv_ooopack;
    info.rcv_drops = rcv_drops;
    info.last_data_recv = last_data_recv;
    info.last_ack_recv = last_ack_recv;
  }
};

}  // namespace ff::tcp
