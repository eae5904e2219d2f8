// Carries on, over some Network, what comes to a stack that stands for every host: connections to anywhere, and
// datagrams. And the other way: connections that come to ports of the Network's go to a host behind the stack.
//
// A program that connects is answered when the outer connection stands, so that it sees a refusal or a silence as the
// server's own. Only where the outer SYN can take its first write along (Fast Open, with a cookie at hand) is the
// program answered at once, and the SYN waits a moment for that write.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <unordered_map>

#include "firstflight/stack.hpp"
#include "relay/datagram_flows.hpp"
#include "relay/joint.hpp"
#include "relay/patience.hpp"
#include "relay/stack_stream.hpp"
#include "relay/stream.hpp"

namespace ff::relay {

struct RelayOptions {
  // How long a SYN may wait for the first write.
  Duration wait = std::chrono::milliseconds(5);
  // Where the server speaks first, so that there is nothing to wait for.
  std::bitset<65536> server_first{};
};

class Relay {
 public:
  using Call = std::function<void(Instant)>;
  // Arranges for a call at that time, or soon after.
  using Schedule = std::function<void(Instant due, Call call)>;

  // `inner` has an interface with any_destination; it and `outer` must outlive the relay, and `schedule` must make no
  // calls after it.
  Relay(Stack& inner, Network& outer, RelayOptions options, Schedule schedule);

  // Every event of the inner stack's.
  void handle_event(Instant now, const Event& event);

  // From now on what comes to `outside` of the network's goes to `inside`, a host behind the inner stack. It sees the
  // client's address where it has one of that family; otherwise `stand_in`.
  Result<void> forward(const Endpoint& outside, const Endpoint& inside, const IpAddress& stand_in);

  // The same for datagrams.
  Result<void> forward_datagrams(const Endpoint& outside, const Endpoint& inside, const IpAddress& stand_in);

  // The programs behind the inner stack have ended: whether all that they had written is on its way outside.
  [[nodiscard]] bool drained() const;
  // Ends everything: connections whose program has ended its side in order, the others by RST.
  void finish(Instant now);

  struct Statistics {
    std::uint64_t outbound = 0;     // connections of programs
    std::uint64_t inbound = 0;      // to programs
    std::uint64_t refused = 0;      // of those of programs: failed before they stood
    std::uint64_t waited = 0;       // SYNs that waited for a first write
    std::uint64_t waited_vain = 0;  // and went without
    std::uint64_t reset = 0;        // ended by an error of either side
    std::uint64_t bytes_out = 0, bytes_in = 0;
    std::uint64_t datagram_flows = 0;
  };
  [[nodiscard]] Statistics statistics() const;
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }

 private:
  using SessionId = std::uint64_t;
  struct Session {
    SessionId id = 0;
    FourTuple tuple{};                     // as the inner stack sees it
    RequestId request{};                   // while the program's SYN is held
    std::unique_ptr<StackStream> inner{};  // once the program's connection is accepted
    std::unique_ptr<Stream> outer{};
    std::unique_ptr<Joint> joint{};
    bool answered = false;
    bool waiting = false;  // in by_tuple_
    Instant reset_by{};    // the server has reset; the program is told by then, and before if it has what came before
  };
  struct TupleHash {
    std::size_t operator()(const FourTuple& tuple) const noexcept;
  };

  void begin(Instant now, const HeldRequest& request);
  void attach(Instant now, ConnectionId connection);
  void join(Instant now, Session& session);
  void advance(Instant now, SessionId id);
  void outer_changed(Instant now, Session& session);
  void answer(Instant now, Session& session);
  void arrive(Instant now, Network::Arrival arrival, const Endpoint& inside, const IpAddress& stand_in);
  void observe(Session& session);
  void count(const Session& session) noexcept;
  void doubt(const Session& session);
  void fail(Instant now, Session& session);
  void end(Instant now, Session& session);
  void erase(Instant now, Session& session);
  Session* find(SessionId id);

  Stack& inner_;
  Network& outer_;
  RelayOptions options_;
  Schedule schedule_;
  Patience acceptance_;   // sessions in by_tuple_ that are answered
  Patience first_write_;  // sessions whose outer SYN waits
  Patience last_words_;   // sessions with reset_by
  ListenerId listener_;
  DatagramFlows datagrams_;
  std::unordered_map<SessionId, std::unique_ptr<Session>> sessions_;
  std::unordered_map<FourTuple, SessionId, TupleHash> by_tuple_;  // those whose program's connection is not accepted
  std::set<Endpoint> doubtful_;  // failed after their program was answered, and have not stood since
  SessionId last_ = 0;
  Statistics statistics_;
};

}  // namespace ff::relay
