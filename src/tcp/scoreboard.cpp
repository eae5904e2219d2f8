#include "tcp/scoreboard.hpp"

#include <algorithm>
#include <cassert>

#include "base/search.hpp"

namespace ff::tcp {

std::size_t Scoreboard::sent_holding(Seq seq) const noexcept {
  if (after(sent_.front().end, seq)) return 0;
  near_.arrival = first_where(sent_.size(), near_.arrival, [&](std::size_t i) { return after(sent_[i].end, seq); });
  return near_.arrival;
}

// How many of sent_ went out at `time` or before.
std::size_t Scoreboard::sent_by(Instant time, std::size_t near) const noexcept {
  if (sent_.empty() || sent_.front().how.sent_at > time) return 0;
  return first_where(sent_.size(), near, [&](std::size_t i) { return sent_[i].how.sent_at > time; });
}

std::size_t Scoreboard::first_resent_ending_after(Seq seq) const noexcept {
  if (resent_.empty() || after(resent_.front().end, seq)) return 0;
  return first_where(resent_.size(), resent_.size() - 1, [&](std::size_t i) { return after(resent_[i].end, seq); });
}

bool Scoreboard::has_sacked_segments(std::uint32_t count, std::uint32_t mss) const noexcept {
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < sacked_.size(); ++i) {
    const Interval& stretch = sacked_[i];
    for (std::size_t k = sent_holding(stretch.first); k < sent_.size() && before(sent_[k].first, stretch.end); ++k) {
      const Seq first = later_of(sent_[k].first, stretch.first);
      const Seq end = before(sent_[k].end, stretch.end) ? sent_[k].end : stretch.end;
      seen += (static_cast<std::uint32_t>(end - first) + mss - 1) / mss;
      if (seen >= count) return true;
    }
  }
  return false;
}

// ---- sending

void Scoreboard::sent(Seq first, Seq end, const Transmission& how) {
  assert(sent_.empty() || (sent_.back().end == first && sent_.back().how.sent_at <= how.sent_at));
  if (sent_.empty()) judged_ = first;
  sent_.push_back({first, end, how});
}

std::optional<Scoreboard::Stretch> Scoreboard::first_lost(std::uint32_t limit, std::uint32_t mss) const noexcept {
  if (lost_.empty()) return std::nullopt;
  const Seq first = lost_.front().first;
  const auto together = static_cast<std::uint32_t>(sent_[sent_holding(first)].end - first);
  return Stretch{first, std::min({limit, lost_.front().length(), std::max(together, mss)})};
}

// Takes [first, end) out of resent_, calling each(first, end, how) for what was there, in order.
template <typename Each>
void Scoreboard::take_resent(Seq first, Seq end, Each&& each) {
  std::size_t i = first_resent_ending_after(first);
  if (i < resent_.size() && before(resent_[i].first, first)) {
    Resent inside = resent_[i];
    resent_[i].end = first;
    inside.first = first;
    resent_.insert(++i, inside);
  }
  std::size_t behind = i;
  for (; behind < resent_.size() && before(resent_[behind].first, end); ++behind) {
    Resent& entry = resent_[behind];
    if (after(entry.end, end)) {
      each(entry.first, end, entry.how);
      entry.first = end;
      break;
    }
    each(entry.first, entry.end, entry.how);
  }
  resent_.erase(i, behind - i);
}

void Scoreboard::resent(Seq first, Seq end, const Transmission& how) {
  lost_.remove(first, end);
  take_resent(first, end, [](Seq, Seq, const Transmission&) {});
  resent_.insert(first_resent_ending_after(first), {first, end, how});
  resent_order_.push_back({first, end, how.sent_at});
}

// ---- what arrived

void Scoreboard::arrived_original(Seq first, Seq end, Arrivals& arrivals, bool by_sack) {
  for (std::size_t i = sent_holding(first); before(first, end); ++i) {
    const Seq until = before(sent_[i].end, end) ? sent_[i].end : end;
    arrivals.add(first, until, sent_[i].how, false, by_sack);
    first = until;
  }
}

