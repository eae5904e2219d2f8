// How much of what was sent has arrived, and when: the sender's clock of round trips, and of the rate at which the path
// delivers (draft-ietf-ccwg-bbr §4.1).
#pragma once

#include <cstdint>

#include "tcp/arrivals.hpp"

namespace ff::tcp {

class DeliveryRate {
 public:
  // Something goes out while so many bytes, itself included, are in the network.
  [[nodiscard]] Transmission transmission(Instant now, std::uint32_t in_flight, std::uint32_t length) noexcept {
    if (in_flight <= length) first_sent_at_ = delivered_at_ = now;  // from idle
    return {now, delivered_, lost_, delivered_at_, first_sent_at_, in_flight, false};
  }
  void lost(std::uint32_t bytes) noexcept { lost_ += bytes; }
  // True when this begins a round trip: something arrived that was sent when the one before had begun already.
  bool arrived(const Arrivals& arrivals) noexcept {
    if (arrivals.arrived == 0) return false;
    delivered_ += arrivals.arrived;
    delivered_at_ = arrivals.now;
    if (!arrivals.known) return false;
    first_sent_at_ = arrivals.newest.sent_at;
    if (arrivals.newest.delivered < round_end_) return false;
    round_end_ = delivered_;
    return true;
  }

 private:
  std::uint64_t delivered_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t round_end_ = 0;  // a round trip is over when what was sent with so much delivered has arrived
  Instant delivered_at_{};
  Instant first_sent_at_{};
};

}  // namespace ff::tcp
