#include "packetdrill/kernel_settings.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "device/file_descriptor.hpp"

namespace ff::packetdrill {
namespace {

std::string read_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  std::array<char, 4096> text;
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  std::string value(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

}  // namespace

KernelSettings::KernelSettings(const std::string& root) {
  for (const SettingInfo& info : setting_list()) {
    std::string below(info.name), path = root;
    std::ranges::replace(below, '.', '/');
    path.append("/").append(below);
    settings_.push_back({.name = std::string(info.name), .path = std::move(path)});
  }
}

void KernelSettings::apply_to(Stack& stack) {
  for (Setting& setting : settings_) {
    std::string value = read_file(setting.path);
    if (value == setting.value || value.empty()) continue;
    (void)stack.set_setting(setting.name, value);
    setting.value = std::move(value);
  }
}

}  // namespace ff::packetdrill
