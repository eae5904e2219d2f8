// Sequence numbers (RFC 9293 §3.4): modulo 2^32, so that only distances and ranges make sense, never sums or plain
// order.
#pragma once

#include <cstdint>

namespace ff {

class Seq {
 public:
  constexpr Seq() noexcept = default;
  constexpr explicit Seq(std::uint32_t raw) noexcept : raw_(raw) {}
  [[nodiscard]] constexpr std::uint32_t raw() const noexcept { return raw_; }

  // How far `a` lies ahead of `b`; negative when behind. Right as long as the two are within 2^31 of each other.
  friend constexpr std::int32_t operator-(Seq a, Seq b) noexcept { return static_cast<std::int32_t>(a.raw_ - b.raw_); }
  friend constexpr Seq operator+(Seq a, std::uint32_t bytes) noexcept { return Seq(a.raw_ + bytes); }
  friend constexpr Seq operator-(Seq a, std::uint32_t bytes) noexcept { return Seq(a.raw_ - bytes); }
  constexpr Seq& operator+=(std::uint32_t bytes) noexcept {
    raw_ += bytes;
    return *this;
  }
  friend constexpr bool operator==(Seq, Seq) noexcept = default;
  // There is no operator<: write before(), after(), at_or_before(), at_or_after().

 private:
  std::uint32_t raw_ = 0;
};

constexpr bool before(Seq a, Seq b) noexcept { return a - b < 0; }
constexpr bool after(Seq a, Seq b) noexcept { return a - b > 0; }
constexpr bool at_or_before(Seq a, Seq b) noexcept { return a - b <= 0; }
constexpr bool at_or_after(Seq a, Seq b) noexcept { return a - b >= 0; }
constexpr Seq later_of(Seq a, Seq b) noexcept { return after(a, b) ? a : b; }
// first <= s < end
constexpr bool in_range(Seq s, Seq first, Seq end) noexcept {
  return static_cast<std::uint32_t>(s - first) < static_cast<std::uint32_t>(end - first);
}

}  // namespace ff
