#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace ff::cli {

// One line on a terminal's standard error that says what is being done; nothing elsewhere.
class ProgressLine {
 public:
  ProgressLine() = default;
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() {
    if (terminal_) fmt::print(stderr, "\r\x1b[K");
  }
  void show(const std::string& text) const {
    if (terminal_) fmt::print(stderr, "\r\x1b[K{} ...", text);
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
};

}  // namespace ff::cli
