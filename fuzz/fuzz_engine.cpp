// The engine under operations in any order: commands, time, segments forged with or without knowledge of its sequence
// numbers, raw packets, and a second stack behind a link that loses, repeats and reorders. After each operation every
// invariant must hold.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <vector>

#include "device/segmenter.hpp"
#include "firstflight/stack.hpp"
#include "wire/checksum.hpp"
#include "wire/tcp.hpp"

namespace ff {
namespace {

constexpr std::size_t kMaxOperations = 400;
constexpr std::size_t kMaxQueued = 64;

const IpAddress kOurs4 = IpAddress::v4(192, 0, 2, 1);
const IpAddress kPeer4 = IpAddress::v4(192, 0, 2, 2);
const IpAddress kForger4 = IpAddress::v4(192, 0, 2, 3);
const IpAddress kOurs6 = *IpAddress::parse("2001:db8::1");
const IpAddress kPeer6 = *IpAddress::parse("2001:db8::2");
const IpAddress kForger6 = *IpAddress::parse("2001:db8::3");

// What the stack last said on a four-tuple: where forged segments aim.
struct Seen {
  FourTuple tuple;
  Seq their_next;
  Seq their_ack;
};

struct Host {
  Stack stack;
  std::vector<ListenerId> listeners;
  std::vector<ConnectionId> connections;
  std::optional<BindingId> binding{};

  Host(std::uint64_t seed, const Settings& settings, const IpAddress& v4, const IpAddress& v6)
      : stack(StackConfig{Seed::from_number(seed), settings, 64, std::nullopt}) {
    InterfaceConfig interface;
    interface.addresses = {Cidr{v4, 24}, Cidr{v6, 64}};
    if (!stack.add_interface(interface)) std::abort();
  }
};

class EngineFuzz {
 public:
  explicit EngineFuzz(FuzzedDataProvider& data)
      : data_(data), ours_(1, settings(), kOurs4, kOurs6), peer_(2, settings(), kPeer4, kPeer6) {}

  void run() {
    for (std::size_t i = 0; i < kMaxOperations && data_.remaining_bytes() > 0; ++i) {
      operate();
      pump(ours_, to_peer_);
      pump(peer_, to_ours_);
      verify(ours_);
      verify(peer_);
    }
  }

 private:
  Settings settings() {
    Settings s;
    s.tcp_fastopen = data_.PickValueInArray<std::uint32_t>({0x0, 0x1, 0x3, 0x7, 0x203, 0x403, 0x607});
    s.tcp_timestamps = data_.ConsumeBool();
    s.tcp_sack = data_.ConsumeBool();
    s.tcp_window_scaling = data_.ConsumeBool();
    s.tcp_abort_on_overflow = data_.ConsumeBool();
    s.tcp_migrate_req = data_.ConsumeBool();
    s.tcp_tw_reuse = data_.ConsumeIntegralInRange<std::uint32_t>(0, 2);
    if (data_.ConsumeBool()) s.ip_local_port_range = {1000, 1003};
    s.somaxconn = data_.ConsumeIntegralInRange<std::uint32_t>(0, 8);
    s.tcp_max_tw_buckets = data_.ConsumeIntegralInRange<std::uint32_t>(0, 8);
    s.tcp_rmem.initial = data_.PickValueInArray<std::uint32_t>({4096, 16384, 131072});
    return s;
  }

  void operate() {
    Host& host = data_.ConsumeBool() ? ours_ : peer_;
    switch (data_.ConsumeIntegralInRange<int>(0, 14)) {
      case 0:
        return listen(host);
      case 1:
        return connect(host);
      case 2:
        return accept(host);
      case 3:
        return read(host);
      case 4:
        return write(host);
      case 5:
        return finish(host);
      case 6:
        return advance();
      case 7:
      case 8:
        return forge();
      case 9:
        return raw();
      case 10:
        return bind(host);
      default:
        return carry();
    }
  }

  SocketOptions reuse() {
    SocketOptions options;
    options.reuse_addr = data_.ConsumeBool();
    options.reuse_port = data_.ConsumeBool();
    return options;
  }

