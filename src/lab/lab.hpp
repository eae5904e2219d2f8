// The words in which scenarios are told: two hosts, a path between them, and what an application and a bystander do.
//
//   void full_accept_queue(Lab& lab) {
//     lab.server.set("somaxconn", 1);
//     const Listener listener = lab.server.listen();
//     Socket first = lab.client.connect();
//     lab.run(1s);
//     lab.expect(first.established(), "the first client is connected, although nobody has accepted it");
//     lab.expect_equal("connections refused", lab.server.count(Counter::TcpExt_ListenOverflows), 0u);
//   }
//
//       client ───── 25 ms ─────► (someone on the path) ───── server
//
// Time passes only in run() and run_until(). What a scenario reads of settings and counters is told to the user as
// having had a part in what happened.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/outcome.hpp"
#include "lab/scenario.hpp"
#include "lab/segment.hpp"
#include "sim/world.hpp"

namespace ff::lab {

using namespace std::chrono_literals;

inline constexpr Duration kDelay = 25ms;  // of the path, one way
inline constexpr Duration kRoundTrip = 2 * kDelay;
inline constexpr std::uint16_t kPort = 80;

class Host;

// The scenario cannot go on: something was refused that it counts on.
struct Stopped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A connection as its application sees it. Copies mean the same connection.
class Socket {
 public:
  Socket() = default;
  Socket(Host& host, ConnectionId id, const FourTuple& tuple) : host_(&host), id_(id), tuple_(tuple) {}

  // What the application does.
  std::size_t write(std::string_view bytes);               // as much as there is room for
  std::optional<Error> try_write(std::string_view bytes);  // what write() would report
  std::string read(std::size_t at_most = SIZE_MAX);        // what is there
  std::optional<Error> try_read();                         // what read() would report; bytes are read and gone
  void shutdown_write();
  void shutdown_read();
  void close();
  void abort();

  // What it is told.
  [[nodiscard]] bool established() const;  // and not closed by this side and the other
  [[nodiscard]] bool peer_closed() const { return told(event_bits::kPeerClosed); }
  [[nodiscard]] bool closed() const { return told(event_bits::kClosed); }
  [[nodiscard]] std::optional<Error> error() const;         // why it is over
  [[nodiscard]] std::optional<Duration> closed_at() const;  // since the scenario's beginning
  [[nodiscard]] ConnectionInfo info() const;
  [[nodiscard]] TcpState state() const { return info().state; }
  [[nodiscard]] std::uint16_t port() const { return tuple_.local.port; }
  [[nodiscard]] const FourTuple& tuple() const { return tuple_; }
  [[nodiscard]] ConnectionId id() const { return id_; }

 private:
  [[nodiscard]] bool told(std::uint8_t bit) const;
  Host* host_ = nullptr;
  ConnectionId id_;
  FourTuple tuple_;
};

struct Listener {
  ListenerId id;
};

// A UDP or echo socket as its application sees it.
class DatagramSocket {
 public:
  DatagramSocket(Host& host, DatagramId id) : host_(&host), id_(id) {}

  // What send() would report; to the other host's port unless the socket is connected.
  std::optional<Error> send(std::string_view bytes, const std::optional<Endpoint>& to = std::nullopt);
  std::optional<Error> connect(const Endpoint& to);
  // What waits, the first first.
  std::optional<Datagram> receive();
  std::vector<std::string> receive_all();
  // What the network said about what was sent.
  std::optional<DatagramError> receive_error();
  [[nodiscard]] DatagramInfo info() const;

 private:
  Host* host_;
  DatagramId id_;
};

class Lab;

class Host {
 public:
  Host(Lab& lab, sim::HostId id, std::string name) : lab_(lab), id_(id), name_(std::move(name)) {}
  Host(const Host&) = delete;

  // ---- settings and counters; reading one makes it known to the user -----
  // What the scenario wants; a user's wish prevails.
  void set(std::string_view setting, std::string_view value);
  template <std::integral T>
  void set(std::string_view setting, T value) {
    set(setting, std::string_view(std::to_string(value)));
  }
  [[nodiscard]] std::string setting(std::string_view name);
  [[nodiscard]] std::uint64_t number(std::string_view setting);
  [[nodiscard]] bool on(std::string_view setting) { return number(setting) != 0; }
  [[nodiscard]] std::uint64_t count(Counter counter);
  [[nodiscard]] std::uint64_t count(DropReason reason);
  [[nodiscard]] std::uint64_t count(FastOpenOutcome outcome);

  // ---- what its applications do -----
  Listener listen(ListenOptions options = {});
  std::optional<Error> try_listen(ListenOptions options = {});
  void close(Listener listener);
  // To the other host's port 80 unless the options say otherwise.
  Socket connect(ConnectOptions options = {});
  std::optional<Error> try_connect(ConnectOptions options = {});
  // Stops the scenario when nobody waits.
  Socket accept(Listener listener);
  std::optional<Socket> try_accept(Listener listener);

  // Bound to `port` of every address, of the family that the scenario is played over.
  DatagramSocket open(std::uint16_t port, DatagramOptions options = {});

  // An application that reacts by itself; what it is told is told to sockets too.
  void on_event(std::function<void(const Event&)> application) { application_ = std::move(application); }

