// ff: firstflight on the command line.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/usage.hpp"

namespace ff::cli {
namespace {

// `ff --help` lists them in this order.
std::vector<AddCommand> commands() {
  return {
      add_run_command,    add_get_command,     add_serve_command, add_link_command,          add_kill_command,
      add_demo_command,   add_bench_command,   add_ping_command,  add_lab_command,           add_ss_command,
      add_sysctl_command, add_netstat_command, add_nstat_command, add_settings_page_command,
  };
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names{"help"};
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// `ff help [COMMAND]` is `ff [COMMAND] --help`, and so is `ff` alone.
std::vector<std::string> with_help_spelled_out(std::vector<std::string> words) {
  if (words.empty()) return {"--help"};
  if (words.front() != "help") return words;
  if (words.size() == 1) return {"--help"};
  return {words[1], "--help"};
}

void check_command_exists(const CLI::App& app, const std::string& word) {
  const std::vector<std::string> names = command_names(app);
  if (word.starts_with('-') || std::ranges::find(names, word) != names.end()) return;
  const std::string guess = nearest(word, names);
  throw UsageError(guess.empty() ? fmt::format("there is no command '{}'; 'ff --help' lists those there are", word)
                                 : fmt::format("there is no command '{}'; did you mean '{}'?", word, guess));
}

int run(CLI::App& app, std::vector<std::string> words) {
  try {
    words = with_help_spelled_out(std::move(words));
    check_command_exists(app, words.front());
    std::ranges::reverse(words);  // CLI11 takes the words from the back
    app.parse(std::move(words));
    return kSuccess;
  } catch (const ExitStatus& status) {
    return status.value;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}\n", program_name(app), describe_parse_error(app, error));
    return kUsage;
  } catch (const UsageError& error) {
    fmt::print(stderr, "{}: {}\n", program_name(app), error.what());
    return kUsage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", program_name(app), error.what());
    return kFailure;
  }
}

}  // namespace
}  // namespace ff::cli

int main(int argc, char** argv) {
  CLI::App app("firstflight: TCP in user space, with Fast Open", "ff");
  app.set_version_flag("--version", "firstflight " FF_VERSION);
  app.require_subcommand(0, 1);
  for (const ff::cli::AddCommand add : ff::cli::commands()) add(app);
  return ff::cli::run(app, {argv + 1, argv + argc});
}
