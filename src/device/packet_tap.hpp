// Sees the IP packets that pass a network interface of this host, and sends packets with any source address: for tools
// that work on other hosts' connections.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "device/file_descriptor.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/packet.hpp"

namespace ff {

class PacketTap {
 public:
  // `interface` empty: all of them. The error is one sentence that says what was wrong.
  static std::expected<PacketTap, std::string> open(const std::string& interface);

  // The next packet, both ways, forwarded ones twice when all interfaces are watched: IP header first. Valid until the
  // next call; empty when there is none now.
  ByteSpan next();
  [[nodiscard]] int poll_descriptor() const noexcept { return watch_.get(); }

  // Sends a packet, by this host's routes. The error says why not.
  std::expected<void, std::string> send(const TxPacket& packet);

 private:
  PacketTap() = default;

  FileDescriptor watch_, send_v4_, send_v6_;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(65536);
};

// The interfaces there are.
std::vector<std::string> interface_names();

}  // namespace ff