  void bind(Host& host) {
    BindOptions options;
    options.local = {data_.ConsumeBool() ? IpAddress::any_v6() : IpAddress::any_v4(),
                     data_.PickValueInArray<std::uint16_t>({80, 1000, 0})};
    options.ipv6_only = data_.ConsumeBool();
    options.options = reuse();
    if (host.binding) (void)host.stack.close(*host.binding);
    host.binding.reset();
    if (const auto id = host.stack.bind(options)) host.binding = *id;
  }
  // Stale ones are tried, too.
  std::optional<BindingId> binding(const Host& host) {
    return host.binding && data_.ConsumeBool() ? host.binding : std::nullopt;
  }

  void listen(Host& host) {
    ListenOptions options;
    options.options = reuse();
    options.binding = binding(host);
    options.local = {data_.ConsumeBool() ? IpAddress::any_v6() : (&host == &ours_ ? kOurs4 : kPeer4),
                     data_.PickValueInArray<std::uint16_t>({80, 81})};
    options.backlog = data_.ConsumeIntegralInRange<std::uint32_t>(0, 4);
    if (data_.ConsumeBool()) options.fast_open_queue = data_.ConsumeIntegralInRange<std::uint32_t>(0, 3);
    if (const auto id = host.stack.listen(options)) host.listeners.push_back(*id);
  }

  void connect(Host& host) {
    ConnectOptions options;
    options.options = reuse();
    options.binding = binding(host);
    const IpAddress& other4 = &host == &ours_ ? kPeer4 : kOurs4;
    const IpAddress& other6 = &host == &ours_ ? kPeer6 : kOurs6;
    const bool v4 = data_.ConsumeBool();
    const int whom = data_.ConsumeIntegralInRange<int>(0, 3);
    const IpAddress forger = v4 ? kForger4 : kForger6;
    const IpAddress self = v4 ? (&host == &ours_ ? kOurs4 : kPeer4) : (&host == &ours_ ? kOurs6 : kPeer6);
    options.remote = {whom == 0   ? forger
                      : whom == 1 ? self
                                  : (v4 ? other4 : other6),
                      data_.PickValueInArray<std::uint16_t>({80, 81, 1000})};
    if (data_.ConsumeBool())
      options.local = Endpoint{IpAddress::any_v6(), data_.PickValueInArray<std::uint16_t>({80, 1000, 0})};
    options.fast_open = data_.PickValueInArray({FastOpenMode::Off, FastOpenMode::Now, FastOpenMode::OnFirstWrite});
    options.fast_open_no_cookie = data_.ConsumeBool();
    options.data =
        Slice::copy_of(ByteSpan(filler_).first(data_.ConsumeIntegralInRange<std::size_t>(0, filler_.size())));
    if (options.local) options.local->address = self;
    if (const auto id = host.stack.connect(now_, options)) host.connections.push_back(*id);
  }

  void accept(Host& host) {
    for (const ListenerId listener : host.listeners)
      if (const auto id = host.stack.accept(listener)) host.connections.push_back(*id);
  }

  ConnectionId pick(Host& host) {
    return host.connections[data_.ConsumeIntegralInRange<std::size_t>(0, host.connections.size() - 1)];
  }

  void read(Host& host) {
    if (host.connections.empty()) return;
    std::vector<std::uint8_t> into(data_.ConsumeIntegralInRange<std::size_t>(0, 5000));
    if (data_.ConsumeBool()) {
      (void)host.stack.read(now_, pick(host), into);
    } else {
      (void)host.stack.read_slice(now_, pick(host), static_cast<std::uint32_t>(into.size() + 1));
    }
  }

  void write(Host& host) {
    if (host.connections.empty()) return;
    const ByteSpan bytes = ByteSpan(filler_).first(data_.ConsumeIntegralInRange<std::size_t>(0, filler_.size()));
    if (data_.ConsumeBool()) {
      (void)host.stack.write(now_, pick(host), bytes);
    } else {
      (void)host.stack.write(now_, pick(host), Slice::copy_of(bytes));
    }
  }

