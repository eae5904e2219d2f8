#include "cli/bench_path_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/text_table.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

using nlohmann::ordered_json;

constexpr double kMega = 1e6;
constexpr double kShort = 0.1;  // seconds; a transfer of which milliseconds would say too little

double at_quantile(const std::vector<double>& sorted, double quantile) {
  const double place = quantile * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const double part = place - static_cast<double>(below);
  if (part == 0) return sorted[below];
  return sorted[below] * (1 - part) + sorted[below + 1] * part;
}

double median_of(std::vector<double> values) { return values.empty() ? 0 : quartiles_of(std::move(values)).median; }

// What a run is judged by.
double value_of(const PathOptions& options, const PathRun& run) {
  if (!run.error.empty()) return options.duration ? 0 : std::numeric_limits<double>::infinity();
  double seconds = 0, bits_per_second = 0;
  for (const PathFlow& flow : run.flows) {
    seconds = std::max(seconds, flow.seconds);
    bits_per_second += flow.bits_per_second();
  }
  return options.duration ? bits_per_second / kMega : seconds;
}

std::vector<double> shares_of(const PathRun& run) {
  std::vector<double> shares;
  shares.reserve(run.flows.size());
  for (const PathFlow& flow : run.flows) shares.push_back(flow.bits_per_second() / kMega);
  return shares;
}

double retransmitted_in(const PathRun& run) {
  double segments = 0;
  for (const PathFlow& flow : run.flows) segments += static_cast<double>(flow.retransmitted);
  return segments;
}

PathSummary summarize(const PathResult& result, std::size_t cell, std::size_t pairs) {
  PathSummary summary{.cell = cell, .pairs = pairs, .value = {}, .ratio = {}, .flows = {}};
  std::vector<double> values, retransmitted, fairness;
  std::vector<std::vector<double>> flows(result.options.flows);
  for (const PathRun& run : result.runs) {
    if (run.cell != cell || run.pairs != pairs) continue;
    ++summary.runs;
    values.push_back(value_of(result.options, run));
    if (!run.error.empty()) {
      ++summary.failed;
      continue;
    }
    const std::vector<double> shares = shares_of(run);
    for (std::size_t i = 0; i < shares.size() && i < flows.size(); ++i) flows[i].push_back(shares[i]);
    retransmitted.push_back(retransmitted_in(run));
    fairness.push_back(fairness_of(shares));
  }
  summary.value = quartiles_of(std::move(values));
  summary.retransmitted = median_of(std::move(retransmitted));
  summary.fairness = median_of(std::move(fairness));
  for (std::vector<double>& flow : flows) summary.flows.push_back(median_of(std::move(flow)));
  return summary;
}

std::string number(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "never";
}

// What each flow had, and whose it is where they differ.
std::string each_of(const PathPairs& pairs, const PathSummary& summary) {
  std::string text;
  for (std::size_t i = 0; i < summary.flows.size(); ++i) {
    if (i > 0) text += ' ';
    if (pairs.size() > 1) text += name_of(PathPairs{pairs[i % pairs.size()]}) + ' ';
    text += number(summary.flows[i], 1);
  }
  return text;
}

std::string percent(double probability) { return fmt::format("{:.6g}%", probability * 100); }

std::string queue_text(const sim::QueueLimit& queue) {
  return queue.bytes == UINT64_MAX ? fmt::format("{} packets", queue.packets) : fmt::format("{} bytes", queue.bytes);
}

// To a millionth. JSON has no infinity.
ordered_json finite(double value) {
  return std::isfinite(value) ? ordered_json(std::round(value * 1e6) / 1e6) : ordered_json();
}

ordered_json json_of(const PathFlow& flow) {
  return {{"pair", name_of(PathPairs{flow.pair})},
          {"bytes", flow.bytes},
          {"seconds", finite(flow.seconds)},
          {"mbit_per_second", finite(flow.bits_per_second() / kMega)},
          {"retransmitted", flow.retransmitted}};
}

ordered_json json_of(const PathRun& run) {
  ordered_json flows = ordered_json::array();
  for (const PathFlow& flow : run.flows) flows.push_back(json_of(flow));
  ordered_json json{{"seed", run.seed}, {"flows", std::move(flows)}};
  if (!run.error.empty()) json["error"] = run.error;
  return json;
}

