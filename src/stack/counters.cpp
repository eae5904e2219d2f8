#include "firstflight/counters.hpp"

namespace ff {
namespace {

struct CounterName {
  std::string_view group, name;
};
constexpr CounterName kCounters[] = {
#define FF_X(group, name) {#group, #name},
    FF_COUNTERS(FF_X)
#undef FF_X
};

struct DropReasonName {
  std::string_view name, description;
};
constexpr DropReasonName kDropReasons[] = {
#define FF_X(name, text) {#name, text},
    FF_DROP_REASONS(FF_X)
#undef FF_X
};

}  // namespace

std::string_view group_of(Counter counter) noexcept { return kCounters[static_cast<std::size_t>(counter)].group; }
std::string_view name_of(Counter counter) noexcept { return kCounters[static_cast<std::size_t>(counter)].name; }

std::string_view name_of(DropReason reason) noexcept { return kDropReasons[static_cast<std::size_t>(reason)].name; }
std::string_view describe(DropReason reason) noexcept {
  return kDropReasons[static_cast<std::size_t>(reason)].description;
}

}  // namespace ff
