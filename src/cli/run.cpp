// `ff run -- PROGRAM ARGS…`: a program, unmodified, over firstflight.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/common_options.hpp"
#include "cli/group_witness.hpp"
#include "cli/ladder.hpp"
#include "cli/namespaced_program.hpp"
#include "cli/process.hpp"
#include "cli/stack_host.hpp"
#include "cli/text.hpp"
#include "device/capture.hpp"
#include "device/pcapng.hpp"
#include "device/tun.hpp"
#include "relay/echo_carrier.hpp"
#include "relay/host_network.hpp"
#include "relay/relay.hpp"
#include "relay/socket_address.hpp"
#include "relay/stack_network.hpp"
#include "runtime/loop.hpp"
#include "sim/quantities.hpp"

namespace ff::cli {
namespace {

// env(1)'s, for what goes wrong before the program runs.
constexpr int kOwnFailure = 125, kNotExecutable = 126, kNotFound = 127;

// Addresses for use within a host (RFC 7335), which nobody outside has; for IPv6, of a prefix of our own (RFC 4193).
const Cidr kProgramV4{IpAddress::v4(192, 0, 0, 2), 29};
const IpAddress kGatewayV4 = IpAddress::v4(192, 0, 0, 1);
const Cidr kProgramV6{*IpAddress::parse("fd66:6972:7374::2"), 64};
const IpAddress kGatewayV6 = *IpAddress::parse("fd66:6972:7374::1");

// What a program is told when we are.
constexpr auto kForwarded = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

// How long a program that has ended leaves us for what it has written and its kernel has not sent yet.
constexpr Duration kDrainPatience = std::chrono::seconds(5);
constexpr Duration kDrainPoll = std::chrono::milliseconds(1);

// A program that talks to another one on this machine is answered sooner by whoever need not be woken, which in a
// virtual machine takes tens of microseconds.
constexpr Duration kBusyPoll = std::chrono::microseconds(50);

// Of a connection, each way, towards the program: no distance wants more, and what is on its way stays in the
// processor's cache.
constexpr std::uint32_t kMostBuffered = 2 << 20;

struct Publication {
  std::uint16_t outside = 0, inside = 0;
  bool datagrams = false;
};

struct RunOptions {
  std::optional<DeviceName> via;  // nothing: the host
  StackOptions stack;
  std::vector<Publication> publications;
  relay::RelayOptions relay;
  bool stats = false;
  bool trace = false;
  std::vector<std::string> program;
};

Parsed<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_whole_number(text, 1, UINT16_MAX);
  if (!number) return std::unexpected(number.error());
  return static_cast<std::uint16_t>(*number);
}

// "8080:80", or "80" for the same port outside and inside; "/udp" behind it, as Docker has it.
Parsed<Publication> parse_publication(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view protocol = slash == std::string_view::npos ? "tcp" : text.substr(slash + 1);
  if (protocol != "tcp" && protocol != "udp")
    return std::unexpected(fmt::format("'{}' is no protocol; write tcp or udp, such as 5353:53/udp", protocol));
  const std::string_view ports = text.substr(0, slash);
  const std::size_t colon = ports.find(':');
  const auto outside = parse_port(ports.substr(0, colon));
  const auto inside = colon == std::string_view::npos ? outside : parse_port(ports.substr(colon + 1));
  if (!outside || !inside)
    return std::unexpected(fmt::format("'{}' is no pair of ports; write OUTSIDE:INSIDE, such as 8080:80", ports));
  return Publication{*outside, *inside, protocol == "udp"};
}

Parsed<std::bitset<65536>> parse_ports(std::string_view text) {
  std::bitset<65536> ports;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto port = parse_port(text.substr(0, comma));
    if (!port) return std::unexpected(fmt::format("{}; write ports with commas between, such as 22,25", port.error()));
    ports.set(*port);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return ports;
}

// FTP, SSH, Telnet, SMTP, POP3, NNTP, IMAP, SMTP submission, rsync, MySQL, VNC, IRC: the client waits for a greeting.
constexpr std::string_view kServerFirst = "21,22,23,25,110,119,143,587,873,3306,5900,6667";

// ---- what there is outside -----------------------------------------------------------------------------------------

// The first name server of /etc/resolv.conf if only this host can reach it, such as systemd-resolved's.
struct NameServer {
  IpAddress address;
  std::string rest;  // all other lines of the file
};
std::optional<NameServer> loopback_name_server() {
  std::ifstream file("/etc/resolv.conf");
  std::optional<IpAddress> first;
  std::string rest, line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key, value;
    words >> key >> value;
    if (key != "nameserver") {
      rest += line + "\n";
    } else if (!first) {
      first = IpAddress::parse(value);
    }
  }
  if (!first || !first->is_loopback()) return std::nullopt;
  return NameServer{*first, rest};
}

