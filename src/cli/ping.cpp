// `ff ping HOST`: echo requests by the stack, told as ping tells them.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "cli/commands.hpp"
#include "cli/ping_options.hpp"
#include "cli/ping_report.hpp"
#include "cli/stack_host.hpp"
#include "cli/url.hpp"

namespace ff::cli {
namespace {

constexpr std::uint32_t kIcmpHeader = 8;
constexpr std::uint32_t kMaxData = 65507;  // of IPv4: 65535 less IP and ICMP header

// Seconds, with a fraction if wanted.
Parsed<Duration> parse_seconds(std::string_view text) {
  constexpr double kMax = 2147483;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool sensible = value >= 0 && value <= kMax;  // a NaN is not
  if (error != std::errc() || end != text.data() + text.size() || !sensible)
    return std::unexpected(fmt::format("'{}' is no time; give seconds from 0 to 2147483, such as 0.2", text));
  return Duration(static_cast<Duration::rep>(std::llround(value * 1e9)));
}

Parsed<PathMtuDiscovery> parse_discovery(std::string_view text) {
  if (text == "do") return PathMtuDiscovery::Do;
  if (text == "dont") return PathMtuDiscovery::Dont;
  if (text == "want") return PathMtuDiscovery::Want;
  return std::unexpected(fmt::format("'{}' is none of the ways; give do, dont or want", text));
}

class PingProgram {
 public:
  explicit PingProgram(const PingOptions& options) : options_(options), host_(options.stack) {
    const auto remote = resolve({.host = options.host}, host_.has_family(true) && !options.only_v6,
                                host_.has_family(false) && !options.only_v4);
    if (!remote) throw UsageError(remote.error());
    remote_ = remote->address;
    host_.stack().set_header(open_socket(), {options.ttl, options.traffic_class, options.path_mtu_discovery});
  }

  // The exit status.
  int run();

 private:
  DatagramId open_socket();
  void send_next(Instant now);
  void after_last(Instant now);
  void handle_replies(Instant now);
  void handle_errors(Instant now);
  void finish_if_complete();
  void print_header() const;
  void print_line(const std::string& line) const;
  [[nodiscard]] bool all_sent() const { return options_.count && statistics_.transmitted() >= *options_.count; }
  // "192.0.2.1", or "name (192.0.2.1)" for a host that was given by its name.
  [[nodiscard]] std::string name_of(const IpAddress& address) const;
  [[nodiscard]] bool v4() const { return remote_.is_v4(); }

