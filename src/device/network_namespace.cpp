#include "device/network_namespace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ff {

std::expected<NetworkNamespaceScope, std::string> NetworkNamespaceScope::enter(const std::string& name) {
  const bool is_path = name.starts_with('/');
  if (name.empty() || (!is_path && name.find('/') != std::string::npos) || name.starts_with('.')) {
    return std::unexpected(fmt::format("'{}' is no name for a network namespace; 'ip netns list' lists them", name));
  }
  FileDescriptor there(::open((is_path ? name : "/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!there && errno == ENOENT) {
    return std::unexpected(
        is_path ? fmt::format("there is no network namespace at {}; /proc/PID/ns/net is one", name)
                : fmt::format("there is no network namespace {}; make it with \"ip netns add {}\"", name, name));
  }
  FileDescriptor home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (there && home && ::setns(there.get(), CLONE_NEWNET) == 0) return NetworkNamespaceScope(std::move(home));
  if (errno == EPERM || errno == EACCES) {
    return std::unexpected(
        fmt::format("entering network namespace {} needs the capability CAP_SYS_ADMIN; run as root", name));
  }
  return std::unexpected(fmt::format("network namespace {} cannot be entered: {}", name, std::strerror(errno)));
}

NetworkNamespaceScope::~NetworkNamespaceScope() {
  if (home_ && ::setns(home_.get(), CLONE_NEWNET) != 0) std::abort();
}

}  // namespace ff
