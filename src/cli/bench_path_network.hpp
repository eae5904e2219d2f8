// The network of `ff bench path`, all of it this machine's own. Both sides look the same, and whichever of a side's two
// hosts has the transfer, its packets pass one router, then the link:
//
//          the sending side                                                   the receiving side
//   ┌─────────────┐      ┌──────────────────┐                        ┌──────────────────┐      ┌─────────────┐
//   │ Linux's TCP ├─veth─┤ router           │        ff link         │           router ├─veth─┤ Linux's TCP │
//   └─────────────┘      │            wire0 ├── rate, queue, delay ──┤ wire1            │      └─────────────┘
//   ┌─────────────┐      │                  │     loss, reordering   │                  │      ┌─────────────┐
//   │ firstflight ├─TUN──┤                  │                        │                  ├──TUN─┤ firstflight │
//   └─────────────┘      └──────────────────┘                        └──────────────────┘      └─────────────┘
//
// Linux's hosts and the routers are network namespaces. All devices have an MTU of 1500 bytes and carry super-segments
// with unfinished checksums; the link cuts them. Addresses are of RFC 2544's range.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench_path.hpp"
#include "cli/common_options.hpp"
#include "cli/netns.hpp"
#include "cli/process.hpp"

namespace ff::cli {

enum class PathSide : std::uint8_t { Sending, Receiving };

// Where the receiving side listens.
inline constexpr std::uint16_t kPathPort = 5001;
IpAddress path_address(PathSide side, PathStack stack);
// The device, addresses and gateway of firstflight's host, to be opened in its router's namespace.
StackOptions path_stack_options(PathSide side);

class PathNetwork {
 public:
  // Everything but the link. Throws Failure.
  PathNetwork();

  // Where the end of a transfer runs: Linux's host, or the router that holds firstflight's device.
  [[nodiscard]] const Namespace& place_of(PathSide side, PathStack stack) const noexcept;
  // What Linux's hosts go by, for people: "net.ipv4.tcp_rmem = 4096 131072 6291456".
  [[nodiscard]] std::vector<std::string> kernel_settings() const;
  // The command line of the link; readable for people when `plain`.
  [[nodiscard]] std::vector<std::string> link_command(const PathCell& cell, std::uint64_t seed,
                                                      bool plain = false) const;
  // Once it carries packets.
  [[nodiscard]] std::unique_ptr<Process> start_link(const PathCell& cell, std::uint64_t seed) const;

 private:
  struct Side {
    Namespace router, host;
  };
  [[nodiscard]] const Side& side(PathSide which) const noexcept { return sides_[static_cast<std::size_t>(which)]; }
  void lay_out(PathSide which) const;

  std::array<Side, 2> sides_;
};

}  // namespace ff::cli
