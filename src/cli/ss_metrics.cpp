#include "cli/ss_metrics.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <iterator>

#include "cli/commands.hpp"

namespace ff::cli {

namespace {

// Where the clock of the tool begins does not matter: all times come as spans.
constexpr Instant kNow{std::chrono::hours(24 * 365 * 100)};

std::int64_t in_microseconds(Duration span) {
  return std::chrono::duration_cast<std::chrono::microseconds>(span).count();
}

}  // namespace

std::string metrics_line(const control::KnownPath& path, Instant now) {
  const TcpMetrics& metrics = path.metrics;
  std::string line = metrics.destination.to_string();
  const auto add = [&line](std::string_view name, auto value, std::string_view unit = "") {
    if (value != decltype(value){}) fmt::format_to(std::back_inserter(line), " {} {}{}", name, value, unit);
  };
  if (metrics.updated != Instant{})
    line += fmt::format(" age {:.3f}sec", std::chrono::duration<double>(now - metrics.updated).count());
  add("ssthresh", metrics.ssthresh);
  add("cwnd", metrics.cwnd);
  add("reordering", metrics.reordering);
  add("rtt", in_microseconds(metrics.rtt), "us");
  add("rttvar", in_microseconds(metrics.rttvar), "us");
  add("fo_mss", path.fo_mss);
  add("fo_syn_drops", path.fo_syn_drops);
  add("fo_cookie", std::string_view(path.fo_cookie));
  if (path.fo_partition != 0) line += fmt::format(" fo_partition {:x}", path.fo_partition);
  return line + " source " + metrics.source.to_string();
}

void show_metrics(ControlClient& client, const MetricsOptions& options) {
  if (options.flush) {
    client.ask({{"command", "flush_metrics"}});
    return;
  }
  control::Json listed = control::Json::array();
  client.ask_each({{"command", "metrics"}}, [&](const control::Json& batch) {
    for (const control::Json& item : batch) {
      const auto path = control::decode_path(item, kNow);
      if (!path) throw Failure("the stack lists its metrics as another version of firstflight does");
      if (!(path->metrics.destination.is_v4() ? options.v4 : options.v6)) continue;
      if (options.json) {
        listed.push_back(item);
      } else {
        fmt::print("{}\n", metrics_line(*path, kNow));
      }
    }
  });
  if (options.json) fmt::print("{}\n", listed.dump(2));
}

}  // namespace ff::cli