ordered_json json_of(const PathResult& result, const PathSummary& summary) {
  ordered_json runs = ordered_json::array();
  for (const PathRun& run : result.runs)
    if (run.cell == summary.cell && run.pairs == summary.pairs) runs.push_back(json_of(run));
  ordered_json json{{"pairs", name_of(result.options.pairs[summary.pairs])},
                    {"median", finite(summary.value.median)},
                    {"lower_quartile", finite(summary.value.lower)},
                    {"upper_quartile", finite(summary.value.upper)},
                    {"ratio_to_kernel", summary.ratio ? finite(*summary.ratio) : ordered_json()},
                    {"retransmitted", summary.retransmitted},
                    {"failed", summary.failed}};
  if (result.options.duration) json["jain"] = finite(summary.fairness);
  json["runs"] = std::move(runs);
  return json;
}

}  // namespace

Quartiles quartiles_of(std::vector<double> values) {
  std::ranges::sort(values);
  return {at_quantile(values, 0.25), at_quantile(values, 0.5), at_quantile(values, 0.75)};
}

double fairness_of(const std::vector<double>& shares) {
  double sum = 0, squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 1;
}

std::vector<PathSummary> summarize(const PathResult& result) {
  std::vector<PathSummary> summaries;
  const std::vector<PathPairs>& pairs = result.options.pairs;
  const auto kernel = std::ranges::find_if(pairs, is_kernel_alone);
  for (std::size_t cell = 0; cell < result.cells.size(); ++cell) {
    const std::size_t first = summaries.size();
    for (std::size_t i = 0; i < pairs.size(); ++i) summaries.push_back(summarize(result, cell, i));
    if (kernel == pairs.end()) continue;
    const double reference = summaries[first + static_cast<std::size_t>(kernel - pairs.begin())].value.median;
    if (reference <= 0 || !std::isfinite(reference)) continue;
    for (std::size_t i = first; i < summaries.size(); ++i) summaries[i].ratio = summaries[i].value.median / reference;
  }
  return summaries;
}

std::string describe(const PathCell& cell) {
  std::string text = fmt::format("{}, {}, {}", cell.congestion_control, sim::format_rate(cell.rate),
                                 sim::format_duration(cell.round_trip));
  if (cell.loss > 0) text += ", loss " + percent(cell.loss);
  if (cell.reorder > 0) text += ", reordered " + percent(cell.reorder);
  return text;
}

std::string path_table(const PathResult& result) {
  using enum TextTable::Align;
  const bool competing = result.options.duration.has_value();
  const bool reorders = std::ranges::any_of(result.cells, [](const PathCell& cell) { return cell.reorder > 0; });
  std::vector<TextTable::Column> columns{{"cc"}, {"rate", Right}, {"RTT", Right}, {"loss", Right}};
  if (reorders) columns.push_back({"reordered", Right});
  columns.push_back({"sender:receiver"});
  columns.push_back({competing ? "Mbit/s" : "median s", Right});
  columns.push_back({"quartiles", Right});
  if (competing) columns.insert(columns.end(), {{"each", Right}, {"Jain", Right}});
  columns.insert(columns.end(), {{"retransmitted", Right}, {"to kernel:kernel", Right}});
  TextTable table(std::move(columns));
  for (const PathSummary& summary : summarize(result)) {
    const PathCell& cell = result.cells[summary.cell];
    std::vector<std::string> line{cell.congestion_control, sim::format_rate(cell.rate),
                                  sim::format_duration(cell.round_trip), percent(cell.loss)};
    if (reorders) line.push_back(percent(cell.reorder));
    const int decimals = competing ? 1 : summary.value.median < kShort ? 5 : 3;
    line.push_back(name_of(result.options.pairs[summary.pairs]));
    line.push_back(number(summary.value.median, decimals));
    line.push_back(
        fmt::format("{} - {}", number(summary.value.lower, decimals), number(summary.value.upper, decimals)));
    if (competing) {
      line.insert(line.end(), {each_of(result.options.pairs[summary.pairs], summary), number(summary.fairness, 3)});
    }
    line.push_back(number(summary.retransmitted, 0));
    line.push_back(summary.ratio ? number(*summary.ratio, 3) : "");
    table.add(std::move(line));
  }
  return table.text();
}

