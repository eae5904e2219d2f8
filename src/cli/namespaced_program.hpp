// A program in a network namespace of its own, all of whose packets come out of a TUN device that we hold. Made without
// privilege, by a user namespace, where there is none. The namespace has no name and goes with the program and us.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "device/file_descriptor.hpp"
#include "firstflight/address.hpp"

namespace ff::cli {

struct NamespaceOptions {
  std::string device = "ff0";
  std::uint16_t mtu = 65520;
  bool offload = true;
  std::vector<Cidr> addresses;      // the program's
  std::vector<IpAddress> gateways;  // ours: where its default routes lead
  // What its /etc/resolv.conf says instead of what it says outside.
  std::optional<std::string> resolv_conf;
};

class NamespacedProgram {
 public:
  // Makes the namespace and a process in it that waits for exec(). Throws Failure: one line that names what is missing.
  NamespacedProgram(const NamespaceOptions& options, std::vector<std::string> argv);
  // Ends the program if it runs still.
  ~NamespacedProgram();
  NamespacedProgram(const NamespacedProgram&) = delete;
  NamespacedProgram& operator=(const NamespacedProgram&) = delete;

  // The TUN device's, once.
  [[nodiscard]] FileDescriptor take_device() noexcept { return std::move(device_); }
  // The process becomes the program: an errno value when it cannot.
  [[nodiscard]] std::optional<int> exec();

  // Readable when the program has ended.
  [[nodiscard]] int handle() const noexcept { return handle_.get(); }
  void signal(int number) const noexcept;
  // As waitpid() has it, once it has ended.
  int wait();

 private:
  [[noreturn]] void become_program(const NamespaceOptions& options, std::vector<std::string>& argv, pid_t parent,
                                   int channel) const;
  std::string receive_device();

  FileDescriptor channel_;  // to the process, until it has become the program
  FileDescriptor device_;
  FileDescriptor namespace_;  // keeps it while what the program has sent is still on its way
  FileDescriptor handle_;
  pid_t id_ = -1;
  bool ended_ = false;
};

}  // namespace ff::cli
