#include "cli/control_client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/commands.hpp"

namespace ff::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".sock";
// A stack answers within a millisecond or so; one that is stopped in a debugger does not.
constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};

// A connection, or none and errno.
FileDescriptor connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return {};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made || ::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  (void)::setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  (void)::setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return made;
}

// Those at which somebody listens; files that dead programs have left are passed over.
std::vector<std::string> running_stacks(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const std::string path = entry.path().string();
    if (path.ends_with(kSuffix) && connect_to(path)) paths.push_back(path);
  }
  std::ranges::sort(paths);
  return paths;
}

std::string only_running_stack() {
  const std::optional<std::string> directory = control_directory();
  if (!directory) throw UsageError("XDG_RUNTIME_DIR is not set; say which stack with --control PATH");
  const std::vector<std::string> paths = running_stacks(*directory);
  if (paths.empty())
    throw UsageError(fmt::format(
        "no running stack has its control socket in {}; start one, such as 'ff serve', or give --control PATH",
        *directory));
  if (paths.size() > 1)
    throw UsageError(fmt::format("{} stacks are running; say which with --control {}", paths.size(),
                                 fmt::join(paths, " or --control ")));
  return paths.front();
}

}  // namespace

std::optional<std::string> control_directory() {
  if (::geteuid() == 0) return "/run/firstflight";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime == '\0') return std::nullopt;
  return std::string(runtime) + "/firstflight";
}

std::string control_path(std::string_view directory, std::string_view program, long pid) {
  return fmt::format("{}/{}-{}{}", directory, program, pid, kSuffix);
}

ControlClient::ControlClient(const std::optional<std::string>& path)
    : path_(path ? *path : only_running_stack()), socket_(connect_to(path_)) {
  if (socket_) return;
  const char* why = errno == ECONNREFUSED ? "nobody listens there any more" : std::strerror(errno);
  throw UsageError(
      fmt::format("cannot reach a stack at {}: {}; --control takes the control socket of one that runs", path_, why));
}

void ControlClient::send(const control::Json& request) {
  std::string line = control::to_line(request) + '\n';
  for (std::string_view left = line; !left.empty();) {
    const ssize_t count = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Failure(fmt::format("the stack at {} does not listen: {}", path_, std::strerror(errno)));
    left.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string ControlClient::read_line() {
  std::size_t looked_at = 0;
  for (;;) {
    if (const std::size_t end = input_.find('\n', looked_at); end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      return line;
    }
    looked_at = input_.size();
    std::array<char, 64 * 1024> buffer;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) throw Failure(fmt::format("the stack at {} does not answer", path_));
    if (count <= 0) throw Failure(fmt::format("the stack at {} has gone, or broke off", path_));
    input_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

control::Json ControlClient::receive() {
  control::Json line = control::Json::parse(read_line(), nullptr, /*allow_exceptions=*/false);
  const bool good =
      line.is_object() && line.contains("ok") && line["ok"].is_boolean() &&
      (line["ok"] == true ? line.contains("result") : line.contains("error") && line["error"].is_string());
  if (!good) throw Failure(fmt::format("what answers at {} is no stack of this version", path_));
  return line;
}

control::Json ControlClient::ask(const control::Json& request) {
  send(request);
  control::Json line = receive();
  if (line["ok"] != true) throw Failure(line["error"].get<std::string>());
  return std::move(line["result"]);
}

control::Json ControlClient::ask_as_user(const control::Json& request) {
  send(request);
  control::Json line = receive();
  if (line["ok"] != true) throw UsageError(line["error"].get<std::string>());
  return std::move(line["result"]);
}

void ControlClient::ask_each(const control::Json& request, const std::function<void(const control::Json&)>& take) {
  send(request);
  for (bool more = true; more;) {
    const control::Json line = receive();
    if (line["ok"] != true) throw Failure(line["error"].get<std::string>());
    take(line["result"]);
    more = line.contains("more") && line["more"] == true;
  }
}

void add_control_option(CLI::App& app, std::optional<std::string>& path) {
  app.add_option("--control", path, "the control socket of the stack; the only one that runs, when not given")
      ->type_name("PATH");
}

}  // namespace ff::cli
