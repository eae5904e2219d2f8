// The relay between two simulated networks: a program behind one stack, a server 50 ms behind another. What the program
// sees, and when, is compared with what it would see without us.
#include "relay/relay.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "relay/stack_network.hpp"
#include "sim/world.hpp"

namespace ff::relay {
namespace {

using namespace std::chrono_literals;

constexpr Duration kOneWay = 50ms;
constexpr Duration kWait = 5ms;

class RelayWorld : public testing::Test {
 protected:
  RelayWorld() {
    const auto address = [](int net, int host) {
      return IpAddress::v4(198, 18, static_cast<std::uint8_t>(net), static_cast<std::uint8_t>(host));
    };
    server_end = {address(2, 2), 80};
    Settings settings;
    settings.tcp_fastopen = 3;
    program = world.add_host({.name = "program"});
    inner = world.add_host({.name = "inner"});
    outer = world.add_host({.name = "outer"});
    server = world.add_host({.name = "server", .settings = settings});
    const auto a = world.add_interface(program, {.addresses = {{address(1, 1), 24}}, .gateways = {address(1, 2)}});
    const auto b = world.add_interface(inner, {.addresses = {{address(1, 2), 24}}, .any_destination = true});
    const auto c = world.add_interface(outer, {.addresses = {{address(2, 1), 24}}});
    const auto d = world.add_interface(server, {.addresses = {{address(2, 2), 24}}});
    world.connect(a, b, {});
    cable = world.connect(c, d, {.delay = kOneWay});
    network.emplace(world.stack(outer));
    RelayOptions options;
    options.wait = kWait;
    options.server_first.set(25);
    relay.emplace(world.stack(inner), *network, options, [this](Instant due, Relay::Call call) {
      world.at(due, [this, call = std::move(call)] {
        call(world.now());
        touch();
      });
    });
    world.on_event(inner, [this](const Event& event) {
      relay->handle_event(world.now(), event);
      touch();
    });
    world.on_event(outer, [this](const Event& event) {
      network->handle_event(world.now(), event);
      touch();
    });
  }
  ~RelayWorld() override { EXPECT_EQ(world.failure(), ""); }

  // Either stack may have been given commands.
  void touch() {
    (void)world.stack(inner);
    (void)world.stack(outer);
  }
  // A server that answers each connection's first bytes by `answer` and ends.
  void serve(std::uint16_t port, std::string answer) {
    const ListenerId listener =
        world.stack(server).listen({.local = {server_end.address, port}, .fast_open_queue = 16}).value();
    world.on_event(server, [this, listener, answer](const Event& event) {
      Stack& stack = world.stack(server);
      while (const auto connection = stack.accept(listener)) accepted_at = world.now();
      if ((event.bits & event_bits::kReadable) == 0) return;
      const auto bytes = stack.read_slice(world.now(), event.connection);
      if (!bytes) return;
      received += bytes->text();
      if (bytes->empty()) return (void)stack.close(world.now(), event.connection);
      (void)stack.write(world.now(), event.connection, as_bytes(answer));
      (void)stack.shutdown_write(world.now(), event.connection);
    });
  }
  struct Visit {
    Duration connected{}, first_byte{};
    std::string answer;
    std::optional<Error> error;
  };
  // One connection of the program's. `request`: what it writes as soon as it is connected.
  Visit visit(std::uint16_t port, std::string_view request) {
    const Instant start = world.now();
    Visit seen;
    const ConnectionId id = world.stack(program).connect(start, {.remote = {server_end.address, port}}).value();
    bool over = false;
    world.on_event(program, [&](const Event& event) {
      Stack& stack = world.stack(program);
      if ((event.bits & event_bits::kEstablished) != 0) {
        seen.connected = world.now() - start;
        if (!request.empty()) (void)stack.write(world.now(), id, as_bytes(request));
      }
      while (const auto bytes = stack.read_slice(world.now(), id)) {
        if (bytes->empty()) break;
        if (seen.answer.empty()) seen.first_byte = world.now() - start;
        seen.answer += bytes->text();
      }
      if ((event.bits & event_bits::kPeerClosed) != 0) (void)stack.shutdown_write(world.now(), id);
      if ((event.bits & event_bits::kClosed) != 0) over = true;
    });
    world.run_while([&] { return !over; }, 30s);
    seen.error = world.stack(program).info(id).value().error;
    (void)world.stack(program).close(world.now(), id);
    world.on_event(program, {});
    world.run_until(world.now() + 1s);
    return seen;
  }

