#include "cli/bench_path_network.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.hpp"
#include "device/link.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kStartLimit = 10s;
// The kernel's default of 500 would be a second bottleneck: the only queue that may overflow is the link's.
constexpr std::uint32_t kDeviceQueue = 10'000;

// 198.18.SIDE.0/24 is the wire, 198.18.SIDE1.0/24 goes to Linux's host, 198.18.SIDE2.0/24 to firstflight's.
struct Addresses {
  const char* wire;
  const char* wire_device;
  const char *kernel, *kernel_router;
  const char *firstflight, *firstflight_router;
};
constexpr std::array<Addresses, 2> kAddresses{{
    {"198.18.0.1/24", "wire0", "198.18.11.2/24", "198.18.11.1/24", "198.18.12.2/24", "198.18.12.1/24"},
    {"198.18.0.2/24", "wire1", "198.18.21.2/24", "198.18.21.1/24", "198.18.22.2/24", "198.18.22.1/24"},
}};

const Addresses& addresses_of(PathSide side) { return kAddresses[static_cast<std::size_t>(side)]; }
PathSide opposite(PathSide side) { return side == PathSide::Sending ? PathSide::Receiving : PathSide::Sending; }
Cidr cidr(const char* text) { return *Cidr::parse(text); }

std::string percent(double probability) { return fmt::format("{:.6f}%", probability * 100); }
std::string nanoseconds(Duration duration) { return fmt::format("{}ns", duration.count()); }
std::string limit_text(const sim::QueueLimit& limit) {
  return limit.bytes == UINT64_MAX ? fmt::format("{}p", limit.packets) : fmt::format("{}b", limit.bytes);
}

}  // namespace

IpAddress path_address(PathSide side, PathStack stack) {
  const Addresses& own = addresses_of(side);
  return cidr(stack == PathStack::Kernel ? own.kernel : own.firstflight).address;
}

StackOptions path_stack_options(PathSide side) {
  const Addresses& own = addresses_of(side);
  StackOptions options;
  options.device = DeviceName{.name = "ff0", .netns = ""};
  options.addresses = {cidr(own.firstflight)};
  options.host_addresses = {cidr(own.firstflight_router)};
  options.gateways = {cidr(own.firstflight_router).address};
  options.program = "bench";
  options.no_control = true;
  return options;
}

PathNetwork::PathNetwork() {
  for (const PathSide which : {PathSide::Sending, PathSide::Receiving}) lay_out(which);
}

void PathNetwork::lay_out(PathSide which) const {
  const Addresses &own = addresses_of(which), &other = addresses_of(opposite(which));
  const auto& [router, host] = side(which);
  for (const Namespace* space : {&router, &host}) space->set_sysctl("net.ipv6.conf.default.disable_ipv6", "1");
  // What one transfer learnt must not help the next.
  host.set_sysctl("net.ipv4.tcp_no_metrics_save", "1");
  router.set_sysctl("net.ipv4.ip_forward", "1");
  router.add_tun(own.wire_device, {cidr(own.wire)});
  {
    const Namespace::Visit visit(router);
    if (const auto done = link::set_queue_length(own.wire_device, kDeviceQueue); !done) throw Failure(done.error());
  }
  host.add_veth("eth0", cidr(own.kernel), router, "host0", cidr(own.kernel_router));
  host.add_route("eth0", cidr("0.0.0.0/0"), cidr(own.kernel_router).address);
  for (const char* there : {other.kernel, other.firstflight})
    router.add_route(own.wire_device, cidr(there), cidr(other.wire).address);
  // Host and router find each other's Ethernet addresses now, not during the first transfer.
  const auto started = std::chrono::steady_clock::now();
  while (!time_of_refusal(host, cidr(own.kernel_router).address, kStartLimit)) {
    if (std::chrono::steady_clock::now() - started > kStartLimit)
      throw Failure("a veth between two network namespaces does not carry packets");
  }
}

const Namespace& PathNetwork::place_of(PathSide which, PathStack stack) const noexcept {
  return stack == PathStack::Kernel ? side(which).host : side(which).router;
}

std::vector<std::string> PathNetwork::kernel_settings() const {
  std::vector<std::string> lines;
  for (const char* name : {"tcp_rmem", "tcp_wmem", "tcp_no_metrics_save", "tcp_sack", "tcp_dsack", "tcp_timestamps",
                           "tcp_window_scaling", "tcp_ecn", "tcp_recovery", "tcp_early_retrans", "tcp_reordering",
                           "tcp_frto", "tcp_moderate_rcvbuf", "tcp_slow_start_after_idle"})
    lines.push_back(
        fmt::format("net.ipv4.{} = {}", name, side(PathSide::Sending).host.sysctl(fmt::format("net.ipv4.{}", name))));
  return lines;
}

std::vector<std::string> PathNetwork::link_command(const PathCell& cell, std::uint64_t seed, bool plain) const {
  const auto device = [&](PathSide which) {
    const std::string name = std::string("tun:") + addresses_of(which).wire_device;
    return plain ? name : name + "@" + side(which).router.path();
  };
  std::vector<std::string> words{plain ? "ff" : "/proc/self/exe", "link"};
  words.insert(words.end(), {"--rate", fmt::format("{}bit", cell.rate), "--delay", nanoseconds(cell.round_trip / 2)});
  words.insert(words.end(), {"--queue", limit_text(cell.queue)});
  if (cell.jitter > Duration::zero()) words.insert(words.end(), {"--jitter", nanoseconds(cell.jitter)});
  if (cell.loss > 0) words.insert(words.end(), {"--loss", percent(cell.loss)});
  if (cell.reorder > 0)
    words.insert(words.end(), {"--reorder", percent(cell.reorder), "--reorder-delay", nanoseconds(cell.reorder_delay)});
  words.insert(words.end(), {"--seed", fmt::format("{}", seed)});
  words.insert(words.end(), {device(PathSide::Sending), device(PathSide::Receiving)});
  return words;
}

std::unique_ptr<Process> PathNetwork::start_link(const PathCell& cell, std::uint64_t seed) const {
  auto link = std::make_unique<Process>(link_command(cell, seed), nullptr);
  const auto carries = [&] {
    return link->output().starts_with("ready") &&
           std::ranges::all_of(std::array{PathSide::Sending, PathSide::Receiving}, [&](PathSide which) {
             const Namespace::Visit visit(side(which).router);
             return link::is_settled(addresses_of(which).wire_device);
           });
  };
  link->wait_until(carries, kStartLimit);
  return link;
}

}  // namespace ff::cli
