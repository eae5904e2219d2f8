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
// Where the IP header of a received packet starts in the room reserved for it: aligned, with room for offload header
// and Ethernet header before it.
constexpr std::uint32_t kPacketOffset = 32;
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

// "TUN" or "TAP", and what `ip tuntap` calls it.
std::string_view kind_of(const TunOptions& options) { return options.ethernet ? "TAP" : "TUN"; }
std::string_view mode_of(const TunOptions& options) { return options.ethernet ? "tap" : "tun"; }

std::string cannot_attach(const TunOptions& options, bool existed, int error) {
  const std::string& name = options.name;
  const std::string_view kind = kind_of(options), mode = mode_of(options);
  switch (error) {
    case EPERM:
    case EACCES:
      return existed ? fmt::format(
                           "{} device {} belongs to another user: run as root, or let root make it with "
                           "\"ip tuntap add dev {} mode {} user $USER\"",
                           kind, name, name, mode)
                     : fmt::format(
                           "making {} device {} needs the capability CAP_NET_ADMIN: run as root, or let root make "
                           "it with \"ip tuntap add dev {} mode {} user $USER\"",
                           kind, name, name, mode);
    case EBUSY:
      return fmt::format("{} device {} is in use by another program: end that one or choose another name", kind, name);
    case EINVAL:
      return existed ? fmt::format("{} is a network interface of another type, not a {} device: choose another name",
                                   name, kind)
                     : fmt::format("\"{}\" is no name for a {} device: choose another", name, kind);
    default:
      return fmt::format("{} device {} cannot be opened: {}", kind, name, std::strerror(error));
  }
}

// Creates or attaches to the device; says the name that it has, or an errno value.
std::expected<std::string, int> attach(int control, const TunOptions& options) {
  ifreq request{};
  options.name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  const int flags = (options.ethernet ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (options.offload ? IFF_VNET_HDR : 0);
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
    head.checksum_start = static_cast<std::uint16_t>(packet.link_header_size + packet.checksum_start);
    head.checksum_offset = packet.checksum_offset;
  }
  // Also for a packet without segments: how much the kernel lays out in one piece.
  head.header_size = static_cast<std::uint16_t>(packet.link_header_size + packet.header_size);
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
    return std::unexpected(fmt::format("\"{}\" is no name for a {} device: it may have at most {} characters",
                                       options.name, kind_of(options), IFNAMSIZ - 1));
  }
  const bool existed = !options.name.empty() && link::exists(options.name);
  if (!existed && !options.create) {
    return std::unexpected(fmt::format("there is no {} device {}: make it with \"ip tuntap add dev {} mode {}\"",
                                       kind_of(options), options.name, options.name, mode_of(options)));
  }
  FileDescriptor control(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!control) return std::unexpected(cannot_open_control(errno));
  const auto name = attach(control.get(), options);
  if (!name) return std::unexpected(cannot_attach(options, existed, name.error()));
  if (const int error = set_offload(control.get(), options.offload); error != 0) {
    return std::unexpected(fmt::format("the offloads of {} device {} cannot be switched {}: {}", kind_of(options),
                                       *name, options.offload ? "on; try without" : "off", std::strerror(error)));
  }
  std::unique_ptr<TunDevice> device(new TunDevice(std::move(control), options, *name, !existed));
  if (auto known = device->refresh_mtu(); !known) return std::unexpected(known.error());
  return device;
}

std::unique_ptr<TunDevice> TunDevice::adopt(FileDescriptor control, const TunOptions& options, std::uint16_t mtu) {
  std::unique_ptr<TunDevice> device(new TunDevice(std::move(control), options, options.name, false));
  device->mtu_ = mtu;
  return device;
}

TunDevice::TunDevice(FileDescriptor control, const TunOptions& options, std::string name, bool created)
    : control_(std::move(control)),
      offload_(options.offload),
      link_header_size_(options.ethernet ? kEthernetHeader : 0),
      created_(created),
      name_(std::move(name)),
      slabs_(kReadRoom),
      cut_(offload_ ? 0 : kEthernetHeader + kMaxPacket + kMaxHeader) {}

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
  const std::uint32_t start = kPacketOffset - link_header_size_;
  ssize_t size;
  do {
    size = ::read(control_.get(), room + start - head_size, head_size + link_header_size_ + kMaxPacket);
  } while (size < 0 && errno == EINTR);
  if (size < static_cast<ssize_t>(head_size)) {
    if (size >= 0 || errno != EAGAIN) ++counters_.receive_errors;
    return false;
  }

  packet.checksum = RxChecksum::Unverified;
  packet.segment_size = 0;
  packet.link_header_size = link_header_size_;
  if (offload_) {
    OffloadHeader head;
    std::memcpy(&head, room + start - head_size, sizeof head);
    // NEEDS_CSUM: the packet comes from this machine and its checksum field holds the pseudo-header's sum alone.
    if ((head.flags & (OffloadHeader::kNeedsChecksum | OffloadHeader::kDataValid)) != 0) {
      packet.checksum = RxChecksum::Verified;
    }
    if (head.gso_type != OffloadHeader::kGsoNone) packet.segment_size = head.gso_size;
  }
  packet.bytes = slabs_.commit(start, static_cast<std::uint32_t>(size) - head_size);
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
  // All headers in one piece: a packet without payload needs no gathering.
  std::array<std::uint8_t, kOffloadHeader + kEthernetHeader + kMaxHeader> head;
  const OffloadHeader offload = offload_header(packet);
  std::memcpy(head.data(), &offload, kOffloadHeader);
  std::size_t head_size = kOffloadHeader;
  if (packet.link_header_size != 0) {
    std::memcpy(head.data() + head_size, packet.link_header_bytes.data(), kEthernetHeader);
    head_size += kEthernetHeader;
  }
  std::memcpy(head.data() + head_size, packet.header_bytes.data(), packet.header_size);
  head_size += packet.header_size;
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
  const std::uint32_t link_size = packet.link_header_size;
  if (link_size != 0) std::memcpy(cut_.data(), packet.link_header_bytes.data(), kEthernetHeader);
  for (bool first = true; segmenter.remaining() > 0; first = false) {
    const std::uint32_t size = link_size + segmenter.next(cut_.data() + link_size);
    if (transfer([&] { return ::write(control_.get(), cut_.data(), size); }) == SendResult::Sent) continue;
    if (first) return SendResult::Full;
    // A packet cannot be given back in part: the rest is lost, as it would be in a full queue of the path.
    counters_.send_drops += segmenter.remaining() + 1;
    break;
  }
  return SendResult::Sent;
}

}  // namespace ff
