#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "cli/bench_path.hpp"
#include "cli/bench_path_end.hpp"
#include "cli/bench_path_network.hpp"
#include "cli/commands.hpp"
#include "cli/process.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kReadyLimit = 10s;
constexpr Milliseconds kLook = 20ms;  // how often it is asked whether another thread has been interrupted

// Thrown in the threads that go on when one has failed.
struct Stopped {};
// A run that has no result. The others go on.
struct NoResult {
  std::string why;
};

// One transfer, or several that compete, on a link of their own.
class Transfer {
 public:
  Transfer(const PathNetwork& network, const PathOptions& options, const PathCell& cell, const PathRun& run,
           const std::atomic<bool>& stopped)
      : network_(network), options_(options), cell_(cell), run_(run), stopped_(stopped) {
    const PathPairs& pairs = options.pairs[run.pairs];
    for (std::uint64_t i = 0; i < options.flows; ++i) pairs_.push_back(pairs[i % pairs.size()]);
  }

  PathRun measure() {
    const std::unique_ptr<Process> link = network_.start_link(cell_, run_.seed);
    start(PathSide::Receiving);
    start(PathSide::Sending);
    options_.duration ? let_compete() : await_all();
    // The receivers first: what they have is the result.
    for (const PathSide side : {PathSide::Receiving, PathSide::Sending}) question(side);
    PathRun result = run_;
    result.flows = flows();
    result.events = reports_[index(PathSide::Sending)][index(PathStack::Firstflight)].events;
    return result;
  }

 private:
  template <typename T>
  using OfEachStack = std::array<T, 2>;
  static std::size_t index(PathSide side) { return static_cast<std::size_t>(side); }
  static std::size_t index(PathStack stack) { return static_cast<std::size_t>(stack); }

  void start(PathSide side) {
    for (const PathStack stack : {PathStack::Kernel, PathStack::Firstflight}) {
      PathEndOptions end;
      end.side = side;
      end.stack = stack;
      end.bytes = options_.duration ? 0 : *options_.size;
      end.congestion_control = cell_.congestion_control;
      end.seed = run_.seed;
      const bool sends = side == PathSide::Sending;
      for (const PathPair& pair : pairs_)
        if ((sends ? pair.sender : pair.receiver) == stack) end.flows.push_back(sends ? pair.receiver : pair.sender);
      if (end.flows.empty()) continue;
      end.events = sends && stack == PathStack::Firstflight && options_.events && run_.seed == 1;
      std::unique_ptr<Process>& process = ends_[index(side)][index(stack)];
      process = std::make_unique<Process>(path_end_command(end), &network_.place_of(side, stack));
      if (!sends) process->wait_until([&] { return lines_of(*process).size() == 1; }, kReadyLimit);
    }
  }

  // An end that is gone has failed.
  void look_after_ends() const {
    if (stopped_) throw Stopped{};
    for (const auto& ends : ends_)
      for (const auto& end : ends)
        if (end && end->wait(0ms)) throw NoResult{complaint_of(*end)};
  }

  void await_all() const {
    const auto deadline = std::chrono::steady_clock::now() + options_.patience;
    for (const auto& receiver : ends_[index(PathSide::Receiving)]) {
      while (receiver && lines_of(*receiver).size() < 2) {
        look_after_ends();
        if (std::chrono::steady_clock::now() > deadline)
          throw NoResult{
              fmt::format("not done after {:.0f} s", std::chrono::duration<double>(options_.patience).count())};
        (void)receiver->wait(5ms);
      }
    }
  }

  void let_compete() const {
    const auto deadline = std::chrono::steady_clock::now() + *options_.duration;
    Process& some = *ends_[index(PathSide::Sending)][index(pairs_.front().sender)];
    while (std::chrono::steady_clock::now() < deadline) {
      look_after_ends();
      const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
      (void)some.wait(std::min(left, kLook));
    }
  }

  void question(PathSide side) {
    for (const PathStack stack : {PathStack::Kernel, PathStack::Firstflight}) {
      Process* const end = ends_[index(side)][index(stack)].get();
      if (end == nullptr) continue;
      const std::size_t expected = side == PathSide::Receiving ? 2 : 1;
      if (lines_of(*end).size() < expected) end->signal(SIGUSR1);
      const auto deadline = std::chrono::steady_clock::now() + kReadyLimit;
      while (lines_of(*end).size() < expected) {
        if (end->wait(1ms)) throw NoResult{complaint_of(*end)};
        if (std::chrono::steady_clock::now() > deadline) throw NoResult{"an end does not say what it measured"};
      }
      Parsed<PathEndReport> report = parse_path_end_report(lines_of(*end).back());
      if (!report) throw NoResult{report.error()};
      reports_[index(side)][index(stack)] = *std::move(report);
    }
  }

