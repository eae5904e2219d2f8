// Scripts set sysctls by running `sysctl` or by writing below /proc/sys: what stands there is what the stack goes by.
#pragma once

#include <string>
#include <vector>

#include "firstflight/stack.hpp"

namespace ff::packetdrill {

class KernelSettings {
 public:
  // `root`: usually /proc/sys.
  explicit KernelSettings(const std::string& root);
  // Takes over what has changed since it was last asked. What the stack does not accept it leaves as it is.
  void apply_to(Stack& stack);

 private:
  struct Setting {
    std::string name;
    std::string path;
    std::string value{};  // as it was read last
  };
  std::vector<Setting> settings_;
};

}  // namespace ff::packetdrill
