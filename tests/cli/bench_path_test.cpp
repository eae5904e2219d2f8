// `ff bench path` without a network: what is asked for, and what is made of the results.
#include "cli/bench_path.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/bench_path_end.hpp"
#include "cli/bench_path_plot.hpp"
#include "cli/bench_path_report.hpp"
#include "cli/commands.hpp"
#include "cli/svg.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using enum PathStack;

const PathPairs kKernel{{Kernel, Kernel}};
const PathPairs kOurs{{Firstflight, Firstflight}};

// ---- what is asked for ---------------------------------------------------------------------------------------------

TEST(BenchPathPairs, AreSenderAndReceiver) {
  EXPECT_EQ(parse_path_pairs("kernel:firstflight"), (PathPairs{{Kernel, Firstflight}}));
  EXPECT_EQ(parse_path_pairs("firstflight:kernel+kernel:kernel"), (PathPairs{{Firstflight, Kernel}, {Kernel, Kernel}}));
  for (const char* text : {"kernel:kernel", "firstflight:kernel+kernel:firstflight"})
    EXPECT_EQ(name_of(*parse_path_pairs(text)), text);
}

TEST(BenchPathPairs, OthersAreRefusedWithWhatWouldWork) {
  for (const char* text : {"", "kernel", "kernel:", ":kernel", "kernel:linux", "kernel:kernel+", "kernel:kernel:kernel",
                           "Kernel:kernel"}) {
    const auto pairs = parse_path_pairs(text);
    ASSERT_FALSE(pairs) << text;
    EXPECT_THAT(pairs.error(), HasSubstr(";")) << text;
  }
  EXPECT_THAT(parse_path_pairs("kernel:firstfligt").error(), HasSubstr("did you mean 'firstflight'"));
}

