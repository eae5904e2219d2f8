#include "lab/lab.hpp"

namespace ff::lab {
std::vector<Scenario> data_scenarios() { return {}; }
}  // namespace ff::lab
