#include "device/tun.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "device/link.hpp"
#include "device/offload_header.hpp"
#include "device/segmenter.hpp"
#include "wire/tcp.hpp"

namespace ff {
namespace {

constexpr std::uint32_t kMaxPacket = 65535;
// Where a received packet starts in the room reserved for it: the offload header fits before it, and the IP header is
// aligned.
constexpr std::uint32_t kPacketOffset = 16;
constexpr std::uint32_t kReadRoom = kPacketOffset + kMaxPacket;

std::string cannot_open_control(int error) {
  switch (error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return "there is no /dev/net/tun on this machine: load it with \"modprobe tun\", or give it to the container "
             "(--device /dev/net/tun)";
    case EACCES:
    case EPERM:
      return "/dev/net/tun may not be opened by this user: run as root";
    default:
      return fmt::format("/dev/net/tun cannot be opened: {}", std::strerror(error));
  }
}

std::string cannot_attach(const std::string& name, bool existed, int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return existed ? fmt::format(
                           "TUN device {} belongs to another user: run as root, or let root make it with "
                           "\"ip tuntap add dev {} mode tun user $USER\"",
                           name, name)
                     : fmt::format(
                           "making TUN device {} needs the capability CAP_NET_ADMIN: run as root, or let root make "
                           "it with \"ip tuntap add dev {} mode tun user $USER\"",
                           name, name);
    case EBUSY:
      return fmt::format("TUN device {} is in use by another program: end that one or choose another name", name);
    case EINVAL:
      return existed
                 ? fmt::format("{} is a network interface of another type, not a TUN device: choose another name", name)
                 : fmt::format("\"{}\" is no name for a TUN device: choose another", name);
    default:
      return fmt::format("TUN device {} cannot be opened: {}", name, std::strerror(error));
  }
}

// Creates or attaches to the device; says the name that it has, or an errno value.
std::expected<std::string, int> attach(int control, const TunOptions& options) {
  ifreq request{};
  options.name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  const int flags = IFF_TUN | IFF_NO_PI | (options.offload ? IFF_VNET_HDR : 0);
  request.ifr_flags = static_cast<short>(flags);
  if (::ioctl(control, TUNSETIFF, &request) == 0) return request.ifr_name;
  if (errno != EINVAL) return std::unexpected(errno);
  // A device made with multi_queue wants each attachment to say so.
  request.ifr_flags = static_cast<short>(flags | IFF_MULTI_QUEUE);
  if (link::exists(options.name) && ::ioctl(control, TUNSETIFF, &request) == 0) return request.ifr_name;
  return std::unexpected(EINVAL);
}

// Sets what the last user of a persistent device may have left otherwise.
int set_offload(int control, bool offload) {
  int header = kOffloadHeader;
  if (offload && ::ioctl(control, TUNSETVNETHDRSZ, &header) != 0) return errno;
  const unsigned long features = offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN : 0;
  return ::ioctl(control, TUNSETOFFLOAD, features) == 0 ? 0 : errno;
}

OffloadHeader offload_header(const TxPacket& packet) noexcept {
  OffloadHeader head{};
  if (packet.checksum_wanted) {
    head.flags = OffloadHeader::kNeedsChecksum;
    head.checksum_start = packet.checksum_start;
    head.checksum_offset = packet.checksum_offset;
  }
  // Also for a packet without segments: how much the kernel lays out in one piece.
  head.header_size = packet.header_size;
  if (packet.segment_size != 0 && packet.payload_size > packet.segment_size) {
    const bool v4 = packet.header_bytes[0] >> 4 == 4;
    head.gso_type = v4 ? OffloadHeader::kGsoTcp4 : OffloadHeader::kGsoTcp6;
    const std::uint8_t tcp_flags = packet.header_bytes[packet.checksum_start + 13u];
    if ((tcp_flags & wire::TcpFlags::kCwr) != 0) head.gso_type |= OffloadHeader::kGsoEcn;
    head.gso_size = packet.segment_size;
  }
  return head;
}

}  // namespace

std::expected<std::unique_ptr<TunDevice>, std::string> TunDevice::open(const TunOptions& options) {
  if (options.name.size() >= IFNAMSIZ) {
    return std::unexpected(fmt::format("\"{}\" is no name for a TUN device: it may have at most {} characters",
                                       options.name, IFNAMSIZ - 1));
  }
  const bool existed = !options.name.empty() && link::exists(options.name);
  if (!existed && !options.create) {
    return std::unexpected(fmt::format("there is no TUN device {}: make it with \"ip tuntap add dev {} mode tun\"",
                                       options.name, options.name));
  }
  FileDescriptor control(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!control) return std::unexpected(cannot_open_control(errno));
  const auto name = attach(control.get(), options);
  if (!name) return std::unexpected(cannot_attach(options.name, existed, name.error()));
  if (const int error = set_offload(control.get(), options.offload); error != 0) {
    return std::unexpected(fmt::format("the offloads of TUN device {} cannot be switched {}: {}", *name,
                                       options.offload ? "on; try without" : "off", std::strerror(error)));
  }
  std::unique_ptr<TunDevice> device(new TunDevice(std::move(control), options.offload, *name, !existed));
  if (auto known = device->refresh_mtu(); !known) return std::unexpected(known.error());
  return device;
}

