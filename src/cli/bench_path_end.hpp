// One end of the transfers of `ff bench path`, a program of its own: `ff bench end`. It says "ready" once it listens,
// and in one more line what it measured: when all has come, or when SIGUSR1 asks for it. It lives until SIGTERM, so
// that neither end sees the other one go before both have reported.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/bench_path.hpp"
#include "cli/bench_path_network.hpp"

namespace CLI {
class App;
}

namespace ff::cli {

struct PathEndOptions {
  PathSide side = PathSide::Sending;
  PathStack stack = PathStack::Kernel;
  std::vector<PathStack> flows;  // sending: the receiver of each. Receiving: as many as will come
  std::uint64_t bytes = 0;       // of each flow; 0: as many as can be sent until the end
  std::string congestion_control;
  std::uint64_t seed = 1;
  bool events = false;
};

struct PathEndFlow {
  std::string sender;  // the sending end's address and port: names the flow at both ends
  // Nanoseconds of CLOCK_MONOTONIC, which is one for all processes: before connect(), or when it was accepted; when the
  // last bytes were written or read.
  std::int64_t began = 0, ended = 0;
  std::uint64_t bytes = 0;          // taken from, or given to, the application
  std::uint64_t retransmitted = 0;  // segments
  friend bool operator==(const PathEndFlow&, const PathEndFlow&) = default;
};

struct PathEndReport {
  std::vector<PathEndFlow> flows;
  std::vector<PathEvent> events;
  friend bool operator==(const PathEndReport&, const PathEndReport&) = default;
};

std::vector<std::string> path_end_command(const PathEndOptions& options);
// One line, and back. The error: it is none.
std::string to_line(const PathEndReport& report);
Parsed<PathEndReport> parse_path_end_report(const std::string& line);

// What is read or written at a time, whosever the TCP is.
inline constexpr std::size_t kPathChunk = 128 * 1024;
std::int64_t monotonic_now();
void say_path_end_ready();

// They call `measured` once, as the program's line is due, and return when asked to end. Throw Failure when a
// connection fails.
using PathEndMeasured = std::function<void(const PathEndReport& report)>;
void run_kernel_end(const PathEndOptions& options, const PathEndMeasured& measured);
void run_stack_end(const PathEndOptions& options, const PathEndMeasured& measured);

// Adds the command, which the help does not show.
void add_path_end_command(CLI::App& bench);

}  // namespace ff::cli
