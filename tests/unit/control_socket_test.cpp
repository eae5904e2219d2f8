// The control socket: requests and answers, its file, and clients that mean no good.
#include "runtime/control_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "device/file_descriptor.hpp"
#include "runtime/control_service.hpp"

namespace ff {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// What a program at the other end does, in a thread of its own.
class Client {
 public:
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  [[nodiscard]] bool connected() const { return connected_; }
  bool say(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  // Nothing at the end of the stream.
  std::optional<std::string> line() {
    for (;;) {
      if (const std::size_t end = input_.find('\n'); end != std::string::npos) {
        std::string first = input_.substr(0, end);
        input_.erase(0, end + 1);
        return first;
      }
      std::array<char, 4096> buffer;
      const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) return std::nullopt;
      input_.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }
  void finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  FileDescriptor socket_;
  bool connected_ = false;
  std::string input_;
};

class ControlSocketTest : public testing::Test {
 protected:
  ControlSocketTest() { path_ = testing::TempDir() + "ff-control-" + std::to_string(::getpid()) + ".sock"; }
  ~ControlSocketTest() override { ::unlink(path_.c_str()); }

  void open(ControlSocket::Responder responder) { control_.emplace(loop_, path_, std::move(responder)); }
  void open_service() {
    open([this](Instant now, std::string_view line) { return service_.respond(now, line); });
  }
  // Runs the loop while `client` does its work in another thread.
  template <typename F>
  void run(F&& client) {
    std::atomic<bool> done = false;
    std::thread thread([&] {
      client();
      done = true;
    });
    // Asked for from within the loop: a client that is done before the loop runs must not be missed.
    const std::function<void(Instant)> look = [&](Instant) {
      if (done) return loop_.stop();
      loop_.call_after(std::chrono::milliseconds(1), look);
    };
    loop_.call_after(Duration::zero(), look);
    loop_.run();
    thread.join();
  }

  // Runs the loop until `holds`, or for a long time.
  void run_until(const std::function<bool()>& holds) {
    const Instant end = loop_.now() + std::chrono::minutes(1);
    const std::function<void(Instant)> look = [&](Instant now) {
      if (holds() || now > end) return loop_.stop();
      loop_.call_after(std::chrono::milliseconds(1), look);
    };
    look(loop_.now());
    if (!holds()) loop_.run();
  }

