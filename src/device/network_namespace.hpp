// Being in another network namespace for a while, to open a device there. What was opened stays usable from anywhere.
#pragma once

#include <expected>
#include <string>

#include "device/file_descriptor.hpp"

namespace ff {

class NetworkNamespaceScope {
 public:
  // Moves this thread into the namespace until the scope ends. `name`: one of ip-netns(8), or the path of a namespace
  // without a name, such as /proc/PID/ns/net. The error is one sentence.
  static std::expected<NetworkNamespaceScope, std::string> enter(const std::string& name);
  NetworkNamespaceScope(NetworkNamespaceScope&&) noexcept = default;
  NetworkNamespaceScope& operator=(NetworkNamespaceScope&&) = delete;
  // Moves it back. Ends the program when that fails: nothing that follows would be where it is meant to be.
  ~NetworkNamespaceScope();

 private:
  explicit NetworkNamespaceScope(FileDescriptor home) noexcept : home_(std::move(home)) {}
  FileDescriptor home_;
};

}  // namespace ff
