#include "cli/bench_path.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "cli/commands.hpp"
#include "cli/usage.hpp"
#include "device/file_descriptor.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;

constexpr const char* kSetting = "net.ipv4.tcp_congestion_control";
// What firstflight has as long as there is no choice.
constexpr const char* kOnlyChoice = "reno";
constexpr std::uint64_t kDefaultSize = 10u << 20;
constexpr Duration kDefaultDuration = 60s;
// Less than this cannot hold one full packet besides the one that is being sent.
constexpr std::uint64_t kSmallestQueue = 2 * 1500;

// What is wrong, in a sentence, when the kernel has no such congestion control.
std::optional<std::string> kernel_lacks(const std::string& name) {
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) == 0)
    return std::nullopt;
  std::ifstream file("/proc/sys/net/ipv4/tcp_available_congestion_control");
  std::string available;
  std::getline(file, available);
  return fmt::format("the kernel has no congestion control '{}'; it has {}", name, available);
}

bool has_sender(const std::vector<PathPairs>& all, PathStack stack) {
  return std::ranges::any_of(all, [stack](const PathPairs& pairs) {
    return std::ranges::any_of(pairs, [stack](const PathPair& pair) { return pair.sender == stack; });
  });
}

void check_congestion_controls(const PathOptions& options) {
  for (const std::string& name : options.congestion_controls) {
    Settings settings;
    if (has_sender(options.pairs, PathStack::Firstflight))
      if (const auto why_not = use_congestion_control(settings, name)) throw UsageError("--cc: " + *why_not);
    if (has_sender(options.pairs, PathStack::Kernel))
      if (const auto why_not = kernel_lacks(name)) throw UsageError("--cc: " + *why_not);
  }
}

template <typename T>
void or_else(std::vector<T>& values, T otherwise) {
  if (values.empty()) values.push_back(std::move(otherwise));
}

Parsed<PathPair> parse_pair(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    return std::unexpected(fmt::format("'{}' is no pair; write SENDER:RECEIVER, such as kernel:firstflight", text));
  const Parsed<PathStack> sender = parse_path_stack(text.substr(0, colon)),
                          receiver = parse_path_stack(text.substr(colon + 1));
  if (!sender) return std::unexpected(sender.error());
  if (!receiver) return std::unexpected(receiver.error());
  return PathPair{*sender, *receiver};
}

}  // namespace

std::string_view name_of(PathStack stack) { return stack == PathStack::Kernel ? "kernel" : "firstflight"; }

Parsed<PathStack> parse_path_stack(std::string_view text) {
  const std::vector<std::string> names{"kernel", "firstflight"};
  if (text == names[0]) return PathStack::Kernel;
  if (text == names[1]) return PathStack::Firstflight;
  const std::string meant = nearest(text, names);
  return std::unexpected(meant.empty() ? fmt::format("'{}' has no TCP; write kernel or firstflight", text)
                                       : fmt::format("'{}' has no TCP; did you mean '{}'?", text, meant));
}

std::string name_of(const PathPairs& pairs) {
  std::string text;
  for (const PathPair& pair : pairs)
    text += fmt::format("{}{}:{}", text.empty() ? "" : "+", name_of(pair.sender), name_of(pair.receiver));
  return text;
}

Parsed<PathPairs> parse_path_pairs(std::string_view text) {
  PathPairs pairs;
  for (;;) {
    const std::size_t plus = text.find('+');
    const Parsed<PathPair> pair = parse_pair(text.substr(0, plus));
    if (!pair) return std::unexpected(pair.error());
    pairs.push_back(*pair);
    if (plus == std::string_view::npos) return pairs;
    text.remove_prefix(plus + 1);
  }
}

bool is_kernel_alone(const PathPairs& pairs) {
  return std::ranges::all_of(
      pairs, [](const PathPair& pair) { return pair == PathPair{PathStack::Kernel, PathStack::Kernel}; });
}

double PathFlow::bits_per_second() const { return seconds > 0 ? static_cast<double>(bytes) * 8 / seconds : 0; }

std::optional<std::string> use_congestion_control(Settings& settings, const std::string& name) {
  if (!get_setting(settings, kSetting)) {
    if (name == kOnlyChoice) return std::nullopt;
    return fmt::format("firstflight has no congestion control '{}'; it has {}", name, kOnlyChoice);
  }
  const auto done = set_setting(settings, kSetting, name);
  if (done) return std::nullopt;
  return fmt::format("firstflight has no congestion control '{}'; {}", name, done.error());
}

void complete_path_options(PathOptions& options) {
  using enum PathStack;
  or_else(options.congestion_controls, get_setting(Settings{}, kSetting).value_or(kOnlyChoice));
  or_else(options.rates, std::uint64_t{100'000'000});
  or_else(options.round_trips, Duration(20ms));
  or_else(options.losses, 0.0);
  or_else(options.reorders, 0.0);
  if (options.pairs.empty())
    options.pairs = {
        {{Kernel, Kernel}}, {{Firstflight, Firstflight}}, {{Firstflight, Kernel}}, {{Kernel, Firstflight}}};
  for (const PathPairs& pairs : options.pairs) options.flows = std::max<std::uint64_t>(options.flows, pairs.size());
  if (options.flows > 1 && options.size)
    throw UsageError("flows that compete are measured over a time; leave out --size, and give --duration if you like");
  if (options.flows > 1 && !options.duration) options.duration = kDefaultDuration;
  if (!options.duration && !options.size) options.size = kDefaultSize;
  check_congestion_controls(options);
}

std::vector<PathCell> path_cells(const PathOptions& options) {
  std::vector<PathCell> cells;
  for (const std::string& congestion_control : options.congestion_controls)
    for (const std::uint64_t rate : options.rates)
      for (const Duration round_trip : options.round_trips)
        for (const double reorder : options.reorders)
          for (const double loss : options.losses) {
            const double product = static_cast<double>(rate) / 8 * std::chrono::duration<double>(round_trip).count();
            const sim::QueueLimit one_product{.packets = UINT64_MAX,
                                              .bytes = std::max(static_cast<std::uint64_t>(product), kSmallestQueue)};
            cells.push_back({.congestion_control = congestion_control,
                             .rate = rate,
                             .round_trip = round_trip,
                             .loss = loss,
                             .reorder = reorder,
                             .reorder_delay = options.reorder_delay.value_or(round_trip / 4),
                             .jitter = options.jitter,
                             .queue = options.queue.value_or(one_product)});
          }
  return cells;
}

}  // namespace ff::cli
