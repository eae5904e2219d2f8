// Ends a connection between two other hosts: which segments to send, given those that were seen. It knows no sockets
// and no clock; src/cli/kill.cpp has those.
//
// A RST counts only with exactly the next number that its receiver expects (RFC 5961 §3.2). A busy connection tells
// those numbers with every segment. An idle one is asked: a SYN with its four-tuple, whatever its number, is answered
// by a challenge ACK that says both numbers (RFC 5961 §4.2). Whether it has worked is asked, too: to an ACK that says
// nothing new, an end that is alive says nothing, and one that has gone says RST.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/seq.hpp"
#include "firstflight/address.hpp"
#include "firstflight/time.hpp"
#include "tcp/emit.hpp"
#include "wire/tcp.hpp"

namespace ff::cli {

class ConnectionKiller {
 public:
  enum class Mode : std::uint8_t {
    Either,  // listens for a moment, then asks
    Idle,    // asks at once
    Busy,    // only listens
  };
  enum class State : std::uint8_t {
    Working,
    Ended,             // both ends are gone, or one is and the other says nothing at all
    NoSuchConnection,  // both ends were asked, and neither knew of it
  };
  struct Shot {
    Endpoint from, to;
    tcp::SegmentToSend segment;
  };

  // `secret` marks our own segments, so that they are known when they are seen.
  ConnectionKiller(const FourTuple& connection, Mode mode, std::uint32_t secret, Instant now);

  // A segment was seen, ours or another's, of this connection or not.
  void saw(Instant now, const Endpoint& from, const Endpoint& to, const wire::TcpHeader& segment,
           std::uint32_t payload);
  // Something may be due.
  void tick(Instant now);
  [[nodiscard]] Instant next_deadline() const noexcept { return deadline_; }

  // What to send now, in this order; empties itself.
  std::vector<Shot> take_shots() { return std::exchange(shots_, {}); }

  [[nodiscard]] State state() const noexcept { return state_; }
  // Whether a segment of this end was seen that is not ours.
  [[nodiscard]] bool heard(const Endpoint& end) const noexcept;
  [[nodiscard]] bool gone(const Endpoint& end) const noexcept;
  // The numbers are known, from a challenge ACK or a segment of its own.
  [[nodiscard]] bool knows_numbers() const noexcept { return ends_[0].numbers || ends_[1].numbers; }

 private:
  // As its segments tell: the next number it sends and the next that it expects.
  struct Numbers {
    Seq snd_nxt, rcv_nxt;
  };
  struct End {
    Endpoint endpoint;
    std::optional<Numbers> numbers;
    bool heard = false;
    bool gone = false;
    bool asked = false;  // a SYN went there
  };

  [[nodiscard]] std::optional<std::size_t> index_of(const Endpoint& endpoint) const noexcept;
  End& other(const End& end) noexcept { return &end == &ends_[0] ? ends_[1] : ends_[0]; }
  void shoot(Instant now);
  void shoot_at(End& target, bool probe);
  void ask(End& target);
  void fire(const End& from, const End& to, std::uint8_t flags, Seq seq, Seq ack);
  void conclude(Instant now);

  std::array<End, 2> ends_;  // the source, the destination
  Mode mode_;
  Seq syn_seq_;
  WireWindow mark_;
  State state_ = State::Working;
  std::vector<Shot> shots_;
  Instant deadline_;
  Instant ask_at_;
  Instant shoot_at_ = kNever;
  Instant first_gone_at_ = kNever;
  int asked_ = 0;
};

}  // namespace ff::cli
