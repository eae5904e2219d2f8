// The datagrams of programs: each pair of endpoints is a flow, which has a channel of the network's to itself until
// nothing has passed for a while.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "firstflight/stack.hpp"
#include "relay/stream.hpp"

namespace ff::relay {

class DatagramFlows {
 public:
  using Schedule = std::function<void(Instant due, std::function<void(Instant)> call)>;

  DatagramFlows(Stack& inner, Network& outer, Schedule& schedule);

  // An event of one of the inner stack's datagram sockets.
  void handle_event(Instant now, const Event& event);
  [[nodiscard]] std::uint64_t opened() const noexcept { return opened_; }
  [[nodiscard]] std::size_t size() const noexcept { return flows_.size(); }

 private:
  struct Flow {
    DatagramId inner{};  // bound to whom the program writes to, connected to the program
    std::unique_ptr<DatagramChannel> outer{};
    Instant last{};  // when something passed last
    bool answered = false;
  };
  using Key = std::uint64_t;  // the inner socket's user_data

  void begin(Instant now, const Datagram& first);
  void from_program(Instant now, Flow& flow);
  void from_network(Instant now, Flow& flow);
  void send(Instant now, Flow& flow, Slice bytes);
  void expire(Instant now);
  void make_room();
  void end(Key key);

  Stack& inner_;
  Network& outer_;
  Schedule& schedule_;
  DatagramId all_;
  std::unordered_map<Key, Flow> flows_;
  Key last_key_ = 0;
  std::uint64_t opened_ = 0;
  bool expiring_ = false;
};

}  // namespace ff::relay
