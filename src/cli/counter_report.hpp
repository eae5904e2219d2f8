// The counters of a stack as netstat(8) and nstat(8) print them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/control_codec.hpp"

namespace ff::cli {

// One counter as the control socket tells it: "Tcp", "ActiveOpens", 3. Drop reasons stand in the group "drops", Fast
// Open outcomes in "fast_open".
struct NamedCount {
  std::string group, name;
  std::uint64_t value = 0;
};
// Throws Failure when the answer is not of that form.
std::vector<NamedCount> counts_of(const control::Json& counters);

// `netstat -s`: a section for each group that `wanted` names; all of them when it is empty.
std::string netstat_report(const std::vector<NamedCount>& counts, const std::vector<std::string>& wanted);

// The name in nstat: "TcpActiveOpens", "TcpExtTW", and for what Linux has not "DropTcpChecksum", "FastOpenAccepted".
std::string nstat_name(const NamedCount& count);
// Whether nstat leaves it out unless asked for it by name: it is no count of events.
bool is_gauge(const NamedCount& count);

}  // namespace ff::cli
