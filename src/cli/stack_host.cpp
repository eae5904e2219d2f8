#include "cli/stack_host.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>

#include "base/siphash.hpp"
#include "cli/commands.hpp"
#include "cli/control_client.hpp"
#include "device/link.hpp"
#include "device/raw_link.hpp"

namespace ff::cli {
namespace {

// While it lives, this thread is in another network namespace. A device opened there stays usable afterwards.
class NetworkNamespace {
 public:
  explicit NetworkNamespace(const std::string& name) : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    const std::string path = "/run/netns/" + name;
    const int there = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (there < 0)
      throw UsageError(fmt::format("no network namespace '{}' ({}: {}); make it with 'ip netns add {}'", name, path,
                                   std::strerror(errno), name));
    const bool entered = home_ >= 0 && ::setns(there, CLONE_NEWNET) == 0;
    const int error = errno;
    ::close(there);
    if (entered) return;
    if (home_ >= 0) ::close(home_);
    throw UsageError(fmt::format("cannot enter network namespace '{}': {}; run as root", name, std::strerror(error)));
  }
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;
  ~NetworkNamespace() {
    // Nothing sensible can run in a namespace that nobody asked for.
    if (::setns(home_, CLONE_NEWNET) != 0) std::abort();
    ::close(home_);
  }