TEST(BenchPathOptions, LeftOutAreAllPairsOnOnePath) {
  PathOptions options;
  complete_path_options(options);
  EXPECT_EQ(options.pairs.size(), 4u);
  EXPECT_EQ(options.size, 10u << 20);
  EXPECT_FALSE(options.duration);
  const std::vector<PathCell> cells = path_cells(options);
  ASSERT_EQ(cells.size(), 1u);
  EXPECT_EQ(cells[0].rate, 100'000'000u);
  EXPECT_EQ(cells[0].round_trip, 20ms);
  EXPECT_EQ(cells[0].queue.bytes, 250'000u);  // what is sent in a round trip
  EXPECT_EQ(cells[0].reorder_delay, 5ms);
  EXPECT_EQ(cells[0].jitter, 0ms);
  EXPECT_EQ(describe(cells[0]), options.congestion_controls.front() + ", 100mbit, 20ms");
}

TEST(BenchPathOptions, AllCombinationsAreCells) {
  PathOptions options;
  options.congestion_controls = {"reno", "cubic"};
  options.rates = {1'000'000, 10'000'000};
  options.round_trips = {10ms, 20ms, 30ms};
  options.losses = {0, 0.01};
  options.reorders = {0, 0.05};
  options.jitter = 1ms;
  const std::vector<PathCell> cells = path_cells(options);
  ASSERT_EQ(cells.size(), 48u);
  EXPECT_EQ(describe(cells.front()), "reno, 1mbit, 10ms");
  EXPECT_EQ(describe(cells.back()), "cubic, 10mbit, 30ms, loss 1%, reordered 5%");
  EXPECT_TRUE(std::ranges::all_of(cells, [](const PathCell& cell) { return cell.jitter == 1ms; }));
}

TEST(BenchPathOptions, TheQueueHoldsAPacketHoweverShortThePath) {
  PathOptions options;
  options.rates = {1'000'000};
  options.round_trips = {1ms};
  options.congestion_controls = {"reno"};
  options.losses = options.reorders = {0};
  EXPECT_EQ(path_cells(options)[0].queue.bytes, 3000u);
  options.queue = sim::QueueLimit{.packets = 7};
  EXPECT_EQ(path_cells(options)[0].queue.packets, 7u);
}

TEST(BenchPathOptions, FlowsThatCompeteAreMeasuredOverATime) {
  PathOptions beside;
  beside.pairs = {*parse_path_pairs("firstflight:kernel+kernel:kernel")};
  complete_path_options(beside);
  EXPECT_EQ(beside.flows, 2u);
  EXPECT_EQ(beside.duration, 60s);
  EXPECT_FALSE(beside.size);
  PathOptions sized;
  sized.flows = 2;
  sized.size = 1000;
  EXPECT_THROW(complete_path_options(sized), UsageError);
}

std::string complaint_about(const char* congestion_control, const PathPairs& pairs) {
  PathOptions options;
  options.congestion_controls = {congestion_control};
  options.pairs = {pairs};
  try {
    complete_path_options(options);
    return {};
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(BenchPathOptions, WhoeverSendsMustKnowTheCongestionControl) {
  EXPECT_EQ(complaint_about("reno", kKernel), "");
  EXPECT_EQ(complaint_about("reno", kOurs), "");
  EXPECT_THAT(complaint_about("frobnicate", kKernel),
              HasSubstr("the kernel has no congestion control 'frobnicate'; it has"));
  EXPECT_THAT(complaint_about("frobnicate", {{Kernel, Firstflight}}), HasSubstr("the kernel has no"));
  EXPECT_THAT(complaint_about("frobnicate", kOurs), HasSubstr("firstflight has no congestion control 'frobnicate'; "));
  EXPECT_THAT(complaint_about("frobnicate", {{Firstflight, Kernel}}), HasSubstr("firstflight has no"));
}

// ---- the ends ------------------------------------------------------------------------------------------------------

TEST(BenchPathEnd, AReportSurvivesItsLine) {
  PathEndReport report;
  report.flows = {{.sender = "198.18.11.2:4000", .began = 5, .ended = INT64_MAX, .bytes = 7, .retransmitted = 3}};
  report.events = {{.milliseconds = 1.25,
                    .flow = 1,
                    .kind = "lost",
                    .detail = "\"1460\" bytes\n",
                    .cwnd = 14600,
                    .ssthresh = 0,
                    .in_flight = 2920,
                    .srtt = 20'100}};
  const std::string line = to_line(report);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto read = parse_path_end_report(line);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(*read, report);
}

TEST(BenchPathEnd, WhatIsNoReportIsRefused) {
  for (const char* line : {"", "ready", "{}", "[]", R"({"flows": 1, "events": []})",
                           R"({"flows": [[1]], "events": []})", R"({"flows": [], "events": [[1, 2]]})"})
    EXPECT_FALSE(parse_path_end_report(line)) << line;
}

TEST(BenchPathEvents, TellHowThingsStoodWhenSomethingHappened) {
  PathEventRecorder recorder;
  const FourTuple tuple{*Endpoint::parse("198.18.12.2:4000"), *Endpoint::parse("198.18.21.2:5001")};
  const Instant start{3s};
  recorder.on_event(start, tuple, trace::MarkedLost{1});  // nobody's flow
  recorder.add_flow(tuple, start);
  recorder.on_event(start + 20ms, tuple, trace::RttMeasured{20ms, 21ms, 1ms, 200ms});
  recorder.on_event(start + 20ms, tuple, trace::CongestionChanged{14'600, 1u << 30});
  ConnectionInfo info;
  info.tuple = tuple;
  info.snd_cwnd = 14'600;
  info.snd_ssthresh = 1u << 30;
  info.rtt = 21ms;
  info.unacked = 10'000;
  info.lost = 4000;
  recorder.sample(start + 21ms, info);
  recorder.sample(start + 22ms, info);  // nothing new
  recorder.on_event(start + 30ms, tuple, trace::CongestionChanged{7300, 7300});
  recorder.on_event(start + 30ms, tuple, trace::TimerArmed{"retransmit", start + 40ms});  // of no interest
  const std::vector<PathEvent>& events = recorder.events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0], (PathEvent{20, 0, "rtt", "20000 us", 0, 0, 0, 21'000}));
  EXPECT_EQ(events[1], (PathEvent{20, 0, "congestion", "", 14'600, 0, 0, 21'000}));
  EXPECT_EQ(events[2], (PathEvent{21, 0, "sample", "", 14'600, 0, 6000, 21'000}));
  EXPECT_EQ(events[3], (PathEvent{30, 0, "congestion", "", 7300, 7300, 6000, 21'000}));
}

// ---- what the results come to --------------------------------------------------------------------------------------

TEST(BenchPathReport, QuartilesLieBetweenValuesInProportion) {
  const Quartiles one = quartiles_of({3});
  EXPECT_EQ(one.lower, 3);
  EXPECT_EQ(one.upper, 3);
  const Quartiles four = quartiles_of({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(four.lower, 1.75);
  EXPECT_DOUBLE_EQ(four.median, 2.5);
  EXPECT_DOUBLE_EQ(four.upper, 3.25);
  const double never = std::numeric_limits<double>::infinity();
  const Quartiles some = quartiles_of({1, never, 2});
  EXPECT_EQ(some.median, 2);
  EXPECT_EQ(some.upper, never);
}

TEST(BenchPathReport, JainsIndexIsOneForEqualShares) {
  EXPECT_DOUBLE_EQ(fairness_of({5, 5, 5}), 1);
  EXPECT_DOUBLE_EQ(fairness_of({9, 0, 0}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(fairness_of({3, 1}), 0.8);
  EXPECT_EQ(fairness_of({0, 0}), 1);
}

PathRun run_of(std::size_t pairs, std::uint64_t seed, double seconds) {
  PathRun run;
  run.pairs = pairs;
  run.seed = seed;
  run.flows = {{.pair = {pairs == 0 ? Kernel : Firstflight, pairs == 0 ? Kernel : Firstflight},
                .bytes = 1'000'000,
                .seconds = seconds,
                .retransmitted = 10 * seed}};
  return run;
}

PathResult result_of(std::vector<PathRun> runs) {
  PathResult result;
  result.options.pairs = {kKernel, kOurs};
  result.options.size = 1'000'000;
  result.options.seeds = 3;
  result.cells = {{.congestion_control = "reno", .rate = 100'000'000, .round_trip = 20ms, .loss = 0.01, .queue = {}}};
  result.runs = std::move(runs);
  return result;
}

PathResult three_each() {
  return result_of({run_of(0, 1, 2.0), run_of(1, 1, 1.0), run_of(0, 2, 2.5), run_of(1, 2, 1.5), run_of(0, 3, 4.0),
                    run_of(1, 3, 1.25)});
}

TEST(BenchPathReport, MediansAreComparedWithTheKernels) {
  const PathResult result = three_each();
  const std::vector<PathSummary> summaries = summarize(result);
  ASSERT_EQ(summaries.size(), 2u);
  EXPECT_EQ(summaries[0].value.median, 2.5);
  EXPECT_EQ(summaries[0].ratio, 1.0);
  EXPECT_EQ(summaries[1].value.median, 1.25);
  EXPECT_EQ(summaries[1].ratio, 0.5);
  EXPECT_EQ(summaries[1].retransmitted, 20);
  EXPECT_THAT(path_table(result),
              HasSubstr("reno  100mbit  20ms    1%  kernel:kernel               2.500  2.250 - 3.250"));
  EXPECT_THAT(path_table(result), HasSubstr("firstflight:firstflight     1.250  1.125 - 1.375"));
  EXPECT_THAT(path_table(result), HasSubstr("0.500\n"));
}

TEST(BenchPathReport, WithoutTheKernelThereIsNothingToCompareWith) {
  PathResult result = three_each();
  result.options.pairs[0] = {{Kernel, Firstflight}};
  for (const PathSummary& summary : summarize(result)) EXPECT_FALSE(summary.ratio);
}

TEST(BenchPathReport, ARunWithoutResultCountsAsTheSlowest) {
  PathResult result = three_each();
  result.runs[1].flows.clear();
  result.runs[1].error = "not done after 5 s";
  EXPECT_EQ(summarize(result)[1].value.median, 1.5);
  EXPECT_EQ(summarize(result)[1].failed, 1u);
  EXPECT_THAT(
      path_failures(result),
      HasSubstr("no result: reno, 100mbit, 20ms, loss 1%, firstflight:firstflight, seed 1: not done after 5 s\n"));
  for (PathRun& run : result.runs)
    if (run.pairs == 1) run.error = "reset";
  EXPECT_THAT(path_table(result), HasSubstr("never"));
  EXPECT_THAT(path_svg(result), HasSubstr("firstflight:firstflight: never"));
  const auto json = nlohmann::json::parse(path_json(result));
  EXPECT_TRUE(json["cells"][0]["results"][1]["median"].is_null());
}

TEST(BenchPathReport, CompetingFlowsAreToldOneByOne) {
  PathResult result = three_each();
  result.options.size.reset();
  result.options.duration = 8s;
  result.options.flows = 2;
  for (PathRun& run : result.runs) {
    run.flows[0] = {.pair = run.flows[0].pair, .bytes = 30'000'000, .seconds = 8, .retransmitted = 1};
    run.flows.push_back({.pair = run.flows[0].pair, .bytes = run.pairs == 0 ? 30'000'000u : 10'000'000u, .seconds = 8});
  }
  const std::vector<PathSummary> summaries = summarize(result);
  EXPECT_DOUBLE_EQ(summaries[0].value.median, 60);
  EXPECT_DOUBLE_EQ(summaries[0].fairness, 1);
  EXPECT_DOUBLE_EQ(summaries[1].value.median, 40);
  EXPECT_DOUBLE_EQ(summaries[1].fairness, 0.8);
  EXPECT_THAT(summaries[1].flows, ElementsAre(30, 10));
  EXPECT_THAT(*summaries[1].ratio, DoubleNear(2.0 / 3, 1e-9));
  EXPECT_THAT(path_table(result), HasSubstr("30.0 10.0  0.800"));
}

TEST(BenchPathReport, JsonHasTheRunsToo) {
  const auto json = nlohmann::json::parse(path_json(three_each()));
  EXPECT_EQ(json["unit"], "s");
  EXPECT_EQ(json["bytes"], 1'000'000);
  const auto& ours = json["cells"][0]["results"][1];
  EXPECT_EQ(ours["pairs"], "firstflight:firstflight");
  EXPECT_EQ(ours["median"], 1.25);
  EXPECT_EQ(ours["ratio_to_kernel"], 0.5);
  ASSERT_EQ(ours["runs"].size(), 3u);
  EXPECT_EQ(ours["runs"][1]["seed"], 2);
  EXPECT_EQ(ours["runs"][1]["flows"][0]["seconds"], 1.5);
}

TEST(BenchPathReport, CsvHasAsManyColumnsAsHeadings) {
  PathResult result = three_each();
  const auto columns = [](const std::string& line) { return std::ranges::count(line, ','); };
  const auto csv = [&] { return path_csv(result.options, result.cells, result.runs[0]); };
  EXPECT_EQ(columns(csv()), columns(path_csv_heading()));
  EXPECT_THAT(csv(), HasSubstr("kernel:kernel,1,0,kernel,kernel,1000000,2.000000,10,\n"));
  result.runs[0].flows.clear();
  result.runs[0].error = "reset,\nand gone";
  EXPECT_EQ(columns(csv()), columns(path_csv_heading()));
  EXPECT_EQ(std::ranges::count(csv(), '\n'), 1);
}

// ---- drawings ------------------------------------------------------------------------------------------------------

TEST(BenchPathPlot, HasADotForEachMedian) {
  const std::string svg = path_svg(three_each());
  EXPECT_THAT(svg, testing::StartsWith("<svg "));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("firstflight:firstflight: 1.25, 0.500 of kernel:kernel"));
  EXPECT_THAT(svg, HasSubstr("kernel:kernel: 2.5, 1.000 of kernel:kernel"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(BenchPathPlot, DrawsWhatTheEventsTell) {
  PathResult result = three_each();
  EXPECT_THAT(path_events_svg(result), HasSubstr("Nothing was recorded"));
  result.runs[1].events = {{0.5, 0, "congestion", "", 14'600, 0, 1000, 0},
                           {20, 0, "rtt", "20000 us", 29'200, 0, 14'600, 20'000},
                           {40, 0, "retransmitted", "1 segment", 14'600, 14'600, 20'000, 21'000},
                           {45, 0, "timer", "retransmit", 14'600, 14'600, 0, 21'000}};
  const std::string svg = path_events_svg(result);
  EXPECT_THAT(svg, HasSubstr("firstflight:firstflight, seed 1"));
  EXPECT_THAT(svg, HasSubstr("<polyline"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(std::ranges::count(path_events_csv(result), '\n'), 5);
}

TEST(Svg, TextIsEscaped) {
  Svg svg(10, 10);
  svg.text({0, 0}, "a<b & \"c\">");
  EXPECT_THAT(svg.finished(), HasSubstr("a&lt;b &amp; &quot;c&quot;&gt;"));
}

TEST(Scale, PutsValuesInTheirPlaces) {
  const Scale linear(Scale::Kind::Linear, 0, 10, 100, 200);
  EXPECT_DOUBLE_EQ(linear.place(5), 150);
  EXPECT_DOUBLE_EQ(linear.place(-1), 100);
  EXPECT_DOUBLE_EQ(linear.place(11), 200);
  const Scale downwards(Scale::Kind::Linear, 0, 10, 200, 100);
  EXPECT_DOUBLE_EQ(downwards.place(2.5), 175);
  const Scale logarithmic(Scale::Kind::Logarithmic, 0.1, 10, 0, 100);
  EXPECT_DOUBLE_EQ(logarithmic.place(1), 50);
}

TEST(Scale, HasRoundMarks) {
  const auto texts = [](const Scale& scale) {
    std::vector<std::string> result;
    for (const auto& [place, text] : scale.marks()) result.push_back(text);
    return result;
  };
  EXPECT_THAT(texts(Scale(Scale::Kind::Linear, 0, 10, 0, 1)), ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(texts(Scale(Scale::Kind::Logarithmic, 0.8, 12, 0, 1)), ElementsAre("1", "2", "5", "10"));
  EXPECT_FALSE(texts(Scale(Scale::Kind::Linear, 0, 0, 0, 1)).empty());
}

}  // namespace
}  // namespace ff::cli
