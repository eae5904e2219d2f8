// What happens to each connection, as it happens: for tools that draw congestion windows, find lost time, or learn.
// Nobody listening costs one test of a null pointer for each packet and call.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "firstflight/address.hpp"
#include "firstflight/connection_info.hpp"
#include "firstflight/time.hpp"

namespace ff {

namespace trace {

struct StateChanged {
  TcpState from, to;
};
// A round-trip time was measured, and what follows from it.
struct RttMeasured {
  Duration sample, srtt, rttvar, rto;
};
// Bytes in flight are believed lost: `bytes` more than before.
struct MarkedLost {
  std::uint32_t bytes;
};
struct Retransmitted {
  std::uint32_t segments;
  std::uint64_t bytes;  // of payload; 0: SYN, SYN-ACK or FIN
};
// The sender's view of the path changed: recovery began, or ended, or a time-out came.
struct RecoveryChanged {
  CaState from, to;
};
// Bytes; one of them, at least, changed.
struct CongestionChanged {
  std::uint32_t cwnd, ssthresh;
};
struct FastOpenEnded {
  FastOpenOutcome outcome;
};
// "retransmit", "persist", ...: it will run out at `due`, was stopped, or has run out.
struct TimerArmed {
  std::string_view timer;
  Instant due;
};
struct TimerStopped {
  std::string_view timer;
};
struct TimerFired {
  std::string_view timer;
};

}  // namespace trace

using TraceEvent = std::variant<trace::TimerFired, trace::StateChanged, trace::FastOpenEnded, trace::RttMeasured,
                                trace::MarkedLost, trace::Retransmitted, trace::RecoveryChanged,
                                trace::CongestionChanged, trace::TimerArmed, trace::TimerStopped>;

// Who listens; see Stack::set_trace(). It is called from within the stack and must not call it.
class TraceSink {
 public:
  // What one packet, call or time-out brought about comes in the order of the variant's types, but for round-trip
  // times, which come first. `tuple` names the connection: no two that are alive have the same.
  virtual void on_event(Instant now, const FourTuple& tuple, const TraceEvent& event) = 0;

 protected:
  ~TraceSink() = default;
};

}  // namespace ff
