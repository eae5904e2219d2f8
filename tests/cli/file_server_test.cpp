// The file server and the client, on simulated hosts with a round trip of 100 ms.
#include "cli/file_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "cli/fetch.hpp"
#include "sim/world.hpp"

namespace ff::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
namespace fs = std::filesystem;

// A directory of files that goes away with it.
class Files {
 public:
  Files() {
    char name[] = "/tmp/ff-files-XXXXXX";
    root_ = ::mkdtemp(name);
    write("www/index.html", "<h1>hello</h1>");
    write("www/sub/index.html", "sub");
    write("www/a b.txt", "spaced");
    write("www/empty", "");
    write("www/digits", "0123456789");
    write("www/big", pattern(1'000'000));
    write("www/secret", "x");
    fs::create_directory(root_ / "www/bare");
    write("outside", "outside");
    fs::create_symlink("../outside", root_ / "www/escape");
    fs::create_symlink(root_, root_ / "www/up");
    fs::create_symlink("/etc/passwd", root_ / "www/absolute");
    fs::create_symlink("digits", root_ / "www/inside");
    fs::create_symlink("loop", root_ / "www/loop");
    ::mkfifo((root_ / "www/fifo").c_str(), 0666);
  }
  ~Files() { fs::remove_all(root_); }

  [[nodiscard]] std::string www() const { return (root_ / "www").string(); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << text;
  }
  void cut(const std::string& name, std::uintmax_t size) const { fs::resize_file(root_ / name, size); }
  static std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 1000) % 26);
    return text;
  }

 private:
  fs::path root_;
};

// ---- the tree

TEST(FileTree, FindsWhatIsInIt) {
  const Files files;
  const auto tree = FileTree::open(files.www());
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->find("/digits")->size, 10u);
  EXPECT_EQ(tree->find("/")->name, "/index.html");
  EXPECT_EQ(tree->find("//sub/")->name, "//sub/index.html");
  EXPECT_EQ(tree->find("/sub/../digits")->size, 10u);
  EXPECT_EQ(tree->find("/inside")->size, 10u);  // a link that stays inside
}

TEST(FileTree, NeverLeadsOut) {
  const Files files;
  const auto tree = FileTree::open(files.www());
  ASSERT_TRUE(tree);
  for (const char* path : {"/../outside", "/sub/../../outside", "/escape", "/up/outside", "/up/www/digits", "/absolute",
                           "/..", "/../", "/up/", "/loop", "/fifo", "/bare/"}) {
    const auto file = tree->find(path);
    ASSERT_FALSE(file) << path;
    EXPECT_TRUE(file.error() == FileError::Forbidden || file.error() == FileError::NotFound) << path;
  }
  EXPECT_EQ(tree->find("//etc/passwd").error(), FileError::NotFound);
  EXPECT_EQ(tree->find("/nothing").error(), FileError::NotFound);
  EXPECT_EQ(tree->find("/digits/").error(), FileError::NotFound);
  EXPECT_EQ(tree->find("/" + std::string(5000, 'a')).error(), FileError::NotFound);
  EXPECT_EQ(tree->find("/sub").error(), FileError::NeedsSlash);
}

TEST(FileTree, OfWhatIsNoDirectoryIsRefused) {
  const Files files;
  EXPECT_THAT(FileTree::open(files.www() + "/digits").error(), HasSubstr("digits"));
  EXPECT_THAT(FileTree::open("/nonexistent").error(), HasSubstr("give a directory"));
}

// ---- the server

InterfaceConfig interface(const char* cidr) {
  InterfaceConfig config;
  config.name = "eth0";
  config.addresses = {*Cidr::parse(cidr)};
  return config;
}

struct Server {
  explicit Server(const FileServerOptions& wanted = {}, std::uint32_t fast_open_queue = 100) {
    client = world.add_host({.name = "client"});
    host = world.add_host({.name = "server"});
    world.connect(world.add_interface(client, interface("10.0.0.1/24")),
                  world.add_interface(host, interface("10.0.0.2/24")), {.delay = 50ms});
    FileServerOptions options = wanted;
    options.wall_clock = [] { return std::time_t{784111777}; };
    server.emplace(world.stack(host), *FileTree::open(files.www()), options);
    ListenOptions listen;
    listen.local = {IpAddress::any_v6(), 80};
    listen.fast_open_queue = fast_open_queue;
    EXPECT_TRUE(server->listen(listen));
    world.on_event(host, [this](const Event& event) { server->handle_event(world.now(), event); });
    tick();
  }
  ~Server() { EXPECT_EQ(world.failure(), ""); }

