// What a connection takes from those before it on the same path, and leaves to those after it: as Linux's
// tcp_init_metrics() and tcp_update_metrics(); RFC 9040 §8.
#include <algorithm>

#include "tcp/connection.hpp"

namespace ff::tcp {

AddressPair Connection::address_pair() const noexcept { return {tuple_.local.address, tuple_.remote.address}; }

// The handshake is over, or with Fast Open has begun.
void Connection::use_metrics(const Context& c) noexcept {
  const TcpMetrics* known = c.env.metrics.use(address_pair(), c.now);
  if (known == nullptr) return;
  if (known->ssthresh > 0 && !c.env.settings.tcp_no_ssthresh_metrics_save) {
    const std::uint64_t bytes = std::uint64_t{known->ssthresh} * window_.mss;
    window_.ssthresh = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, CongestionWindow::kLargest));
  }
  rack_.expect_reordering(known->reordering);
  rtt_.expect(known->rtt);
}

// The end has come in good order: the peer has acknowledged everything. What ends otherwise says too little.
void Connection::save_metrics(const Context& c) {
  const Settings& settings = c.env.settings;
  if (settings.tcp_no_metrics_save) return;
  if (backoff_ > 0 || !rtt_.measured()) {
    // Nobody knows how long the way takes: what was known does not hold, either.
    if (TcpMetrics* known = c.env.metrics.use(address_pair(), c.now)) known->rtt = Duration::zero();
    return;
  }
  const std::uint32_t mss = std::max(window_.mss, 1u);
  const bool bounded = window_.ssthresh < CongestionWindow::kLargest && (cc_ == nullptr || !cc_->steers_alone());
  LastWords last;
  last.rtt = rtt_.srtt();
  last.rttvar = rtt_.rttvar();
  last.cwnd = window_.cwnd / mss;
  last.ssthresh = bounded ? std::max(window_.ssthresh / mss, 1u) : 0;
  last.steady = bounded && !window_.in_slow_start() && recovery_.state == CaState::Open;
  if (rack_.reordering() > settings.tcp_reordering) last.reordering = rack_.reordering();
  TcpMetrics& known = c.env.metrics.entry_of(address_pair(), c.now);
  learn(known, last, settings.tcp_no_ssthresh_metrics_save);
  known.updated = c.now;
}

}  // namespace ff::tcp
