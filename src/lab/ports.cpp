#include "lab/lab.hpp"

namespace ff::lab {
std::vector<Scenario> port_scenarios() { return {}; }
}  // namespace ff::lab
