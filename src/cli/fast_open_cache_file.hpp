// A client's Fast Open cache, kept in a file from one run of a program to the next.
#pragma once

#include <string>
#include <vector>

#include "firstflight/stack.hpp"

namespace ff::cli {

class FastOpenCacheFile {
 public:
  // Reads it, if there is one already. Throws UsageError when no file can be kept there, or when what is there is none
  // of these or is damaged.
  explicit FastOpenCacheFile(std::string path);

  // Gives the stack what was read. Throws UsageError where its cache is switched off.
  void load(Stack& stack, Instant now) const;
  // The whole file anew, for nobody else to read. Whoever reads it meanwhile, and whatever happens, finds the old one
  // or the new one. Throws Failure.
  void save(const Stack& stack, Instant now) const;

 private:
  [[nodiscard]] std::vector<FastOpenCacheEntry> parse(Instant now) const;

  std::string path_;
  std::string text_;  // empty: there was no file
};

}  // namespace ff::cli
