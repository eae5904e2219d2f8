#include "tcp/request.hpp"

namespace ff::tcp {

using wire::TcpFlags;

namespace {
std::uint32_t microseconds(Instant t) noexcept {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch()).count());
}
}  // namespace

void Request::begin(const FourTuple& tuple, std::uint16_t interface, const Segment& syn, const Offer& offer,
                    Seq iss) noexcept {
  const Agreed agreed = Agreed::of(offer, syn, tuple.local.address.is_v4());
  tuple_ = tuple;
  interface_ = interface;
  iss_ = iss;
  irs_ = syn.seq;
  peer_mss_ = agreed.peer_mss;
  timestamps_ = agreed.timestamps;
  sack_ = agreed.sack;
  window_scaling_ = agreed.window_scaling;
  ecn_ = agreed.ecn;
  snd_scale_ = agreed.snd_scale;
  ts_recent_ = agreed.ts_recent;
}

// RFC 9293 §3.10.7.4 for SYN-RECEIVED, in the order that Linux checks (tcp_check_req).
Request::Outcome Request::arrives(Environment& env, const Segment& segment) noexcept {
  const bool bare_syn = segment.flags.syn() && !segment.flags.ack() && !segment.flags.rst();
  if (bare_syn && segment.seq == irs_) return Outcome::SendSynAck;

  const bool has_timestamp = timestamps_ && segment.options.timestamps.has_value();
  const bool paws_rejects = has_timestamp && segment.options.timestamps->value - ts_recent_ < 0 && !segment.flags.rst();
  const Seq first = irs_ + 1;
  const bool in_window = at_or_after(segment.end(), first) && at_or_before(segment.seq, first + 65535u);
  if (paws_rejects || !in_window) {
    if (paws_rejects) env.counters.add(Counter::TcpExt_PAWSEstab);
    env.counters.drop(paws_rejects ? DropReason::TcpPaws : DropReason::TcpUnacceptable);
    return Outcome::Keep;
  }
  if (segment.flags.rst()) {
    // RFC 5961 §3.2: only the exact number counts.
    if (segment.seq != first) {
      env.counters.drop(DropReason::TcpResetSequence);
      return Outcome::Keep;
    }
    env.counters.add(Counter::Tcp_AttemptFails);
    env.counters.add(Counter::TcpExt_EmbryonicRsts);
    return Outcome::Remove;
  }
  if (segment.flags.syn()) {
    env.counters.drop(DropReason::TcpSynInWindow);
    return Outcome::Keep;
  }
  if (!segment.flags.ack()) {
    env.counters.drop(DropReason::TcpNoAckFlag);
    return Outcome::Keep;
  }
  if (segment.ack != iss_ + 1) {
    env.counters.drop(DropReason::TcpBadAck);
    return Outcome::Refuse;
  }
  // RFC 7323 §3.2: a peer that agreed on timestamps sends them; Linux takes the segment all the same.
  if (has_timestamp && segment.seq == first) ts_recent_ = segment.options.timestamps->value;
  return Outcome::Established;
}

void Request::emit_syn_ack(Environment& env, Instant now, const Path& path, const BufferSizes& buffer,
                           std::uint32_t ts_offset, const std::optional<FastOpenCookie>& cookie,
                           TxPacket& packet) noexcept {
  const std::uint16_t mss = path.mss(tuple_.local.address.is_v4());
  SegmentToSend segment;
  segment.seq = iss_;
  segment.ack = irs_ + 1;
  segment.flags.bits = TcpFlags::kSyn | TcpFlags::kAck;
  if (ecn_) segment.flags.bits |= TcpFlags::kEce;
  segment.window = WireWindow::of(ReceiveHalf::initial_window(buffer, mss), WindowScale{});
  segment.options.mss = mss;
  segment.options.sack_permitted = sack_;
  if (window_scaling_) segment.options.window_scale = ReceiveHalf::scale_for(buffer);
  if (timestamps_) segment.options.timestamps = wire::Timestamps{timestamp_at(now, ts_offset), ts_recent_};
  if (cookie && !sent_) segment.options.fast_open = wire::FastOpenOption{*cookie, experimental_};
  if (sent_) {
    retransmitted_ = true;
    env.counters.add(Counter::Tcp_RetransSegs);
    env.counters.add(Counter::TcpExt_TCPSynRetrans);
  } else {
    sent_at_us_ = microseconds(now);
    sent_ = true;
  }
  env.counters.add(Counter::Tcp_OutSegs);
  emit(tuple_, path.delivery, segment, UINT32_MAX, packet);
}

PassiveOpen Request::passive_open(Instant now, const Path& path, std::uint32_t ts_offset) const noexcept {
  PassiveOpen how;
  how.tuple = tuple_;
  how.path = path;
  how.agreed.peer_mss = peer_mss_;
  how.agreed.timestamps = timestamps_;
  how.agreed.sack = sack_;
  how.agreed.window_scaling = window_scaling_;
  how.agreed.ecn = ecn_;
  how.agreed.snd_scale = snd_scale_;
  how.agreed.ts_recent = ts_recent_;
  how.iss = iss_;
  how.irs = irs_;
  how.ts_offset = ts_offset;
  how.syn_ack_sent_at = now - std::chrono::microseconds(microseconds(now) - sent_at_us_);
  how.syn_ack_retransmitted = retransmitted_;
  how.syn_ack_timeouts = timeouts_;
  how.fast_open = fast_open_;
  return how;
}

}  // namespace ff::tcp
