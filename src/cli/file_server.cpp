#include "cli/file_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ff::cli {
namespace {

constexpr std::uint32_t kPiece = 64 * 1024;         // of a file that is sent
constexpr std::uint64_t kSmallFile = 16 * 1024;     // goes out in one piece with its head
constexpr std::size_t kInbox = 2 * http::kMaxHead;  // pipelined requests wait in the stack beyond that

std::uint64_t key_of(ConnectionId id) { return std::uint64_t{id.generation} << 32 | id.index; }

struct Status {
  unsigned code;
  std::string_view why;
};
Status status_of(FileError error) {
  switch (error) {
    case FileError::NotFound:
      return {404, "there is no such file"};
    case FileError::Forbidden:
      return {403, "this is not for you to see"};
    case FileError::NeedsSlash:
      return {301, "a directory's address ends in '/'"};
    case FileError::TooManyOpen:
      return {503, "too many files are open; try again"};
    case FileError::Failed:
      break;
  }
  return {500, "the file cannot be read"};
}

// A path as a Location: only what RFC 3986 §3.3 allows in one stands as it is.
std::string percent_encode(std::string_view path) {
  constexpr std::string_view kPlain = "-._~!$&'()*+,;=:@/";
  std::string result;
  for (const char c : path) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       kPlain.find(c) != std::string_view::npos;
    if (plain) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

}  // namespace

// One connection. It reads a request, sends the answer, and only then looks for the next request.
struct FileServer::Session {
  ConnectionId connection;
  SessionList* list = nullptr;  // where it stands now
  Instant active{};             // when a byte went either way last
  std::uint64_t acked = 0;      // what the peer had acknowledged then

  std::string inbox;  // received and not yet understood
  http::HeadScanner scanner;

