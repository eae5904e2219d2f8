// SYN cookies (RFC 4987 §3.6): where the SYN queue is full, nothing is kept of a SYN. All that a connection needs to
// know of it returns with the last ACK of the handshake: the MSS in the initial sequence number that we chose, window
// scale, SACK and ECN in the lowest bits of the timestamp that the peer echoes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/seq.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"
#include "firstflight/time.hpp"
#include "tcp/handshake.hpp"

namespace ff::tcp {

class SynCookies {
 public:
  // A cookie counts in the minute in which it was made and in the one after.
  static constexpr Duration kPeriod = std::chrono::minutes(1);
  static constexpr Duration kValid = 2 * kPeriod;

  explicit SynCookies(const SipHashKey& key) noexcept : key_(key) {}

  // The initial sequence number that stands for a SYN with number `irs` from a peer that can take `peer_mss`.
  [[nodiscard]] Seq make(const FourTuple& tuple, Seq irs, std::uint16_t peer_mss, Instant now) const noexcept;
  // The MSS that it stands for, which may be a little less than it was; nothing when it is no cookie of ours.
  [[nodiscard]] std::optional<std::uint16_t> check(const FourTuple& tuple, Seq irs, Seq cookie,
                                                   Instant now) const noexcept;

 private:
  [[nodiscard]] Seq hash(const FourTuple& tuple, Seq irs, std::int64_t period) const noexcept;
  SipHashKey key_;
};

// What to add to the offset of our timestamps so that the one of `now` tells what was agreed on; it is at most 63 ms
// early.
std::uint32_t cookie_timestamp_shift(Instant now, const Agreed& agreed) noexcept;
// What a timestamp of ours, without its offset, tells. Filled in are window scaling, SACK and ECN.
Agreed agreed_in_timestamp(Timestamp echo) noexcept;

}  // namespace ff::tcp
