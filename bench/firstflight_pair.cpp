#include "firstflight_pair.hpp"

#include <stdexcept>

#include "measure.hpp"

namespace ff::bench {
namespace {

const IpAddress kClient = IpAddress::v4(192, 0, 2, 1);
const IpAddress kServer = IpAddress::v4(192, 0, 2, 2);
constexpr std::uint16_t kBulkPort = 5001;
// So many ports make room for a million TIME_WAIT entries; a prime, so that all pairs of ports come about.
constexpr std::uint16_t kFirstPort = 6000;
constexpr std::uint16_t kPorts = 61;
// Packets, or super-segments, that fit on the link: what is under way should stay in the processor's cache.
constexpr std::size_t kQueuedPackets = 128;
constexpr std::size_t kQueuedSuperSegments = 4;
// How much a host receives before it answers, as in the run loop.
constexpr int kBatch = 64;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error("firstflight: " + std::string(to_string(result.error())));
  if constexpr (!std::is_void_v<T>) return *result;
}

StackConfig config(std::uint64_t seed, const Settings& settings) {
  StackConfig result;
  result.seed = Seed::from_number(seed);
  result.settings = settings;
  return result;
}

}  // namespace

FirstflightPair::Host::Host(std::uint64_t seed, const Settings& settings, Device& its_device, const IpAddress& address)
    : stack(config(seed, settings)), device(its_device) {
  InterfaceConfig interface;
  interface.name = "memory";
  interface.mtu = device.mtu();
  interface.addresses = {Cidr{address, 24}};
  must(stack.add_interface(interface));
}

bool FirstflightPair::Host::receive(Instant now) {
  int packets = 0;
  while (packets < kBatch && device.receive(rx)) {
    ++packets;
    stack.handle_packet(now, 0, std::move(rx));
  }
  return packets > 0;
}

bool FirstflightPair::Host::transmit(Instant now) {
  bool any = false;
  while (tx_waits || stack.poll_transmit(now, tx)) {
    tx_waits = device.send(now, tx) == Device::SendResult::Full;
    if (tx_waits) return any;
    if (tx.payload_size > 0) ++data_packets;
    any = true;
  }
  return any;
}

FirstflightPair::FirstflightPair(const FirstflightPairOptions& options)
    : link_({.queue_packets = options.segment ? kQueuedPackets : kQueuedSuperSegments, .segment = options.segment}),
      client_(1, options.settings, link_.a(), kClient),
      server_(2, options.settings, link_.b(), kServer),
      stack_time_(wall_now()) {
  bulk_listener_ = must(server_.stack.listen({.local = {kServer, kBulkPort}}));
  for (std::uint16_t i = 0; i < kPorts; ++i) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + i);
    listeners_.push_back(must(server_.stack.listen({.local = {kServer, port}, .user_data = i})));
  }
}

void FirstflightPair::expire(Instant now) {
  if (client_.stack.next_deadline() <= now) client_.stack.handle_deadline(now);
  if (server_.stack.next_deadline() <= now) server_.stack.handle_deadline(now);
}

template <typename ClientEvent, typename ServerEvent>
bool FirstflightPair::turn(Instant now, ClientEvent&& client_event, ServerEvent&& server_event) {
  bool busy = client_.transmit(now);
  busy |= server_.receive(now);
  while (const auto event = server_.stack.poll_event()) server_event(*event);
  busy |= server_.transmit(now);
  busy |= client_.receive(now);
  while (const auto event = client_.stack.poll_event()) client_event(*event);
  return busy;
}

Duration FirstflightPair::move(std::uint64_t bytes, const Bulk& how) {
  const Duration start = processor_time();
  Instant now = std::max(wall_now(), stack_time_);
  const std::uint64_t packets_before = client_.data_packets;

  const ConnectionId out = must(client_.stack.connect(now, {.remote = {kServer, kBulkPort}}));
  ConnectionId in;
  std::uint64_t written = 0;
  std::uint64_t arrived = 0;
  bool over = false;

  const auto write = [&] {
    while (written < bytes) {
      const ByteSpan piece = stream_.at(written, std::min<std::uint64_t>(bytes - written, 65536));
      if (how.copying_write) {
        const auto taken = client_.stack.write(now, out, piece);
        if (!taken) return;
        written += *taken;
      } else {
        if (!client_.stack.write(now, out, Slice::unowned(piece))) return;
        written += piece.size();
      }
    }
    must(client_.stack.shutdown_write(now, out));
  };
  const auto read = [&] {
    while (const auto piece = server_.stack.read_slice(now, in)) {
      if (piece->empty()) return void(over = true);
      if (how.verify && !stream_.matches(arrived, piece->span())) throw std::runtime_error("firstflight: wrong bytes");
      arrived += piece->size();
    }
  };
  const auto client_event = [&](const Event& event) {
    if ((event.bits & (event_bits::kEstablished | event_bits::kWritable)) != 0) write();
  };
  const auto server_event = [&](const Event& event) {
    if ((event.bits & event_bits::kAcceptable) != 0) in = must(server_.stack.accept(event.listener));
    if ((event.bits & event_bits::kReadable) != 0) read();
  };
  while (!over) {
    now = std::max(wall_now(), stack_time_);
    expire(now);
    turn(now, client_event, server_event);
  }
  if (arrived != bytes) throw std::runtime_error("firstflight: bytes are missing");
  must(server_.stack.close(now, in));
  must(client_.stack.close(now, out));
  const auto ignore = [](const Event&) {};
  while (turn(now, ignore, ignore)) {
  }
  stack_time_ = now;
  data_packets_ = client_.data_packets - packets_before;
  return processor_time() - start;
}

Duration FirstflightPair::connect_and_close(std::uint64_t count, Duration step) {
  const Duration start = processor_time();
  std::uint64_t closed = 0;
  const auto client_event = [&](const Event& event) {
    if ((event.bits & event_bits::kEstablished) != 0) must(client_.stack.close(stack_time_, event.connection));
  };
  const auto server_event = [&](const Event& event) {
    if ((event.bits & event_bits::kAcceptable) != 0) must(server_.stack.accept(event.listener));
    if ((event.bits & event_bits::kPeerClosed) != 0) {
      must(server_.stack.close(stack_time_, event.connection));
      ++closed;
    }
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    stack_time_ += step;
    expire(stack_time_);
    const auto port = static_cast<std::uint16_t>(kFirstPort + opened_++ % kPorts);
    must(client_.stack.connect(stack_time_, {.remote = {kServer, port}}));
    while (turn(stack_time_, client_event, server_event)) {
    }
  }
  if (closed != count) throw std::runtime_error("firstflight: not every connection was closed");
  return processor_time() - start;
}

}  // namespace ff::bench
