#include "cli/nstat_history.hpp"

namespace ff::cli {

NstatHistory NstatHistory::parse(std::string_view text) {
  NstatHistory history;
  control::Json read = control::Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (read.is_object()) history.stacks_ = std::move(read);
  return history;
}

std::string NstatHistory::to_text() const { return control::to_line(stacks_) + "\n"; }

std::vector<NamedCount> NstatHistory::since(const std::string& instance, std::vector<NamedCount> counts) const {
  const auto before = stacks_.find(instance);
  if (before == stacks_.end() || !before->is_object()) return counts;
  for (NamedCount& count : counts) {
    const auto value = before->find(nstat_name(count));
    if (is_gauge(count) || value == before->end() || !value->is_number_unsigned()) continue;
    const auto then = value->get<std::uint64_t>();
    // Less than then: the file was changed by somebody.
    if (then <= count.value) count.value -= then;
  }
  return counts;
}

void NstatHistory::remember(const std::string& instance, const std::vector<NamedCount>& counts) {
  forget(instance);
  while (stacks_.size() >= kMaxStacks) stacks_.erase(stacks_.begin());
  control::Json& mine = stacks_[instance] = control::Json::object();
  for (const NamedCount& count : counts) mine[nstat_name(count)] = count.value;
}

}  // namespace ff::cli
