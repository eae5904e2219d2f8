// TunDevice with the real kernel at its other end.
#include "device/tun.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/ipv6_route.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "device/file_descriptor.hpp"
#include "device/link.hpp"
#include "kernel_peer.hpp"
#include "network_namespace.hpp"
#include "packet_samples.hpp"

namespace ff {
namespace {

using test::Bytes;
using test::SampleSpec;
using SendResult = Device::SendResult;

// The next packet of `protocol`; the kernel also sends discovery messages of its own.
std::optional<RxPacket> receive(TunDevice& device, std::uint8_t protocol) {
  for (RxPacket packet;;) {
    while (device.receive(packet)) {
      if (test::protocol_of(packet.bytes.span()) == protocol) return packet;
    }
    pollfd wait{.fd = device.poll_descriptor(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, 2000) != 1) return std::nullopt;
  }
}

SendResult send(TunDevice& device, const SampleSpec& spec) {
  TxPacket packet;
  test::fill_sample(spec, packet);
  return device.send({}, packet);
}

Bytes bytes_of(const Slice& slice) { return {slice.span().begin(), slice.span().end()}; }

void exchange_datagrams(bool offload) {
  const auto device = test::open_with_addresses(offload);
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6 ? "IPv6" : "IPv4");
    const test::KernelSocket kernel(v6, SOCK_DGRAM, 7000);
    ASSERT_EQ(kernel.connect(), 0) << std::strerror(errno);
    const Bytes text = test::sample_payload(333, 5);
    ASSERT_EQ(::send(kernel.socket.get(), text.data(), text.size(), 0), 333);

    const auto received = receive(*device, 17);
    ASSERT_TRUE(received.has_value());
    const Bytes packet = bytes_of(received->bytes);
    EXPECT_EQ(Bytes(packet.end() - 333, packet.end()), text);
    EXPECT_EQ(received->segment_size, 0);
    if (offload) {
      EXPECT_EQ(received->checksum, RxChecksum::Verified);
    } else {
      EXPECT_EQ(received->checksum, RxChecksum::Unverified);
      EXPECT_EQ(test::complaint_about(packet), "");
    }

    EXPECT_EQ(send(*device, {.v6 = v6,
                             .udp = true,
                             .source_port = 7000,
                             .destination_port = kernel.local_port(),
                             .pieces = {1, 200, 3}}),
              SendResult::Sent);
    EXPECT_EQ(kernel.read(204), test::sample_payload(204, 1));
  }
  EXPECT_EQ(device->counters().send_drops, 0u);
  EXPECT_EQ(device->counters().receive_errors, 0u);
  EXPECT_EQ(device->counters().sends, 2u);
}

TEST(Tun, ExchangesDatagramsWithTheKernel) {
  FF_IN_NETWORK_NAMESPACE([] { exchange_datagrams(true); });
}

TEST(Tun, ExchangesDatagramsWithTheKernelWithoutOffload) {
  FF_IN_NETWORK_NAMESPACE([] { exchange_datagrams(false); });
}

// Just enough of TCP to let the kernel send and receive on a connection: no loss, no timers, everything in one window.
class HandPeer {
 public:
  HandPeer(TunDevice& device, bool v6) : device_(device), spec_{.v6 = v6, .seq = 5000, .source_port = 80} {}

  // Answers the kernel's SYN.
  void accept() {
    Bytes packet;
    std::uint32_t tcp = 0;
    do {
      const auto syn = receive(device_, 6);
      ASSERT_TRUE(syn.has_value());
      packet = bytes_of(syn->bytes);
      tcp = test::ip_header_size(packet);
    } while (packet[tcp + 13] != 0x02);  // what is left of an earlier connection
    spec_.destination_port = test::get16(packet, tcp);
    spec_.ack = test::get32(packet, tcp + 4) + 1;
    spec_.flags = 0x12;  // SYN, ACK; without options: the kernel's segments carry 536 or 1220 bytes
    EXPECT_EQ(ff::send(device_, spec_), SendResult::Sent);
    ++spec_.seq;
    spec_.flags = 0x10;
  }

