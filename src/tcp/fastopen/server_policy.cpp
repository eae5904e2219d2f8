#include "tcp/fastopen/server_policy.hpp"

#include "tcp/fastopen/key_ring.hpp"

namespace ff::tcp {

ServerPlan plan_server(const ServerSide& side, const Settings& settings, Counters& counters, const FourTuple& tuple,
                       const Segment& syn) {
  ServerPlan plan;
  const std::optional<wire::FastOpenOption>& option = syn.options.fast_open;
  const bool asks = option && option->cookie.size == 0;
  if (asks) counters.add(Counter::TcpExt_TCPFastOpenCookieReqd);
  if (!option && syn.payload.empty()) return plan;

  const bool server_on = (settings.tcp_fastopen & fast_open_bits::kServer) != 0;
  if (!server_on || !side.enabled) {
    plan.outcome = server_on ? FastOpenOutcome::NotEnabled : FastOpenOutcome::Disabled;
    return plan;
  }
  if (!side.has_room) {
    counters.add(Counter::TcpExt_TCPFastOpenListenOverflow);
    plan.outcome = FastOpenOutcome::ListenerFull;
    return plan;
  }
  if (option) plan.experimental = option->experimental;

  bool by_backup_key = false;
  if ((settings.tcp_fastopen & fast_open_bits::kServerNoCookie) != 0) {
    plan.accept_data = true;  // whatever the cookie, and without data too, as today's Linux
  } else if (asks) {
    plan.grant = make_cookie(side.keys.primary, tuple.remote.address, tuple.local.address);
    plan.outcome = FastOpenOutcome::NoCookieYet;
    return plan;
  } else if (option) {
    const CookieMatch match = check_cookie(side.keys, option->cookie, tuple.remote.address, tuple.local.address);
    if (match != CookieMatch::Primary) {
      plan.grant = make_cookie(side.keys.primary, tuple.remote.address, tuple.local.address);
    }
    if (match == CookieMatch::None) {
      counters.add(Counter::TcpExt_TCPFastOpenPassiveFail);
      plan.outcome = FastOpenOutcome::CookieRefused;
      return plan;
    }
    by_backup_key = match == CookieMatch::Backup;
    plan.accept_data = true;
  }
  if (!plan.accept_data) return plan;
  // What is not taken from the SYN comes again behind the handshake, which a copy does not bring to its end.
  if (!syn.payload.empty() &&
      side.replays.note(tuple, syn.seq, syn.payload.span(), settings.tcp_fastopen_replay_filter_kb, side.now)) {
    plan.accept_data = false;
    plan.outcome = FastOpenOutcome::SynRepeated;
    return plan;
  }
  if (by_backup_key) counters.add(Counter::TcpExt_TCPFastOpenPassiveAltKey);
  counters.add(Counter::TcpExt_TCPFastOpenPassive);
  plan.outcome = FastOpenOutcome::Accepted;
  return plan;
}

}  // namespace ff::tcp
