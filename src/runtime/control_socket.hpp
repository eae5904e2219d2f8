// A Unix socket on which other programs of this machine question a running stack. This file knows lines, not what they
// mean: each request is one line, its answer one or more lines, and whoever answers is asked for the next line only
// when the one before has gone out. So a list of a million sockets takes no more memory than its longest line, and a
// client that does not read costs nothing but its place.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "device/file_descriptor.hpp"
#include "firstflight/time.hpp"
#include "runtime/loop.hpp"

namespace ff {

class ControlSocket {
 public:
  // The next line of an answer, without its end; nothing when the answer is complete.
  using Answer = std::function<std::optional<std::string>(Instant)>;
  // What to answer to one request. Both may be asked at any time that the loop's callbacks run.
  using Responder = std::function<Answer(Instant, std::string_view line)>;

  static constexpr std::size_t kMaxClients = 16;
  static constexpr std::size_t kMaxLine = 64 * 1024;

  // Listens at `path` with mode 0600 as long as it lives, then removes the file. One that a dead program left behind is
  // replaced. The loop must outlive this. Throws std::system_error.
  ControlSocket(Loop& loop, std::string path, Responder responder);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::size_t clients() const noexcept { return clients_.size(); }

 private:
  struct Client;
  using Clients = std::list<Client>;  // the one longest silent first

  void accept_all();
  void pause();
  void make_room();
  void add(FileDescriptor descriptor);
  void ready(Instant now, Clients::iterator client, std::uint32_t events);
  void work(Instant now, Clients::iterator client);
  [[nodiscard]] bool read_from(Client& client);
  [[nodiscard]] bool write_to(Client& client);
  [[nodiscard]] bool next_output(Instant now, Client& client);
  [[nodiscard]] bool next_request(Instant now, Client& client);
  void remove(Clients::iterator client);

  Loop& loop_;
  std::string path_;
  Responder responder_;
  FileDescriptor listener_;
  dev_t device_{};  // which file is ours
  ino_t inode_{};
  Clients clients_;
  Loop::TimerId resume_;
};

}  // namespace ff