  std::string path_;
  Stack stack_{StackConfig{}};
  Loop loop_{stack_};
  control::Service service_{stack_, {.program = "test", .instance = "abc", .pid = 7}};
  std::optional<ControlSocket> control_;
};

TEST_F(ControlSocketTest, AnswersLineByLine) {
  open_service();
  run([&] {
    Client client(path_);
    client.say("{\"command\": \"hello\"}\n{\"command\":");
    EXPECT_EQ(client.line(), R"({"ok":true,"result":{"program":"test","instance":"abc","pid":7}})");
    client.say(" \"set\", \"settings\": [[\"tcp_sack\", \"0\"], [\"tcp_fin_timeout\", \"9\"]]}\r\n");
    EXPECT_EQ(client.line(), R"({"ok":true,"result":{}})");
    client.say("{\"command\": \"settings\"}\n");
    EXPECT_THAT(client.line().value_or(""), HasSubstr(R"("name":"net.ipv4.tcp_fin_timeout","value":"9")"));
  });
  EXPECT_EQ(stack_.settings().tcp_fin_timeout, 9u);
  EXPECT_FALSE(stack_.settings().tcp_sack);
}

TEST_F(ControlSocketTest, ChangesSettingsAllOrNone) {
  open_service();
  run([&] {
    Client client(path_);
    client.say(R"({"command": "set", "settings": [["tcp_fin_timeout", "9"], ["tcp_sack", "2"]]})"
               "\n");
    EXPECT_THAT(client.line().value_or(""), HasSubstr("net.ipv4.tcp_sack cannot be"));
  });
  EXPECT_EQ(stack_.settings().tcp_fin_timeout, Settings{}.tcp_fin_timeout);
}

TEST_F(ControlSocketTest, ListsSocketsAndCounters) {
  const auto interface =
      stack_.add_interface({.name = "x", .addresses = {*Cidr::parse("192.0.2.1/24")}, .gateways = {}});
  ASSERT_TRUE(interface);
  ASSERT_TRUE(stack_.listen({.local = *Endpoint::parse("192.0.2.1:80")}));
  open_service();
  run([&] {
    Client client(path_);
    client.say(R"({"command": "sockets", "states": ["LISTEN"]})"
               "\n");
    const auto listed = control::Json::parse(client.line().value_or(""));
    ASSERT_EQ(listed["result"].size(), 1u);
    const auto socket = control::decode(listed["result"][0], Instant{});
    ASSERT_TRUE(socket);
    EXPECT_EQ(socket->state, TcpState::Listen);
    EXPECT_EQ(socket->tuple.local, *Endpoint::parse("192.0.2.1:80"));
    client.say(R"({"command": "counters"})"
               "\n");
    const auto counters = control::Json::parse(client.line().value_or(""));
    EXPECT_EQ(counters["result"]["Tcp"]["ActiveOpens"], 0);
    EXPECT_EQ(counters["result"]["drops"]["TcpChecksum"], 0);
    for (const char* format : {"snmp", "snmp6", "netstat", "prometheus"}) {
      client.say(std::string(R"({"command": "counters", "format": ")") + format + "\"}\n");
      EXPECT_THAT(client.line().value_or(""), StartsWith(R"({"ok":true,"result":")"));
    }
  });
}

// Each is one line in, one line out that says what was wrong; the client may go on.
TEST_F(ControlSocketTest, BadRequestsAreToldAndSurvived) {
  open_service();
  run([&] {
    Client client(path_);
    for (const std::string& bad :
         {std::string(""), std::string("x"), std::string("[]"), std::string("{}"), std::string("\xff\xfe\x80"),
          std::string("{\"command\": 3}"), std::string("{\"command\": \"\xff\"}"), std::string(50'000, '['),
          std::string(R"({"command": "nothing"})"), std::string(R"({"command": "set"})"),
          std::string(R"({"command": "set", "settings": [["a"]]})"),
          std::string(R"({"command": "set", "settings": [[1, 2]]})"),
          std::string(R"({"command": "sockets", "states": "LISTEN"})"),
          std::string(R"({"command": "sockets", "states": ["FOO"]})"),
          std::string(R"({"command": "sockets", "protocols": ["sctp"]})"),
          std::string(R"({"command": "counters", "format": 1})"), std::string("\0{}", 3)}) {
      ASSERT_TRUE(client.say(bad + "\n"));
      const auto answer = client.line();
      ASSERT_TRUE(answer) << bad;
      EXPECT_THAT(*answer, StartsWith(R"({"ok":false,"error":")")) << bad;
      EXPECT_LT(answer->size(), 300u);
    }
    client.say("{\"command\": \"hello\"}\n");
    EXPECT_THAT(client.line().value_or(""), StartsWith(R"({"ok":true)"));
  });
}

TEST_F(ControlSocketTest, ALineWithoutEndLosesItsPlace) {
  open_service();
  run([&] {
    Client client(path_);
    while (client.say(std::string(4096, 'x'))) {
    }
    EXPECT_FALSE(client.line());
    Client other(path_);
    other.say("{\"command\": \"hello\"}\n");
    EXPECT_TRUE(other.line());
  });
}

// A client that asks and does not read: nothing is made for it beyond what fits, and others are served.
TEST_F(ControlSocketTest, WhoDoesNotReadCostsNothing) {
  std::atomic<std::uint64_t> made = 0;
  open([&](Instant, std::string_view line) -> ControlSocket::Answer {
    if (line != "endless") return control::Service::result("fine");
    return [&](Instant) {
      ++made;
      return std::optional(std::string(1000, 'x'));
    };
  });
  run([&] {
    Client greedy(path_);
    greedy.say("endless\n");
    std::uint64_t before = 0;
    do {  // until its buffers are full
      before = made;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } while (made != before);
    Client other(path_);
    other.say("x\n");
    EXPECT_THAT(other.line().value_or(""), HasSubstr("fine"));
    EXPECT_EQ(made, before);
    EXPECT_LT(before, 10'000u);
    // It goes on where it was as soon as it reads.
    for (std::uint64_t i = 0; i < before + 100; ++i) ASSERT_EQ(greedy.line().value_or("").size(), 1000u);
  });
}

TEST_F(ControlSocketTest, ManyRequestsAtOnceAreAnsweredInOrder) {
  open([](Instant, std::string_view line) { return control::Service::result(std::string(line)); });
  run([&] {
    Client client(path_);
    std::string all;
    for (int i = 0; i < 3000; ++i) all += std::to_string(i) + "\n";
    std::thread writer([&] { client.say(all); });
    for (int i = 0; i < 3000; ++i) ASSERT_EQ(client.line(), "{\"ok\":true,\"result\":\"" + std::to_string(i) + "\"}");
    writer.join();
    // Its own end of the stream comes last: what it asked before is still answered.
    client.say("last\n");
    client.finish_sending();
    EXPECT_THAT(client.line().value_or(""), HasSubstr("last"));
    EXPECT_FALSE(client.line());
  });
}

// Silent clients in every place do not keep another out.
TEST_F(ControlSocketTest, TheLongestSilentMakesRoom) {
  open_service();
  run([&] {
    std::vector<Client> silent;
    for (std::size_t i = 0; i < 3 * ControlSocket::kMaxClients; ++i) silent.emplace_back(path_);
    Client client(path_);
    client.say("{\"command\": \"hello\"}\n");
    EXPECT_TRUE(client.line());
    EXPECT_FALSE(silent.front().line());
  });
  EXPECT_LE(control_->clients(), ControlSocket::kMaxClients);
}

TEST_F(ControlSocketTest, ClientsThatVanishAreForgotten) {
  open_service();
  run([&] {
    for (int i = 0; i < 100; ++i) {
      Client client(path_);
      client.say(i % 2 == 0 ? "{\"command\": \"settings\"}\n" : "{\"comm");
    }
    Client client(path_);
    client.say("{\"command\": \"hello\"}\n");
    EXPECT_TRUE(client.line());
  });
  // The loop may have been stopped before it heard of the last ones.
  run_until([&] { return control_->clients() == 0; });
  EXPECT_EQ(control_->clients(), 0u);
}

// ---- the file ------------------------------------------------------------------------------------------------------

TEST_F(ControlSocketTest, IsForItsOwnerAloneAndRemovedAtTheEnd) {
  open_service();
  struct stat status{};
  ASSERT_EQ(::lstat(path_.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  control_.reset();
  EXPECT_NE(::lstat(path_.c_str(), &status), 0);
}

TEST_F(ControlSocketTest, ReplacesWhatADeadProgramLeft) {
  const FileDescriptor dead(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  open_service();
  run([&] {
    Client client(path_);
    client.say("{\"command\": \"hello\"}\n");
    EXPECT_TRUE(client.line());
  });
}

TEST_F(ControlSocketTest, LeavesTheLivingAndOtherFilesAlone) {
  open_service();
  EXPECT_THROW(ControlSocket(loop_, path_, nullptr), std::system_error);
  control_.reset();
  std::ofstream(path_) << "a file";
  EXPECT_THROW(open_service(), std::system_error);
  struct stat status{};
  EXPECT_EQ(::lstat(path_.c_str(), &status), 0);
  EXPECT_THROW(ControlSocket(loop_, std::string(200, 'x'), nullptr), std::system_error);
  EXPECT_THROW(ControlSocket(loop_, "/nowhere/at/all", nullptr), std::system_error);
}

TEST_F(ControlSocketTest, DoesNotRemoveASuccessorsFile) {
  open_service();
  ::unlink(path_.c_str());
  std::ofstream(path_) << "somebody else's";
  control_.reset();
  struct stat status{};
  EXPECT_EQ(::lstat(path_.c_str(), &status), 0);
}

// ---- the codec -----------------------------------------------------------------------------------------------------

TEST(ControlCodec, SocketsSurviveTheWay) {
  const Instant now{std::chrono::hours(1)};
  SocketInfo socket;
  socket.state = TcpState::FinWait2;
  socket.tuple = {*Endpoint::parse("192.0.2.1:80"), *Endpoint::parse("[2001:db8::1]:4000")};
  socket.id = UINT64_MAX;
  socket.timer = SocketTimer::Persist;
  socket.timer_left = std::chrono::milliseconds(7);
  socket.memory.drops = 3;
  ConnectionInfo& info = socket.connection.emplace();
  info.fast_open = FastOpenOutcome::CookieRefused;
  info.ca_state = CaState::Recovery;
  info.congestion_control = "reno";
  info.rtt = std::chrono::microseconds(1234);
  info.bytes_sent = UINT64_MAX - 1;
  info.last_data_recv = now - std::chrono::milliseconds(500);
  const auto back = control::decode(control::Json::parse(control::to_line(control::encode(socket, now))), now);
  ASSERT_TRUE(back);
  EXPECT_EQ(control::to_line(control::encode(*back, now)), control::to_line(control::encode(socket, now)));
  EXPECT_EQ(back->tuple, socket.tuple);
  EXPECT_EQ(back->connection->last_data_recv, info.last_data_recv);
  EXPECT_EQ(back->connection->last_ack_recv, Instant{});
  EXPECT_EQ(back->connection->bytes_sent, info.bytes_sent);
}

TEST(ControlCodec, RefusesWhatIsNoSocket) {
  const control::Json good = control::encode(SocketInfo{}, Instant{});
  ASSERT_TRUE(control::decode(good, Instant{}));
  for (const auto& [name, value] : good.items()) {
    control::Json without = good;
    without.erase(name);
    EXPECT_FALSE(control::decode(without, Instant{})) << name;
    control::Json wrong = good;
    wrong[name] = control::Json::array();
    EXPECT_FALSE(control::decode(wrong, Instant{})) << name;
  }
  EXPECT_FALSE(control::decode(control::Json::array(), Instant{}));
}

}  // namespace
}  // namespace ff
