// The ports that a socket gets which does not say what port it wants: ip_local_port_range without
// ip_local_reserved_ports.
#pragma once

#include <cstdint>
#include <vector>

#include "base/port_set.hpp"
#include "firstflight/settings.hpp"

namespace ff {

class EphemeralPorts {
 public:
  // As the settings have it now.
  const PortSet& of(const Settings& settings) {
    if (settings.ip_local_port_range != range_ || settings.ip_local_reserved_ports != reserved_) renew(settings);
    return ports_;
  }

 private:
  void renew(const Settings& settings) {
    range_ = settings.ip_local_port_range;
    reserved_ = settings.ip_local_reserved_ports;
    ports_ = {};
    for (std::uint32_t port = range_.first; port <= range_.last; ++port) ports_.add(static_cast<std::uint16_t>(port));
    for (const PortRange& reserved : reserved_)
      for (std::uint32_t port = reserved.first; port <= reserved.last; ++port)
        ports_.remove(static_cast<std::uint16_t>(port));
  }

  PortRange range_{1, 0};  // no port
  std::vector<PortRange> reserved_;
  PortSet ports_;
};

}  // namespace ff
