// Says in one line what is wrong with a command line and what would work.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace ff::cli {

// The candidate that was most likely meant, or "" when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// One line for what CLI11 found, as it stands behind "ff: " or "ff SUB: ".
std::string describe_parse_error(CLI::App& app, const CLI::ParseError& error);

// "ff", or "ff SUB" when a subcommand was recognized.
std::string program_name(CLI::App& app);

}  // namespace ff::cli