TunDevice::TunDevice(FileDescriptor control, bool offload, std::string name, bool created)
    : control_(std::move(control)),
      offload_(offload),
      created_(created),
      name_(std::move(name)),
      slabs_(kReadRoom),
      cut_(offload ? 0 : kMaxPacket + kMaxHeader) {}

std::expected<void, std::string> TunDevice::refresh_mtu() {
  const auto mtu = link::mtu(name_);
  if (!mtu) return std::unexpected(mtu.error());
  mtu_ = *mtu;
  return {};
}

bool TunDevice::receive(RxPacket& packet) {
  packet.bytes = Slice();  // often the last reference to the slab: then the same memory takes this packet
  std::uint8_t* room = slabs_.reserve(kReadRoom);
  const std::uint32_t head_size = offload_ ? kOffloadHeader : 0;
  ssize_t size;
  do {
    size = ::read(control_.get(), room + kPacketOffset - head_size, head_size + kMaxPacket);
  } while (size < 0 && errno == EINTR);
  if (size < static_cast<ssize_t>(head_size)) {
    if (size >= 0 || errno != EAGAIN) ++counters_.receive_errors;
    return false;
  }

  packet.checksum = RxChecksum::Unverified;
  packet.segment_size = 0;
  if (offload_) {
    OffloadHeader head;
    std::memcpy(&head, room + kPacketOffset - head_size, sizeof head);
    // NEEDS_CSUM: the packet comes from this machine and its checksum field holds the pseudo-header's sum alone.
    if ((head.flags & (OffloadHeader::kNeedsChecksum | OffloadHeader::kDataValid)) != 0) {
      packet.checksum = RxChecksum::Verified;
    }
    if (head.gso_type != OffloadHeader::kGsoNone) packet.segment_size = head.gso_size;
  }
  packet.bytes = slabs_.commit(kPacketOffset, static_cast<std::uint32_t>(size) - head_size);
  ++counters_.receives;
  return true;
}

template <typename Write>
Device::SendResult TunDevice::transfer(Write&& write) {
  ssize_t written;
  do {
    written = write();
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    if (errno == EAGAIN) return SendResult::Full;
    ++counters_.send_drops;
    return SendResult::Sent;
  }
  ++counters_.sends;
  return SendResult::Sent;
}

Device::SendResult TunDevice::send(Instant /*now*/, TxPacket& packet) {
  return offload_ ? send_offloaded(packet) : send_plain(packet);
}

Device::SendResult TunDevice::send_offloaded(const TxPacket& packet) {
  // Offload header and packet header in one piece: a packet without payload needs no gathering.
  std::array<std::uint8_t, kOffloadHeader + kMaxHeader> head;
  const OffloadHeader offload = offload_header(packet);
  std::memcpy(head.data(), &offload, kOffloadHeader);
  std::memcpy(head.data() + kOffloadHeader, packet.header_bytes.data(), packet.header_size);
  const std::size_t head_size = kOffloadHeader + std::size_t{packet.header_size};
  if (packet.payload_piece_count == 0) {
    return transfer([&] { return ::write(control_.get(), head.data(), head_size); });
  }
  std::array<iovec, 1 + kMaxPayloadPieces> pieces;
  pieces[0] = {head.data(), head_size};
  int count = 1;
  for (const Slice& piece : packet.payload()) {
    pieces[static_cast<std::size_t>(count++)] = {const_cast<std::uint8_t*>(piece.data()), piece.size()};
  }
  return transfer([&] { return ::writev(control_.get(), pieces.data(), count); });
}

Device::SendResult TunDevice::send_plain(const TxPacket& packet) {
  Segmenter segmenter(packet);
  for (bool first = true; segmenter.remaining() > 0; first = false) {
    const std::uint32_t size = segmenter.next(cut_.data());
    if (transfer([&] { return ::write(control_.get(), cut_.data(), size); }) == SendResult::Sent) continue;
    if (first) return SendResult::Full;
    // A packet cannot be given back in part: the rest is lost, as it would be in a full queue of the path.
    counters_.send_drops += segmenter.remaining() + 1;
    break;
  }
  return SendResult::Sent;
}

}  // namespace ff
