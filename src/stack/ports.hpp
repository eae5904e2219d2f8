// Who has which of TCP's local ports, and who may have one besides: bind()'s conflicts, as Linux decides them.
//
// Bindings, listeners, connections and TIME_WAIT entries hold ports; of those with the same address, port and use,
// which may be millions, only the number is kept. Requests in SYN queues hold nothing: their listener does.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>

#include "base/port_set.hpp"
#include "firstflight/address.hpp"
#include "stack/own_addresses.hpp"

namespace ff {

// How a socket has its local port.
struct PortUse {
  bool reuse_addr : 1 = false;  // SO_REUSEADDR
  bool reuse_port : 1 = false;  // SO_REUSEPORT
  bool listening : 1 = false;
  bool chosen : 1 = false;   // connect() chose it
  bool by_bind : 1 = false;  // bind() did: the socket keeps it until the application lets go of it
};

// An address and port as bind() is given it. IPV6_V6ONLY says of a socket at :: that it is another address than
// 0.0.0.0, and of any other nothing.
struct Binding {
  Endpoint local;
  bool ipv6_only = false;
};

class Ports {
 public:
  // Somebody has this port, with an address that `binding` meets, and does not share it with a socket of this use.
  [[nodiscard]] bool conflicts(const Binding& binding, PortUse use) const;
  // Nobody has it with an address that `binding` meets, whatever they would share.
  [[nodiscard]] bool is_free(const Binding& binding) const;

  // Ports that somebody has.
  [[nodiscard]] const PortSet& held() const noexcept { return held_; }
  // Those that somebody has by bind(), or from a listener: connect() does not choose them.
  [[nodiscard]] const PortSet& bound() const noexcept { return bound_; }

  void hold(const Binding& binding, PortUse use);
  void release(const Binding& binding, PortUse use) noexcept;
  // How often hold() was called without release().
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  // What a conflict depends on of who holds a port.
  static constexpr std::uint32_t kKinds = 8;
  static std::uint32_t kind_of(PortUse use) noexcept {
    return (use.reuse_addr ? 1u : 0u) | (use.reuse_port ? 2u : 0u) | (use.listening ? 4u : 0u);
  }
  static bool share(PortUse use, std::uint32_t other_kind) noexcept;

  // Places: the three wildcards, then the addresses in the order of their numbers.
  enum Place : std::uint32_t { kAnyV4, kAnyV6Only, kAny, kFirstAddress };
  static std::uint64_t key(std::uint32_t place, std::uint16_t port, std::uint32_t kind) noexcept {
    return (std::uint64_t{place} << 16 | port) << 3 | kind;
  }
  std::uint32_t place_of(const Binding& binding);
  // Whether somebody holds `port` at a place that `binding` meets, and is of a kind that `matters`.
  template <typename Matters>
  bool any(const Binding& binding, Matters&& matters) const;

  // Of one port; kept in pages, as most stacks use few of the ports there are.
  struct Holders {
    std::uint32_t all = 0, bound = 0;
  };
  static constexpr std::uint32_t kPageSize = 256;
  using Page = std::array<Holders, kPageSize>;
  Holders& holders_of(std::uint16_t port);

  OwnAddresses addresses_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> counts_;  // of holders, by key()
  std::array<std::unique_ptr<Page>, PortSet::kPorts / kPageSize> pages_;
  PortSet held_, bound_;
  std::size_t size_ = 0;
};

}  // namespace ff
