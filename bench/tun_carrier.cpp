// What a TUN device carries when the stack behind it costs nothing: the servers of ports.hpp without a TCP. It answers
// as a TCP would in the good case, keeps three numbers for one bulk connection and none for short ones, never looks at
// a checksum, and gives bytes that are all zero so that theirs are none. No stack can be faster over the same device.
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "device/tun.hpp"
#include "measure.hpp"
#include "ports.hpp"
#include "wire/checksum.hpp"
#include "wire/endian.hpp"
#include "wire/ip.hpp"
#include "wire/tcp.hpp"

namespace ff::bench {
namespace {

using wire::TcpFlags;

constexpr std::uint32_t kMss = 1460;
constexpr std::uint32_t kIpHeader = wire::kIpv4HeaderSize;
constexpr std::uint32_t kHeaders = kIpHeader + wire::kTcpHeaderSize;
constexpr WindowScale kScale{7};
constexpr std::uint32_t kWindow = 4u << 20;
constexpr Seq kFirstSeq{1000};

// The virtio-net header before each packet when offloads are on.
struct OffloadHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_size = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
};

// What of a received segment matters here. Addresses and ports are turned round: those of the answer.
struct Arrived {
  wire::IpHeader reply_ip;
  wire::TcpHeader segment;
  std::uint32_t payload = 0;
  [[nodiscard]] std::uint16_t port() const noexcept { return segment.destination_port; }
};

class Carrier {
 public:
  Carrier(int tun, bool offload) : tun_(tun), offload_(offload) {}

  [[noreturn]] void run() {
    for (;;) {
      pollfd ready{tun_, POLLIN, 0};
      const int count = ::poll(&ready, 1, 200);
      if (count == 0) bulk_.next = bulk_.acknowledged;  // something was lost: again from there
      bool acknowledge = false;
      for (int i = 0; i < 64; ++i) {
        const ssize_t size = ::read(tun_, buffer_.data(), buffer_.size());
        if (size <= 0) break;
        const auto arrived = parse(static_cast<std::uint32_t>(size));
        if (!arrived) continue;
        if (arrived->port() >= kFirstShortPort) {
          answer(*arrived);
        } else {
          acknowledge |= bulk_arrives(*arrived);
        }
      }
      if (bulk_.source) {
        give();
      } else if (acknowledge) {
        emit_bulk(bulk_.next, TcpFlags::kAck, 0);
      }
    }
  }

 private:
  // The one bulk connection there is at a time.
  struct Bulk {
    wire::IpHeader ip;
    std::uint16_t local_port = 0, remote_port = 0;
    Seq expected;
    Seq acknowledged = kFirstSeq + 1;
    Seq next = kFirstSeq + 1;
    std::uint32_t window = 0;
    WindowScale scale;
    int duplicates = 0;
    bool source = false;
  };

  std::optional<Arrived> parse(std::uint32_t size) {
    const std::uint32_t before = offload_ ? sizeof(OffloadHeader) : 0;
    if (size < before + kHeaders || buffer_[before] != 0x45 || buffer_[before + 9] != wire::protocol::kTcp) {
      return std::nullopt;
    }
    const ByteSpan packet(buffer_.data() + before, size - before);
    const auto tcp = wire::parse_tcp(packet.subspan(kIpHeader));
    if (!tcp || tcp->header.flags.rst()) return std::nullopt;
    Arrived arrived;
    arrived.reply_ip.source = IpAddress::v4(packet.subspan<16, 4>());
    arrived.reply_ip.destination = IpAddress::v4(packet.subspan<12, 4>());
    arrived.reply_ip.protocol = wire::protocol::kTcp;
    arrived.segment = tcp->header;
    arrived.payload = tcp->payload_size;
    return arrived;
  }

  // Short connections: each answer follows from the segment alone.
  void answer(const Arrived& arrived) {
    const wire::TcpHeader& in = arrived.segment;
    wire::TcpHeader out;
    out.source_port = in.destination_port;
    out.destination_port = in.source_port;
    out.seq = in.ack;
    out.ack = in.seq + arrived.payload;
    if (in.flags.syn()) return syn_ack(arrived);
    if (arrived.payload > 0) {
      out.flags.bits = TcpFlags::kAck | TcpFlags::kPsh;
      return emit(arrived.reply_ip, out, kMessage);
    }
    if (!in.flags.fin()) return;
    out.ack += 1;
    out.flags.bits = TcpFlags::kAck | TcpFlags::kFin;
    emit(arrived.reply_ip, out, 0);
  }

  void syn_ack(const Arrived& arrived) {
    wire::TcpHeader out;
    out.source_port = arrived.segment.destination_port;
    out.destination_port = arrived.segment.source_port;
    out.seq = kFirstSeq;
    out.ack = arrived.segment.seq + 1;
    out.flags.bits = TcpFlags::kSyn | TcpFlags::kAck;
    out.options.mss = kMss;
    out.options.window_scale = kScale;
    emit(arrived.reply_ip, out, 0);
  }

