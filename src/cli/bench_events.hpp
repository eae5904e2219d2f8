// What a sender of firstflight's did over time, for people and plots.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "firstflight/stack.hpp"

namespace ff::cli {

// Something happened, and how things stood then.
struct PathEvent {
  double milliseconds = 0;  // since connect()
  std::uint64_t flow = 0;
  std::string kind;    // "sample", or what the trace told: "rtt", "congestion", "lost", "retransmitted", ...
  std::string detail;  // "2920 bytes", "Open to Recovery", "retransmit"
  std::uint64_t cwnd = 0, ssthresh = 0, in_flight = 0;  // bytes; ssthresh 0: not set yet
  std::uint64_t srtt = 0;                               // microseconds; 0: not measured yet
  friend bool operator==(const PathEvent&, const PathEvent&) = default;
};

// Listens to a stack's trace. What the trace does not tell, bytes in flight, comes from looking at the connections
// in between: sample().
class PathEventRecorder final : public TraceSink {
 public:
  void add_flow(const FourTuple& tuple, Instant start);
  void on_event(Instant now, const FourTuple& tuple, const TraceEvent& event) override;
  void sample(Instant now, const ConnectionInfo& info);
  // In the order in which they came.
  [[nodiscard]] const std::vector<PathEvent>& events() const noexcept { return events_; }

 private:
  struct Flow {
    std::uint64_t number;
    Instant start;
    PathEvent now;  // how things stand
  };
  Flow* find(const FourTuple& tuple);
  void record(Instant now, Flow& flow, std::string kind, std::string detail);

  std::vector<std::pair<FourTuple, Flow>> flows_;
  std::vector<PathEvent> events_;
};

}  // namespace ff::cli
