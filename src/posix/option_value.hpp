// The value of a socket option as setsockopt() and getsockopt() pass it.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <span>

namespace ff::posix {

// What setsockopt() was given.
struct OptionValue {
  const void* data;
  socklen_t length;

  // 0; -EINVAL: shorter than an int; -EFAULT: none.
  long read(int& value) const noexcept;
  // As the options of level IP are: a byte is enough for small values.
  long read_short(int& value) const noexcept;
  long read_bytes(std::span<std::byte> to) const noexcept;
};

// Where getsockopt() is to put it. Every function cuts to the room there is, says how much it was, and returns 0;
// -EINVAL: a negative length; -EFAULT: nowhere.
struct OptionRoom {
  void* data;
  socklen_t* length;

  long put(int value) const noexcept;
  // As the options of level IP are: a value from 0 to 255 fits less than an int.
  long put_short(int value) const noexcept;
  long put_bytes(std::span<const std::byte> bytes) const noexcept;
  template <typename T>
  long put_struct(const T& value) const noexcept {
    return put_bytes(std::as_bytes(std::span(&value, 1)));
  }
  [[nodiscard]] long check() const noexcept;
};

}  // namespace ff::posix
