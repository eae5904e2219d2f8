// `ff demo`: what Fast Open saves, measured between firstflight and the Linux kernel in both directions, with the
// kernel's counters as a witness; on simulated hosts where namespaces or TUN are not to be had.
//
//   demo.cpp            the command
//   demo_kernel.cpp     the measurement with the kernel as peer
//   demo_simulated.cpp  the measurement between two simulated hosts
//   demo_visits.cpp     what the packets say of each visit
//   demo_report.cpp     the table, the ladders and the JSON
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/ladder.hpp"
#include "firstflight/bytes.hpp"
#include "firstflight/time.hpp"

namespace ff::cli {

enum class DemoFamily : std::uint8_t { V4 = 4, V6 = 6 };

struct DemoOptions {
  std::vector<DemoFamily> families{DemoFamily::V4, DemoFamily::V6};
  Duration delay = std::chrono::milliseconds(50);  // of the link, one way
};

// What the packets of one visit say.
struct DemoPackets {
  std::vector<LadderRow> rows;
  std::uint32_t syn_data = 0;  // bytes in the client's SYN
};

// One visit: one row of the table.
struct DemoVisit {
  std::string client, server;
  DemoFamily family = DemoFamily::V4;
  bool fast_open = false;   // whether the client asked for it
  int number = 1;           // first or second visit
  double milliseconds = 0;  // to the first byte of the answer
  double round_trips = 0;   // the same
  DemoPackets packets;
  std::string witness;   // what the peer's counters said, such as "TCPFastOpenPassive +1"
  bool counted = false;  // they say that data in the SYN was taken

  // Whether packets and counters tell the same.
  [[nodiscard]] bool witness_agrees() const noexcept { return counted == (packets.syn_data > 0); }
};

struct DemoResult {
  std::string network;    // what was measured on, for people
  std::string peer;       // whose counters the witness is: "Linux 6.1"
  double round_trip = 0;  // of the bare link, milliseconds
  std::vector<DemoVisit> visits;
  std::vector<std::string> counters;  // the peer's, over the whole demo
  std::vector<std::uint8_t> capture;  // pcapng
};

// Called with what is being done, so that the user sees that something is.
using DemoProgress = std::function<void(const std::string&)>;

// The network is gone when this returns or throws. Throws UsageError, Failure, Interrupted.
DemoResult run_demo_with_kernel(const DemoOptions& options, const DemoProgress& progress);
DemoResult run_demo_simulated(const DemoOptions& options);

// The visits in a capture, in order: one for each connection that was opened.
std::vector<DemoPackets> visits_in_capture(ByteSpan capture);

std::string demo_table(const DemoResult& result);
// What the table comes to, in a sentence.
std::string demo_summary(const DemoResult& result);
// First and second visit of each pair of programs with Fast Open, side by side; of the first family only.
std::string demo_ladders(const DemoResult& result, const LadderStyle& style);
std::string demo_json(const DemoResult& result);

}  // namespace ff::cli
