// Settings by the lot: files in sysctl.conf's format, and all-or-nothing changes.
#include <algorithm>
#include <optional>
#include <string>

#include "firstflight/settings.hpp"

namespace ff {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// A line of a file that may hold anything, fit to stand in a message.
std::string quoted(std::string_view text) {
  constexpr std::size_t kLimit = 60;
  std::string result = "\"";
  for (const char c : text.substr(0, kLimit)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + (text.size() > kLimit ? "...\"" : "\"");
}

std::unexpected<std::string> error_at(std::string_view where, const std::string& what) {
  return std::unexpected(where.empty() ? what : std::string(where) + ": " + what);
}

// One line without its end; nothing for one that says nothing.
std::expected<std::optional<SettingAssignment>, std::string> parse_line(std::string_view line,
                                                                        const std::string& where) {
  line = trim(line);
  if (line.empty() || line[0] == '#' || line[0] == ';') return std::nullopt;
  SettingAssignment assignment;
  assignment.where = where;
  if (line[0] == '-') {
    assignment.may_fail = true;
    line = trim(line.substr(1));
  }
  const std::size_t equals = line.find('=');
  const std::string_view name = trim(line.substr(0, equals));
  if (equals == std::string_view::npos) return error_at(where, quoted(line) + " has no '='; write NAME = VALUE");
  if (name.empty()) return error_at(where, quoted(line) + " has no name before '='; write NAME = VALUE");
  assignment.name = name;
  assignment.value = trim(line.substr(equals + 1));
  return assignment;
}

}  // namespace

std::expected<std::vector<SettingAssignment>, std::string> parse_settings_file(std::string_view text,
                                                                               std::string_view file) {
  std::vector<SettingAssignment> assignments;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    auto parsed = parse_line(text.substr(0, end), std::string(file) + ":" + std::to_string(number));
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    if (*parsed) assignments.push_back(**std::move(parsed));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return assignments;
}

std::expected<void, std::string> set_settings(Settings& settings, std::span<const SettingAssignment> assignments) {
  Settings changed = settings;
  for (const SettingAssignment& assignment : assignments) {
    const auto done = set_setting(changed, assignment.name, assignment.value);
    if (!done && !assignment.may_fail) return error_at(assignment.where, done.error());
  }
  settings = changed;
  return {};
}

}  // namespace ff
