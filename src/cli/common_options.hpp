// The options that every subcommand with a stack of its own has.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "firstflight/address.hpp"
#include "firstflight/settings.hpp"

namespace ff::cli {

// "tun:NAME", "tap:NAME", "raw:NAME", each with "@NETNS" behind it if wanted.
struct DeviceName {
  std::string name;
  std::string netns;      // empty: the namespace of this process; otherwise /run/netns/NETNS
  bool ethernet = false;  // tap and raw
  bool raw = false;       // an interface that is there, shared with the kernel

  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const DeviceName&, const DeviceName&) = default;
};
Parsed<DeviceName> parse_device(std::string_view text);

struct StackOptions {
  std::optional<DeviceName> device;
  std::vector<Cidr> addresses;
  std::vector<IpAddress> gateways;
  std::vector<Cidr> host_addresses;  // the kernel's, on its side of the device
  std::optional<std::uint16_t> mtu;
  Settings settings;
  std::optional<std::string> pcap;
  std::optional<std::uint64_t> seed;
  bool no_offload = false;
  std::string program;                 // the subcommand: names the control socket
  std::optional<std::string> control;  // where the control socket is, if not at its usual place
  bool no_control = false;
};

void add_stack_options(CLI::App& app, StackOptions& options);

// The text of a file in sysctl.conf's format; "-" is standard input.
Parsed<std::string> read_settings_file(const std::string& path);

// Throws UsageError when something is missing or does not go together. Needs no privilege.
void check_stack_options(const StackOptions& options);

}  // namespace ff::cli
