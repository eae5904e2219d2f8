#include "relay/stack_network.hpp"

#include "relay/stack_stream.hpp"

namespace ff::relay {
namespace {

constexpr std::uint32_t kFastOpenQueue = 1024;

// A datagram socket, whose user_data leads to this object.
class DatagramSocket {
 public:
  DatagramSocket(Stack& stack, DatagramId socket) : stack_(stack), socket_(socket) {
    (void)stack_.set_user_data(socket_, reinterpret_cast<std::uint64_t>(this));
  }
  virtual ~DatagramSocket() { (void)stack_.close(socket_); }
  DatagramSocket(const DatagramSocket&) = delete;
  DatagramSocket& operator=(const DatagramSocket&) = delete;

  virtual void handle(Instant now) = 0;

 protected:
  [[nodiscard]] Stack& stack() const noexcept { return stack_; }
  [[nodiscard]] DatagramId socket() const noexcept { return socket_; }

 private:
  Stack& stack_;
  DatagramId socket_;
};

class StackDatagrams final : public DatagramChannel, public DatagramSocket {
 public:
  StackDatagrams(Stack& stack, DatagramId socket) : DatagramSocket(stack, socket) {}

  Result<void> send(Instant now, Slice bytes) override {
    auto sent = stack().send(now, socket(), std::move(bytes));
    if (!sent && sent.error() == Error::WouldBlock) return {};
    return sent;
  }
  Result<Slice> receive(Instant /*now*/) override {
    auto datagram = stack().receive(socket());
    if (datagram) return std::move(datagram->bytes);
    while (datagram.error() != Error::WouldBlock && stack().receive_error(socket())) {
    }
    return std::unexpected(datagram.error());
  }
  void handle(Instant now) override { changed(now); }
};

// A socket's events come as to all others.
class StackPort final : public DatagramPort, public DatagramSocket {
 public:
  StackPort(Stack& stack, DatagramId socket) : DatagramSocket(stack, socket) {}

  Result<Arrival> receive(Instant /*now*/) override {
    auto datagram = stack().receive(socket());
    if (!datagram) return std::unexpected(datagram.error());
    return Arrival{{datagram->source, datagram->destination}, std::move(datagram->bytes)};
  }
  void send(Instant now, const Path& path, Slice bytes) override {
    (void)stack().send(now, socket(), std::move(bytes), path.from);
  }
  void handle(Instant now) override { changed(now); }
};

}  // namespace

void StackNetwork::handle_event(Instant now, const Event& event) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the stack gives back what it was given
  if (event.datagram.generation != 0) return reinterpret_cast<DatagramSocket*>(event.user_data)->handle(now);
  if (event.listener.generation == 0) return StackStream::dispatch(now, event);
  for (const Listening& listening : listeners_)
    if (listening.id == event.listener) return accept_all(now, listening);
}

Result<std::unique_ptr<Stream>> StackNetwork::connect(Instant now, const Endpoint& remote, bool fast_open) {
  ConnectOptions options;
  options.remote = remote;
  options.fast_open = fast_open ? FastOpenMode::OnFirstWrite : FastOpenMode::Off;
  options.options.no_delay = true;
  options.options.oob_inline = true;
  const auto connection = stack_.connect(now, options);
  if (!connection) return std::unexpected(connection.error());
  const bool waits = stack_.info(*connection).value().syn_waits_for_write;
  return std::make_unique<StackStream>(stack_, *connection,
                                       waits ? Stream::State::WaitsForWrite : Stream::State::Connecting);
}

Result<std::unique_ptr<DatagramChannel>> StackNetwork::open_datagrams(Instant /*now*/, const Endpoint& remote) {
  return open_channel(remote, DatagramProtocol::Udp);
}

Result<std::unique_ptr<DatagramChannel>> StackNetwork::open_echoes(Instant /*now*/, const IpAddress& remote) {
  return open_channel({remote, 0}, DatagramProtocol::Echo);
}

Result<std::unique_ptr<DatagramChannel>> StackNetwork::open_channel(const Endpoint& remote, DatagramProtocol protocol) {
  const IpAddress any = remote.address.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6();
  // Of an echo request nobody would hear otherwise that its host cannot be reached.
  const bool errors = protocol == DatagramProtocol::Echo;
  const auto socket = stack_.open({.protocol = protocol, .local = {any, 0}, .receive_errors = errors});
  if (!socket) return std::unexpected(socket.error());
  auto channel = std::make_unique<StackDatagrams>(stack_, *socket);
  if (const auto connected = stack_.connect(*socket, remote); !connected) return std::unexpected(connected.error());
  return channel;
}

Result<std::unique_ptr<DatagramPort>> StackNetwork::open_port(const Endpoint& local) {
  const auto socket = stack_.open({.local = local});
  if (!socket) return std::unexpected(socket.error());
  return std::make_unique<StackPort>(stack_, *socket);
}

Result<void> StackNetwork::listen(const Endpoint& local, ArrivalHandler handler) {
  ListenOptions options;
  options.local = local;
  options.fast_open_queue = kFastOpenQueue;
  options.options.no_delay = true;
  options.options.oob_inline = true;
  const auto listener = stack_.listen(options);
  if (!listener) return std::unexpected(listener.error());
  listeners_.push_back({*listener, std::move(handler)});
  return {};
}

void StackNetwork::accept_all(Instant now, const Listening& listening) {
  while (const auto connection = stack_.accept(listening.id)) {
    const Endpoint from = stack_.info(*connection).value().tuple.remote;
    listening.handler(now, {std::make_unique<StackStream>(stack_, *connection, Stream::State::Open), from});
  }
}

}  // namespace ff::relay
