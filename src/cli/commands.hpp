// The subcommands of `ff`. Each lives in a file of its name and adds itself to the command line by one function.
#pragma once

#include <stdexcept>

namespace CLI {
class App;
}

namespace ff::cli {

// Exit statuses that scripts may rely on.
inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;  // the command was right, what it tried did not work out
inline constexpr int kUsage = 2;    // the command line, or what it needs (a device, a privilege), was wrong

// Thrown by a subcommand's callback to end the program with this status, everything having been said.
struct ExitStatus {
  int value;
};

// Wrong command line, address, device or privilege: one line that says what was wrong and, behind a semicolon, what
// would work. The program prints it behind its name and the subcommand's, and ends with kUsage.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Something that cannot go on, in one line; the program ends with kFailure.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file src/cli/NAME.cpp offers add_NAME_command(): it adds a subcommand whose callback does the work. The callback
// returns for success; otherwise it throws one of the above.
using AddCommand = void (*)(CLI::App& app);
void add_get_command(CLI::App& app);
void add_run_command(CLI::App& app);
void add_serve_command(CLI::App& app);
void add_link_command(CLI::App& app);
void add_kill_command(CLI::App& app);
void add_demo_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_ping_command(CLI::App& app);
void add_lab_command(CLI::App& app);
void add_ss_command(CLI::App& app);
void add_netstat_command(CLI::App& app);
void add_nstat_command(CLI::App& app);
void add_sysctl_command(CLI::App& app);
void add_settings_page_command(CLI::App& app);

}  // namespace ff::cli
