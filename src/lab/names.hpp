// Names of settings, as users and scenarios shorten them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firstflight/settings.hpp"

namespace ff::lab {

// "net.ipv4.tcp_fin_timeout" of "tcp_fin_timeout"; nothing when there is no such setting.
inline std::optional<std::string> canonical_setting(std::string_view name) {
  for (const SettingInfo& info : setting_list()) {
    if (info.name == name) return std::string(name);
    for (const std::string_view prefix : {"net.ipv4.", "net.core."})
      if (info.name.starts_with(prefix) && info.name.substr(prefix.size()) == name) return std::string(info.name);
  }
  return std::nullopt;
}

}  // namespace ff::lab
