#include "packetdrill/stand_ins.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

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

void StandIns::obey(Stack& stack) {
  const std::string path = directory.path + "/requests";
  if (directory.path.empty() || ::access(path.c_str(), F_OK) != 0) return;
  std::ifstream requests(path);
  for (std::string request; std::getline(requests, request);) {
    if (request == "flush tcp_metrics") {
      // To Linux a server's cookie is one of the metrics of its path.
      stack.clear_tcp_metrics();
      stack.clear_fast_open_cache();
    } else if (const std::size_t equals = request.find('='); equals != std::string::npos) {
      (void)stack.set_setting(request.substr(0, equals), request.substr(equals + 1));
    }
  }
  ::unlink(path.c_str());
}

void StandIns::publish(const Stack& stack) {
  if (directory.path.empty()) return;
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
  // In one step, so that nobody reads half of it.
  const std::string path = directory.path + "/counters", fresh = path + ".new";
  std::ofstream(fresh) << text;
  (void)std::rename(fresh.c_str(), path.c_str());
}

}  // namespace ff::packetdrill
