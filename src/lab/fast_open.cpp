#include "lab/lab.hpp"

namespace ff::lab {
std::vector<Scenario> fast_open_scenarios() { return {}; }
}  // namespace ff::lab
