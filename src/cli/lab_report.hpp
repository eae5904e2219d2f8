// What `ff lab` prints.
#pragma once

#include <string>
#include <vector>

#include "cli/ladder.hpp"
#include "lab/scenario.hpp"

namespace ff::cli {

struct LabRun {
  const lab::Scenario* scenario = nullptr;
  lab::Wishes wishes{};
  lab::Outcome outcome{};
  double seconds = 0;  // of this machine's time
};

// All scenarios, by topic: name, ids, one line.
std::string lab_list(const std::vector<lab::Scenario>& scenarios, std::size_t width);
std::string lab_list_json(const std::vector<lab::Scenario>& scenarios);

// The packets as the client sees them. Several connections are told apart by "#1", "#2", ... in the order of their
// first packets.
std::vector<LadderRow> lab_ladder_rows(const lab::Outcome& outcome);

// One scenario, whole.
std::string lab_report(const LabRun& run, const LadderStyle& style);
// One line of `ff lab --all`; what did not hold stands on lines of its own behind it.
std::string lab_line(const LabRun& run);
std::string lab_summary(const std::vector<LabRun>& runs);
std::string lab_json(const LabRun& run);
std::string lab_json(const std::vector<LabRun>& runs);

}  // namespace ff::cli
