// The network of the demo, all of it this machine's own:
//
//    namespace K                                               namespace F
//   ┌─────────────────────┐                          ┌─────────────────────────────┐
//   │ Linux: nginx, curl  │         ff link          │  Linux forwards IP between  │
//   │        wire0 ───────┼───── delay each way ─────┼─► wire1 ◄────────► ff0      │
//   │  198.18.1.2         │                          │ 198.18.1.1     198.18.2.1 ▲ │
//   └─────────────────────┘                          └───────────────────────────┼─┘
//                                                     ff get, ff serve: 198.18.2.2
//                                                     ff run:           198.18.2.3
//
// wire0, wire1 and ff0 are TUN devices; ff0 comes and goes with the program that has it. Addresses are of the ranges
// for benchmarks and documentation (RFC 2544, RFC 3849).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/demo.hpp"
#include "cli/netns.hpp"
#include "cli/process.hpp"

namespace ff::cli {

// A directory that goes away with this object, and all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

class DemoNetwork {
 public:
  // With the link and nginx running. Throws UsageError when a program is missing.
  explicit DemoNetwork(Duration delay);

  [[nodiscard]] const Namespace& kernel() const noexcept { return kernel_; }
  // Where processes that own a stack run.
  [[nodiscard]] const Namespace& firstflight() const noexcept { return firstflight_; }
  [[nodiscard]] static IpAddress kernel_address(DemoFamily family);
  [[nodiscard]] static IpAddress firstflight_address(DemoFamily family);
  [[nodiscard]] static std::string url_of(const IpAddress& address);
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_.path(); }

  // `ff SUBCOMMAND` with the options that give it its device and addresses, capturing to `capture`.
  [[nodiscard]] static std::vector<std::string> stack_command(const std::string& subcommand,
                                                              const std::filesystem::path& capture);
  // The same for `ff run`, whose address is one of its own: a client of both servers has a cookie of each.
  [[nodiscard]] static std::vector<std::string> run_command(const std::filesystem::path& capture);
  [[nodiscard]] static IpAddress run_address(DemoFamily family);
  // The configuration of an nginx that listens on port 80 of wherever it is, and knows nothing of Fast Open; and where
  // it writes its process id once it listens.
  struct PlainServer {
    std::filesystem::path configuration, ready;
  };
  [[nodiscard]] PlainServer plain_server() const;

  // Of the link and the kernels at its ends, in milliseconds: the least of a few.
  [[nodiscard]] double measure_round_trip(Milliseconds patience) const;

 private:
  void lay_out();
  void start_link(Duration delay);
  void start_nginx();

  // The namespaces end last, the processes in them first.
  TemporaryDirectory directory_;
  Namespace kernel_, firstflight_;
  std::unique_ptr<Process> link_, nginx_;
};

}  // namespace ff::cli
