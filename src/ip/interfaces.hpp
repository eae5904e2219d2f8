// The interfaces of a stack, their addresses, and which of them leads to a destination.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "firstflight/stack.hpp"

namespace ff::ip {

class Interfaces {
 public:
  // InvalidArgument: an MTU under the family's least, no address, an address that no host can have, or one that is
  // taken.
  Result<InterfaceId> add(InterfaceConfig config);

  [[nodiscard]] bool is_local(const IpAddress& address) const noexcept;

  struct Route {
    InterfaceId interface;
    IpAddress source;
  };
  // Longest prefix first, then the interface with a gateway of the destination's family.
  [[nodiscard]] std::optional<Route> route(const IpAddress& destination) const noexcept;
  // The same for a packet from one of our addresses: the interface that owns it if it leads there.
  [[nodiscard]] std::optional<InterfaceId> interface_to(const IpAddress& source,
                                                        const IpAddress& destination) const noexcept;

  [[nodiscard]] const InterfaceConfig& operator[](InterfaceId id) const noexcept { return interfaces_[id]; }
  [[nodiscard]] std::size_t size() const noexcept { return interfaces_.size(); }

 private:
  std::vector<InterfaceConfig> interfaces_;
};

}  // namespace ff::ip
