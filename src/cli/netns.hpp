// Network namespaces of this program's own.
//
// They have no name in the file system: one exists as long as this object or a process in it, so the kernel clears it
// away with all its devices whatever happens to this program, SIGKILL included. There is nothing to be left behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/file_descriptor.hpp"
#include "firstflight/address.hpp"

namespace ff::cli {

// Counters by their names, such as "TCPFastOpenActive".
using NamedCounters = std::map<std::string, std::uint64_t, std::less<>>;

// Reads /proc/net/netstat's form: pairs of lines, names and values, each behind the name of the group.
NamedCounters parse_netstat(std::string_view text);

class Namespace {
 public:
  // With its loopback up. Throws Failure when that may not be.
  Namespace();

  // While it lives, the calling thread is in the namespace.
  class Visit {
   public:
    explicit Visit(const Namespace& space);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    FileDescriptor home_;
  };

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  // A path by which other processes find it, as long as this one lives.
  [[nodiscard]] std::string path() const;

  // A TUN device that is up, and stays when the program attached to it leaves.
  void add_tun(const std::string& name, const std::vector<Cidr>& addresses) const;
  // A pair of Ethernet devices, up and joined by a cable: one here, one in `other`.
  void add_veth(const std::string& name, const Cidr& address, const Namespace& other, const std::string& other_name,
                const Cidr& other_address) const;
  void add_route(const std::string& device, const Cidr& prefix, const IpAddress& gateway) const;
  // `name` such as "net.ipv4.tcp_fastopen".
  void set_sysctl(std::string_view name, std::string_view value) const;
  // Its value, words separated by single spaces.
  [[nodiscard]] std::string sysctl(std::string_view name) const;
  // The kernel's counters in this namespace, of /proc/net/netstat.
  [[nodiscard]] NamedCounters counters() const;

 private:
  FileDescriptor descriptor_;
};

// The milliseconds that a connection from there to a port where nobody listens takes to be refused: one round trip.
// Nothing when nobody answers in that time. IPv4.
std::optional<double> time_of_refusal(const Namespace& from, const IpAddress& to, std::chrono::milliseconds limit);

// What keeps this process from making network namespaces and TUN devices; nothing when it may.
std::optional<std::string> why_no_namespaces();

}  // namespace ff::cli
