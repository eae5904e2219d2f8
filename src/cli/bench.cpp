// ff bench: what firstflight does beside what else there is. `ff bench path` is what there is to run so far.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "cli/bench_path.hpp"
#include "cli/bench_path_end.hpp"
#include "cli/bench_path_plot.hpp"
#include "cli/bench_path_report.hpp"
#include "cli/commands.hpp"
#include "cli/netns.hpp"
#include "cli/options.hpp"
#include "cli/process.hpp"
#include "cli/progress_line.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

struct Arguments {
  PathOptions path;
  bool json = false, verbose = false;
  std::string csv, svg, events, events_svg;
};

// ---- the command line ----------------------------------------------------------------------------------------------

constexpr Duration kShortest = std::chrono::microseconds(100);

// A time that is not so short that nothing can be seen.
Parsed<Duration> parse_time(std::string_view text) {
  auto time = sim::parse_duration(text);
  if (time && *time < kShortest)
    return std::unexpected(fmt::format("'{}' is too short to show anything; give 100us to an hour", text));
  return time;
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  auto size = sim::parse_bytes(text);
  if (size && *size == 0) return std::unexpected(fmt::format("'{}' is no transfer; give a size such as 10mb", text));
  return size;
}

// A link that loses every packet has nothing to measure.
Parsed<double> parse_share(std::string_view text) {
  auto probability = sim::parse_probability(text);
  if (probability && *probability > 0.5)
    return std::unexpected(fmt::format("'{}' leaves too little of a path; give 0% to 50%", text));
  return probability;
}

Parsed<std::string> parse_name(std::string_view text) {
  constexpr std::size_t kMost = 15;  // TCP_CA_NAME_MAX
  if (!text.empty() && text.size() <= kMost) return std::string(text);
  return std::unexpected(fmt::format("'{}' names no congestion control; give one such as reno, cubic or bbr", text));
}

// One value or several: the option may be given more than once, and its values may stand between commas.
template <typename T>
CLI::Option* add_list(CLI::App& app, const std::string& name, std::vector<T>& targets,
                      std::function<Parsed<T>(std::string_view)> parse, const std::string& description) {
  const auto add_all = [&targets, parse = std::move(parse), name](const std::vector<std::string>& texts) {
    for (std::string_view text : texts)
      for (;;) {
        const std::size_t comma = text.find(',');
        auto value = parse(text.substr(0, comma));
        if (!value) throw CLI::ValidationError(name, value.error());
        targets.push_back(*std::move(value));
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
      }
  };
  return app.add_option_function<std::vector<std::string>>(name, add_all, description)
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}

void add_path_options(CLI::App& path, PathOptions& options) {
  constexpr const char* kGrid =
      "The paths; of each one or several, between commas or repeated, and all combinations are run";
  add_list<std::string>(path, "--cc", options.congestion_controls, parse_name,
                        "the sender's congestion control; by default firstflight's own default")
      ->type_name("NAME")
      ->group(kGrid);
  add_list<std::uint64_t>(path, "--rate", options.rates, sim::parse_rate, "of the link each way (100mbit)")
      ->type_name("RATE")
      ->group(kGrid);
  add_list<Duration>(path, "--rtt", options.round_trips, parse_time, "round trip, half of it each way (20ms)")
      ->type_name("TIME")
      ->group(kGrid);
  add_list<double>(path, "--loss", options.losses, parse_share, "packets that are lost, each way (0%)")
      ->type_name("PERCENT")
      ->group(kGrid);
  add_list<double>(path, "--reorder", options.reorders, parse_share, "packets that are held back, each way (0%)")
      ->type_name("PERCENT")
      ->group(kGrid);
  add_typed_option<std::optional<Duration>>(path, "--reorder-delay", options.reorder_delay, parse_time,
                                            "how long they are held back (a quarter of the round trip)")
      ->type_name("TIME");
  add_typed_option<Duration>(path, "--jitter", options.jitter, parse_time,
                             "up to this much more delay, at random and in order, each way (0)")
      ->type_name("TIME");
  add_typed_option<std::optional<sim::QueueLimit>>(path, "--queue", options.queue, sim::parse_queue_limit,
                                                   "what may wait for the link, each way: packets or bytes (one "
                                                   "bandwidth-delay product)")
      ->type_name("LIMIT");
}