 private:
  int home_;
};

// What the kernel says of a device in one sentence, as a wrong use of the program.
template <typename T>
T usable(std::expected<T, std::string> result) {
  if (!result) throw UsageError(result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

Seed seed_of(const StackOptions& options) {
  if (options.seed) return Seed::from_number(*options.seed);
  Seed seed;
  // At most 256 bytes are given whole or not at all.
  if (::getrandom(seed.bytes.data(), seed.bytes.size(), 0) != static_cast<ssize_t>(seed.bytes.size()))
    throw Failure(fmt::format("the kernel gives no random bytes: {}", std::strerror(errno)));
  return seed;
}

control::Identity identity_of(const StackOptions& options) {
  std::uint64_t instance = 0;
  // It need not be secret, only different from the last.
  if (::getrandom(&instance, sizeof instance, 0) != sizeof instance)
    throw Failure(fmt::format("the kernel gives no random bytes: {}", std::strerror(errno)));
  return {.program = options.program, .instance = fmt::format("{:016x}", instance), .pid = ::getpid()};
}

StackConfig config_of(const StackOptions& options) {
  check_stack_options(options);
  StackConfig config;
  config.seed = seed_of(options);
  config.settings = options.settings;
  return config;
}

// The stack is a host of its own on the link. Its address follows from its IP addresses, as those are what makes it the
// same host from one run to the next; it is a "locally administered" one, that no manufacturer gives.
MacAddress mac_address_of(const StackOptions& options) {
  std::array<std::uint8_t, 32> name{};
  std::ranges::copy(options.addresses.front().address.bytes(), name.begin());
  const auto hash = derive_secret(name, "Ethernet address");
  return {{0x02, hash[0], hash[1], hash[2], hash[3], hash[4]}};
}

// The kernel's default of 500 is less than the packets that a thousand connections start with at the same moment.
constexpr std::uint32_t kQueueLength = 4096;

// A packet that comes before the device, or an IPv6 address, is ready is lost, and costs a connection its first second.
void await_link(const std::string& name, const std::vector<Cidr>& addresses) {
  const auto in_use = [](const Cidr& own) { return link::is_in_use(own.address); };
  for (int attempt = 0; attempt < 200; ++attempt) {
    if (link::is_settled(name) && std::ranges::all_of(addresses, in_use)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// The kernel's side of the device: what `ip link set` and `ip address add` would do.
void configure_link(const TunDevice& tun, const StackOptions& options) {
  if (tun.created()) {
    if (options.mtu) usable(link::set_mtu(tun.name(), *options.mtu));
    usable(link::set_queue_length(tun.name(), kQueueLength));
    usable(link::set_up(tun.name()));
  }
  for (const Cidr& address : options.host_addresses) usable(link::add_address(tun.name(), address));
  await_link(tun.name(), options.host_addresses);
}

}  // namespace

StackHost::StackHost(const StackOptions& options, LadderRecorder* ladder)
    : addresses_(options.addresses), stack_(config_of(options)), loop_(stack_), service_(stack_, identity_of(options)) {
  open_device(options);
  outermost_ = tun_.get();
  if (options.pcap) open_capture(*options.pcap);
  if (ladder != nullptr) {
    tap_ = std::make_unique<LadderTap>(*outermost_, *ladder, [this] { return loop_.now(); });
    outermost_ = tap_.get();
  }
  attach(options);
  if (!options.no_control) open_control(options);
}

// A stack works without its usual control socket, but not without one that was asked for.
void StackHost::open_control(const StackOptions& options) {
  const std::optional<std::string> directory = control_directory();
  if (!options.control && !directory) return;
  const std::string path =
      options.control ? *options.control : control_path(*directory, options.program, static_cast<long>(::getpid()));
  try {
    // Sockets have mode 0600 anyway; the directory keeps others from putting files there.
    if (!options.control && ::mkdir(directory->c_str(), 0700) != 0 && errno != EEXIST)
      throw std::system_error(errno, std::generic_category());
    control_.emplace(loop_, path, [this](Instant now, std::string_view line) { return service_.respond(now, line); });
  } catch (const std::system_error& error) {
    const std::string why =
        error.code() == std::errc::address_in_use ? "something is there already" : error.code().message();
    const std::string what = fmt::format("cannot make the control socket {}: {}", path, why);
    if (options.control) throw UsageError(what + "; --control takes a path that is free, of at most 107 characters");
    fmt::print(stderr, "ff {}: {}; going on without\n", options.program, what);
  }
}

void StackHost::open_device(const StackOptions& options) {
  const DeviceName& device = *options.device;
  device_name_ = device.to_string();
  std::optional<NetworkNamespace> inside;
  if (!device.netns.empty()) inside.emplace(device.netns);
  const TunOptions tun{.name = device.name, .offload = !options.no_offload, .ethernet = device.ethernet};
  tun_ = usable(device.raw ? open_raw_link(device.name, mac_address_of(options)) : TunDevice::open(tun));
  configure_link(*tun_, options);
  usable(tun_->refresh_mtu());
}

void StackHost::open_capture(const std::string& path) {
  pcap_file_ = usable(FileSink::create(path));
  pcap_writer_ = std::make_unique<PcapngWriter>(*pcap_file_);
  capture_ = std::make_unique<CaptureDevice>(
      *outermost_, *pcap_writer_, tun_->name(), [this] { return loop_.now(); }, Loop::wall_clock_offset());
  outermost_ = capture_.get();
  // So that somebody who looks while we run sees all but the latest.
  flush_capture_every(std::chrono::milliseconds(500));
}

void StackHost::flush_capture_every(Duration period) {
  loop_.call_after(period, [this, period](Instant) {
    pcap_writer_->flush();
    flush_capture_every(period);
  });
}

void StackHost::attach(const StackOptions& options) {
  InterfaceConfig config;
  config.name = tun_->name();
  config.mtu = options.mtu.value_or(tun_->mtu());
  config.addresses = options.addresses;
  config.gateways = options.gateways;
  if (tun_->ethernet()) config.mac = mac_address_of(options);
  if (options.no_offload) config.max_super_segment = config.mtu;
  if (config.mtu > tun_->mtu())
    throw UsageError(fmt::format("--mtu {} is more than the {} of {}; leave it out or raise the device's", config.mtu,
                                 tun_->mtu(), device_name_));
  const Result<InterfaceId> interface = stack_.add_interface(config);
  if (!interface)
    throw UsageError(
        fmt::format("the stack cannot use {} with these addresses and an MTU of {}: {}; IPv6 needs an MTU of 1280",
                    device_name_, config.mtu, to_string(interface.error())));
  loop_.add_device(*interface, *outermost_);
  loop_.on_device_lost([this](Instant, InterfaceId) {
    device_lost_ = true;
    loop_.stop();
  });
}

bool StackHost::has_family(bool v4) const noexcept {
  return std::ranges::any_of(addresses_, [v4](const Cidr& own) { return own.address.is_v4() == v4; });
}

std::string StackHost::trouble() const {
  if (device_lost_) return fmt::format("{} has gone away", device_name_);
  return pcap_writer_ ? pcap_writer_->error() : std::string();
}

}  // namespace ff::cli
