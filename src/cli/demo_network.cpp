#include "cli/demo_network.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <string_view>
#include <system_error>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kStartLimit = 10s;
constexpr std::uint16_t kPort = 80;
constexpr int kProbes = 5;
constexpr std::string_view kDirectoryPrefix = "ff-demo-";

constexpr const char* kKernelV4 = "198.18.1.2/24";
constexpr const char* kKernelV6 = "2001:db8:1::2/64";
constexpr const char* kWireV4 = "198.18.1.1/24";
constexpr const char* kWireV6 = "2001:db8:1::1/64";
constexpr const char* kGatewayV4 = "198.18.2.1/24";
constexpr const char* kGatewayV6 = "2001:db8:2::1/64";
constexpr const char* kFirstflightV4 = "198.18.2.2/24";
constexpr const char* kFirstflightV6 = "2001:db8:2::2/64";
constexpr const char* kRunV4 = "198.18.2.3/24";
constexpr const char* kRunV6 = "2001:db8:2::3/64";

Cidr cidr(const char* text) { return *Cidr::parse(text); }
std::string address_in(const char* text) { return cidr(text).address.to_string(); }

void require_program(const std::string& name, const std::string& package) {
  if (!program_exists(name))
    throw UsageError(fmt::format(
        "{} is not installed; install it with 'apt-get install {}', or run 'ff demo --simulated'", name, package));
}

// A page that needs no more than one segment.
void write_page(const std::filesystem::path& directory) {
  std::filesystem::create_directory(directory);
  std::ofstream(directory / "index.html") << "<!doctype html><title>firstflight</title><p>One round trip saved.\n";
}

// Nothing of the machine's own nginx is touched or read. `listens`: the directives.
std::string nginx_configuration(const std::filesystem::path& directory, std::string_view name,
                                std::string_view listens) {
  std::string temporary;
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    temporary += fmt::format("  {}_temp_path {}/{}-{};\n", kind, directory.string(), name, kind);
  return fmt::format(
      "daemon off;\nmaster_process off;\npid {0}/{2}.pid;\nerror_log stderr;\nevents {{ }}\n"
      "http {{\n{1}  access_log off;\n  default_type text/html;\n"
      "  server {{\n    {3}\n    root {0}/www;\n  }}\n}}\n",
      directory.string(), temporary, name, listens);
}

// What a demo that was killed without mercy could not remove: directories of ours that carry the number of a process
// which is no more.
void remove_leftovers(const std::filesystem::path& parent) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kDirectoryPrefix)) continue;
    const int process = std::atoi(name.c_str() + kDirectoryPrefix.size());
    struct stat status{};
    const bool ours =
        ::lstat(entry.path().c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
    if (ours && process > 0 && ::kill(process, 0) != 0 && errno == ESRCH)
      std::filesystem::remove_all(entry.path(), ignored);
  }
}

