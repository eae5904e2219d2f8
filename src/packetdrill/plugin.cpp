// libfirstflight_packetdrill.so: packetdrill's scripts against this stack, on virtual time.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "packetdrill/interface.h"
#include "packetdrill/kernel_settings.hpp"
#include "packetdrill/stand_ins.hpp"
#include "packetdrill/virtual_host.hpp"
#include "posix/file_transfer.hpp"

namespace {

using ff::packetdrill::KernelSettings;
using ff::packetdrill::StandIns;
using ff::packetdrill::VirtualHost;
using ff::posix::finish;
using ff::posix::Sockets;

// packetdrill's own defaults for the stack's side.
constexpr std::array kDefaultAddresses{"192.168.0.1/16", "fd3d:0a0b:17d6::1/48"};
constexpr const char* kDevice = "tun0";

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "firstflight: --so_flags: %s\n", why.c_str());
  std::exit(1);
}

struct Flags {
  std::uint16_t mtu = 1500;
  std::vector<ff::Cidr> addresses{};
  std::string settings = "/proc/sys";
};

Flags parse(std::string_view text) {
  Flags flags;
  while (!text.empty()) {
    const std::string word(text.substr(0, text.find(',')));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals), value = word.substr(std::min(equals + 1, word.size()));
    if (name == "mtu") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), flags.mtu);
      if (error != std::errc() || end != value.data() + value.size() || flags.mtu < 68)
        refuse("'" + word + "': an MTU is a whole number from 68 to 65535");
    } else if (name == "address") {
      const auto address = ff::Cidr::parse(value);
      if (!address) refuse("'" + word + "': an address is written as 192.168.0.1/16");
      flags.addresses.push_back(*address);
    } else if (name == "settings") {
      flags.settings = value;
    } else {
      refuse("'" + word + "' is not known; there are mtu=BYTES, address=ADDRESS/LENGTH and settings=DIRECTORY");
    }
  }
  return flags;
}

// Of the device that the script's commands see, if somebody made one.
std::vector<ff::Cidr> addresses_of_device() {
  std::vector<ff::Cidr> found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (std::strcmp(each->ifa_name, kDevice) != 0 || each->ifa_addr == nullptr) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const void* address =
        family == AF_INET ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr)
                          : &reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
    ::inet_ntop(family, address, text.data(), text.size());
    if (const auto cidr = ff::Cidr::parse(std::string(text.data()) + (family == AF_INET ? "/16" : "/48")))
      found.push_back(*cidr);
  }
  ::freeifaddrs(all);
  return found;
}

ff::InterfaceConfig interface_for(const Flags& flags) {
  ff::InterfaceConfig config;
  config.name = kDevice;
  config.mtu = flags.mtu;
  config.addresses = flags.addresses;
  // A script may choose the stack's address by options of packetdrill, of which we are not told.
  config.any_destination = config.addresses.empty();
  if (config.addresses.empty()) config.addresses = addresses_of_device();
  if (config.addresses.empty())
    for (const char* address : kDefaultAddresses) config.addresses.push_back(*ff::Cidr::parse(address));
  if (config.mtu < 1280) std::erase_if(config.addresses, [](const ff::Cidr& a) { return !a.address.is_v4(); });
  return config;
}

struct Plugin {
  explicit Plugin(const Flags& flags)
      : host(ff::StackConfig{.seed = {}, .settings = {}}, interface_for(flags)), settings(flags.settings) {}

  // What the script's commands have changed since the last step.
  void catch_up() {
    settings.apply_to(host.stack());
    stand_ins.obey(host);
  }

  VirtualHost host;
  KernelSettings settings;
  StandIns stand_ins;
};

// For what is below that packetdrill calls as libc's.
Plugin* current = nullptr;

ff::posix::WithSockets sockets_of(void* userdata) {
  return [&plugin = *static_cast<Plugin*>(userdata)](const std::function<long(Sockets&)>& call) {
    const std::lock_guard lock(plugin.host.mutex());
    plugin.catch_up();
    const long result = call(plugin.host.sockets());
    plugin.stand_ins.publish(plugin.host.stack(), plugin.host.now());
    return result;
  };
}

template <typename T, typename Call>
T with_sockets(void* userdata, Call&& call) {
  return finish<T>(sockets_of(userdata)(std::forward<Call>(call)));
}

// ---- calls

