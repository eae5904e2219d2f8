#include "tcp/observation.hpp"

#include <new>

#include "tcp/connection.hpp"

namespace ff::tcp {

void Observation::look() noexcept { ::new (&before_) Observed(connection_.observed()); }

template <typename Event>
void Observation::say(const Event& event) const {
  sink_->on_event(now_, connection_.tuple(), TraceEvent(event));
}

void Observation::tell() const {
  const Observed after = connection_.observed();
  const Observed& before = before_;
  tell_fired(after);
  if (after.state != before.state) say(trace::StateChanged{before.state, after.state});
  if (after.fast_open != before.fast_open && after.fast_open != FastOpenOutcome::Pending)
    say(trace::FastOpenEnded{after.fast_open});
  if (after.lost > before.lost) say(trace::MarkedLost{after.lost - before.lost});
  if (after.total_retrans != before.total_retrans)
    say(trace::Retransmitted{after.total_retrans - before.total_retrans, after.bytes_retrans - before.bytes_retrans});
  if (after.ca_state != before.ca_state) say(trace::RecoveryChanged{before.ca_state, after.ca_state});
  if (after.cwnd != before.cwnd || after.ssthresh != before.ssthresh)
    say(trace::CongestionChanged{after.cwnd, after.ssthresh});
  tell_timers(after);
}

void Observation::tell_fired(const Observed& after) const {
  for (std::size_t i = 0; i < Timers::kKinds; ++i) {
    const auto kind = static_cast<TimerKind>(i);
    if (fired(kind, after)) say(trace::TimerFired{name_of(kind)});
  }
}

void Observation::tell_timers(const Observed& after) const {
  for (std::size_t i = 0; i < Timers::kKinds; ++i) {
    const auto kind = static_cast<TimerKind>(i);
    if (after.timers[kind] == before_.timers[kind]) continue;
    if (after.timers.armed(kind)) {
      say(trace::TimerArmed{name_of(kind), after.timers[kind]});
    } else if (!fired(kind, after)) {
      say(trace::TimerStopped{name_of(kind)});
    }
  }
}

}  // namespace ff::tcp
