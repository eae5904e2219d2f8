#include "cli/serve.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/common_options.hpp"
#include "cli/file_server.hpp"
#include "cli/stack_host.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
constexpr Duration kShutdownPoll = std::chrono::milliseconds(10);
constexpr Duration kShutdownPatience = std::chrono::seconds(3);

struct ServeOptions {
  StackOptions stack;
  std::string directory;
  std::vector<Endpoint> listen;
  std::uint32_t backlog = 4096;
  bool no_fast_open = false;
  Duration idle_timeout = std::chrono::seconds(60);
};

// Each answer that is under way holds a file open.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

bool is_fast(const ServeOptions& options) {
  return !options.no_fast_open && (options.stack.settings.tcp_fastopen & fast_open_bits::kServer) != 0;
}

class ServeProgram {
 public:
  explicit ServeProgram(const ServeOptions& options)
      : options_(options), host_(options.stack), server_(host_.stack(), open_tree(options), server_options(options)) {
    for (const Endpoint& endpoint : options.listen) listen(endpoint);
    host_.loop().on_event([this](Instant now, const Event& event) { server_.handle_event(now, event); });
    host_.loop().on_signals({SIGINT, SIGTERM}, [this](Instant now, int) { stop(now); });
    tick();
  }

  void run() {
    fmt::print("{}\n", banner());
    std::fflush(stdout);
    host_.loop().run();
    if (const std::string trouble = host_.trouble(); !trouble.empty()) throw Failure(trouble);
  }

 private:
  static FileTree open_tree(const ServeOptions& options) {
    auto tree = FileTree::open(options.directory);
    if (!tree) throw UsageError(tree.error());
    return *std::move(tree);
  }
  static FileServerOptions server_options(const ServeOptions& options) {
    return {.idle_timeout = options.idle_timeout, .wall_clock = [] { return std::time(nullptr); }};
  }

  void listen(const Endpoint& endpoint);
  [[nodiscard]] std::string banner() const;
  void tick();
  void stop(Instant now);
  void await_end(Instant deadline);

  const ServeOptions& options_;
  StackHost host_;
  FileServer server_;
  bool stopping_ = false;
};

void ServeProgram::listen(const Endpoint& endpoint) {
  ListenOptions listen;
  listen.local = endpoint;
  listen.backlog = options_.backlog;
  listen.fast_open_queue = is_fast(options_) ? options_.backlog : 0;
  const Result<ListenerId> listener = server_.listen(listen);
  if (listener) return;
  throw UsageError(fmt::format("cannot listen on {}: {}; --listen takes one of the stack's addresses and a free port",
                               endpoint.to_string(), to_string(listener.error())));
}

// What can be connected to: a wildcard stands for the addresses of its families.
std::string ServeProgram::banner() const {
  std::vector<std::string> places;
  const auto add = [&](const Endpoint& endpoint) {
    const std::string text = endpoint.to_string();
    if (std::ranges::find(places, text) == places.end()) places.push_back(text);
  };
  for (const Endpoint& listen : options_.listen) {
    if (!listen.address.is_any()) add(listen);
    for (const Cidr& own : host_.addresses())
      if (listen.address.is_any() && (listen.address.is_v6() || own.address.is_v4())) add({own.address, listen.port});
  }
  const char* why_not = options_.no_fast_open ? "off" : "off (net.ipv4.tcp_fastopen lacks 0x2)";
  return fmt::format("serving {} on {} over {}, Fast Open {}", options_.directory, fmt::join(places, " and "),
                     host_.device_name(), is_fast(options_) ? "on" : why_not);
}

void ServeProgram::tick() {
  host_.loop().call_after(kTick, [this](Instant now) {
    server_.handle_tick(now);
    tick();
  });
}

// The first signal lets answers that are under way finish, the second does not.
void ServeProgram::stop(Instant now) {
  if (std::exchange(stopping_, true)) {
    host_.loop().stop();
    return;
  }
  server_.begin_shutdown(now);
  await_end(now + kShutdownPatience);
}

// Until every peer has our FIN acknowledged, or patience ends and the rest is reset.
void ServeProgram::await_end(Instant deadline) {
  host_.loop().call_after(kShutdownPoll, [this, deadline](Instant now) {
    server_.handle_tick(now);
    if (host_.stack().population().connections == 0) {
      host_.loop().stop();
    } else if (now < deadline) {
      await_end(deadline);
    } else {
      server_.abort_all(now);
      host_.loop().call_after(kShutdownPoll, [this](Instant) { host_.loop().stop(); });
    }
  });
}

void run_serve(ServeOptions& options) {
  if (options.listen.empty()) options.listen = {{IpAddress::any_v6(), 80}};
  check_stack_options(options.stack);
  raise_descriptor_limit();
  ServeProgram(options).run();
}

}  // namespace

Parsed<Endpoint> parse_listen(std::string_view text) {
  const std::string whole(text.starts_with(':') ? "[::]" + std::string(text) : std::string(text));
  const auto endpoint = Endpoint::parse(whole);
  if (endpoint && endpoint->port != 0) return *endpoint;
  return std::unexpected(
      fmt::format("'{}' is no place to listen; give [ADDR]:PORT, such as :80, 10.9.8.1:80 or [fd00::1]:80", text));
}

void add_serve_command(CLI::App& app) {
  const auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "serve the files of a directory by HTTP");
  command->add_option("DIR", options->directory, "the directory")->required();
  add_typed_options(*command, "--listen", options->listen, parse_listen,
                    "[ADDR]:PORT, repeatable; :80, on all addresses, when not given")
      ->type_name("[ADDR]:PORT");
  add_typed_option(
      *command, "--backlog", options->backlog,
      [](std::string_view text) -> Parsed<std::uint32_t> {
        const auto number = parse_whole_number(text, 1, 65535);
        if (!number) return std::unexpected(number.error());
        return static_cast<std::uint32_t>(*number);
      },
      "how many connections may wait to be accepted, and how many Fast Open ones may be half-open; 4096")
      ->type_name("N");
  command->add_flag("--no-fast-open", options->no_fast_open, "grant no cookies and take no data in SYNs");
  add_typed_option(*command, "--idle-timeout", options->idle_timeout, sim::parse_duration,
                   "closes a connection on which nothing happens for so long, such as 30s; 60s")
      ->type_name("T");
  add_stack_options(*command, options->stack);
  command->footer(
      "Example, reachable from this machine at once:\n"
      "  ff serve . --device tun:ff0 --address 10.9.8.1/24 --host-address 10.9.8.2/24\n"
      "  curl --tcp-fastopen http://10.9.8.1/\n"
      "Without --host-address give the kernel's side its address yourself:\n"
      "  ip address add 10.9.8.2/24 dev ff0");
  command->callback([options] { run_serve(*options); });
}

}  // namespace ff::cli
