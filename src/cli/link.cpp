// ff link: an emulated link between two real devices.
#include "device/link.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/commands.hpp"
#include "cli/options.hpp"
#include "cli/process.hpp"
#include "device/file_descriptor.hpp"
#include "device/network_namespace.hpp"
#include "device/tun.hpp"
#include "runtime/link_emulator.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

// Properties as the command line gives them: for both directions, or for one, where they come before those for both.
struct Shape {
  std::optional<Duration> delay, jitter, reorder_delay;
  std::optional<std::uint64_t> rate;
  std::optional<sim::QueueLimit> queue, mark;
  std::optional<double> loss, reorder, duplicate, corrupt;

  void apply_to(sim::LinkOptions& options) const {
    options.delay = delay.value_or(options.delay);
    options.jitter = jitter.value_or(options.jitter);
    if (reorder_delay) options.reorder_delay = reorder_delay;
    options.rate = rate.value_or(options.rate);
    options.queue = queue.value_or(options.queue);
    if (mark) options.mark = mark;
    options.loss = loss.value_or(options.loss);
    options.reorder = reorder.value_or(options.reorder);
    options.duplicate = duplicate.value_or(options.duplicate);
    options.corrupt = corrupt.value_or(options.corrupt);
  }
};

struct LinkCommand {
  std::string device_a, device_b;
  Shape both, a_to_b, b_to_a;
  std::uint64_t seed = 1;
  std::optional<std::uint64_t> mtu;
  bool no_offload = false;

  // Each direction has dice of its own.
  [[nodiscard]] sim::LinkOptions options(const Shape& one_way, std::uint64_t direction) const {
    sim::LinkOptions result;
    both.apply_to(result);
    one_way.apply_to(result);
    result.seed = sim::derived_seed(seed, direction);
    return result;
  }
};

// ---- the command line ----------------------------------------------------------------------------------------------

void add_shape_options(CLI::App& command, const std::string& prefix, const std::string& group, Shape& shape) {
  const auto add = [&](const std::string& name, auto& target, auto parse, const std::string& type,
                       const std::string& description) {
    add_typed_option(command, "--" + prefix + name, target, parse, description)->type_name(type)->group(group);
  };
  add("delay", shape.delay, sim::parse_duration, "TIME", "one way, such as 50ms");
  add("jitter", shape.jitter, sim::parse_duration, "TIME", "up to this much more delay, at random, in order");
  add("rate", shape.rate, sim::parse_rate, "RATE", "bits of IP packets a second, such as 100mbit");
  add("queue", shape.queue, sim::parse_queue_limit, "LIMIT",
      "what may wait when there is a rate: packets (100) or bytes (64kb); by default 1000 packets");
  add("mark", shape.mark, sim::parse_queue_limit, "LIMIT",
      "from so much waiting on, packets that may be marked are marked (ECN): packets (20) or bytes (30kb)");
  add("loss", shape.loss, sim::parse_probability, "PERCENT", "packets that are lost, such as 1%");
  add("reorder", shape.reorder, sim::parse_probability, "PERCENT", "packets that are held back and overtaken");
  add("reorder-delay", shape.reorder_delay, sim::parse_duration, "TIME",
      "how long they are held back; by default a quarter of the delay, at least 1ms");
  add("duplicate", shape.duplicate, sim::parse_probability, "PERCENT", "packets that arrive twice");
  add("corrupt", shape.corrupt, sim::parse_probability, "PERCENT",
      "packets of which one bit behind the IP header is inverted");
}

void add_options(CLI::App& command, LinkCommand& line) {
  command
      .add_option("DEVICE_A", line.device_a,
                  "a TUN device: NAME, or tun:NAME@NETNS in another network namespace; made if there is none")
      ->required();
  command.add_option("DEVICE_B", line.device_b, "the other end, likewise")->required();
  add_shape_options(command, "", "Both directions", line.both);
  add_shape_options(command, "a-to-b-", "Only from DEVICE_A to DEVICE_B", line.a_to_b);
  add_shape_options(command, "b-to-a-", "Only from DEVICE_B to DEVICE_A", line.b_to_a);
  const auto number = [](std::uint64_t first, std::uint64_t last) {
    return [first, last](std::string_view text) { return parse_whole_number(text, first, last); };
  };
  add_typed_option(command, "--seed", line.seed, number(0, UINT64_MAX), "makes chance repeatable; 1 by default")
      ->type_name("NUMBER");
  add_typed_option(command, "--mtu", line.mtu, number(68, 65535),
                   "MTU that both devices get; otherwise they keep theirs")
      ->type_name("BYTES");
  command.add_flag("--no-offload", line.no_offload, "no super-segments and no unfinished checksums from the kernel");
}

