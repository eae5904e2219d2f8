#include "packetdrill/stand_ins.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "packetdrill/proc_net_tcp.hpp"

namespace ff::packetdrill {

namespace {

// packetdrill ends by exit() when a script fails.
struct Directory {
  std::string path;
  void remove() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
    path.clear();
  }
  // In one step, so that nobody reads half of it.
  void put(const char* name, const std::string& text) const {
    const std::string file = path + "/" + name, fresh = file + ".new";
    std::ofstream(fresh) << text;
    (void)std::rename(fresh.c_str(), file.c_str());
  }
  ~Directory() { remove(); }
} directory;

}  // namespace

StandIns::StandIns() {
  std::string path = "/tmp/firstflight.packetdrill." + std::to_string(::getpid());
  if (::mkdir(path.c_str(), 0700) == 0) {
    directory.path = std::move(path);
  } else {
    std::fprintf(stderr, "firstflight: %s: %s; the commands of scripts will not know of this stack\n", path.c_str(),
                 std::strerror(errno));
  }
}

StandIns::~StandIns() { directory.remove(); }

void StandIns::obey(VirtualHost& host) {
  const std::string path = directory.path + "/requests";
  if (directory.path.empty() || ::access(path.c_str(), F_OK) != 0) return;
  std::ifstream requests(path);
  for (std::string request; std::getline(requests, request);) {
    if (request == "flush tcp_metrics") {
      // To Linux a server's cookie is one of the metrics of its path.
      host.stack().clear_tcp_metrics();
      host.stack().clear_fast_open_cache();
    } else if (request == "device full" || request == "device empty") {
      host.set_device_full(request == "device full");
    } else if (const std::size_t equals = request.find('='); equals != std::string::npos) {
      (void)host.stack().set_setting(request.substr(0, equals), request.substr(equals + 1));
    }
  }
  ::unlink(path.c_str());
}

void StandIns::publish(const Stack& stack, Instant now) {
  if (directory.path.empty()) return;
  publish_counters(stack);
  publish_sockets(stack, now);
}

void StandIns::publish_counters(const Stack& stack) {
  bool changed = false;
  for (std::size_t i = 0; i < published_.size(); ++i) {
    const std::uint64_t value = stack.counters()[static_cast<Counter>(i)];
    changed |= std::exchange(published_[i], value) != value;
  }
  if (!changed) return;
  std::string text;
  for (std::size_t i = 0; i < published_.size(); ++i) {
    const auto counter = static_cast<Counter>(i);
    text.append(group_of(counter)).append(name_of(counter));
    text.append(" ").append(std::to_string(published_[i])).append("\n");
  }
  directory.put("counters", text);
}

void StandIns::publish_sockets(const Stack& stack, Instant now) {
  const std::vector<SocketInfo> sockets = stack.sockets(now);
  const std::string v4 = proc_net_tcp(sockets, true), v6 = proc_net_tcp(sockets, false);
  if (std::exchange(published_sockets_, v4 + v6) == published_sockets_) return;
  directory.put("tcp", v4);
  directory.put("tcp6", v6);
}

}  // namespace ff::packetdrill
