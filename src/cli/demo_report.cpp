#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/demo.hpp"
#include "cli/text_table.hpp"

namespace ff::cli {
namespace {

std::string_view name_of(DemoFamily family) { return family == DemoFamily::V4 ? "IPv4" : "IPv6"; }

double rounded(double value) { return std::round(value * 10) / 10; }

std::vector<std::string> line_of(const DemoVisit& visit) {
  return {visit.client,
          visit.server,
          std::string(name_of(visit.family)),
          visit.fast_open ? "yes" : "no",
          visit.number == 1 ? "first" : "second",
          visit.packets.syn_data == 0 ? "none" : fmt::format("{} bytes", visit.packets.syn_data),
          fmt::format("{:.1f}", visit.round_trips),
          fmt::format("{:.1f}", visit.milliseconds),
          visit.witness};
}

// "curl" of "curl (Linux)".
std::string_view short_name(std::string_view name) { return name.substr(0, name.find(" (")); }

std::string title_of(const DemoVisit& visit) {
  return fmt::format("{} to {}, {} visit", short_name(visit.client), short_name(visit.server),
                     visit.number == 1 ? "first" : "second");
}

}  // namespace

std::string demo_table(const DemoResult& result) {
  TextTable table({{"client"},
                   {"server"},
                   {"family"},
                   {"Fast Open"},
                   {"visit"},
                   {"data in SYN"},
                   {"round trips", TextTable::Align::Right},
                   {"ms", TextTable::Align::Right},
                   {fmt::format("{} counted", result.peer)}});
  for (const DemoVisit& visit : result.visits) table.add(line_of(visit));
  return table.text();
}

std::string demo_summary(const DemoResult& result) {
  double with = 0, without = 0;
  std::size_t with_count = 0, without_count = 0;
  for (const DemoVisit& visit : result.visits) {
    const bool fast = visit.packets.syn_data > 0;
    (fast ? with : without) += visit.milliseconds;
    ++(fast ? with_count : without_count);
  }
  if (with_count == 0 || without_count == 0) return "No visit had its request in the SYN.\n";
  with /= static_cast<double>(with_count);
  without /= static_cast<double>(without_count);
  return fmt::format(
      "With the request in the SYN the first byte was there after {:.1f} ms on average, without after {:.1f} ms: "
      "{:.1f} "
      "round trips saved.\n",
      with, without, (without - with) / result.round_trip);
}

std::string demo_ladders(const DemoResult& result, const LadderStyle& style) {
  std::string text;
  const auto& visits = result.visits;
  for (std::size_t i = 0; i + 1 < visits.size(); ++i) {
    const DemoVisit &first = visits[i], &second = visits[i + 1];
    if (!first.fast_open || first.number != 1 || first.family != visits.front().family) continue;
    text += render_ladders({title_of(first), first.packets.rows}, {title_of(second), second.packets.rows}, style);
    text += '\n';
  }
  return text;
}

std::string demo_json(const DemoResult& result) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const DemoVisit& visit : result.visits)
    rows.push_back({{"client", visit.client},
                    {"server", visit.server},
                    {"family", static_cast<int>(visit.family)},
                    {"fast_open", visit.fast_open},
                    {"visit", visit.number},
                    {"data_in_syn", visit.packets.syn_data > 0},
                    {"round_trips", rounded(visit.round_trips)},
                    {"ms", rounded(visit.milliseconds)},
                    {"witness", visit.witness}});
  return rows.dump(2) + '\n';
}

}  // namespace ff::cli
