// Datagrams out and in, after Linux's udp_sendmsg(), udp_recvmsg() and ip_cmsg_send().
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "posix/address.hpp"
#include "posix/datagram_socket.hpp"
#include "posix/message.hpp"

namespace ff::posix {
namespace {

constexpr std::size_t kMaxDatagram = 0xffff;
constexpr int kMostInterfaces = 0xffff;

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

IpAddress address_of(const in_addr& address) noexcept {
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &address, 4);
  return IpAddress::v4(bytes);
}

IpAddress address_of(const in6_addr& address) noexcept {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &address, 16);
  return IpAddress::v6(bytes);
}

// A datagram is in one piece: of several a copy is made.
Slice gather_or_lend(const msghdr& message, std::size_t size, const std::optional<Loan>& loan) {
  if (!loan) return gather(message, size);
  const MutableByteSpan piece = piece_at(message, 0);
  if (piece.size() >= size) return loan->slice(piece.first(size));
  loan->slice({}).note_copy();
  return gather(message, size);
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

// Linux's ip_cmsg_send(). Returns 0 or -errno.
long DatagramSocket::read_ip_control(const Control& control, Extras& extras) const {
  int number = 0;
  std::uint8_t octet = 0;
  in_pktinfo info;
  switch (control.type) {
    case IP_PKTINFO:
      if (!control.read(info)) return -EINVAL;
      if (info.ipi_ifindex != 0) {
        if (info.ipi_ifindex < 1 || info.ipi_ifindex > kMostInterfaces) return -ENODEV;
        extras.interface = static_cast<InterfaceId>(info.ipi_ifindex - 1);
      }
      if (info.ipi_spec_dst.s_addr != INADDR_ANY) extras.source = address_of(info.ipi_spec_dst);
      return 0;
    case IP_TTL:
      if (!control.read(number) || number < 1 || number > 255) return -EINVAL;
      extras.ttl = static_cast<std::uint8_t>(number);
      return 0;
    case IP_TOS:
      if (control.read(octet))
        number = octet;
      else if (!control.read(number) || number < 0 || number > 255)
        return -EINVAL;
      extras.traffic_class = static_cast<std::uint8_t>(number);
      return 0;
    default:
      return -EINVAL;
  }
}

// Linux's ip6_datagram_send_ctl().
long DatagramSocket::read_ipv6_control(const Control& control, Extras& extras) const {
  int number = 0;
  in6_pktinfo info;
  switch (control.type) {
    case IPV6_PKTINFO: {
      if (control.data.size() < sizeof info) return -EINVAL;
      std::memcpy(&info, control.data.data(), sizeof info);
      if (info.ipi6_ifindex > kMostInterfaces) return -ENODEV;
      if (info.ipi6_ifindex != 0) extras.interface = static_cast<InterfaceId>(info.ipi6_ifindex - 1);
      const IpAddress source = address_of(info.ipi6_addr);
      if (!source.is_any()) extras.source = source;
      return 0;
    }
    case IPV6_HOPLIMIT:
    case IPV6_TCLASS:
      if (!control.read(number) || number < -1 || number > 255) return -EINVAL;
      if (number == -1 && control.type == IPV6_HOPLIMIT) return 0;  // the default; the other is cut to a byte
      (control.type == IPV6_TCLASS ? extras.traffic_class : extras.ttl) = static_cast<std::uint8_t>(number);
      return 0;
    default:
      return -EINVAL;
  }
}

long DatagramSocket::read_controls(const msghdr& message, bool over_v4, Extras& extras) const {
  extras.timestamping = stamping_.flags;
  return for_each_control(message, [&](const Control& control) -> long {
    if (control.level == SOL_SOCKET) return read_socket_control(control, extras.timestamping);
    if (control.level == IPPROTO_UDP && protocol_ == DatagramProtocol::Udp) return -EINVAL;
    if (over_v4 && control.level == IPPROTO_IP) return read_ip_control(control, extras);
    if (over_v4 && control.level == IPPROTO_IPV6 && family() == AF_INET6 && control.type == IPV6_PKTINFO) {
      if (const long wrong = read_ipv6_control(control, extras); wrong != 0) return wrong;
      return !extras.source || extras.source->is_v4() ? 0 : -EINVAL;
    }
    if (!over_v4 && control.level == IPPROTO_IPV6) return read_ipv6_control(control, extras);
    return 0;
  });
}

long DatagramSocket::send(const msghdr& message, int flags) {
  const long size = total_size(message);
  if (size < 0) return size;
  if (static_cast<std::size_t>(size) > kMaxDatagram) return -EMSGSIZE;
  if ((flags & MSG_OOB) != 0 && family() == AF_INET) return -EOPNOTSUPP;  // udpv6_sendmsg() takes no notice
  std::optional<Endpoint> to;
  if (const long wrong = destination_of(message, to); wrong != 0 && !corked_) return wrong;
  Extras extras;
  const bool over_v4 = to ? to->address.is_v4() : remote_ && remote_->address.is_v4();
  if (const long wrong = read_controls(message, over_v4, extras); wrong != 0) return wrong;
  const bool more = cork_ || (flags & MSG_MORE) != 0;
  std::uint32_t call = 0;
  std::optional<Loan> loan = lend(static_cast<std::size_t>(size), flags, call);
  Slice bytes = gather_or_lend(message, static_cast<std::size_t>(size), loan);
  if (!more && !corked_) {
    const long wrong = send_whole(bytes, to, extras, flags);
    if (wrong != 0 && loan) take_back(*loan, call);
    return wrong == 0 ? size : wrong;
  }
  if (!corked_) {
    corked_.emplace();
    corked_to_ = to;
    corked_extras_ = extras;
  }
  if (corked_->size() + bytes.size() > kMaxDatagram) return -EMSGSIZE;
  corked_->append(bytes.text());
  bytes.note_copy();
  if (more) return size;
  const long wrong = send_whole(Slice::adopt(*std::exchange(corked_, std::nullopt)), corked_to_, corked_extras_, flags);
  return wrong == 0 ? size : wrong;
}

long DatagramSocket::send_whole(const Slice& bytes, const std::optional<Endpoint>& to, Extras extras, int flags) {
  if (!is_open())
    if (const long wrong = open({any_of(family()), 0}); wrong != 0) return wrong;
  extras.stamp = stamps_wanted(extras.timestamping);
  extras.stamp.key = next_stamp_key_;
  const long result = system_.until(send_deadline(flags), [&]() -> long {
    look();
    if (error_ != 0) return -std::exchange(error_, 0);
    if ((shutdown_ & kSendShut) != 0) return -EPIPE;  // without a signal
    const auto sent = stack().send(system_.now(), socket_, bytes, to, extras);
    if (!sent && sent.error() == Error::NotFound) return -ENODEV;
    return sent ? 0 : -static_cast<long>(to_errno(sent.error()));
  });
  if (result == 0 && extras.stamp.kinds != 0) ++next_stamp_key_;
  return result;
}

// ---- receiving -----------------------------------------------------------------------------------------------------

long DatagramSocket::receive(msghdr& message, int flags) {
  const long size = total_size(message);
  if (size < 0) return size;
  if ((flags & MSG_ERRQUEUE) != 0) {
    look();
    return receive_error(message);
  }
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
void DatagramSocket::describe(const Datagram& datagram, msghdr& message) {
  ControlWriter control(message);
  put_name(message, family(), datagram.source);
  if (options_.receive_stamps) tell_time(datagram.at, false, control);
  const int index = datagram.interface + 1;
  const bool v4 = datagram.destination.is_v4();
  if (v4 && call_options_.packet_info)
    control.add(IPPROTO_IP, IP_PKTINFO, in_pktinfo{index, v4_of(datagram.destination), v4_of(datagram.destination)});
  if (call_options_.packet_info6)
    control.add(IPPROTO_IPV6, IPV6_PKTINFO, in6_pktinfo{v6_of(datagram.destination), static_cast<unsigned>(index)});
  tell_header(v4, datagram.ttl, datagram.traffic_class, control);
}

}  // namespace ff::posix
