#include "cli/bench_events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

namespace ff::cli {
namespace {

// Slow start's first threshold is no threshold: larger than every window (RFC 7323 §2.3).
constexpr std::uint32_t kNoThreshold = 1u << 30;

std::uint64_t threshold(std::uint32_t ssthresh) { return ssthresh >= kNoThreshold ? 0 : ssthresh; }

std::uint64_t microseconds(Duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

void PathEventRecorder::add_flow(const FourTuple& tuple, Instant start) {
  const std::uint64_t number = flows_.size();
  flows_.emplace_back(tuple, Flow{.number = number, .start = start, .now = {}});
}

PathEventRecorder::Flow* PathEventRecorder::find(const FourTuple& tuple) {
  const auto found = std::ranges::find_if(flows_, [&](const auto& flow) { return flow.first == tuple; });
  return found == flows_.end() ? nullptr : &found->second;
}

void PathEventRecorder::on_event(Instant now, const FourTuple& tuple, const TraceEvent& event) {
  Flow* const flow = find(tuple);
  if (flow == nullptr) return;
  const auto say = [&](const char* kind, std::string detail) { record(now, *flow, kind, std::move(detail)); };
  std::visit(Overloaded{
                 [&](const trace::RttMeasured& rtt) {
                   flow->now.srtt = microseconds(rtt.srtt);
                   say("rtt", fmt::format("{} us", microseconds(rtt.sample)));
                 },
                 [&](const trace::CongestionChanged& congestion) {
                   flow->now.cwnd = congestion.cwnd;
                   flow->now.ssthresh = threshold(congestion.ssthresh);
                   say("congestion", {});
                 },
                 [&](const trace::MarkedLost& lost) { say("lost", fmt::format("{} bytes", lost.bytes)); },
                 [&](const trace::Retransmitted& again) {
                   say("retransmitted", fmt::format("{} segment{}", again.segments, again.segments == 1 ? "" : "s"));
                 },
                 [&](const trace::RecoveryChanged& change) {
                   say("recovery", fmt::format("{} to {}", to_string(change.from), to_string(change.to)));
                 },
                 [&](const trace::StateChanged& change) {
                   say("state", fmt::format("{} to {}", to_string(change.from), to_string(change.to)));
                 },
                 [&](const trace::TimerFired& timer) { say("timer", std::string(timer.timer)); },
                 [](const auto&) {},
             },
             event);
}

void PathEventRecorder::sample(Instant now, const ConnectionInfo& info) {
  Flow* const flow = find(info.tuple);
  if (flow == nullptr) return;
  const PathEvent before = flow->now;
  flow->now.cwnd = info.snd_cwnd;
  flow->now.ssthresh = threshold(info.snd_ssthresh);
  flow->now.in_flight = info.unacked - std::min(info.lost, info.unacked);
  flow->now.srtt = microseconds(info.rtt);
  if (flow->now != before) record(now, *flow, "sample", {});
}

void PathEventRecorder::record(Instant now, Flow& flow, std::string kind, std::string detail) {
  PathEvent& event = events_.emplace_back(flow.now);
  event.milliseconds = std::chrono::duration<double, std::milli>(now - flow.start).count();
  event.flow = flow.number;
  event.kind = std::move(kind);
  event.detail = std::move(detail);
}

}  // namespace ff::cli
