// A network of hosts in one process, on virtual time: as fast as the machine can compute it, and with the same seed the
// same packets bit for bit.
//
//   sim::World world({.seed = 7});
//   const auto client = world.add_host({.name = "client"});
//   const auto server = world.add_host({.name = "server"});
//   world.connect(world.add_interface(client, {...}), world.add_interface(server, {...}),
//                 {.delay = 50ms});
//   world.on_event(server, [&](const Event& event) { ... world.stack(server).accept(event.listener) ... });
//   world.stack(client).connect(world.now(), {...});
//   world.run_until(world.now() + 1s);
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "device/pcapng.hpp"
#include "device/slab_cursor.hpp"
#include "firstflight/stack.hpp"
#include "sim/link.hpp"
#include "sim/random.hpp"

namespace ff::sim {

using HostId = std::uint32_t;
using LinkId = std::uint32_t;

// One interface of one host.
struct Attachment {
  HostId host = 0;
  InterfaceId interface = 0;
};

enum class Direction : std::uint8_t { AToB, BToA };

struct WorldOptions {
  std::uint64_t seed = 1;
  Instant start{};
  // Calls Stack::check() on each host that did something, after every step. What it finds ends the run: see failure().
  bool check = true;
};

struct HostOptions {
  std::string name;
  Settings settings{};
  std::optional<Seed> seed{};  // by default one that follows from the world's
  std::uint32_t max_connections = StackConfig().max_connections;
  std::optional<std::uint32_t> initial_sequence_number{};  // see StackConfig
};

class World {
 public:
  explicit World(const WorldOptions& options = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- the network -----------------------------------------------------------------------------------------------
  HostId add_host(HostOptions options);
  // Throws std::invalid_argument when the stack will not have such an interface. One with a MAC address sends and
  // receives Ethernet frames, and belongs on a link with one other of its kind.
  Attachment add_interface(HostId host, InterfaceConfig config);
  // Joins two sides by a link. A side with several interfaces shares its end of the link: what arrives goes to the
  // interface that has the packet's destination address. An interface is on one link at most.
  LinkId connect(const std::vector<Attachment>& a, const std::vector<Attachment>& b, const LinkOptions& a_to_b,
                 const LinkOptions& b_to_a);
  LinkId connect(Attachment a, Attachment b, const LinkOptions& each_way) {
    return connect({a}, {b}, each_way, each_way);
  }
  // Properties and cable of a link that is in use. The link's dice are not thrown back.
  void set_link(LinkId link, Direction direction, const LinkOptions& options);
  void set_link(LinkId link, const LinkOptions& each_way);
  void set_plugged(LinkId link, bool plugged);
  [[nodiscard]] const Link& link(LinkId link, Direction direction) const;
  // Records what passes through an interface, times counted from Instant{}. The writer must outlive the world; several
  // interfaces may share it.
  void capture(Attachment interface, PcapngWriter& writer);
  // Shows a handler what passes through an interface, as capture() records it.
  using PacketHandler = std::function<void(PcapngWriter::Direction, const Slice&)>;
  void on_packet(Attachment interface, PacketHandler handler);
  // Someone on the path: is shown each packet that enters a link, and says what goes on instead of it, if anything.
  using Middlebox = std::function<std::optional<Slice>(const Slice&)>;
  void set_middlebox(LinkId link, Direction direction, Middlebox middlebox);
  // A packet that no host here sent enters the link behind the middlebox: a router's, an attacker's, a late duplicate.
  void inject(LinkId link, Direction direction, Slice packet);

  // ---- what happens on it ----------------------------------------------------------------------------------------
  [[nodiscard]] Instant now() const noexcept { return now_; }
  // For commands: from within a callback or between two runs. The host is driven on afterwards.
  Stack& stack(HostId host);
  // For looking only.
  [[nodiscard]] const Stack& inspect(HostId host) const { return hosts_[host]->stack; }
  [[nodiscard]] const std::string& name(HostId host) const { return hosts_[host]->name; }
  [[nodiscard]] std::size_t host_count() const noexcept { return hosts_.size(); }
  // The host's power goes off and on again: a new stack, with the same configuration and interfaces, knows of nothing
  // that was. Between two runs only.
  void restart(HostId host);
  // Who is told the host's events.
  void on_event(HostId host, std::function<void(const Event&)> handler);
  // Calls `action` at that time; those of the same time in the order in which they were asked for.
  void at(Instant when, std::function<void()> action);
  void after(Duration delay, std::function<void()> action) { at(now_ + delay, std::move(action)); }
  // Dice for the application: they follow from the seed, and do not disturb those of hosts and links.
  Random& random() noexcept { return random_; }

  // Runs through everything that is due up to `until`, and lets it be that time.
  void run_until(Instant until);
  // Runs until nothing is left that could happen; false when that takes longer than `limit`.
  bool run_until_idle(Duration limit);
  // Runs as long as `condition` holds; false when it still does after `limit`.
  bool run_while(const std::function<bool()>& condition, Duration limit);

  // What went against an invariant, with host and time, or empty. After a failure nothing runs any more.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  // For checkers of their own: ends the run. The first failure counts.
  void fail(const std::string& what);

  struct Counts {
    std::uint64_t steps = 0;
    std::uint64_t packets = 0;      // handed to links
    std::uint64_t unconnected = 0;  // sent by an interface that is on no link
    std::uint64_t unroutable = 0;   // arrived at a side of which no interface has the destination address
  };
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

 private:
  static constexpr std::uint32_t kNowhere = UINT32_MAX;

  // Someone who has something to do at a time of its own.
  struct Clocked {
    Instant scheduled = kNever;  // the time of its valid entry in the agenda
  };
  struct Port {
    std::string name;
    std::uint32_t channel = kNowhere;  // where it sends to
    PcapngWriter* capture = nullptr;
    std::uint32_t capture_interface = 0;
    PacketHandler on_packet{};
    InterfaceConfig config{};
  };
  struct Host : Clocked {
    Host(std::string host_name, const StackConfig& stack_config)
        : name(std::move(host_name)), config(stack_config), stack(config) {}
    std::string name;
    StackConfig config;
    Stack stack;
    std::vector<Port> ports;
    std::function<void(const Event&)> on_event;
    bool touched = false;
  };
  // One direction of a link. Links count by twos: 2n is A to B of link n, 2n + 1 is B to A.
  struct Channel : Clocked {
    explicit Channel(const LinkOptions& options) : link(options) {}
    Link link;
    Middlebox middlebox;
    std::vector<Attachment> receivers;
    std::map<IpAddress, Attachment> by_address;  // used when there are several receivers
  };

  enum class Kind : std::uint8_t { Host, Channel, Action };
  struct Entry {
    Instant when;
    std::uint64_t number;  // orders those of the same time
    Kind kind;
    std::uint32_t index;
    friend auto operator<=>(const Entry& a, const Entry& b) noexcept {
      return std::pair(a.when, a.number) <=> std::pair(b.when, b.number);
    }
    friend bool operator==(const Entry&, const Entry&) noexcept = default;
  };

  static std::uint32_t channel_of(LinkId link, Direction direction) {
    return link * 2 + (direction == Direction::BToA ? 1 : 0);
  }
  void schedule(Clocked& clocked, Instant when, Kind kind, std::uint32_t index);
  bool step(Instant until);
  bool perform(const Entry& entry);
  void deliver(Channel& channel);
  [[nodiscard]] std::optional<Attachment> receiver_of(const Channel& channel, ByteSpan packet) const;
  void touch(HostId host);
  void drive_touched();
  void drive(HostId host);
  void send(Host& host);
  void show(const Port& port, PcapngWriter::Direction direction, const Slice& packet) const;
  void put_on_link(std::uint32_t channel, Slice packet);
  void notice_standstill(Instant when);

  WorldOptions options_;
  Instant now_;
  Random random_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::deque<Channel> channels_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> agenda_;
  std::uint64_t next_number_ = 0;
  std::map<std::uint32_t, std::function<void()>> actions_;
  std::uint32_t next_action_ = 0;
  std::deque<HostId> touched_;
  TxPacket tx_;
  SlabCursor slabs_;
  std::string failure_;
  std::uint64_t steps_at_this_time_ = 0;
  Counts counts_;
};

}  // namespace ff::sim