  bool responding = false;
  bool keep_alive = true;
  bool moved = false;        // a byte went either way in this pump()
  Slice pending;             // to be written next
  OpenFile file;             // the rest of the answer
  std::uint64_t offset = 0;  // in it
  std::uint64_t remaining = 0;
};

FileServer::FileServer(Stack& stack, FileTree tree, FileServerOptions options)
    : stack_(stack), tree_(std::move(tree)), options_(std::move(options)), pieces_(kPiece) {}

FileServer::~FileServer() = default;

Result<ListenerId> FileServer::listen(const ListenOptions& options) {
  const Result<ListenerId> listener = stack_.listen(options);
  if (listener) listeners_.push_back(*listener);
  return listener;
}

// ---- what the driver calls

void FileServer::handle_event(Instant now, const Event& event) {
  if ((event.bits & event_bits::kAcceptable) != 0) {
    accept_all(now, event.listener);
    return;
  }
  const auto found = by_connection_.find(key_of(event.connection));
  if (found != by_connection_.end()) pump(now, found->second);
}

void FileServer::handle_tick(Instant now) {
  expire(now, active_, options_.idle_timeout);
  expire(now, lingering_, options_.linger_timeout);
}

void FileServer::begin_shutdown(Instant now) {
  shutting_down_ = true;
  for (const ListenerId listener : std::exchange(listeners_, {})) (void)stack_.close(now, listener);
  for (auto session = active_.begin(); session != active_.end();) {
    const auto next = std::next(session);
    if (!session->responding) {
      (void)stack_.close(now, session->connection);
      by_connection_.erase(key_of(session->connection));
      active_.erase(session);
    }
    session = next;
  }
}

void FileServer::abort_all(Instant now) {
  for (const auto& [key, session] : by_connection_) (void)stack_.abort(now, session->connection);
  by_connection_.clear();
  active_.clear();
  lingering_.clear();
}

// ---- connections

void FileServer::accept_all(Instant now, ListenerId listener) {
  while (const Result<ConnectionId> connection = stack_.accept(listener)) {
    ++counters_.connections;
    if (const auto info = stack_.info(*connection); info && info->syn_data_bytes > 0) ++counters_.fast_open;
    (void)stack_.set_no_delay(now, *connection, true);
    const auto session = active_.emplace(active_.end());
    session->connection = *connection;
    session->list = &active_;
    session->active = now;
    by_connection_.emplace(key_of(*connection), session);
    // A request that came in the SYN is answered right behind the SYN-ACK.
    pump(now, session);
  }
}

void FileServer::pump(Instant now, SessionList::iterator session) {
  session->moved = false;
  Step next = Step::Again;
  while (next == Step::Again) next = step(now, *session);
  if (next == Step::Gone) {
    by_connection_.erase(key_of(session->connection));
    session->list->erase(session);
  } else if (session->moved) {
    session->active = now;
    session->list->splice(session->list->end(), *session->list, session);
  }
}

FileServer::Step FileServer::step(Instant now, Session& session) {
  if (!session.pending.empty()) return send_pending(now, session);
  if (session.remaining > 0) {
    fill_pending(session);
    if (!session.pending.empty()) return Step::Again;
    // The file was cut while it was being sent: a reset is the only way left to say that the answer is not whole.
    ++counters_.cut_files;
    (void)stack_.abort(now, session.connection);
    return Step::Gone;
  }
  if (session.responding) return finish_response(now, session);
  if (session.list == &lingering_) return linger(now, session);
  return read_request(now, session);
}

FileServer::Step FileServer::read_request(Instant now, Session& session) {
  if (const auto size = session.scanner.scan(session.inbox)) {
    session.scanner.reset();
    answer(session, std::string_view(session.inbox).substr(0, *size));
    session.inbox.erase(0, *size);
    return Step::Again;
  }
  if (session.inbox.size() > http::kMaxHead) {
    answer_status(session, http::Request{}, 431, "the request's head is too large");
    return Step::Again;
  }
  const auto room = static_cast<std::uint32_t>(kInbox - session.inbox.size());
  const Result<Slice> bytes = stack_.read_slice(now, session.connection, room);
  if (!bytes && bytes.error() == Error::WouldBlock) return Step::Wait;
  if (!bytes || bytes->empty()) {
    (void)stack_.close(now, session.connection);
    return Step::Gone;
  }
  session.inbox.append(bytes->text());
  session.moved = true;
  return Step::Again;
}

FileServer::Step FileServer::send_pending(Instant now, Session& session) {
  const std::uint32_t size = session.pending.size();
  const Result<void> written = stack_.write(now, session.connection, session.pending);
  if (!written && written.error() == Error::WouldBlock) return Step::Wait;
  if (!written) {
    (void)stack_.abort(now, session.connection);
    return Step::Gone;
  }
  counters_.bytes += size;
  session.pending = Slice();
  session.moved = true;
  return Step::Again;
}

FileServer::Step FileServer::finish_response(Instant now, Session& session) {
  ++counters_.responses;
  session.responding = false;
  session.file = OpenFile{};
  if (session.inbox.empty()) session.inbox.shrink_to_fit();  // an idle connection keeps no memory
  if (session.keep_alive && !shutting_down_) return Step::Again;
  // Closing at once would reset the connection if the peer sends more, and that could overtake the answer: so our side
  // closes, and what still comes is read until the peer has closed too (RFC 9112 §9.6).
  (void)stack_.shutdown_write(now, session.connection);
  const auto self = by_connection_.at(key_of(session.connection));
  lingering_.splice(lingering_.end(), *session.list, self);
  session.list = &lingering_;
  session.inbox = std::string();
  return Step::Again;
}

FileServer::Step FileServer::linger(Instant now, Session& session) {
  const Result<Slice> bytes = stack_.read_slice(now, session.connection);
  if (!bytes && bytes.error() == Error::WouldBlock) return Step::Wait;
  if (bytes && !bytes->empty()) return Step::Again;  // not counted as activity
  (void)stack_.close(now, session.connection);
  return Step::Gone;
}

void FileServer::expire(Instant now, SessionList& list, Duration timeout) {
  while (!list.empty() && list.front().active + timeout <= now) {
    const auto session = list.begin();
    const Result<ConnectionInfo> info = stack_.info(session->connection);
    if (info && info->bytes_acked > session->acked) {  // a slow reader, but it reads
      session->acked = info->bytes_acked;
      session->active = now;
      list.splice(list.end(), list, session);
      continue;
    }
    ++counters_.idle_closed;
    (void)(session->responding ? stack_.abort(now, session->connection) : stack_.close(now, session->connection));
    by_connection_.erase(key_of(session->connection));
    list.erase(session);
  }
}

// ---- answers

void FileServer::fill_pending(Session& session) {
  const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(session.remaining, kPiece));
  const SlabRef slab = pieces_.acquire();
  const std::size_t got = session.file.read_at(session.offset, slab.memory().first(size));
  if (got < size) return;
  session.pending = slab.slice(0, size);
  session.offset += size;
  session.remaining -= size;
}

