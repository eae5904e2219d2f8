#include "lab/lab.hpp"

namespace ff::lab {
std::vector<Scenario> vanishing_peer_scenarios() { return {}; }
}  // namespace ff::lab
