// How much of what was sent has arrived, and when: the sender's clock of round trips, and the rate at which the path
// delivers (draft-ietf-ccwg-bbr-06 §4.1).
#pragma once

#include <algorithm>
#include <cstdint>

#include "firstflight/congestion_control.hpp"
#include "tcp/arrivals.hpp"

namespace ff::tcp {

class DeliveryRate {
 public:
  [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }
  // The last that could be told, bytes a second, and whether there was too little to send.
  [[nodiscard]] std::uint64_t latest() const noexcept { return latest_; }
  [[nodiscard]] bool latest_app_limited() const noexcept { return latest_app_limited_; }

  // Something goes out while so many bytes, itself included, are in the network.
  [[nodiscard]] Transmission transmission(Instant now, std::uint32_t in_flight, std::uint32_t length) noexcept {
    if (in_flight <= length) first_sent_at_ = delivered_at_ = now;  // from idle
    return {now, delivered_, lost_, delivered_at_, first_sent_at_, in_flight, app_limited_until_ != 0};
  }
  // There is nothing to send although more might be in the network: for the round trip to come, the rate tells what the
  // application does and not what the path can do (§4.1.1.3).
  void ran_dry(std::uint32_t in_flight) noexcept {
    app_limited_until_ = std::max<std::uint64_t>(delivered_ + in_flight, 1);
  }
  void lost(std::uint32_t bytes) noexcept { lost_ += bytes; }

  // Something arrived. Fills in what the sample says of the rate, and whether a round trip begins: something arrived
  // that was sent when the one before had begun already.
  void arrived(const Arrivals& arrivals, AckSample& sample) noexcept {
    sample.delivered = delivered_;
    if (arrivals.arrived == 0) return;
    delivered_ += arrivals.arrived;
    delivered_at_ = arrivals.now;
    sample.delivered = delivered_;
    if (app_limited_until_ != 0 && delivered_ > app_limited_until_) app_limited_until_ = 0;
    if (!arrivals.known) return;
    const Transmission& newest = arrivals.newest;
    first_sent_at_ = newest.sent_at;
    if (newest.delivered >= round_end_) {
      round_end_ = delivered_;
      sample.round_began = true;
    }
    sample.prior_delivered = newest.delivered;
    sample.lost = static_cast<std::uint32_t>(std::min<std::uint64_t>(lost_ - newest.lost, UINT32_MAX));
    sample.tx_in_flight = newest.in_flight;
    sample.newest_rtt = std::max(arrivals.now - newest.sent_at, Duration(1));
    sample.app_limited = newest.app_limited;
    sample.delivery_rate = rate_since(newest, arrivals);
    if (sample.delivery_rate == 0) return;
    latest_ = sample.delivery_rate;
    latest_app_limited_ = sample.app_limited;
  }
  // Something is lost, the last of which went out so.
  void fill(LossSample& sample, const Transmission& how) const noexcept {
    sample.delivered = delivered_;
    sample.lost = static_cast<std::uint32_t>(std::min<std::uint64_t>(lost_ - how.lost, UINT32_MAX));
    sample.tx_in_flight = how.in_flight;
    sample.app_limited = how.app_limited;
  }

 private:
  // §4.1.2.4: neither faster than it was sent nor than it arrived. A span shorter than any round trip took comes of a
  // retransmission taken for what it repeats.
  [[nodiscard]] std::uint64_t rate_since(const Transmission& newest, const Arrivals& arrivals) const noexcept {
    const Duration span = std::max(newest.sent_at - newest.first_sent_at, delivered_at_ - newest.delivered_at);
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(span).count();
    if (us <= 0 || span + std::chrono::microseconds(1) < arrivals.min_rtt) return 0;
    return (delivered_ - newest.delivered) * 1'000'000 / static_cast<std::uint64_t>(us);
  }

  std::uint64_t delivered_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t round_end_ = 0;          // a round trip is over when what was sent with so much delivered has arrived
  std::uint64_t app_limited_until_ = 0;  // the rate tells less than the path can until so much is delivered; 0: it does
  Instant delivered_at_{};
  Instant first_sent_at_{};
  std::uint64_t latest_ = 0;
  bool latest_app_limited_ = false;
};

}  // namespace ff::tcp