  sim::World world{{.seed = 11}};
  sim::HostId program = 0, inner = 0, outer = 0, server = 0;
  sim::LinkId cable = 0;
  Endpoint server_end;
  std::optional<StackNetwork> network;
  std::optional<Relay> relay;
  std::string received;
  Instant accepted_at{};
};

TEST_F(RelayWorld, TheSecondVisitTakesOneRoundTrip) {
  serve(80, "answer");
  const Visit first = visit(80, "question");
  EXPECT_EQ(first.answer, "answer");
  EXPECT_EQ(first.connected, 2 * kOneWay) << "as the server answered, so is the program";
  EXPECT_EQ(first.first_byte, 4 * kOneWay);
  const Visit second = visit(80, "question");
  EXPECT_EQ(second.answer, "answer");
  EXPECT_EQ(second.connected, 0ms);
  EXPECT_EQ(second.first_byte, 2 * kOneWay);
  EXPECT_EQ(received, "questionquestion");
  EXPECT_EQ(relay->sessions(), 0u);
  EXPECT_EQ(relay->statistics().waited, 1u);
  EXPECT_EQ(relay->statistics().waited_vain, 0u);
  EXPECT_EQ(relay->statistics().bytes_out, 16u);
}

TEST_F(RelayWorld, ASilentProgramHoldsItsSynNoLongerThanItMay) {
  serve(80, "answer");
  (void)visit(80, "for the cookie");
  const Instant start = world.now();
  const ConnectionId id = world.stack(program).connect(start, {.remote = server_end}).value();
  world.run_until(start + 1s);
  EXPECT_EQ(accepted_at, start + kWait + kOneWay) << "under its cookie, without data";
  EXPECT_EQ(relay->statistics().waited_vain, 1u);
  (void)world.stack(program).abort(world.now(), id);
  world.run_until(world.now() + 1s);
  EXPECT_EQ(relay->sessions(), 0u);
}

TEST_F(RelayWorld, WhereTheServerSpeaksFirstNothingWaits) {
  const ListenerId listener =
      world.stack(server).listen({.local = {server_end.address, 25}, .fast_open_queue = 16}).value();
  world.on_event(server, [&](const Event&) {
    Stack& stack = world.stack(server);
    while (const auto connection = stack.accept(listener)) {
      (void)stack.write(world.now(), *connection, as_bytes("220 ready"));
      (void)stack.close(world.now(), *connection);
    }
  });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(visit(25, "").first_byte, 4 * kOneWay);
  EXPECT_EQ(relay->statistics().waited, 0u);
}

TEST_F(RelayWorld, ARefusalIsTheServersOwn) {
  const Visit refused = visit(81, "question");
  EXPECT_EQ(refused.error, Error::ConnectionRefused);
  EXPECT_EQ(refused.connected, 0ms) << "it never was connected";
  EXPECT_EQ(relay->statistics().refused, 1u);
}

TEST_F(RelayWorld, WhereNoRouteLeadsTheProgramIsTold) {
  server_end.address = IpAddress::v4(203, 0, 113, 7);
  EXPECT_EQ(visit(80, "").error, Error::NetworkUnreachable);
}

TEST_F(RelayWorld, ASilentServerIsSilentToTheProgram) {
  world.set_plugged(cable, false);
  const ConnectionId id = world.stack(program).connect(world.now(), {.remote = server_end}).value();
  world.run_until(world.now() + 10s);
  EXPECT_EQ(world.stack(program).info(id).value().state, TcpState::SynSent);
}

TEST_F(RelayWorld, ASlowReaderSlowsTheWriterAndNotUs) {
  constexpr std::uint32_t kMuch = 32u << 20;
  const ListenerId listener = world.stack(server).listen({.local = server_end}).value();
  std::optional<ConnectionId> at_server;
  world.on_event(server, [&](const Event&) {
    if (const auto connection = world.stack(server).accept(listener)) at_server = *connection;
  });
  const ConnectionId id = world.stack(program).connect(world.now(), {.remote = server_end}).value();
  const std::string zeros(1 << 16, '\0');
  std::uint64_t written = 0;
  const auto write = [&] {
    while (written < kMuch) {
      const auto count = world.stack(program).write(world.now(), id, as_bytes(zeros));
      if (!count) return;
      written += *count;
    }
  };
  world.on_event(program, [&](const Event&) { write(); });
  world.run_until(world.now() + 20s);
  ASSERT_TRUE(at_server);
  EXPECT_LT(written, kMuch) << "nobody has read a byte";
  EXPECT_LT(world.inspect(inner).memory().bytes + world.inspect(outer).memory().bytes, kMuch / 2);
  std::uint64_t read = 0;
  world.on_event(server, [&](const Event&) {
    while (const auto bytes = world.stack(server).read_slice(world.now(), *at_server)) read += bytes->size();
  });
  while (const auto bytes = world.stack(server).read_slice(world.now(), *at_server)) read += bytes->size();
  world.run_until(world.now() + 60s);
  EXPECT_GE(written, kMuch);
  EXPECT_EQ(read, written);
}

TEST_F(RelayWorld, AResetPassesBothWays) {
  const ListenerId listener = world.stack(server).listen({.local = server_end}).value();
  for (const bool by_program : {true, false}) {
    const ConnectionId at_program = world.stack(program).connect(world.now(), {.remote = server_end}).value();
    world.run_until(world.now() + 1s);
    const ConnectionId at_server = world.stack(server).accept(listener).value();
    Stack& one = world.stack(by_program ? program : server);
    (void)one.abort(world.now(), by_program ? at_program : at_server);
    world.run_until(world.now() + 1s);
    const Stack& other = world.inspect(by_program ? server : program);
    EXPECT_EQ(other.info(by_program ? at_server : at_program).value().error, Error::ConnectionReset);
    EXPECT_EQ(relay->sessions(), 0u);
  }
  EXPECT_EQ(relay->statistics().reset, 2u);
}

TEST_F(RelayWorld, DatagramsAndTheirErrorsComeBack) {
  const DatagramId service = world.stack(server).open({.local = {server_end.address, 53}}).value();
  world.on_event(server, [&](const Event&) {
    Stack& stack = world.stack(server);
    while (const auto question = stack.receive(service)) {
      const std::string answer = "answer to " + std::string(question->bytes.text());
      (void)stack.send(world.now(), service, Slice::copy_of(as_bytes(answer)), question->source);
    }
  });
  Stack& stack = world.stack(program);
  const DatagramId asking = stack.open({}).value(), refused = stack.open({}).value();
  (void)stack.connect(asking, {server_end.address, 53});
  (void)stack.connect(refused, {server_end.address, 54});
  (void)stack.send(world.now(), asking, Slice::copy_of(as_bytes("a question")));
  (void)stack.send(world.now(), refused, Slice::copy_of(as_bytes("nobody")));
  world.run_until(world.now() + 1s);
  EXPECT_EQ(world.stack(program).receive(asking).value().bytes.text(), "answer to a question");
  EXPECT_EQ(world.stack(program).receive(refused).error(), Error::ConnectionRefused);
  EXPECT_EQ(world.inspect(outer).datagram_sockets().size(), 2u);
  world.run_until(world.now() + 200s);
  EXPECT_EQ(world.inspect(outer).datagram_sockets().size(), 0u) << "idle flows end";
}

// What lies in the host's queue is told one by one, as recv() does.
struct QueuedChannel final : DatagramChannel {
  std::deque<Result<Slice>> queue;

