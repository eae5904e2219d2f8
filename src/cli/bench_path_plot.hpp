// The results of `ff bench path`, drawn: SVG that any browser shows.
#pragma once

#include <string>

#include "cli/bench_path_report.hpp"

namespace ff::cli {

// A row for each cell, a dot and the quartiles for each pair.
std::string path_svg(const PathResult& result);
// Windows and round-trip times over time, for each run whose events were recorded.
std::string path_events_svg(const PathResult& result);

}  // namespace ff::cli