void add_transfer_options(CLI::App& path, PathOptions& options) {
  const auto number = [](std::uint64_t first, std::uint64_t last) {
    return [first, last](std::string_view text) { return parse_whole_number(text, first, last); };
  };
  constexpr const char* kGroup = "The transfers";
  add_list<PathPairs>(
      path, "--pairs", options.pairs, parse_path_pairs,
      "who sends to whom: kernel:kernel, firstflight:firstflight, firstflight:kernel, kernel:firstflight "
      "(all four); with '+' beside each other, such as firstflight:kernel+kernel:kernel")
      ->type_name("SENDER:RECEIVER")
      ->group(kGroup);
  CLI::Option* size = add_typed_option<std::optional<std::uint64_t>>(path, "--size", options.size, parse_size,
                                                                     "of each transfer (10mb)")
                          ->type_name("SIZE")
                          ->group(kGroup);
  add_typed_option<std::optional<Duration>>(
      path, "--duration", options.duration, parse_time,
      "instead: sends so long, and tells how much arrived (60s with several flows)")
      ->type_name("TIME")
      ->excludes(size)
      ->group(kGroup);
  add_typed_option<std::uint64_t>(path, "--flows", options.flows, number(1, 1000),
                                  "that many connections compete; Jain's index says how fairly (1)")
      ->type_name("N")
      ->group(kGroup);
  add_typed_option<std::uint64_t>(path, "--seeds", options.seeds, number(1, 10'000),
                                  "how often each is run, each time with other dice, the same for all pairs (11)")
      ->type_name("N")
      ->group(kGroup);
  add_typed_option<std::uint64_t>(path, "--jobs", options.jobs, number(1, 64),
                                  "runs at the same time, in networks of their own; only while the machine stays "
                                  "mostly idle (1)")
      ->type_name("N")
      ->group(kGroup);
  add_typed_option<Duration>(path, "--timeout", options.patience, parse_time, "for one transfer (600s)")
      ->type_name("TIME")
      ->group(kGroup);
}

void add_output_options(CLI::App& path, Arguments& arguments) {
  constexpr const char* kGroup = "What comes out";
  path.add_flag("--json", arguments.json, "prints everything as JSON instead of the table")->group(kGroup);
  path.add_option("--csv", arguments.csv, "a line for each flow of each run, as soon as it is over")
      ->type_name("FILE")
      ->group(kGroup);
  path.add_option("--svg", arguments.svg, "the medians and quartiles, drawn")->type_name("FILE")->group(kGroup);
  path.add_option(
          "--events", arguments.events,
          "cwnd, ssthresh, smoothed round trip and bytes in flight of firstflight's senders over time, with the "
          "first seed, as CSV")
      ->type_name("FILE")
      ->group(kGroup);
  path.add_option("--svg-events", arguments.events_svg, "the same, drawn")->type_name("FILE")->group(kGroup);
  path.add_flag("--verbose", arguments.verbose, "also how it was measured: the links, the kernel's settings")
      ->group(kGroup);
}

// ---- the work ------------------------------------------------------------------------------------------------------

// Made before the work begins, which may take hours. "": no file.
class OutputFile {
 public:
  OutputFile(const char* option, const std::string& path) : path_(path) {
    if (path.empty()) return;
    file_.reset(std::fopen(path.c_str(), "we"));
    if (!file_)
      throw UsageError(
          fmt::format("{}: {} cannot be written: {}; give another file", option, path, std::strerror(errno)));
  }
  [[nodiscard]] bool wanted() const { return file_ != nullptr; }
  void write(const std::string& text) {
    if (!file_) return;
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0)
      throw Failure(fmt::format("{} cannot be written: {}", path_, std::strerror(errno)));
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

std::string time_left(std::chrono::steady_clock::time_point start, std::size_t done, std::size_t of) {
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  const double left = taken.count() / static_cast<double>(done) * static_cast<double>(of - done);
  return left < 120 ? fmt::format("{:.0f} s", left) : fmt::format("{:.0f} min", left / 60);
}

void print_how(const PathResult& result) {
  fmt::print(
      "\nLinux's hosts, in network namespaces of their own, with the machine's defaults but for "
      "tcp_no_metrics_save:\n");
  for (const std::string& setting : result.settings) fmt::print("  {}\n", setting);
  fmt::print(
      "All devices: MTU 1500, super-segments and checksum offload on, for Linux and firstflight alike; the link "
      "cuts them.\nBoth have a router before the link, and one behind it.\nThe links, with --seed 1 to {}:\n",
      result.options.seeds);
  for (const std::string& link : result.links) fmt::print("  {}\n", link);
}

void report(const Arguments& arguments, const PathResult& result) {
  if (arguments.json) {
    fmt::print("{}", path_json(result));
  } else {
    fmt::print("{}", path_table(result));
    if (arguments.verbose) print_how(result);
  }
  std::fflush(stdout);
}

void measure(Arguments& arguments) {
  if (const auto obstacle = why_no_namespaces())
    throw UsageError(fmt::format("{}; run it as root, where there is /dev/net/tun", *obstacle));
  complete_path_options(arguments.path);
  OutputFile csv("--csv", arguments.csv), svg("--svg", arguments.svg), events("--events", arguments.events),
      events_svg("--svg-events", arguments.events_svg);
  arguments.path.events = events.wanted() || events_svg.wanted();
  const PathOptions& options = arguments.path;
  const std::vector<PathCell> cells = path_cells(options);
  csv.write(path_csv_heading());
  PathResult result;
  {
    const ProgressLine line;
    const auto start = std::chrono::steady_clock::now();
    line.show(fmt::format("{} runs", cells.size() * options.seeds * options.pairs.size()));
    result = run_path_bench(options, [&](std::size_t done, std::size_t of, const PathRun& run) {
      csv.write(path_csv(options, cells, run));
      line.show(fmt::format("{} of {} runs, about {} left; {}, {}, seed {}", done, of, time_left(start, done, of),
                            describe(cells[run.cell]), name_of(options.pairs[run.pairs]), run.seed));
    });
  }
  if (svg.wanted()) svg.write(path_svg(result));
  if (events.wanted()) events.write(path_events_csv(result));
  if (events_svg.wanted()) events_svg.write(path_events_svg(result));
  report(arguments, result);
  if (const std::string failures = path_failures(result); !failures.empty()) {
    fmt::print(stderr, "{}", failures);
    throw ExitStatus{kFailure};
  }
}

void run(Arguments& arguments) {
  std::optional<int> signal;
  try {
    const InterruptGuard guard;
    measure(arguments);
  } catch (const Interrupted& interrupted) {
    signal = interrupted.signal;
  }
  // All is cleaned up by now: end as the signal would have ended us.
  if (signal) std::raise(*signal);
}

void add_path_command(CLI::App& bench) {
  CLI::App* path = bench.add_subcommand(
      "path", "times transfers over an emulated link: firstflight's and the Linux kernel's, in all pairs");
  const auto arguments = std::make_shared<Arguments>();
  add_path_options(*path, arguments->path);
  add_transfer_options(*path, arguments->path);
  add_output_options(*path, *arguments);
  path->footer(
      "Examples:\n"
      "  ff bench path --rtt 20ms,100ms --loss 0,1% --csv runs.csv --svg medians.svg\n"
      "  ff bench path --pairs firstflight:kernel+kernel:kernel --duration 60s");
  path->callback([arguments] { run(*arguments); });
}

}  // namespace

void add_bench_command(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "measures firstflight beside the Linux kernel");
  add_path_command(*bench);
  add_path_end_command(*bench);
  bench->callback([bench] {
    if (bench->get_subcommands().empty())
      throw UsageError("what is to be measured was not said; 'ff bench path' times transfers over a link");
  });
}

}  // namespace ff::cli
