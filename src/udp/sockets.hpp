// All datagram sockets of a stack: who may have which port, and who is to be heard or asked next.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ephemeral_ports.hpp"
#include "base/pool.hpp"
#include "base/random.hpp"
#include "firstflight/counters.hpp"
#include "firstflight/seed.hpp"
#include "firstflight/stack.hpp"
#include "udp/socket.hpp"

namespace ff::udp {

class Sockets {
 public:
  Sockets(const Settings& settings, Counters& counters, const Seed& seed);

  // The caller has made sure that the address is ours. AddressInUse: by others, or every port is.
  Result<DatagramId> open(const DatagramOptions& options);
  void close(Socket& socket) noexcept;
  // An earlier connection is undone.
  void connect(Socket& socket, const Endpoint& remote, const IpAddress& source);
  void disconnect(Socket& socket);
  void queue(Socket& socket, Outgoing datagram);

  [[nodiscard]] Socket* find(DatagramId id) noexcept { return pool_.find(id.index, id.generation); }
  [[nodiscard]] Socket* find(DatagramProtocol protocol, const FourTuple& tuple) noexcept;
  [[nodiscard]] std::vector<DatagramId> list() const;
  [[nodiscard]] const Pool<Socket>& all() const noexcept { return pool_; }

  // False when the socket has no room for it.
  bool deliver(Socket& socket, Datagram datagram);
  void report(Socket& socket, const Report& report, const Endpoint& destination, ByteSpan quoted);

  [[nodiscard]] bool has_output() const noexcept { return !transmit_ring_.empty(); }
  // The next datagram to send; each socket gets its turn. has_output() must hold.
  Outgoing take_outgoing(DatagramId& socket);
  void stamp(Socket& socket, TransmitStamp stamp) {
    socket.stamp(std::move(stamp));
    tell(socket);
  }

  std::optional<Event> poll_event();

 private:
  template <Hook Socket::* hook>
  using List = boost::intrusive::list<Socket, boost::intrusive::member_hook<Socket, Hook, hook>,
                                      boost::intrusive::constant_time_size<false>>;

  [[nodiscard]] PortTable& table(DatagramProtocol protocol) noexcept {
    return protocol == DatagramProtocol::Udp ? udp_ : echo_;
  }
  [[nodiscard]] std::optional<std::uint16_t> ephemeral_port(DatagramProtocol protocol);
  void tell(Socket& socket) noexcept;

  const Settings& settings_;
  Counters& counters_;
  Random random_;
  EphemeralPorts ephemeral_;
  Pool<Socket> pool_;
  PortTable udp_, echo_;
  List<&Socket::event_hook> event_list_;
  List<&Socket::transmit_hook> transmit_ring_;
};

}  // namespace ff::udp
