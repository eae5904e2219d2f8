// `ff ping --hops HOST`: echo requests that die one hop further away each time, and who says so.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/hop_report.hpp"
#include "cli/ping_options.hpp"
#include "cli/ping_report.hpp"
#include "cli/stack_host.hpp"
#include "cli/url.hpp"
#include "cli/usage.hpp"

namespace ff::cli {
namespace {

constexpr std::uint64_t kRounds = 10;
constexpr std::uint32_t kIcmpHeader = 8;

class HopsProgram {
 public:
  explicit HopsProgram(const PingOptions& options) : options_(options), host_(options.stack) {
    const auto remote = resolve({.host = options.host}, host_.has_family(true) && !options.only_v6,
                                host_.has_family(false) && !options.only_v4);
    if (!remote) throw UsageError(remote.error());
    remote_ = remote->address;
    DatagramOptions socket;
    socket.protocol = DatagramProtocol::Echo;
    socket.local.address = v4() ? IpAddress::any_v4() : IpAddress::any_v6();
    socket.receive_errors = true;
    socket.receive_buffer = 1u << 20;
    const auto id = host_.stack().open(socket);
    if (!id) throw Failure(fmt::format("the stack has no room for a socket: {}", to_string(id.error())));
    socket_ = *id;
  }

  // The exit status.
  int run() {
    Loop& loop = host_.loop();
    loop.on_event([this](Instant now, const Event& event) {
      if (event.datagram != socket_) return;
      handle_replies(now);
      handle_errors(now);
      if (all_sent_ && table_.under_way() == 0) host_.loop().stop();
    });
    loop.on_signals({SIGINT, SIGTERM}, [&](Instant, int) { loop.stop(); });
    loop.call_after(Duration::zero(), [this](Instant now) {
      if (options_.deadline) host_.loop().call_at(now + *options_.deadline, [this](Instant) { host_.loop().stop(); });
      begin_round(now);
    });
    loop.run();
    fmt::print("{}", options_.json ? hop_json(options_.host, table_) : hop_report(options_.host, table_));
    std::fflush(stdout);
    if (const std::string trouble = host_.trouble(); !trouble.empty()) throw Failure(trouble);
    return table_.reached() ? kSuccess : kFailure;
  }

 private:
  [[nodiscard]] bool v4() const { return remote_.is_v4(); }

  void begin_round(Instant now) {
    ++rounds_;
    send_probe(now, 1, now + options_.interval);
  }

  // A round is spread over the interval, so that routers that limit their answers are not asked all at once.
  void send_probe(Instant now, std::uint8_t ttl, Instant end) {
    host_.stack().set_header(socket_, {ttl, options_.traffic_class, options_.path_mtu_discovery});
    const std::uint16_t sequence = table_.sent(now, ttl);
    const auto done =
        host_.stack().send(now, socket_, echo_request(v4(), sequence, options_.size), Endpoint{remote_, 0});
    if (!done && done.error() == Error::NetworkUnreachable)
      throw UsageError(fmt::format("no route leads to {}; add a --gateway", remote_.to_string()));
    if (!done && done.error() != Error::WouldBlock) handle_errors(now);
    if (ttl < table_.reach()) {
      const auto next = static_cast<std::uint8_t>(ttl + 1);
      const Duration pause = std::max<Duration>(end - now, Duration::zero()) / (table_.reach() - ttl + 1);
      host_.loop().call_at(now + pause, [this, next, end](Instant later) { send_probe(later, next, end); });
    } else if (rounds_ < options_.count.value_or(kRounds)) {
      host_.loop().call_at(end, [this](Instant later) { begin_round(later); });
    } else {
      after_last(now);
    }
  }

  // Twice the longest round trip is enough for those that will ever come; where nobody answered, -W says how long.
  void after_last(Instant now) {
    all_sent_ = true;
    const Duration wait = table_.longest() > Duration::zero() ? 2 * table_.longest() : options_.timeout;
    host_.loop().call_at(now + std::max<Duration>(wait, std::chrono::milliseconds(500)),
                         [this](Instant) { host_.loop().stop(); });
  }

  void handle_replies(Instant now) {
    while (const auto reply = host_.stack().receive(socket_)) {
      const std::uint8_t* const message = reply->bytes.data();
      table_.answered(now, static_cast<std::uint16_t>(message[6] << 8 | message[7]), reply->source.address, true);
    }
  }

  // A router says that the probe's life ended there, or that it leads no further: then it is the end of the path.
  void handle_errors(Instant now) {
    constexpr std::uint8_t kTimeExceededV4 = 11, kTimeExceededV6 = 3;
    while (const auto error = host_.stack().receive_error(socket_)) {
      if (error->bytes.size() < kIcmpHeader || !error->from) continue;
      const std::uint8_t* const quoted = error->bytes.data();
      const bool died = error->type == (v4() ? kTimeExceededV4 : kTimeExceededV6);
      table_.answered(now, static_cast<std::uint16_t>(quoted[6] << 8 | quoted[7]), *error->from,
                      !died && *error->from == remote_);
    }
  }

  const PingOptions& options_;
  StackHost host_;
  IpAddress remote_;
  DatagramId socket_;
  HopTable table_;
  std::uint64_t rounds_ = 0;
  bool all_sent_ = false;
};

}  // namespace

int run_hops(const PingOptions& options) { return HopsProgram(options).run(); }

}  // namespace ff::cli
