// Packetization-layer path MTU discovery (RFC 4821): now and then a segment larger than the others finds out whether
// the path carries it. No ICMP is needed, which some networks swallow as well as the packets that it would tell of. As
// Linux does it: a binary search between a size that is known to pass and one that may.
#pragma once

#include <cstdint>

#include "base/seq.hpp"
#include "firstflight/time.hpp"

namespace ff::tcp {

// Sizes are those of whole IP packets.
class MtuProbing {
 public:
  MtuProbing(std::uint16_t low, std::uint16_t high, Instant now) noexcept { begin(low, high, now); }
  void begin(std::uint16_t low, std::uint16_t high, Instant now) noexcept {
    low_ = low;
    high_ = high;
    began_ = now;
    size_ = 0;
  }

  // What ordinary segments may have.
  [[nodiscard]] std::uint16_t low() const noexcept { return low_; }
  [[nodiscard]] std::uint16_t high() const noexcept { return high_; }
  [[nodiscard]] std::uint16_t next() const noexcept { return static_cast<std::uint16_t>((low_ + high_) / 2); }
  // A search from the beginning may find that the path has changed.
  [[nodiscard]] Instant began() const noexcept { return began_; }
  // A router said so.
  void lower_high(std::uint16_t size) noexcept {
    if (size < high_) high_ = size;
    size_ = 0;
  }
  // Not even this has passed of late.
  void lower_low(std::uint16_t size) noexcept { low_ = size; }

  // ---- the probe that is under way ----
  void sent(Seq first, Seq end, std::uint16_t size) noexcept {
    first_ = first;
    end_ = end;
    size_ = size;
  }
  [[nodiscard]] bool under_way() const noexcept { return size_ != 0; }
  [[nodiscard]] bool begins_at(Seq seq) const noexcept { return under_way() && first_ == seq; }
  [[nodiscard]] bool acknowledged_by(Seq una) const noexcept { return under_way() && at_or_before(end_, una); }
  [[nodiscard]] std::uint32_t length() const noexcept { return static_cast<std::uint32_t>(end_ - first_); }
  void passed() noexcept {
    low_ = size_;
    size_ = 0;
  }
  void lost() noexcept {
    high_ = static_cast<std::uint16_t>(size_ - 1);
    size_ = 0;
  }
  // Everything was lost: that says nothing about sizes.
  void inconclusive() noexcept { size_ = 0; }

 private:
  std::uint16_t low_ = 0, high_ = 0;
  std::uint16_t size_ = 0;  // 0: none is under way
  Seq first_, end_;
  Instant began_{};
};

}  // namespace ff::tcp
