// `ff bench path`: how long firstflight and the Linux kernel need for the same transfer over the same emulated link.
//
//   bench.cpp               the command line
//   bench_path.cpp          the work: options, progress, where the results go
//   bench_path_network.cpp  namespaces, devices, the link
//   bench_path_run.cpp      one run, and all of them, several at a time
//   bench_path_end.cpp      what runs at either end, as a program of its own; with
//   bench_kernel_end.cpp      the kernel's TCP
//   bench_stack_end.cpp       firstflight
//   bench_path_report.cpp   what the runs come to: table, JSON, CSV
//   bench_path_plot.cpp     and drawn
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_events.hpp"
#include "cli/options.hpp"
#include "firstflight/settings.hpp"
#include "firstflight/time.hpp"
#include "sim/link.hpp"

namespace ff::cli {

// Whose TCP it is.
enum class PathStack : std::uint8_t { Kernel, Firstflight };
std::string_view name_of(PathStack stack);
Parsed<PathStack> parse_path_stack(std::string_view text);

struct PathPair {
  PathStack sender, receiver;
  friend bool operator==(const PathPair&, const PathPair&) = default;
};
// Who sends to whom in one run; where there are more flows than pairs, they take turns.
using PathPairs = std::vector<PathPair>;
// "kernel:firstflight", or with '+' several beside each other: "kernel:kernel+firstflight:kernel".
Parsed<PathPairs> parse_path_pairs(std::string_view text);
std::string name_of(const PathPairs& pairs);
// What all others are compared with.
[[nodiscard]] bool is_kernel_alone(const PathPairs& pairs);

struct PathOptions {
  std::vector<std::string> congestion_controls;
  std::vector<std::uint64_t> rates;
  std::vector<Duration> round_trips;
  std::vector<double> losses, reorders;
  std::vector<PathPairs> pairs;
  std::optional<Duration> reorder_delay;
  Duration jitter{};
  std::optional<sim::QueueLimit> queue;
  std::optional<std::uint64_t> size;  // of each transfer, bytes
  std::optional<Duration> duration;   // instead: how long the flows compete
  std::uint64_t flows = 1;
  std::uint64_t seeds = 11;
  std::uint64_t jobs = 1;
  Duration patience = std::chrono::minutes(10);  // with one transfer
  bool events = false;                           // of firstflight's senders, with the first seed
};

// Makes it what new connections have. What is wrong, in a sentence, when firstflight has no such congestion control.
std::optional<std::string> use_congestion_control(Settings& settings, const std::string& name);

// Fills in what was left out. Throws UsageError when something does not go together, or a sender has not the congestion
// control that is asked for.
void complete_path_options(PathOptions& options);

// One path, and what the senders do on it.
struct PathCell {
  std::string congestion_control;
  std::uint64_t rate = 0;  // bit/s of IP packets
  Duration round_trip{};
  double loss = 0, reorder = 0;
  Duration reorder_delay{};
  Duration jitter{};
  sim::QueueLimit queue{};
};
// All combinations.
std::vector<PathCell> path_cells(const PathOptions& options);

struct PathFlow {
  PathPair pair{};
  std::uint64_t bytes = 0;          // that the receiver got
  double seconds = 0;               // from connect() to the last of them, or to the end of the measurement
  std::uint64_t retransmitted = 0;  // segments
  [[nodiscard]] double bits_per_second() const;
};

struct PathRun {
  std::size_t cell = 0, pairs = 0;  // indices
  std::uint64_t seed = 0;
  std::vector<PathFlow> flows;
  std::string error;  // why there is no result; empty: there is one
  std::vector<PathEvent> events;
};

struct PathResult {
  PathOptions options;
  std::vector<PathCell> cells;
  std::vector<PathRun> runs;          // by cell, seed and pair
  std::vector<std::string> settings;  // of the kernel's hosts: "net.ipv4.tcp_rmem = 4096 131072 6291456"
  std::vector<std::string> links;     // the command line of each cell's link
};

// Called when a run is over: how many are, of how many, and the run. By one thread at a time.
using PathProgress = std::function<void(std::size_t done, std::size_t of, const PathRun& run)>;

// The network is gone when this returns or throws. Throws UsageError, Failure, Interrupted.
PathResult run_path_bench(const PathOptions& options, const PathProgress& progress);

}  // namespace ff::cli
