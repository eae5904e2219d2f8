// What a sender remembers while it repairs a loss, or believes that it does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/seq.hpp"
#include "firstflight/connection_info.hpp"
#include "firstflight/time.hpp"

namespace ff::tcp {

// Bits of net.ipv4.tcp_recovery. Its bit 0, RACK, is always on, as with Linux since 6.16.
namespace recovery_setting {
inline constexpr std::uint32_t kFixedWindow = 2;
inline constexpr std::uint32_t kNoDupThresh = 4;
}  // namespace recovery_setting

// Proportional Rate Reduction (RFC 6937): the window falls to ssthresh within a round trip, in step with what arrives,
// rather than all at once.
class Prr {
 public:
  void start(std::uint32_t cwnd) noexcept {
    prior_cwnd_ = std::max(cwnd, 1u);
    arrived_ = out_ = 0;
  }
  void sent(std::uint32_t bytes) noexcept { out_ += bytes; }

  // An acknowledgement came. `progress`: it acknowledged something cumulatively and showed no further loss. Returns the
  // window.
  [[nodiscard]] std::uint32_t window(std::uint32_t arrived, std::uint32_t in_flight, std::uint32_t ssthresh,
                                     std::uint32_t mss, bool progress) noexcept {
    arrived_ += arrived;
    std::uint64_t room = 0;
    if (in_flight > ssthresh) {
      // In whole segments, rounded up: half of one would wait for the next acknowledgement.
      const std::uint64_t share = (arrived_ * ssthresh + prior_cwnd_ - 1) / prior_cwnd_;
      const std::uint64_t due = (share + mss - 1) / mss * mss;
      room = due > out_ ? due - out_ : 0;
    } else {
      room = std::max<std::uint64_t>(arrived_ > out_ ? arrived_ - out_ : 0, arrived);
      if (progress) room += mss;
      room = std::min<std::uint64_t>(room, ssthresh - in_flight);
    }
    // The first retransmission goes whatever there is room for.
    if (out_ == 0) room = std::max<std::uint64_t>(room, mss);
    return in_flight + static_cast<std::uint32_t>(room);
  }

 private:
  std::uint64_t arrived_ = 0;  // since the reduction began
  std::uint64_t out_ = 0;
  std::uint32_t prior_cwnd_ = 1;
};

// Tells whether what was sent again had only been late, in which case the window was reduced for nothing: because the
// receiver reports every one of them as a duplicate (RFC 2883, RFC 3708), or because what it acknowledges carries a
// timestamp from before the first of them (RFC 3522, "Eifel").
class Undo {
 public:
  // `repeats`: bytes sent again before that are in flight still. What tells of them is no proof about what follows.
  void begin(Seq una, std::uint32_t cwnd, std::uint32_t ssthresh, std::uint32_t repeats) noexcept {
    armed_ = true;
    marker_ = una;
    prior_cwnd_ = cwnd;
    prior_ssthresh_ = ssthresh;
    repeated_ = repeats > 0 ? std::optional(repeats) : std::nullopt;
    if (repeats == 0) first_repeat_at_ = Instant{};
  }
  void end() noexcept { armed_ = false; }
  [[nodiscard]] bool armed() const noexcept { return armed_; }
  [[nodiscard]] std::uint32_t prior_cwnd() const noexcept { return prior_cwnd_; }
  [[nodiscard]] std::uint32_t prior_ssthresh() const noexcept { return prior_ssthresh_; }

  void resent(std::uint32_t bytes, Instant now) noexcept {
    if (armed_) repeated_ = repeated_.value_or(0) + bytes;
    if (first_repeat_at_ == Instant{}) first_repeat_at_ = now;
  }
  void duplicate_reported(Seq end, std::uint32_t bytes) noexcept {
    if (!armed_ || !repeated_ || !after(end, marker_)) return;
    *repeated_ -= std::min(*repeated_, bytes);
  }
  // Every byte that was sent again was reported as a duplicate.
  [[nodiscard]] bool all_were_duplicates() const noexcept { return armed_ && repeated_ == 0u; }
  // What was acknowledged now had been sent before anything was sent again. `echo_sent_before`: see Arrivals.
  [[nodiscard]] bool was_only_late(std::optional<Instant> echo_sent_before) const noexcept {
    return armed_ && first_repeat_at_ != Instant{} && echo_sent_before && *echo_sent_before <= first_repeat_at_;
  }

 private:
  bool armed_ = false;
  Seq marker_;
  std::uint32_t prior_cwnd_ = 0;
  std::uint32_t prior_ssthresh_ = 0;
  std::optional<std::uint32_t> repeated_;  // bytes sent again and not reported as duplicates; nothing: none was
  Instant first_repeat_at_{};
};

struct Recovery {
  CaState state = CaState::Open;
  Seq high;  // SND.NXT when it began: it is over when all below is acknowledged (RFC 6675 "RecoveryPoint")
  Prr prr;
  Undo undo;
  bool frto = false;             // the time-out may prove to have been needless (RFC 5682)
  bool send_new_first = false;   // to find that out: new data, although some is marked lost
  std::optional<Seq> probe_end;  // a tail loss probe is out: SND.NXT when it was sent (RFC 8985 §7)
  bool probe_repeated = false;   // and it was data that had been sent before
  bool reneged = false;          // the receiver has thrown away what it had SACKed

  // The window is on its way down.
  [[nodiscard]] bool reduces_window() const noexcept { return state == CaState::Cwr || state == CaState::Recovery; }
};

}  // namespace ff::tcp
