// What remains of a connection in TIME_WAIT (RFC 9293 §3.6.1): enough to repeat the last ACK, and to know old segments
// from a new SYN. Whose it is and when it ends is kept by src/stack/time_waits.hpp.
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/connection.hpp"

namespace ff::tcp {

inline constexpr Duration kTimeWaitLength = std::chrono::seconds(60);  // Linux's TCP_TIMEWAIT_LEN

class TimeWait {
 public:
  TimeWait() = default;
  explicit TimeWait(const Connection& connection) noexcept;

  enum class Outcome : std::uint8_t {
    Ignore,
    Restart,         // the 60 seconds begin anew
    SendAck,         // repeat the last ACK
    SendAckRestart,  // the same, and the 60 seconds begin anew: the peer's FIN came again
    Remove,          // RST
    NewConnection,   // a SYN beyond the old connection's numbers
  };
  Outcome arrives(Environment& env, const Segment& segment) noexcept;

  void emit_ack(Instant now, const FourTuple& tuple, const Path& path, std::uint32_t ts_offset,
                TxPacket& packet) const noexcept;
  // RFC 6191 §2, as Linux: an initial sequence number beyond those of the connection before.
  [[nodiscard]] Seq next_iss() const noexcept {
    const Seq iss = snd_nxt_ + (65535u + 2u);
    return iss.raw() == 0 ? iss + 1u : iss;
  }

  // What a connection that takes its place (tcp_tw_reuse) goes on from; nothing without timestamps.
  [[nodiscard]] std::optional<Timestamp> ts_recent() const noexcept {
    return timestamps_ ? std::optional(ts_recent_) : std::nullopt;
  }

 private:
  Seq snd_nxt_;
  Seq rcv_nxt_;
  Timestamp ts_recent_;
  WireWindow window_;
  bool timestamps_ = false;
};

}  // namespace ff::tcp
