// What `ff nstat` remembers of the stacks it has asked: their counters at that time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/counter_report.hpp"
#include "runtime/control_codec.hpp"

namespace ff::cli {

class NstatHistory {
 public:
  static constexpr std::size_t kMaxStacks = 8;

  // A file that is no history counts as an empty one.
  static NstatHistory parse(std::string_view text);
  [[nodiscard]] std::string to_text() const;

  // What was counted since; everything, for a stack that was not asked before. Gauges are told as they are.
  [[nodiscard]] std::vector<NamedCount> since(const std::string& instance, std::vector<NamedCount> counts) const;
  // The stacks asked longest ago are forgotten.
  void remember(const std::string& instance, const std::vector<NamedCount>& counts);
  void forget(const std::string& instance) { stacks_.erase(instance); }

 private:
  control::Json stacks_ = control::Json::object();  // by instance, the one asked last at the end
};

}  // namespace ff::cli
