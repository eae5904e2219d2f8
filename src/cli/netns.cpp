#include "cli/netns.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <fstream>
#include <iterator>
#include <sstream>

#include "cli/commands.hpp"
#include "device/link.hpp"

namespace ff::cli {
namespace {

FileDescriptor current_namespace() { return FileDescriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

[[noreturn]] void fail(const std::string& doing, int error) {
  throw Failure(fmt::format("{}: {}", doing, std::strerror(error)));
}

void require(const std::expected<void, std::string>& outcome) {
  if (!outcome) throw Failure(outcome.error());
}

std::string path_of_sysctl(std::string_view name) {
  std::string path(name);
  std::ranges::replace(path, '.', '/');
  return "/proc/sys/" + path;
}

// A TUN device outlives the descriptor that made it, until its namespace goes.
void make_persistent_tun(const std::string& name) {
  const FileDescriptor control(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!control) fail("opening /dev/net/tun", errno);
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
  if (::ioctl(control.get(), TUNSETIFF, &request) != 0 || ::ioctl(control.get(), TUNSETPERSIST, 1) != 0)
    fail("making the TUN device " + name, errno);
}

}  // namespace

NamedCounters parse_netstat(std::string_view text) {
  NamedCounters counters;
  std::istringstream lines{std::string(text)};
  std::string names, values;
  while (std::getline(lines, names) && std::getline(lines, values)) {
    std::istringstream name_words(names), value_words(values);
    std::string name, value;
    name_words >> name;
    value_words >> value;  // the group, twice
    while (name_words >> name && value_words >> value) {
      std::uint64_t number = 0;
      std::from_chars(value.data(), value.data() + value.size(), number);
      counters[name] = number;
    }
  }
  return counters;
}

Namespace::Namespace() {
  const FileDescriptor home = current_namespace();
  if (!home) fail("opening /proc/thread-self/ns/net", errno);
  if (::unshare(CLONE_NEWNET) != 0) fail("making a network namespace", errno);
  descriptor_ = current_namespace();
  const auto loopback = link::set_up("lo");
  if (::setns(home.get(), CLONE_NEWNET) != 0) fail("returning from a new network namespace", errno);
  if (!descriptor_) fail("opening a new network namespace", EMFILE);
  require(loopback);
}

Namespace::Visit::Visit(const Namespace& space) : home_(current_namespace()) {
  if (!home_ || ::setns(space.descriptor(), CLONE_NEWNET) != 0) fail("entering a network namespace", errno);
}

Namespace::Visit::~Visit() {
  // Nothing sensible can go on in a namespace that nobody asked for.
  if (::setns(home_.get(), CLONE_NEWNET) != 0) std::abort();
}

std::string Namespace::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), descriptor()); }

void Namespace::add_tun(const std::string& name, const std::vector<Cidr>& addresses) const {
  const Visit visit(*this);
  make_persistent_tun(name);
  require(link::set_up(name));
  for (const Cidr& address : addresses) require(link::add_address(name, address));
}

void Namespace::add_veth(const std::string& name, const Cidr& address, const Namespace& other,
                         const std::string& other_name, const Cidr& other_address) const {
  const auto start = [](const Namespace& where, const std::string& device, const Cidr& own) {
    const Visit visit(where);
    require(link::set_up(device));
    require(link::add_address(device, own));
  };
  {
    const Visit visit(*this);
    require(link::add_veth(name, other_name, other.descriptor()));
  }
  start(*this, name, address);
  start(other, other_name, other_address);
}

void Namespace::add_route(const std::string& device, const Cidr& prefix, const IpAddress& gateway) const {
  const Visit visit(*this);
  require(link::add_route(device, prefix, gateway));
}

// The entries of /proc/sys/net are those of the namespace that opens them.
void Namespace::set_sysctl(std::string_view name, std::string_view value) const {
  const Visit visit(*this);
  std::ofstream file(path_of_sysctl(name));
  file << value << std::flush;
  if (!file) throw Failure(fmt::format("the kernel does not take {} = {}", name, value));
}

std::string Namespace::sysctl(std::string_view name) const {
  const Visit visit(*this);
  std::ifstream file(path_of_sysctl(name));
  std::string value, word;
  while (file >> word) value += (value.empty() ? "" : " ") + word;
  return value;
}

NamedCounters Namespace::counters() const {
  const Visit visit(*this);
  std::ifstream file("/proc/thread-self/net/netstat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) throw Failure("/proc/net/netstat cannot be read");
  return parse_netstat(text);
}

std::optional<double> time_of_refusal(const Namespace& from, const IpAddress& to, std::chrono::milliseconds limit) {
  constexpr std::uint16_t kDiscardPort = 9;
  const Namespace::Visit visit(from);
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{limit.count() / 1000, (limit.count() % 1000) * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kDiscardPort);
  std::memcpy(&address.sin_addr, to.v4_bytes().data(), 4);
  const auto start = std::chrono::steady_clock::now();
  const int result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  if (result == 0 || errno != ECONNREFUSED) return std::nullopt;
  return taken.count();
}

std::optional<std::string> why_no_namespaces() {
  const FileDescriptor control(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!control)
    return errno == EACCES || errno == EPERM ? "not run as root: /dev/net/tun may not be opened"
                                             : fmt::format("no TUN here: /dev/net/tun: {}", std::strerror(errno));
  try {
    const Namespace trial;
    trial.add_tun("trial0", {});
    trial.set_sysctl("net.ipv4.tcp_fastopen", "3");  // containers may have /proc/sys read-only
    return std::nullopt;
  } catch (const Failure& failure) {
    return fmt::format("not run as root, or not allowed by this container: {}", failure.what());
  }
}

}  // namespace ff::cli