void end(void* userdata) {
  delete static_cast<Plugin*>(userdata);
  current = nullptr;
}
int do_socket(void* u, int domain, int type, int protocol) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.socket(domain, type, protocol); });
}
int do_bind(void* u, int fd, const sockaddr* address, socklen_t length) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.bind(fd, address, length); });
}
int do_listen(void* u, int fd, int backlog) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.listen(fd, backlog); });
}
int do_accept(void* u, int fd, sockaddr* address, socklen_t* length) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.accept4(fd, address, length, 0); });
}
int do_connect(void* u, int fd, const sockaddr* address, socklen_t length) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.connect(fd, address, length); });
}
ssize_t do_recvfrom(void* u, int fd, void* data, size_t size, int flags, sockaddr* address, socklen_t* length) {
  return with_sockets<ssize_t>(u, [&](Sockets& s) { return s.recvfrom(fd, data, size, flags, address, length); });
}
ssize_t do_recv(void* u, int fd, void* data, size_t size, int flags) {
  return do_recvfrom(u, fd, data, size, flags, nullptr, nullptr);
}
ssize_t do_read(void* u, int fd, void* data, size_t size) { return do_recv(u, fd, data, size, 0); }
ssize_t do_readv(void* u, int fd, const iovec* pieces, int count) {
  return with_sockets<ssize_t>(u, [&](Sockets& s) { return s.readv(fd, pieces, count); });
}
ssize_t do_recvmsg(void* u, int fd, msghdr* message, int flags) {
  return with_sockets<ssize_t>(u, [&](Sockets& s) { return s.recvmsg(fd, message, flags); });
}
ssize_t do_sendto(void* u, int fd, const void* data, size_t size, int flags, const sockaddr* address,
                  socklen_t length) {
  return with_sockets<ssize_t>(u, [&](Sockets& s) { return s.sendto(fd, data, size, flags, address, length); });
}
ssize_t do_send(void* u, int fd, const void* data, size_t size, int flags) {
  return do_sendto(u, fd, data, size, flags, nullptr, 0);
}
ssize_t do_write(void* u, int fd, const void* data, size_t size) { return do_send(u, fd, data, size, 0); }
ssize_t do_writev(void* u, int fd, const iovec* pieces, int count) {
  return with_sockets<ssize_t>(u, [&](Sockets& s) { return s.writev(fd, pieces, count); });
}
ssize_t do_sendmsg(void* u, int fd, const msghdr* message, int flags) {
  return with_sockets<ssize_t>(u, [&](Sockets& s) { return s.sendmsg(fd, message, flags); });
}
// NOLINTBEGIN(cert-dcl50-cpp): the interface's
int do_fcntl(void* u, int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  const long argument = va_arg(rest, long);
  va_end(rest);
  return with_sockets<int>(u, [&](Sockets& s) { return s.fcntl(fd, command, argument); });
}
int do_ioctl(void* u, int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  return with_sockets<int>(u, [&](Sockets& s) { return s.ioctl(fd, request, argument); });
}
// NOLINTEND(cert-dcl50-cpp)
int do_close(void* u, int fd) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.close(fd); });
}
int do_shutdown(void* u, int fd, int how) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.shutdown(fd, how); });
}
int do_getsockopt(void* u, int fd, int level, int name, void* value, socklen_t* length) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.getsockopt(fd, level, name, value, length); });
}
int do_setsockopt(void* u, int fd, int level, int name, const void* value, socklen_t length) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.setsockopt(fd, level, name, value, length); });
}
int do_poll(void* u, pollfd* descriptors, nfds_t count, int timeout_ms) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.poll(descriptors, count, timeout_ms); });
}
int do_epoll_create(void* u, int size) {
  return with_sockets<int>(u, [&](Sockets& s) { return size <= 0 ? -EINVAL : s.epoll_create1(0); });
}
int do_epoll_ctl(void* u, int epoll, int operation, int fd, epoll_event* event) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.epoll_ctl(epoll, operation, fd, event); });
}
int do_epoll_wait(void* u, int epoll, epoll_event* events, int count, int timeout_ms) {
  return with_sockets<int>(u, [&](Sockets& s) { return s.epoll_wait(epoll, events, count, timeout_ms); });
}
int do_pipe(void*, int ends[2]) { return ::pipe(ends); }
// packetdrill has no way to say NULL: it points to the script's 0.
ssize_t do_splice(void* u, int in, loff_t* in_offset, int out, loff_t* out_offset, size_t count, unsigned int flags) {
  if (*in_offset == 0) in_offset = nullptr;
  if (*out_offset == 0) out_offset = nullptr;
  return finish<ssize_t>(ff::posix::splice(sockets_of(u), in, in_offset, out, out_offset, count, flags));
}

// ---- packets and time

