// What one acknowledgement says has arrived, put together by the scoreboard: what RACK, the round-trip time, the
// detection of reordering and the arrivals rate go by.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/seq.hpp"
#include "firstflight/time.hpp"

namespace ff::tcp {

// One time that something went out.
struct Transmission {
  Instant sent_at{};
  // What the sender knew then: draft-ietf-ccwg-bbr §4.1.2 (P.delivered and its companions).
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;
  Instant delivered_at{};
  Instant first_sent_at{};
  std::uint32_t in_flight = 0;  // this included
  bool app_limited = false;
  bool pushed = false;    // with PSH
  std::uint16_t mss = 1;  // of its segments
};

// Whether what ends at `end`, sent at `sent_at`, went out after the other (RFC 8985 §6.2, RACK_sent_after).
constexpr bool sent_after(Instant sent_at, Seq end, Instant other_sent_at, Seq other_end) noexcept {
  return sent_at > other_sent_at || (sent_at == other_sent_at && after(end, other_end));
}

struct Arrivals {
  // ---- given
  Instant now{};
  Duration min_rtt{};  // zero: none is known
  // The echo tells when, at the latest in its tick, what it is for went out; only where timestamps are in use.
  std::optional<Instant> echo_sent_before;

  // ---- found
  std::uint32_t acked = 0;         // of sequence space, cumulatively
  std::uint32_t arrived = 0;       // of sequence space, not known to have arrived before
  std::uint32_t sacked = 0;        // of that, by SACK
  bool retransmitted = false;      // of what was acknowledged cumulatively, something had been sent more than once
  bool original = false;           // something that was sent only once arrived
  Seq lowest_original;             // the lowest such
  Instant first_sent_at = kNever;  // the oldest such that was acknowledged cumulatively
  Instant first_sacked_sent_at = kNever;  // the oldest such that was SACKed
  bool known = false;                     // the following are
  Transmission newest;
  Seq newest_end;
  bool newest_resent = false;
  // The highest in the sequence that was acknowledged cumulatively, or if nothing was, that was SACKed.
  Instant highest_sent_at{};
  Seq highest_end;
  bool highest_sacked = false;

  // [first, end), last sent as `how` says, arrived.
  void add(Seq first, Seq end, const Transmission& how, bool resent, bool by_sack) noexcept {
    const auto bytes = static_cast<std::uint32_t>(end - first);
    arrived += bytes;
    if (by_sack) sacked += bytes;
    if (resent) {
      retransmitted |= !by_sack;
      if (ambiguous(how, by_sack)) return;
    } else {
      if (!original || before(first, lowest_original)) lowest_original = first;
      original = true;
      Instant& oldest = by_sack ? first_sacked_sent_at : first_sent_at;
      oldest = std::min(oldest, how.sent_at);
    }
    if (!known || (by_sack ? highest_sacked && after(end, highest_end) : highest_sacked || after(end, highest_end))) {
      highest_sent_at = how.sent_at;
      highest_end = end;
      highest_sacked = by_sack;
    }
    if (known && !sent_after(how.sent_at, end, newest.sent_at, newest_end)) return;
    known = true;
    newest = how;
    newest_end = end;
    newest_resent = resent;
  }

 private:
  // RFC 8985 §6.2 step 2: the acknowledgement of a retransmission may be for what was sent before it.
  // What arrives ahead of a gap is not echoed (RFC 7323 §4.3).
  [[nodiscard]] bool ambiguous(const Transmission& how, bool by_sack) const noexcept {
    if (!by_sack && echo_sent_before && *echo_sent_before <= how.sent_at) return true;
    return now - how.sent_at < min_rtt;
  }
};

}  // namespace ff::tcp