  // Both ends of each flow. A sender reports its flows in the order in which it was given them.
  [[nodiscard]] std::vector<PathFlow> flows() const {
    std::vector<PathFlow> result;
    OfEachStack<std::size_t> next{};
    for (const PathPair& pair : pairs_) {
      const std::vector<PathEndFlow>& sent = reports_[index(PathSide::Sending)][index(pair.sender)].flows;
      const std::size_t number = next[index(pair.sender)]++;
      if (number >= sent.size()) throw NoResult{"a sender did not report all of its flows"};
      result.push_back(put_together(pair, sent[number]));
    }
    return result;
  }
  // The receiver knows a flow by the sender's address and port.
  [[nodiscard]] PathFlow put_together(const PathPair& pair, const PathEndFlow& sent) const {
    const std::vector<PathEndFlow>& all = reports_[index(PathSide::Receiving)][index(pair.receiver)].flows;
    const auto received = std::ranges::find(all, sent.sender, &PathEndFlow::sender);
    if (received == all.end()) throw NoResult{"a flow was never connected"};
    return {.pair = pair,
            .bytes = received->bytes,
            .seconds = static_cast<double>(received->ended - sent.began) / 1e9,
            .retransmitted = sent.retransmitted};
  }

  static std::vector<std::string> lines_of(const Process& end) {
    const std::string text = end.output();
    std::vector<std::string> lines;
    for (std::size_t begin = 0, next; (next = text.find('\n', begin)) != std::string::npos; begin = next + 1)
      lines.push_back(text.substr(begin, next - begin));
    return lines;
  }
  // Without the name of the program, which nobody started by hand.
  static std::string complaint_of(const Process& end) {
    std::string said = end.errors();
    constexpr std::string_view kName = "ff bench end: ";
    if (said.starts_with(kName)) said.erase(0, kName.size());
    while (said.ends_with('\n')) said.pop_back();
    return said.empty() ? end.complaint() : said;
  }

  const PathNetwork& network_;
  const PathOptions& options_;
  const PathCell& cell_;
  const PathRun& run_;
  const std::atomic<bool>& stopped_;
  std::vector<PathPair> pairs_;  // of each flow
  // By side, then by stack; null where no flow has such an end.
  std::array<OfEachStack<std::unique_ptr<Process>>, 2> ends_;
  std::array<OfEachStack<PathEndReport>, 2> reports_;
};

// All runs, each of the threads doing the next one that nobody does, in a network of its own.
class PathBench {
 public:
  PathBench(const PathOptions& options, const PathProgress& progress) : progress_(progress) {
    result_.options = options;
    result_.cells = path_cells(options);
    // Pairs take turns, so that whatever changes on the machine changes for all of them.
    for (std::size_t cell = 0; cell < result_.cells.size(); ++cell)
      for (std::uint64_t seed = 1; seed <= options.seeds; ++seed)
        for (std::size_t pairs = 0; pairs < options.pairs.size(); ++pairs)
          result_.runs.push_back({.cell = cell, .pairs = pairs, .seed = seed, .flows = {}, .error = {}, .events = {}});
  }

  PathResult run() {
    {
      const std::size_t count = std::min<std::size_t>(result_.options.jobs, result_.runs.size());
      std::vector<std::jthread> threads;
      threads.reserve(count);
      for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    }
    if (failure_) std::rethrow_exception(failure_);
    return std::move(result_);
  }

 private:
  void work() noexcept {
    try {
      const PathNetwork network;
      describe(network);
      while (PathRun* const run = next()) {
        *run = measure(network, *run);
        const std::scoped_lock lock(mutex_);
        progress_(++done_, result_.runs.size(), *run);
      }
    } catch (...) {
      // Those that were stopped come behind the one that has stopped them.
      const std::scoped_lock lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stopped_ = true;
    }
  }

  PathRun measure(const PathNetwork& network, const PathRun& run) const {
    try {
      return Transfer(network, result_.options, result_.cells[run.cell], run, stopped_).measure();
    } catch (const NoResult& none) {
      PathRun failed = run;
      failed.error = none.why;
      return failed;
    }
  }

  PathRun* next() {
    const std::scoped_lock lock(mutex_);
    return stopped_ || next_ == result_.runs.size() ? nullptr : &result_.runs[next_++];
  }

  // Once.
  void describe(const PathNetwork& network) {
    const std::scoped_lock lock(mutex_);
    if (!result_.links.empty()) return;
    for (const PathCell& cell : result_.cells)
      result_.links.push_back(fmt::format("{}", fmt::join(network.link_command(cell, 1, true), " ")));
    result_.settings = network.kernel_settings();
  }

  const PathProgress& progress_;
  PathResult result_;
  std::mutex mutex_;
  std::size_t next_ = 0, done_ = 0;
  std::exception_ptr failure_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

PathResult run_path_bench(const PathOptions& options, const PathProgress& progress) {
  take_precedence();
  return PathBench(options, progress).run();
}

}  // namespace ff::cli
