// The stack's TCP sockets in the form of /proc/net/tcp, or of /proc/net/tcp6. What this stack does not keep (users,
// inodes, the kernel's own numbers behind them) is 0.
#pragma once

#include <span>
#include <string>

#include "firstflight/sockets.hpp"

namespace ff::packetdrill {

std::string proc_net_tcp(std::span<const SocketInfo> sockets, bool v4);

}  // namespace ff::packetdrill
