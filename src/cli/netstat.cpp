// `ff netstat -s`: the counters of a running stack in the words of netstat(8).
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/control_client.hpp"
#include "cli/counter_report.hpp"

namespace ff::cli {
namespace {

struct NetstatOptions {
  std::optional<std::string> control;
  bool statistics = false, tcp = false, udp = false, raw = false;
};

void run_netstat(const NetstatOptions& options) {
  if (!options.statistics) throw UsageError("only -s is there; 'ff ss' lists sockets");
  ControlClient client(options.control);
  if (options.raw) {
    for (const char* format : {"snmp", "snmp6", "netstat"})
      fmt::print("{}", client.ask({{"command", "counters"}, {"format", format}}).get<std::string>());
    return;
  }
  std::vector<std::string> groups;
  if (options.tcp) groups.insert(groups.end(), {"Tcp", "TcpExt", "fast_open"});
  if (options.udp) groups.insert(groups.end(), {"Udp", "Udp6"});
  fmt::print("{}", netstat_report(counts_of(client.ask({{"command", "counters"}})), groups));
}

}  // namespace

void add_netstat_command(CLI::App& app) {
  const auto options = std::make_shared<NetstatOptions>();
  CLI::App* command = app.add_subcommand("netstat", "show what a running stack has counted, as netstat -s does");
  command->add_flag("-s,--statistics", options->statistics, "the counters; needed");
  command->add_flag("-t,--tcp", options->tcp, "those of TCP alone");
  command->add_flag("-u,--udp", options->udp, "those of UDP alone");
  command->add_flag("--raw", options->raw, "in the form of /proc/net/snmp, snmp6 and netstat");
  add_control_option(*command, options->control);
  command->footer(
      "Behind the groups of Linux stand the packets dropped, by reason, and how Fast Open went.\n"
      "'ff nstat' shows what was counted since it was last asked.");
  command->callback([options] { run_netstat(*options); });
}

}  // namespace ff::cli
