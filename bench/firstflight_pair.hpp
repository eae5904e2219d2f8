// Two firstflight hosts back to back in memory, and the work that the benchmarks give them.
#pragma once

#include <cstdint>

#include "device/memory_pair.hpp"
#include "firstflight/stack.hpp"
#include "stream.hpp"

namespace ff::bench {

struct FirstflightPairOptions {
  // Segments as on a wire, with checksums made and verified, or whole super-segments between the two stacks.
  bool segment = true;
  // Settings of both stacks.
  Settings settings;
};

class FirstflightPair {
 public:
  explicit FirstflightPair(const FirstflightPairOptions& options);

  // Moves `bytes` of the stream from one host to the other over one connection; says how much processor time it took.
  struct Bulk {
    bool copying_write = true;  // the stack copies what is written, or takes slices of it
    bool verify = false;        // compare what arrives
  };
  Duration move(std::uint64_t bytes, const Bulk& how);
  // What that took in packets, acknowledgements not counted.
  [[nodiscard]] std::uint64_t data_packets() const noexcept { return data_packets_; }

  // Opens and closes `count` connections, one after the other. The stacks' time advances by `step` for each, so
  // that 60 s / step of them are in TIME_WAIT once as many have been made; says how much processor time it took.
  Duration connect_and_close(std::uint64_t count, Duration step);
  [[nodiscard]] std::size_t time_waits() const noexcept { return client_.stack.population().time_waits; }

 private:
  struct Host {
    Host(std::uint64_t seed, const Settings& settings, Device& its_device, const IpAddress& address);
    // Both say whether there was anything to do.
    bool receive(Instant now);
    bool transmit(Instant now);

    Stack stack;
    Device& device;
    RxPacket rx;
    TxPacket tx;
    bool tx_waits = false;  // for the device, which was full
    std::uint64_t data_packets = 0;
  };

  // One turn of both hosts.
  template <typename ClientEvent, typename ServerEvent>
  bool turn(Instant now, ClientEvent&& client_event, ServerEvent&& server_event);
  void expire(Instant now);

  MemoryPair link_;
  Host client_;
  Host server_;
  const Stream& stream_ = Stream::instance();
  ListenerId bulk_listener_;
  std::vector<ListenerId> listeners_;
  std::uint64_t opened_ = 0;
  std::uint64_t data_packets_ = 0;
  Instant stack_time_{};
};

}  // namespace ff::bench
