#include "cli/connection_killer.hpp"

#include <algorithm>
#include <utility>

namespace ff::cli {

namespace {

using namespace std::chrono_literals;
using wire::TcpFlags;

// How long a connection of which nothing is known may prove to be busy.
constexpr Duration kListenFirst = 300ms;
// Linux answers one such segment of a connection in 500 ms (tcp_invalid_ratelimit).
constexpr Duration kAskInterval = 600ms;
// Segments get lost, and numbers change while a RST is under way.
constexpr Duration kShootInterval = 100ms;
// An end that has said nothing for so long while the other went is out of reach.
constexpr Duration kPatience = 1s;

}  // namespace

ConnectionKiller::ConnectionKiller(const FourTuple& connection, Mode mode, std::uint32_t secret, Instant now)
    : mode_(mode),
      syn_seq_(secret),
      mark_{static_cast<std::uint16_t>(secret >> 16 | 1)},  // never 0, as in most RSTs
      ask_at_(mode == Mode::Idle ? now : now + kListenFirst) {
  ends_[0].endpoint = connection.local;
  ends_[1].endpoint = connection.remote;
  if (mode_ == Mode::Busy) ask_at_ = kNever;
  deadline_ = ask_at_;
}

void ConnectionKiller::saw(Instant now, const Endpoint& from, const Endpoint& to, const wire::TcpHeader& segment,
                           std::uint32_t payload) {
  const auto index = index_of(from);
  if (!index || ends_[1 - *index].endpoint != to || state_ != State::Working) return;
  if (segment.window == mark_ && payload == 0) return;  // our own
  End& end = ends_[*index];
  end.heard = true;
  const bool knew_of_it = end.numbers.has_value();
  if (segment.flags.rst()) {
    end.gone = true;
  } else if (segment.flags.syn()) {
    // A new connection: our own SYN has made a listener begin one, which must not stay.
    if (end.asked && !knew_of_it && segment.flags.ack() && segment.ack == syn_seq_ + 1u) {
      end.gone = true;
      fire(other(end), end, TcpFlags::kRst, segment.ack, Seq());
    }
  } else if (segment.flags.ack()) {
    const std::uint32_t length = payload + (segment.flags.fin() ? 1 : 0);
    end.numbers = Numbers{segment.seq + length, segment.ack};
    end.gone = false;
    shoot(now);
  }
  conclude(now);
}

void ConnectionKiller::tick(Instant now) {
  if (state_ != State::Working) return;
  if (knows_numbers()) {
    if (now >= shoot_at_) shoot(now);
  } else if (now >= ask_at_) {
    // First the destination; who has an old connection that the other has lost is not known.
    if (!ends_[1].gone) ask(ends_[1]);
    if ((asked_ >= 2 || ends_[1].gone) && !ends_[0].gone) ask(ends_[0]);
    ++asked_;
    ask_at_ = now + kAskInterval;
  }
  conclude(now);
}

bool ConnectionKiller::heard(const Endpoint& end) const noexcept {
  const auto index = index_of(end);
  return index && ends_[*index].heard;
}

bool ConnectionKiller::gone(const Endpoint& end) const noexcept {
  const auto index = index_of(end);
  return index && ends_[*index].gone;
}

std::optional<std::size_t> ConnectionKiller::index_of(const Endpoint& endpoint) const noexcept {
  for (std::size_t i = 0; i < ends_.size(); ++i)
    if (ends_[i].endpoint == endpoint) return i;
  return std::nullopt;
}

// With every segment of a busy connection, whose numbers it tells; questions only now and then.
void ConnectionKiller::shoot(Instant now) {
  const bool probe = now >= shoot_at_ || shoot_at_ == kNever;
  for (End& end : ends_) {
    if (!end.gone) shoot_at(end, probe);
  }
  if (probe) shoot_at_ = now + kShootInterval;
}

void ConnectionKiller::shoot_at(End& target, bool probe) {
  const End& peer = other(target);
  // What the target said itself was true when it said it; what its peer has sent since, it may have received.
  const auto& own = target.numbers;
  const auto& sent = peer.numbers;
  const Seq first = own ? own->rcv_nxt : sent->snd_nxt;
  fire(peer, target, TcpFlags::kRst, first, Seq());
  if (own && sent && sent->snd_nxt != first) fire(peer, target, TcpFlags::kRst, sent->snd_nxt, Seq());
  if (probe) fire(peer, target, TcpFlags::kAck, first, own ? own->snd_nxt : sent->rcv_nxt);
}

void ConnectionKiller::ask(End& target) {
  target.asked = true;
  fire(other(target), target, TcpFlags::kSyn, syn_seq_, Seq());
}

void ConnectionKiller::fire(const End& from, const End& to, std::uint8_t flags, Seq seq, Seq ack) {
  Shot shot{from.endpoint, to.endpoint, {}};
  shot.segment.seq = seq;
  shot.segment.ack = ack;
  shot.segment.flags.bits = flags;
  shot.segment.window = mark_;
  shots_.push_back(shot);
}

void ConnectionKiller::conclude(Instant now) {
  const bool any_gone = ends_[0].gone || ends_[1].gone;
  const bool both_gone = ends_[0].gone && ends_[1].gone;
  if (any_gone && first_gone_at_ == kNever) first_gone_at_ = now;
  if (!any_gone) first_gone_at_ = kNever;
  if (both_gone) {
    state_ = knows_numbers() ? State::Ended : State::NoSuchConnection;
  } else if (any_gone && knows_numbers() && now - first_gone_at_ >= kPatience) {
    state_ = State::Ended;
  } else if (any_gone && !ends_[0].asked && mode_ != Mode::Busy) {
    ask_at_ = std::min(ask_at_, now);  // the destination knows of none: whether the source does, now
  }
  deadline_ = knows_numbers() ? shoot_at_ : ask_at_;
}

}  // namespace ff::cli
