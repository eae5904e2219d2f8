#include "cli/bench_path_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/svg.hpp"

namespace ff::cli {
namespace {

using Point = Svg::Point;
using enum Svg::Anchor;

constexpr const char* kGrey = "#bbbbbb";
constexpr const char* kBlack = "#333333";
// Okabe and Ito's: told apart by the colour-blind too.
constexpr std::array<const char*, 7> kColours{"#000000", "#0072b2", "#d55e00", "#009e73",
                                              "#cc79a7", "#e69f00", "#56b4e9"};

const char* colour_of(std::size_t index) { return kColours[index % kColours.size()]; }

// ---- medians -------------------------------------------------------------------------------------------------------

constexpr double kWidth = 960, kLabels = 330, kRight = 30, kTop = 70, kLine = 14, kGap = 14, kBottom = 40;

// The least and the most that has to have a place on the axis.
std::pair<double, double> range_of(const std::vector<PathSummary>& summaries) {
  double least = INFINITY, most = 0;
  for (const PathSummary& summary : summaries)
    for (const double value : {summary.value.lower, summary.value.median, summary.value.upper}) {
      if (!std::isfinite(value) || value <= 0) continue;
      least = std::min(least, value);
      most = std::max(most, value);
    }
  return most > 0 ? std::pair(least / 1.2, most * 1.2) : std::pair(0.1, 10.0);
}

void draw_legend(Svg& svg, const PathResult& result) {
  double x = kLabels;
  for (std::size_t i = 0; i < result.options.pairs.size(); ++i) {
    const std::string name = name_of(result.options.pairs[i]);
    svg.circle({x, 42}, 4, colour_of(i));
    svg.text({x + 8, 46}, name);
    x += 24 + 7 * static_cast<double>(name.size());
  }
}

void draw_summary(Svg& svg, const Scale& scale, double y, const PathSummary& summary, const std::string& name) {
  const char* const colour = colour_of(summary.pairs);
  if (!std::isfinite(summary.value.median)) {
    svg.text({kWidth - kRight, y + 4}, name + ": never", End, 10);
    return;
  }
  svg.line({scale.place(summary.value.lower), y}, {scale.place(summary.value.upper), y}, colour, 2);
  const std::string ratio = summary.ratio ? fmt::format(", {:.3f} of kernel:kernel", *summary.ratio) : "";
  svg.circle({scale.place(summary.value.median), y}, 4, colour,
             fmt::format("{}: {:.4g}{}", name, summary.value.median, ratio));
}

// ---- events --------------------------------------------------------------------------------------------------------

constexpr double kLeft = 70, kPanel = 190, kPanelGap = 34, kRunTop = 46;

// One quantity of one flow, as steps.
std::vector<Point> steps(const PathRun& run, std::uint64_t flow, std::uint64_t PathEvent::* quantity, double unit,
                         const Scale& x, const Scale& y) {
  std::vector<Point> points;
  for (const PathEvent& event : run.events) {
    if (event.flow != flow || event.*quantity == 0) continue;
    const Point next{x.place(event.milliseconds), y.place(static_cast<double>(event.*quantity) / unit)};
    if (!points.empty() && std::abs(points.back().y - next.y) < 0.05) continue;
    if (!points.empty()) points.push_back({next.x, points.back().y});
    points.push_back(next);
  }
  if (!points.empty()) points.push_back({x.place(run.events.back().milliseconds), points.back().y});
  return points;
}

double largest(const PathRun& run, std::initializer_list<std::uint64_t PathEvent::*> quantities) {
  std::uint64_t most = 1;
  for (const PathEvent& event : run.events)
    for (const auto quantity : quantities) most = std::max(most, event.*quantity);
  return static_cast<double>(most);
}

void draw_axes(Svg& svg, const Scale& x, const Scale& y, double top, const char* unit) {
  const double bottom = top + kPanel;
  for (const auto& [place, text] : y.marks()) {
    svg.line({kLeft, place}, {kWidth - kRight, place}, kGrey, 0.5);
    svg.text({kLeft - 6, place + 4}, text, End, 10);
  }
  for (const auto& [place, text] : x.marks()) {
    svg.line({place, bottom}, {place, bottom + 4}, kBlack);
    svg.text({place, bottom + 15}, text, Middle, 10);
  }
  svg.line({kLeft, bottom}, {kWidth - kRight, bottom}, kBlack);
  svg.line({kLeft, top}, {kLeft, bottom}, kBlack);
  svg.text({kLeft, top - 4}, unit, Start, 11);
}

// Where something was sent again: a tick; where a timer ran out: a longer one.
void draw_repairs(Svg& svg, const PathRun& run, const Scale& x, double bottom) {
  for (const PathEvent& event : run.events) {
    const double place = x.place(event.milliseconds);
    if (event.kind == "retransmitted") svg.line({place, bottom - 8}, {place, bottom}, "#d55e00", 0.8);
    if (event.kind == "timer" && event.detail == "retransmit")
      svg.line({place, bottom - 30}, {place, bottom}, "#cc0000", 1.5);
  }
}

void draw_run(Svg& svg, const PathResult& result, const PathRun& run, double top) {
  svg.text({kLeft, top + 14},
           fmt::format("{}: {}, seed {}", describe(result.cells[run.cell]), name_of(result.options.pairs[run.pairs]),
                       run.seed),
           Start, 14);
  const Scale x(Scale::Kind::Linear, 0, run.events.back().milliseconds, kLeft, kWidth - kRight);
  const double windows = top + kRunTop, times = windows + kPanel + kPanelGap;
  const Scale kilobytes(Scale::Kind::Linear, 0,
                        largest(run, {&PathEvent::cwnd, &PathEvent::ssthresh, &PathEvent::in_flight}) / 1000,
                        windows + kPanel, windows);
  const Scale milliseconds(Scale::Kind::Linear, 0, largest(run, {&PathEvent::srtt}) / 1000, times + kPanel, times);
  draw_axes(svg, x, kilobytes, windows,
            "kB: cwnd, ssthresh (thin), in flight (pale); ticks: sent again, long: timed out");
  draw_axes(svg, x, milliseconds, times, "ms: smoothed round trip, over ms since connect()");
  std::uint64_t flows = 0;
  for (const PathEvent& event : run.events) flows = std::max(flows, event.flow + 1);
  for (std::uint64_t flow = 0; flow < flows; ++flow) {
    const char* const colour = colour_of(flow + 1);
    svg.polyline(steps(run, flow, &PathEvent::in_flight, 1000, x, kilobytes), flows == 1 ? kColours[6] : kGrey, 0.8);
    svg.polyline(steps(run, flow, &PathEvent::ssthresh, 1000, x, kilobytes), colour, 0.7);
    svg.polyline(steps(run, flow, &PathEvent::cwnd, 1000, x, kilobytes), colour);
    svg.polyline(steps(run, flow, &PathEvent::srtt, 1000, x, milliseconds), colour);
  }
  draw_repairs(svg, run, x, windows + kPanel);
}

}  // namespace

std::string path_svg(const PathResult& result) {
  const std::vector<PathSummary> summaries = summarize(result);
  const auto [least, most] = range_of(summaries);
  const double cell_height = kLine * static_cast<double>(result.options.pairs.size()) + kGap;
  const double bottom = kTop + cell_height * static_cast<double>(result.cells.size());
  Svg svg(kWidth, bottom + kBottom);
  const Scale scale(Scale::Kind::Logarithmic, least, most, kLabels, kWidth - kRight);
  svg.text({12, 24},
           result.options.duration
               ? fmt::format("{} flows at once: Mbit/s together, median and quartiles of {} runs each",
                             result.options.flows, result.options.seeds)
               : fmt::format("Transfers of {} bytes: seconds, median and quartiles of {} runs each",
                             *result.options.size, result.options.seeds),
           Start, 15);
  draw_legend(svg, result);
  for (const auto& [place, text] : scale.marks()) {
    svg.line({place, kTop}, {place, bottom}, kGrey, 0.5);
    svg.text({place, bottom + 16}, text, Middle, 11);
  }
  for (std::size_t cell = 0; cell < result.cells.size(); ++cell) {
    const double top = kTop + cell_height * static_cast<double>(cell);
    svg.line({12, top}, {kWidth - kRight, top}, kGrey);
    svg.text({12, top + cell_height / 2 + 4}, describe(result.cells[cell]));
  }
  for (const PathSummary& summary : summaries) {
    const double y = kTop + cell_height * static_cast<double>(summary.cell) + kGap / 2 +
                     kLine * (static_cast<double>(summary.pairs) + 0.5);
    draw_summary(svg, scale, y, summary, name_of(result.options.pairs[summary.pairs]));
  }
  return svg.finished();
}

std::string path_events_svg(const PathResult& result) {
  const double height = kRunTop + 2 * (kPanel + kPanelGap);
  std::vector<const PathRun*> runs;
  for (const PathRun& run : result.runs)
    if (!run.events.empty()) runs.push_back(&run);
  Svg svg(kWidth, std::max(height * static_cast<double>(runs.size()), 40.0));
  if (runs.empty()) svg.text({12, 24}, "Nothing was recorded: firstflight sent in no run.");
  for (std::size_t i = 0; i < runs.size(); ++i) draw_run(svg, result, *runs[i], height * static_cast<double>(i));
  return svg.finished();
}

}  // namespace ff::cli
