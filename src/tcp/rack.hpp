// RACK (RFC 8985 §6): a segment is lost when one that was sent later has arrived and, since then, as much time has
// passed as reordering may take on this path.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tcp/arrivals.hpp"

namespace ff::tcp {

class Rack {
 public:
  // Nothing has arrived yet that would tell.
  [[nodiscard]] bool known() const noexcept { return known_; }
  [[nodiscard]] Instant sent_at() const noexcept { return sent_at_; }
  [[nodiscard]] Seq end() const noexcept { return end_; }
  [[nodiscard]] Duration rtt() const noexcept { return rtt_; }
  // Something was late here, and need not have been.
  [[nodiscard]] bool reordering_seen() const noexcept { return reordering_seen_; }
  // By how many segments, as far as is known of this path; 0: nothing is.
  [[nodiscard]] std::uint16_t reordering() const noexcept { return reordering_; }

  // §6.2 step 2; but its round trip is that of what was sent last, and Linux's that of the highest in the sequence:
  // where a hole was filled, that is what waited behind it, and RACK is the more patient.
  void update(const Arrivals& arrivals) noexcept {
    if (!arrivals.known) return;
    known_ = true;
    rtt_ = arrivals.now - arrivals.highest_sent_at;
    if (!sent_after(arrivals.newest.sent_at, arrivals.newest_end, sent_at_, end_)) return;
    sent_at_ = arrivals.newest.sent_at;
    end_ = arrivals.newest_end;
  }

  // §6.2 step 3.
  void see_reordering(std::uint32_t segments) noexcept {
    reordering_seen_ = true;
    expect_reordering(segments);
  }
  void expect_reordering(std::uint32_t segments) noexcept {
    reordering_ = std::max(reordering_, static_cast<std::uint16_t>(std::min(segments, kMostReordering)));
  }

  // §6.2 step 4. A duplicate was reported: a retransmission was needless, so the path reorders by more than was
  // allowed for. Once in a round trip.
  void duplicate_reported(Seq una, Seq nxt) noexcept {
    if (in_dsack_round_ && before(una, dsack_round_end_)) return;
    in_dsack_round_ = true;
    dsack_round_end_ = nxt;
    if (steps_ < kMostSteps) ++steps_;
    persist_ = kPersist;
  }
  // A recovery ended without having been needless. After sixteen such the window is narrow again.
  void recovered() noexcept {
    if (persist_ == 0) return;
    if (--persist_ == 0) steps_ = 1;
  }
  // `impatient`: losses are known of already, or three segments above a hole have arrived.
  [[nodiscard]] Duration reordering_window(bool impatient, bool fixed, Duration min_rtt, Duration srtt) const noexcept {
    if (!reordering_seen_ && impatient) return Duration::zero();
    return std::min(min_rtt / 4 * (fixed ? 1 : steps_), srtt);
  }

 private:
  static constexpr std::uint8_t kPersist = 16;
  static constexpr std::uint8_t kMostSteps = 255;
  static constexpr std::uint32_t kMostReordering = 300;  // Linux's tcp_max_reordering

  Instant sent_at_{};  // of what was sent last among all that arrived
  Seq end_;
  Duration rtt_{};
  Seq dsack_round_end_;
  bool known_ = false;
  bool in_dsack_round_ = false;
  bool reordering_seen_ = false;
  std::uint8_t steps_ = 1;  // of a quarter of the round trip
  std::uint8_t persist_ = 0;
  std::uint16_t reordering_ = 0;
};

}  // namespace ff::tcp
