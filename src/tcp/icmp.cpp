// ICMP errors about a connection (RFC 9293 §3.9.2.2, RFC 5927).
#include <algorithm>

#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {

// As Linux, to whom only ICMPv6 says EACCES.
std::optional<Error> error_of(wire::IcmpKind kind, bool v4) noexcept {
  switch (kind) {
    case wire::IcmpKind::NetworkUnreachable:
      return Error::NetworkUnreachable;
    case wire::IcmpKind::HostUnreachable:
    case wire::IcmpKind::TimeExceeded:
      return Error::HostUnreachable;
    case wire::IcmpKind::ProtocolUnreachable:
    case wire::IcmpKind::ParameterProblem:
      return Error::ProtocolError;
    case wire::IcmpKind::PortUnreachable:
      return Error::ConnectionRefused;
    case wire::IcmpKind::AdministrativelyProhibited:
      return v4 ? Error::HostUnreachable : Error::PermissionDenied;
    default:
      return std::nullopt;
  }
}

// Below this no path is believed to go: forged errors would make us send tiny segments (Linux's min_pmtu; RFC 8200 §5).
constexpr std::uint16_t kMinPathMtuV4 = 552;
constexpr std::uint16_t kMinPathMtuV6 = 1280;

}  // namespace

void Connection::icmp_error(Context& c, const NetworkError& said, bool accepted) {
  const Observation observation = observe(c);
  // RFC 5927 §4.1: only about bytes in flight.
  if (at_or_before(snd_.max_sent(), said.seq) || before(said.seq, snd_.una())) {
    c.env.counters.add(Counter::TcpExt_OutOfWindowIcmps);
    return c.env.counters.drop(DropReason::IcmpSequence);
  }
  if (said.kind == wire::IcmpKind::PacketTooBig) {
    const bool fragmented = path_.delivery.may_fragment && tuple_.local.address.is_v4();
    return fragmented ? void() : set_path_mtu(said.mtu);
  }
  const auto error = error_of(said.kind, tuple_.local.address.is_v4());
  if (!error) return;
  // Where a handshake is under way the error ends it; later it may be passing, and is what a time-out will tell
  // (RFC 1122 §4.2.3.9, RFC 5461). A half-open Fast Open connection is established in the eyes of who has accepted it.
  if (state_ == TcpState::SynSent || (state_ == TcpState::SynReceived && !(fast_open_child_ && accepted))) {
    c.env.counters.add(Counter::Tcp_AttemptFails);
    reports().failed({.error = *error,
                      .type = said.type,
                      .code = said.code,
                      .from = said.carrier.source,
                      .ttl = said.carrier.ttl,
                      .traffic_class = said.carrier.traffic_class,
                      .destination = tuple_.remote,
                      .bytes = Slice::copy_of(said.quoted)});
    return finish(c, error);
  }
  soft_error_ = error;
  // IP_RECVERR: the application hears of it at once.
  if (options().receive_errors) raise(event_bits::kError);
}

// RFC 1191 §6.5, RFC 8201 §5.2.
void Connection::set_path_mtu(std::uint16_t mtu) {
  const bool v4 = tuple_.local.address.is_v4();
  const std::uint16_t clamped = std::max(mtu, v4 ? kMinPathMtuV4 : kMinPathMtuV6);
  if (clamped >= path_.mtu) return;
  if (path_.max_super_segment <= path_.mtu) path_.max_super_segment = clamped;  // super-segments stay off
  path_.mtu = clamped;
  if (mtu_probing_ != nullptr) mtu_probing_->lower_high(clamped);
  if (state_ == TcpState::SynSent) {
    // It was the data in the SYN: the bare SYN goes at once, the data after the handshake.
    if (syn_data_ > 0 && !syn_waits_for_write_) syn_due_ = true;
    return;
  }
  segment_size_changed();
  if (snd_.outstanding() > 0 && state_ != TcpState::SynReceived) repeat_without_congestion(snd_.outstanding());
}

}  // namespace ff::tcp