  // Takes and acknowledges what the kernel sends until there are `size` bytes; notes how it came.
  Bytes take(std::size_t size, bool offload) {
    Bytes all;
    while (all.size() < size) {
      const auto received = receive(device_, 6);
      if (!received) {
        ADD_FAILURE() << "after " << all.size() << " bytes nothing more came";
        break;
      }
      const Bytes packet = bytes_of(received->bytes);
      const std::uint32_t tcp = test::ip_header_size(packet);
      const std::uint32_t payload = tcp + (packet[tcp + 12] >> 4) * 4u;
      if (payload == packet.size()) continue;
      EXPECT_EQ(test::get32(packet, tcp + 4), spec_.ack) << "in order";
      EXPECT_EQ(received->checksum, offload ? RxChecksum::Verified : RxChecksum::Unverified);
      if (!offload) {
        EXPECT_EQ(test::complaint_about(packet), "");
      }
      largest_ = std::max(largest_, packet.size());
      if (received->segment_size != 0) {
        ++super_segments_;
        EXPECT_GT(packet.size() - payload, received->segment_size);
      }
      all.insert(all.end(), packet.begin() + payload, packet.end());
      spec_.ack += static_cast<std::uint32_t>(packet.size()) - payload;
      spec_.pieces.clear();
      EXPECT_EQ(ff::send(device_, spec_), SendResult::Sent);
    }
    return all;
  }

  void give(std::vector<std::uint32_t> pieces, std::uint16_t segment_size) {
    SampleSpec spec = spec_;
    spec.flags = 0x18;  // PSH, ACK
    spec.pieces = std::move(pieces);
    spec.segment_size = segment_size;
    EXPECT_EQ(ff::send(device_, spec), SendResult::Sent);
    for (const std::uint32_t piece : spec.pieces) spec_.seq += piece;
  }

  [[nodiscard]] std::size_t largest() const { return largest_; }
  [[nodiscard]] int super_segments() const { return super_segments_; }

 private:
  TunDevice& device_;
  SampleSpec spec_;
  std::size_t largest_ = 0;
  int super_segments_ = 0;
};

void exchange_super_segments(bool offload) {
  const auto device = test::open_with_addresses(offload);
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6 ? "IPv6" : "IPv4");
    const test::KernelSocket kernel(v6, SOCK_STREAM | SOCK_NONBLOCK, 80);
    EXPECT_EQ(kernel.connect(), -1);
    ASSERT_EQ(errno, EINPROGRESS);
    HandPeer peer(*device, v6);
    peer.accept();

    const Bytes sent = test::sample_payload(60'000, 3);
    ASSERT_EQ(::send(kernel.socket.get(), sent.data(), sent.size(), 0), 60'000) << std::strerror(errno);
    EXPECT_TRUE(peer.take(sent.size(), offload) == sent);
    if (offload) {
      EXPECT_GT(peer.super_segments(), 0);
      EXPECT_GT(peer.largest(), 2000u);
    } else {
      EXPECT_EQ(peer.super_segments(), 0);
      EXPECT_LE(peer.largest(), 1500u);
    }

    const std::uint64_t calls = device->counters().sends;
    peer.give({1, 20'000, 333, 9'666}, 1000);
    EXPECT_EQ(device->counters().sends - calls, offload ? 1u : 30u);
    EXPECT_TRUE(kernel.read(30'000) == test::sample_payload(30'000, 1));
  }
  EXPECT_EQ(device->counters().send_drops, 0u);
}

TEST(Tun, ExchangesSuperSegmentsWithTheKernel) {
  FF_IN_NETWORK_NAMESPACE([] { exchange_super_segments(true); });
}

TEST(Tun, CutsSuperSegmentsWithoutOffload) {
  FF_IN_NETWORK_NAMESPACE([] { exchange_super_segments(false); });
}

TEST(Tun, CountsWhatTheKernelRefuses) {
  FF_IN_NETWORK_NAMESPACE([] {
    for (const bool offload : {true, false}) {
      const auto device = test::open_with_addresses(offload);
      EXPECT_TRUE(link::set_up("ff-test", false).has_value());
      EXPECT_EQ(send(*device, {.pieces = {10}}), SendResult::Sent);
      EXPECT_EQ(device->counters().send_drops, 1u);
      EXPECT_EQ(device->counters().sends, 0u);
      RxPacket packet;
      while (device->receive(packet)) continue;  // what came before it went down
    }
  });
}

TEST(Tun, KnowsTheMtu) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto device = test::open_with_addresses(true);
    EXPECT_EQ(device->mtu(), 1500);
    EXPECT_TRUE(link::set_mtu("ff-test", 9000).has_value());
    EXPECT_TRUE(device->refresh_mtu().has_value());
    EXPECT_EQ(device->mtu(), 9000);
    EXPECT_EQ(link::mtu("ff-test").value_or(0), 9000);
  });
}

