// `ff settings-page`: prints docs/settings.md. Hidden: it is for whoever changes a setting.
#include "cli/settings_page.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/commands.hpp"
#include "firstflight/settings.hpp"

namespace ff::cli {
namespace {

constexpr std::string_view kHead = R"(# Settings

Each stack has settings of its own, under the names, units, defaults and meanings that Linux's sysctl has, as far as the
stack has what they set. Where a default differs from Linux's, or a setting does something else,
[linux-differences.md](linux-differences.md) or [fast-open.md](fast-open.md) says why.

- When a stack starts: `--sysctl NAME=VALUE`, or `--sysctl-file FILE` for a file in sysctl.conf's format (`NAME = VALUE`
  on each line; `#` and `;` begin comments; a `-` before the name lets that line fail). `--sysctl` wins over the file.
- While it runs: `ff sysctl NAME`, `ff sysctl NAME=VALUE`, `ff sysctl -a`, `ff sysctl -p FILE`.
- In a program: `Stack::set_setting`, `Stack::set_settings`, `StackConfig::settings` (`firstflight/settings.hpp`).

The prefixes `net.ipv4.` and `net.core.` may be left out, and `/` may stand for `.`. A value that is not allowed changes
nothing, and of several changes made together either all are made or none.

This page is made from the registry in `src/stack/settings.cpp`: after a change there, run
`ff settings-page > docs/settings.md`.

| setting | default | allowed | meaning |
| --- | --- | --- | --- |
)";

// A cell of a table in Markdown.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\t') {
      escaped += ' ';
    } else {
      if (c == '|') escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::string settings_page() {
  std::string page(kHead);
  for (const SettingInfo& info : setting_list()) {
    const std::string value = get_setting(Settings{}, info.name).value_or("");
    page += fmt::format("| `{}` | {} | {} | {} |\n", info.name, value.empty() ? "" : "`" + cell(value) + "`",
                        cell(info.allowed), cell(info.meaning));
  }
  return page;
}

void add_settings_page_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("settings-page", "print docs/settings.md");
  command->group("");  // not in the list of commands
  command->callback([] { fmt::print("{}", settings_page()); });
}

}  // namespace ff::cli
