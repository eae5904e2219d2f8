// What can be wrong with a command to the stack. Packets never cause an Error: a bad one is a counted DropReason.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace ff {

// Each value stands for the Linux errno of the same meaning, named behind it.
enum class Error : std::uint8_t {
  WouldBlock,           // EAGAIN: nothing to read, no room to write, nothing to accept
  InvalidArgument,      // EINVAL
  StaleHandle,          // EBADF: the handle's socket is gone
  AddressInUse,         // EADDRINUSE
  AddressNotAvailable,  // EADDRNOTAVAIL: not an address of ours, or every ephemeral port is taken
  NetworkUnreachable,   // ENETUNREACH: no interface leads there
  HostUnreachable,      // EHOSTUNREACH: an ICMP error said so
  ConnectionRefused,    // ECONNREFUSED: the peer answered the SYN with RST
  ConnectionReset,      // ECONNRESET
  BrokenPipe,           // EPIPE: writing after shutdown, or after a reset was reported
  NotConnected,         // ENOTCONN
  TimedOut,             // ETIMEDOUT
  NoBufferSpace,        // ENOBUFS: a bound of the stack (connections, requests, memory) is reached
  PermissionDenied,     // EACCES: administratively prohibited (ICMP)
  ProtocolError,        // ENOPROTOOPT: ICMP says that the peer does not speak TCP (protocol unreachable)
  MessageTooLong,       // EMSGSIZE: a datagram larger than can be sent, or than the path carries
  DestinationRequired,  // EDESTADDRREQ: a datagram to nobody
  AlreadyExists,        // EEXIST
  NotFound,             // ESRCH
  NoSuchName,           // ENOENT: no congestion control is called so
};

template <typename T>
using Result = std::expected<T, Error>;

// The Linux errno value, for example ECONNREFUSED.
int to_errno(Error) noexcept;

// One plain phrase, for example "connection refused".
std::string_view to_string(Error) noexcept;

}  // namespace ff
