// The congestion controls that connections of a stack can choose, by name.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "firstflight/congestion_control.hpp"
#include "firstflight/error.hpp"

namespace ff::tcp {

class CongestionControls {
 public:
  // Linux's TCP_CA_NAME_MAX, less the zero at the end.
  static constexpr std::size_t kLongestName = 15;

  struct Kind {
    std::string name;
    CongestionControlFactory make;
  };

  // With those that the stack brings along.
  CongestionControls();
  // InvalidArgument: it makes none, or one whose name is no word; AlreadyExists.
  Result<void> add(CongestionControlFactory make);
  // Null: there is none of this name. What it gives stays where it is.
  [[nodiscard]] const Kind* find(std::string_view name) const noexcept;
  // For when the one that a setting names is not there.
  [[nodiscard]] const Kind& fallback() const noexcept { return kinds_.front(); }
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::deque<Kind> kinds_;
};

}  // namespace ff::tcp
