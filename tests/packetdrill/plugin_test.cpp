// The shared object that packetdrill loads, driven as packetdrill drives it.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "packetdrill/interface.h"
#include "wire/checksum.hpp"

namespace {

using Bytes = std::vector<std::uint8_t>;

const ff::IpAddress kOurs = *ff::IpAddress::parse("192.168.0.1");
const ff::IpAddress kPeer = *ff::IpAddress::parse("192.0.2.1");
constexpr std::uint16_t kPort = 8080, kPeerPort = 40000;

struct Header {
  std::uint32_t seq = 0, ack = 0;
  bool syn = false, is_ack = false, fin = false, rst = false;
};

// From the peer, without options.
Bytes segment(const Header& header, const std::string& text = "") {
  Bytes packet(sizeof(iphdr) + sizeof(tcphdr) + text.size());
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(static_cast<std::uint16_t>(packet.size()));
  ip.ttl = 64;
  ip.protocol = IPPROTO_TCP;
  ip.saddr = inet_addr("192.0.2.1");
  ip.daddr = inet_addr("192.168.0.1");
  tcphdr tcp{};
  tcp.source = htons(kPeerPort);
  tcp.dest = htons(kPort);
  tcp.seq = htonl(header.seq);
  tcp.ack_seq = htonl(header.ack);
  tcp.doff = 5;
  tcp.syn = header.syn;
  tcp.ack = header.is_ack;
  tcp.fin = header.fin;
  tcp.rst = header.rst;
  tcp.window = htons(65535);
  const auto put = [&] {
    std::memcpy(packet.data(), &ip, sizeof ip);
    std::memcpy(packet.data() + sizeof ip, &tcp, sizeof tcp);
  };
  std::memcpy(packet.data() + sizeof ip + sizeof tcp, text.data(), text.size());
  put();
  ff::wire::ChecksumAccumulator ip_sum, tcp_sum;
  ip_sum.add(ff::ByteSpan(packet).first(sizeof ip));
  ip.check = htons(ip_sum.checksum());
  const ff::ByteSpan rest = ff::ByteSpan(packet).subspan(sizeof ip);
  tcp_sum.add_pseudo_header(kPeer, kOurs, IPPROTO_TCP, static_cast<std::uint32_t>(rest.size()));
  tcp_sum.add(rest);
  tcp.check = htons(tcp_sum.checksum());
  put();
  return packet;
}

struct Seen {
  long long at_us = 0;
  std::uint32_t seq = 0, ack = 0;
  bool syn = false, fin = false, rst = false;
  std::string text;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// Some settings of a machine's own, as below /proc/sys.
class SettingsDirectory {
 public:
  SettingsDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "ff-packetdrill-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(path_ + "/net/ipv4");
  }
  ~SettingsDirectory() { std::filesystem::remove_all(path_); }
  SettingsDirectory(const SettingsDirectory&) = delete;
  SettingsDirectory& operator=(const SettingsDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  void set(const std::string& name, const std::string& value) const {
    std::ofstream(path_ + "/net/ipv4/" + name) << value << '\n';
  }

 private:
  std::string path_;
};

class Plugin {
 public:
  explicit Plugin(const std::string& flags = "mtu=1500,address=192.168.0.1/16,settings=/nowhere") {
    library_ = ::dlopen(FF_PACKETDRILL_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) throw std::runtime_error(::dlerror());
    const auto init =
        reinterpret_cast<decltype(&packetdrill_interface_init)>(::dlsym(library_, "packetdrill_interface_init"));
    init(flags.c_str(), &ifc);
  }
  ~Plugin() {
    ifc.free(ifc.userdata);
    ::dlclose(library_);
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  [[nodiscard]] void* u() const { return ifc.userdata; }
  [[nodiscard]] long long now_us() const {
    timeval now{};
    EXPECT_EQ(ifc.gettimeofday(u(), &now, nullptr), 0);
    return now.tv_sec * 1'000'000LL + now.tv_usec;
  }
  void send(const Header& header, const std::string& text = "") const {
    const Bytes packet = segment(header, text);
    EXPECT_EQ(ifc.netdev_send(u(), packet.data(), packet.size()), 0);
  }
  [[nodiscard]] std::optional<Seen> receive() const {
    Bytes packet(65536);
    std::size_t size = packet.size();
    Seen seen;
    EXPECT_EQ(ifc.netdev_receive(u(), packet.data(), &size, &seen.at_us), 0);
    if (size == 0) return std::nullopt;
    iphdr ip{};
    tcphdr tcp{};
    std::memcpy(&ip, packet.data(), sizeof ip);
    std::memcpy(&tcp, packet.data() + sizeof ip, sizeof tcp);
    const std::size_t text = sizeof ip + std::size_t{tcp.doff} * 4;
    seen.seq = ntohl(tcp.seq);
    seen.ack = ntohl(tcp.ack_seq);
    seen.syn = tcp.syn;
    seen.fin = tcp.fin;
    seen.rst = tcp.rst;
    seen.text.assign(packet.begin() + static_cast<std::ptrdiff_t>(text),
                     packet.begin() + static_cast<std::ptrdiff_t>(size));
    return seen;
  }
  [[nodiscard]] int listen() const {
    const int fd = ifc.socket(u(), AF_INET, SOCK_STREAM, IPPROTO_TCP);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    EXPECT_EQ(ifc.bind(u(), fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(ifc.listen(u(), fd, 1), 0);
    return fd;
  }
  // The peer's handshake; says what number the stack begins with.
  [[nodiscard]] std::uint32_t shake_hands() const {
    send({.seq = 1000, .syn = true});
    const auto answer = receive();
    EXPECT_TRUE(answer && answer->syn);
    EXPECT_EQ(answer->ack, 1001u);
    send({.seq = 1001, .ack = answer->seq + 1, .is_ack = true});
    return answer->seq + 1;
  }

  packetdrill_interface ifc{};

 private:
  void* library_ = nullptr;
};

TEST(PacketdrillPlugin, EveryFunctionIsThere) {
  const Plugin plugin;
  // The table is nothing but pointers, and packetdrill does not ask whether one is null.
  std::array<const void*, sizeof(packetdrill_interface) / sizeof(void*)> all{};
  std::memcpy(all.data(), &plugin.ifc, sizeof plugin.ifc);
  for (const void* each : all) EXPECT_NE(each, nullptr);
}

TEST(PacketdrillPlugin, AConversation) {
  const Plugin p;
  const int listener = p.listen();
  const std::uint32_t ours = p.shake_hands();
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  const int fd = p.ifc.accept(p.u(), listener, reinterpret_cast<sockaddr*>(&peer), &length);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(ntohs(peer.sin_port), kPeerPort);
  p.send({.seq = 1001, .ack = ours, .is_ack = true}, "question");
  const auto ack = p.receive();
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->ack, 1009u);
  std::array<char, 100> text{};
  ASSERT_EQ(p.ifc.read(p.u(), fd, text.data(), text.size()), 8);
  EXPECT_EQ(std::string(text.data(), 8), "question");
  ASSERT_EQ(p.ifc.write(p.u(), fd, "answer", 6), 6);
  const auto answer = p.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, "answer");
  p.send({.seq = 1009, .ack = ours + 6, .is_ack = true});
  EXPECT_EQ(p.ifc.close(p.u(), fd), 0);
  const auto fin = p.receive();
  ASSERT_TRUE(fin);
  EXPECT_TRUE(fin->fin);
  // errno comes as from a system call.
  EXPECT_EQ(p.ifc.read(p.u(), fd, text.data(), text.size()), -1);
  EXPECT_EQ(errno, EBADF);
}

// It is still to be accepted, and comes from where it came from.
TEST(PacketdrillPlugin, AConnectionThatWasResetIsAccepted) {
  const Plugin p;
  const int listener = p.listen();
  const std::uint32_t ours = p.shake_hands();
  p.send({.seq = 1001, .ack = ours, .is_ack = true, .rst = true});
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  const int fd = p.ifc.accept(p.u(), listener, reinterpret_cast<sockaddr*>(&peer), &length);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(peer.sin_addr.s_addr, inet_addr("192.0.2.1"));
  EXPECT_EQ(ntohs(peer.sin_port), kPeerPort);
  char byte = 0;
  EXPECT_EQ(p.ifc.read(p.u(), fd, &byte, 1), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

// Nobody answers: the clock goes from one time-out to the next, and the same way in every run.
TEST(PacketdrillPlugin, TimeIsVirtualAndTheSameEachTime) {
  const auto run = [] {
    const Plugin p;
    const int fd = p.ifc.socket(p.u(), AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPeerPort);
    address.sin_addr.s_addr = inet_addr("192.0.2.1");
    EXPECT_EQ(p.ifc.connect(p.u(), fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    std::vector<Seen> seen;
    for (int i = 0; i < 4; ++i) seen.push_back(p.receive().value());
    return seen;
  };
  const std::vector<Seen> first = run();
  EXPECT_EQ(first[1].at_us - first[0].at_us, 1'000'000);
  EXPECT_EQ(first[2].at_us - first[1].at_us, 2'000'000);
  EXPECT_EQ(first[3].at_us - first[2].at_us, 4'000'000);
  EXPECT_EQ(first, run());
}

TEST(PacketdrillPlugin, NothingThatCouldComeIsSaidAtOnce) {
  const Plugin p;
  (void)p.listen();
  EXPECT_FALSE(p.receive());
}

TEST(PacketdrillPlugin, TheClockMovesOnByItself) {
  const Plugin p;
  const long long before = p.now_us();
  EXPECT_GT(p.now_us(), before);
  EXPECT_EQ(p.ifc.usleep(p.u(), 250'000), 0);
  EXPECT_GE(p.now_us(), before + 250'000);
  EXPECT_LT(p.now_us(), before + 250'010);
}

// As packetdrill does, which goes on with the script when the kernel says that the thread sleeps: in its call number
// `call`.
void await_sleep(const std::atomic<pid_t>& thread, const std::atomic<int>& calls, int call) {
  for (char state = 0; calls != call || state != 'S'; std::this_thread::yield()) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string id, name;
    file >> id >> name >> state;
  }
}

// A call that blocks does so on a thread of its own, and sees the time at which it was woken.
TEST(PacketdrillPlugin, ABlockedCallEndsInItsTime) {
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Plugin p;
    const int listener = p.listen();
    const std::uint32_t ours = p.shake_hands();
    const int fd = p.ifc.accept(p.u(), listener, nullptr, nullptr);
    ASSERT_GE(fd, 0);
    const timeval limit{.tv_sec = 0, .tv_usec = 300'000};
    ASSERT_EQ(p.ifc.setsockopt(p.u(), fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    const long long begun = p.now_us();
    std::atomic<pid_t> thread = 0;
    std::atomic<long long> data_at = 0, timeout_at = 0;
    std::atomic<int> calls = 0;
    std::thread blocked([&] {
      thread = ::gettid();
      ++calls;
      std::array<char, 10> text{};
      EXPECT_EQ(p.ifc.read(p.u(), fd, text.data(), text.size()), 4);
      data_at = p.now_us();
      ++calls;
      EXPECT_EQ(p.ifc.read(p.u(), fd, text.data(), text.size()), -1);
      EXPECT_EQ(errno, EAGAIN);
      timeout_at = p.now_us();
    });
    await_sleep(thread, calls, 1);
    p.ifc.usleep(p.u(), 100'000);
    p.send({.seq = 1001, .ack = ours, .is_ack = true}, "data");
    p.ifc.usleep(p.u(), 10'000);
    EXPECT_NEAR(static_cast<double>(data_at - begun), 100'000, 50);
    await_sleep(thread, calls, 2);
    p.ifc.usleep(p.u(), 1'000'000);
    blocked.join();
    EXPECT_NEAR(static_cast<double>(timeout_at - begun), 410'000, 11'000);
  }
}

// Scripts set sysctls while they run.
TEST(PacketdrillPlugin, SettingsAreTheMachines) {
  const SettingsDirectory settings;
  settings.set("tcp_syn_retries", "1");
  const Plugin p("address=192.168.0.1/16,settings=" + settings.path());
  const auto connect = [&] {
    const int fd = p.ifc.socket(p.u(), AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPeerPort);
    address.sin_addr.s_addr = inet_addr("192.0.2.1");
    EXPECT_EQ(p.ifc.connect(p.u(), fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), -1);
    int sent = 0;
    while (p.receive()) ++sent;
    return sent;
  };
  EXPECT_EQ(connect(), 2);
  settings.set("tcp_syn_retries", "3");
  EXPECT_EQ(connect(), 4);
}

// As packetdrill runs it for a script, with the stand-ins first on PATH. What it prints.
std::string run(const std::string& command) {
  const std::string line = "PACKETDRILL_PID=" + std::to_string(::getpid()) + " PATH=" FF_STAND_INS ":$PATH " + command;
  std::FILE* const pipe = ::popen(line.c_str(), "r");
  std::string text;
  for (int c = std::getc(pipe); c != EOF; c = std::getc(pipe)) text += static_cast<char>(c);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

TEST(PacketdrillPlugin, NstatTellsWhatWasCountedSince) {
  const Plugin p;
  (void)p.listen();
  (void)p.shake_hands();
  EXPECT_THAT(run("nstat"), testing::ContainsRegex("TcpInSegs +2 +0.0\n"));
  EXPECT_THAT(run("nstat"), testing::Not(testing::HasSubstr("TcpInSegs")));
  EXPECT_THAT(run("nstat -z"), testing::ContainsRegex("TcpInSegs +0 +0.0\n"));
  p.send({.seq = 1001, .ack = 1, .is_ack = true});
  EXPECT_THAT(run("nstat"), testing::ContainsRegex("TcpInSegs +1 +0.0\n"));
  EXPECT_THAT(run("nstat -a"), testing::ContainsRegex("TcpInSegs +3 +0.0\n"));
}

TEST(PacketdrillPlugin, GrepFindsTheSocketsInProc) {
  const Plugin p;
  (void)p.listen();
  const std::string listener = " 00000000:1F90 00000000:0000 0A ";  // kPort
  EXPECT_THAT(run("grep ' 0A ' /proc/net/tcp /proc/net/tcp6"), testing::HasSubstr(listener));
  (void)p.shake_hands();
  EXPECT_THAT(run("grep -c ' 01 ' /proc/net/tcp"), testing::Eq("1\n"));
  EXPECT_THAT(run("grep -c . /proc/net/tcp6"), testing::Eq("1\n")) << "a heading alone";
}

TEST(PacketdrillPlugin, IntoAQueueOfNoPacketsNothingGoes) {
  const Plugin p;
  const int listener = p.listen();
  (void)p.shake_hands();
  const int fd = p.ifc.accept(p.u(), listener, nullptr, nullptr);
  run("tc qdisc replace dev tun0 root pfifo limit 0");
  EXPECT_EQ(p.ifc.write(p.u(), fd, "text", 4), 4);
  p.ifc.usleep(p.u(), 1000);
  run("tc qdisc delete dev tun0 root");
  const long long before = p.now_us();
  p.ifc.usleep(p.u(), 1000);
  const auto sent = p.receive();
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->text, "text");
  EXPECT_GE(sent->at_us, before);
}

// What a script's command asks for is done before the script's next step.
TEST(PacketdrillPlugin, CommandsReachTheStack) {
  const std::string requests = "/tmp/firstflight.packetdrill." + std::to_string(::getpid()) + "/requests";
  {
    const Plugin p;
    for (const char* command :
         {"ip tcp_metrics flush all", "sysctl -q net.ipv4.tcp_fastopen_cookies=0", "tc qdisc replace dev tun0 root fq",
          "tc qdisc add dev tun0 root pfifo", "tc qdisc delete dev tun0 root"}) {
      run(command);
      EXPECT_TRUE(std::filesystem::exists(requests)) << command;
      p.ifc.usleep(p.u(), 1);
      EXPECT_FALSE(std::filesystem::exists(requests)) << command;
    }
    EXPECT_THAT(run("ip -V"), testing::HasSubstr("iproute2"));
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(requests).parent_path()));
}

// For tests of what ends the process.
void begin_with(const std::string& flags) { const Plugin plugin(flags); }

TEST(PacketdrillPluginDeathTest, WrongFlagsSayWhatIsAllowed) {
  EXPECT_EXIT(begin_with("mtu=10"), testing::ExitedWithCode(1), "'mtu=10': an MTU is a whole number from 68 to 65535");
  EXPECT_EXIT(begin_with("address=here"), testing::ExitedWithCode(1), "'address=here': an address is written as");
  EXPECT_EXIT(begin_with("speed=1"), testing::ExitedWithCode(1), "'speed=1' is not known; there are mtu=BYTES");
}

}  // namespace
