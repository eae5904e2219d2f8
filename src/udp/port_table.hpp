// Which datagram socket an address and port belong to. UDP has one table and ICMP echo another, whose ports are
// identifiers; TCP's ports are a space of their own.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/port_set.hpp"
#include "base/siphash.hpp"
#include "firstflight/address.hpp"

namespace ff::udp {

struct Binding {
  Endpoint local;
  bool ipv6_only = false;
  bool reuse_addr = false;
  bool reuse_port = false;
};

class PortTable {
 public:
  // A server may connect to whoever writes to it: peers then choose the keys, and must not choose collisions.
  explicit PortTable(const SipHashKey& key) : connected_(0, Hash{key}), bound_(0, Hash{key}) {}

  // Somebody has this address and port, or a wildcard stands against a specific address, and does not share.
  [[nodiscard]] bool conflicts(const Binding& binding) const;
  // Ports that somebody has, with whatever address.
  [[nodiscard]] const PortSet& held() const noexcept { return held_; }

  void bind(const Binding& binding, std::uint32_t socket);
  void unbind(const Binding& binding, std::uint32_t socket) noexcept;

  // From now on only datagrams of this four-tuple go to `socket`, which was bound by `binding`.
  void connect(const Binding& binding, std::uint32_t socket, const FourTuple& tuple);
  void disconnect(const Binding& binding, std::uint32_t socket, const FourTuple& tuple);

  // A socket without a port hears of what nobody else does.
  //
  // The socket of a datagram from tuple.remote to tuple.local: the connected one, or the one with the most specific
  // address. Among several by SO_REUSEADDR it is the one that came last, among several by SO_REUSEPORT the one that the
  // four-tuple falls to.
  [[nodiscard]] std::optional<std::uint32_t> find(const FourTuple& tuple) const noexcept;

 private:
  struct Place {
    Endpoint local;
    bool ipv6_only = false;  // of :: alone
    friend bool operator==(const Place&, const Place&) noexcept = default;
  };
  struct Hash {
    using is_avalanching = void;
    SipHashKey key;
    std::size_t operator()(const Place& place) const noexcept;
    std::size_t operator()(const FourTuple& tuple) const noexcept;
  };
  struct Holder {
    Binding binding;
    std::uint32_t socket;
  };
  // Sockets at one place, in the order in which they came.
  struct Group {
    std::vector<std::uint32_t> alone;    // without SO_REUSEPORT
    std::vector<std::uint32_t> sharing;  // with it
  };
  [[nodiscard]] std::optional<std::uint32_t> find(const FourTuple& tuple, std::uint16_t port) const noexcept;
  static Place place_of(const Binding& binding) noexcept;
  [[nodiscard]] std::optional<std::uint32_t> socket_at(const Place& place, const FourTuple& tuple) const noexcept;
  void join_group(const Binding& binding, std::uint32_t socket);
  void leave_group(const Binding& binding, std::uint32_t socket) noexcept;

  boost::unordered_flat_map<FourTuple, std::vector<std::uint32_t>, Hash> connected_;
  boost::unordered_flat_map<Place, Group, Hash> bound_;  // those that are not connected
  boost::unordered_flat_map<std::uint16_t, std::vector<Holder>> ports_;
  PortSet held_;
};

}  // namespace ff::udp
