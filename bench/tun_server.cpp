// A firstflight stack behind a TUN device, with the servers of ports.hpp.
#include <CLI/CLI.hpp>
#include <csignal>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "device/tun.hpp"
#include "firstflight/stack.hpp"
#include "measure.hpp"
#include "ports.hpp"
#include "runtime/loop.hpp"

namespace ff::bench {
namespace {

template <typename T>
T must(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + std::string(to_string(result.error())));
  if constexpr (!std::is_void_v<T>) return *result;
}

enum Service : std::uint64_t { kSink, kSource, kAnswer };

class Server {
 public:
  explicit Server(Stack& stack) : stack_(stack) {
    listen(kSinkPort, kSink);
    listen(kSourcePort, kSource);
    for (std::uint16_t i = 0; i < kShortPorts; ++i) {
      listen(static_cast<std::uint16_t>(kFirstShortPort + i), kAnswer);
    }
  }

  void handle(Instant now, const Event& event) {
    if ((event.bits & event_bits::kAcceptable) != 0) {
      while (stack_.accept(event.listener)) {
      }
      return;
    }
    if ((event.bits & event_bits::kClosed) != 0) {
      (void)stack_.close(now, event.connection);
      return;
    }
    switch (event.user_data & 3) {
      case kSink:
        return sink(now, event);
      case kSource:
        return source(now, event);
      default:
        return answer(now, event);
    }
  }

 private:
  void listen(std::uint16_t port, Service service) {
    ListenOptions options;
    options.local = {IpAddress::any_v4(), port};
    options.fast_open_queue = 4096;
    options.user_data = service;
    must(stack_.listen(options), "listen");
  }

  void sink(Instant now, const Event& event) {
    while (const auto piece = stack_.read_slice(now, event.connection)) {
      if (piece->empty()) return void(stack_.close(now, event.connection));
    }
  }

  void source(Instant now, const Event& event) {
    if ((event.bits & event_bits::kPeerClosed) != 0) return void(stack_.abort(now, event.connection));
    while (stack_.write(now, event.connection, Slice::unowned(bulk_))) {
    }
  }

  // The high bits of the user data count the bytes of the request.
  void answer(Instant now, const Event& event) {
    std::uint64_t received = event.user_data >> 2;
    while (const auto piece = stack_.read_slice(now, event.connection)) {
      if (piece->empty()) return void(stack_.close(now, event.connection));
      const bool complete_before = received >= kMessage;
      received += piece->size();
      if (!complete_before && received >= kMessage) {
        must(stack_.write(now, event.connection, Slice::unowned(answer_)), "write");
      }
    }
    (void)stack_.set_user_data(event.connection, received << 2 | kAnswer);
  }

  Stack& stack_;
  std::vector<std::uint8_t> bulk_ = std::vector<std::uint8_t>(65536, 'x');
  std::vector<std::uint8_t> answer_ = std::vector<std::uint8_t>(kMessage, 'a');
};

int main(int argc, char** argv) {
  TunOptions tun;
  std::string address;
  bool plain = false;
  CLI::App app("firstflight behind a TUN device.");
  app.add_option("device", tun.name, "the TUN device")->required();
  app.add_option("address", address, "the stack's, as in 192.0.2.2/24")->required();
  app.add_flag("--plain", plain, "no offloads: packets of the MTU, checksums complete");
  CLI11_PARSE(app, argc, argv);

  tun.offload = !plain;
  auto device = TunDevice::open(tun);
  if (!device) throw std::runtime_error(device.error());
  const auto cidr = Cidr::parse(address);
  if (!cidr) throw std::runtime_error(address + " is no address with a prefix length");

  StackConfig config;
  config.seed = Seed::from_number(1);
  Stack stack(config);
  InterfaceConfig interface;
  interface.name = tun.name;
  interface.mtu = (*device)->mtu();
  interface.addresses = {*cidr};
  const InterfaceId id = must(stack.add_interface(interface), "add_interface");
  Server server(stack);

  Loop loop(stack);
  loop.add_device(id, **device);
  loop.on_event([&](Instant now, const Event& event) { server.handle(now, event); });
  loop.on_signals({SIGINT, SIGTERM}, [&](Instant, int) { loop.stop(); });
  fmt::print("ready\n");
  std::fflush(stdout);
  loop.run();
  return 0;
}

}  // namespace
}  // namespace ff::bench

int main(int argc, char** argv) {
  try {
    return ff::bench::main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "tun_server: {}\n", error.what());
    return 1;
  }
}
