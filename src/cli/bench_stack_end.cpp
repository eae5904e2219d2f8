// An end of a transfer on firstflight's TCP: what bench_kernel_end.cpp does on the kernel's.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>
#include <vector>

#include "cli/bench_path_end.hpp"
#include "cli/commands.hpp"
#include "cli/stack_host.hpp"

namespace ff::cli {
namespace {

// How often the connections are looked at for their events.
constexpr Duration kSamplePeriod = std::chrono::milliseconds(1);

StackOptions stack_options(const PathEndOptions& options) {
  StackOptions result = path_stack_options(options.side);
  result.seed = options.seed;
  result.settings.tcp_no_metrics_save = true;  // what one transfer learnt must not help the next, as with the kernel
  if (options.side == PathSide::Sending)
    if (const auto why_not = use_congestion_control(result.settings, options.congestion_control))
      throw UsageError(*why_not);
  return result;
}

class StackEnd {
 public:
  StackEnd(const PathEndOptions& options, const PathEndMeasured& measured)
      : options_(options),
        measured_(measured),
        host_(stack_options(options)),
        stack_(host_.stack()),
        chunk_(kPathChunk) {
    host_.loop().on_event([this](Instant now, const Event& event) { handle(now, event); });
    host_.loop().on_signals({SIGINT, SIGTERM, SIGUSR1},
                            [this](Instant, int signal) { signal == SIGUSR1 ? report() : host_.loop().stop(); });
    if (options.events) stack_.set_trace(&recorder_);
  }
  ~StackEnd() { stack_.set_trace(nullptr); }
  StackEnd(const StackEnd&) = delete;
  StackEnd& operator=(const StackEnd&) = delete;

  void run() {
    options_.side == PathSide::Sending ? connect() : listen();
    if (options_.events) sample_soon();
    host_.loop().run();
    if (error_.empty()) error_ = host_.trouble();
    if (!error_.empty()) throw Failure(error_);
  }

 private:
  struct Flow {
    ConnectionId connection;
    PathEndFlow measured;
  };

  void connect() {
    for (const PathStack receiver : options_.flows) {
      Flow& flow = flows_.emplace_back();
      ConnectOptions connect;
      connect.remote = {path_address(PathSide::Receiving, receiver), kPathPort};
      flow.measured.began = monotonic_now();
      const Instant now = host_.loop().now();
      const Result<ConnectionId> connection = stack_.connect(now, connect);
      if (!connection) throw Failure(fmt::format("connect: {}", to_string(connection.error())));
      flow.connection = *connection;
      const FourTuple tuple = stack_.info(*connection)->tuple;
      flow.measured.sender = tuple.local.to_string();
      recorder_.add_flow(tuple, now);
    }
  }

  void listen() {
    ListenOptions listen;
    listen.local = {path_address(PathSide::Receiving, PathStack::Firstflight), kPathPort};
    if (const auto listener = stack_.listen(listen); !listener)
      throw Failure(fmt::format("listen: {}", to_string(listener.error())));
    say_path_end_ready();
  }

  void handle(Instant now, const Event& event) {
    if ((event.bits & event_bits::kAcceptable) != 0) {
      accept(now, event.listener);
      return;
    }
    const auto found = std::ranges::find(flows_, event.connection, &Flow::connection);
    if (found == flows_.end()) return;
    Flow& flow = *found;
    if ((event.bits & event_bits::kClosed) != 0) {
      const Result<ConnectionInfo> info = stack_.info(flow.connection);
      fail(info && info->error ? std::string(to_string(*info->error)) : "the connection ended before its time");
      return;
    }
    options_.side == PathSide::Sending ? send(now, flow) : receive(now, flow);
  }

  void accept(Instant now, ListenerId listener) {
    while (const Result<ConnectionId> connection = stack_.accept(listener)) {
      Flow& flow = flows_.emplace_back();
      flow.connection = *connection;
      flow.measured.sender = stack_.info(*connection)->tuple.remote.to_string();
      flow.measured.began = monotonic_now();
      receive(now, flow);
    }
  }

  void send(Instant now, Flow& flow) {
    while (options_.bytes == 0 || flow.measured.bytes < options_.bytes) {
      const std::uint64_t left = options_.bytes == 0 ? UINT64_MAX : options_.bytes - flow.measured.bytes;
      const ByteSpan bytes(chunk_.data(), std::min<std::uint64_t>(left, chunk_.size()));
      const Result<std::size_t> sent = stack_.write(now, flow.connection, bytes);
      if (!sent && sent.error() == Error::WouldBlock) return;
      if (!sent) return fail(std::string(to_string(sent.error())));
      flow.measured.bytes += *sent;
      flow.measured.ended = monotonic_now();
    }
  }

  void receive(Instant now, Flow& flow) {
    for (;;) {
      const Result<std::size_t> received = stack_.read(now, flow.connection, chunk_);
      if (!received && received.error() == Error::WouldBlock) break;
      if (!received) return fail(std::string(to_string(received.error())));
      if (*received == 0) return fail("the sender closed the connection before its end");
      flow.measured.bytes += *received;
      flow.measured.ended = monotonic_now();
    }
    if (complete()) report();
  }

  [[nodiscard]] bool complete() const {
    return options_.bytes > 0 && flows_.size() == options_.flows.size() &&
           std::ranges::all_of(flows_, [&](const Flow& flow) { return flow.measured.bytes >= options_.bytes; });
  }

  void sample_soon() {
    host_.loop().call_after(kSamplePeriod, [this](Instant now) {
      for (const Flow& flow : flows_)
        if (const Result<ConnectionInfo> info = stack_.info(flow.connection)) recorder_.sample(now, *info);
      sample_soon();
    });
  }

  void fail(std::string why) {
    error_ = std::move(why);
    host_.loop().stop();
  }

  void report() {
    if (std::exchange(reported_, true)) return;
    PathEndReport report;
    for (Flow& flow : flows_) {
      if (const Result<ConnectionInfo> info = stack_.info(flow.connection))
        flow.measured.retransmitted = info->total_retrans;
      report.flows.push_back(flow.measured);
    }
    report.events = recorder_.events();
    measured_(report);
  }

  const PathEndOptions& options_;
  const PathEndMeasured& measured_;
  StackHost host_;
  Stack& stack_;
  PathEventRecorder recorder_;
  std::vector<Flow> flows_;
  std::vector<std::uint8_t> chunk_;
  std::string error_;
  bool reported_ = false;
};

}  // namespace

void run_stack_end(const PathEndOptions& options, const PathEndMeasured& measured) {
  StackEnd(options, measured).run();
}

}  // namespace ff::cli