void Scoreboard::arrived(Seq first, Seq end, Arrivals& arrivals, bool by_sack) {
  if (!lost_.empty()) lost_.remove(first, end);
  if (!resent_.empty()) {
    take_resent(first, end, [&](Seq from, Seq to, const Transmission& how) {
      arrived_original(first, from, arrivals, by_sack);
      arrivals.add(from, to, how, true, by_sack);
      first = to;
    });
  }
  arrived_original(first, end, arrivals, by_sack);
}

void Scoreboard::acknowledge(Seq ack, Arrivals& arrivals) {
  if (sent_.empty()) return;
  const Seq first = sent_.front().first;
  const Seq end = before(ack, sent_.back().end) ? ack : sent_.back().end;
  if (at_or_before(end, first)) return;
  if (sacked_.empty()) {
    arrived(first, end, arrivals, false);
  } else {
    sacked_.for_each_gap(first, end, [&](Seq from, Seq to) { arrived(from, to, arrivals, false); });
    sacked_.remove(first, end);
  }
  drop_front(end);
}

void Scoreboard::drop_front(Seq ack) noexcept {
  while (!sent_.empty() && at_or_before(sent_.front().end, ack)) sent_.pop_front();
  if (sent_.empty()) return clear();
  sent_.front().first = later_of(sent_.front().first, ack);
  judged_ = later_of(judged_, ack);
  if (resent_.empty()) resent_order_.clear();
}

// What went again may have been cut elsewhere than at first.
const Scoreboard::Sent& Scoreboard::last_carrier_of(Seq seq) const noexcept {
  const std::size_t i = first_resent_ending_after(seq);
  if (i < resent_.size() && at_or_before(resent_[i].first, seq)) return resent_[i];
  return sent_[sent_holding(seq)];
}

void Scoreboard::sack(Seq first, Seq end, Arrivals& arrivals) {
  assert(!sent_.empty() && at_or_after(first, sent_.front().first) && at_or_before(end, sent_.back().end));
  if (sacked_.covers(first, end)) return;  // a block is told three times and more
  const Sent& one = last_carrier_of(first);
  if (const std::uint32_t inside = static_cast<std::uint32_t>(first - one.first) % one.how.mss; inside != 0) {
    const Seq next = first + (one.how.mss - inside);
    first = before(next, one.end) ? next : one.end;
  }
  if (!before(first, end)) return;
  const Sent& last = last_carrier_of(end - 1u);
  if (end != last.end) end = end - static_cast<std::uint32_t>(end - last.first) % last.how.mss;
  if (!before(first, end)) return;
  sacked_.for_each_gap(first, end, [&](Seq from, Seq to) { arrived(from, to, arrivals, true); });
  sacked_.add(first, end);
}

// ---- what did not

void Scoreboard::mark_lost(Seq first, Seq end) {
  sacked_.for_each_gap(first, end, [&](Seq from, Seq to) { lost_.add(from, to); });
}

void Scoreboard::mark_lost_if_sent_by(Instant horizon) {
  const std::size_t count = sent_by(horizon, near_.horizon);
  if (count == 0) return;
  const Seq edge = sent_[count - 1].end;
  sacked_.for_each_gap(sent_.front().first, edge, [&](Seq from, Seq to) {
    for (std::size_t i = first_resent_ending_after(from); i < resent_.size() && before(resent_[i].first, to); ++i) {
      if (resent_[i].how.sent_at <= horizon) continue;
      lost_.add(from, resent_[i].first);
      from = later_of(from, resent_[i].end);
    }
    lost_.add(from, to);
  });
  judged_ = later_of(judged_, edge);
}

// [first, end), sent once, has been on its way for too long. What was sent again since is judged by that.
void Scoreboard::judge(Seq first, Seq end) {
  sacked_.for_each_gap(first, end, [&](Seq from, Seq to) {
    for (std::size_t i = first_resent_ending_after(from); i < resent_.size() && before(resent_[i].first, to); ++i) {
      lost_.add(from, resent_[i].first);
      from = later_of(from, resent_[i].end);
    }
    lost_.add(from, to);
  });
}

std::uint32_t Scoreboard::resent_in_flight() const noexcept {
  std::uint32_t bytes = 0;
  for (std::size_t i = 0; i < resent_.size(); ++i)
    bytes += static_cast<std::uint32_t>(resent_[i].end - resent_[i].first);
  return bytes;
}