// A packet that the user holds is not overwritten by later ones.
TEST(Tun, ReceivedPacketsStayAsTheyAre) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto device = test::open_with_addresses(true);
    const test::KernelSocket kernel(false, SOCK_DGRAM, 7000);
    ASSERT_EQ(kernel.connect(), 0);
    std::vector<RxPacket> kept;
    for (int i = 0; i < 1000; ++i) {
      const Bytes text = test::sample_payload(1200, static_cast<std::uint8_t>(i));
      ASSERT_EQ(::send(kernel.socket.get(), text.data(), text.size(), 0), 1200);
      auto received = receive(*device, 17);
      ASSERT_TRUE(received.has_value());
      if (i % 5 == 0) kept.push_back(std::move(*received));
    }
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const Bytes packet = bytes_of(kept[i].bytes);
      EXPECT_TRUE(Bytes(packet.end() - 1200, packet.end()) ==
                  test::sample_payload(1200, static_cast<std::uint8_t>(i * 5)));
    }
  });
}

// Makes a device that stays, as `ip tuntap add` does.
void make_persistent(const char* name, int flags, unsigned long owner = 0) {
  const FileDescriptor control(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(flags);
  ASSERT_EQ(::ioctl(control.get(), TUNSETIFF, &request), 0) << std::strerror(errno);
  ASSERT_EQ(::ioctl(control.get(), TUNSETPERSIST, 1), 0) << std::strerror(errno);
  ASSERT_EQ(::ioctl(control.get(), TUNSETOWNER, owner), 0) << std::strerror(errno);
}

TEST(Tun, AttachesToWhatIsThereAndLeavesIt) {
  FF_IN_NETWORK_NAMESPACE([] {
    for (const auto& [name, flags] : {std::pair{"plain", IFF_TUN | IFF_NO_PI}, std::pair{"with-pi", IFF_TUN},
                                      std::pair{"queues", IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE}}) {
      make_persistent(name, flags);
      for (const bool offload : {true, false, true}) {
        const auto device = TunDevice::open({.name = name, .create = false, .offload = offload});
        ASSERT_TRUE(device.has_value()) << device.error();
        EXPECT_FALSE((*device)->created());
      }
      EXPECT_TRUE(link::exists(name));
    }
    {
      const auto device = TunDevice::open({.name = "passing"});
    }
    EXPECT_FALSE(link::exists("passing"));
  });
}

TEST(Tun, TheKernelMayChooseTheName) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto device = TunDevice::open({});
    ASSERT_TRUE(device.has_value()) << device.error();
    EXPECT_TRUE((*device)->name().starts_with("tun"));
    EXPECT_TRUE(link::exists((*device)->name()));
  });
}

std::string error_of(const TunOptions& options) {
  const auto device = TunDevice::open(options);
  return device ? "no error" : device.error();
}

TEST(TunErrors, SayWhatWasWrongAndWhatWouldWork) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto first = TunDevice::open({.name = "mine"});
    ASSERT_TRUE(first.has_value()) << first.error();
    EXPECT_EQ(error_of({.name = "mine"}),
              "TUN device mine is in use by another program: end that one or choose another name");
    EXPECT_EQ(error_of({.name = "lo"}),
              "lo is a network interface of another type, not a TUN device: choose another name");
    make_persistent("tap", IFF_TAP);
    EXPECT_EQ(error_of({.name = "tap"}),
              "tap is a network interface of another type, not a TUN device: choose another name");
    EXPECT_EQ(error_of({.name = "none", .create = false}),
              "there is no TUN device none: make it with \"ip tuntap add dev none mode tun\"");
    EXPECT_EQ(error_of({.name = "much-too-long-a-name"}),
              "\"much-too-long-a-name\" is no name for a TUN device: it may have at most 15 characters");
    EXPECT_EQ(error_of({.name = "a/b"}), "\"a/b\" is no name for a TUN device: choose another");
  });
}

// As a user may be who may open /dev/net/tun.
void drop_capabilities() {
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> none{};
  ASSERT_EQ(::syscall(SYS_capset, &head, none.data()), 0) << std::strerror(errno);
}

TEST(TunErrors, WithoutPrivilege) {
  FF_IN_NETWORK_NAMESPACE([] {
    make_persistent("theirs", IFF_TUN | IFF_NO_PI, 12345);
    drop_capabilities();
    EXPECT_EQ(error_of({.name = "new"}),
              "making TUN device new needs the capability CAP_NET_ADMIN: run as root, or let root make it with \"ip "
              "tuntap add dev new mode tun user $USER\"");
    EXPECT_EQ(error_of({.name = "theirs"}),
              "TUN device theirs belongs to another user: run as root, or let root make it with \"ip tuntap add dev "
              "theirs mode tun user $USER\"");
    const auto up = link::set_up("lo");
    ASSERT_FALSE(up.has_value());
    EXPECT_EQ(up.error(), "setting lo up needs the capability CAP_NET_ADMIN: run as root");
  });
}

