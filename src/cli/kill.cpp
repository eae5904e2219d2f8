// ff kill: ends one connection of other hosts, or of this one's kernel, whose packets pass here.
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/commands.hpp"
#include "cli/connection_killer.hpp"
#include "cli/options.hpp"
#include "cli/usage.hpp"
#include "device/packet_tap.hpp"
#include "firstflight/address.hpp"
#include "sim/quantities.hpp"
#include "tcp/emit.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff::cli {
namespace {

using State = ConnectionKiller::State;

struct KillCommand {
  Endpoint source, destination;
  std::string interface;
  bool idle = false, busy = false;
  Duration timeout = std::chrono::seconds(5);

  [[nodiscard]] ConnectionKiller::Mode mode() const {
    if (idle) return ConnectionKiller::Mode::Idle;
    return busy ? ConnectionKiller::Mode::Busy : ConnectionKiller::Mode::Either;
  }
};

Parsed<Endpoint> parse_end(std::string_view text) {
  const auto endpoint = Endpoint::parse(text);
  if (endpoint && endpoint->port != 0 && !endpoint->address.is_any() && !endpoint->address.is_multicast())
    return *endpoint;
  return std::unexpected(fmt::format(
      "'{}' is no end of a connection; give ADDRESS:PORT, such as 192.0.2.1:40000 or [2001:db8::1]:80", text));
}

void check(const KillCommand& line) {
  if (line.source.address.is_v4() != line.destination.address.is_v4())
    throw UsageError(fmt::format("{} is IPv{} and {} is IPv{}; give two addresses of one family",
                                 line.source.to_string(), line.source.address.is_v4() ? 4 : 6,
                                 line.destination.to_string(), line.destination.address.is_v4() ? 4 : 6));
  if (line.source == line.destination)
    throw UsageError(fmt::format("both ends are {}; give the two ends of the connection", line.source.to_string()));
  const std::vector<std::string> names = interface_names();
  if (line.interface.empty() || std::ranges::find(names, line.interface) != names.end()) return;
  const std::string guess = nearest(line.interface, names);
  throw UsageError(fmt::format(
      "there is no interface '{}' here; {}", line.interface,
      guess.empty() ? fmt::format("there are {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", guess)));
}

Instant now() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

std::uint32_t random_number() {
  std::uint32_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) throw Failure("the kernel gives no random numbers");
  return number;
}

void show(ConnectionKiller& killer, ByteSpan packet) {
  const auto ip = wire::parse_ip(packet, false);
  if (!ip || ip->header.protocol != wire::protocol::kTcp) return;
  const auto tcp = wire::parse_tcp(packet.subspan(ip->payload_offset, ip->payload_size));
  if (!tcp) return;
  killer.saw(now(), {ip->header.source, tcp->header.source_port},
             {ip->header.destination, tcp->header.destination_port}, tcp->header, tcp->payload_size);
}

void send_shots(ConnectionKiller& killer, PacketTap& tap) {
  for (const ConnectionKiller::Shot& shot : killer.take_shots()) {
    TxPacket packet;
    tcp::emit({shot.from, shot.to}, {}, shot.segment, UINT32_MAX, packet);
    if (const auto sent = tap.send(packet); !sent)
      throw Failure(fmt::format("nothing can be sent to {}: {}", shot.to.address.to_string(), sent.error()));
  }
}

void wait_for_packets(const PacketTap& tap, Duration limit) {
  pollfd ready{.fd = tap.poll_descriptor(), .events = POLLIN, .revents = 0};
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(std::max(limit, Duration::zero()));
  if (::poll(&ready, 1, static_cast<int>(rounded.count())) < 0 && errno != EINTR)
    throw Failure("packets cannot be waited for");
}

std::string explain_failure(const KillCommand& line, const ConnectionKiller& killer) {
  const std::string seconds = sim::format_duration(line.timeout);
  if (killer.state() == State::NoSuchConnection)
    return fmt::format("{} and {} have no such connection", line.source.to_string(), line.destination.to_string());
  if (killer.knows_numbers())
    return fmt::format(
        "RSTs were sent, and neither end has gone within {}; its packets may not reach the ends from here", seconds);
  if (line.busy) return fmt::format("no segment of the connection passed here within {}", seconds);
  const bool source = killer.heard(line.source);
  if (source == killer.heard(line.destination))
    return fmt::format("neither end answered within {}; their packets must pass here to be seen", seconds);
  return fmt::format("{} has no such connection, and {} did not answer within {}",
                     (source ? line.source : line.destination).to_string(),
                     (source ? line.destination : line.source).to_string(), seconds);
}

void run(const KillCommand& line) {
  check(line);
  auto opened = PacketTap::open(line.interface);
  if (!opened) throw UsageError(opened.error());
  PacketTap& tap = *opened;
  const Instant deadline = now() + line.timeout;
  ConnectionKiller killer({line.source, line.destination}, line.mode(), random_number(), now());
  while (killer.state() == State::Working && now() < deadline) {
    killer.tick(now());
    send_shots(killer, tap);
    wait_for_packets(tap, std::min(killer.next_deadline(), deadline) - now());
    for (ByteSpan packet = tap.next(); !packet.empty() && killer.state() == State::Working; packet = tap.next()) {
      show(killer, packet);
      send_shots(killer, tap);
    }
  }
  send_shots(killer, tap);
  if (killer.state() != State::Ended) throw Failure(explain_failure(line, killer));
  const auto describe = [&](const Endpoint& end) {
    return fmt::format("{} {}", end.to_string(), killer.gone(end) ? "is gone" : "does not answer");
  };
  fmt::print("ended: {}, {}\n", describe(line.source), describe(line.destination));
}

}  // namespace

void add_kill_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("kill", "end one TCP connection whose packets pass this host");
  const auto line = std::make_shared<KillCommand>();
  add_typed_option(*command, "SOURCE", line->source, parse_end, "one end, ADDRESS:PORT")->required();
  add_typed_option(*command, "DESTINATION", line->destination, parse_end,
                   "the other end; where it is not known which, the one that listens")
      ->required();
  command->add_option("--interface,--device", line->interface, "where to watch; all interfaces when not given")
      ->type_name("NAME");
  CLI::Option* idle = command->add_flag("--idle", line->idle, "ask for the numbers at once, by SYN and challenge ACK");
  CLI::Option* busy = command->add_flag("--busy", line->busy, "only listen for a segment that tells them");
  idle->excludes(busy);
  busy->excludes(idle);
  add_typed_option(*command, "--timeout", line->timeout, sim::parse_duration, "gives up after it, such as 10s; 5s")
      ->type_name("T");
  command->footer(
      "Without --idle or --busy it listens for a moment, then asks.\n"
      "Example, on a host that forwards the packets of both:\n"
      "  ff kill 192.0.2.1:40000 198.51.100.1:80 --interface eth0");
  command->callback([line] { run(*line); });
}

}  // namespace ff::cli
