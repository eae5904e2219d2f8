#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/commands.hpp"
#include "cli/demo.hpp"
#include "device/pcapng.hpp"
#include "sim/world.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: simulated\r\n\r\n";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
constexpr std::uint16_t kPort = 80;
constexpr Duration kPatience = 30s;

double in_milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// Two hosts and a link. Both serve, both visit.
class SimulatedNetwork {
 public:
  explicit SimulatedNetwork(const DemoOptions& options) : writer_(std::make_unique<PcapngWriter>(capture_)) {
    a_ = add_host("host A", "198.18.0.1/24", "2001:db8::1/64");
    b_ = add_host("host B", "198.18.0.2/24", "2001:db8::2/64");
    world_.connect(a_.attachment, b_.attachment, {.delay = options.delay});
    // At one side only: the other sees the same packets half a round trip later or earlier.
    world_.capture(a_.attachment, *writer_);
    serve(a_);
    serve(b_);
  }

  // Both visits in each direction, with Fast Open and without.
  void visit_all(DemoFamily family, std::vector<DemoVisit>& visits) {
    for (const bool fast_open : {true, false}) {
      for (const auto& [client, server] : {std::pair(&a_, &b_), std::pair(&b_, &a_)}) {
        world_.stack(client->id()).clear_fast_open_cache();
        for (const int number : {1, 2}) visits.push_back(visit(*client, *server, family, fast_open, number));
      }
    }
  }

  std::vector<std::uint8_t> finish_capture() {
    writer_->flush();
    return {capture_.bytes().begin(), capture_.bytes().end()};
  }
  [[nodiscard]] std::vector<std::string> counters() const {
    std::vector<std::string> lines;
    for (const Host* host : {&a_, &b_})
      for (const Counter counter : kWitnesses)
        lines.push_back(fmt::format("{}: {} {}", world_.name(host->id()), name_of(counter),
                                    world_.inspect(host->id()).counters()[counter]));
    return lines;
  }

 private:
  static constexpr Counter kWitnesses[] = {Counter::TcpExt_TCPFastOpenActive, Counter::TcpExt_TCPFastOpenPassive,
                                           Counter::TcpExt_TCPFastOpenCookieReqd};

  struct Host {
    sim::Attachment attachment;
    Cidr v4, v6;
    [[nodiscard]] sim::HostId id() const { return attachment.host; }
    [[nodiscard]] IpAddress address(DemoFamily family) const {
      return family == DemoFamily::V4 ? v4.address : v6.address;
    }
  };

  Host add_host(const std::string& name, const char* v4, const char* v6) {
    Host host;
    host.v4 = *Cidr::parse(v4);
    host.v6 = *Cidr::parse(v6);
    const sim::HostId id = world_.add_host({.name = name});
    host.attachment = world_.add_interface(id, {.name = name, .addresses = {host.v4, host.v6}, .gateways = {}});
    world_.on_event(id, [this, id](const Event& event) { on_event(id, event); });
    return host;
  }

  void serve(const Host& host) {
    ListenOptions options;
    options.local = {IpAddress::any_v6(), kPort};
    options.fast_open_queue = 256;
    if (!world_.stack(host.id()).listen(options)) throw Failure("a simulated host cannot listen");
  }

  void on_event(sim::HostId id, const Event& event) {
    Stack& stack = world_.stack(id);
    if (event.bits & event_bits::kAcceptable) {
      while (const auto connection = stack.accept(event.listener)) answer(stack, *connection);
      return;
    }
    if (visiting_ && id == visitor_ && event.connection == *visiting_) {
      on_visitor_event(stack, event);
    } else if (event.bits & (event_bits::kReadable | event_bits::kPeerClosed)) {
      answer(stack, event.connection);
    }
  }

