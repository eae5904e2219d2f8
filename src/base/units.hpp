// Quantities that are not plain byte counts. The rule of the code base: an unsigned integer without a type of its own
// counts bytes; windows as they stand on the wire, sequence numbers, times and timestamps have types.
#pragma once

#include <algorithm>
#include <cstdint>

#include "firstflight/time.hpp"

namespace ff {

// The shift count of RFC 7323 §2.3, at most 14.
struct WindowScale {
  static constexpr std::uint8_t kMax = 14;
  std::uint8_t shift = 0;
  friend constexpr bool operator==(WindowScale, WindowScale) noexcept = default;
};

// The 16 bits of a segment's window field, not yet scaled.
struct WireWindow {
  std::uint16_t raw = 0;

  [[nodiscard]] constexpr std::uint32_t bytes(WindowScale scale) const noexcept {
    return static_cast<std::uint32_t>(raw) << scale.shift;
  }
  // The largest window that can be told of `bytes`, rounded down to what the scale can say.
  static constexpr WireWindow of(std::uint32_t bytes, WindowScale scale) noexcept {
    return {static_cast<std::uint16_t>(std::min<std::uint32_t>(bytes >> scale.shift, 0xffff))};
  }
  friend constexpr bool operator==(WireWindow, WireWindow) noexcept = default;
};

// A value of the timestamp clock of RFC 7323 §5: milliseconds, modulo 2^32, with an offset of each side's choice.
class Timestamp {
 public:
  constexpr Timestamp() noexcept = default;
  constexpr explicit Timestamp(std::uint32_t raw) noexcept : raw_(raw) {}
  [[nodiscard]] constexpr std::uint32_t raw() const noexcept { return raw_; }

  // Ticks that `a` lies ahead of `b`.
  friend constexpr std::int32_t operator-(Timestamp a, Timestamp b) noexcept {
    return static_cast<std::int32_t>(a.raw_ - b.raw_);
  }
  friend constexpr bool operator==(Timestamp, Timestamp) noexcept = default;

 private:
  std::uint32_t raw_ = 0;
};

}  // namespace ff