  // ---- the machine -----
  void restart();  // power off and on: it has forgotten everything
  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] const IpAddress& second_address() const { return second_address_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Stack::Population population() const;
  Stack& stack();

 private:
  friend class Lab;
  friend class Socket;
  friend class DatagramSocket;
  struct Ending {
    std::uint8_t events = 0;
    std::optional<Error> error;
    Duration closed_at{};
  };
  ConnectOptions completed(ConnectOptions options) const;
  ListenOptions completed(ListenOptions options) const;
  Socket socket(ConnectionId id);
  void take_wishes(const Wishes& wishes);
  void handle(const Event& event);

  Lab& lab_;
  sim::HostId id_;
  std::string name_;
  IpAddress address_, second_address_;
  sim::Attachment attachment_;
  std::vector<std::pair<std::string, std::string>> wishes_;  // of the user, for this host
  std::map<std::pair<std::uint32_t, std::uint32_t>, Ending> endings_;
  std::function<void(const Event&)> application_;
};

class Lab {
 public:
  Lab(const Scenario& scenario, const Wishes& wishes);
  Lab(const Lab&) = delete;

  sim::World world;
  Host client, server;

  // ---- the scenario's own parameters -----
  [[nodiscard]] std::string parameter(std::string_view name);

  // ---- time -----
  void run(Duration span);
  // False when it still is not so after `limit`.
  bool run_until(const std::function<bool()>& condition, Duration limit = 1h);
  [[nodiscard]] Instant now() const { return world.now(); }
  [[nodiscard]] Duration elapsed() const { return world.now() - start_; }

  // ---- telling and checking -----
  template <typename... Args>
  void say(fmt::format_string<Args...> text, Args&&... args) {
    remark(Remark::Kind::Said, fmt::format(text, std::forward<Args>(args)...));
  }
  void expect(bool holds, std::string_view claim);
  void expect_equal(std::string_view what, std::uint64_t actual, std::uint64_t expected);
  void expect_equal(std::string_view what, std::string_view actual, std::string_view expected);
  void expect_about(std::string_view what, Duration actual, Duration expected, Duration tolerance);
  void expect_error(std::string_view what, std::optional<Error> actual, std::optional<Error> expected);
  void expect_state(std::string_view what, TcpState actual, TcpState expected);

  // ---- the path -----
  void path(const sim::LinkOptions& each_way);
  void unplug();
  void plug();
  // The next `count` segments of this kind from that host get lost. Where the host stands is where the path begins.
  void lose(const Host& from, Kind kind, int count = 1);
  // A box on the path that changes segments: it edits what it is shown, or says false to swallow it.
  using Edit = std::function<bool(Segment&)>;
  void meddle(const Host& from, Edit edit);
  // A router on the path that takes packets of at most `mtu` bytes, and says so, or not.
  void narrow_path(std::uint16_t mtu, bool says_so);
  // A packet that `from` never sent goes to the other host.
  void forge(const Host& from, const Segment& segment);
  void forge(const Host& from, const Slice& packet);
  // What a host's side of a connection would send next if it sent an empty ACK, judging by what passed on the wire.
  [[nodiscard]] Segment next_from(const Host& from, const FourTuple& tuple_of_client) const;

  // Packets of that host, TCP or not, go where `into` says instead of on their way; release() lets one go on.
  void hold_up(const Host& from, std::vector<Slice>& into);
  void stop_holding_up(const Host& from) { held_up_.erase(&from); }
  void release(const Host& from, const Slice& packet);
  // What passes the host's interface goes into a capture, too.
  void capture(const Host& host, PcapngWriter& writer) { world.capture(host.attachment_, writer); }
  // One more interface of a host, with a cable to nowhere. What leaves by it can be seen by world.on_packet() alone.
  sim::Attachment add_interface(const Host& host, InterfaceConfig config);

  // ---- what passed on the wire -----
  // Every IP packet that this host sent, forged ones left out.
  [[nodiscard]] std::vector<Slice> packets(const Host& from) const;
  // The ICMP messages among them.
  [[nodiscard]] std::vector<wire::IcmpView> icmp(const Host& from) const;
  [[nodiscard]] std::vector<Segment> seen(const Host& from, Kind kind = any) const;
  [[nodiscard]] std::size_t number_of(const Host& from, Kind kind) const { return seen(from, kind).size(); }
  [[nodiscard]] const Host& other(const Host& host) const { return &host == &client ? server : client; }
  [[nodiscard]] IpAddress router() const;
  // A host of this network that does not exist; there are as many as one likes.
  [[nodiscard]] IpAddress stranger(std::uint8_t number = 0) const;

  // ---- for the runner and Host -----
  Outcome finish();
  void used(const SettingUsed& setting);
  void used(const CounterUsed& counter);

 private:
  friend class Host;
  void remark(Remark::Kind kind, std::string text);
  void set_up(Host& host, const char* v4, const char* v4_second, const char* v6, const char* v6_second);
  std::optional<Slice> on_path(const Host& from, const Slice& packet);
  std::optional<Slice> swallow(const Host& from, const Slice& packet, std::string_view fate);
  void see(bool from_client, const Slice& packet, std::string fate);
  void see_frame(bool from_client, const Slice& frame, std::string fate);

  struct Loss {
    const Host* from;
    Kind kind;
    int left;
  };
  const Scenario& scenario_;
  Wishes wishes_;
  Instant start_;
  Outcome outcome_;
  std::vector<Segment> segments_;
  sim::LinkId link_ = 0;
  bool plugged_ = true;
  std::vector<Slice> forged_;  // from the server's side, known again when they arrive
  std::vector<Loss> losses_;
  std::map<const Host*, Edit> edits_;
  std::map<const Host*, std::vector<Slice>*> held_up_;
  std::uint16_t narrow_mtu_ = 0;
  bool narrow_says_so_ = false;
};

// An established connection with both of its ends, the listener on the server.
struct Connected {
  Listener listener;
  Socket client, server;
};
Connected connected(Lab& lab, ConnectOptions options = {});

// For the narrator: "ETIMEDOUT (timed out)", "no error".
std::string to_text(std::optional<Error> error);

}  // namespace ff::lab
