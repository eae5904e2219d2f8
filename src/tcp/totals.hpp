// What a connection has carried so far, and what held it up: counts that decide nothing, for struct tcp_info.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "firstflight/connection_info.hpp"
#include "firstflight/time.hpp"
#include "tcp/segment.hpp"

namespace ff::tcp {

// How long what kept a sender from being done.
class SendClock {
 public:
  using Limit = SendLimit;

  // From now on it is `limit`; until now it was what it was.
  void turn(Limit limit, Instant now) noexcept {
    if (limit == limit_) return;
    // In whole units, so that many short times add up to what they are.
    const auto units = static_cast<std::uint32_t>((now - since_).count() >> kShift);
    if (limit_ != Limit::Idle) spent_[static_cast<std::size_t>(limit_) - 1] += units;
    since_ = limit_ == Limit::Idle ? now : since_ + Duration(std::int64_t{units} << kShift);
    limit_ = limit;
  }
  [[nodiscard]] Limit limit() const noexcept { return limit_; }
  [[nodiscard]] Instant since() const noexcept { return since_; }
  [[nodiscard]] Duration spent(Limit limit) const noexcept {
    return Duration(std::int64_t{spent_[static_cast<std::size_t>(limit) - 1]} << kShift);
  }

 private:
  static constexpr int kShift = 20;  // units of about a millisecond, which last for 52 days
  std::array<std::uint32_t, 3> spent_{};
  Instant since_{};
  Limit limit_ = Limit::Idle;
};

struct Totals {
  std::uint32_t segs_in = 0, segs_out = 0;
  std::uint32_t data_segs_in = 0, data_segs_out = 0;
  std::uint32_t delivered = 0;     // segments of ours that arrived
  std::uint32_t delivered_ce = 0;  // of them, acknowledged with ECN's echo
  std::uint32_t dsack_dups = 0;    // reports of data that arrived twice
  std::uint32_t reord_seen = 0;    // times that data was seen to arrive out of order
  std::uint32_t rcv_ooopack = 0;   // that came ahead of a gap
  std::uint32_t rcv_drops = 0;     // for which there was no room
  // RFC 6298 time-outs: how many, in how many rows, and milliseconds from the first of a row to its end.
  std::uint16_t rto = 0, rto_recoveries = 0;
  std::uint32_t rto_time = 0;
  SendClock send_clock;
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

  void timed_out(bool first_of_row) noexcept {
    constexpr auto kMost = std::numeric_limits<std::uint16_t>::max();
    if (rto < kMost) ++rto;
    if (first_of_row && rto_recoveries < kMost) ++rto_recoveries;
  }
  void recovered_from_timeouts(Duration since_the_first) noexcept {
    rto_time +=
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_the_first).count());
  }

  void put_into(ConnectionInfo& info) const noexcept {
    info.segs_in = segs_in;
    info.segs_out = segs_out;
    info.data_segs_in = data_segs_in;
    info.data_segs_out = data_segs_out;
    info.delivered = delivered;
    info.delivered_ce = delivered_ce;
    info.dsack_dups = dsack_dups;
    info.reord_seen = reord_seen;
    info.rcv_ooopack = rcv_ooopack;
    info.rcv_drops = rcv_drops;
    info.total_rto = rto;
    info.total_rto_recoveries = rto_recoveries;
    info.total_rto_time = std::chrono::milliseconds(rto_time);
    info.rwnd_limited = send_clock.spent(SendClock::Limit::ReceiveWindow);
    info.sndbuf_limited = send_clock.spent(SendClock::Limit::SendBuffer);
    info.busy_time = send_clock.spent(SendClock::Limit::Busy) + info.rwnd_limited + info.sndbuf_limited;
    info.send_limit = send_clock.limit();
    info.send_limit_since = send_clock.since();
    info.last_data_recv = last_data_recv;
    info.last_ack_recv = last_ack_recv;
  }
};

}  // namespace ff::tcp
