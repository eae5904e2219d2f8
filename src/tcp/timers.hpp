// The timers of one connection: a deadline for each kind, of which the stack's wheel knows the first.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "firstflight/time.hpp"

namespace ff::tcp {

enum class TimerKind : std::uint8_t {
  Retransmit,  // RFC 6298 §5; also of SYN, SYN-ACK and FIN
  LossProbe,   // RFC 8985 §7
  Reorder,     // RFC 8985 §6.3
  Persist,     // window probes (RFC 9293 §3.8.6.1)
  DelayedAck,  // RFC 9293 §3.8.6.3
  Close,       // how long close() may wait, and how long an orphan may stay in FIN_WAIT_2
  Keepalive,   // RFC 9293 §3.8.4
  Pacing,      // more may go out
  kCount
};

constexpr std::string_view name_of(TimerKind kind) noexcept {
  switch (kind) {
    case TimerKind::Retransmit:
      return "retransmit";
    case TimerKind::LossProbe:
      return "loss-probe";
    case TimerKind::Reorder:
      return "reorder";
    case TimerKind::Persist:
      return "persist";
    case TimerKind::DelayedAck:
      return "delayed-ack";
    case TimerKind::Close:
      return "close";
    case TimerKind::Keepalive:
      return "keepalive";
    case TimerKind::Pacing:
      return "pacing";
    case TimerKind::kCount:
      break;
  }
  return "";
}

class Timers {
 public:
  [[nodiscard]] Instant operator[](TimerKind kind) const noexcept { return at_[index(kind)]; }
  [[nodiscard]] bool armed(TimerKind kind) const noexcept { return at_[index(kind)] != kNever; }
  void arm(TimerKind kind, Instant deadline) noexcept { at_[index(kind)] = deadline; }
  void cancel(TimerKind kind) noexcept { at_[index(kind)] = kNever; }
  void cancel_all() noexcept { at_.fill(kNever); }
  [[nodiscard]] Instant first() const noexcept { return *std::min_element(at_.begin(), at_.end()); }

  // True, once, when the timer is due.
  bool take(TimerKind kind, Instant now) noexcept {
    if (at_[index(kind)] > now) return false;
    cancel(kind);
    return true;
  }

  static constexpr std::size_t kKinds = static_cast<std::size_t>(TimerKind::kCount);

 private:
  static constexpr std::size_t index(TimerKind kind) noexcept { return static_cast<std::size_t>(kind); }
  std::array<Instant, kKinds> at_ = [] {
    std::array<Instant, kKinds> never;
    never.fill(kNever);
    return never;
  }();
};

}  // namespace ff::tcp
