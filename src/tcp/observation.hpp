// Tells a TraceSink what one packet, call or time-out did to a connection, by comparing before and after: so the code
// that does it need not know that somebody listens.
#pragma once

#include <array>
#include <cstdint>

#include "firstflight/trace.hpp"
#include "tcp/environment.hpp"
#include "tcp/timers.hpp"

namespace ff::tcp {

class Connection;

// What is compared.
struct Observed {
  TcpState state;
  FastOpenOutcome fast_open;
  CaState ca_state;
  std::uint32_t cwnd, ssthresh;
  std::uint32_t lost;
  std::uint32_t total_retrans;
  std::uint64_t bytes_retrans;
  Timers timers;
};

// A packet that comes late may re-arm a timer that is due: only Connection::deadline() makes one run out.
enum class Cause : std::uint8_t { Deadline, Other };

class Observation {
 public:
  Observation(TraceSink* sink, Instant now, const Connection& connection, Cause cause) noexcept
      : sink_(sink), now_(now), connection_(connection), cause_(cause) {
    if (sink_ != nullptr) [[unlikely]]
      look();
  }
  ~Observation() {
    if (sink_ != nullptr) [[unlikely]]
      tell();
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

 private:
  void look() noexcept;
  void tell() const;
  void tell_timers(const Observed& after) const;
  void tell_fired(const Observed& after) const;
  [[nodiscard]] bool fired(TimerKind kind, const Observed& after) const noexcept {
    return cause_ == Cause::Deadline && before_.timers[kind] <= now_ && after.timers[kind] != before_.timers[kind];
  }
  template <typename Event>
  void say(const Event& event) const;

  TraceSink* sink_;
  Instant now_;
  const Connection& connection_;
  Cause cause_;
  union {
    Observed before_;  // set while somebody listens
  };
};

}  // namespace ff::tcp
