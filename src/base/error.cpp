#include "firstflight/error.hpp"

#include <cerrno>

namespace ff {

int to_errno(Error error) noexcept {
  switch (error) {
    case Error::WouldBlock:
      return EAGAIN;
    case Error::InvalidArgument:
      return EINVAL;
    case Error::StaleHandle:
      return EBADF;
    case Error::AddressInUse:
      return EADDRINUSE;
    case Error::AddressNotAvailable:
      return EADDRNOTAVAIL;
    case Error::NetworkUnreachable:
      return ENETUNREACH;
    case Error::HostUnreachable:
      return EHOSTUNREACH;
    case Error::ConnectionRefused:
      return ECONNREFUSED;
    case Error::ConnectionReset:
      return ECONNRESET;
    case Error::BrokenPipe:
      return EPIPE;
    case Error::NotConnected:
      return ENOTCONN;
    case Error::TimedOut:
      return ETIMEDOUT;
    case Error::NoBufferSpace:
      return ENOBUFS;
    case Error::PermissionDenied:
      return EACCES;
    case Error::ProtocolError:
      return ENOPROTOOPT;
    case Error::MessageTooLong:
      return EMSGSIZE;
    case Error::DestinationRequired:
      return EDESTADDRREQ;
    case Error::AlreadyExists:
      return EEXIST;
    case Error::NotFound:
      return ESRCH;
    case Error::NoSuchName:
      return ENOENT;
  }
  return EINVAL;
}

std::string_view to_string(Error error) noexcept {
  switch (error) {
    case Error::WouldBlock:
      return "not now: nothing to do it with yet";
    case Error::InvalidArgument:
      return "invalid argument";
    case Error::StaleHandle:
      return "the socket is gone";
    case Error::AddressInUse:
      return "address already in use";
    case Error::AddressNotAvailable:
      return "address not available";
    case Error::NetworkUnreachable:
      return "network unreachable";
    case Error::HostUnreachable:
      return "host unreachable";
    case Error::ConnectionRefused:
      return "connection refused";
    case Error::ConnectionReset:
      return "connection reset by peer";
    case Error::BrokenPipe:
      return "broken pipe";
    case Error::NotConnected:
      return "not connected";
    case Error::TimedOut:
      return "connection timed out";
    case Error::NoBufferSpace:
      return "no room for more";
    case Error::PermissionDenied:
      return "prohibited by an administrator";
    case Error::ProtocolError:
      return "the peer does not speak this protocol";
    case Error::MessageTooLong:
      return "message too long";
    case Error::DestinationRequired:
      return "destination address required";
    case Error::AlreadyExists:
      return "it exists already";
    case Error::NotFound:
      return "no such entry";
    case Error::NoSuchName:
      return "nothing is called so";
  }
  return "unknown error";
}

}  // namespace ff
