// `ff sysctl`: the settings of a running stack, as sysctl(8) shows and changes the kernel's.
#include <fmt/format.h>
#include <fnmatch.h>
#include <regex.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/common_options.hpp"
#include "cli/control_client.hpp"
#include "firstflight/settings.hpp"

namespace ff::cli {
namespace {

struct SysctlOptions {
  std::optional<std::string> control;
  bool all = false, write = false, values_only = false, names_only = false, ignore = false, quiet = false;
  std::vector<std::string> files;
  std::string pattern;
  std::vector<std::string> words;
};

struct Shown {
  std::string name, value;
};

std::vector<Shown> ask_settings(ControlClient& client) {
  std::vector<Shown> all;
  for (const control::Json& item : client.ask({{"command", "settings"}}))
    all.push_back({item.value("name", ""), item.value("value", "")});
  return all;
}

void print(const SysctlOptions& options, const Shown& setting) {
  if (options.names_only) {
    fmt::print("{}\n", setting.name);
  } else if (options.values_only) {
    fmt::print("{}\n", setting.value);
  } else {
    fmt::print("{} = {}\n", setting.name, setting.value);
  }
}

bool is_pattern(std::string_view name) { return name.find_first_of("*?[") != std::string_view::npos; }

// '/' may stand for '.', and "net.ipv4." or "net.core." may be left out.
bool matches(std::string word, const std::string& name) {
  std::ranges::replace(word, '/', '.');
  for (const std::string_view prefix : {"", "net.ipv4.", "net.core."})
    if (::fnmatch((std::string(prefix) + word).c_str(), name.c_str(), 0) == 0) return true;
  return false;
}

// The settings that a word names, in its order; what there is not is an error, unless -e.
std::vector<Shown> find(const SysctlOptions& options, const std::vector<Shown>& all, const std::string& word) {
  std::vector<Shown> found;
  std::ranges::copy_if(all, std::back_inserter(found), [&](const Shown& s) { return matches(word, s.name); });
  if (!found.empty() || options.ignore) return found;
  if (is_pattern(word)) throw UsageError(fmt::format("no setting is like '{}'; 'ff sysctl -aN' lists them", word));
  // Its own words for a name that it does not know: they tell the nearest one.
  const auto unknown = get_setting(Settings{}, word);
  throw UsageError(unknown ? fmt::format("the stack has no setting '{}'; 'ff sysctl -aN' lists those it has", word)
                           : unknown.error());
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// What was to be set, in order; -e leaves out names that there are not.
void keep_known(std::vector<SettingAssignment>& assignments, const std::vector<Shown>& all) {
  std::erase_if(assignments, [&](const SettingAssignment& assignment) {
    return std::ranges::none_of(all, [&](const Shown& s) { return matches(assignment.name, s.name); });
  });
}

// The whole lot, or nothing of it. Checked here first, where a message can say which line of which file it was.
void set(ControlClient& client, const SysctlOptions& options, std::vector<SettingAssignment> assignments) {
  const std::vector<Shown> before = ask_settings(client);
  if (options.ignore) keep_known(assignments, before);
  Settings trial;
  for (const Shown& setting : before) {
    // The stack may have more of them than come with it.
    if (setting.name == "net.ipv4.tcp_available_congestion_control")
      trial.tcp_available_congestion_control = words(setting.value);
    (void)set_setting(trial, setting.name, setting.value);
  }
  control::Json pairs = control::Json::array();
  std::vector<SettingAssignment> good;
  for (const SettingAssignment& assignment : assignments) {
    if (!set_setting(trial, assignment.name, assignment.value)) {
      if (const auto done = set_settings(trial, {&assignment, 1}); !done) throw UsageError(done.error());
      continue;  // a line that may fail does so silently
    }
    pairs.push_back({assignment.name, assignment.value});
    good.push_back(assignment);
  }
  client.ask_as_user({{"command", "set"}, {"settings", pairs}});
  if (options.quiet) return;
  const std::vector<Shown> after = ask_settings(client);
  for (const SettingAssignment& assignment : good)
    for (const Shown& setting : after)
      if (matches(assignment.name, setting.name)) print(options, setting);
}

// `ff sysctl "tcp_sack = 0"` is as good as without blanks.
std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  return first == std::string::npos ? std::string() : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<SettingAssignment> assignments_of(const SysctlOptions& options) {
  std::vector<SettingAssignment> assignments;
  for (const std::string& file : options.files) {
    const auto text = read_settings_file(file);
    if (!text) throw UsageError(text.error());
    auto parsed = parse_settings_file(*text, file);
    if (!parsed) throw UsageError(parsed.error());
    std::ranges::move(*parsed, std::back_inserter(assignments));
  }
  for (const std::string& word : options.words) {
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) {
      assignments.push_back({.name = trimmed(word.substr(0, equals)), .value = trimmed(word.substr(equals + 1))});
    } else if (options.write) {
      throw UsageError(fmt::format("'{}' has no '='; -w takes NAME=VALUE, such as tcp_fin_timeout=30", word));
    }
  }
  return assignments;
}

// A POSIX extended regular expression, as sysctl(8) has them.
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    if (::regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB) != 0)
      throw UsageError(
          fmt::format("'{}' is no regular expression; give --pattern one such as '^net.ipv4.tcp_(r|w)mem'", text));
  }
  ~Pattern() { ::regfree(&compiled_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  [[nodiscard]] bool occurs_in(const std::string& text) const {
    return ::regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_{};
};

bool is_read(const std::string& word) { return word.find('=') == std::string::npos; }

void run_sysctl(const SysctlOptions& options) {
  if (options.words.empty() && options.files.empty() && !options.all && options.pattern.empty())
    throw UsageError("nothing to show; give NAME, NAME=VALUE, or -a for all of them");
  std::optional<Pattern> pattern;
  if (!options.pattern.empty()) pattern.emplace(options.pattern);
  std::vector<SettingAssignment> assignments = assignments_of(options);

  ControlClient client(options.control);
  std::vector<Shown> wanted;
  const std::vector<Shown> all = ask_settings(client);
  if (options.all || (pattern && options.words.empty() && options.files.empty())) wanted = all;
  for (const std::string& word : options.words)
    if (is_read(word)) std::ranges::move(find(options, all, word), std::back_inserter(wanted));
  // Nothing is changed where something that was to be read does not exist.
  if (!assignments.empty()) set(client, options, std::move(assignments));
  for (const Shown& setting : wanted)
    if (!pattern || pattern->occurs_in(setting.name)) print(options, setting);
}

}  // namespace

void add_sysctl_command(CLI::App& app) {
  const auto options = std::make_shared<SysctlOptions>();
  CLI::App* command = app.add_subcommand("sysctl", "show and change the settings of a running stack");
  command->add_option("NAME", options->words, "NAME shows it, NAME=VALUE changes it; NAME may hold * and ?");
  command->add_flag("-a,--all", options->all, "show all of them");
  command->add_flag("-n,--values", options->values_only, "show values without names");
  command->add_flag("-N,--names", options->names_only, "show names without values");
  command->add_flag("-e,--ignore", options->ignore, "say nothing about names that do not exist");
  command->add_flag("-q,--quiet", options->quiet, "say nothing about what was changed");
  command->add_flag("-w,--write", options->write, "every word must be NAME=VALUE");
  command
      ->add_option("-p,--load", options->files,
                   "change what a file in sysctl.conf's format says; all of it, or nothing; - is standard input")
      ->type_name("FILE")
      ->expected(1)
      ->take_all();
  command->add_option("-r,--pattern", options->pattern, "show only names that match this extended regular expression")
      ->type_name("REGEX");
  add_control_option(*command, options->control);
  command->footer(
      "Several changes are one: when one is not acceptable, none is made. docs/settings.md says what each setting "
      "does.\n"
      "Examples:\n"
      "  ff sysctl -a\n"
      "  ff sysctl net.ipv4.tcp_fin_timeout=30 tcp_sack=0\n"
      "  ff sysctl -p /etc/sysctl.d/99-tcp.conf");
  command->callback([options] { run_sysctl(*options); });
}

}  // namespace ff::cli