// Whether this host could reach such addresses; connect() of UDP sends nothing.
bool host_has_ipv6() {
  const FileDescriptor socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto far = relay::SocketAddress::of({*IpAddress::parse("2000::1"), 53});
  return socket && ::connect(socket.get(), far.get(), far.size) == 0;
}

// Each connection costs the host one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

StackConfig inner_config() {
  StackConfig config;
  if (::getrandom(config.seed.bytes.data(), config.seed.bytes.size(), 0) !=
      static_cast<ssize_t>(config.seed.bytes.size()))
    throw Failure(fmt::format("the kernel gives no random bytes: {}", std::strerror(errno)));
  // Every connection that fails outside is told inside.
  config.settings.icmp_ratelimit = 0;
  config.settings.icmp_msgs_per_sec = 1'000'000;
  config.settings.tcp_rmem.max = config.settings.tcp_wmem.max = kMostBuffered;
  return config;
}

// ---- the program and what carries it -------------------------------------------------------------------------------

class RunProgram {
 public:
  explicit RunProgram(const RunOptions& options);

  // What waitpid() says of the program.
  int run();

 private:
  [[nodiscard]] bool over_host() const { return !options_.via; }
  NamespaceOptions namespace_options();
  void open_inner();
  void open_outer();
  void publish();
  void start();
  void forward_signals();
  void program_ended(Instant now);
  void drain(Instant now, Instant deadline);
  [[nodiscard]] bool is_quiet(Instant now);
  void print_statistics() const;
  void print_trace() const;

  const RunOptions& options_;
  GroupWitness witness_{kForwarded};
  std::optional<NameServer> name_server_;
  std::vector<Cidr> program_addresses_;
  std::vector<IpAddress> gateways_;
  std::unique_ptr<NamespacedProgram> program_;
  LadderRecorder recorder_;
  std::unique_ptr<StackHost> outer_host_;  // --via tun
  std::optional<Loop> own_loop_;           // --via host
  Loop* loop_ = nullptr;
  Stack inner_;
  std::unique_ptr<TunDevice> tun_;
  std::unique_ptr<FileSink> pcap_file_;
  std::unique_ptr<PcapngWriter> pcap_writer_;
  std::unique_ptr<CaptureDevice> capture_;
  std::unique_ptr<LadderTap> tap_;
  std::unique_ptr<relay::Network> network_;
  std::unique_ptr<relay::EchoCarrier> echoes_;
  std::unique_ptr<relay::Relay> relay_;
  FileDescriptor signals_;
  int status_ = 0;
  bool finished_ = false;
};

RunProgram::RunProgram(const RunOptions& options) : options_(options), inner_(inner_config()) {
  program_ = std::make_unique<NamespacedProgram>(namespace_options(), options.program);
  raise_descriptor_limit();
  if (options_.via) outer_host_ = std::make_unique<StackHost>(options_.stack, options_.trace ? &recorder_ : nullptr);
  loop_ = over_host() ? &own_loop_.emplace() : &outer_host_->loop();
  loop_->set_busy_poll(kBusyPoll);
  open_outer();
  open_inner();
  publish();
}

