// What of the bytes between SND.UNA and SND.NXT has arrived out of order, what is believed lost, and when each was last
// sent (RFC 6675 §3, RFC 8985 §5.2).
//
// Segments go out first in the order of their sequence numbers, so that one queue is in the order of both, and "sent
// long ago" is a part at its front: RACK judges every byte once. What has been sent again, and what was SACKed or lost,
// is kept as stretches beside it, which are few. What one acknowledgement is about lies beside what the one before was
// about, and searches begin there: so it costs the same whatever the window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/interval_set.hpp"
#include "base/ring.hpp"
#include "base/seq.hpp"
#include "firstflight/time.hpp"
#include "tcp/arrivals.hpp"

namespace ff::tcp {

class Scoreboard {
 public:
  [[nodiscard]] bool empty() const noexcept { return sent_.empty(); }
  [[nodiscard]] std::uint32_t lost() const noexcept { return lost_.total(); }
  [[nodiscard]] std::uint32_t sacked() const noexcept { return sacked_.total(); }
  // Behind the last byte that was SACKed; only while something is.
  [[nodiscard]] Seq highest_sacked() const noexcept { return sacked_.back().end; }
  [[nodiscard]] bool is_sacked(Seq seq) const noexcept { return sacked_.contains(seq); }
  [[nodiscard]] const IntervalSet& sacked_stretches() const noexcept { return sacked_; }
  // At least so many segments were SACKed.
  [[nodiscard]] bool has_sacked_segments(std::uint32_t count, std::uint32_t mss) const noexcept;

  // ---- sending
  void sent(Seq first, Seq end, const Transmission& how);
  // The first stretch that is believed lost: at most `limit` long. As Linux, what was sent together goes again
  // together, and nothing more with it, unless it is less than a segment.
  struct Stretch {
    Seq first;
    std::uint32_t length;
  };
  [[nodiscard]] std::optional<Stretch> first_lost(std::uint32_t limit, std::uint32_t mss) const noexcept;
  // Only if not empty.
  [[nodiscard]] Instant first_sent_at() const noexcept { return sent_.front().how.sent_at; }
  // A segment that went out with PSH ended here; only for what was sent.
  [[nodiscard]] bool pushed_at(Seq end) const noexcept {
    const Sent& last = sent_[sent_holding(end - 1u)];
    return last.end == end && last.how.pushed;
  }
  [[nodiscard]] std::uint32_t resent_in_flight() const noexcept;
  // How the last of what is believed lost went out at first; only while something is.
  [[nodiscard]] const Transmission& last_lost() const noexcept {
    return sent_[sent_holding(lost_.back().end - 1u)].how;
  }
  // The last segment of what was sent; only if not empty.
  [[nodiscard]] Stretch last_segment(std::uint32_t mss) const noexcept {
    const Sent& last = sent_.back();
    const auto length = static_cast<std::uint32_t>(last.end - last.first);
    const std::uint32_t tail = (length - 1) % mss + 1;
    return {last.end - tail, tail};
  }
  // [first, end) went out again.
  void resent(Seq first, Seq end, const Transmission& how);

  // ---- what arrived
  void acknowledge(Seq ack, Arrivals& arrivals);
  // [first, end) was SACKed: all of it lies between what is acknowledged and what was sent. As Linux, what of it is but
  // a part of a segment does not count: receivers SACK what they received.
  void sack(Seq first, Seq end, Arrivals& arrivals);

  // ---- what did not
  struct Detected {
    std::optional<Instant> may_come;  // when something was sent that went out before `newest` and may still come
    std::uint32_t repeats_lost = 0;   // bytes sent again that are lost again
  };
  // Of what is neither SACKed nor marked yet: marks what was sent before `newest`, and at `horizon` or before (RFC 8985
  // §6.2 step 5).
  Detected detect_losses(Instant newest, Seq newest_end, Instant horizon);
  void mark_lost(Seq first, Seq end);
  // Marks everything that was last sent at `horizon` or before.
  void mark_lost_if_sent_by(Instant horizon);
  // What was marked may still come.
  void unmark_lost() noexcept { lost_.clear(); }
  // The receiver has thrown away what it had SACKed (RFC 2018 §8).
  void forget_sacked() noexcept { sacked_.clear(); }

  void clear() noexcept;
  // `una` and `nxt` are what the sender thinks them to be.
  [[nodiscard]] std::string check(Seq una, Seq nxt) const;

 private:
  // A (super-)segment as it went out for the first time.
  struct Sent {
    Seq first;
    Seq end;
    Transmission how;
  };
  // The last time that a stretch went out again. SACKed and acknowledged bytes are taken out.
  using Resent = Sent;
  struct ResentAt {
    Seq first;
    Seq end;
    Instant sent_at;
  };

  [[nodiscard]] std::size_t sent_holding(Seq seq) const noexcept;
  [[nodiscard]] std::size_t sent_by(Instant time, std::size_t near) const noexcept;
  [[nodiscard]] std::size_t first_resent_ending_after(Seq seq) const noexcept;
  [[nodiscard]] const Sent& last_carrier_of(Seq seq) const noexcept;
  template <typename Each>
  void take_resent(Seq first, Seq end, Each&& each);
  void arrived(Seq first, Seq end, Arrivals& arrivals, bool by_sack);
  void arrived_original(Seq first, Seq end, Arrivals& arrivals, bool by_sack);
  void drop_front(Seq ack) noexcept;
  void judge(Seq first, Seq end);

  Ring<Sent> sent_;  // in order, without gaps
  IntervalSet sacked_;
  IntervalSet lost_;             // and not sent again since
  Ring<Resent> resent_;          // in the order of sequence numbers, without overlap
  Ring<ResentAt> resent_order_;  // in the order of time; some of it may be in resent_ no more
  Seq judged_;                   // RACK has decided on what was sent first and lies below
  // Where in sent_ the last searches ended.
  struct Near {
    std::size_t arrival = 0, newest = 0, horizon = 0;
  };
  mutable Near near_;
};

}  // namespace ff::tcp
