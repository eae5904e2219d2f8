// What a listener makes of a SYN's Fast Open option (RFC 7413 §4.2.2, in the order of Linux's tcp_try_fastopen).
#pragma once

#include <optional>

#include "firstflight/counters.hpp"
#include "firstflight/fast_open.hpp"
#include "firstflight/settings.hpp"
#include "tcp/fastopen/replay_filter.hpp"
#include "tcp/segment.hpp"

namespace ff::tcp {

struct ServerPlan {
  bool accept_data = false;             // make the connection now, with the data in the SYN
  std::optional<FastOpenCookie> grant;  // a cookie for the SYN-ACK, in the form that the client used
  bool experimental = false;
  FastOpenOutcome outcome = FastOpenOutcome::NotTried;
};

struct ServerSide {
  const FastOpenKeys& keys;
  bool enabled;   // the listener has Fast Open on
  bool has_room;  // its bound on half-open connections is not reached
  ReplayFilter& replays;
  Instant now;
};

ServerPlan plan_server(const ServerSide& side, const Settings& settings, Counters& counters, const FourTuple& tuple,
                       const Segment& syn);

}  // namespace ff::tcp
