// Explicit Congestion Notification (RFC 3168): a router marks a packet that it would have to drop soon, the receiver
// echoes the mark, and the sender slows down without having lost anything.
#pragma once

#include <cstdint>

#include "firstflight/settings.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff::tcp {

// Values of net.ipv4.tcp_ecn.
namespace ecn_setting {
inline constexpr std::uint32_t kOff = 0;
inline constexpr std::uint32_t kAskAndAgree = 1;
}  // namespace ecn_setting

// RFC 3168 §6.1.1: a SYN with both flags asks for ECN, a SYN-ACK with ECE alone agrees.
inline constexpr std::uint8_t kEcnSetup = wire::TcpFlags::kEce | wire::TcpFlags::kCwr;
constexpr bool asks_for_ecn(wire::TcpFlags flags, wire::Ecn mark) noexcept {
  return (flags.bits & kEcnSetup) == kEcnSetup && mark == wire::Ecn::NotEct;
}
constexpr bool agrees_to_ecn(wire::TcpFlags flags) noexcept { return (flags.bits & kEcnSetup) == wire::TcpFlags::kEce; }

// What one connection remembers of ECN.
class EcnState {
 public:
  void ask(bool asked) noexcept { asked_ = asked; }
  [[nodiscard]] bool asked() const noexcept { return asked_; }
  void agree(bool agreed) noexcept { agreed_ = agreed; }
  [[nodiscard]] bool agreed() const noexcept { return agreed_; }
  [[nodiscard]] bool seen() const noexcept { return seen_; }

  // ---- sender ----
  // The window was reduced: the next new data says so (RFC 3168 §6.1.2).
  void window_reduced() noexcept { cwr_due_ = agreed_; }
  // The flags to add to a segment of new data, which may be marked on its way.
  std::uint8_t flags_for_new_data() noexcept {
    const bool due = cwr_due_;
    cwr_due_ = false;
    return due ? wire::TcpFlags::kCwr : 0;
  }

  // ---- receiver ----
  // Every acknowledgement echoes a mark until the sender says that it has slowed down (RFC 3168 §6.1.3).
  [[nodiscard]] std::uint8_t flags_for_acknowledgement() const noexcept { return echo_ ? wire::TcpFlags::kEce : 0; }

  enum class Arrival : std::uint8_t {
    Ordinary,
    Mark,        // the first of a congestion: the sender should hear of it at once
    SlowedDown,  // the sender's window is small by now: it waits for each acknowledgement
    Repeated,    // without a mark where all else has one: the sender repeats itself
  };
  // A segment with text arrived.
  Arrival arrives(wire::TcpFlags flags, wire::Ecn mark) noexcept {
    Arrival arrival = Arrival::Ordinary;
    if ((flags.bits & wire::TcpFlags::kCwr) != 0) {
      echo_ = false;
      arrival = Arrival::SlowedDown;
    }
    if (mark == wire::Ecn::NotEct) return seen_ ? Arrival::Repeated : arrival;
    seen_ = true;
    if (mark != wire::Ecn::Ce || echo_) return arrival;
    echo_ = true;
    return Arrival::Mark;
  }

 private:
  bool asked_ : 1 = false;    // our SYN asked
  bool agreed_ : 1 = false;   // both sides know of it
  bool cwr_due_ : 1 = false;  // "Congestion Window Reduced" is to be said
  bool echo_ : 1 = false;     // "ECN-Echo" is to be said
  bool seen_ : 1 = false;     // the peer's packets may be marked: one came so
};

}  // namespace ff::tcp
