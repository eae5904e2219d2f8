#include "tcp/cc/registry.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "tcp/cc/bbr.hpp"
#include "tcp/cc/cubic.hpp"
#include "tcp/cc/reno.hpp"

namespace ff::tcp {

namespace {

template <typename Control>
std::unique_ptr<CongestionControl> make() {
  return std::make_unique<Control>();
}

// Fit to be one of several in a setting's value.
bool is_word(std::string_view name) noexcept {
  return !name.empty() && name.size() <= CongestionControls::kLongestName &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

CongestionControls::CongestionControls() {
  for (const auto& builtin : {make<Reno>, make<Cubic>, make<Bbr>}) (void)add(builtin);
}

Result<void> CongestionControls::add(CongestionControlFactory make) {
  const auto sample = make ? make() : nullptr;
  if (sample == nullptr || !is_word(sample->name())) return std::unexpected(Error::InvalidArgument);
  if (find(sample->name()) != nullptr) return std::unexpected(Error::AlreadyExists);
  kinds_.push_back({std::string(sample->name()), std::move(make)});
  return {};
}

const CongestionControls::Kind* CongestionControls::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(kinds_, name, &Kind::name);
  return found == kinds_.end() ? nullptr : &*found;
}

std::vector<std::string> CongestionControls::names() const {
  std::vector<std::string> names;
  names.reserve(kinds_.size());
  for (const Kind& kind : kinds_) names.push_back(kind.name);
  return names;
}

}  // namespace ff::tcp
