// A UDP program over firstflight, for the tests against the kernel.
//
//   datagram_peer ADDRESS PREFIX_LENGTH DEVICE echo PORT
//     Sends every datagram back to where it came from. One that says "stop" ends the program.
//   datagram_peer ADDRESS PREFIX_LENGTH DEVICE ask HOST PORT COUNT SIZE
//     Sends COUNT datagrams of SIZE bytes one after the other, and expects each back as it was. Prints "COUNT echoed",
//     or the error that the network reported.
//   datagram_peer ADDRESS PREFIX_LENGTH DEVICE hold PORT HOST CONTROL
//     Has four sockets that nobody reads, one at each of the ports from PORT on: at ADDRESS, at every address, at every
//     IPv6 address alone, and one connected to port 9 of HOST. CONTROL: where its control socket is to be.
//
// DEVICE: "tun:NAME" or "tap:NAME", which exists and is up.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

#include "device/tun.hpp"
#include "firstflight/stack.hpp"
#include "runtime/control_service.hpp"
#include "runtime/control_socket.hpp"
#include "runtime/loop.hpp"

namespace ff {
namespace {

constexpr Duration kPatience = std::chrono::seconds(5);

struct Program {
  Program(const std::string& address, int prefix_length, const std::string& device_name)
      : stack(StackConfig{.seed = Seed::from_number(7)}), loop(stack) {
    const bool ethernet = device_name.starts_with("tap:");
    auto opened = TunDevice::open({.name = device_name.substr(4), .create = false, .ethernet = ethernet});
    if (!opened) throw std::runtime_error(opened.error());
    device = std::move(*opened);
    own = IpAddress::parse(address).value();
    InterfaceConfig config;
    config.mtu = device->mtu();
    config.addresses = {Cidr{own, static_cast<std::uint8_t>(prefix_length)}};
    if (ethernet) config.mac = MacAddress{{2, 0, 0, 0, 0, 7}};
    loop.add_device(stack.add_interface(config).value(), *device);
  }

  void open(std::uint16_t port) {
    socket = stack.open({.local = {own, port}}).value();
    loop.on_event([this](Instant now, const Event&) { on_event(now); });
  }

  void echo(std::uint16_t port) {
    on_event = [this](Instant now) {
      while (auto datagram = stack.receive(socket)) {
        if (datagram->bytes.text() == "stop") loop.stop();
        (void)stack.send(now, socket, datagram->bytes, datagram->source);
      }
    };
    open(port);
    fmt::print("ready\n");
    std::fflush(stdout);
    loop.run();
  }

  int ask(const Endpoint& remote, int count, std::size_t size) {
    std::string payload(size, '\0');
    int echoed = 0;
    std::optional<Error> error;
    const auto send = [&](Instant now) {
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 31 + static_cast<unsigned>(echoed));
      (void)stack.send(now, socket, Slice::copy_of(as_bytes(payload)));
    };
    on_event = [&](Instant now) {
      for (;;) {
        const auto datagram = stack.receive(socket);
        if (!datagram && datagram.error() == Error::WouldBlock) return;
        if (!datagram || datagram->bytes.text() != payload || datagram->source != remote) {
          error = datagram ? Error::InvalidArgument : datagram.error();
          return loop.stop();
        }
        if (++echoed == count) return loop.stop();
        send(now);
      }
    };
    open(0);
    if (!stack.connect(socket, remote)) throw std::runtime_error("connect");
    loop.call_after(Duration::zero(), send);
    loop.call_after(kPatience, [&](Instant) { loop.stop(); });
    loop.run();
    fmt::print("{}\n", error ? std::string(to_string(*error)) : fmt::format("{} echoed", echoed));
    return echoed == count ? EXIT_SUCCESS : EXIT_FAILURE;
  }

  void hold(std::uint16_t port, const IpAddress& host, const std::string& control) {
    const DatagramOptions wanted[] = {
        {.local = {own, port}},
        {.local = {IpAddress::any_v6(), static_cast<std::uint16_t>(port + 1)}},
        {.local = {IpAddress::any_v6(), static_cast<std::uint16_t>(port + 2)}, .ipv6_only = true},
        {.local = {own, static_cast<std::uint16_t>(port + 3)}}};
    for (const DatagramOptions& options : wanted) socket = stack.open(options).value();
    stack.connect(socket, {host, 9}).value();
    control::Service service(stack, {.program = "datagram_peer", .instance = "test", .pid = 1});
    const ControlSocket answers(loop, control,
                                [&](Instant now, std::string_view line) { return service.respond(now, line); });
    fmt::print("ready\n");
    std::fflush(stdout);
    loop.run();
  }

  IpAddress own;
  std::unique_ptr<TunDevice> device;
  Stack stack;
  Loop loop;
  DatagramId socket;
  std::function<void(Instant)> on_event;
};

int run(int count, char** words) {
  if (count < 6) throw std::runtime_error("see the head of datagram_peer.cpp");
  Program program(words[1], std::atoi(words[2]), words[3]);
  if (std::string(words[4]) == "echo") {
    program.echo(static_cast<std::uint16_t>(std::atoi(words[5])));
    return EXIT_SUCCESS;
  }
  if (std::string(words[4]) == "hold" && count == 8) {
    program.hold(static_cast<std::uint16_t>(std::atoi(words[5])), IpAddress::parse(words[6]).value(), words[7]);
    return EXIT_SUCCESS;
  }
  if (count != 9) throw std::runtime_error("ask HOST PORT COUNT SIZE");
  const Endpoint remote{IpAddress::parse(words[5]).value(), static_cast<std::uint16_t>(std::atoi(words[6]))};
  return program.ask(remote, std::atoi(words[7]), static_cast<std::size_t>(std::atoi(words[8])));
}

}  // namespace
}  // namespace ff

int main(int argc, char** argv) {
  try {
    return ff::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "datagram_peer: {}\n", error.what());
    return 2;
  }
}
