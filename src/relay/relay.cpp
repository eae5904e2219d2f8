#include "relay/relay.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace ff::relay {
namespace {

// A program that has given up on its SYN says nothing; its kernel answers our SYN-ACK by RST, of which we do not hear.
constexpr Duration kAcceptance = std::chrono::seconds(10);

// How long a program may take to have what its server had sent before it reset, and how often we look.
constexpr Duration kLastWords = std::chrono::seconds(10);
constexpr Duration kLastWordsPoll = std::chrono::milliseconds(1);

// Servers that have refused; programs choose which.
constexpr std::size_t kMostDoubtful = 1024;

ListenOptions all_ports() {
  ListenOptions options;
  options.local = {IpAddress::any_v6(), 0};
  options.every_port = true;
  options.hold_requests = true;
  options.options.no_delay = true;
  options.options.oob_inline = true;  // the urgent byte stays in its place
  options.options.reuse_addr = true;  // what it accepts shares ports with connections that forward() makes
  return options;
}

}  // namespace

std::size_t Relay::TupleHash::operator()(const FourTuple& tuple) const noexcept {
  const auto hash = [](const Endpoint& end) {
    return std::hash<std::string_view>{}(as_text(end.address.bytes())) * 31 + end.port;
  };
  return hash(tuple.local) * 65599 + hash(tuple.remote);
}

Relay::Relay(Stack& inner, Network& outer, RelayOptions options, Schedule schedule)
    : inner_(inner),
      outer_(outer),
      options_(options),
      schedule_(std::move(schedule)),
      acceptance_(
          schedule_, kAcceptance,
          [this](SessionId id) {
            const Session* session = find(id);
            return session != nullptr && session->waiting;
          },
          [this](Instant now, SessionId id) { erase(now, *find(id)); }),
      first_write_(
          schedule_, options.wait,
          [this](SessionId id) {
            const Session* session = find(id);
            return session != nullptr && session->outer && session->outer->state() == Stream::State::WaitsForWrite;
          },
          [this](Instant now, SessionId id) {
            ++statistics_.waited_vain;
            find(id)->outer->start(now);
          }),
      last_words_(
          schedule_, kLastWordsPoll,
          [this](SessionId id) {
            const Session* session = find(id);
            return session != nullptr && session->reset_by != Instant();
          },
          [this](Instant now, SessionId id) {
            Session& session = *find(id);
            if (now >= session.reset_by || session.inner->all_sent()) return end(now, session);
            last_words_.add(now, id);
          }),
      datagrams_(inner, outer, schedule_) {
  const auto listener = inner_.listen(all_ports());
  assert(listener);
  listener_ = *listener;
}

void Relay::handle_event(Instant now, const Event& event) {
  if (event.listener == listener_) {
    while (const auto request = inner_.next_request(listener_)) begin(now, *request);
    while (const auto connection = inner_.accept(listener_)) attach(now, *connection);
  } else if (event.datagram.generation != 0) {
    datagrams_.handle_event(now, event);
  } else {
    StackStream::dispatch(now, event);
  }
}

