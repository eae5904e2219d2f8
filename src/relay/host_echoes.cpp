#include "relay/host_echoes.hpp"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "relay/socket_address.hpp"
#include "wire/endian.hpp"
#include "wire/icmp.hpp"

namespace ff::relay {
namespace {

constexpr std::uint32_t kLargestMessage = 65535;
constexpr std::uint32_t kHeader = 8;

class HostEchoes final : public DatagramChannel {
 public:
  HostEchoes(Loop& loop, FileDescriptor socket, bool v4, bool raw, std::shared_ptr<SlabCursor> slabs)
      : loop_(loop), socket_(std::move(socket)), v4_(v4), raw_(raw), slabs_(std::move(slabs)) {
    (void)!::getrandom(&identifier_, sizeof identifier_, 0);
    // Otherwise nobody hears that a host or network cannot be reached.
    const int on = 1;
    (void)::setsockopt(socket_.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
    loop_.add_descriptor(socket_.get(), EPOLLIN, [this](Instant now, std::uint32_t events) {
      changed_or_failed(now, (events & EPOLLERR) != 0);
    });
  }
  ~HostEchoes() override { loop_.close_descriptor(std::move(socket_)); }

  // A ping socket puts its own identifier in, and the checksum.
  Result<void> send(Instant /*now*/, Slice bytes) override {
    const ssize_t sent = raw_ ? send_raw(bytes.span()) : ::send(socket_.get(), bytes.data(), bytes.size(), 0);
    if (sent >= 0 || errno == EAGAIN || errno == ENOBUFS) return {};
    return std::unexpected(error_of(errno));
  }

  Result<Slice> receive(Instant /*now*/) override {
    if (const int error = std::exchange(error_, 0); error != 0) return std::unexpected(error_of(error));
    for (;;) {
      std::uint8_t* room = slabs_->reserve(kLargestMessage);
      const ssize_t count = ::recv(socket_.get(), room, kLargestMessage, 0);
      if (count < 0) return std::unexpected(error_of(errno));
      const ByteSpan message = without_ip_header({room, static_cast<std::size_t>(count)});
      if (is_answer(message)) return Slice::copy_of(message);
    }
  }

 private:
  void changed_or_failed(Instant now, bool failed) {
    // What is reported lies in a queue, too, which keeps epoll awake, and takes the error along.
    socklen_t size = sizeof error_;
    if (failed) (void)::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error_, &size);
    std::array<char, 1> rest;
    while (failed && ::recv(socket_.get(), rest.data(), rest.size(), MSG_ERRQUEUE) >= 0) {
    }
    changed(now);
  }
  ssize_t send_raw(ByteSpan request) {
    if (request.size() < kHeader) return 0;
    wire::IpHeader ip;  // of which only the family matters: the kernel makes ICMPv6's checksum
    ip.source = ip.destination = v4_ ? IpAddress::any_v4() : IpAddress::any_v6();
    std::vector<std::uint8_t> message(request.size());
    wire::emit_echo(wire::IcmpKind::EchoRequest, ip, identifier_, wire::load_be16(request.data() + 6),
                    request.subspan(kHeader), message.data());
    return ::send(socket_.get(), message.data(), message.size(), 0);
  }
  // A raw socket of IPv4 gives the whole packet.
  [[nodiscard]] ByteSpan without_ip_header(ByteSpan packet) const noexcept {
    if (!raw_ || !v4_ || packet.empty()) return packet;
    const std::size_t size = (packet[0] & 15u) * 4u;
    return packet.subspan(std::min(size, packet.size()));
  }
  // And all that comes from that host.
  [[nodiscard]] bool is_answer(ByteSpan message) const noexcept {
    if (message.size() < kHeader || message[0] != (v4_ ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY)) return false;
    return !raw_ || wire::load_be16(message.data() + 4) == identifier_;
  }

  Loop& loop_;
  FileDescriptor socket_;
  bool v4_, raw_;
  std::uint16_t identifier_ = 0;  // of a raw socket's requests
  int error_ = 0;                 // that the network reported, and nobody was told
  std::shared_ptr<SlabCursor> slabs_;
};

}  // namespace

Result<std::unique_ptr<DatagramChannel>> open_host_echoes(Loop& loop, const IpAddress& remote,
                                                          std::shared_ptr<SlabCursor> slabs) {
  const int family = remote.is_v4() ? AF_INET : AF_INET6;
  const int protocol = remote.is_v4() ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  const auto open = [&](int type) {
    return FileDescriptor(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  };
  FileDescriptor socket = open(SOCK_DGRAM);
  const bool raw = !socket && errno == EACCES;
  if (raw) socket = open(SOCK_RAW);
  const SocketAddress address = SocketAddress::of({remote, 0});
  if (!socket || ::connect(socket.get(), address.get(), address.size) != 0) return std::unexpected(error_of(errno));
  return std::make_unique<HostEchoes>(loop, std::move(socket), remote.is_v4(), raw, std::move(slabs));
}

}  // namespace ff::relay