NamespaceOptions RunProgram::namespace_options() {
  NamespaceOptions space;
  const bool v4 =
      over_host() || std::ranges::any_of(options_.stack.addresses, [](const Cidr& own) { return own.address.is_v4(); });
  const bool v6 =
      over_host() ? host_has_ipv6()
                  : std::ranges::any_of(options_.stack.addresses, [](const Cidr& own) { return own.address.is_v6(); });
  if (v4) program_addresses_.push_back(kProgramV4), gateways_.push_back(kGatewayV4);
  if (v6) program_addresses_.push_back(kProgramV6), gateways_.push_back(kGatewayV6);
  space.addresses = program_addresses_;
  space.gateways = gateways_;
  space.offload = !options_.stack.no_offload;
  if (over_host()) name_server_ = loopback_name_server();
  if (name_server_)
    space.resolv_conf = fmt::format("nameserver {}\n{}", gateways_.front().to_string(), name_server_->rest);
  return space;
}

void RunProgram::open_inner() {
  const NamespaceOptions defaults;
  tun_ = TunDevice::adopt(program_->take_device(), {.name = defaults.device, .offload = !options_.stack.no_offload},
                          defaults.mtu);
  Device* device = tun_.get();
  const auto clock = [this] { return loop_->now(); };
  // With a stack outside, what passes there is of interest.
  if (over_host() && options_.stack.pcap) {
    auto file = FileSink::create(*options_.stack.pcap);
    if (!file) throw UsageError(file.error());
    pcap_file_ = *std::move(file);
    pcap_writer_ = std::make_unique<PcapngWriter>(*pcap_file_);
    capture_ =
        std::make_unique<CaptureDevice>(*device, *pcap_writer_, defaults.device, clock, Loop::wall_clock_offset());
    device = capture_.get();
  }
  if (over_host() && options_.trace) {
    tap_ = std::make_unique<LadderTap>(*device, recorder_, clock);
    device = tap_.get();
  }
  echoes_ = std::make_unique<relay::EchoCarrier>(*device, *network_, gateways_, clock);
  InterfaceConfig config;
  config.name = defaults.device;
  config.mtu = defaults.mtu;
  for (std::size_t i = 0; i < gateways_.size(); ++i)
    config.addresses.push_back({gateways_[i], program_addresses_[i].prefix_length});
  config.any_destination = true;
  const auto interface = inner_.add_interface(config);
  if (!interface) throw Failure(fmt::format("the inner interface cannot be made: {}", to_string(interface.error())));
  loop_->add_stack(inner_, *interface, *echoes_,
                   [this](Instant now, const Event& event) { relay_->handle_event(now, event); });
  // The namespace's end of the device goes with it, and the loop must not.
  if (over_host()) loop_->on_device_lost([](Instant, InterfaceId) {});
  relay_ = std::make_unique<relay::Relay>(
      inner_, *network_, options_.relay,
      [this](Instant due, relay::Relay::Call call) { loop_->call_at(due, std::move(call)); });
}

void RunProgram::open_outer() {
  if (over_host()) {
    relay::HostNetworkOptions options{.gateways = gateways_, .name_server = {}};
    if (name_server_) options.name_server = name_server_->address;
    network_ = std::make_unique<relay::HostNetwork>(*loop_, options);
  } else {
    auto network = std::make_unique<relay::StackNetwork>(outer_host_->stack());
    loop_->on_event([stack = network.get()](Instant now, const Event& event) { stack->handle_event(now, event); });
    network_ = std::move(network);
  }
}