Relay::Session* Relay::find(SessionId id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

void Relay::observe(Session& session) {
  const auto call = [this, id = session.id](Instant now) { advance(now, id); };
  if (session.inner) session.inner->on_change(call);
  if (session.outer) session.outer->on_change(call);
}

// What has not been closed ends by RST.
void Relay::erase(Instant now, Session& session) {
  if (session.inner) session.inner->abort(now);
  if (session.outer) session.outer->abort(now);
  if (session.waiting) by_tuple_.erase(session.tuple);
  const SessionId id = session.id;
  sessions_.erase(id);
}

void Relay::count(const Session& session) noexcept {
  if (!session.joint) return;
  const auto [from_inner, from_outer] = session.joint->moved();
  statistics_.bytes_out += from_inner;
  statistics_.bytes_in += from_outer;
}

// A program that was answered before its server was asked saw a refusal as a reset. It shall not the next time.
void Relay::doubt(const Session& session) {
  const bool of_a_program = session.tuple.local.port != 0;
  if (!of_a_program || session.joint->moved().from_b > 0 || session.outer->state() != Stream::State::Failed) return;
  if (doubtful_.size() >= kMostDoubtful) doubtful_.clear();
  doubtful_.insert(session.tuple.local);
}

// ---- from a program to anywhere ------------------------------------------------------------------------------------

void Relay::begin(Instant now, const HeldRequest& request) {
  ++statistics_.outbound;
  // A second SYN from the same port: the program has given up on the first.
  if (const auto old = by_tuple_.find(request.tuple); old != by_tuple_.end()) erase(now, *find(old->second));
  const bool fast_open = !options_.server_first[request.tuple.local.port] && !doubtful_.contains(request.tuple.local);
  auto outer = outer_.connect(now, request.tuple.local, fast_open);
  if (!outer) {
    ++statistics_.refused;
    (void)inner_.refuse(now, request.id, outer.error());
    return;
  }
  const SessionId id = ++last_;
  auto session = std::make_unique<Session>();
  session->id = id;
  session->tuple = request.tuple;
  session->request = request.id;
  session->outer = *std::move(outer);
  session->waiting = true;
  by_tuple_[request.tuple] = id;
  observe(*session);
  Session& kept = *(sessions_[id] = std::move(session));
  if (kept.outer->state() != Stream::State::Connecting) outer_changed(now, kept);
}

// The outer connection is not joined yet.
void Relay::outer_changed(Instant now, Session& session) {
  switch (session.outer->state()) {
    case Stream::State::Connecting:
      return;
    case Stream::State::WaitsForWrite:
    case Stream::State::Open:
      if (session.outer->state() == Stream::State::Open) doubtful_.erase(session.tuple.local);
      if (!session.answered) answer(now, session);
      return;
    case Stream::State::Failed:
      ++statistics_.refused;
      if (!session.answered) (void)inner_.refuse(now, session.request, session.outer->error());
      if (!session.answered) return erase(now, session);
      session.outer.reset();  // the program's connection is reset when it is accepted
      return;
  }
}

void Relay::answer(Instant now, Session& session) {
  session.answered = true;
  if (!inner_.answer(now, session.request)) return erase(now, session);  // the program has reset it
  acceptance_.add(now, session.id);
}

void Relay::attach(Instant now, ConnectionId connection) {
  const auto found = by_tuple_.find(inner_.info(connection).value().tuple);
  Session* session = found == by_tuple_.end() ? nullptr : find(found->second);
  if (session == nullptr || session->outer == nullptr) {
    (void)inner_.abort(now, connection);
    if (session != nullptr) erase(now, *session);
    return;
  }
  by_tuple_.erase(found);
  session->waiting = false;
  session->inner = std::make_unique<StackStream>(inner_, connection, Stream::State::Open);
  // The answer, which is on its way, acknowledges the request.
  (void)inner_.set_quick_ack(now, connection, false);
  if (session->outer->state() == Stream::State::WaitsForWrite) {
    ++statistics_.waited;
    first_write_.add(now, session->id);
  }
  join(now, *session);
}

// ---- both ways -----------------------------------------------------------------------------------------------------

void Relay::join(Instant now, Session& session) {
  session.joint = std::make_unique<Joint>(*session.inner, *session.outer);
  observe(session);
  advance(now, session.id);
}

void Relay::advance(Instant now, SessionId id) {
  Session* session = find(id);
  if (session == nullptr) return;
  if (!session->joint) return outer_changed(now, *session);
  if (session->reset_by != Instant()) return;
  if (!session->joint->pump(now)) return fail(now, *session);
  if (!session->joint->finished()) return;
  session->inner->close(now);
  session->outer->close(now);
  end(now, *session);
}

// One side has been reset. The program still gets what came before it, which a kernel would have kept for it.
void Relay::fail(Instant now, Session& session) {
  ++statistics_.reset;
  doubt(session);
  if (session.outer->state() != Stream::State::Failed || session.inner->all_sent()) return end(now, session);
  session.outer->abort(now);
  session.reset_by = now + kLastWords;
  last_words_.add(now, session.id);
}

void Relay::end(Instant now, Session& session) {
  count(session);
  erase(now, session);
}

// ---- from anywhere to a program ------------------------------------------------------------------------------------

Result<void> Relay::forward(const Endpoint& outside, const Endpoint& inside, const IpAddress& stand_in) {
  return outer_.listen(outside, [this, inside, stand_in](Instant now, Network::Arrival arrival) {
    arrive(now, std::move(arrival), inside, stand_in);
  });
}

Result<void> Relay::forward_datagrams(const Endpoint& outside, const Endpoint& inside, const IpAddress& stand_in) {
  return datagrams_.forward(outside, inside, stand_in);
}

void Relay::arrive(Instant now, Network::Arrival arrival, const Endpoint& inside, const IpAddress& stand_in) {
  ++statistics_.inbound;
  ConnectOptions options;
  options.remote = inside;
  options.options.no_delay = true;
  options.options.oob_inline = true;
  options.options.reuse_addr = true;
  const bool shown = can_be_shown(arrival.from, inside);
  options.local = shown ? arrival.from : Endpoint{stand_in, 0};
  auto connection = inner_.connect(now, options);
  if (!connection && shown) {
    options.local = Endpoint{stand_in, 0};
    connection = inner_.connect(now, options);
  }
  if (!connection) return arrival.stream->abort(now);
  const SessionId id = ++last_;
  auto session = std::make_unique<Session>();
  session->id = id;
  session->outer = std::move(arrival.stream);
  session->inner = std::make_unique<StackStream>(inner_, *connection, Stream::State::Connecting);
  session->answered = true;
  join(now, *(sessions_[id] = std::move(session)));
}

bool Relay::drained() const {
  return std::ranges::all_of(sessions_, [](const auto& entry) {
    const Session& session = *entry.second;
    if (session.joint == nullptr || session.reset_by != Instant()) return true;
    // A FIN still waits for the answer to a SYN that has taken all bytes along.
    return session.joint->a_ended() && session.outer->state() != Stream::State::Connecting;
  });
}

void Relay::finish(Instant now) {
  while (!sessions_.empty()) {
    Session& session = *sessions_.begin()->second;
    if (session.joint && session.joint->a_ended()) session.outer->close(now);
    end(now, session);
  }
}

Relay::Statistics Relay::statistics() const {
  Statistics sum = statistics_;
  sum.datagram_flows = datagrams_.opened();
  for (const auto& [id, session] : sessions_) {
    if (!session->joint) continue;
    const auto [from_inner, from_outer] = session->joint->moved();
    sum.bytes_out += from_inner;
    sum.bytes_in += from_outer;
  }
  return sum;
}

}  // namespace ff::relay