std::string path_failures(const PathResult& result) {
  std::string text;
  for (const PathRun& run : result.runs)
    if (!run.error.empty())
      text += fmt::format("no result: {}, {}, seed {}: {}\n", describe(result.cells[run.cell]),
                          name_of(result.options.pairs[run.pairs]), run.seed, run.error);
  return text;
}

std::string path_json(const PathResult& result) {
  const std::vector<PathSummary> summaries = summarize(result);
  ordered_json cells = ordered_json::array();
  for (std::size_t i = 0; i < result.cells.size(); ++i) {
    const PathCell& cell = result.cells[i];
    ordered_json results = ordered_json::array();
    for (const PathSummary& summary : summaries)
      if (summary.cell == i) results.push_back(json_of(result, summary));
    cells.push_back({{"congestion_control", cell.congestion_control},
                     {"bit_per_second", cell.rate},
                     {"round_trip_ms", std::chrono::duration<double, std::milli>(cell.round_trip).count()},
                     {"loss", cell.loss},
                     {"reorder", cell.reorder},
                     {"queue", queue_text(cell.queue)},
                     {"link", i < result.links.size() ? result.links[i] : ""},
                     {"results", std::move(results)}});
  }
  ordered_json json{{"unit", result.options.duration ? "Mbit/s" : "s"}, {"flows", result.options.flows}};
  if (result.options.size) json["bytes"] = *result.options.size;
  if (result.options.duration) json["duration_s"] = std::chrono::duration<double>(*result.options.duration).count();
  json["kernel_settings"] = result.settings;
  json["cells"] = std::move(cells);
  return json.dump(2) + '\n';
}

std::string path_csv_heading() {
  return "cc,rate_bit_per_s,rtt_ms,loss,reorder,queue,pairs,seed,flow,sender,receiver,bytes,seconds,retransmitted,"
         "error\n";
}

std::string path_csv(const PathOptions& options, const std::vector<PathCell>& cells, const PathRun& run) {
  const PathCell& cell = cells[run.cell];
  const std::string start =
      fmt::format("{},{},{},{},{},{},{},{}", cell.congestion_control, cell.rate,
                  std::chrono::duration<double, std::milli>(cell.round_trip).count(), cell.loss, cell.reorder,
                  queue_text(cell.queue), name_of(options.pairs[run.pairs]), run.seed);
  std::string error = run.error;
  std::ranges::replace_if(error, [](char c) { return c == ',' || c == '"' || c == '\n'; }, ' ');
  if (run.flows.empty()) return fmt::format("{},,,,,,,{}\n", start, error);
  std::string text;
  for (std::size_t i = 0; i < run.flows.size(); ++i) {
    const PathFlow& flow = run.flows[i];
    text += fmt::format("{},{},{},{},{},{:.6f},{},{}\n", start, i, name_of(flow.pair.sender),
                        name_of(flow.pair.receiver), flow.bytes, flow.seconds, flow.retransmitted, error);
  }
  return text;
}

std::string path_events_csv(const PathResult& result) {
  std::string text =
      "cc,rate_bit_per_s,rtt_ms,loss,reorder,pairs,flow,ms,event,detail,cwnd,ssthresh,srtt_us,in_flight\n";
  for (const PathRun& run : result.runs) {
    const PathCell& cell = result.cells[run.cell];
    const std::string start = fmt::format("{},{},{},{},{},{}", cell.congestion_control, cell.rate,
                                          std::chrono::duration<double, std::milli>(cell.round_trip).count(), cell.loss,
                                          cell.reorder, name_of(result.options.pairs[run.pairs]));
    const auto known = [](std::uint64_t value) { return value == 0 ? std::string() : fmt::format("{}", value); };
    for (const PathEvent& event : run.events)
      text += fmt::format("{},{},{:.6f},{},{},{},{},{},{}\n", start, event.flow, event.milliseconds, event.kind,
                          event.detail, event.cwnd, known(event.ssthresh), known(event.srtt), event.in_flight);
  }
  return text;
}

}  // namespace ff::cli
