// The scoreboard, against one that keeps a note for each byte and looks at all of them every time.
#include "tcp/scoreboard.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "firstflight/seed.hpp"

namespace ff::tcp {
namespace {

struct Byte {
  Instant sent_at{};  // the last time
  std::uint32_t sent = 0;
  bool sacked = false;
  bool lost = false;
};

class Model {
 public:
  explicit Model(Seq una) : una_(una) {}
  Seq una() const { return una_; }
  Seq nxt() const { return una_ + static_cast<std::uint32_t>(bytes_.size()); }
  std::vector<Byte>& bytes() { return bytes_; }
  Byte& at(Seq seq) { return bytes_[static_cast<std::size_t>(seq - una_)]; }

  std::uint32_t lost() const {
    return count([](const Byte& b) { return b.lost; });
  }
  std::uint32_t sacked() const {
    return count([](const Byte& b) { return b.sacked; });
  }

  void send(std::uint32_t length, Instant now) {
    for (std::uint32_t i = 0; i < length; ++i) bytes_.push_back({.sent_at = now, .sent = 1});
  }
  void resend(Seq first, std::uint32_t length, Instant now) {
    for (std::uint32_t i = 0; i < length; ++i) {
      Byte& b = at(first + i);
      b.lost = false;
      b.sent_at = now;
      ++b.sent;
    }
  }

  struct Found {
    std::uint32_t arrived = 0, sacked = 0;
    bool retransmitted = false;
    Instant first_sent_at = kNever, first_sacked_sent_at = kNever;
    std::optional<Seq> lowest_original;
  };
  void arrive(Byte& b, Seq seq, bool by_sack, Found& found) {
    if (b.sacked) return;
    ++found.arrived;
    if (by_sack) ++found.sacked;
    b.lost = false;
    if (b.sent > 1) {
      found.retransmitted |= !by_sack;
      return;
    }
    Instant& oldest = by_sack ? found.first_sacked_sent_at : found.first_sent_at;
    oldest = std::min(oldest, b.sent_at);
    if (!found.lowest_original || before(seq, *found.lowest_original)) found.lowest_original = seq;
  }
  void acknowledge(Seq ack, Found& found) {
    for (Seq seq = una_; before(seq, ack); seq += 1) arrive(at(seq), seq, false, found);
    bytes_.erase(bytes_.begin(), bytes_.begin() + (ack - una_));
    una_ = ack;
  }
  void sack(Seq first, Seq end, Found& found) {
    for (Seq seq = first; before(seq, end); seq += 1) {
      arrive(at(seq), seq, true, found);
      at(seq).sacked = true;
    }
  }

  // RFC 8985 §6.2 step 5, byte by byte.
  void detect_losses(Instant newest, Seq newest_end, Instant horizon) {
    for (std::uint32_t i = 0; i < bytes_.size(); ++i) {
      Byte& b = bytes_[i];
      const Seq seq = una_ + i;
      if (b.sacked || b.lost) continue;
      // Of what went out with `newest`, that which lies below its end went before.
      const bool before_newest = b.sent_at < newest || (b.sent_at == newest && before(seq, newest_end));
      if (before_newest && b.sent_at <= horizon) b.lost = true;
    }
  }

 private:
  template <typename Is>
  std::uint32_t count(Is is) const {
    std::uint32_t n = 0;
    for (const Byte& b : bytes_) n += is(b) ? 1u : 0u;
    return n;
  }

  Seq una_;
  std::vector<Byte> bytes_;
};

RC_GTEST_PROP(ScoreboardProperty, BehavesAsANotePerByte, (std::uint64_t seed)) {
  Random random(Seed::from_number(seed).bytes);
  const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random.next() % bound); };
  const Seq start(std::numeric_limits<std::uint32_t>::max() - below(400));  // it wraps
  Scoreboard board;
  Model model(start);
  Instant now{std::chrono::seconds(1)};
  Instant newest{};
  Seq newest_end;
  bool known = false;

  for (int step = 0; step < 120; ++step) {
    // What goes out again at one instant goes in the order of its numbers.
    now += std::chrono::milliseconds(1 + below(2));
    const std::uint32_t size = static_cast<std::uint32_t>(model.nxt() - model.una());
    Arrivals arrivals;
    arrivals.now = now;
    Model::Found found;
    bool told = false;
    switch (below(8)) {
      case 0:
      case 1: {
        if (size > 400) break;
        const std::uint32_t length = 1 + below(40);
        board.sent(model.nxt(), model.nxt() + length, {.sent_at = now});
        model.send(length, now);
        break;
      }
      case 2:
      case 3: {
        if (size == 0) break;
        const std::uint32_t first = below(size), length = 1 + below(std::min(size - first, 50u));
        board.sack(model.una() + first, model.una() + first + length, arrivals);
        model.sack(model.una() + first, model.una() + first + length, found);
        told = true;
        break;
      }
      case 4: {
        if (size == 0) break;
        const std::uint32_t length = 1 + below(std::min(size, 60u));
        const Seq ack = model.una() + length;
        board.acknowledge(ack, arrivals);
        model.acknowledge(ack, found);
        told = true;
        break;
      }
      case 5: {
        const auto lost = board.first_lost(1 + below(30), 1 + below(30));
        RC_ASSERT(lost.has_value() == (model.lost() > 0));
        if (!lost) break;
        for (Seq seq = model.una(); before(seq, lost->first); seq += 1) RC_ASSERT(!model.at(seq).lost);
        for (std::uint32_t i = 0; i < lost->length; ++i) RC_ASSERT(model.at(lost->first + i).lost);
        board.resent(lost->first, lost->first + lost->length, {.sent_at = now});
        model.resend(lost->first, lost->length, now);
        break;
      }
      case 6: {
        if (!known) break;
        const Instant horizon = now - std::chrono::milliseconds(below(12));
        board.detect_losses(newest, newest_end, horizon);
        model.detect_losses(newest, newest_end, horizon);
        break;
      }
      default:
        if (size == 0 || below(10) > 0) break;
        if (below(3) == 0) {
          const Instant horizon = now - std::chrono::milliseconds(below(40));
          board.mark_lost_if_sent_by(horizon);
          for (Byte& b : model.bytes()) b.lost |= !b.sacked && b.sent_at <= horizon;
          break;
        }
        const std::uint32_t first = below(size), length = 1 + below(size - first);
        board.mark_lost(model.una() + first, model.una() + first + length);
        for (std::uint32_t i = 0; i < length; ++i)
          if (Byte& b = model.at(model.una() + first + i); !b.sacked) b.lost = true;
    }
    if (told) {
      RC_ASSERT(arrivals.arrived == found.arrived);
      RC_ASSERT(arrivals.sacked == found.sacked);
      RC_ASSERT(arrivals.retransmitted == found.retransmitted);
      RC_ASSERT(arrivals.first_sent_at == found.first_sent_at);
      RC_ASSERT(arrivals.first_sacked_sent_at == found.first_sacked_sent_at);
      RC_ASSERT(arrivals.original == found.lowest_original.has_value());
      if (found.lowest_original) RC_ASSERT(arrivals.lowest_original == *found.lowest_original);
      if (arrivals.known && (!known || sent_after(arrivals.newest.sent_at, arrivals.newest_end, newest, newest_end))) {
        newest = arrivals.newest.sent_at;
        newest_end = arrivals.newest_end;
        known = true;
      }
    }
    RC_ASSERT(board.check(model.una(), model.nxt()) == "");
    RC_ASSERT(board.lost() == model.lost());
    RC_ASSERT(board.sacked() == model.sacked());
  }
}

}  // namespace
}  // namespace ff::tcp