void RunProgram::publish() {
  for (const Publication& publication : options_.publications) {
    const Endpoint inside{program_addresses_.front().address, publication.inside};
    const auto forward = [&](const IpAddress& address) {
      const Endpoint outside{address, publication.outside};
      return publication.datagrams ? relay_->forward_datagrams(outside, inside, gateways_.front())
                                   : relay_->forward(outside, inside, gateways_.front());
    };
    auto done = forward(IpAddress::any_v6());
    if (!done && done.error() != Error::AddressInUse && done.error() != Error::PermissionDenied)  // no IPv6 here
      done = forward(IpAddress::any_v4());
    if (!done)
      throw UsageError(fmt::format("-p {}:{}{}: port {} cannot be listened on: {}; choose another", publication.outside,
                                   publication.inside, publication.datagrams ? "/udp" : "", publication.outside,
                                   to_string(done.error())));
  }
}

void RunProgram::start() {
  if (const auto error = program_->exec()) {
    fmt::print(stderr, "ff run: {}: {}\n", options_.program.front(), std::strerror(*error));
    throw ExitStatus{*error == ENOENT ? kNotFound : kNotExecutable};
  }
  forward_signals();
  loop_->add_descriptor(program_->handle(), EPOLLIN, [this](Instant now, std::uint32_t) { program_ended(now); });
}

// The program is in our process group: what a terminal or another process sends to the group it has. What is sent to us
// alone is meant for the program.
void RunProgram::forward_signals() {
  signals_ = signal_descriptor(kForwarded);
  loop_->add_descriptor(signals_.get(), EPOLLIN, [this](Instant, std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info)
      if (const int number = static_cast<int>(info.ssi_signo); !witness_.saw(number)) program_->signal(number);
  });
}

void RunProgram::program_ended(Instant now) {
  loop_->remove_descriptor(program_->handle());
  status_ = program_->wait();
  // Not at once: its last packets may be waiting in the device.
  loop_->call_after(kDrainPoll, [this, deadline = now + kDrainPatience](Instant then) { drain(then, deadline); });
}

// What the program has sent before it ended is still carried on, as its kernel would.
void RunProgram::drain(Instant now, Instant deadline) {
  const bool late = now >= deadline;
  if (!finished_ && (late || relay_->drained())) {
    relay_->finish(now);
    finished_ = true;
  }
  if (finished_ && (late || is_quiet(now))) return loop_->stop();
  loop_->call_after(kDrainPoll, [this, deadline](Instant then) { drain(then, deadline); });
}

// The host's kernel has taken all over; a stack of ours goes with us, and its peers must have it all before.
bool RunProgram::is_quiet(Instant now) {
  return over_host() || std::ranges::all_of(outer_host_->stack().sockets(now), [](const SocketInfo& socket) {
           return socket.state == TcpState::Listen || socket.send_queue == 0;
         });
}

int RunProgram::run() {
  start();
  loop_->run();
  if (outer_host_ && !outer_host_->trouble().empty()) throw Failure(outer_host_->trouble());
  if (pcap_writer_) {
    pcap_writer_->flush();
    if (const std::string trouble = pcap_writer_->error(); !trouble.empty()) throw Failure(trouble);
  }
  if (options_.trace) print_trace();
  if (options_.stats) print_statistics();
  return status_;
}

void RunProgram::print_statistics() const {
  const auto counts = relay_->statistics();
  fmt::print(stderr,
             "ff run: {} connections out, {} in; {} refused, {} reset; {} SYNs waited for data, {} in vain; "
             "{} bytes out, {} in; {} datagram flows\n",
             counts.outbound, counts.inbound, counts.refused, counts.reset, counts.waited, counts.waited_vain,
             counts.bytes_out, counts.bytes_in, counts.datagram_flows);
}

void RunProgram::print_trace() const {
  const LadderStyle style;
  fmt::print(stderr, "{}", render_ladder({.title = "ff run", .rows = recorder_.rows()}, style));
  if (recorder_.omitted() > 0) fmt::print(stderr, "... and {} more packets\n", recorder_.omitted());
}

// ---- the command ---------------------------------------------------------------------------------------------------

