// firstflight in a program of its own: two stacks in one process, joined by a wire of 50 ms each way on a clock that
// the program moves itself. The client visits an echo server twice; the second visit needs one round trip, not two.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "firstflight/stack.hpp"

namespace {

using namespace std::chrono_literals;

// Hands over what one stack sends to the other. Between machines, this is the device; ff::Device is its interface.
void carry(ff::Stack& from, ff::Stack& to, ff::Instant sent, ff::Instant arrives) {
  ff::TxPacket packet;
  while (from.poll_transmit(sent, packet)) {
    std::string bytes(ff::as_text(packet.header()));
    for (const ff::Slice& piece : packet.payload()) bytes += piece.text();
    ff::RxPacket received;
    received.bytes = ff::Slice::adopt(std::move(bytes));
    received.checksum = ff::RxChecksum::Verified;  // it never left this process
    received.segment_size = packet.segment_size;
    to.handle_packet(arrives, 0, std::move(received));
  }
}

ff::Stack make_stack(std::uint64_t seed, const char* address) {
  ff::StackConfig config;
  config.seed = ff::Seed::from_number(seed);  // a real program takes 32 random bytes
  ff::Stack stack(std::move(config));
  ff::InterfaceConfig interface;
  interface.name = "wire";
  interface.addresses = {*ff::Cidr::parse(address)};
  if (!stack.add_interface(std::move(interface))) std::abort();
  return stack;
}

// Sends back whatever comes, until the client has closed its side.
void serve(ff::Stack& server, ff::ListenerId listener, ff::Instant now) {
  while (const auto event = server.poll_event()) {
    if ((event->bits & ff::event_bits::kAcceptable) != 0) {
      while (server.accept(listener)) {
      }
    }
    if ((event->bits & ff::event_bits::kReadable) == 0) continue;
    while (auto bytes = server.read_slice(now, event->connection)) {
      if (bytes->empty()) {
        server.close(now, event->connection);
        break;
      }
      server.write(now, event->connection, *std::move(bytes));
    }
  }
}

struct Visit {
  std::string answer;
  int round_trips = 0;
  ff::FastOpenOutcome fast_open = ff::FastOpenOutcome::NotTried;
};

Visit visit(ff::Stack& client, ff::Stack& server, ff::ListenerId listener, ff::Instant& now) {
  ff::ConnectOptions options;
  options.remote = *ff::Endpoint::parse("192.0.2.1:7");
  options.fast_open = ff::FastOpenMode::Now;
  options.data = ff::Slice::unowned(ff::as_bytes("Hello"));
  const auto connection = client.connect(now, options);
  Visit result;
  if (!connection) return result;
  while (result.answer.empty() && result.round_trips < 10) {
    carry(client, server, now, now + 50ms);
    serve(server, listener, now + 50ms);
    carry(server, client, now + 50ms, now + 100ms);
    now += 100ms;
    ++result.round_trips;
    for (ff::Stack* stack : {&client, &server}) {
      if (stack->next_deadline() <= now) stack->handle_deadline(now);
    }
    if (const auto bytes = client.read_slice(now, *connection)) result.answer = bytes->text();
  }
  if (const auto info = client.info(*connection)) result.fast_open = info->fast_open;
  client.close(now, *connection);
  return result;
}

}  // namespace

int main() {
  ff::Stack server = make_stack(1, "192.0.2.1/24");
  ff::Stack client = make_stack(2, "192.0.2.2/24");
  ff::ListenOptions options;
  options.local = *ff::Endpoint::parse("192.0.2.1:7");
  options.fast_open_queue = 16;
  const auto listener = server.listen(options);
  if (!listener) return 1;

  ff::Instant now{1s};
  bool as_expected = true;
  for (const int expected : {2, 1}) {
    const Visit result = visit(client, server, *listener, now);
    std::printf("\"%s\" came back after %d round trip(s): %s\n", result.answer.c_str(), result.round_trips,
                std::string(ff::to_string(result.fast_open)).c_str());
    as_expected = as_expected && result.answer == "Hello" && result.round_trips == expected;
  }
  return as_expected ? 0 : 1;
}
