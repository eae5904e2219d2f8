// Datagrams out and in, after Linux's udp_sendmsg(), udp_recvmsg() and ip_recv_error().
#include <arpa/inet.h>  // and struct timespec, which the next one lacks
#include <linux/errqueue.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "posix/address.hpp"
#include "posix/datagram_socket.hpp"
#include "posix/message.hpp"

namespace ff::posix {
namespace {

constexpr std::size_t kMaxDatagram = 0xffff;

void put_name(msghdr& message, int family, const Endpoint& endpoint) noexcept {
  if (message.msg_name == nullptr) return;
  socklen_t length = message.msg_namelen;
  (void)write_address(family, endpoint, static_cast<sockaddr*>(message.msg_name), &length);
  message.msg_namelen = length;
}

in_addr v4_of(const IpAddress& address) noexcept {
  in_addr result;
  std::memcpy(&result, address.v4_bytes().data(), sizeof result);
  return result;
}

in6_addr v6_of(const IpAddress& address) noexcept {
  in6_addr result;
  std::memcpy(&result, address.bytes().data(), sizeof result);
  return result;
}

}  // namespace

// ---- sending -------------------------------------------------------------------------------------------------------

long DatagramSocket::destination_of(const msghdr& message, std::optional<Endpoint>& to) const noexcept {
  const auto* address = static_cast<const sockaddr*>(message.msg_name);
  if (address == nullptr || message.msg_namelen == 0) return remote_ ? 0 : -EDESTADDRREQ;
  Endpoint remote;
  long wrong = -EINVAL;
  if (message.msg_namelen >= sizeof(sa_family_t)) {
    // An IPv6 socket takes IPv4's addresses as they are, too.
    const bool plain_v4 = family() == AF_INET6 && address->sa_family == AF_INET;
    wrong = read_address(plain_v4 ? AF_INET : family(), address, message.msg_namelen, remote);
    if (wrong == 0 && plain_v4 && call_options_.ipv6_only) return -ENETUNREACH;
  }
  if (wrong == -EAFNOSUPPORT && family() == AF_INET6) wrong = -EINVAL;
  if (wrong != 0) return wrong;
  if (protocol_ == DatagramProtocol::Udp && remote.port == 0) return -EINVAL;
  if (family() == AF_INET6 && remote.address.is_v4() && call_options_.ipv6_only) return -ENETUNREACH;
  if (remote.address.is_any()) remote.address = loopback_of(remote.address);
  to = remote;
  return 0;
}

long DatagramSocket::send(const msghdr& message, int flags) {
  const long size = total_size(message);
  if (size < 0) return size;
  if (static_cast<std::size_t>(size) > kMaxDatagram) return -EMSGSIZE;
  if ((flags & MSG_OOB) != 0 && family() == AF_INET) return -EOPNOTSUPP;  // udpv6_sendmsg() takes no notice
  if (message.msg_controllen > 0) return -EINVAL;
  std::optional<Endpoint> to;
  if (const long wrong = destination_of(message, to); wrong != 0 && !corked_) return wrong;
  const bool more = cork_ || (flags & MSG_MORE) != 0;
  Slice bytes = gather(message, static_cast<std::size_t>(size));
  if (!more && !corked_) {
    const long wrong = send_whole(bytes, to, flags);
    return wrong == 0 ? size : wrong;
  }
  if (!corked_) {
    corked_.emplace();
    corked_to_ = to;
  }
  if (corked_->size() + bytes.size() > kMaxDatagram) return -EMSGSIZE;
  corked_->append(bytes.text());
  if (more) return size;
  const long wrong = send_whole(Slice::adopt(*std::exchange(corked_, std::nullopt)), corked_to_, flags);
  return wrong == 0 ? size : wrong;
}

long DatagramSocket::send_whole(const Slice& bytes, const std::optional<Endpoint>& to, int flags) {
  if (!is_open())
    if (const long wrong = open({any_of(family()), 0}); wrong != 0) return wrong;
  return system_.until(send_deadline(flags), [&]() -> long {
    look();
    if (error_ != 0) return -std::exchange(error_, 0);
    if ((shutdown_ & kSendShut) != 0) return -EPIPE;  // without a signal
    const auto sent = stack().send(system_.now(), socket_, bytes, to);
    return sent ? 0 : -static_cast<long>(to_errno(sent.error()));
  });
}

// ---- receiving -----------------------------------------------------------------------------------------------------

long DatagramSocket::receive(msghdr& message, int flags) {
  const long size = total_size(message);
  if (size < 0) return size;
  if ((flags & MSG_ERRQUEUE) != 0) return receive_error(message);
  const long result = system_.until(receive_deadline(flags), [&]() -> long {
    look();
    if (error_ != 0) return -std::exchange(error_, 0);
    if (!first_ && is_open()) {
      if (auto next = stack().receive(socket_)) first_ = *std::move(next);
    }
    if (first_) return 1;
    return (shutdown_ & kReceiveShut) != 0 ? 0 : -EAGAIN;
  });
  if (result <= 0) {
    ControlWriter nothing(message);
    message.msg_namelen = 0;
    return result;
  }
  describe(*first_, message);
  const std::size_t copied = scatter(
      message, first_->bytes.span().first(std::min<std::size_t>(first_->bytes.size(), static_cast<std::size_t>(size))));
  if (copied < first_->bytes.size()) message.msg_flags |= MSG_TRUNC;
  const auto told = static_cast<long>((flags & MSG_TRUNC) != 0 ? first_->bytes.size() : copied);
  if ((flags & MSG_PEEK) == 0) first_.reset();
  return told;
}

// Where it came from, and the control messages that were asked for.
void DatagramSocket::describe(const Datagram& datagram, msghdr& message) const noexcept {
  ControlWriter control(message);
  put_name(message, family(), datagram.source);
  const int index = datagram.interface + 1;
  const bool v4 = datagram.destination.is_v4();
  const int hops = datagram.ttl;
  const int traffic_class = datagram.traffic_class;
  if (v4 && call_options_.packet_info)
    control.add(IPPROTO_IP, IP_PKTINFO, in_pktinfo{index, v4_of(datagram.destination), v4_of(datagram.destination)});
  if (v4 && call_options_.receive_ttl) control.add(IPPROTO_IP, IP_TTL, hops);
  if (v4 && call_options_.receive_tos) control.add(IPPROTO_IP, IP_TOS, datagram.traffic_class);
  if (call_options_.packet_info6)
    control.add(IPPROTO_IPV6, IPV6_PKTINFO, in6_pktinfo{v6_of(datagram.destination), static_cast<unsigned>(index)});
  if (!v4 && call_options_.receive_hop_limit) control.add(IPPROTO_IPV6, IPV6_HOPLIMIT, hops);
  if (!v4 && call_options_.receive_traffic_class) control.add(IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
}

// What the network said of a datagram, the oldest first; it never waits.
long DatagramSocket::receive_error(msghdr& message) {
  look();
  ControlWriter control(message);
  if (!first_error_) {
    message.msg_namelen = 0;
    return -EAGAIN;
  }
  const DatagramError error = *std::exchange(first_error_, std::nullopt);
  look();
  error_ = first_error_ ? to_errno(first_error_->error) : 0;

  struct {
    sock_extended_err said{};
    sockaddr_in6 offender{};
  } told;
  const bool v4 = error.destination.address.is_v4();
  told.said.ee_errno = static_cast<std::uint32_t>(to_errno(error.error));
  told.said.ee_origin = !error.from ? SO_EE_ORIGIN_LOCAL : v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6;
  told.said.ee_type = error.type;
  told.said.ee_code = error.code;
  told.said.ee_info = error.mtu;
  const int level = family() == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
  auto* offender = reinterpret_cast<sockaddr*>(&told.offender);
  socklen_t length = sizeof told.offender;
  if (error.from) (void)write_address(family(), {*error.from, 0}, offender, &length);
  const std::size_t size = sizeof told.said + (family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  control.add(level, level == IPPROTO_IP ? IP_RECVERR : IPV6_RECVERR, &told, size);
  put_name(message, family(), error.destination);
  message.msg_flags |= MSG_ERRQUEUE;
  const std::size_t copied = scatter(message, error.bytes.span());
  if (copied < error.bytes.size()) message.msg_flags |= MSG_TRUNC;
  return static_cast<long>(copied);
}

}  // namespace ff::posix
