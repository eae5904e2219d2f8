// What the runs of `ff bench path` come to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/bench_path.hpp"

namespace ff::cli {

struct Quartiles {
  double lower = 0, median = 0, upper = 0;
};
// Of at least one value. Between two values in proportion; an infinite one stands for what never happened.
Quartiles quartiles_of(std::vector<double> values);

// Jain's index: 1 when all have the same, 1/n when one has all.
double fairness_of(const std::vector<double>& shares);

// All runs of one cell and one choice of pairs.
struct PathSummary {
  std::size_t cell = 0, pairs = 0;  // indices
  Quartiles value;                  // seconds of the transfer; or, where flows competed, Mbit/s of all together
  std::optional<double> ratio;      // of medians, to the kernel with itself in the same cell
  double retransmitted = 0;         // segments, median
  double fairness = 1;              // median
  std::vector<double> flows;        // Mbit/s of each, medians; the pairs taking turns
  std::size_t runs = 0, failed = 0;
};
std::vector<PathSummary> summarize(const PathResult& result);

// "reno, 100mbit, 20ms, loss 1%"
std::string describe(const PathCell& cell);

std::string path_table(const PathResult& result);
// The runs that have no result, a line each.
std::string path_failures(const PathResult& result);
std::string path_json(const PathResult& result);

// A line for each flow of each run.
std::string path_csv_heading();
std::string path_csv(const PathOptions& options, const std::vector<PathCell>& cells, const PathRun& run);
// A line for each event of firstflight's senders.
std::string path_events_csv(const PathResult& result);

}  // namespace ff::cli
