// Which congestion control a connection has.
#include "tcp/cc/reno.hpp"
#include "tcp/connection.hpp"

namespace ff::tcp {

// As TCP_CONGESTION says, else as tcp_congestion_control does when the connection begins. One that is chosen later
// takes over the window as it is.
void Connection::choose_congestion_control(const Environment& env) {
  const std::string& wanted = options().congestion;
  if (wanted.empty() && cc_kind_ != nullptr) return;
  const CongestionControls& all = env.congestion_controls;
  const CongestionControls::Kind* kind = all.find(wanted.empty() ? env.settings.tcp_congestion_control : wanted);
  if (kind == nullptr) kind = &all.fallback();
  if (kind == cc_kind_) return;
  cc_kind_ = kind;
  cc_.reset();
}

CongestionControl& Connection::congestion_control() {
  if (cc_ == nullptr) cc_ = cc_kind_->make();
  if (cc_ == nullptr) cc_ = std::make_unique<Reno>();
  return *cc_;
}

}  // namespace ff::tcp
