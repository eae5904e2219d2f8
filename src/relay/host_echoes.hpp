// Echo requests by the host's sockets, as ping(8) sends them: by a "ping socket", which net.ipv4.ping_group_range
// allows to users, or else by a raw one, for which it takes CAP_NET_RAW.
#pragma once

#include <memory>

#include "device/slab_cursor.hpp"
#include "relay/stream.hpp"
#include "runtime/loop.hpp"

namespace ff::relay {

// PermissionDenied: neither is allowed.
Result<std::unique_ptr<DatagramChannel>> open_host_echoes(Loop& loop, const IpAddress& remote,
                                                          std::shared_ptr<SlabCursor> slabs);

}  // namespace ff::relay
