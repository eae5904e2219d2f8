// Two stacks back to back in memory: how much processor time a segment costs, and a connection. firstflight and lwIP do
// the same work in turns, so that whatever else slows the machine down slows both down.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "firstflight_pair.hpp"
#include "lwip_pair.hpp"
#include "measure.hpp"

namespace ff::bench {
namespace {

constexpr std::uint32_t kSegment = 1460;
constexpr std::uint64_t kVerifiedBytes = 20'000'000;

// What lwIP as Debian builds it does: windows of 64 KiB without scaling, no timestamps.
Settings like_lwip() {
  Settings settings;
  settings.tcp_rmem = {4096, 131072, 131072};
  settings.tcp_wmem = {4096, 131072, 131072};
  settings.tcp_moderate_rcvbuf = false;
  settings.tcp_window_scaling = false;
  settings.tcp_timestamps = false;
  settings.tcp_sack = false;
  return settings;
}

struct Arguments {
  std::uint64_t bytes = 1'000'000'000;
  std::uint64_t connections = 100'000;
  std::uint64_t time_waits = 1'000'000;
  int rounds = 5;
  std::string only;  // the name of one contender, to run alone under a profiler
};

// One who can do the work; says the figure of one turn.
struct Contender {
  std::string work;
  std::string who;
  std::string unit;
  std::function<double()> turn;
};

double ns_per_segment(Duration taken, std::uint64_t bytes) {
  return seconds(taken) * 1e9 / (static_cast<double>(bytes) / kSegment);
}

Contender firstflight_bulk(const Arguments& arguments, std::string who, FirstflightPairOptions options,
                           bool copying_write) {
  auto pair = std::make_shared<FirstflightPair>(options);
  return {"bulk in memory", std::move(who), "ns/segment", [=, bytes = arguments.bytes, verified = false]() mutable {
            if (!std::exchange(verified, true)) pair->move(kVerifiedBytes, {copying_write, true});
            return ns_per_segment(pair->move(bytes, {copying_write, false}), bytes);
          }};
}

Contender firstflight_connect(const Arguments& arguments, std::string who, std::uint64_t time_waits) {
  FirstflightPairOptions options;
  options.settings = like_lwip();
  options.settings.ip_local_port_range = {1024, 65535};
  options.settings.tcp_max_tw_buckets = 1u << 22;
  auto pair = std::make_shared<FirstflightPair>(options);
  return {"connect and close in memory", std::move(who), "connections/s", [=, count = arguments.connections]() mutable {
            const Duration step = std::chrono::seconds(60) / static_cast<Duration::rep>(time_waits);
            if (pair->time_waits() < time_waits) pair->connect_and_close(time_waits, step);
            return static_cast<double>(count) / seconds(pair->connect_and_close(count, step));
          }};
}

std::vector<Contender> contenders(const Arguments& arguments) {
  std::vector<Contender> all;
  const auto lwip = std::make_shared<LwipPair>();
  all.push_back({"bulk in memory", "lwIP, 64 KiB window", "ns/segment", [=, verified = false]() mutable {
                   if (!std::exchange(verified, true)) lwip->move(kVerifiedBytes, true);
                   return ns_per_segment(lwip->move(arguments.bytes, false), arguments.bytes);
                 }});
  all.push_back(firstflight_bulk(arguments, "firstflight, 64 KiB window", {true, like_lwip()}, true));
  all.push_back(firstflight_bulk(arguments, "firstflight, 64 KiB window, zero copy", {true, like_lwip()}, false));
  all.push_back(firstflight_bulk(arguments, "firstflight, default settings", {true, Settings()}, true));
  all.push_back(firstflight_bulk(arguments, "firstflight, super-segments", {false, Settings()}, true));

  all.push_back({"connect and close in memory", "lwIP, no TIME_WAIT", "connections/s", [=] {
                   const Duration taken = lwip->connect_and_close(arguments.connections, false);
                   return static_cast<double>(arguments.connections) / seconds(taken);
                 }});
  all.push_back({"connect and close in memory", "lwIP, 4,096 TIME_WAIT", "connections/s", [=] {
                   constexpr std::uint64_t kFew = 2000;
                   lwip->connect_and_close(4096, true);
                   const Duration taken = lwip->connect_and_close(kFew, true);
                   lwip->forget_time_waits();
                   return kFew / seconds(taken);
                 }});
  all.push_back(firstflight_connect(arguments, "firstflight, 1,000 TIME_WAIT", 1000));
  all.push_back(firstflight_connect(arguments, fmt::format("firstflight, {} TIME_WAIT", arguments.time_waits),
                                    arguments.time_waits));
  return all;
}

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Measures stacks back to back in memory.");
  app.add_option("--bytes", arguments.bytes, "to move in each round")->capture_default_str();
  app.add_option("--connections", arguments.connections, "to open in each round")->capture_default_str();
  app.add_option("--time-waits", arguments.time_waits, "TIME_WAIT entries to have beside")->capture_default_str();
  app.add_option("--rounds", arguments.rounds, "to run of each, in turns")->capture_default_str();
  app.add_option("--only", arguments.only, "the one of this name, as in \"lwIP, 64 KiB window\"");
  CLI11_PARSE(app, argc, argv);

  const std::vector<Contender> all = contenders(arguments);
  for (int round = 0; round < arguments.rounds; ++round) {
    for (const Contender& contender : all) {
      if (!arguments.only.empty() && contender.who != arguments.only) continue;
      report(contender.work, contender.who, contender.turn(), contender.unit);
    }
  }
  return 0;
}

}  // namespace
}  // namespace ff::bench

int main(int argc, char** argv) {
  try {
    return ff::bench::main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "back_to_back: {}\n", error.what());
    return 1;
  }
}