// ---- devices -------------------------------------------------------------------------------------------------------

struct DeviceName {
  std::string name_space;  // empty: the one that this program is in
  std::string device;
};

// "tun0", "tun:tun0" or "tun:tun0@NETNS", as --device of the other subcommands has it.
DeviceName parse_device(std::string_view text) {
  constexpr std::string_view kScheme = "tun:";
  std::string_view rest = text;
  if (rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  const std::size_t at = rest.find('@');
  const std::string device(rest.substr(0, at));
  if (at == std::string_view::npos && !device.empty()) return {"", device};
  if (device.empty() || at + 1 == rest.size())
    throw UsageError(fmt::format("'{}' is no device; give a name such as tun0, or tun:tun0@NETNS", text));
  return {std::string(rest.substr(at + 1)), device};
}

template <typename T>
T or_usage_error(std::expected<T, std::string> result) {
  if (!result) throw UsageError(result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::unique_ptr<TunDevice> open_device(const std::string& text, const LinkCommand& line) {
  const DeviceName name = parse_device(text);
  std::optional<NetworkNamespaceScope> there;
  if (!name.name_space.empty()) there.emplace(or_usage_error(NetworkNamespaceScope::enter(name.name_space)));
  auto device = or_usage_error(TunDevice::open({.name = name.device, .offload = !line.no_offload}));
  if (line.mtu) or_usage_error(link::set_mtu(device->name(), static_cast<std::uint16_t>(*line.mtu)));
  or_usage_error(link::set_up(device->name()));
  return device;
}

// ---- the work ------------------------------------------------------------------------------------------------------

std::string describe(const sim::LinkOptions& options) {
  std::string text = fmt::format("delay {}", sim::format_duration(options.delay));
  if (options.jitter > Duration::zero()) text += fmt::format(", jitter {}", sim::format_duration(options.jitter));
  if (options.rate > 0) text += fmt::format(", rate {}bit/s", options.rate);
  const auto add_percent = [&text](std::string_view name, double probability) {
    if (probability > 0) text += fmt::format(", {} {:.6g}%", name, probability * 100);
  };
  add_percent("loss", options.loss);
  add_percent("reorder", options.reorder);
  add_percent("duplicate", options.duplicate);
  add_percent("corrupt", options.corrupt);
  return text;
}

void say_ready(const LinkCommand& line, const sim::LinkOptions& a_to_b, const sim::LinkOptions& b_to_a) {
  const std::string there = describe(a_to_b);
  const std::string back = describe(b_to_a);
  fmt::print("ready: {} <-> {}: {}\n", line.device_a, line.device_b,
             there == back ? there : fmt::format("there {}; back {}", there, back));
  std::fflush(stdout);
}

void say_counts(const std::string& from, const std::string& to, const EmulatedPath& path) {
  const sim::LinkCounts link = path.link_counts();
  fmt::print(stderr,
             "{} -> {}: received {}, delivered {} ({} bytes), lost {}, queue-dropped {}, marked {}, reordered {}, "
             "duplicated {}, "
             "corrupted {}, overflowed {}, malformed {}, refused {}\n",
             from, to, path.counts().received, link.delivered, link.delivered_bytes, link.lost, link.queue_dropped,
             link.marked, link.reordered, link.duplicated, link.corrupted, link.overflowed, path.counts().malformed,
             path.counts().refused);
}

void run(const LinkCommand& line) {
  if (line.device_a == line.device_b) {
    throw UsageError(fmt::format("both ends are {}; give two different devices", line.device_a));
  }
  const FileDescriptor stop = signal_descriptor({SIGINT, SIGTERM});
  const auto a = open_device(line.device_a, line);
  const auto b = open_device(line.device_b, line);
  const sim::LinkOptions a_to_b = line.options(line.a_to_b, 0);
  const sim::LinkOptions b_to_a = line.options(line.b_to_a, 1);
  // Time is what this program sells. Where it may not have the preference it does without.
  ::setpriority(PRIO_PROCESS, 0, -15);
  LinkEmulator emulator(*a, *b, a_to_b, b_to_a);
  say_ready(line, a_to_b, b_to_a);
  const auto ended = emulator.run(stop.get());
  say_counts(line.device_a, line.device_b, emulator.a_to_b());
  say_counts(line.device_b, line.device_a, emulator.b_to_a());
  if (!ended) throw Failure(ended.error());
}

}  // namespace

void add_link_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("link", "Join two TUN devices by a link with delay, rate, loss and more");
  const auto line = std::make_shared<LinkCommand>();
  add_options(*command, *line);
  command->callback([line] { run(*line); });
}

}  // namespace ff::cli
