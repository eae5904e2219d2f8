// struct msghdr: the pieces of a message, and the control messages beside it.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "firstflight/bytes.hpp"

namespace ff::posix {

// How many bytes the pieces have room for; negative: -EINVAL, -EMSGSIZE, -EFAULT.
long total_size(const msghdr& message) noexcept;

// The part of a message's pieces from `offset` that lies in one piece; empty behind the end.
MutableByteSpan piece_at(const msghdr& message, std::size_t offset) noexcept;

// Copies `bytes` into the pieces; says how many there was room for.
std::size_t scatter(const msghdr& message, ByteSpan bytes) noexcept;
Slice gather(const msghdr& message, std::size_t size);

// A control message of sendmsg().
struct Control {
  int level, type;
  std::span<const std::byte> data;

  // False: it is not of that size.
  template <typename T>
  bool read(T& value) const noexcept {
    if (data.size() != sizeof value) return false;
    std::memcpy(&value, data.data(), sizeof value);
    return true;
  }
};

// Calls f(Control), which returns 0 or -errno, with each; -EINVAL where their lengths cannot be.
template <typename F>
long for_each_control(const msghdr& message, F&& f) {
  const auto* const bytes = static_cast<const std::byte*>(message.msg_control);
  std::size_t left = message.msg_controllen;
  if (bytes == nullptr && left > 0) return -EFAULT;
  for (std::size_t at = 0; left >= sizeof(cmsghdr);) {
    cmsghdr header;
    std::memcpy(&header, bytes + at, sizeof header);
    if (header.cmsg_len < sizeof header || header.cmsg_len > left) return -EINVAL;
    if (const long wrong =
            f(Control{header.cmsg_level, header.cmsg_type, {bytes + at + CMSG_LEN(0), header.cmsg_len - CMSG_LEN(0)}});
        wrong != 0)
      return wrong;
    const std::size_t step = std::min(CMSG_ALIGN(header.cmsg_len), left);
    at += step;
    left -= step;
  }
  return 0;
}

// Adds control messages to what recvmsg() was given room for, and says in the end how much it was.
class ControlWriter {
 public:
  explicit ControlWriter(msghdr& message) noexcept : message_(message), room_(message.msg_controllen) {
    message_.msg_controllen = 0;
    message_.msg_flags = 0;
  }
  template <typename T>
  void add(int level, int type, const T& value) noexcept {
    add(level, type, &value, sizeof value);
  }
  // Cut when there is too little room for it, which MSG_CTRUNC tells.
  void add(int level, int type, const void* data, std::size_t size) noexcept;

 private:
  msghdr& message_;
  std::size_t room_;
};

}  // namespace ff::posix
