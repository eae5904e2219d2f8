#include "cli/bench_path_end.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

using nlohmann::json;

constexpr const char* kSending = "send";
constexpr const char* kReceiving = "receive";

Parsed<PathSide> parse_side(std::string_view text) {
  if (text == kSending) return PathSide::Sending;
  if (text == kReceiving) return PathSide::Receiving;
  return std::unexpected(fmt::format("'{}' is no end of a transfer; write {} or {}", text, kSending, kReceiving));
}

void run(const PathEndOptions& options) {
  const auto say = [](const PathEndReport& report) {
    fmt::print("{}\n", to_line(report));
    std::fflush(stdout);
  };
  options.stack == PathStack::Kernel ? run_kernel_end(options, say) : run_stack_end(options, say);
}

}  // namespace

std::vector<std::string> path_end_command(const PathEndOptions& options) {
  std::vector<std::string> words{"/proc/self/exe", "bench", "end"};
  words.emplace_back(options.side == PathSide::Sending ? kSending : kReceiving);
  words.emplace_back(name_of(options.stack));
  for (const PathStack flow : options.flows) words.insert(words.end(), {"--flow", std::string(name_of(flow))});
  words.insert(words.end(), {"--bytes", fmt::format("{}", options.bytes)});
  words.insert(words.end(), {"--cc", options.congestion_control, "--seed", fmt::format("{}", options.seed)});
  if (options.events) words.emplace_back("--events");
  return words;
}

std::string to_line(const PathEndReport& report) {
  json flows = json::array(), events = json::array();
  for (const PathEndFlow& flow : report.flows)
    flows.push_back({flow.sender, flow.began, flow.ended, flow.bytes, flow.retransmitted});
  for (const PathEvent& event : report.events)
    events.push_back({event.milliseconds, event.flow, event.kind, event.detail, event.cwnd, event.ssthresh,
                      event.in_flight, event.srtt});
  return json{{"flows", std::move(flows)}, {"events", std::move(events)}}.dump();
}

Parsed<PathEndReport> parse_path_end_report(const std::string& line) try {
  PathEndReport report;
  const json parsed = json::parse(line);
  for (const json& flow : parsed.at("flows"))
    report.flows.push_back({.sender = flow.at(0),
                            .began = flow.at(1),
                            .ended = flow.at(2),
                            .bytes = flow.at(3),
                            .retransmitted = flow.at(4)});
  for (const json& event : parsed.at("events"))
    report.events.push_back({.milliseconds = event.at(0),
                             .flow = event.at(1),
                             .kind = event.at(2),
                             .detail = event.at(3),
                             .cwnd = event.at(4),
                             .ssthresh = event.at(5),
                             .in_flight = event.at(6),
                             .srtt = event.at(7)});
  return report;
} catch (const json::exception&) {
  return std::unexpected(fmt::format("'{}' is no report of an end; one was expected", line));
}

std::int64_t monotonic_now() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void say_path_end_ready() {
  fmt::print("ready\n");
  std::fflush(stdout);
}

void add_path_end_command(CLI::App& bench) {
  CLI::App* end = bench.add_subcommand("end", "one end of the transfers of 'ff bench path', which runs it");
  end->group("");
  const auto options = std::make_shared<PathEndOptions>();
  const auto number = [](std::string_view text) { return parse_whole_number(text, 0, UINT64_MAX); };
  add_typed_option<PathSide>(*end, "SIDE", options->side, parse_side, "send or receive")->required();
  add_typed_option<PathStack>(*end, "TCP", options->stack, parse_path_stack, "kernel or firstflight")->required();
  add_typed_options<PathStack>(*end, "--flow", options->flows, parse_path_stack, "whose TCP the other end is; one each")
      ->required();
  add_typed_option<std::uint64_t>(*end, "--bytes", options->bytes, number, "of each flow; 0: without end");
  end->add_option("--cc", options->congestion_control, "the sender's congestion control");
  add_typed_option<std::uint64_t>(*end, "--seed", options->seed, number, "of firstflight's randomness");
  end->add_flag("--events", options->events, "adds what the connections did over time");
  end->callback([options] { run(*options); });
}

}  // namespace ff::cli