  Result<void> send(Instant /*now*/, Slice /*bytes*/) override { return {}; }
  Result<Slice> receive(Instant /*now*/) override {
    if (queue.empty()) return std::unexpected(Error::WouldBlock);
    auto next = std::move(queue.front());
    queue.pop_front();
    return next;
  }
  void tell(Instant now) { changed(now); }
};

struct QueuedNetwork final : Network {
  QueuedChannel* channel = nullptr;

  Result<std::unique_ptr<Stream>> connect(Instant /*now*/, const Endpoint& /*remote*/, bool /*fast_open*/) override {
    return std::unexpected(Error::NetworkUnreachable);
  }
  Result<std::unique_ptr<DatagramChannel>> open_datagrams(Instant /*now*/, const Endpoint& /*remote*/) override {
    auto opened = std::make_unique<QueuedChannel>();
    channel = opened.get();
    return opened;
  }
  Result<std::unique_ptr<DatagramChannel>> open_echoes(Instant now, const IpAddress& remote) override {
    return open_datagrams(now, {remote, 0});
  }
  Result<void> listen(const Endpoint& /*local*/, ArrivalHandler /*handler*/) override {
    return std::unexpected(Error::PermissionDenied);
  }
  Result<std::unique_ptr<DatagramPort>> open_port(const Endpoint& /*local*/) override {
    return std::unexpected(Error::PermissionDenied);
  }
};

// Otherwise it would wait until the next one comes.
TEST(DatagramFlows, ADatagramBehindAnErrorComesBackToo) {
  sim::World world{{.seed = 12}};
  const auto program = world.add_host({.name = "program"}), inner = world.add_host({.name = "inner"});
  const IpAddress own = IpAddress::v4(198, 18, 1, 1), gateway = IpAddress::v4(198, 18, 1, 2);
  const auto a = world.add_interface(program, {.addresses = {{own, 24}}, .gateways = {gateway}});
  const auto b = world.add_interface(inner, {.addresses = {{gateway, 24}}, .any_destination = true});
  world.connect(a, b, {});
  QueuedNetwork network;
  Relay relay(world.stack(inner), network, {}, [](Instant, const Relay::Call&) {});
  world.on_event(inner, [&](const Event& event) { relay.handle_event(world.now(), event); });
  const DatagramId asking = world.stack(program).open({}).value();
  (void)world.stack(program).connect(asking, {IpAddress::v4(198, 18, 2, 2), 53});
  (void)world.stack(program).send(world.now(), asking, Slice::copy_of(as_bytes("question")));
  world.run_until(world.now() + 1s);
  ASSERT_NE(network.channel, nullptr);
  network.channel->queue.emplace_back(std::unexpected(Error::ConnectionRefused));
  network.channel->queue.emplace_back(Slice::copy_of(as_bytes("answer")));
  network.channel->tell(world.now());
  (void)world.stack(inner);
  world.run_until(world.now() + 1s);
  Stack& stack = world.stack(program);
  EXPECT_EQ(stack.receive(asking).error(), Error::ConnectionRefused);
  EXPECT_EQ(stack.receive(asking).value().bytes.text(), "answer");
}

TEST_F(RelayWorld, APublishedPortLeadsToTheProgram) {
  const IpAddress inside = IpAddress::v4(198, 18, 1, 1);
  ASSERT_TRUE(relay->forward({IpAddress::any_v6(), 8080}, {inside, 80}, IpAddress::v4(198, 18, 1, 2)));
  const ListenerId listener = world.stack(program).listen({.local = {inside, 80}}).value();
  std::optional<Endpoint> client;
  world.on_event(program, [&](const Event& event) {
    Stack& stack = world.stack(program);
    while (const auto connection = stack.accept(listener)) client = stack.info(*connection).value().tuple.remote;
    if ((event.bits & event_bits::kReadable) == 0) return;
    while (const auto bytes = stack.read_slice(world.now(), event.connection)) {
      if (bytes->empty()) break;
      (void)stack.write(world.now(), event.connection, *bytes);
      (void)stack.shutdown_write(world.now(), event.connection);
    }
  });
  const Endpoint outside{IpAddress::v4(198, 18, 2, 1), 8080};
  for (int i = 0; i < 2; ++i) {
    const Instant start = world.now();
    Instant answered{};
    const ConnectionId id =
        world.stack(server)
            .connect(start,
                     {.remote = outside, .fast_open = FastOpenMode::Now, .data = Slice::copy_of(as_bytes("hello"))})
            .value();
    world.on_event(server, [&](const Event& event) {
      if ((event.bits & event_bits::kReadable) != 0 && answered == Instant{}) answered = world.now();
    });
    world.run_until(start + 1s);
    EXPECT_EQ(world.stack(server).read_slice(world.now(), id).value().text(), "hello");
    EXPECT_EQ(answered - start, (i == 0 ? 4 : 2) * kOneWay) << "Fast Open, of which the program knows nothing";
    EXPECT_EQ(client, world.stack(server).info(id).value().tuple.local) << "the program sees who asks";
    (void)world.stack(server).close(world.now(), id);
    world.on_event(server, {});
    world.run_until(world.now() + 1s);
  }
}

}  // namespace
}  // namespace ff::relay