void check_via(const RunOptions& options) {
  if (options.via) return check_stack_options(options.stack);
  if (!options.stack.addresses.empty() || !options.stack.gateways.empty() || !options.stack.host_addresses.empty())
    throw UsageError(
        "--address, --gateway and --host-address are for a stack of our own; add --via tun:NAME or raw:NAME");
}

// As the program ended, so do we.
[[noreturn]] void end_as(int status) {
  if (!WIFSIGNALED(status)) throw ExitStatus{WEXITSTATUS(status)};
  const int signal = WTERMSIG(status);
  const rlimit no_core{};
  (void)::setrlimit(RLIMIT_CORE, &no_core);  // the program has left one, if it was to
  (void)std::signal(signal, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  (void)std::fflush(nullptr);
  (void)::raise(signal);
  (void)::sigprocmask(SIG_UNBLOCK, &one, nullptr);
  throw ExitStatus{128 + signal};
}

void run_run(RunOptions& options) {
  options.stack.device = options.via;
  check_via(options);
  int status = 0;
  try {
    RunProgram program(options);
    status = program.run();
  } catch (const Failure& failure) {
    fmt::print(stderr, "ff run: {}\n", failure.what());
    throw ExitStatus{kOwnFailure};
  }
  end_as(status);
}

}  // namespace

void add_run_command(CLI::App& app) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "run a program, unmodified, over firstflight");
  command
      ->add_option("PROGRAM", options->program,
                   "the program and its arguments, behind '--' lest they be taken for ours")
      ->type_name("")
      ->required();
  options->relay.server_first = *parse_ports(kServerFirst);
  add_stack_options(*command, options->stack);
  command->remove_option(command->get_option("--device"));
  add_typed_option<std::optional<DeviceName>>(
      *command, "--via", options->via,
      [](std::string_view text) -> Parsed<std::optional<DeviceName>> {
        if (text == "host") return std::optional<DeviceName>();
        const auto device = parse_device(text);
        if (!device)
          return std::unexpected(fmt::format(
              "'{}' is no way out; write host, tun:NAME such as tun:ff0, or raw:NAME such as raw:eth0", text));
        return std::optional(*device);
      },
      "what carries the program's connections: host, the sockets of this machine with the kernel's Fast Open (needs no "
      "privilege), or firstflight's own TCP, on a TUN device (tun:NAME) or as one more host on an Ethernet interface "
      "that "
      "is there (raw:NAME); host")
      ->type_name("host|tun:NAME|raw:NAME");
  add_typed_options(*command, "-p,--publish", options->publications, parse_publication,
                    "connections to this machine's (or the stack's) port OUTSIDE go to the program's port INSIDE, with "
                    "Fast Open, or with /udp datagrams; repeatable")
      ->type_name("OUTSIDE:INSIDE[/udp]");
  add_typed_option(*command, "--wait", options->relay.wait, sim::parse_duration,
                   "how long a SYN that can take data along waits for the program's first write, such as 2ms; 5ms")
      ->type_name("T");
  add_typed_option(
      *command, "--server-first", options->relay.server_first, parse_ports,
      fmt::format("ports where the server speaks first, so that a SYN waits for nothing; {}", kServerFirst))
      ->type_name("PORTS");
  command->add_flag("--stats", options->stats, "says at the end, on standard error, what was carried");
  command->add_flag("--trace", options->trace, "draws at the end, on standard error, the packets as a ladder");
  command->footer(
      "Ends with the program's exit status; 125 when it cannot be started for want of a namespace or a device, 126 "
      "when\n"
      "it cannot be executed, 127 when it is not found. In the program's network, 192.0.0.1 is this machine's "
      "loopback.\n"
      "Examples:\n"
      "  ff run -- curl http://example.com/\n"
      "  ff run -p 8080:80 -- nginx -g 'daemon off;'\n"
      "  ff run --via tun:ff0 --address 10.9.8.1/24 --host-address 10.9.8.2/24 -- curl http://10.9.8.2/");
  command->callback([options] { run_run(*options); });
}

}  // namespace ff::cli