  const PingOptions& options_;
  StackHost host_;
  IpAddress remote_;
  DatagramId socket_;
  PingStatistics statistics_;
  Instant started_{};
  Instant last_{};  // something was sent or heard
};

DatagramId PingProgram::open_socket() {
  DatagramOptions socket;
  socket.protocol = DatagramProtocol::Echo;
  socket.local.address = v4() ? IpAddress::any_v4() : IpAddress::any_v6();
  socket.receive_errors = true;
  // Room for replies that come while others are printed, however large they are.
  socket.receive_buffer = 1u << 20;
  const auto id = host_.stack().open(socket);
  if (!id) throw Failure(fmt::format("the stack has no room for a socket: {}", to_string(id.error())));
  return socket_ = *id;
}

int PingProgram::run() {
  Loop& loop = host_.loop();
  loop.on_event([this](Instant now, const Event& event) {
    if (event.datagram != socket_) return;
    handle_replies(now);
    handle_errors(now);
    finish_if_complete();
  });
  loop.on_signals({SIGINT, SIGTERM}, [&](Instant, int) { loop.stop(); });
  print_header();
  loop.call_after(Duration::zero(), [this](Instant now) {
    started_ = last_ = now;
    if (options_.deadline) host_.loop().call_at(now + *options_.deadline, [this](Instant) { host_.loop().stop(); });
    send_next(now);
  });
  loop.run();
  fmt::print("{}", statistics_.summary(options_.host, last_ - started_));
  std::fflush(stdout);
  if (const std::string trouble = host_.trouble(); !trouble.empty()) throw Failure(trouble);
  const bool too_few = options_.deadline && options_.count && statistics_.received() < *options_.count;
  return statistics_.received() > 0 && !too_few ? kSuccess : kFailure;
}

void PingProgram::send_next(Instant now) {
  const auto sequence = static_cast<std::uint16_t>(statistics_.transmitted() + 1);
  const auto done = host_.stack().send(now, socket_, echo_request(v4(), sequence, options_.size), Endpoint{remote_, 0});
  if (!done && done.error() == Error::NetworkUnreachable)
    throw UsageError(fmt::format("no route leads to {}; add a --gateway", remote_.to_string()));
  statistics_.sent(now);
  last_ = now;
  if (!done) {
    statistics_.failed();
    const std::uint16_t mtu = options_.stack.mtu.value_or(host_.mtu());
    fmt::print(stderr, "ff ping: local error: {}{}\n", to_string(done.error()),
               done.error() == Error::MessageTooLong ? fmt::format(", mtu={}", mtu) : std::string());
  }
  if (all_sent()) return after_last(now);
  host_.loop().call_at(now + options_.interval, [this](Instant later) { send_next(later); });
}

// Once a reply has come it is known how long they take; before, -W says how long to hope.
void PingProgram::after_last(Instant now) {
  finish_if_complete();
  const Duration wait = statistics_.received() > 0 ? 2 * statistics_.longest() : options_.timeout;
  host_.loop().call_at(now + std::max<Duration>(wait, std::chrono::milliseconds(1)),
                       [this](Instant) { host_.loop().stop(); });
}

void PingProgram::finish_if_complete() {
  if (all_sent() && statistics_.received() + statistics_.errors() >= *options_.count) host_.loop().stop();
}

void PingProgram::handle_replies(Instant now) {
  for (;;) {
    const auto reply = host_.stack().receive(socket_);
    if (!reply) return;
    const std::uint8_t* const message = reply->bytes.data();
    const auto sequence = static_cast<std::uint16_t>(message[6] << 8 | message[7]);
    Duration round_trip{};
    const auto answer = statistics_.received(now, sequence, round_trip);
    if (answer == PingStatistics::Answer::Unknown) continue;
    last_ = now;
    print_line(fmt::format("{} bytes from {}: icmp_seq={} ttl={} time={} ms{}", reply->bytes.size(),
                           name_of(reply->source.address), sequence, reply->ttl, format_round_trip(round_trip),
                           answer == PingStatistics::Answer::Duplicate ? " (DUP!)" : ""));
  }
}

void PingProgram::handle_errors(Instant now) {
  for (;;) {
    const auto error = host_.stack().receive_error(socket_);
    if (!error) return;
    statistics_.failed();
    last_ = now;
    if (error->bytes.size() < kIcmpHeader) continue;
    const std::uint8_t* const quoted = error->bytes.data();
    print_line(fmt::format("From {} icmp_seq={} {}", error->from.value_or(remote_).to_string(),
                           quoted[6] << 8 | quoted[7], describe_icmp_error(*error, v4())));
  }
}

std::string PingProgram::name_of(const IpAddress& address) const {
  const std::string text = address.to_string();
  const bool by_name = !options_.numeric && address == remote_ && !IpAddress::parse(options_.host);
  return by_name ? fmt::format("{} ({})", options_.host, text) : text;
}

void PingProgram::print_header() const {
  constexpr std::uint32_t kIpv4Header = 20;
  if (v4()) {
    fmt::print("PING {} ({}) {}({}) bytes of data.\n", options_.host, remote_.to_string(), options_.size,
               options_.size + kIcmpHeader + kIpv4Header);
  } else {
    fmt::print("PING {}({}) {} data bytes\n", options_.host, remote_.to_string(), options_.size);
  }
  std::fflush(stdout);
}

void PingProgram::print_line(const std::string& line) const {
  if (options_.quiet) return;
  if (options_.timestamps) {
    const auto since_1970 = last_.time_since_epoch() + Loop::wall_clock_offset();
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count();
    fmt::print("[{}.{:06}] ", microseconds / 1'000'000, microseconds % 1'000'000);
  }
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

template <typename T>
std::function<Parsed<T>(std::string_view)> number_between(std::uint64_t first, std::uint64_t last) {
  return [first, last](std::string_view text) -> Parsed<T> {
    const auto number = parse_whole_number(text, first, last);
    if (!number) return std::unexpected(number.error());
    return static_cast<T>(*number);
  };
}

void run_ping(const PingOptions& options) {
  check_stack_options(options.stack);
  if (options.only_v4 && options.only_v6) throw UsageError("-4 and -6 exclude each other; give one");
  if (options.hops && (options.ttl || options.quiet || options.timestamps))
    throw UsageError("--hops goes through every TTL and prints its table at the end; leave out -t, -q and -D");
  if (options.json && !options.hops) throw UsageError("--json is for the table of --hops; add --hops");
  const int status = options.hops ? run_hops(options) : PingProgram(options).run();
  if (status != kSuccess) throw ExitStatus{status};
}

}  // namespace

void add_ping_command(CLI::App& app) {
  const auto options = std::make_shared<PingOptions>();
  CLI::App* command = app.add_subcommand("ping", "is it there, how far away, and how much gets lost");
  command->add_option("HOST", options->host, "name or address")->required();
  add_typed_option<std::optional<std::uint64_t>>(*command, "-c", options->count,
                                                 number_between<std::uint64_t>(1, INT64_MAX),
                                                 "stop after N requests; otherwise with Ctrl-C")
      ->type_name("N");
  add_typed_option(*command, "-i", options->interval, parse_seconds, "seconds between requests; 1")
      ->type_name("SECONDS");
  add_typed_option(*command, "-s", options->size, number_between<std::uint32_t>(0, kMaxData),
                   "bytes of data in each; 56")
      ->type_name("BYTES");
  add_typed_option(*command, "-W", options->timeout, parse_seconds,
                   "seconds to wait for the first reply; once there is one, twice the longest round trip; 10")
      ->type_name("SECONDS");
  add_typed_option<std::optional<Duration>>(*command, "-w", options->deadline, parse_seconds,
                                            "ends after so many seconds in any case")
      ->type_name("SECONDS");
  add_typed_option<std::optional<std::uint8_t>>(*command, "-t", options->ttl, number_between<std::uint8_t>(1, 255),
                                                "TTL, or hop limit; otherwise ip_default_ttl")
      ->type_name("TTL");
  add_typed_option(*command, "-Q", options->traffic_class, number_between<std::uint8_t>(0, 255),
                   "TOS, or traffic class")
      ->type_name("TOS");
  add_typed_option(*command, "-M", options->path_mtu_discovery, parse_discovery,
                   "requests larger than the path carries: do (none may be fragmented), want (here), dont (anywhere)")
      ->type_name("HOW");
  command->add_flag("-q", options->quiet, "nothing but the summary");
  command->add_flag("-n", options->numeric, "addresses only, no names");
  command->add_flag("-D", options->timestamps, "the time before each line, seconds since 1970");
  command->add_flag("--hops", options->hops,
                    "loss and round trips of every router on the way, after -c rounds (10) of one request each");
  command->add_flag("--json", options->json, "with --hops: prints JSON");
  command->add_flag("-4", options->only_v4, "IPv4 alone");
  command->add_flag("-6", options->only_v6, "IPv6 alone");
  add_stack_options(*command, options->stack);
  command->footer(
      "The exit status is 0 when a reply came, 1 when none did, or fewer than -c before the end of -w. Where packets "
      "to\n"
      "HOST get lost: --hops.\n"
      "Example, to this machine:\n"
      "  ff ping 10.9.8.2 -c 3 --device tun:ff0 --address 10.9.8.1/24 --host-address 10.9.8.2/24");
  command->callback([options] { run_ping(*options); });
}

}  // namespace ff::cli
