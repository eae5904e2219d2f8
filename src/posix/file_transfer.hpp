// sendfile() and splice() between a socket of ours and a file or pipe of the kernel's, by copying.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <functional>

#include "posix/sockets.hpp"

namespace ff::posix {

// Runs a call on the table of sockets, whatever lock that takes, and gives back its result or -errno. No lock is held
// while the kernel is waited for.
using WithSockets = std::function<long(const std::function<long(Sockets&)>&)>;

// `offset` null: the file's own. What was read and finds no room is read again next time.
long send_file(const WithSockets& with, int socket, int file, off_t* offset, std::size_t count);

// One end is a socket of ours, the other a pipe.
long splice(const WithSockets& with, int in, loff_t* in_offset, int out, loff_t* out_offset, std::size_t count,
            unsigned flags);

// A result as a system call gives it: -1, and errno says what was wrong.
template <typename T>
T finish(long result) noexcept {
  if (result >= 0) return static_cast<T>(result);
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace ff::posix
