// `ff nstat`: what a running stack has counted since this was last asked, as nstat(8) tells it of the kernel.
#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/common_options.hpp"
#include "cli/control_client.hpp"
#include "cli/counter_report.hpp"
#include "cli/nstat_history.hpp"

namespace ff::cli {
namespace {

struct NstatOptions {
  std::optional<std::string> control;
  bool absolute = false, zeros = false, no_update = false, reset = false, no_output = false, json = false;
  bool prometheus = false;
  std::vector<std::string> patterns;
};

// ---- the history file ----------------------------------------------------------------------------------------------

std::optional<std::string> history_path() {
  if (const char* path = std::getenv("NSTAT_HISTORY"); path != nullptr && *path != '\0') return path;
  const std::optional<std::string> directory = control_directory();
  if (!directory) return std::nullopt;
  return *directory + "/nstat.history";
}

std::string read_history(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t count; file && (count = ::read(file.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(count));
  return text;
}

// Whole or not at all, whoever else writes it.
bool write_history(const std::string& path, const std::string& text) {
  const std::string next = fmt::format("{}.{}", path, ::getpid());
  const FileDescriptor file(::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return false;
  const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (written && std::rename(next.c_str(), path.c_str()) == 0) return true;
  (void)::unlink(next.c_str());
  return false;
}

// ---- what is printed -----------------------------------------------------------------------------------------------

bool is_wanted(const NstatOptions& options, const NamedCount& count) {
  if (options.patterns.empty()) return !is_gauge(count);
  const std::string name = nstat_name(count);
  return std::ranges::any_of(options.patterns, [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), name.c_str(), FNM_CASEFOLD) == 0;
  });
}

void print(const NstatOptions& options, const std::vector<NamedCount>& counts) {
  control::Json values = control::Json::object();
  if (!options.json) fmt::print("#firstflight\n");
  for (const NamedCount& count : counts) {
    if (!is_wanted(options, count) || (count.value == 0 && !options.zeros)) continue;
    if (options.json) {
      values[nstat_name(count)] = count.value;
    } else {
      // The last column is nstat's rate, which only its daemon measures.
      fmt::print("{:<31} {:<15} {:>6}\n", nstat_name(count), count.value, "0.0");
    }
  }
  if (options.json) fmt::print("{}\n", control::Json{{"firstflight", values}}.dump());
}

void check_patterns(const NstatOptions& options, const std::vector<NamedCount>& counts) {
  for (const std::string& pattern : options.patterns) {
    NstatOptions alone;
    alone.patterns = {pattern};
    if (std::ranges::none_of(counts, [&](const NamedCount& count) { return is_wanted(alone, count); }))
      throw UsageError(fmt::format("no counter is like '{}'; 'ff nstat -az' lists them all", pattern));
  }
}

void run_nstat(const NstatOptions& options) {
  ControlClient client(options.control);
  if (options.prometheus) {
    fmt::print("{}", client.ask({{"command", "counters"}, {"format", "prometheus"}}).get<std::string>());
    return;
  }
  const std::vector<NamedCount> counts = counts_of(client.ask({{"command", "counters"}}));
  check_patterns(options, counts);
  const std::string instance = client.ask({{"command", "hello"}}).value("instance", "");
  const std::optional<std::string> path = history_path();
  NstatHistory history = NstatHistory::parse(path ? read_history(*path) : std::string());
  if (options.reset) history.forget(instance);

  if (!options.no_output) print(options, options.absolute ? counts : history.since(instance, counts));
  if (options.no_update) return;
  history.remember(instance, counts);
  if (!path || !write_history(*path, history.to_text()))
    fmt::print(stderr, "ff nstat: cannot keep {} for the next time: {}\n", path.value_or("a history"),
               path ? std::strerror(errno) : "XDG_RUNTIME_DIR is not set");
}

}  // namespace

void add_nstat_command(CLI::App& app) {
  const auto options = std::make_shared<NstatOptions>();
  CLI::App* command = app.add_subcommand("nstat", "show what a running stack has counted since last asked");
  command->add_option("PATTERN", options->patterns, "names to show, in which * and ? stand for others");
  command->add_flag("-a,--ignore", options->absolute, "all that was counted, not what was since last asked");
  command->add_flag("-z,--zeros", options->zeros, "also what is 0");
  command->add_flag("-s,--noupdate", options->no_update, "do not remember that this was asked");
  command->add_flag("-r,--reset", options->reset, "forget when this was last asked");
  command->add_flag("-n,--nooutput", options->no_output, "show nothing, but remember that this was asked");
  command->add_flag("-j,--json", options->json, "as JSON");
  command->add_flag("--prometheus", options->prometheus, "all of them, in Prometheus' text format");
  add_control_option(*command, options->control);
  command->footer(
      "What was counted when this was last asked is kept in the file nstat.history beside the control sockets, or in\n"
      "$NSTAT_HISTORY, for each of the eight stacks asked last; another stack's counting begins at 0. Beside Linux's\n"
      "counters there are those of dropped packets (Drop*) and of how Fast Open went (FastOpen*).");
  command->callback([options] { run_nstat(*options); });
}

}  // namespace ff::cli