  void finish(Host& host) {
    const int how = data_.ConsumeIntegralInRange<int>(0, 5);
    if (how == 0 && !host.listeners.empty()) {
      const std::size_t gone = data_.ConsumeIntegralInRange<std::size_t>(0, host.listeners.size() - 1);
      (void)host.stack.close(now_, host.listeners[gone]);
      host.listeners.erase(host.listeners.begin() + static_cast<std::ptrdiff_t>(gone));
      return;
    }
    if (host.connections.empty()) return;
    const ConnectionId id = pick(host);
    switch (how) {
      case 1:
        return void(host.stack.shutdown_write(now_, id));
      case 2:
        return void(host.stack.shutdown_read(now_, id));
      case 3:
        return void(host.stack.abort(now_, id));
      default:
        return void(host.stack.close(now_, id));
    }
  }

  void advance() {
    using namespace std::chrono_literals;
    now_ += data_.PickValueInArray<Duration>({1us, 1ms, 40ms, 200ms, 1s, 3s, 60s, 500s, 1000h});
    ours_.stack.handle_deadline(now_);
    peer_.stack.handle_deadline(now_);
  }

  // A segment to one of the stacks, its numbers near those that the stack uses on that four-tuple.
  void forge() {
    Host& host = data_.ConsumeBool() ? ours_ : peer_;
    Seen seen;
    if (!seen_.empty() && data_.ConsumeBool()) {
      auto it = seen_.begin();
      std::advance(it, data_.ConsumeIntegralInRange<std::size_t>(0, seen_.size() - 1));
      seen = it->second;
    } else {
      const bool v4 = data_.ConsumeBool();
      const IpAddress self = v4 ? (&host == &ours_ ? kOurs4 : kPeer4) : (&host == &ours_ ? kOurs6 : kPeer6);
      seen.tuple = {{self, data_.PickValueInArray<std::uint16_t>({80, 81, 1000})},
                    {v4 ? kForger4 : kForger6, data_.PickValueInArray<std::uint16_t>({80, 5000, 5001})}};
    }
    wire::TcpHeader header;
    header.source_port = seen.tuple.remote.port;
    header.destination_port = seen.tuple.local.port;
    header.seq = seen.their_ack + delta();
    header.ack = seen.their_next + delta();
    header.flags.bits = data_.ConsumeIntegral<std::uint8_t>();
    header.window.raw = data_.PickValueInArray<std::uint16_t>({0, 1, 500, 65535});
    options(header, seen.tuple);
    const ByteSpan payload = ByteSpan(filler_).first(data_.PickValueInArray<std::size_t>({0, 0, 1, 100, 1400, 4000}));

    std::vector<std::uint8_t> packet(128 + payload.size());
    wire::IpHeader ip;
    ip.source = seen.tuple.remote.address;
    ip.destination = seen.tuple.local.address;
    ip.protocol = wire::protocol::kTcp;
    const std::size_t ip_size = ip.source.is_v4() ? wire::kIpv4HeaderSize : wire::kIpv6HeaderSize;
    const std::size_t tcp_size = wire::emit_tcp(header, packet.data() + ip_size);
    wire::emit_ip(ip, tcp_size + payload.size(), packet.data());
    std::copy(payload.begin(), payload.end(), packet.data() + ip_size + tcp_size);
    packet.resize(ip_size + tcp_size + payload.size());
    RxPacket rx{Slice::copy_of(packet), RxChecksum::Verified, 0};
    if (payload.size() > 1400) rx.segment_size = 1400;
    Host& target = seen.tuple.local.address == kPeer4 || seen.tuple.local.address == kPeer6 ? peer_ : ours_;
    target.stack.handle_packet(now_, 0, std::move(rx));
  }

  std::uint32_t delta() {
    return data_.PickValueInArray<std::uint32_t>(
        {0, 0, 0, 1, UINT32_MAX, 100, 1400, 65535, 0x7fffffff, 0x80000000, 0u - 1400});
  }

