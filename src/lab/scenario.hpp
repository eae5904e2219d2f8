// The scenarios of `ff lab`: each shows one behaviour of TCP on two simulated hosts and checks it. They live in the
// files beside this one, by topic, each told in the words of lab.hpp.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/outcome.hpp"

namespace ff::lab {

class Lab;

// Something that changes the outcome, and of which the scenario knows what each value should do.
struct Knob {
  std::string name{};                 // a setting, "client.SETTING", "server.SETTING", or a word of the scenario's own
  std::vector<std::string> values{};  // worth trying; of the scenario's own words the first is the default
  std::string meaning{};              // of a word of the scenario's own; empty for a setting
};

struct Scenario {
  std::string name{};
  std::vector<std::string> ids{};  // of docs/features.md
  std::string summary{};           // one line
  std::string lesson{};            // two or three sentences for who meets the matter for the first time
  std::vector<Knob> knobs{};
  void (*play)(Lab&) = nullptr;
  // Where every connection's sequence numbers start, when that is the point.
  std::optional<std::uint32_t> initial_sequence_number{};
  bool ethernet = false;  // the hosts share an Ethernet, and must find each other on it first
};

// All of them, in the order of their ids.
const std::vector<Scenario>& scenarios();

// What a user wants changed.
struct Wishes {
  std::vector<std::pair<std::string, std::string>> set;  // knob or setting, and value
  std::uint64_t seed = 1;
  bool v6 = false;
};

// Nothing, or one sentence that says why a scenario cannot have this knob or setting, or not with this value.
std::optional<std::string> why_not(const Scenario& scenario, const std::string& name, const std::string& value);

// Plays a scenario whose wishes why_not() has nothing against.
Outcome play(const Scenario& scenario, const Wishes& wishes = {});

// One for each file.
std::vector<Scenario> fast_open_scenarios();
std::vector<Scenario> fast_open_memory_scenarios();
std::vector<Scenario> opening_scenarios();
std::vector<Scenario> data_scenarios();
std::vector<Scenario> resource_scenarios();
std::vector<Scenario> recovery_scenarios();
std::vector<Scenario> congestion_scenarios();
std::vector<Scenario> closing_scenarios();
std::vector<Scenario> vanishing_peer_scenarios();
std::vector<Scenario> port_scenarios();
std::vector<Scenario> observing_scenarios();
std::vector<Scenario> datagram_scenarios();
std::vector<Scenario> network_scenarios();
std::vector<Scenario> framing_scenarios();

}  // namespace ff::lab
