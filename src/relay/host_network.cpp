#include "relay/host_network.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "relay/host_echoes.hpp"
#include "relay/host_stream.hpp"
#include "relay/socket_address.hpp"

namespace ff::relay {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr int kBacklog = 4096;
constexpr int kFastOpenQueue = 1024;
// Connections; the others wait until the rest of the loop's work is done.
constexpr int kAcceptedAtOnce = 64;
// How soon to look whether there are descriptors again.
constexpr Duration kNoDescriptor = std::chrono::milliseconds(100);
constexpr std::uint32_t kLargestDatagram = 65535;

FileDescriptor open_socket(const IpAddress& address, int type) {
  return FileDescriptor(::socket(address.is_v4() ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void set_option(const FileDescriptor& socket, int level, int name, int value) noexcept {
  (void)::setsockopt(socket.get(), level, name, &value, sizeof value);
}

class HostDatagrams final : public DatagramChannel {
 public:
  HostDatagrams(Loop& loop, FileDescriptor socket, std::shared_ptr<SlabCursor> slabs)
      : loop_(loop), socket_(std::move(socket)), slabs_(std::move(slabs)) {
    loop_.add_descriptor(socket_.get(), EPOLLIN, [this](Instant now, std::uint32_t) { changed(now); });
  }
  ~HostDatagrams() override { loop_.remove_descriptor(socket_.get()); }

  Result<void> send(Instant /*now*/, Slice bytes) override {
    if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0 || errno == EAGAIN || errno == ENOBUFS)
      return {};
    return std::unexpected(error_of(errno));
  }
  Result<Slice> receive(Instant /*now*/) override {
    std::uint8_t* room = slabs_->reserve(kLargestDatagram);
    const ssize_t count = ::recv(socket_.get(), room, kLargestDatagram, 0);
    if (count < 0) return std::unexpected(error_of(errno));
    return Slice::copy_of({room, static_cast<std::size_t>(count)});  // one that waits must not keep a whole slab
  }

 private:
  Loop& loop_;
  FileDescriptor socket_;
  std::shared_ptr<SlabCursor> slabs_;
};

// Answers come from the address that was asked, by IP_PKTINFO and its like: this host may have several.
class HostPort final : public DatagramPort {
 public:
  HostPort(Loop& loop, FileDescriptor socket, bool v6, std::shared_ptr<SlabCursor> slabs)
      : loop_(loop), socket_(std::move(socket)), v6_(v6), slabs_(std::move(slabs)) {
    set_option(socket_, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
    loop_.add_descriptor(socket_.get(), EPOLLIN, [this](Instant now, std::uint32_t) { changed(now); });
  }
  ~HostPort() override { loop_.remove_descriptor(socket_.get()); }

  Result<Arrival> receive(Instant /*now*/) override {
    std::uint8_t* room = slabs_->reserve(kLargestDatagram);
    SocketAddress from;
    Message message(from, {room, kLargestDatagram});
    const ssize_t count = ::recvmsg(socket_.get(), &message.header, 0);
    if (count < 0) return std::unexpected(error_of(errno));
    from.size = message.header.msg_namelen;
    return Arrival{{from.endpoint(), asked(message)}, Slice::copy_of({room, static_cast<std::size_t>(count)})};
  }
  void send(Instant /*now*/, const Path& path, Slice bytes) override {
    SocketAddress to = SocketAddress::of(path.from);
    Message message(to, {const_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    if (v6_) {
      in6_pktinfo information{};
      std::memcpy(&information.ipi6_addr, path.to.bytes().data(), sizeof information.ipi6_addr);
      message.tell(IPPROTO_IPV6, IPV6_PKTINFO, information);
    } else {
      in_pktinfo information{};
      std::memcpy(&information.ipi_spec_dst, path.to.v4_bytes().data(), sizeof information.ipi_spec_dst);
      message.tell(IPPROTO_IP, IP_PKTINFO, information);
    }
    (void)!::sendmsg(socket_.get(), &message.header, MSG_NOSIGNAL);
  }

 private:
  struct Message {
    msghdr header{};
    iovec piece;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};

    Message(SocketAddress& address, std::span<std::uint8_t> bytes) : piece{bytes.data(), bytes.size()} {
      header.msg_name = address.get();
      header.msg_namelen = address.size;
      header.msg_iov = &piece;
      header.msg_iovlen = 1;
      header.msg_control = control.data();
      header.msg_controllen = control.size();
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    template <typename Information>
    void tell(int level, int type, const Information& information) noexcept {
      cmsghdr* head = CMSG_FIRSTHDR(&header);
      head->cmsg_level = level;
      head->cmsg_type = type;
      head->cmsg_len = CMSG_LEN(sizeof information);
      std::memcpy(CMSG_DATA(head), &information, sizeof information);
      header.msg_controllen = CMSG_SPACE(sizeof information);
    }
  };

  // Which address of ours it came to.
  [[nodiscard]] IpAddress asked(Message& message) const noexcept {
    const cmsghdr* head = CMSG_FIRSTHDR(&message.header);
    if (head == nullptr) return v6_ ? IpAddress::any_v6() : IpAddress::any_v4();
    if (v6_) {
      in6_pktinfo information;
      std::memcpy(&information, CMSG_DATA(head), sizeof information);
      std::array<std::uint8_t, 16> bytes;
      std::memcpy(bytes.data(), &information.ipi6_addr, bytes.size());
      return IpAddress::v6(bytes);
    }
    in_pktinfo information;
    std::memcpy(&information, CMSG_DATA(head), sizeof information);
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &information.ipi_addr, bytes.size());
    return IpAddress::v4(bytes);
  }

  Loop& loop_;
  FileDescriptor socket_;
  bool v6_;
  std::shared_ptr<SlabCursor> slabs_;
};

}  // namespace

HostNetwork::HostNetwork(Loop& loop, HostNetworkOptions options)
    : loop_(loop), options_(std::move(options)), slabs_(std::make_shared<SlabCursor>(HostStream::kReceiveRoom)) {}

HostNetwork::~HostNetwork() {
  loop_.cancel(listening_again_);
  for (const FileDescriptor& listener : listeners_) loop_.remove_descriptor(listener.get());
}

Endpoint HostNetwork::translate(const Endpoint& remote) const {
  if (std::ranges::find(options_.gateways, remote.address) == options_.gateways.end()) return remote;
  if (remote.port == kDnsPort && options_.name_server) return {*options_.name_server, remote.port};
  const IpAddress loopback = remote.address.is_v4() ? IpAddress::v4(127, 0, 0, 1) : *IpAddress::parse("::1");
  return {loopback, remote.port};
}

Result<std::unique_ptr<Stream>> HostNetwork::connect(Instant /*now*/, const Endpoint& remote, bool fast_open) {
  const SocketAddress address = SocketAddress::of(translate(remote));
  FileDescriptor socket = open_socket(address.endpoint().address, SOCK_STREAM);
  if (!socket) return std::unexpected(error_of(errno));
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  if (fast_open) set_option(socket, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
  const int done = ::connect(socket.get(), address.get(), address.size);
  if (done != 0 && errno != EINPROGRESS) return std::unexpected(error_of(errno));
  // A connection that is not waited for is never made at once: the SYN waits.
  const auto state = done == 0 && fast_open ? Stream::State::WaitsForWrite : Stream::State::Connecting;
  return std::make_unique<HostStream>(loop_, std::move(socket), state, slabs_);
}

Result<std::unique_ptr<DatagramChannel>> HostNetwork::open_datagrams(Instant /*now*/, const Endpoint& remote) {
  const SocketAddress address = SocketAddress::of(translate(remote));
  FileDescriptor socket = open_socket(address.endpoint().address, SOCK_DGRAM);
  if (!socket || ::connect(socket.get(), address.get(), address.size) != 0) return std::unexpected(error_of(errno));
  return std::make_unique<HostDatagrams>(loop_, std::move(socket), slabs_);
}

Result<std::unique_ptr<DatagramPort>> HostNetwork::open_port(const Endpoint& local) {
  FileDescriptor socket = open_socket(local.address, SOCK_DGRAM);
  if (!socket) return std::unexpected(error_of(errno));
  const bool v6 = local.address.is_v6();
  if (v6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, local.address.is_any() ? 0 : 1);
  const SocketAddress address = SocketAddress::of(local);
  if (::bind(socket.get(), address.get(), address.size) != 0) return std::unexpected(error_of(errno));
  return std::make_unique<HostPort>(loop_, std::move(socket), v6, slabs_);
}

Result<std::unique_ptr<DatagramChannel>> HostNetwork::open_echoes(Instant /*now*/, const IpAddress& remote) {
  return open_host_echoes(loop_, remote, slabs_);
}

Result<void> HostNetwork::listen(const Endpoint& local, ArrivalHandler handler) {
  FileDescriptor socket = open_socket(local.address, SOCK_STREAM);
  if (!socket) return std::unexpected(error_of(errno));
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(socket, IPPROTO_TCP, TCP_FASTOPEN, kFastOpenQueue);
  if (local.address.is_v6()) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, local.address.is_any() ? 0 : 1);
  const SocketAddress address = SocketAddress::of(local);
  if (::bind(socket.get(), address.get(), address.size) != 0 || ::listen(socket.get(), kBacklog) != 0)
    return std::unexpected(error_of(errno));
  const int number = socket.get();
  loop_.add_descriptor(number, EPOLLIN, [this, number, handler = std::move(handler)](Instant now, std::uint32_t) {
    accept_some(now, number, handler);
  });
  listeners_.push_back(std::move(socket));
  return {};
}

void HostNetwork::accept_some(Instant now, int listener, const ArrivalHandler& handler) {
  for (int i = 0; i < kAcceptedAtOnce; ++i) {
    SocketAddress from;
    FileDescriptor socket(::accept4(listener, from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (error_of(errno) == Error::NoBufferSpace) listen_again_later();
      return;
    }
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    const Endpoint client = from.endpoint();
    handler(now, {std::make_unique<HostStream>(loop_, std::move(socket), Stream::State::Open, slabs_), client});
  }
}

// Without a descriptor for whoever waits, epoll would tell of him again and again.
void HostNetwork::listen_again_later() {
  listen_for(0);
  loop_.cancel(listening_again_);
  listening_again_ = loop_.call_after(kNoDescriptor, [this](Instant) { listen_for(EPOLLIN); });
}

void HostNetwork::listen_for(std::uint32_t events) {
  for (const FileDescriptor& listener : listeners_) loop_.change_descriptor(listener.get(), events);
}

}  // namespace ff::relay
