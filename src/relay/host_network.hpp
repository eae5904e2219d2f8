// The host's own network: its sockets, with the kernel's Fast Open. Needs no privilege.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/file_descriptor.hpp"
#include "device/slab_cursor.hpp"
#include "relay/stream.hpp"
#include "runtime/loop.hpp"

namespace ff::relay {

struct HostNetworkOptions {
  // Who connects to one of these means this host's loopback; its name server where `port` is 53 and there is one.
  std::vector<IpAddress> gateways{};
  std::optional<IpAddress> name_server{};
};

class HostNetwork final : public Network {
 public:
  HostNetwork(Loop& loop, HostNetworkOptions options);
  ~HostNetwork() override;

  Result<std::unique_ptr<Stream>> connect(Instant now, const Endpoint& remote, bool fast_open) override;
  Result<std::unique_ptr<DatagramChannel>> open_datagrams(Instant now, const Endpoint& remote) override;
  Result<std::unique_ptr<DatagramChannel>> open_echoes(Instant now, const IpAddress& remote) override;
  Result<void> listen(const Endpoint& local, ArrivalHandler handler) override;
  Result<std::unique_ptr<DatagramPort>> open_port(const Endpoint& local) override;

 private:
  [[nodiscard]] Endpoint translate(const Endpoint& remote) const;
  void accept_some(Instant now, int listener, const ArrivalHandler& handler);
  void listen_again_later();
  void listen_for(std::uint32_t events);

  Loop& loop_;
  HostNetworkOptions options_;
  std::shared_ptr<SlabCursor> slabs_;  // what sockets receive lies in these
  std::vector<FileDescriptor> listeners_;
  Loop::TimerId listening_again_{};
};

}  // namespace ff::relay
