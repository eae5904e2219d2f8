// struct msghdr: the pieces of a message, and the control messages beside it.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstring>

#include "firstflight/bytes.hpp"

namespace ff::posix {

// How many bytes the pieces have room for; negative: -EINVAL, -EMSGSIZE, -EFAULT.
long total_size(const msghdr& message) noexcept;

// The part of a message's pieces from `offset` that lies in one piece; empty behind the end.
MutableByteSpan piece_at(const msghdr& message, std::size_t offset) noexcept;

// Copies `bytes` into the pieces; says how many there was room for.
std::size_t scatter(const msghdr& message, ByteSpan bytes) noexcept;
Slice gather(const msghdr& message, std::size_t size);

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
