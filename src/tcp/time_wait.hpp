// What remains of a connection in TIME_WAIT (RFC 9293 §3.6.1): enough to repeat the last ACK, and to know old segments
// from a new SYN.
#pragma once

#include <cstdint>

#include "tcp/connection.hpp"

namespace ff::tcp {

inline constexpr Duration kTimeWaitLength = std::chrono::seconds(60);  // Linux's TCP_TIMEWAIT_LEN

class TimeWait {
 public:
  explicit TimeWait(std::uint32_t index) noexcept : index_(index) {}
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  void begin(const Connection& connection, Instant now) noexcept;

  enum class Outcome : std::uint8_t {
    Ignore,
    SendAck,         // repeat the last ACK
    SendAckRestart,  // the same, and the 60 seconds begin anew: the peer's FIN came again
    Remove,          // RST
    NewConnection,   // a SYN beyond the old connection's numbers
  };
  Outcome arrives(Environment& env, const Segment& segment) noexcept;

  void emit_ack(Instant now, const Path& path, std::uint32_t ts_offset, TxPacket& packet) const noexcept;
  // RFC 6191 §2, as Linux: an initial sequence number beyond those of the connection before.
  [[nodiscard]] Seq next_iss() const noexcept {
    const Seq iss = snd_nxt_ + (65535u + 2u);
    return iss.raw() == 0 ? iss + 1u : iss;
  }
  [[nodiscard]] const FourTuple& tuple() const noexcept { return tuple_; }
  [[nodiscard]] Instant ends_at() const noexcept { return ends_at_; }
  void restart(Instant now) noexcept { ends_at_ = now + kTimeWaitLength; }

 private:
  FourTuple tuple_;
  std::uint32_t index_;
  Instant ends_at_{};
  Seq snd_nxt_;
  Seq rcv_nxt_;
  Timestamp ts_recent_;
  WireWindow window_;
  bool timestamps_ = false;
};

static_assert(sizeof(TimeWait) <= 64, "a TIME_WAIT entry costs at most 64 bytes");

}  // namespace ff::tcp