int netdev_send(void* u, const void* packet, size_t size) {
  auto& plugin = *static_cast<Plugin*>(u);
  const std::lock_guard lock(plugin.host.mutex());
  if (size > 65535) return finish<int>(-EMSGSIZE);
  plugin.catch_up();
  plugin.host.deliver({static_cast<const std::uint8_t*>(packet), size});
  plugin.stand_ins.publish(plugin.host.stack(), plugin.host.now());
  return 0;
}

int netdev_receive(void* u, void* packet, size_t* size, long long* time_us) {
  auto& plugin = *static_cast<Plugin*>(u);
  const std::lock_guard lock(plugin.host.mutex());
  const std::size_t room = *size;
  *size = 0;
  const auto sent = plugin.host.take_sent();
  plugin.stand_ins.publish(plugin.host.stack(), plugin.host.now());
  if (!sent) return 0;
  if (sent->bytes.size() > room) return finish<int>(-EMSGSIZE);
  std::memcpy(packet, sent->bytes.data(), sent->bytes.size());
  *size = sent->bytes.size();
  const auto at = sent->at.time_since_epoch() + plugin.host.wall_clock_offset();
  *time_us = std::chrono::duration_cast<std::chrono::microseconds>(at).count();
  return 0;
}

int do_usleep(void* u, useconds_t span_us) {
  auto& plugin = *static_cast<Plugin*>(u);
  {
    const std::lock_guard lock(plugin.host.mutex());
    plugin.catch_up();
    plugin.host.advance(std::chrono::microseconds(span_us));
    plugin.stand_ins.publish(plugin.host.stack(), plugin.host.now());
  }
  plugin.host.let_threads_finish();
  return 0;
}

int do_gettimeofday(void* u, timeval* time, struct timezone*) {
  auto& plugin = *static_cast<Plugin*>(u);
  const std::lock_guard lock(plugin.host.mutex());
  const auto now = plugin.host.read_clock().time_since_epoch() + plugin.host.wall_clock_offset();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  *time = {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
  return 0;
}

template <typename Function>
Function* next_in_line(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool is_ours(int fd) {
  if (current == nullptr) return false;
  const std::lock_guard lock(current->host.mutex());
  return current->host.sockets().has(fd);
}

}  // namespace

#define FF_EXPORT __attribute__((visibility("default")))

extern "C" {

FF_EXPORT void packetdrill_interface_init(const char* flags, packetdrill_interface* interface) {
  current = new Plugin(parse(flags == nullptr ? "" : flags));
  *interface = {.userdata = current,
                .free = end,
                .socket = do_socket,
                .bind = do_bind,
                .listen = do_listen,
                .accept = do_accept,
                .connect = do_connect,
                .read = do_read,
                .readv = do_readv,
                .recv = do_recv,
                .recvfrom = do_recvfrom,
                .recvmsg = do_recvmsg,
                .write = do_write,
                .writev = do_writev,
                .send = do_send,
                .sendto = do_sendto,
                .sendmsg = do_sendmsg,
                .fcntl = do_fcntl,
                .ioctl = do_ioctl,
                .close = do_close,
                .shutdown = do_shutdown,
                .getsockopt = do_getsockopt,
                .setsockopt = do_setsockopt,
                .poll = do_poll,
                .netdev_send = netdev_send,
                .netdev_receive = netdev_receive,
                .usleep = do_usleep,
                .gettimeofday = do_gettimeofday,
                .epoll_create = do_epoll_create,
                .epoll_ctl = do_epoll_ctl,
                .epoll_wait = do_epoll_wait,
                .pipe = do_pipe,
                .splice = do_splice};
}

// packetdrill calls these by libc's names. Preloaded, this library has them.

FF_EXPORT ssize_t sendfile(int fd, int file, off_t* offset, size_t count) noexcept {
  if (is_ours(fd)) return finish<ssize_t>(ff::posix::send_file(sockets_of(current), fd, file, offset, count));
  return next_in_line<ssize_t(int, int, off_t*, size_t)>("sendfile")(fd, file, offset, count);
}

// For what is shown to scripts in Python.
FF_EXPORT int getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  if (is_ours(fd)) return do_getsockopt(current, fd, level, name, value, length);
  return next_in_line<int(int, int, int, void*, socklen_t*)>("getsockopt")(fd, level, name, value, length);
}

// For a script's commands. Time stands still meanwhile, also for what they leave running in the background: the script
// goes on when that is done, or is not after a second and so is not meant to be.
FF_EXPORT int system(const char* command) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const int status = next_in_line<int(const char*)>("system")(command);
  for (int waited_ms = 0; waited_ms < 1000; ++waited_ms) {
    const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
    if (ended < 0) break;  // there is none
    if (ended == 0) ::usleep(1000);
  }
  return status;
}

}  // extern "C"
