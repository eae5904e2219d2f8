#include "cli/common_options.hpp"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

constexpr std::uint16_t kMinMtu = 68;        // RFC 791 §3.2
constexpr std::uint16_t kMinIpv6Mtu = 1280;  // RFC 8200 §5

bool is_file_name(std::string_view text) {
  return !text.empty() && text != "." && text != ".." &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':' && c != '%'; });
}

Parsed<std::uint16_t> parse_mtu(std::string_view text) {
  const Parsed<std::uint64_t> number = parse_whole_number(text, kMinMtu, UINT16_MAX);
  if (!number) return std::unexpected(number.error());
  return static_cast<std::uint16_t>(*number);
}

// Changes `settings` as "NAME=VALUE" says.
Parsed<void> apply_setting(Settings& settings, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos)
    return std::unexpected(fmt::format("'{}' has no '='; write NAME=VALUE, such as tcp_fastopen=3", text));
  return set_setting(settings, text.substr(0, equals), text.substr(equals + 1));
}

Parsed<void> apply_settings_file(Settings& settings, const std::string& path) {
  const Parsed<std::string> text = read_settings_file(path);
  if (!text) return std::unexpected(text.error());
  const auto assignments = parse_settings_file(*text, path);
  if (!assignments) return std::unexpected(assignments.error());
  return set_settings(settings, *assignments);
}

bool has_family_of(const std::vector<Cidr>& addresses, const IpAddress& address) {
  return std::ranges::any_of(addresses, [&](const Cidr& own) { return own.address.is_v4() == address.is_v4(); });
}

void check_gateways(const StackOptions& options) {
  for (const IpAddress& gateway : options.gateways) {
    const char* family = gateway.is_v4() ? "IPv4" : "IPv6";
    if (!has_family_of(options.addresses, gateway))
      throw UsageError(
          fmt::format("gateway {} is {} and no address is; add an {} --address", gateway.to_string(), family, family));
    const auto same_family = std::ranges::count_if(
        options.gateways, [&](const IpAddress& other) { return other.is_v4() == gateway.is_v4(); });
    if (same_family > 1)
      throw UsageError(fmt::format("more than one {} gateway was given; give one of each family at most", family));
    if (std::ranges::any_of(options.addresses, [&](const Cidr& own) { return own.address == gateway; }))
      throw UsageError(fmt::format("gateway {} is this stack's own address; give the next hop's", gateway.to_string()));
  }
}

void check_host_addresses(const StackOptions& options) {
  for (const Cidr& host : options.host_addresses)
    if (std::ranges::any_of(options.addresses, [&](const Cidr& own) { return own.address == host.address; }))
      throw UsageError(
          fmt::format("{} cannot be the host's address and the stack's; give --host-address another of the same prefix",
                      host.address.to_string()));
}

}  // namespace

Parsed<std::string> read_settings_file(const std::string& path) {
  std::string text;
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "re");
  if (file == nullptr)
    return std::unexpected(
        fmt::format("cannot read '{}': {}; give a file in sysctl.conf's format", path, std::strerror(errno)));
  std::array<char, 4096> buffer;
  for (std::size_t count; (count = std::fread(buffer.data(), 1, buffer.size(), file)) > 0;)
    text.append(buffer.data(), count);
  const bool failed = std::ferror(file) != 0;
  const int error = errno;
  if (file != stdin) std::fclose(file);
  if (!failed) return text;
  return std::unexpected(
      fmt::format("cannot read '{}': {}; give a file in sysctl.conf's format", path, std::strerror(error)));
}

std::string DeviceName::to_string() const {
  const char* scheme = raw ? "raw" : ethernet ? "tap" : "tun";
  return netns.empty() ? fmt::format("{}:{}", scheme, name) : fmt::format("{}:{}@{}", scheme, name, netns);
}

Parsed<DeviceName> parse_device(std::string_view text) {
  constexpr std::string_view kTun = "tun:", kTap = "tap:", kRaw = "raw:";
  const bool raw = text.starts_with(kRaw);
  const bool ethernet = raw || text.starts_with(kTap);
  if (!ethernet && !text.starts_with(kTun))
    return std::unexpected(
        fmt::format("'{}' is no device; write tun:NAME, tap:NAME or raw:NAME, such as tun:ff0", text));
  text.remove_prefix(kTun.size());
  const std::size_t at = text.find('@');
  DeviceName device{std::string(text.substr(0, at)),
                    at == std::string_view::npos ? std::string() : std::string(text.substr(at + 1)), ethernet, raw};
  if (!is_file_name(device.name) || device.name.size() >= IFNAMSIZ)
    return std::unexpected(fmt::format("'{}' cannot name an interface; use 1 to {} characters without '/' and spaces",
                                       device.name, IFNAMSIZ - 1));
  if (at != std::string_view::npos && !is_file_name(device.netns))
    return std::unexpected(
        fmt::format("'{}' cannot name a network namespace; 'ip netns list' shows those there are", device.netns));
  return device;
}