TEST(TunErrors, WithoutTheTunDriver) {
  FF_IN_NETWORK_NAMESPACE([] {
    std::string empty = std::filesystem::temp_directory_path() / "firstflight-XXXXXX";
    ASSERT_NE(::mkdtemp(empty.data()), nullptr);
    ASSERT_EQ(::chroot(empty.c_str()), 0) << std::strerror(errno);
    ASSERT_EQ(::chdir("/"), 0);
    EXPECT_EQ(error_of({.name = "x"}),
              "there is no /dev/net/tun on this machine: load it with \"modprobe tun\", or give it to the container "
              "(--device /dev/net/tun)");
  });
}

TEST(HostLink, AddsAddressesAndRoutes) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto device = test::open_with_addresses(true);
    const auto again = link::add_address("ff-test", *Cidr::parse("10.77.0.1/24"));
    EXPECT_TRUE(again.has_value()) << again.error();
    for (const auto& [prefix, via] :
         {std::pair{"192.0.2.77/24", ""}, {"0.0.0.0/0", "10.77.0.2"}, {"2001:db8::7/61", ""}, {"::/0", "fd77::2"}}) {
      for (int twice = 0; twice < 2; ++twice) {
        const auto routed = link::add_route("ff-test", *Cidr::parse(prefix), IpAddress::parse(via));
        EXPECT_TRUE(routed.has_value()) << routed.error();
      }
    }
    // A datagram leaves by the device if a route leads there.
    for (const char* to : {"192.0.2.1", "198.51.100.1", "2001:db8:0:7::1", "2001:db8:ffff::1"}) {
      SCOPED_TRACE(to);
      const IpAddress address = *IpAddress::parse(to);
      const FileDescriptor socket(::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
      sockaddr_in6 peer{};
      if (address.is_v4()) {
        sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {}, .sin_zero = {}};
        std::memcpy(&v4.sin_addr, address.v4_bytes().data(), 4);
        std::memcpy(&peer, &v4, sizeof v4);
      } else {
        peer.sin6_family = AF_INET6;
        peer.sin6_port = htons(9);
        std::memcpy(&peer.sin6_addr, address.bytes().data(), 16);
      }
      EXPECT_EQ(::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&peer), sizeof peer), 1)
          << std::strerror(errno);
      const auto received = receive(*device, 17);
      ASSERT_TRUE(received.has_value());
    }
  });
}

TEST(HostLink, JoinsTwoNamespacesByACable) {
  FF_IN_NETWORK_NAMESPACE([] {
    const auto current = [] { return FileDescriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); };
    const FileDescriptor here = current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
    const FileDescriptor there = current();
    const auto joined = link::add_veth("near", "far", here.get());
    ASSERT_TRUE(joined.has_value()) << joined.error();
    const auto again = link::add_veth("near", "other", here.get());
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error(), "joining near and other by a cable: File exists");
    EXPECT_TRUE(link::set_up("near").has_value());
    EXPECT_FALSE(link::exists("far"));
    ASSERT_EQ(::setns(here.get(), CLONE_NEWNET), 0) << std::strerror(errno);
    EXPECT_TRUE(link::set_up("far").has_value());
    EXPECT_FALSE(link::exists("near"));
    for (int attempt = 0; attempt < 1000 && !link::is_settled("far"); ++attempt) ::usleep(1000);
    EXPECT_TRUE(link::is_settled("far"));
    EXPECT_EQ(link::add_veth("near", "a-name-that-is-too-long", there.get()).error(),
              "\"a-name-that-is-too-long\" is no name for a network interface: it must have 1 to 15 characters");
  });
}

TEST(HostLink, ErrorsAreOneSentence) {
  EXPECT_EQ(link::set_up("nosuchdevice").error(),
            "setting nosuchdevice up: there is no network interface nosuchdevice");
  EXPECT_EQ(link::mtu("nosuchdevice").error(),
            "asking for the MTU of nosuchdevice: there is no network interface nosuchdevice");
  EXPECT_EQ(link::mtu("a-name-that-is-too-long").error(),
            "\"a-name-that-is-too-long\" is no name for a network interface: it must have 1 to 15 characters");
  EXPECT_EQ(link::add_address("nosuchdevice", *Cidr::parse("192.0.2.1/24")).error(),
            "giving nosuchdevice the address 192.0.2.1/24: there is no network interface nosuchdevice");
  EXPECT_EQ(link::add_route("nosuchdevice", *Cidr::parse("2001:db8::/32")).error(),
            "routing 2001:db8::/32 into nosuchdevice: there is no network interface nosuchdevice");
  EXPECT_FALSE(link::exists("nosuchdevice"));
}

}  // namespace
}  // namespace ff