  void tick() {
    world.after(500ms, [this] {
      world.stack(host);
      server->handle_tick(world.now());
      tick();
    });
  }
  void run_for(Duration duration) { world.run_until(world.now() + duration); }

  Files files;
  sim::World world;
  sim::HostId client, host;
  std::optional<FileServer> server;
};

// Sends bytes as they are and keeps what comes back. All of one world share the client's host.
class RawClient {
 public:
  explicit RawClient(Server& server) : server_(server) {
    ConnectOptions options;
    options.remote = *Endpoint::parse("10.0.0.2:80");
    connection_ = *stack().connect(server_.world.now(), options);
    clients()[connection_.index] = this;
    server_.world.on_event(server_.client, [](const Event& event) {
      const auto found = clients().find(event.connection.index);
      if (found != clients().end()) found->second->handle(event);
    });
    server_.run_for(150ms);
  }
  ~RawClient() { clients().erase(connection_.index); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(std::string_view text) {
    unsent_ += text;
    write();
  }
  void stop_sending() { EXPECT_TRUE(stack().shutdown_write(server_.world.now(), connection_)); }
  void start_reading() {
    reading = true;
    read();
  }
  [[nodiscard]] std::string ask(std::string_view text, Duration patience = 5s) {
    answer.clear();
    send(text);
    server_.run_for(patience);
    return answer;
  }

  bool reading = true;
  std::string answer;
  bool ended = false;
  std::optional<Error> error;

 private:
  static std::map<std::uint32_t, RawClient*>& clients() {
    static std::map<std::uint32_t, RawClient*> all;
    return all;
  }
  Stack& stack() { return server_.world.stack(server_.client); }
  void handle(const Event& event) {
    if (reading) read();
    write();
    if ((event.bits & event_bits::kClosed) != 0)
      if (const auto info = stack().info(connection_)) error = info->error;
  }
  void read() {
    while (const auto piece = stack().read_slice(server_.world.now(), connection_)) {
      if (piece->empty()) {
        ended = true;
        return;
      }
      answer += piece->text();
    }
  }

  void write() {
    while (!unsent_.empty()) {
      const auto count = stack().write(server_.world.now(), connection_, as_bytes(unsent_));
      if (!count) return;
      unsent_.erase(0, *count);
    }
  }

  Server& server_;
  ConnectionId connection_;
  std::string unsent_;
};

std::string get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

TEST(FileServer, AnswersWithTheFile) {
  Server server;
  RawClient client(server);
  const std::string answer = client.ask(get("/"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_EQ(body_of(answer), "<h1>hello</h1>");
  EXPECT_EQ(body_of(client.ask(get("/a%20b.txt?x"))), "spaced");
  EXPECT_EQ(body_of(client.ask(get("/empty"))), "");
  EXPECT_TRUE(body_of(client.ask(get("/big"), 20s)) == Files::pattern(1'000'000));
  EXPECT_EQ(server.server->counters().connections, 1u);
  EXPECT_FALSE(client.ended);
}

TEST(FileServer, AnswersHeadWithTheHeadAlone) {
  Server server;
  RawClient client(server);
  for (const char* path : {"/big", "/digits", "/nothing"}) {
    const std::string answer = client.ask("HEAD " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(body_of(answer), "") << path;
    EXPECT_THAT(answer, Not(HasSubstr("Content-Length: 0\r\n"))) << path;
  }
}

TEST(FileServer, AnswersRequestsThatComeAtOnceInOrder) {
  Server server;
  RawClient client(server);
  const std::string answer = client.ask(
      get("/digits") + "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get("/big") + get("/nothing") + get("/sub/"), 20s);
  std::size_t at = 0;
  for (const char* part : {"0123456789HTTP/1.1 200 OK", "Content-Length: 14", "Content-Length: 1000000",
                           "HTTP/1.1 404 Not Found", "\r\n\r\nsub"}) {
    at = answer.find(part, at);
    ASSERT_NE(at, std::string::npos) << part;
  }
  EXPECT_EQ(server.server->counters().responses, 5u);
}

TEST(FileServer, ReadsARequestByteByByte) {
  Server server;
  RawClient client(server);
  for (const char c : get("/digits")) {
    client.send({&c, 1});
    server.run_for(1ms);
  }
  server.run_for(1s);
  EXPECT_EQ(body_of(client.answer), "0123456789");
}

TEST(FileServer, SaysWhyItHasNothingToGive) {
  Server server;
  RawClient client(server);
  EXPECT_THAT(client.ask(get("/nothing")), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(client.ask(get("/../outside")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(client.ask(get("/%2e%2e/outside")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(client.ask(get("/escape")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(client.ask(get("/digits", "Range: bytes=10-\r\n")), HasSubstr("Content-Range: bytes */10\r\n"));
  EXPECT_THAT(client.ask(get("/sub")), HasSubstr("Location: /sub/\r\n"));
  const std::string refused = client.ask("DELETE /digits HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(refused, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_FALSE(client.ended);  // none of these ends the connection
}

TEST(FileServer, EndsAConnectionThatIsNotHttp) {
  for (const std::string& text : {std::string("nonsense\r\n\r\n"), get("/%zz"), "GET / HTTP/1.1\r\n\r\n" + get("/"),
                                  "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(80'000, 'a')}) {
    Server server;
    RawClient client(server);
    const std::string answer = client.ask(text);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 4"));
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "answered what came behind";
    EXPECT_TRUE(client.ended);
  }
}

TEST(FileServer, DoesNotTakeABodyForARequest) {
  Server server;
  RawClient client(server);
  const std::string answer = client.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + get("/digits"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, Not(HasSubstr("0123456789")));
  EXPECT_TRUE(client.ended);
}

TEST(FileServer, GivesAPart) {
  Server server;
  RawClient client(server);
  const std::string part = client.ask(get("/digits", "Range: bytes=2-4\r\n"));
  EXPECT_THAT(part, StartsWith("HTTP/1.1 206 "));
  EXPECT_THAT(part, HasSubstr("Content-Range: bytes 2-4/10\r\n"));
  EXPECT_EQ(body_of(part), "234");
  EXPECT_TRUE(body_of(client.ask(get("/big", "Range: bytes=100000-899999\r\n"), 20s)) ==
              Files::pattern(1'000'000).substr(100'000, 800'000));
  EXPECT_THAT(client.ask(get("/digits", "Range: bytes=2-4\r\nIf-Range: another day\r\n")), HasSubstr("0123456789"));
}

TEST(FileServer, TellsThatNothingHasChanged) {
  Server server;
  RawClient client(server);
  const std::string first = client.ask(get("/digits"));
  const std::size_t at = first.find("Last-Modified: ") + 15;
  const std::string modified = first.substr(at, first.find('\r', at) - at);
  const std::string second = client.ask(get("/digits", "If-Modified-Since: " + modified + "\r\n"));
  EXPECT_THAT(second, StartsWith("HTTP/1.1 304 "));
  EXPECT_EQ(body_of(second), "");
  EXPECT_THAT(client.ask(get("/digits")), StartsWith("HTTP/1.1 200 "));
}

TEST(FileServer, ClosesWhenAskedTo) {
  Server server;
  RawClient client(server);
  EXPECT_THAT(client.ask(get("/big", "Connection: close\r\n"), 20s), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(body_of(client.answer).size(), 1'000'000u);
}

TEST(FileServer, AnswersAClientThatHasClosedItsSide) {
  Server server;
  RawClient client(server);
  client.send(get("/big"));
  client.stop_sending();
  server.run_for(20s);
  EXPECT_EQ(body_of(client.answer).size(), 1'000'000u);
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(server.server->connections(), 0u);
}

TEST(FileServer, ResetsWhenTheFileIsCutMeanwhile) {
  Server server;
  server.files.write("www/huge", Files::pattern(20'000'000));
  RawClient client(server);
  client.reading = false;
  client.send(get("/huge"));
  server.run_for(2s);
  server.files.cut("www/huge", 100);
  client.start_reading();
  server.run_for(20s);
  EXPECT_EQ(client.error, Error::ConnectionReset);
  EXPECT_EQ(server.server->counters().cut_files, 1u);
  EXPECT_EQ(server.server->connections(), 0u);
}

TEST(FileServer, IsNotHeldUpByASlowReader) {
  Server server;
  server.files.write("www/huge", Files::pattern(20'000'000));
  RawClient slow(server);
  slow.reading = false;
  slow.send(get("/huge"));
  server.run_for(5s);
  RawClient quick(server);
  EXPECT_EQ(body_of(quick.ask(get("/digits"), 200ms)), "0123456789");
  slow.start_reading();
  server.run_for(60s);
  EXPECT_EQ(body_of(slow.answer).size(), 20'000'000u);
}

TEST(FileServer, EndsConnectionsOnWhichNothingHappens) {
  Server server({.idle_timeout = 10s});
  RawClient silent(server), half(server), stuck(server);
  server.files.write("www/huge", Files::pattern(20'000'000));
  stuck.reading = false;
  stuck.send(get("/huge"));
  half.send("GET / HT");
  server.run_for(9s);
  EXPECT_EQ(server.server->connections(), 3u);
  server.run_for(12s);
  EXPECT_EQ(server.server->connections(), 0u);
  EXPECT_TRUE(silent.ended);
  EXPECT_TRUE(half.ended);
  EXPECT_EQ(stuck.error, Error::ConnectionReset);
}

TEST(FileServer, FinishesAnswersBeforeItEnds) {
  Server server;
  server.files.write("www/huge", Files::pattern(5'000'000));
  RawClient idle(server), busy(server);
  busy.send(get("/huge"));
  server.run_for(120ms);
  server.world.stack(server.host);
  server.server->begin_shutdown(server.world.now());
  EXPECT_EQ(server.server->connections(), 1u);
  server.run_for(30s);
  EXPECT_EQ(body_of(busy.answer).size(), 5'000'000u);
  EXPECT_TRUE(busy.ended);
  EXPECT_TRUE(idle.ended);
  EXPECT_EQ(server.server->connections(), 0u);
  EXPECT_EQ(server.world.inspect(server.host).population().listeners, 0u);
}

// ---- the client

struct Fetched {
  FetchResult result;
  std::string body;
};

Fetched fetch(Server& server, const std::string& url_text, bool fast_open) {
  Fetched fetched;
  const Url url = *parse_url(url_text);
  Fetch one(server.world.stack(server.client), url, *resolve(url, true, false), fast_open,
            [&](ByteSpan bytes) { fetched.body += as_text(bytes); });
  server.world.on_event(server.client, [&](const Event& event) { one.handle_event(server.world.now(), event); });
  server.world.stack(server.client);
  one.start(server.world.now());
  EXPECT_TRUE(server.world.run_while([&] { return !one.done(); }, 60s));
  fetched.result = one.result();
  server.run_for(3s);
  server.world.on_event(server.client, [](const Event&) {});
  return fetched;
}

TEST(Fetch, TakesTwoRoundTripsFirstAndOneFromThen) {
  Server server;
  const Fetched first = fetch(server, "http://10.0.0.2/digits", true);
  EXPECT_EQ(first.result.error, "");
  EXPECT_EQ(first.body, "0123456789");
  EXPECT_EQ(first.result.fast_open, FastOpenOutcome::NoCookieYet);
  EXPECT_EQ(first.result.syn_data_bytes, 0u);
  EXPECT_EQ(first.result.rtt, 100ms);
  EXPECT_EQ(first.result.round_trips(), 2.0);

  const Fetched second = fetch(server, "http://10.0.0.2/digits", true);
  EXPECT_EQ(second.body, "0123456789");
  EXPECT_EQ(second.result.fast_open, FastOpenOutcome::Accepted);
  EXPECT_GT(second.result.syn_data_bytes, 50u);
  EXPECT_EQ(second.result.round_trips(), 1.0);
  EXPECT_EQ(server.server->counters().fast_open, 1u);

  const Fetched third = fetch(server, "http://10.0.0.2/digits", false);
  EXPECT_EQ(third.result.fast_open, FastOpenOutcome::NotTried);
  EXPECT_EQ(third.result.round_trips(), 2.0);
}

TEST(Fetch, GetsMoreThanFitsBehindTheSynAck) {
  Server server;
  (void)fetch(server, "http://10.0.0.2/digits", true);
  const Fetched big = fetch(server, "http://10.0.0.2/big", true);
  EXPECT_TRUE(big.body == Files::pattern(1'000'000));
  EXPECT_EQ(big.result.round_trips(), 1.0);
}

TEST(Fetch, OfAServerWithoutFastOpenIsSlowAndWhole) {
  Server server({}, 0);
  for (int visit = 0; visit < 2; ++visit) {
    const Fetched one = fetch(server, "http://10.0.0.2/digits", true);
    EXPECT_EQ(one.body, "0123456789");
    EXPECT_EQ(one.result.fast_open, FastOpenOutcome::CookieNotGranted);
    EXPECT_EQ(one.result.round_trips(), 2.0);
  }
}

TEST(Fetch, TellsWhatWentWrong) {
  Server server;
  EXPECT_EQ(fetch(server, "http://10.0.0.2/nothing", true).result.status, 404u);
  EXPECT_EQ(fetch(server, "http://10.0.0.2:81/", true).result.error, to_string(Error::ConnectionRefused));
  EXPECT_THAT(fetch(server, "http://10.1.0.2/", true).result.error, HasSubstr("--gateway"));
}

}  // namespace
}  // namespace ff::cli
