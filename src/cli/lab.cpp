// `ff lab`: every behaviour of this TCP as a scenario on two simulated hosts that prints what happened, and checks it.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/lab_report.hpp"
#include "cli/options.hpp"
#include "cli/usage.hpp"
#include "device/pcapng.hpp"

namespace ff::cli {
namespace {

struct Arguments {
  std::string name;
  std::vector<std::string> set;
  std::uint64_t seed = 1;
  std::string pcap;
  bool v6 = false;
  bool all = false;
  bool json = false;
};

const lab::Scenario& find_scenario(const std::string& name) {
  std::vector<std::string> names;
  for (const lab::Scenario& scenario : lab::scenarios()) {
    if (scenario.name == name) return scenario;
    names.push_back(scenario.name);
  }
  const std::string guess = nearest(name, names);
  throw UsageError(guess.empty() ? fmt::format("there is no scenario '{}'; 'ff lab' lists those there are", name)
                                 : fmt::format("there is no scenario '{}'; did you mean '{}'?", name, guess));
}

std::pair<std::string, std::string> parse_wish(const lab::Scenario& scenario, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    throw UsageError(fmt::format("'{}' has no '='; write SETTING=VALUE, such as tcp_fin_timeout=30", text));
  std::pair wish(text.substr(0, equals), text.substr(equals + 1));
  if (const auto reason = lab::why_not(scenario, wish.first, wish.second)) {
    std::vector<std::string> knobs;
    knobs.reserve(scenario.knobs.size());
    for (const lab::Knob& knob : scenario.knobs) knobs.push_back(knob.name);
    const std::string guess = nearest(wish.first, knobs);
    if (guess.empty() || guess == wish.first) throw UsageError(*reason);
    throw UsageError(fmt::format("there is no setting '{}'; did you mean '{}'?", wish.first, guess));
  }
  return wish;
}

LabRun play_timed(const lab::Scenario& scenario, const lab::Wishes& wishes) {
  const auto start = std::chrono::steady_clock::now();
  LabRun run{.scenario = &scenario, .wishes = wishes, .outcome = lab::play(scenario, wishes)};
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return run;
}

void write_capture(const lab::Outcome& outcome, ByteSink& sink) {
  PcapngWriter writer(sink);
  const std::uint32_t interface = writer.add_interface("client");
  for (const lab::SeenPacket& packet : outcome.packets) {
    if (!packet.what.empty()) continue;  // no IP packet
    writer.write_packet(interface, static_cast<std::uint64_t>(packet.time.time_since_epoch().count()),
                        packet.from_client ? PcapngWriter::Direction::Outbound : PcapngWriter::Direction::Inbound,
                        packet.bytes.span());
  }
  writer.flush();
  if (!writer.error().empty()) throw Failure(writer.error());
}

// "E7", an id of docs/features.md.
bool is_id(std::string_view text) {
  return text.size() >= 2 && text.size() <= 3 && text[0] >= 'A' && text[0] <= 'L' &&
         std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<lab::Scenario> scenarios_of(const std::string& id) {
  std::vector<lab::Scenario> found;
  std::ranges::copy_if(lab::scenarios(), std::back_inserter(found), [&](const lab::Scenario& scenario) {
    return std::ranges::find(scenario.ids, id) != scenario.ids.end();
  });
  if (found.empty()) throw UsageError(fmt::format("no scenario shows {}; 'ff lab' lists them with their ids", id));
  return found;
}

void list(const Arguments& arguments, const std::vector<lab::Scenario>& scenarios) {
  if (arguments.json) {
    fmt::print("{}", lab_list_json(scenarios));
    return;
  }
  fmt::print("{}", lab_list(scenarios, terminal_ladder_style(STDOUT_FILENO).width));
}

void run_one(const Arguments& arguments) {
  const lab::Scenario& scenario = find_scenario(arguments.name);
  lab::Wishes wishes{.set = {}, .seed = arguments.seed, .v6 = arguments.v6};
  for (const std::string& text : arguments.set) wishes.set.push_back(parse_wish(scenario, text));
  std::unique_ptr<FileSink> file;
  if (!arguments.pcap.empty()) {
    auto created = FileSink::create(arguments.pcap);
    if (!created) throw UsageError(fmt::format("{}; give a file that can be written", created.error()));
    file = *std::move(created);
  }
  const LabRun run = play_timed(scenario, wishes);
  if (file) write_capture(run.outcome, *file);
  fmt::print("{}", arguments.json ? lab_json(run) : lab_report(run, terminal_ladder_style(STDOUT_FILENO)));
  if (!run.outcome.as_it_should_be()) throw ExitStatus{kFailure};
}

void run_all(const Arguments& arguments) {
  std::vector<LabRun> runs;
  for (const lab::Scenario& scenario : lab::scenarios()) {
    runs.push_back(play_timed(scenario, {.set = {}, .seed = arguments.seed, .v6 = arguments.v6}));
    if (arguments.json) continue;
    fmt::print("{}", lab_line(runs.back()));
    std::fflush(stdout);
  }
  fmt::print("{}", arguments.json ? lab_json(runs) : lab_summary(runs));
  if (!std::ranges::all_of(runs, [](const LabRun& run) { return run.outcome.as_it_should_be(); }))
    throw ExitStatus{kFailure};
}

void check(const Arguments& arguments) {
  if (arguments.all && !arguments.name.empty())
    throw UsageError(fmt::format("--all runs every scenario; leave out '{}' or --all", arguments.name));
  if (is_id(arguments.name) && !(arguments.set.empty() && arguments.pcap.empty()))
    throw UsageError(
        fmt::format("{} is an id, of which there may be several scenarios; give the name of one, 'ff lab {}' "
                    "lists them",
                    arguments.name, arguments.name));
  if (arguments.name.empty() && !arguments.set.empty())
    throw UsageError("--set is for one scenario; give its name, such as 'ff lab accept-queue-overflow --set ...'");
  if (arguments.name.empty() && !arguments.pcap.empty())
    throw UsageError("--pcap is for one scenario; give its name, such as 'ff lab three-way-handshake --pcap FILE'");
}

void run(const Arguments& arguments) {
  check(arguments);
  if (arguments.all) return run_all(arguments);
  if (is_id(arguments.name)) return list(arguments, scenarios_of(arguments.name));
  if (!arguments.name.empty()) return run_one(arguments);
  list(arguments, lab::scenarios());
  if (!arguments.json)
    fmt::print(
        "\nff lab NAME plays one, ff lab --all plays them all. In brackets: ids of docs/features.md; ff lab E7 lists "
        "what shows E7.\n");
}

}  // namespace

void add_lab_command(CLI::App& app) {
  CLI::App* lab = app.add_subcommand("lab", "plays scenarios of TCP's behaviour on simulated hosts, and checks them");
  auto arguments = std::make_shared<Arguments>();
  lab->add_option("NAME", arguments->name,
                  "the scenario, or an id such as E7 for a list of those that show it; without it, all are listed");
  lab->add_option("--set", arguments->set,
                  "changes a setting of both hosts, of one (server.SETTING=VALUE), or a word that the scenario offers; "
                  "repeatable")
      ->type_name("SETTING=VALUE")
      ->expected(1)
      ->take_all();
  add_typed_option<std::uint64_t>(
      *lab, "--seed", arguments->seed, [](std::string_view text) { return parse_whole_number(text, 0, UINT64_MAX); },
      "all randomness follows from N (default 1)")
      ->type_name("N");
  lab->add_flag("-6", arguments->v6, "over IPv6");
  lab->add_option("--pcap", arguments->pcap, "writes every packet, as the client sees it, to FILE (pcapng)")
      ->type_name("FILE");
  lab->add_flag("--all", arguments->all, "plays every scenario; a line each, and a summary");
  lab->add_flag("--json", arguments->json, "prints JSON");
  lab->callback([arguments] { run(*arguments); });
}

}  // namespace ff::cli
