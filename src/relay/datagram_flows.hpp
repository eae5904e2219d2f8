// The datagrams of programs: each pair of endpoints is a flow, which has a channel of the network's to itself until
// nothing has passed for a while.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "firstflight/stack.hpp"
#include "relay/stream.hpp"

namespace ff::relay {

// Whether a program may see a client's own address, as it does without us.
[[nodiscard]] bool can_be_shown(const Endpoint& client, const Endpoint& program) noexcept;

class DatagramFlows {
 public:
  using Schedule = std::function<void(Instant due, std::function<void(Instant)> call)>;

  DatagramFlows(Stack& inner, Network& outer, Schedule& schedule);

  // As Relay::forward(), of datagrams.
  Result<void> forward(const Endpoint& outside, const Endpoint& inside, const IpAddress& stand_in);

  // An event of one of the inner stack's datagram sockets.
  void handle_event(Instant now, const Event& event);
  [[nodiscard]] std::uint64_t opened() const noexcept { return opened_; }
  [[nodiscard]] std::size_t size() const noexcept { return flows_.size(); }

 private:
  // A port of the network's that leads to a program.
  struct Published {
    std::unique_ptr<DatagramPort> port;
    Endpoint inside;
    IpAddress stand_in;
  };
  struct Client {
    std::size_t published;
    DatagramPort::Path path;
    friend auto operator<=>(const Client&, const Client&) noexcept = default;
  };
  struct Flow {
    DatagramId inner{};  // bound to whom the program writes to, connected to the program
    std::unique_ptr<DatagramChannel> outer{};
    Instant last{};  // when something passed last
    bool answered = false;
    std::optional<Client> client{};  // of a published port
  };
  using Key = std::uint64_t;  // the inner socket's user_data

  void begin(Instant now, const Datagram& first);
  Result<DatagramId> open_inner(const Endpoint& local, const Endpoint& program, Key key);
  Flow& add(Instant now, Key key, DatagramId inner, std::unique_ptr<DatagramChannel> outer);
  void arrive(Instant now, std::size_t published);
  Flow* flow_of(Instant now, const Client& client);
  void from_program(Instant now, Flow& flow);
  void from_network(Instant now, Flow& flow);
  void send(Instant now, Flow& flow, Slice bytes);
  void expire(Instant now);
  void make_room();
  void end(Key key);
  void close(const Flow& flow);

  Stack& inner_;
  Network& outer_;
  Schedule& schedule_;
  DatagramId all_;
  std::vector<Published> published_;
  std::map<Client, Key> clients_;
  std::unordered_map<Key, Flow> flows_;
  Key last_key_ = 0;
  std::uint64_t opened_ = 0;
  bool expiring_ = false;
};

}  // namespace ff::relay
