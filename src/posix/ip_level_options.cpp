// Levels IPPROTO_IP and IPPROTO_IPV6, after Linux's do_ip_setsockopt() and do_ipv6_setsockopt(). What is about single
// packets is for datagram sockets alone; a stream has none to tell of.
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

#include "posix/socket.hpp"

namespace ff::posix {
namespace {

constexpr int kEcnBits = 3;  // TCP's own

int without_ecn(int value, bool stream) noexcept { return stream ? value & ~kEcnBits : value; }

}  // namespace

long Socket::set_receive_errors(bool& setting, bool on) {
  const bool old = setting;
  setting = on;
  const long wrong = change(options_.receive_errors, call_options_.receive_errors || call_options_.receive_errors6);
  if (wrong != 0) setting = old;
  return wrong;
}

PathMtuDiscovery CallOptions::path_mtu_discovery() const noexcept {
  if (mtu_discover == IP_PMTUDISC_DONT) return PathMtuDiscovery::Dont;
  return mtu_discover == IP_PMTUDISC_DO ? PathMtuDiscovery::Do : PathMtuDiscovery::Want;
}

long Socket::set_ip_option(int name, const OptionValue& value) {
  int number = 0;
  if (const long wrong = value.read_short(number); wrong != 0) return wrong;
  const bool stream = type_ == SOCK_STREAM;
  const auto switch_for_datagrams = [&](bool& setting) { return stream ? -ENOPROTOOPT : change(setting, number != 0); };
  switch (name) {
    case IP_TOS:
      return change(call_options_.tos, without_ecn(number & 0xff, stream));
    case IP_TTL:
      if (value.length == 0 || (number != -1 && (number < 1 || number > 255))) return -EINVAL;
      return change(call_options_.ttl, number);
    case IP_MTU_DISCOVER:
      if (number < IP_PMTUDISC_DONT || number > IP_PMTUDISC_OMIT) return -EINVAL;
      if (number > IP_PMTUDISC_DO) return -ENOPROTOOPT;
      return change(call_options_.mtu_discover, number);
    case IP_BIND_ADDRESS_NO_PORT:
      return change(call_options_.bind_no_port, number != 0);
    case IP_FREEBIND:
      return stream ? change(options_.freebind, number != 0) : -ENOPROTOOPT;
    case IP_RECVERR:
      return set_receive_errors(call_options_.receive_errors, number != 0);
    case IP_PKTINFO:
      return switch_for_datagrams(call_options_.packet_info);
    case IP_RECVTTL:
      return switch_for_datagrams(call_options_.receive_ttl);
    case IP_RECVTOS:
      return switch_for_datagrams(call_options_.receive_tos);
    default:
      return -ENOPROTOOPT;
  }
}

long Socket::get_ip_option(int name, const OptionRoom& room) {
  if (const long wrong = room.check(); wrong != 0) return wrong;
  const auto put = [&](bool setting) { return room.put_short(setting ? 1 : 0); };
  switch (name) {
    case IP_TOS:
      return room.put_short(call_options_.tos);
    case IP_TTL:
      return room.put_short(call_options_.ttl == -1 ? static_cast<int>(stack().settings().ip_default_ttl)
                                                    : call_options_.ttl);
    case IP_MTU_DISCOVER:
      return room.put_short(call_options_.mtu_discover);
    case IP_MTU: {
      const long mtu = path_mtu();
      return mtu < 0 ? mtu : room.put_short(static_cast<int>(mtu));
    }
    case IP_HDRINCL:  // raw sockets have it
      return put(false);
    case IP_FREEBIND:
      return put(options_.freebind);
    case IP_BIND_ADDRESS_NO_PORT:
      return put(call_options_.bind_no_port);
    case IP_RECVERR:
      return put(call_options_.receive_errors);
    case IP_PKTINFO:
      return put(call_options_.packet_info);
    case IP_RECVTTL:
      return put(call_options_.receive_ttl);
    case IP_RECVTOS:
      return put(call_options_.receive_tos);
    default:
      return -ENOPROTOOPT;
  }
}

long Socket::set_ipv6_option(int name, const OptionValue& value) {
  int number = 0;
  const bool stream = type_ == SOCK_STREAM;
  const bool too_short = value.length < sizeof number;
  if (!too_short && value.data != nullptr)  // without one it is 0
    if (const long wrong = value.read(number); wrong != 0) return wrong;
  const auto switch_for_datagrams = [&](bool& setting) -> long {
    if (too_short) return -EINVAL;
    return stream ? -ENOPROTOOPT : change(setting, number != 0);
  };
  switch (name) {
    case IPV6_V6ONLY:
      if (too_short || is_bound()) return -EINVAL;
      return change(call_options_.ipv6_only, number != 0);
    case IPV6_UNICAST_HOPS:
      if (too_short || number < -1 || number > 255) return -EINVAL;
      return change(call_options_.hop_limit, number);
    case IPV6_TCLASS:
      if (too_short || number < -1 || number > 255) return -EINVAL;
      return change(call_options_.traffic_class, number == -1 ? 0 : without_ecn(number, stream));
    case IPV6_MTU_DISCOVER:
      if (too_short || number < IPV6_PMTUDISC_DONT || number > IPV6_PMTUDISC_OMIT) return -EINVAL;
      if (number > IPV6_PMTUDISC_DO || (stream && number == IPV6_PMTUDISC_DONT)) return -ENOPROTOOPT;
      return change(call_options_.mtu_discover, number);
    case IPV6_RECVERR:
      return too_short ? -EINVAL : set_receive_errors(call_options_.receive_errors6, number != 0);
    case IPV6_RECVPKTINFO:
      return switch_for_datagrams(call_options_.packet_info6);
    case IPV6_RECVHOPLIMIT:
      return switch_for_datagrams(call_options_.receive_hop_limit);
    case IPV6_RECVTCLASS:
      return switch_for_datagrams(call_options_.receive_traffic_class);
    default:
      return -ENOPROTOOPT;
  }
}

long Socket::get_ipv6_option(int name, const OptionRoom& room) {
  if (room.length == nullptr) return -EFAULT;
  *room.length = std::min<socklen_t>(*room.length, sizeof(int));  // also of a negative one, as Linux
  const auto put = [&](bool setting) { return room.put(setting ? 1 : 0); };
  switch (name) {
    case IPV6_V6ONLY:
      return put(call_options_.ipv6_only);
    case IPV6_UNICAST_HOPS:
      return room.put(call_options_.hop_limit == -1 ? static_cast<int>(stack().settings().ip_default_ttl)
                                                    : call_options_.hop_limit);
    case IPV6_TCLASS:
      return room.put(call_options_.traffic_class == -1 ? 0 : call_options_.traffic_class);
    case IPV6_MTU_DISCOVER:
      return room.put(call_options_.mtu_discover);
    case IPV6_MTU: {
      const long mtu = path_mtu();
      return mtu < 0 ? mtu : room.put(static_cast<int>(mtu));
    }
    case IPV6_RECVERR:
      return put(call_options_.receive_errors6);
    case IPV6_RECVPKTINFO:
      return put(call_options_.packet_info6);
    case IPV6_RECVHOPLIMIT:
      return put(call_options_.receive_hop_limit);
    case IPV6_RECVTCLASS:
      return put(call_options_.receive_traffic_class);
    default:
      return -ENOPROTOOPT;
  }
}

}  // namespace ff::posix
