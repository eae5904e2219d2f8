#include "runtime/control_socket.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace ff {
namespace {

// How much is read of a client at a time, and how many lines it may have done before others get their turn.
constexpr std::size_t kReadSize = 16 * 1024;
constexpr int kStepsPerTurn = 8;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) fail(ENAMETOOLONG, path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

FileDescriptor make_socket() {
  FileDescriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made) fail(errno, "socket");
  return made;
}

// Whether nobody answers any more at a socket file that is there.
bool is_stale(const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const FileDescriptor probe = make_socket();
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

FileDescriptor listen_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  FileDescriptor listener = make_socket();
  // Linux takes the file's mode from the socket's: no moment at which others could connect.
  if (::fchmod(listener.get(), S_IRUSR | S_IWUSR) != 0) fail(errno, path);
  const auto bind = [&] {
    return ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  };
  if (!bind()) {
    if (errno != EADDRINUSE || !is_stale(address)) fail(errno, path);
    if (::unlink(address.sun_path) != 0 || !bind()) fail(errno, path);
  }
  if (::listen(listener.get(), static_cast<int>(ControlSocket::kMaxClients)) != 0) fail(errno, path);
  return listener;
}

}  // namespace

struct ControlSocket::Client {
  FileDescriptor descriptor;
  std::string input{};   // what came and was not looked at
  std::string output{};  // what did not go out yet, from `sent` on
  std::size_t sent = 0;
  Answer answer{};     // being given
  bool ended = false;  // nothing more will come
  std::uint32_t waits_for = EPOLLIN;
};

ControlSocket::ControlSocket(Loop& loop, std::string path, Responder responder)
    : loop_(loop), path_(std::move(path)), responder_(std::move(responder)), listener_(listen_at(path_)) {
  struct stat status{};
  if (::lstat(path_.c_str(), &status) != 0) fail(errno, path_);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  loop_.add_descriptor(listener_.get(), EPOLLIN, [this](Instant, std::uint32_t) { accept_all(); });
}

ControlSocket::~ControlSocket() {
  loop_.cancel(resume_);
  while (!clients_.empty()) remove(clients_.begin());
  loop_.remove_descriptor(listener_.get());
  // Not the file of somebody who has taken our place.
  struct stat status{};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    (void)::unlink(path_.c_str());
}

// ---- clients -------------------------------------------------------------------------------------------------------

void ControlSocket::accept_all() {
  for (std::size_t i = 0; i < kMaxClients; ++i) {
    FileDescriptor descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!descriptor) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) pause();
      return;
    }
    make_room();
    add(std::move(descriptor));
  }
}

// The process has no descriptors left. Whoever waits does so until there may be some, instead of waking the loop.
void ControlSocket::pause() {
  loop_.change_descriptor(listener_.get(), 0);
  resume_ = loop_.call_after(std::chrono::seconds(1), [this](Instant) {
    loop_.change_descriptor(listener_.get(), EPOLLIN);
    accept_all();
  });
}

// Clients that connect and stay silent must not keep others out: the one that has been silent longest goes.
void ControlSocket::make_room() {
  if (clients_.size() >= kMaxClients) remove(clients_.begin());
}

void ControlSocket::add(FileDescriptor descriptor) {
  const auto client = clients_.insert(clients_.end(), Client{.descriptor = std::move(descriptor)});
  loop_.add_descriptor(client->descriptor.get(), EPOLLIN,
                       [this, client](Instant now, std::uint32_t events) { ready(now, client, events); });
}

void ControlSocket::remove(Clients::iterator client) {
  loop_.remove_descriptor(client->descriptor.get());
  clients_.erase(client);
}

void ControlSocket::ready(Instant now, Clients::iterator client, std::uint32_t events) {
  clients_.splice(clients_.end(), clients_, client);
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && (events & EPOLLIN) == 0)) return remove(client);
  if ((events & EPOLLIN) != 0 && !read_from(*client)) return remove(client);
  work(now, client);
}

// ---- requests and answers ------------------------------------------------------------------------------------------

// Answers as far as the client reads, then asks the loop for what it takes to go on.
void ControlSocket::work(Instant now, Clients::iterator client) {
  bool more = true;
  for (int step = 0; more && step < kStepsPerTurn; ++step) {
    if (!write_to(*client)) return remove(client);
    more = client->output.empty() && next_output(now, *client);
  }
  const bool unsent = !client->output.empty();
  if (client->ended && !more && !unsent && !client->answer) return remove(client);
  if (!more && !unsent && client->input.size() >= kMaxLine) return remove(client);  // a line without end
  // While it does not take its answer, what it asks next waits in the kernel.
  const std::uint32_t wanted = unsent || more ? EPOLLOUT : EPOLLIN;
  if (wanted != client->waits_for) loop_.change_descriptor(client->descriptor.get(), wanted);
  client->waits_for = wanted;
}

// False when the client is to go.
bool ControlSocket::read_from(Client& client) {
  std::array<char, kReadSize> buffer;
  const ssize_t count = ::read(client.descriptor.get(), buffer.data(), buffer.size());
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) client.ended = true;
  client.input.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

bool ControlSocket::write_to(Client& client) {
  while (client.sent < client.output.size()) {
    const ssize_t count = ::send(client.descriptor.get(), client.output.data() + client.sent,
                                 client.output.size() - client.sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    client.sent += static_cast<std::size_t>(count);
  }
  client.output.clear();
  client.sent = 0;
  return true;
}

// The next line to send, of the answer being given or of the next request's; false when there is nothing to do.
bool ControlSocket::next_output(Instant now, Client& client) {
  if (!client.answer && !next_request(now, client)) return false;
  if (std::optional<std::string> line = client.answer(now)) {
    client.output = *std::move(line) + '\n';
  } else {
    client.answer = nullptr;
  }
  return true;
}

bool ControlSocket::next_request(Instant now, Client& client) {
  const std::size_t end = client.input.find('\n');
  if (end > kMaxLine) return false;  // nor where there is none
  std::string_view line = std::string_view(client.input).substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  client.answer = responder_(now, line);
  client.input.erase(0, end + 1);
  return true;
}

}  // namespace ff
