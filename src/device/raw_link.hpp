// An Ethernet interface of this host's, on which a stack is one host more: with a hardware address of its own, beside
// the kernel, which goes on using the interface and hears nothing of what is ours.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "device/tun.hpp"
#include "firstflight/network.hpp"

namespace ff {

// A packet socket whose frames have the form that a TAP device's have with offloads, without which nothing would say
// that a frame from this machine has no checksum yet. The error is one sentence that says what was wrong and what would
// work.
std::expected<std::unique_ptr<TunDevice>, std::string> open_raw_link(const std::string& name, const MacAddress& mac);

}  // namespace ff
