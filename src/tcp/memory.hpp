// The memory of all connections of a stack, and Linux's tcp_mem over it: three bounds in pages. Above the second there
// is pressure until it is below the first: buffers stop growing, and who holds more than its share gets no more. Above
// the third nobody does.
#pragma once

#include <cstdint>
#include <optional>

#include "base/held_memory.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"

namespace ff::tcp {

class Memory {
 public:
  static constexpr std::uint64_t kPage = 4096;

  SlabPool small_slabs{4096, 256};  // for what the application writes, and tiny payloads that arrive
  HeldMemory held;
  std::uint32_t sockets = 0;  // that share it

  [[nodiscard]] bool under_pressure() const noexcept { return pressure_since_.has_value(); }
  // How often there was pressure.
  [[nodiscard]] std::uint64_t episodes() const noexcept { return episodes_; }
  [[nodiscard]] bool exhausted(const MemoryLimits& limits) const noexcept {
    return held.bytes() > std::uint64_t{limits.high} * kPage;
  }
  // Bytes up to the third bound.
  [[nodiscard]] std::uint64_t left(const MemoryLimits& limits) const noexcept {
    const std::uint64_t high = std::uint64_t{limits.high} * kPage;
    return high > held.bytes() ? high - held.bytes() : 0;
  }

  // Whether a socket that holds `its` bytes may have more; with less than `least` it may as long as anybody may.
  bool admits(std::uint64_t its, std::uint32_t least, Instant now, const MemoryLimits& limits,
              Counters& counters) noexcept {
    if (held.bytes() <= std::uint64_t{limits.low} * kPage && !under_pressure()) [[likely]]
      return true;
    return admits_beyond_low(its, least, now, limits, counters);
  }
  // Ends the pressure where so much has become free.
  void relax(Instant now, const MemoryLimits& limits, Counters& counters) noexcept;

 private:
  bool admits_beyond_low(std::uint64_t its, std::uint32_t least, Instant now, const MemoryLimits& limits,
                         Counters& counters) noexcept;

  std::optional<Instant> pressure_since_;
  std::uint64_t episodes_ = 0;
};

}  // namespace ff::tcp