  void on_visitor_event(Stack& stack, const Event& event) {
    std::array<std::uint8_t, 1024> bytes;
    if (event.bits & event_bits::kReadable) {
      const auto count = stack.read(world_.now(), *visiting_, bytes);
      if (count && *count > 0) first_byte_ = first_byte_.value_or(world_.now());
    }
    if (event.bits & (event_bits::kPeerClosed | event_bits::kClosed)) {
      (void)stack.close(world_.now(), *visiting_);
      visiting_.reset();
    }
  }

  // Answers what has come, if anything has, and says goodbye.
  void answer(Stack& stack, ConnectionId connection) {
    std::array<std::uint8_t, 1024> bytes;
    const auto count = stack.read(world_.now(), connection, bytes);
    if (!count) return;
    if (*count > 0) (void)stack.write(world_.now(), connection, as_bytes(kAnswer));
    (void)stack.close(world_.now(), connection);
  }

  DemoVisit visit(const Host& client, const Host& server, DemoFamily family, bool fast_open, int number) {
    DemoVisit visit;
    visit.client = fmt::format("{} (simulated)", world_.name(client.id()));
    visit.server = fmt::format("{} (simulated)", world_.name(server.id()));
    visit.family = family;
    visit.fast_open = fast_open;
    visit.number = number;
    const Counters before = world_.inspect(server.id()).counters();
    visit.milliseconds = in_milliseconds(time_to_first_byte(client, {server.address(family), kPort}, fast_open));
    const Counters& after = world_.inspect(server.id()).counters();
    for (const Counter counter : kWitnesses)
      if (after[counter] != before[counter])
        visit.witness += fmt::format("{}{} +{}", visit.witness.empty() ? "" : ", ", name_of(counter),
                                     after[counter] - before[counter]);
    visit.counted = after[Counter::TcpExt_TCPFastOpenPassive] != before[Counter::TcpExt_TCPFastOpenPassive];
    if (visit.witness.empty()) visit.witness = "nothing";
    return visit;
  }

  Duration time_to_first_byte(const Host& client, const Endpoint& server, bool fast_open) {
    const Instant start = world_.now();
    ConnectOptions options;
    options.remote = server;
    options.fast_open = fast_open ? FastOpenMode::Now : FastOpenMode::Off;
    options.data = Slice::copy_of(as_bytes(kRequest));
    const auto connection = world_.stack(client.id()).connect(start, options);
    if (!connection) throw Failure(fmt::format("a simulated host cannot connect: {}", to_string(connection.error())));
    visiting_ = *connection;
    visitor_ = client.id();
    first_byte_.reset();
    const bool over = world_.run_while([this] { return visiting_.has_value(); }, kPatience);
    if (!world_.failure().empty()) throw Failure(world_.failure());
    if (!over || !first_byte_) throw Failure("a simulated visit got no answer");
    world_.run_until(world_.now() + 1s);  // the goodbye
    return *first_byte_ - start;
  }

  MemorySink capture_;
  std::unique_ptr<PcapngWriter> writer_;
  sim::World world_;
  Host a_, b_;
  std::optional<ConnectionId> visiting_;
  sim::HostId visitor_ = 0;
  std::optional<Instant> first_byte_;
};

}  // namespace

DemoResult run_demo_simulated(const DemoOptions& options) {
  SimulatedNetwork network(options);
  DemoResult result;
  result.network = "two simulated hosts in this process, on virtual time";
  result.peer = "server";
  result.round_trip = in_milliseconds(2 * options.delay);
  for (const DemoFamily family : options.families) network.visit_all(family, result.visits);
  result.counters = network.counters();
  result.capture = network.finish_capture();
  std::vector<DemoPackets> packets = visits_in_capture(result.capture);
  if (packets.size() != result.visits.size()) throw Failure("the capture does not show every visit");
  for (std::size_t i = 0; i < packets.size(); ++i) {
    DemoVisit& visit = result.visits[i];
    visit.packets = std::move(packets[i]);
    visit.round_trips = visit.milliseconds / result.round_trip;
  }
  return result;
}

}  // namespace ff::cli
