// `ff ss`: the sockets of a running stack, as ss(8) shows the kernel's.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/control_client.hpp"
#include "cli/ss_filter.hpp"
#include "cli/ss_metrics.hpp"
#include "cli/ss_text.hpp"

namespace ff::cli {
namespace {

struct SsOptions {
  std::optional<std::string> control;
  bool tcp = false, udp = false, listening = false, all = false, v4 = false, v6 = false;
  bool no_header = false, processes = false, json = false, metrics = false, flush = false;
  SsStyle style;
  std::vector<std::string> filter;
};

// Where the clock of the tool begins does not matter: all times come as spans.
constexpr Instant kNow{std::chrono::hours(24 * 365 * 100)};

std::size_t terminal_width() {
  winsize size{};
  return ::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::uint32_t states_wanted(const SsOptions& options) {
  if (options.all) return SocketCursor::kAllStates;
  return options.listening ? kListeningStates : kConnectedStates;
}

control::Json request_for(const SsOptions& options, std::uint32_t states) {
  control::Json request{{"command", "sockets"}};
  request["states"] = control::Json::array();
  for (std::size_t i = 0; i < kTcpStates; ++i) {
    const auto state = static_cast<TcpState>(i);
    if ((states & SocketCursor::bit(state)) != 0) request["states"].push_back(control::ss_name(state));
  }
  request["protocols"] = control::Json::array();
  if (options.tcp) request["protocols"].push_back("tcp");
  if (options.udp) request["protocols"].push_back("udp");
  return request;
}

bool is_of_family(const SsOptions& options, const SocketInfo& socket) {
  if (options.v4 == options.v6) return true;
  return socket.tuple.local.address.is_v4() == options.v4;
}

struct Listed {
  std::vector<SocketInfo> sockets;
  control::Json json = control::Json::array();
};

Listed list(ControlClient& client, const SsOptions& options, const SocketFilter& filter) {
  Listed listed;
  client.ask_each(request_for(options, filter.states), [&](const control::Json& batch) {
    for (const control::Json& item : batch) {
      const auto socket = control::decode(item, kNow);
      if (!socket) throw Failure("the stack lists its sockets as another version of firstflight does");
      if (!is_of_family(options, *socket) || !filter.matches(*socket)) continue;
      if (options.json) {
        listed.json.push_back(item);
      } else {
        listed.sockets.push_back(*socket);
      }
    }
  });
  // As ss: UDP first.
  std::vector<SocketInfo> ordered;
  ordered.reserve(listed.sockets.size());
  for (const SocketProtocol protocol : {SocketProtocol::Udp, SocketProtocol::Tcp})
    std::ranges::copy_if(listed.sockets, std::back_inserter(ordered),
                         [protocol](const SocketInfo& socket) { return socket.protocol == protocol; });
  listed.sockets = std::move(ordered);
  return listed;
}

void run_ss(SsOptions& options) {
  if (options.metrics) {
    const bool both = options.v4 == options.v6;
    ControlClient client(options.control);
    return show_metrics(
        client, {.v4 = both || options.v4, .v6 = both || options.v6, .json = options.json, .flush = options.flush});
  }
  if (!options.tcp && !options.udp) options.tcp = options.udp = true;
  const auto filter = parse_socket_filter(fmt::format("{}", fmt::join(options.filter, " ")), states_wanted(options));
  if (!filter) throw UsageError(filter.error());

  ControlClient client(options.control);
  SsStyle& style = options.style;
  style.header = !options.no_header;
  style.show_protocol = options.tcp && options.udp;
  // One state alone need not be said in each line.
  style.show_state = (filter->states & (filter->states - 1)) != 0;
  style.width = terminal_width();
  if (options.processes) {
    const control::Json hello = client.ask({{"command", "hello"}});
    style.process = fmt::format("\"ff {}\",pid={}", hello.value("program", ""), hello.value("pid", 0));
  }
  const Listed listed = list(client, options, *filter);
  fmt::print("{}", options.json ? listed.json.dump(2) + "\n" : ss_table(listed.sockets, style, kNow));
}

}  // namespace

void add_ss_command(CLI::App& app) {
  const auto options = std::make_shared<SsOptions>();
  CLI::App* command = app.add_subcommand("ss", "list the sockets of a running stack, as ss does the kernel's");
  command->add_flag("-t,--tcp", options->tcp, "TCP sockets");
  command->add_flag("-u,--udp", options->udp, "UDP sockets");
  command->add_flag("-l,--listening", options->listening, "listening sockets");
  command->add_flag("-a,--all", options->all, "sockets in every state");
  command->add_flag("-n,--numeric", options->style.numeric, "ports as numbers, not as names of services");
  command->add_flag("-o,--options", options->style.timers, "timers");
  command->add_flag("-e,--extended", options->style.extended, "timers, and the socket's number");
  command->add_flag("-m,--memory", options->style.memory, "memory of each socket");
  command->add_flag("-i,--info", options->style.info, "what struct tcp_info holds");
  command->add_flag("-p,--processes", options->processes, "the program that the stack runs in");
  command->add_flag("-4,--ipv4", options->v4, "IPv4 alone");
  command->add_flag("-6,--ipv6", options->v6, "IPv6 alone");
  command->add_flag("-H,--no-header", options->no_header, "no header line");
  command->add_flag("-O,--oneline", options->style.one_line, "all of a socket in one line");
  command->add_flag("--json", options->json, "everything that is known, as a JSON array");
  CLI::Option* metrics = command->add_flag("--metrics", options->metrics,
                                           "no sockets, but what is remembered of paths, as ip tcp_metrics shows it");
  command->add_flag("--flush", options->flush, "with --metrics: forget all of it, Fast Open's cookies too")
      ->needs(metrics);
  for (const char* other : {"-t", "-u", "-l", "-a", "-o", "-e", "-m", "-i", "-p", "-H", "-O"})
    metrics->excludes(command->get_option(other));
  CLI::Option* filter =
      command->add_option("FILTER", options->filter, "[state NAME] [exclude NAME] [EXPRESSION], as in ss(8)");
  metrics->excludes(filter);
  add_control_option(*command, options->control);
  command->footer(
      "Recv-Q and Send-Q of a listener are the connections that wait to be accepted and their bound; of a connection,\n"
      "bytes that are unread and bytes that are not acknowledged. Examples:\n"
      "  ff ss -tan\n"
      "  ff ss -tni state established '( dport = :443 or sport = :80 )' dst 10.0.0.0/8");
  command->callback([options] { run_ss(*options); });
}

}  // namespace ff::cli