void add_stack_options(std::vector<std::string>& words, std::initializer_list<const char*> addresses,
                       const std::filesystem::path& capture) {
  words.insert(words.end(), {"--pcap", capture.string()});
  for (const char* address : addresses) words.insert(words.end(), {"--address", address});
  for (const char* gateway : {kGatewayV4, kGatewayV6})
    words.insert(words.end(), {"--host-address", gateway, "--gateway", address_in(gateway)});
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  const std::filesystem::path parent = std::filesystem::temp_directory_path();
  remove_leftovers(parent);
  std::string name = (parent / fmt::format("{}{}-XXXXXX", kDirectoryPrefix, ::getpid())).string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Failure(fmt::format("{} cannot be made: {}", name, std::strerror(errno)));
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

DemoNetwork::DemoNetwork(Duration delay) {
  require_program("nginx", "nginx-light");
  require_program("curl", "curl");
  write_page(directory() / "www");
  lay_out();
  start_link(delay);
  start_nginx();
}

void DemoNetwork::lay_out() {
  for (const Namespace* space : {&kernel_, &firstflight_}) {
    // Neither link-local addresses nor router solicitations: the capture shows what the demo is about.
    space->set_sysctl("net.ipv6.conf.default.addr_gen_mode", "1");
    space->set_sysctl("net.ipv6.conf.default.router_solicitations", "0");
  }
  kernel_.add_tun("wire0", {cidr(kKernelV4), cidr(kKernelV6)});
  firstflight_.add_tun("wire1", {cidr(kWireV4), cidr(kWireV6)});
  firstflight_.set_sysctl("net.ipv4.ip_forward", "1");
  firstflight_.set_sysctl("net.ipv6.conf.all.forwarding", "1");
  kernel_.add_route("wire0", cidr("0.0.0.0/0"), cidr(kWireV4).address);
  kernel_.add_route("wire0", cidr("::/0"), cidr(kWireV6).address);
  kernel_.set_sysctl("net.ipv4.tcp_fastopen", "3");
}

void DemoNetwork::start_link(Duration delay) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(delay).count();
  link_ = std::make_unique<Process>(
      std::vector<std::string>{"/proc/self/exe", "link", "--delay", fmt::format("{}us", microseconds), "tun:wire0",
                               "tun:wire1@" + firstflight_.path()},
      &kernel_);
  const Milliseconds limit = kStartLimit + std::chrono::ceil<Milliseconds>(4 * delay);
  link_->wait_until([&] { return time_of_refusal(kernel_, cidr(kWireV4).address, limit).has_value(); }, limit);
}

void DemoNetwork::start_nginx() {
  const std::string listens = fmt::format("listen {0}:{2} fastopen=256; listen [{1}]:{2} fastopen=256;",
                                          address_in(kKernelV4), address_in(kKernelV6), kPort);
  std::ofstream(directory() / "nginx.conf") << nginx_configuration(directory(), "nginx", listens);
  nginx_ = std::make_unique<Process>(std::vector<std::string>{"nginx", "-p", directory().string(), "-c",
                                                              (directory() / "nginx.conf").string(), "-e", "stderr"},
                                     &kernel_);
  // It writes its process id once it listens.
  nginx_->wait_until([&] { return std::filesystem::exists(directory() / "nginx.pid"); }, kStartLimit);
}

DemoNetwork::PlainServer DemoNetwork::plain_server() const {
  const PlainServer server{directory() / "plain.conf", directory() / "plain.pid"};
  std::filesystem::remove(server.ready);
  std::ofstream(server.configuration) << nginx_configuration(directory(), "plain", fmt::format("listen {};", kPort));
  return server;
}

IpAddress DemoNetwork::kernel_address(DemoFamily family) {
  return cidr(family == DemoFamily::V4 ? kKernelV4 : kKernelV6).address;
}

IpAddress DemoNetwork::firstflight_address(DemoFamily family) {
  return cidr(family == DemoFamily::V4 ? kFirstflightV4 : kFirstflightV6).address;
}

IpAddress DemoNetwork::run_address(DemoFamily family) {
  return cidr(family == DemoFamily::V4 ? kRunV4 : kRunV6).address;
}

std::string DemoNetwork::url_of(const IpAddress& address) {
  const std::string text = address.to_string();
  return address.is_v4() ? fmt::format("http://{}/", text) : fmt::format("http://[{}]/", text);
}

std::vector<std::string> DemoNetwork::stack_command(const std::string& subcommand,
                                                    const std::filesystem::path& capture) {
  std::vector<std::string> words{"/proc/self/exe", subcommand, "--device", "tun:ff0"};
  add_stack_options(words, {kFirstflightV4, kFirstflightV6}, capture);
  return words;
}

std::vector<std::string> DemoNetwork::run_command(const std::filesystem::path& capture) {
  std::vector<std::string> words{"/proc/self/exe", "run", "--via", "tun:ff0"};
  add_stack_options(words, {kRunV4, kRunV6}, capture);
  return words;
}

double DemoNetwork::measure_round_trip(Milliseconds patience) const {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kProbes; ++i) {
    const auto time = time_of_refusal(kernel_, cidr(kWireV4).address, patience);
    if (!time) throw Failure("the link does not carry packets");
    least = std::min(least, *time);
  }
  return least;
}

}  // namespace ff::cli
