// Two streams made one: what comes from either goes to the other. Nothing is copied, and nothing is read before the
// other side has room for it, so that a slow reader slows down the writer and not us.
#pragma once

#include <cstdint>

#include "relay/stream.hpp"

namespace ff::relay {

class Joint {
 public:
  // They must outlive it.
  Joint(Stream& a, Stream& b) noexcept : a_to_b_{a, b}, b_to_a_{b, a} {}

  // Moves what can be moved. False: one of them has failed and the other is to be reset. What `b` had to say comes
  // first: it may have said so before it refused what `a` sends.
  bool pump(Instant now) { return pump(now, b_to_a_, a_to_b_.ended) && pump(now, a_to_b_, b_to_a_.ended); }
  // Both have ended in order, and are to be closed: whoever ended first is told so by that.
  [[nodiscard]] bool finished() const noexcept { return a_to_b_.ended && b_to_a_.ended; }
  // What `a` had to say is said, its end included.
  [[nodiscard]] bool a_ended() const noexcept { return a_to_b_.ended; }
  struct Bytes {
    std::uint64_t from_a, from_b;
  };
  [[nodiscard]] Bytes moved() const noexcept { return {a_to_b_.moved, b_to_a_.moved}; }

 private:
  struct Way {
    Stream& from;
    Stream& to;
    Piece pending{};     // read, and not taken yet
    bool ended = false;  // the FIN is passed on
    std::uint64_t moved = 0;
  };
  static bool pump(Instant now, Way& way, bool other_ended);

  Way a_to_b_, b_to_a_;
};

}  // namespace ff::relay