  // Says whether an acknowledgement is due.
  bool bulk_arrives(const Arrived& arrived) {
    const wire::TcpHeader& in = arrived.segment;
    if (in.flags.syn()) {
      bulk_ = {};
      bulk_.ip = arrived.reply_ip;
      bulk_.local_port = in.destination_port;
      bulk_.remote_port = in.source_port;
      bulk_.expected = in.seq + 1;
      bulk_.scale = in.options.window_scale.value_or(WindowScale{});
      bulk_.window = in.window.raw;
      syn_ack(arrived);
      return false;
    }
    if (in.source_port != bulk_.remote_port) return false;
    bulk_.source = bulk_.local_port == kSourcePort;  // from the handshake's last ACK on
    const std::uint32_t window = in.window.bytes(bulk_.scale);
    if (after(in.ack, bulk_.acknowledged)) {
      bulk_.acknowledged = in.ack;
      bulk_.next = later_of(bulk_.next, in.ack);
      bulk_.duplicates = 0;
    } else if (bulk_.source && arrived.payload == 0 && window == bulk_.window && ++bulk_.duplicates == 3) {
      bulk_.next = bulk_.acknowledged;
    }
    bulk_.window = window;
    if (in.seq == bulk_.expected) bulk_.expected += arrived.payload;
    if (in.flags.fin() && in.seq + arrived.payload == bulk_.expected) {
      bulk_.expected += 1;
      emit_bulk(bulk_.next, TcpFlags::kAck | TcpFlags::kFin, 0);
      bulk_ = {};
      return false;
    }
    return arrived.payload > 0;
  }

  // As much as the window holds, but for a look at the acknowledgements now and then.
  void give() {
    const std::uint32_t size = offload_ ? 44 * kMss : kMss;
    for (int i = 0; i < (offload_ ? 256 : 32); ++i) {
      if (static_cast<std::uint32_t>(bulk_.next - bulk_.acknowledged) + size > bulk_.window) return;
      emit_bulk(bulk_.next, TcpFlags::kAck, size);
      bulk_.next += size;
    }
  }

  void emit_bulk(Seq seq, std::uint8_t flags, std::uint32_t payload) {
    wire::TcpHeader out;
    out.source_port = bulk_.local_port;
    out.destination_port = bulk_.remote_port;
    out.seq = seq;
    out.ack = bulk_.expected;
    out.flags.bits = flags;
    emit(bulk_.ip, out, payload);
  }

  void emit(const wire::IpHeader& ip, wire::TcpHeader& header, std::uint32_t payload) {
    header.window = WireWindow::of(kWindow, header.flags.syn() ? WindowScale{} : kScale);
    std::array<std::uint8_t, sizeof(OffloadHeader) + 128> bytes;
    std::uint8_t* const packet = bytes.data() + sizeof(OffloadHeader);
    const auto tcp_size = static_cast<std::uint32_t>(wire::emit_tcp(header, packet + kIpHeader));
    wire::emit_ip(ip, tcp_size + payload, packet);

    const bool offload = offload_ && payload > 0;
    wire::ChecksumAccumulator sum;
    sum.add_pseudo_header(ip.source, ip.destination, ip.protocol, tcp_size + payload);
    if (!offload) sum.add({packet + kIpHeader, tcp_size});
    wire::store_be16(packet + kIpHeader + 16, offload ? sum.folded() : sum.checksum());

    OffloadHeader head;
    if (offload) {
      head = {1, 0, kHeaders, 0, kIpHeader, 16};
      if (payload > kMss) {
        head.gso_type = 1;
        head.gso_size = kMss;
      }
    }
    std::memcpy(bytes.data(), &head, sizeof head);
    const std::size_t skip = offload_ ? 0 : sizeof(OffloadHeader);
    const std::array<iovec, 2> pieces{iovec{bytes.data() + skip, sizeof(OffloadHeader) - skip + kIpHeader + tcp_size},
                                      iovec{zeros_.data(), payload}};
    (void)!::writev(tun_, pieces.data(), payload > 0 ? 2 : 1);
  }

  int tun_;
  bool offload_;
  Bulk bulk_;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(70000);
  std::vector<std::uint8_t> zeros_ = std::vector<std::uint8_t>(65536);
};

int main(int argc, char** argv) {
  TunOptions tun;
  bool plain = false;
  CLI::App app("What a TUN device carries without a TCP behind it.");
  app.add_option("device", tun.name, "the TUN device")->required();
  app.add_flag("--plain", plain, "no offloads");
  CLI11_PARSE(app, argc, argv);
  tun.offload = !plain;
  auto device = TunDevice::open(tun);
  if (!device) throw std::runtime_error(device.error());
  Carrier carrier((*device)->poll_descriptor(), !plain);
  fmt::print("ready\n");
  std::fflush(stdout);
  carrier.run();
}

}  // namespace
}  // namespace ff::bench

int main(int argc, char** argv) {
  try {
    return ff::bench::main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "tun_carrier: {}\n", error.what());
    return 1;
  }
}
