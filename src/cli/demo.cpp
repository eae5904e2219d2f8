#include "cli/demo.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/commands.hpp"
#include "cli/netns.hpp"
#include "cli/options.hpp"
#include "cli/process.hpp"
#include "cli/progress_line.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

constexpr Duration kMaxDelay = std::chrono::seconds(2);

struct Arguments {
  DemoOptions demo;
  bool json = false;
  bool simulated = false;
  std::string pcap;
};

Parsed<std::vector<DemoFamily>> parse_families(std::string_view text) {
  if (text == "4") return std::vector{DemoFamily::V4};
  if (text == "6") return std::vector{DemoFamily::V6};
  if (text == "both") return std::vector{DemoFamily::V4, DemoFamily::V6};
  return std::unexpected(fmt::format("'{}' is no address family; write 4, 6 or both", text));
}

Parsed<Duration> parse_delay(std::string_view text) {
  auto delay = sim::parse_duration(text);
  if (delay && (*delay < std::chrono::milliseconds(1) || *delay > kMaxDelay))
    return std::unexpected(fmt::format("a delay of '{}' shows nothing; give 1ms to 2s", text));
  return delay;
}

// Where the capture goes when the user does not say: a new file that nobody else can have prepared.
std::pair<std::FILE*, std::string> create_capture_file() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::error_code error;
  const bool usable = runtime != nullptr && std::filesystem::is_directory(runtime, error);
  std::string path = fmt::format("{}/firstflight-demo-XXXXXX.pcapng", usable ? runtime : "/tmp");
  const int descriptor = ::mkstemps(path.data(), static_cast<int>(std::strlen(".pcapng")));
  return {descriptor < 0 ? nullptr : ::fdopen(descriptor, "wb"), path};
}

std::string write_capture(const DemoResult& result, const std::string& wanted) {
  auto [file, path] = wanted.empty() ? create_capture_file() : std::pair(std::fopen(wanted.c_str(), "wb"), wanted);
  const bool written =
      file != nullptr && std::fwrite(result.capture.data(), 1, result.capture.size(), file) == result.capture.size();
  if (file == nullptr || std::fclose(file) != 0 || !written)
    throw Failure(fmt::format("the capture cannot be written to {}: {}", path, std::strerror(errno)));
  return path;
}

void print_for_people(const DemoResult& result, const Arguments& arguments) {
  fmt::print("The network: {}; {:.1f} ms a round trip, measured.\n\n{}\n{}\n", result.network, result.round_trip,
             demo_table(result), demo_summary(result));
  fmt::print("{}", demo_ladders(result, terminal_ladder_style(STDOUT_FILENO)));
  fmt::print("{} counted in all:\n", result.peer);
  for (const std::string& line : result.counters) fmt::print("  {}\n", line);
  fmt::print("\nEvery packet, for Wireshark (tcp.options.tfo finds the cookies):\n  {}\n",
             write_capture(result, arguments.pcap));
}

// A table that the witness contradicts is no demonstration.
void check_witness(const DemoResult& result) {
  for (const DemoVisit& visit : result.visits)
    if (!visit.witness_agrees())
      throw Failure(fmt::format("the packets show {} bytes in the SYN of visit {} of {} to {}, but {} counted {}",
                                visit.packets.syn_data, visit.number, visit.client, visit.server, result.peer,
                                visit.witness));
}

DemoResult measure(const Arguments& arguments) {
  std::optional<std::string> obstacle;
  if (!arguments.simulated) obstacle = why_no_namespaces();
  if (obstacle) fmt::print(stderr, "ff demo: {}; so this runs on simulated hosts\n", *obstacle);
  if (arguments.simulated || obstacle) return run_demo_simulated(arguments.demo);
  const ProgressLine line;
  return run_demo_with_kernel(arguments.demo, [&](const std::string& text) { line.show(text); });
}

void run(const Arguments& arguments) {
  std::optional<int> signal;
  try {
    const InterruptGuard guard;
    const DemoResult result = measure(arguments);
    if (arguments.json) {
      fmt::print("{}", demo_json(result));
      if (!arguments.pcap.empty()) write_capture(result, arguments.pcap);
    } else {
      print_for_people(result, arguments);
    }
    std::fflush(stdout);
    check_witness(result);
  } catch (const Interrupted& interrupted) {
    signal = interrupted.signal;
  }
  // All is cleaned up by now: end as the signal would have ended us.
  if (signal) std::raise(*signal);
}

}  // namespace

void add_demo_command(CLI::App& app) {
  CLI::App* demo = app.add_subcommand("demo", "shows what Fast Open saves, between firstflight and the Linux kernel");
  auto arguments = std::make_shared<Arguments>();
  demo->add_flag("--json", arguments->json, "prints the table alone, as JSON");
  add_typed_option<std::vector<DemoFamily>>(*demo, "--family", arguments->demo.families, parse_families,
                                            "4, 6 or both (default)")
      ->type_name("4|6|both");
  add_typed_option<Duration>(*demo, "--delay", arguments->demo.delay, parse_delay,
                             "of the link, each way; half a round trip (default 50ms)")
      ->type_name("TIME");
  demo->add_flag("--simulated", arguments->simulated, "on two simulated hosts, without root and TUN");
  demo->add_option("--pcap", arguments->pcap,
                   "where to write the capture (default: a new file in $XDG_RUNTIME_DIR or /tmp)")
      ->type_name("FILE");
  demo->callback([arguments] { run(*arguments); });
}

}  // namespace ff::cli
