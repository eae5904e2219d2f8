// A connection that somebody asked a listener for: SYN came, SYN-ACK went, the last ACK of the handshake is outstanding
// (RFC 9293's SYN-RECEIVED of a passive open). It holds no buffers: a flood of SYNs costs this much each, and no more.
#pragma once

#include <cstdint>
#include <optional>

#include "base/timer_wheel.hpp"
#include "tcp/connection.hpp"

namespace ff::tcp {

class Request {
 public:
  explicit Request(std::uint32_t its_index) noexcept : index(its_index) {}

  // What the SYN settles. `syn` has been found worth answering.
  void begin(const FourTuple& tuple, std::uint16_t interface, const Segment& syn, const Offer& offer, Seq iss) noexcept;
  // The SYN-ACK grants a cookie, in the form of the option that the client used.
  void grant_cookie(bool experimental) noexcept {
    grants_cookie_ = true;
    experimental_ = experimental;
  }

  // What the listener made of the SYN's Fast Open option; the connection will say so.
  void set_fast_open(FastOpenOutcome outcome) noexcept { fast_open_ = outcome; }

  enum class Outcome : std::uint8_t {
    Keep,         // nothing more to do
    SendSynAck,   // the client asks again
    Established,  // the handshake is complete
    Remove,       // the client has reset it
    Refuse,       // acknowledges what we never sent: to be answered by RST, the request stays
  };
  Outcome arrives(Environment& env, const Segment& segment) noexcept;

  // The SYN-ACK to send now. `cookie` goes into the first one alone, as in Linux: a path that lost it may have taken
  // offence at the option.
  void emit_syn_ack(Environment& env, Instant now, const Path& path, const BufferSizes& buffer, std::uint32_t ts_offset,
                    const std::optional<FastOpenCookie>& cookie, TxPacket& packet) noexcept;
  // After a time-out: when the next is due, or nothing when it is time to give up.
  [[nodiscard]] Instant next_timeout(Instant now) const noexcept { return now + backed_off(kInitialRto, timeouts_); }
  void count_timeout() noexcept { ++timeouts_; }
  // The last ACK came, but without the data that TCP_DEFER_ACCEPT waits for.
  void acknowledge_bare() noexcept { acknowledged_ = true; }
  [[nodiscard]] bool acknowledged() const noexcept { return acknowledged_; }
  // No SYN-ACK goes before the application has said so.
  void hold(bool on) noexcept { held_ = on; }
  [[nodiscard]] bool held() const noexcept { return held_; }
  [[nodiscard]] Seq iss() const noexcept { return iss_; }
  [[nodiscard]] Seq irs() const noexcept { return irs_; }
  [[nodiscard]] std::uint8_t timeouts() const noexcept { return timeouts_; }

  [[nodiscard]] PassiveOpen passive_open(Instant now, const Path& path, std::uint32_t ts_offset) const noexcept;
  [[nodiscard]] const FourTuple& tuple() const noexcept { return tuple_; }
  [[nodiscard]] bool grants_cookie() const noexcept { return grants_cookie_; }
  [[nodiscard]] std::uint16_t interface() const noexcept { return interface_; }

  // ---- the stack's part ----
  TimerNode timer;
  const std::uint32_t index;   // in its pool
  std::uint32_t listener = 0;  // index of the listener

 private:
  FourTuple tuple_;
  Seq iss_;
  Seq irs_;
  Timestamp ts_recent_;
  std::uint32_t sent_at_us_ = 0;  // when the SYN-ACK went first: microseconds, modulo 2^32
  std::uint16_t peer_mss_ = 0;
  std::uint16_t interface_ = 0;
  WindowScale snd_scale_;
  std::uint8_t timeouts_ = 0;
  FastOpenOutcome fast_open_ = FastOpenOutcome::NotTried;
  bool timestamps_ : 1 = false;
  bool sack_ : 1 = false;
  bool window_scaling_ : 1 = false;
  bool ecn_ : 1 = false;
  bool grants_cookie_ : 1 = false;
  bool experimental_ : 1 = false;
  bool retransmitted_ : 1 = false;
  bool sent_ : 1 = false;
  bool acknowledged_ : 1 = false;
  bool held_ : 1 = false;
};

static_assert(sizeof(Request) <= 128, "a request in the SYN queue costs at most 128 bytes");

}  // namespace ff::tcp
