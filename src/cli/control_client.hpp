// The tools' end of a control socket: finds the running stack, asks it, reads what it answers.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/file_descriptor.hpp"
#include "runtime/control_codec.hpp"

namespace ff::cli {

// Where stacks put their control sockets: below /run for root, in the user's own runtime directory otherwise; nothing
// when there is none.
std::optional<std::string> control_directory();
// "/run/firstflight/serve-1234.sock"
std::string control_path(std::string_view directory, std::string_view program, long pid);

class ControlClient {
 public:
  // Without a path: the only stack that runs here. Throws UsageError when there is none, or several.
  explicit ControlClient(const std::optional<std::string>& path);

  // The answer to a request. Throws Failure when the stack does not answer, or with its sentence when it refuses.
  control::Json ask(const control::Json& request);
  // The same, but what the stack refuses is a wrong command line.
  control::Json ask_as_user(const control::Json& request);
  // An answer of several lines, each as it comes.
  void ask_each(const control::Json& request, const std::function<void(const control::Json&)>& take);

 private:
  void send(const control::Json& request);
  [[nodiscard]] control::Json receive();
  [[nodiscard]] std::string read_line();

  std::string path_;
  FileDescriptor socket_;
  std::string input_;
};

// --control PATH, of every tool.
void add_control_option(CLI::App& app, std::optional<std::string>& path);

}  // namespace ff::cli
