// A stack's network: firstflight's own TCP to the outside, with its Fast Open. What comes from the inner stack goes out
// as the slices that came in.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "firstflight/stack.hpp"
#include "relay/stream.hpp"

namespace ff::relay {

class StackNetwork final : public Network {
 public:
  // `stack` must outlive it, and belongs to it: nobody else has sockets there.
  explicit StackNetwork(Stack& stack) : stack_(stack) {}

  // Every event of the stack's.
  void handle_event(Instant now, const Event& event);

  Result<std::unique_ptr<Stream>> connect(Instant now, const Endpoint& remote, bool fast_open) override;
  Result<std::unique_ptr<DatagramChannel>> open_datagrams(Instant now, const Endpoint& remote) override;
  Result<std::unique_ptr<DatagramChannel>> open_echoes(Instant now, const IpAddress& remote) override;
  Result<void> listen(const Endpoint& local, ArrivalHandler handler) override;
  Result<std::unique_ptr<DatagramPort>> open_port(const Endpoint& local) override;

 private:
  Result<std::unique_ptr<DatagramChannel>> open_channel(const Endpoint& remote, DatagramProtocol protocol);
  struct Listening {
    ListenerId id;
    ArrivalHandler handler;
  };
  void accept_all(Instant now, const Listening& listening);

  Stack& stack_;
  std::vector<Listening> listeners_;
};

}  // namespace ff::relay