  void options(wire::TcpHeader& header, const FourTuple& tuple) {
    const auto bits = data_.ConsumeIntegral<std::uint8_t>();
    if (bits & 1) header.options.mss = data_.PickValueInArray<std::uint16_t>({0, 1, 48, 536, 1460, 65535});
    if (bits & 2) header.options.window_scale = WindowScale{data_.ConsumeIntegralInRange<std::uint8_t>(0, 14)};
    if (bits & 4) header.options.sack_permitted = true;
    if (bits & 8)
      header.options.timestamps = wire::Timestamps{Timestamp(data_.ConsumeIntegral<std::uint32_t>()),
                                                   Timestamp(data_.ConsumeIntegral<std::uint32_t>())};
    if (bits & 16) {
      header.options.fast_open.emplace();
      header.options.fast_open->experimental = (bits & 64) != 0;
      if (bits & 32) {
        Stack& stack = tuple.local.address == kPeer4 || tuple.local.address == kPeer6 ? peer_.stack : ours_.stack;
        header.options.fast_open->cookie = stack.fast_open_cookie(tuple.remote.address, tuple.local.address);
      }
    }
    if (bits & 128) header.options.sack.add({header.ack + delta(), header.ack + delta()});
  }

  void raw() {
    const auto bytes = data_.ConsumeBytes<std::uint8_t>(data_.ConsumeIntegralInRange<std::size_t>(0, 120));
    RxPacket packet{Slice::copy_of(bytes), data_.ConsumeBool() ? RxChecksum::Verified : RxChecksum::Unverified,
                    data_.PickValueInArray<std::uint16_t>({0, 0, 1, 536})};
    ours_.stack.handle_packet(now_, 0, std::move(packet));
  }

  // The link between the two: what is on it arrives, now or later, once, twice or not at all.
  void carry() {
    const bool forward = data_.ConsumeBool();
    std::vector<Slice>& link = forward ? to_peer_ : to_ours_;
    Host& to = forward ? peer_ : ours_;
    const int fate = data_.ConsumeIntegralInRange<int>(0, 9);
    for (std::size_t count = data_.ConsumeIntegralInRange<std::size_t>(1, 16); count > 0 && !link.empty(); --count) {
      const std::size_t which = fate == 0 ? link.size() - 1 : 0;
      const Slice packet = link[which];
      if (fate != 1) link.erase(link.begin() + static_cast<std::ptrdiff_t>(which));
      if (fate == 2) continue;
      to.stack.handle_packet(now_, 0, RxPacket{packet, RxChecksum::Unverified, 0});
    }
  }

  void pump(Host& host, std::vector<Slice>& link) {
    TxPacket packet;
    for (int i = 0; i < 1000 && host.stack.poll_transmit(now_, packet); ++i) {
      for_each_wire_packet(packet, scratch_, [&](ByteSpan bytes) {
        note(bytes);
        if (link.size() < kMaxQueued) link.push_back(Slice::copy_of(bytes));
      });
    }
    while (host.stack.poll_event()) {
    }
  }

  void note(ByteSpan bytes) {
    const auto ip = wire::parse_ip(bytes);
    if (!ip) std::abort();  // whatever we send must be well-formed
    if (ip->header.protocol != wire::protocol::kTcp) return;
    const ByteSpan segment = bytes.subspan(ip->payload_offset, ip->payload_size);
    const auto tcp = wire::parse_tcp(segment);
    if (!tcp || !wire::verify_transport_checksum(ip->header, segment)) std::abort();
    const wire::TcpHeader& h = tcp->header;
    if (h.flags.rst()) return;
    Seen seen{{{ip->header.source, h.source_port}, {ip->header.destination, h.destination_port}},
              h.seq + tcp->payload_size + (h.flags.syn() ? 1u : 0u) + (h.flags.fin() ? 1u : 0u),
              h.ack};
    seen_.insert_or_assign(seen.tuple.to_string(), seen);
    if (seen_.size() > 32) seen_.erase(seen_.begin());
  }

  void verify(Host& host) {
    const std::string wrong = host.stack.check();
    if (wrong.empty()) return;
    std::fprintf(stderr, "invariant violated: %s\n", wrong.c_str());
    std::abort();
  }

  FuzzedDataProvider& data_;
  Instant now_{std::chrono::seconds(1)};
  std::array<std::uint8_t, 6000> filler_{};
  std::array<std::uint8_t, 65536> scratch_{};
  Host ours_;
  Host peer_;
  std::vector<Slice> to_peer_;
  std::vector<Slice> to_ours_;
  std::map<std::string, Seen> seen_;
};

}  // namespace
}  // namespace ff

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  ff::EngineFuzz(data).run();
  return 0;
}