Scoreboard::Detected Scoreboard::detect_losses(Instant newest, Seq newest_end, Instant horizon) {
  Detected found;
  if (sent_.empty()) return found;
  // What was sent once, and before `newest`, is a part at the front; of it what was sent by the horizon is another.
  const std::size_t earlier = near_.newest = sent_by(newest - Duration(1), near_.newest);
  const std::size_t by_then = sent_by(newest, earlier);
  Seq end = earlier > 0 ? sent_[earlier - 1].end : sent_.front().first;
  if (by_then > earlier)
    end = later_of(end, before(newest_end, sent_[by_then - 1].end) ? newest_end : sent_[by_then - 1].end);
  const std::size_t expired = near_.horizon = sent_by(horizon, near_.horizon);
  Seq edge = expired > 0 ? sent_[expired - 1].end : sent_.front().first;
  if (after(edge, end)) edge = end;
  if (after(edge, judged_)) {
    judge(judged_, edge);
    judged_ = edge;
  }
  if (after(end, judged_) && !sacked_.covers(judged_, end)) found.may_come = sent_[sent_holding(end - 1u)].how.sent_at;

  // What was sent again.
  while (!resent_order_.empty()) {
    const ResentAt oldest = resent_order_.front();
    bool waits = false;
    for (std::size_t i = first_resent_ending_after(oldest.first);
         i < resent_.size() && before(resent_[i].first, oldest.end); ++i) {
      const Resent& entry = resent_[i];
      if (entry.how.sent_at != oldest.sent_at || lost_.covers(entry.first, entry.end)) continue;
      if (!sent_after(newest, newest_end, entry.how.sent_at, entry.end)) return found;
      if (entry.how.sent_at <= horizon) {
        const std::uint32_t lost_before = lost_.total();
        lost_.add(entry.first, entry.end);
        found.repeats_lost += lost_.total() - lost_before;
      } else {
        waits = true;
      }
    }
    if (waits) {
      found.may_come = std::max(found.may_come.value_or(oldest.sent_at), oldest.sent_at);
      break;
    }
    resent_order_.pop_front();
  }
  return found;
}

void Scoreboard::clear() noexcept {
  sent_.clear();
  sacked_.clear();
  lost_.clear();
  resent_.clear();
  resent_order_.clear();
}

std::string Scoreboard::check(Seq una, Seq nxt) const {
  if (sent_.empty()) {
    if (una != nxt) return "bytes are in flight but no record of them exists";
    return sacked_.empty() && lost_.empty() && resent_.empty() ? "" : "the scoreboard knows of bytes not in flight";
  }
  Seq at = una;
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    if (sent_[i].first != at || !after(sent_[i].end, at)) return "what was sent has a gap";
    at = sent_[i].end;
  }
  if (at != nxt) return "what was sent does not end at snd.nxt";
  if (before(judged_, una) || after(judged_, nxt)) return "RACK has judged what is not in flight";
  for (const IntervalSet* set : {&sacked_, &lost_}) {
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < set->size(); ++i) {
      const Interval& stretch = (*set)[i];
      if (!after(stretch.end, stretch.first)) return "an empty stretch";
      if (i > 0 && !after(stretch.first, (*set)[i - 1].end)) return "stretches touch or overlap";
      total += stretch.length();
    }
    if (total != set->total()) return "a count of bytes is wrong";
    if (!set->empty() && (before(set->front().first, una) || after(set->back().end, nxt)))
      return "the scoreboard knows of bytes not in flight";
  }
  for (std::size_t i = 0; i < lost_.size(); ++i)
    if (lost_[i].length() > 0) {
      std::uint32_t gaps = 0;
      sacked_.for_each_gap(lost_[i].first, lost_[i].end,
                           [&](Seq from, Seq to) { gaps += static_cast<std::uint32_t>(to - from); });
      if (gaps != lost_[i].length()) return "bytes are both lost and SACKed";
    }
  for (std::size_t i = 0; i < resent_.size(); ++i) {
    if (!after(resent_[i].end, resent_[i].first) || before(resent_[i].first, una) || after(resent_[i].end, nxt))
      return "what was sent again is not in flight";
    if (i > 0 && before(resent_[i].first, resent_[i - 1].end)) return "what was sent again overlaps";
  }
  return "";
}

}  // namespace ff::tcp
