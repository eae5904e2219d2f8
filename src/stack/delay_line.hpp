// Packets on their way out that TCP_TX_DELAY keeps for a while.
#pragma once

#include <map>
#include <memory>

#include "firstflight/packet.hpp"
#include "firstflight/time.hpp"

namespace ff {

class DelayLine {
 public:
  // Empties `packet`. False, and it is lost: there are too many (as many as Linux's fq takes).
  bool keep(TxPacket& packet, Instant until) {
    if (waiting_.size() >= kMax) {
      packet.clear();
      return false;
    }
    auto kept = std::make_unique<TxPacket>();
    kept->take(packet);
    waiting_.emplace(until, std::move(kept));
    return true;
  }
  // The next that has waited long enough; those of the same time in the order in which they came.
  bool take(Instant now, TxPacket& packet) {
    if (waiting_.empty() || waiting_.begin()->first > now) return false;
    packet.take(*waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    return true;
  }
  [[nodiscard]] Instant next() const noexcept { return waiting_.empty() ? kNever : waiting_.begin()->first; }

 private:
  static constexpr std::size_t kMax = 10'000;
  std::multimap<Instant, std::unique_ptr<TxPacket>> waiting_;
};

}  // namespace ff
