// Which congestion control a connection has, what it is told, and pacing.
#include <algorithm>

#include "tcp/cc/reno.hpp"
#include "tcp/connection.hpp"

namespace ff::tcp {

namespace {
constexpr std::uint32_t kUnpacedSegments = 10;
}  // namespace

// As TCP_CONGESTION says, else as tcp_congestion_control does when the connection begins. One that is chosen later
// takes over the window as it is.
void Connection::choose_congestion_control(const Environment& env) {
  const std::string_view wanted = options().congestion.view();
  if (wanted.empty() && cc_kind_ != nullptr) return;
  const CongestionControls& all = env.congestion_controls;
  const CongestionControls::Kind* kind =
      all.find(wanted.empty() ? std::string_view(env.settings.tcp_congestion_control) : wanted);
  if (kind == nullptr) kind = &all.fallback();
  if (kind == cc_kind_) return;
  cc_kind_ = kind;
  cc_.reset();
  window_.pacing_rate = 0;
  window_.held_down = false;
}

CongestionControl& Connection::congestion_control(const Context& c) {
  if (cc_ == nullptr) [[unlikely]] {
    cc_ = cc_kind_->make();
    if (cc_ == nullptr) cc_ = std::make_unique<Reno>();
    window_.mss = send_mss();
    // Nothing that a peer could see depends on it, and it differs between connections.
    const std::uint64_t seed = std::uint64_t{snd_.iss().raw()} << 32 | ts_offset_;
    cc_->started(window_, {c.now, rtt_.srtt(), seed});
  }
  return *cc_;
}

// ---- what arrives and what does not

// The window follows what arrived: by Proportional Rate Reduction while it falls, else as the congestion control says.
void Connection::steer_window(const Context& c, const Acknowledgement& ack, std::uint32_t newly_lost) {
  AckSample sample;
  rate_.arrived(ack.arrivals, sample);
  sample.arrived = !sack_ && ack.duplicate ? send_mss() : ack.arrivals.arrived;
  if (!sack_ && ack.advanced && ack.counted_before > 0) {
    // Duplicates have told of it before.
    const std::uint32_t fresh = sample.arrived - std::min(sample.arrived, ack.counted_before);
    sample.arrived = std::max(fresh, std::min(sample.arrived, send_mss()));
  }
  CongestionControl& control = congestion_control(c);
  window_.mss = send_mss();
  if (recovery_.reduces_window() && !control.steers_alone()) {
    if (sample.arrived == 0 && !ack.advanced) return;
    window_.cwnd = recovery_.prr.window(sample.arrived, in_flight(), window_.ssthresh, window_.mss,
                                        ack.advanced && newly_lost == 0);
    return;
  }
  if (sample.arrived == 0) return;
  // As Linux: what is SACKed opens the window only on a path that is known to reorder.
  if (!ack.advanced && !rack_.reordering_seen() && !control.steers_alone()) return;
  sample.now = c.now;
  sample.in_flight = in_flight();
  sample.in_flight_before = ack.in_flight_before;
  sample.rtt = ack.rtt;
  sample.srtt = rtt_.srtt();
  sample.min_rtt = rtt_.min_rtt();
  sample.selective = sack_;
  sample.window_full = cwnd_limited_;
  // RFC 7661, as Linux: in slow start half of the window used will do, for it doubles.
  sample.window_limited =
      cwnd_used_up_ || recovery_.state == CaState::Loss || (window_.in_slow_start() && window_.cwnd < 2 * most_out_);
  control.acknowledged(window_, sample);
}

void Connection::note_loss(const Context& c, std::uint32_t bytes) {
  if (bytes == 0) return;
  rate_.lost(bytes);
  LossSample sample;
  sample.now = c.now;
  sample.bytes = bytes;
  sample.selective = sack_;
  rate_.fill(sample, snd_.last_lost());
  window_.mss = send_mss();
  congestion_control(c).lost(window_, sample);
}

// draft-ietf-ccwg-bbr-06 §4.1.2.5: to be asked before anything is added to what may be sent.
void Connection::note_lack_of_data() noexcept {
  const bool dry = snd_.unsent() == 0 && snd_.lost() == 0 && in_flight() < window_.cwnd;
  if (dry || window_.held_down) rate_.ran_dry(in_flight());
}

// As Linux's tcp_cwnd_validate(): how much of the window was of use in the round trip that is on its way.
void Connection::note_window_use() noexcept {
  const bool begins = at_or_after(snd_.una(), usage_end_);
  if (!begins && !cwnd_limited_ && (cwnd_used_up_ || snd_.outstanding() <= most_out_)) return;
  cwnd_used_up_ = cwnd_limited_;
  most_out_ = snd_.outstanding();
  usage_end_ = snd_.nxt();
}

// ---- a flight begins, with nothing in flight before it

void Connection::begin_flight(const Context& c) {
  const bool first = cc_ == nullptr;
  CongestionControl& control = congestion_control(c);
  if (!first) control.restarted(window_, c.now);
  if (control.steers_alone() || !c.env.settings.tcp_slow_start_after_idle) return;
  if (last_sent_ != Instant{} && c.now - last_sent_ > rto()) shrink_after_idle(c.now - last_sent_);
}

// RFC 5681 §4.1, as Linux (RFC 2861): half of the window for each time-out that passed without sending.
void Connection::shrink_after_idle(Duration idle) noexcept {
  const std::uint32_t least = std::min(window_.cwnd, CongestionWindow::kInitialSegments * send_mss());
  window_.ssthresh = std::max(window_.ssthresh, window_.cwnd / 4 * 3);
  for (Duration passed = rto(); passed < idle && window_.cwnd > least; passed += rto()) window_.cwnd /= 2;
  window_.cwnd = std::max(window_.cwnd, least);
  window_.counted = 0;
}

// ---- pacing

// Bytes a second; 0: none. SO_MAX_PACING_RATE bounds what the congestion control says.
std::uint64_t Connection::bounded_rate(std::uint64_t rate) const noexcept {
  const std::uint64_t most = options().max_pacing_rate;
  return most == 0 || rate == 0 ? most | rate : std::min(most, rate);
}

// fq paces the others, too, once ten segments are out; as Linux.
std::uint64_t Connection::pacing_rate(const Settings& settings) const noexcept {
  const bool by_fq = settings.fq && window_.pacing_rate == 0 && rtt_.measured() &&
                     static_cast<std::uint32_t>(snd_.nxt() - snd_.iss()) > kUnpacedSegments * send_mss();
  return bounded_rate(by_fq ? sending_rate(settings) : window_.pacing_rate);
}

// What a connection without pacing sends, bytes a second: as Linux's tcp_update_pacing_rate(), which has it a little
// above what arrives. Only once a round-trip time is measured.
std::uint64_t Connection::sending_rate(const Settings& settings) const noexcept {
  const bool doubling = window_.cwnd < window_.ssthresh / 2;
  const std::uint64_t percent = doubling ? settings.tcp_pacing_ss_ratio : settings.tcp_pacing_ca_ratio;
  const std::uint64_t window = std::max(window_.cwnd, snd_.outstanding());
  return window * percent * 10'000 / static_cast<std::uint64_t>(rtt_.srtt() / std::chrono::microseconds(1));
}

// Data must wait; a timer says until when.
bool Connection::held_by_pacing(const Context& c) noexcept {
  if (pacing_rate(c.env.settings) == 0 || pacer_.may_send(c.now)) return false;
  if (snd_.lost() > 0 || snd_.unsent() > 0 || snd_.fin_unsent()) timers_.arm(TimerKind::Pacing, pacer_.next());
  return true;
}

}  // namespace ff::tcp
