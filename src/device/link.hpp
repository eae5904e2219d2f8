// The host's side of a network interface: up or down, MTU, addresses, routes. What `ip link`, `ip address` and `ip
// route` do, for the programs and tests that make their own device.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "firstflight/address.hpp"

namespace ff::link {

// Each error is one sentence that says what was wrong and, where something would, what would work.
using Outcome = std::expected<void, std::string>;

[[nodiscard]] bool exists(const std::string& name);
std::expected<std::uint16_t, std::string> mtu(const std::string& name);
Outcome set_mtu(const std::string& name, std::uint16_t mtu);
Outcome set_up(const std::string& name, bool up = true);
// False while the kernel has yet to notice that somebody holds the device's other end: until then it drops every packet
// to it. An interface that is down has nothing to notice.
[[nodiscard]] bool is_settled(const std::string& name);
// Makes a pair of Ethernet devices joined by a cable: `name` in this thread's namespace, `peer` in that of the
// descriptor. Both are down.
Outcome add_veth(const std::string& name, const std::string& peer, int peer_namespace);
// How many packets to this device the kernel lets wait; what comes on top is dropped.
Outcome set_queue_length(const std::string& name, std::uint32_t packets);
// Gives the host `address` on this interface, with the route to its prefix; that it is there already is no error. There
// is no duplicate detection; still the kernel takes packets for an IPv6 address only some moments later.
Outcome add_address(const std::string& name, const Cidr& address);
// Whether the kernel takes packets for this address of the host's by now.
[[nodiscard]] bool is_in_use(const IpAddress& address);
// Routes `prefix` into this interface, replacing such a route if there is one. `via`: by a gateway behind it.
Outcome add_route(const std::string& name, const Cidr& prefix, std::optional<IpAddress> via = std::nullopt);

}  // namespace ff::link
