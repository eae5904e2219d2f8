// Congestion control: how much a sender may have in the network. The connection detects losses, repairs them and undoes
// what it took for losses; a CongestionControl says how the window grows and how far it falls. One's own is a class
// derived from it; see examples/.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "firstflight/time.hpp"

namespace ff {

// What a congestion control steers, in bytes.
struct CongestionWindow {
  // No window can be larger (RFC 7323 §2.3).
  static constexpr std::uint32_t kLargest = 1u << 30;
  static constexpr std::uint32_t kInitialSegments = 10;  // RFC 6928

  std::uint32_t mss = 0;              // payload of a full segment
  std::uint32_t cwnd = 0;             // never below one segment
  std::uint32_t ssthresh = kLargest;  // below it the window grows by what arrives (slow start)

  [[nodiscard]] bool in_slow_start() const noexcept { return cwnd < ssthresh; }
  // RFC 5681 §3.1, counting bytes (RFC 3465). Returns how many of `bytes` were left when ssthresh was reached.
  std::uint32_t slow_start(std::uint32_t bytes) noexcept;
  // RFC 5681 §3.1, congestion avoidance: a segment more for each `window` bytes that arrive.
  void grow_by_one_segment_each(std::uint32_t window, std::uint32_t bytes) noexcept;

  std::uint32_t counted = 0;  // bytes that arrived since the window last grew
};

// What one acknowledgement told.
struct AckSample {
  Instant now{};
  std::uint32_t arrived = 0;           // bytes known to have arrived since the one before it, SACKed ones included
  std::uint32_t in_flight = 0;         // bytes believed to be in the network now
  std::uint32_t in_flight_before = 0;  // and before it came
  Duration rtt{};                      // measured by it; zero: it measures none
  Duration srtt{}, min_rtt{};
  bool window_limited = false;  // the window kept the sender from sending more: only then should it grow (RFC 7661)
  bool round_began = false;     // what was sent first after the round trip before it began has arrived
};

// Why the window has to come down.
enum class Congestion : std::uint8_t {
  Loss,     // that fast retransmit repairs
  Mark,     // ECN
  Timeout,  // nothing came for so long that all may be lost
};

struct CongestionEvent {
  Instant now{};
  Congestion kind = Congestion::Loss;
  std::uint32_t in_flight = 0;  // bytes sent and not acknowledged
};

class CongestionControl {
 public:
  virtual ~CongestionControl() = default;
  // The name by which it is chosen: "cubic". The same for all of a kind, and at most 15 characters.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  // Bytes arrived and no loss is being repaired by fast recovery.
  virtual void acknowledged(CongestionWindow& window, const AckSample& sample) = 0;
  // Once in a round trip: what ssthresh becomes. The connection brings the window down to it.
  [[nodiscard]] virtual std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent& event) = 0;
  // The last such was none: window and ssthresh are what they were before it.
  virtual void undone() {}
  // Nothing was in flight for `idle`; something is sent now.
  virtual void restarted(Duration idle) { static_cast<void>(idle); }
};

// Makes one for each connection that chooses it; see Stack::add_congestion_control().
using CongestionControlFactory = std::function<std::unique_ptr<CongestionControl>()>;

}  // namespace ff
