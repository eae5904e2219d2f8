// Serves a tree of files by HTTP/1.1 over a stack. Does nothing by itself: whoever drives the stack passes on its
// events, and the time now and then.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <ctime>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "cli/file_tree.hpp"
#include "cli/http.hpp"
#include "firstflight/stack.hpp"

namespace ff::cli {

struct FileServerOptions {
  Duration idle_timeout = std::chrono::seconds(60);   // without a byte either way
  Duration linger_timeout = std::chrono::seconds(2);  // for the peer to close after we have
  std::function<std::time_t()> wall_clock{};          // for the Date field; whole seconds are enough
};

class FileServer {
 public:
  // The stack must outlive the server.
  FileServer(Stack& stack, FileTree tree, FileServerOptions options);
  ~FileServer();
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  Result<ListenerId> listen(const ListenOptions& options);

  void handle_event(Instant now, const Event& event);
  // Ends what has been idle for too long. Once a second is often enough.
  void handle_tick(Instant now);

  // No new connections, no new requests; answers that are under way are finished.
  void begin_shutdown(Instant now);
  // Resets all that is left.
  void abort_all(Instant now);

  [[nodiscard]] std::size_t connections() const noexcept { return by_connection_.size(); }

  struct Counters {
    std::uint64_t connections = 0;
    std::uint64_t fast_open = 0;  // of these, with data in the SYN
    std::uint64_t responses = 0;
    std::uint64_t bytes = 0;  // heads and bodies
    std::uint64_t idle_closed = 0;
    std::uint64_t cut_files = 0;  // files that became shorter while they were being sent
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Session;
  using SessionList = std::list<Session>;  // in the order of their latest activity
  enum class Step : std::uint8_t { Again, Wait, Gone };

  void accept_all(Instant now, ListenerId listener);
  void pump(Instant now, SessionList::iterator session);
  Step step(Instant now, Session& session);
  Step read_request(Instant now, Session& session);
  Step send_pending(Instant now, Session& session);
  Step finish_response(Instant now, Session& session);
  Step linger(Instant now, Session& session);
  void fill_pending(Session& session);
  void answer(Session& session, std::string_view head);
  void answer_file(Session& session, const http::Request& request, OpenFile file);
  void answer_status(Session& session, const http::Request& request, unsigned status, std::string_view why,
                     std::string_view extra_fields = {});
  void begin_response(Session& session, const http::ResponseHead& head, std::string_view body = {});
  void expire(Instant now, SessionList& list, Duration timeout);

  Stack& stack_;
  FileTree tree_;
  FileServerOptions options_;
  std::vector<ListenerId> listeners_;
  SessionList active_;
  SessionList lingering_;  // have had their last answer
  boost::unordered_flat_map<std::uint64_t, SessionList::iterator> by_connection_;
  SlabPool pieces_;
  bool shutting_down_ = false;
  Counters counters_;
};

}  // namespace ff::cli
