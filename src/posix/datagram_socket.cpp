// Everything but data, after Linux's inet_dgram_connect(), udp_disconnect() and udp_lib_setsockopt().
#include "posix/datagram_socket.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "posix/address.hpp"

namespace ff::posix {
namespace {

long minus_errno(Error error) noexcept { return -static_cast<long>(to_errno(error)); }

}  // namespace

void DatagramSocket::look() {
  if (!is_open()) return;
  if (const auto error = stack().take_error(socket_); error && *error) error_ = to_errno(**error);
  while (const auto error = stack().receive_error(socket_)) {
    error_ = to_errno(error->error);  // connected or not, as Linux
    queue(error_of(*error));
  }
  while (const auto stamp = stack().next_stamp(socket_)) add_stamp(*stamp);
}

long DatagramSocket::begin_stamp_keys(bool /*by_write*/) {
  next_stamp_key_ = 0;
  return 0;
}

void DatagramSocket::happened(const Event& event) {
  look();
  std::uint32_t events = 0;
  if ((event.bits & event_bits::kReadable) != 0) events |= EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND;
  if ((event.bits & event_bits::kWritable) != 0) events |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  if ((event.bits & event_bits::kError) != 0) events |= EPOLLERR;
  tell_watches(events);
}

// Linux's datagram_poll().
std::uint32_t DatagramSocket::poll() {
  look();
  std::uint32_t events = 0;
  if (error_ != 0 || !errors_.empty()) events |= EPOLLERR;
  if ((shutdown_ & kReceiveShut) != 0) events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
  if (shutdown_ == kBothShut) events |= EPOLLHUP;
  if (!is_open()) return events | EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  const DatagramInfo info = *stack().info(socket_);
  if (first_ || info.receive_queue > 0) events |= EPOLLIN | EPOLLRDNORM;
  if (info.send_queue < info.send_buffer) events |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  return events;
}

// ---- addresses -----------------------------------------------------------------------------------------------------

DatagramOptions DatagramSocket::datagram_options() const noexcept {
  DatagramOptions options;
  options.protocol = protocol_;
  options.ipv6_only = call_options_.ipv6_only;
  options.reuse_addr = options_.reuse_addr;
  options.reuse_port = options_.reuse_port;
  options.receive_errors = call_options_.receive_errors || call_options_.receive_errors6;
  if (call_options_.receive_buffer != 0)
    options.receive_buffer = static_cast<std::uint32_t>(call_options_.receive_buffer / 2);
  if (call_options_.send_buffer != 0) options.send_buffer = static_cast<std::uint32_t>(call_options_.send_buffer / 2);
  const bool over_v4 = family() == AF_INET || (remote_ && remote_->address.is_v4());
  const int hops = over_v4 ? call_options_.ttl : call_options_.hop_limit;
  const int traffic_class = over_v4 ? call_options_.tos : std::max(call_options_.traffic_class, 0);
  if (hops > 0) options.header.ttl = static_cast<std::uint8_t>(hops);
  options.header.traffic_class = static_cast<std::uint8_t>(traffic_class);
  options.header.path_mtu_discovery = call_options_.path_mtu_discovery();
  options.user_data = id();
  return options;
}

long DatagramSocket::apply_options() {
  if (!is_open()) return 0;
  const DatagramOptions options = datagram_options();
  (void)stack().set_options(socket_, options);
  const auto set = stack().set_header(socket_, options.header);
  return set ? 0 : minus_errno(set.error());
}

long DatagramSocket::open(const Endpoint& local) {
  DatagramOptions options = datagram_options();
  options.local = local;
  const auto opened = stack().open(options);
  if (!opened) return minus_errno(opened.error());
  socket_ = *opened;
  local_ = stack().info(socket_)->local;
  return 0;
}

long DatagramSocket::bind(const sockaddr* address, socklen_t length) {
  Endpoint endpoint;
  if (const long wrong = read_own_address(family(), address, length, endpoint); wrong != 0) return wrong;
  if (family() == AF_INET6 && endpoint.address.is_v4() && call_options_.ipv6_only) return -EINVAL;
  if (is_open()) return -EINVAL;
  const long result = open(endpoint);
  bound_ = result == 0;
  return result;
}

long DatagramSocket::listen(int /*backlog*/) { return -EOPNOTSUPP; }
long DatagramSocket::accept(std::shared_ptr<Socket>& /*accepted*/, Endpoint& /*peer*/) { return -EOPNOTSUPP; }

long DatagramSocket::read_destination(const sockaddr* address, socklen_t length, Endpoint& remote) const noexcept {
  if (const long wrong = read_address(family(), address, length, remote); wrong != 0) return wrong;
  if (remote.address.is_any()) remote.address = loopback_of(remote.address);
  if (family() == AF_INET6 && remote.address.is_v4() && call_options_.ipv6_only) return -ENETUNREACH;
  return 0;
}

long DatagramSocket::connect(const sockaddr* address, socklen_t length) {
  if (address == nullptr) return -EFAULT;
  if (length < sizeof(sa_family_t)) return -EINVAL;
  if (address->sa_family == AF_UNSPEC) return disconnect();
  if (!is_open())
    if (const long wrong = open({any_of(family()), 0}); wrong != 0) return wrong;
  Endpoint remote;
  if (const long wrong = read_destination(address, length, remote); wrong != 0) return wrong;
  if (const auto connected = stack().connect(socket_, remote); !connected) return minus_errno(connected.error());
  remote_ = remote;
  local_ = stack().info(socket_)->local;
  return apply_options();
}

// Linux's udp_disconnect(): what bind() has not given goes.
long DatagramSocket::disconnect() {
  remote_.reset();
  error_ = 0;
  if (!is_open()) return 0;
  if (bound_) {
    (void)stack().disconnect(socket_);
    local_ = stack().info(socket_)->local;
  } else {
    (void)stack().close(socket_);
    socket_ = DatagramId();
    local_ = Endpoint();
  }
  return 0;
}

long DatagramSocket::name(Endpoint& endpoint) {
  endpoint = local_;
  return 0;
}

long DatagramSocket::peer(Endpoint& endpoint) {
  if (!remote_ || remote_->port == 0) return -ENOTCONN;
  endpoint = *remote_;
  return 0;
}

long DatagramSocket::shutdown(int how) {
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  shutdown_ |= static_cast<unsigned>(how) + 1;
  tell_watches(0);
  ++system_.changes;
  return remote_ ? 0 : -ENOTCONN;
}

long DatagramSocket::close() {
  if (is_open()) (void)stack().close(socket_);
  socket_ = DatagramId();
  return 0;
}

// ---- options -------------------------------------------------------------------------------------------------------

int DatagramSocket::protocol() const noexcept {
  if (protocol_ == DatagramProtocol::Udp) return IPPROTO_UDP;
  if (family() == AF_INET) return IPPROTO_ICMP;
  return IPPROTO_ICMPV6;
}

int DatagramSocket::take_error() {
  look();
  return std::exchange(error_, 0);
}

SocketMemory DatagramSocket::memory() {
  SocketMemory memory;
  memory.rcvbuf = stack().settings().rmem_default;
  memory.sndbuf = stack().settings().wmem_default;
  if (!is_open()) return memory;
  const DatagramInfo info = *stack().info(socket_);
  memory.rmem_alloc = info.receive_queue;
  memory.rcvbuf = info.receive_buffer;
  memory.wmem_alloc = info.send_queue;
  memory.sndbuf = info.send_buffer;
  memory.drops = static_cast<std::uint32_t>(info.drops);
  return memory;
}

long DatagramSocket::path_mtu() {
  if (!remote_) return -ENOTCONN;
  const auto mtu = stack().path_mtu(system_.now(), remote_->address);
  return mtu ? *mtu : -ENOTCONN;
}

long DatagramSocket::set_own_option(int level, int name, const OptionValue& value) {
  if (level != IPPROTO_UDP || protocol_ != DatagramProtocol::Udp || name != UDP_CORK) return -ENOPROTOOPT;
  int number = 0;
  if (const long wrong = value.read(number); wrong != 0) return wrong;
  cork_ = number != 0;
  if (cork_ || !corked_) return 0;
  const Slice whole = Slice::adopt(*std::exchange(corked_, std::nullopt));
  (void)send_whole(whole, corked_to_, corked_extras_, MSG_DONTWAIT);
  return 0;
}

long DatagramSocket::get_own_option(int level, int name, const OptionRoom& room) {
  if (level != IPPROTO_UDP || protocol_ != DatagramProtocol::Udp || name != UDP_CORK) return -ENOPROTOOPT;
  return room.put(cork_ ? 1 : 0);
}

long DatagramSocket::ioctl(unsigned long request, int& value) {
  switch (request) {
    case SIOCINQ:
      if (!first_ && is_open())
        if (auto next = stack().receive(socket_)) first_ = *std::move(next);
      value = first_ ? static_cast<int>(first_->bytes.size()) : 0;
      return 0;
    case SIOCOUTQ:
      value = is_open() ? static_cast<int>(stack().info(socket_)->send_queue) : 0;
      return 0;
    default:
      return -ENOTTY;
  }
}

}  // namespace ff::posix
