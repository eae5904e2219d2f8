#include "cli/usage.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>

namespace ff::cli {
namespace {

// Insertions, deletions and replacements that make `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

const CLI::App& innermost(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

// Those that the help shows.
std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string describe_extra(const CLI::App& command, const std::string& extra, const std::string& help) {
  if (!extra.starts_with('-')) {
    const std::vector<std::string> commands = subcommand_names(command);
    if (commands.empty()) return fmt::format("'{}' is one argument too many; {}", extra, help);
    const std::string meant = nearest(extra, commands);
    if (meant.empty()) return fmt::format("there is no '{} {}'; {}", command.get_name(), extra, help);
    return fmt::format("there is no '{0} {1}'; did you mean '{0} {2}'?", command.get_name(), extra, meant);
  }
  const std::string name = extra.substr(0, extra.find('='));
  const std::string guess = nearest(name, option_names(command));
  if (guess.empty()) return fmt::format("there is no option '{}'; {}", name, help);
  return fmt::format("there is no option '{}'; did you mean '{}'?", name, guess);
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::size_t tolerance = std::max<std::size_t>(1, word.size() / 3);
  std::string best;
  std::size_t best_distance = tolerance + 1;
  for (const std::string& candidate : candidates) {
    const bool begins = word.size() >= 3 && candidate.starts_with(word);
    const std::size_t distance = begins ? 1 : edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string program_name(CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return chosen.empty() ? app.get_name() : app.get_name() + " " + program_name(*chosen.front());
}

std::string describe_parse_error(CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost(app);
  const std::string help = fmt::format("'{} --help' shows what there is", program_name(app));
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> extras = command.remaining();
    if (!extras.empty()) {
      const auto option = std::ranges::find_if(extras, [](const std::string& s) { return s.starts_with('-'); });
      return describe_extra(command, option != extras.end() ? *option : extras.front(), help);
    }
  }
  std::string text = error.what();
  text.resize(std::min(text.find('\n'), text.size()));
  if (text.ends_with('.')) text.pop_back();
  return text.find(';') == std::string::npos ? fmt::format("{}; {}", text, help) : text;
}

}  // namespace ff::cli
