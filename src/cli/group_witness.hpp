// Tells a signal that was sent to our whole process group, whose other members have it already, from one that was sent
// to us alone: which the kernel does not say.
//
// A process that does nothing else stands beside us in the group, and is asked whether the signal has come to it, too.
#pragma once

#include <sys/types.h>

#include <initializer_list>

#include "device/file_descriptor.hpp"

namespace ff::cli {

class GroupWitness {
 public:
  // For these signals. Throws Failure.
  explicit GroupWitness(std::initializer_list<int> signals);
  // It goes with us, however we end.
  ~GroupWitness();
  GroupWitness(const GroupWitness&) = delete;
  GroupWitness& operator=(const GroupWitness&) = delete;

  // To be asked once for a signal that has come to us.
  [[nodiscard]] bool saw(int signal) noexcept;

 private:
  FileDescriptor channel_;
  pid_t id_ = -1;
};

}  // namespace ff::cli