void FileServer::answer(Session& session, std::string_view head) {
  const auto parsed = http::parse_request(head);
  if (!parsed) {
    answer_status(session, http::Request{}, parsed.error().status, parsed.error().why);
    return;
  }
  http::Request request = *parsed;
  // Nobody here reads a request's body, and the next request would begin behind it.
  if (request.has_body) request.keep_alive = false;
  if (request.method == http::Method::Other) {
    answer_status(session, request, 405, "only GET and HEAD are served", "Allow: GET, HEAD\r\n");
    return;
  }
  if (auto file = tree_.find(request.path)) {
    answer_file(session, request, *std::move(file));
    return;
  } else {
    const Status status = status_of(file.error());
    const std::string location =
        status.code == 301 ? fmt::format("Location: {}/\r\n", percent_encode(request.path)) : std::string();
    answer_status(session, request, status.code, status.why, location);
  }
}

void FileServer::answer_file(Session& session, const http::Request& request, OpenFile file) {
  const std::string modified = http::format_date(file.modified);
  std::string fields = fmt::format("Last-Modified: {}\r\nAccept-Ranges: bytes\r\n", modified);
  http::ResponseHead head{
      .content_length = file.size, .content_type = http::content_type_of(file.name), .keep_alive = request.keep_alive};
  session.offset = 0;
  const bool ranged = request.method == http::Method::Get && !request.range.empty() &&
                      (request.if_range.empty() || request.if_range == modified);
  const http::RangeAnswer part = ranged ? http::answer_range(request.range, file.size) : http::RangeAnswer{};
  if (part.kind == http::RangeKind::Unsatisfiable) {
    answer_status(session, request, 416, "the file is not that long",
                  fmt::format("Content-Range: bytes */{}\r\n", file.size));
    return;
  }
  if (part.kind == http::RangeKind::Part) {
    head.status = 206;
    head.content_length = part.range.length;
    session.offset = part.range.first;
    fields += fmt::format("Content-Range: bytes {}-{}/{}\r\n", part.range.first,
                          part.range.first + part.range.length - 1, file.size);
  } else if (!request.range.empty() || request.if_modified_since != modified) {
    head.status = 200;
  } else {
    head.status = 304;
  }
  head.extra_fields = fields;
  const bool has_body = request.method == http::Method::Get && head.status != 304;
  if (has_body && head.content_length <= kSmallFile) {
    std::string body(head.content_length, '\0');
    const MutableByteSpan room(reinterpret_cast<std::uint8_t*>(body.data()), body.size());
    if (file.read_at(session.offset, room) == body.size()) {
      begin_response(session, head, body);
    } else {
      ++counters_.cut_files;
      answer_status(session, request, 500, "the file changed while it was being read");
    }
    return;
  }
  begin_response(session, head);
  if (!has_body) return;
  session.remaining = head.content_length;
  session.file = std::move(file);
}

void FileServer::answer_status(Session& session, const http::Request& request, unsigned status, std::string_view why,
                               std::string_view extra_fields) {
  std::string body = fmt::format("{} {}: {}\n", status, http::reason_phrase(status), why);
  const http::ResponseHead head{.status = status,
                                .content_length = body.size(),
                                .content_type = "text/plain; charset=utf-8",
                                .extra_fields = extra_fields,
                                .keep_alive = request.keep_alive};
  if (request.method == http::Method::Head) body.clear();
  begin_response(session, head, body);
}

void FileServer::begin_response(Session& session, const http::ResponseHead& head, std::string_view body) {
  http::ResponseHead final_head = head;
  if (shutting_down_) final_head.keep_alive = false;
  std::string text = http::format_head(final_head, options_.wall_clock());
  text += body;
  session.pending = Slice::adopt(std::move(text));
  session.responding = true;
  session.keep_alive = final_head.keep_alive;
}

}  // namespace ff::cli