void add_stack_options(CLI::App& app, StackOptions& options) {
  constexpr const char* kGroup = "The stack";
  add_typed_option<std::optional<DeviceName>>(
      app, "--device", options.device, parse_device,
      "tun:NAME: the TUN device that carries the packets; created and brought up if missing, attached to if it exists. "
      "tun:NAME@NETNS: in that network namespace. tap:NAME: a TAP device, on which neighbours are found by ARP and "
      "neighbour discovery. raw:NAME: likewise an Ethernet interface that is there, shared with the kernel")
      ->type_name("tun:NAME")
      ->group(kGroup);
  add_typed_options(app, "--address", options.addresses, parse_interface_address,
                    "the stack's address with its prefix, IPv4 or IPv6; repeatable")
      ->type_name("CIDR")
      ->group(kGroup);
  add_typed_options(app, "--host-address", options.host_addresses, parse_interface_address,
                    "gives this machine's kernel an address on its side of the device, so that it can reach the stack; "
                    "the same as 'ip address add CIDR dev NAME'; repeatable")
      ->type_name("CIDR")
      ->group(kGroup);
  add_typed_options(app, "--gateway", options.gateways, parse_address,
                    "where packets for other networks go; one for each family at most")
      ->type_name("ADDR")
      ->group(kGroup);
  add_typed_option<std::optional<std::uint16_t>>(app, "--mtu", options.mtu, parse_mtu,
                                                 "bytes of the largest IP packet; otherwise the device's")
      ->type_name("N")
      ->group(kGroup);
  // Before --sysctl, which may change what the file says.
  app.add_option_function<std::string>(
         "--sysctl-file",
         [&options](const std::string& path) {
           if (auto done = apply_settings_file(options.settings, path); !done)
             throw CLI::ValidationError("--sysctl-file", done.error());
         },
         "changes settings as a file in sysctl.conf's format says; all of it or, when a line is wrong, nothing")
      ->type_name("FILE")
      ->group(kGroup);
  app.add_option_function<std::vector<std::string>>(
         "--sysctl",
         [&options](const std::vector<std::string>& texts) {
           for (const std::string& text : texts)
             if (auto done = apply_setting(options.settings, text); !done)
               throw CLI::ValidationError("--sysctl", done.error());
         },
         "changes a setting of the stack, under Linux's name, such as net.ipv4.tcp_fastopen=3; repeatable")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false)
      ->group(kGroup);
  options.program = app.get_name();
  CLI::Option* control =
      app.add_option(
             "--control", options.control,
             "where the control socket is, for 'ff ss', 'ff sysctl' and the like; otherwise in /run/firstflight "
             "or, when not root, in $XDG_RUNTIME_DIR/firstflight")
          ->type_name("PATH")
          ->group(kGroup);
  app.add_flag("--no-control", options.no_control, "no control socket")->excludes(control)->group(kGroup);
  app.add_option("--pcap", options.pcap, "writes every packet to FILE (pcapng, for Wireshark)")
      ->type_name("FILE")
      ->group(kGroup);
  add_typed_option<std::optional<std::uint64_t>>(
      app, "--seed", options.seed, [](std::string_view text) { return parse_whole_number(text, 0, UINT64_MAX); },
      "all of the stack's randomness follows from N; otherwise from the kernel's. Predictable: for tests only")
      ->type_name("N")
      ->group(kGroup);
  app.add_flag("--no-offload", options.no_offload, "no super-segments and no checksum offload on the device")
      ->group(kGroup);
}

void check_stack_options(const StackOptions& options) {
  if (!options.device) throw UsageError("no device was given; add --device tun:NAME, such as --device tun:ff0");
  if (options.addresses.empty())
    throw UsageError("no address was given; add --address CIDR, such as --address 10.9.8.1/24");
  for (auto own = options.addresses.begin(); own != options.addresses.end(); ++own)
    if (std::find_if(options.addresses.begin(), own, [&](const Cidr& c) { return c.address == own->address; }) != own)
      throw UsageError(fmt::format("--address {} was given twice; once is enough", own->address.to_string()));
  const bool has_v6 = has_family_of(options.addresses, IpAddress::any_v6());
  if (has_v6 && options.mtu && *options.mtu < kMinIpv6Mtu)
    throw UsageError(fmt::format("--mtu {} is too small for IPv6; give at least {}", *options.mtu, kMinIpv6Mtu));
  if (options.device->raw && !options.host_addresses.empty())
    throw UsageError(
        "--host-address is for tun: and tap:; with raw: the host has its own addresses and cannot reach the stack");
  check_gateways(options);
  check_host_addresses(options);
}

}  // namespace ff::cli
