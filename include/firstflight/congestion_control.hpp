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

  std::uint32_t counted = 0;      // bytes that arrived since the window last grew
  bool held_down = false;         // for a while, on purpose: what is delivered meanwhile tells nothing of the path
  std::uint64_t pacing_rate = 0;  // bytes a second; 0: as fast as the window and the device allow
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
  bool selective = false;       // the peer tells what arrives ahead of a gap (SACK)

  // The rate at which the path delivers (draft-ietf-ccwg-bbr-06 §4.1), by what was sent last of all that arrived now.
  std::uint64_t delivered = 0;        // bytes that have arrived since the connection began
  std::uint64_t prior_delivered = 0;  // and had when it was sent
  std::uint64_t delivery_rate = 0;    // bytes a second in between; 0: it cannot be told
  std::uint32_t lost = 0;             // bytes found lost in between
  std::uint32_t tx_in_flight = 0;     // bytes in the network when it was sent, itself included
  Duration newest_rtt{};              // how long it took; zero: it cannot be told
  bool app_limited = false;           // there was too little to send: the path may deliver more
  bool window_full = false;           // the whole window was in use
};

// What was found lost now.
struct LossSample {
  Instant now{};
  std::uint32_t bytes = 0;
  bool selective = false;
  std::uint64_t delivered = 0;     // bytes that have arrived since the connection began
  std::uint32_t lost = 0;          // bytes found lost since the last of it was sent, itself included
  std::uint32_t tx_in_flight = 0;  // bytes in the network when that was; 0: it is not known
  bool app_limited = false;
};

// What there is when a congestion control takes over.
struct CongestionStart {
  Instant now{};
  Duration srtt{};         // zero: nothing is measured
  std::uint64_t seed = 0;  // for whoever needs chance; another for each connection
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
  // It takes over `window`, at the beginning or later.
  virtual void started(CongestionWindow& window, const CongestionStart& start) {
    static_cast<void>(window), static_cast<void>(start);
  }
  // Bytes arrived and no loss is being repaired by fast recovery; or one is, if it steers the window alone.
  virtual void acknowledged(CongestionWindow& window, const AckSample& sample) = 0;
  // Once in a round trip: what ssthresh becomes. The connection brings the window down to it.
  [[nodiscard]] virtual std::uint32_t ssthresh(const CongestionWindow& window, const CongestionEvent& event) = 0;
  // That was needless: window and ssthresh are what they were before.
  virtual void undone(CongestionWindow& window) { static_cast<void>(window); }
  // Something is sent, and nothing was in flight.
  virtual void restarted(CongestionWindow& window, Instant now) { static_cast<void>(window), static_cast<void>(now); }

  // True: while losses are repaired the window is its business too, ssthresh means nothing, and the window outlives
  // idle times.
  [[nodiscard]] virtual bool steers_alone() const noexcept { return false; }
  // For such: what was lost, once for each time that something is found to be, and that all of it is repaired.
  virtual void lost(CongestionWindow& window, const LossSample& sample) {
    static_cast<void>(window), static_cast<void>(sample);
  }
  virtual void recovered(CongestionWindow& window) { static_cast<void>(window); }
};

// Makes one for each connection that chooses it; see Stack::add_congestion_control().
using CongestionControlFactory = std::function<std::unique_ptr<CongestionControl>()>;

}  // namespace ff
