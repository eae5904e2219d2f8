#include "sim/swarm.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>

#include "sim/quantities.hpp"
#include "sim/random.hpp"

namespace ff::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 7;
constexpr std::uint32_t kAmpleBacklog = 4096;
// Longer than the longest wait that TCP makes between two attempts.
constexpr Duration kPatience = 400s;
// TIME_WAIT, and what may come before.
constexpr Duration kLastTimers = 200s;

template <typename T>
T one_of(Random& dice, std::initializer_list<T> choices) {
  return choices.begin()[dice.below(choices.size())];
}

// Small numbers as often as large ones.
std::uint64_t any_size(Random& dice, std::uint64_t most) { return dice.below(most >> dice.below(10)) + 1; }

double up_to(Random& dice, double most) { return most * static_cast<double>(dice.below(1001)) / 1000; }

struct Swarm {
  explicit Swarm(const SwarmOptions& swarm_options)
      : options(swarm_options),
        dice(random_from(swarm_options.seed)),
        world({.seed = swarm_options.seed, .start = one_of(dice, {Instant{}, Instant(1s), Instant(24h * 40)})}),
        all{world, {}, swarm_options.sabotage} {}

  struct Member {
    HostId host = 0;
    std::vector<Attachment> interfaces;
    ListenerId listener;
    std::uint32_t backlog = 0;
    Duration accepts_after{};
    std::map<std::pair<std::uint32_t, std::uint32_t>, Talker*> talkers;  // by handle
  };

  SwarmOptions options;
  Random dice;
  std::unique_ptr<FileSink> file;
  std::optional<PcapngWriter> writer;
  World world;
  Conversations all;
  std::vector<Member> clients, servers;
  std::vector<std::pair<Endpoint, Endpoint>> server_addresses;  // of client i at server j: [i * servers + j], by family
  std::vector<LinkId> links;
  std::vector<std::unique_ptr<Talker>> talkers;
  std::vector<std::string> notes;
  bool calm = false;
  ConnectionId leaked;

  void build();
  void add_members();
  Settings any_settings();
  Attachment add_interface(Member& member, const std::string& net, int number);
  LinkOptions any_link();
  void connect_all();
  void listen();
  void plan_faults(Duration until);
  void plan_work(Duration until);
  ConversationPlan any_plan(std::uint32_t number, Duration until);
  void start(const ConversationPlan& plan);
  void add_talker(Member& member, Talker::Role role, ConnectionId id, const ConversationPlan* plan);
  void handle(Member& member, const Event& event);
  void accept_all(Member& member);

  void run();
  void heal();
  void leak();
  std::vector<std::uint32_t> unfinished() const;
  bool nothing_open() const;
  void check_conversations();
  void check_progress();
  void check_leaks();
  void fail(const std::string& what) { world.fail(what); }
};

// ---- the network ---------------------------------------------------------------------------------------------------

void Swarm::build() {
  calm = dice.chance(0.1);
  add_members();
  connect_all();
  listen();
  const Duration faulty = between(dice, 1s, 20s);
  plan_work(faulty);
  if (!calm) plan_faults(faulty);
  world.after(faulty, [this] { heal(); });
  notes.push_back(fmt::format("healed after {}", format_duration(faulty)));
}

Settings Swarm::any_settings() {
  Settings s;
  s.tcp_timestamps = dice.chance(0.75);
  s.tcp_sack = dice.chance(0.75);
  s.tcp_window_scaling = dice.chance(0.75);
  s.tcp_moderate_rcvbuf = dice.chance(0.75);
  s.tcp_fastopen = one_of<std::uint32_t>(dice, {0x0, 0x1, 0x2, 0x3, 0x3, 0x3, 0x7, 0x203, 0x207, 0x403, 0x607});
  s.tcp_rmem.initial = one_of<std::uint32_t>(dice, {4096, 16384, 131072, 131072});
  s.tcp_wmem.initial = one_of<std::uint32_t>(dice, {4096, 16384, 65536});
  s.tcp_mtu_probing = one_of<std::uint32_t>(dice, {0, 0, 1, 2});
  s.tcp_congestion_control = one_of<std::string>(dice, {"reno", "cubic", "cubic", "bbr"});
  s.tcp_no_ssthresh_metrics_save = dice.chance(0.5);
  // Under pressure now and then, but never out of memory: that would end orphans, which have things to deliver.
  if (dice.chance(0.2)) s.tcp_mem = one_of<MemoryLimits>(dice, {{0, 1, 100'000}, {8, 12, 100'000}});
  notes.push_back(fmt::format(
      "timestamps {}, sack {}, scaling {}, autotuning {}, fastopen {:#x}, rmem {}, wmem {}, MTU probing {}, {}, "
      "thresholds forgotten {}, mem {} {}",
      s.tcp_timestamps, s.tcp_sack, s.tcp_window_scaling, s.tcp_moderate_rcvbuf, s.tcp_fastopen, s.tcp_rmem.initial,
      s.tcp_wmem.initial, s.tcp_mtu_probing, s.tcp_congestion_control, s.tcp_no_ssthresh_metrics_save, s.tcp_mem.low,
      s.tcp_mem.pressure));
  return s;
}

void Swarm::add_members() {
  clients.resize(between(dice, 1, 8));
  servers.resize(between(dice, 1, 2));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].host = world.add_host({.name = fmt::format("client{}", i), .settings = any_settings()});
  }
  for (std::size_t j = 0; j < servers.size(); ++j) {
    servers[j].host = world.add_host({.name = fmt::format("server{}", j), .settings = any_settings()});
  }
}

Attachment Swarm::add_interface(Member& member, const std::string& net, int number) {
  InterfaceConfig config;
  config.name = fmt::format("eth{}", member.interfaces.size());
  config.addresses = {*Cidr::parse(fmt::format("10.0.{}.{}/24", net, number)),
                      *Cidr::parse(fmt::format("fd00:{}::{}/64", net, number))};
  config.mtu = one_of<std::uint16_t>(dice, {1500, 1500, 1400, 1280, 9000});
  if (dice.chance(0.3)) config.max_super_segment = config.mtu;
  member.interfaces.push_back(world.add_interface(member.host, config));
  if (writer) world.capture(member.interfaces.back(), *writer);
  return member.interfaces.back();
}

LinkOptions Swarm::any_link() {
  LinkOptions link;
  link.delay = one_of<Duration>(dice, {0s, 1ms, 10ms, between(dice, 0s, 100ms)});
  if (dice.chance(0.5)) link.rate = one_of<std::uint64_t>(dice, {1'000'000, 10'000'000, 100'000'000});
  link.queue.packets = between(dice, 10, 200);
  if (!calm) {
    if (dice.chance(0.3)) link.jitter = between(dice, 0s, 20ms);
    if (dice.chance(0.7)) link.loss = up_to(dice, 0.1);
    if (dice.chance(0.5)) link.reorder = up_to(dice, 0.1);
    if (dice.chance(0.5)) link.duplicate = up_to(dice, 0.05);
    if (dice.chance(0.5)) link.corrupt = up_to(dice, 0.05);
  }
  notes.push_back(
      fmt::format("link: delay {}, jitter {}, rate {}, queue {}, loss {}, reorder {}, duplicate {}, corrupt {}",
                  format_duration(link.delay), format_duration(link.jitter), link.rate, link.queue.packets, link.loss,
                  link.reorder, link.duplicate, link.corrupt));
  return link;
}

// Either all share one link, or each client has one to each server.
void Swarm::connect_all() {
  const auto at = [](const std::string& net, int number) {
    return std::pair(*Endpoint::parse(fmt::format("10.0.{}.{}:{}", net, number, kPort)),
                     *Endpoint::parse(fmt::format("[fd00:{}::{}]:{}", net, number, kPort)));
  };
  if (dice.chance(0.5)) {
    std::vector<Attachment> left, right;
    for (std::size_t i = 0; i < clients.size(); ++i)
      left.push_back(add_interface(clients[i], "1", 10 + static_cast<int>(i)));
    for (std::size_t j = 0; j < servers.size(); ++j)
      right.push_back(add_interface(servers[j], "1", 1 + static_cast<int>(j)));
    for (std::size_t i = 0; i < clients.size(); ++i)
      for (std::size_t j = 0; j < servers.size(); ++j) server_addresses.push_back(at("1", 1 + static_cast<int>(j)));
    const LinkOptions there = any_link();
    links.push_back(world.connect(left, right, there, any_link()));
    return;
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    for (std::size_t j = 0; j < servers.size(); ++j) {
      const std::string net = std::to_string(1 + i * servers.size() + j);
      const Attachment near = add_interface(clients[i], net, 10);
      const Attachment far = add_interface(servers[j], net, 1);
      const LinkOptions there = any_link();
      links.push_back(world.connect({near}, {far}, there, any_link()));
      server_addresses.push_back(at(net, 1));
    }
  }
}

void Swarm::listen() {
  for (Member& server : servers) {
    ListenOptions listen;
    listen.local = {IpAddress::any_v6(), kPort};
    listen.backlog = server.backlog = one_of<std::uint32_t>(dice, {1, 4, kAmpleBacklog, kAmpleBacklog});
    if (dice.chance(0.8)) listen.fast_open_queue = one_of<std::uint32_t>(dice, {0, 1, 2, 16, 16, 16});
    if (dice.chance(0.2)) server.accepts_after = between(dice, 0s, 500ms);
    server.listener = *world.stack(server.host).listen(listen);
    world.on_event(server.host, [this, &server](const Event& event) { handle(server, event); });
    notes.push_back(fmt::format("listener: backlog {}, Fast Open queue {}, accepts after {}", listen.backlog,
                                listen.fast_open_queue ? std::to_string(*listen.fast_open_queue) : "unset",
                                format_duration(server.accepts_after)));
  }
  for (Member& client : clients) {
    world.on_event(client.host, [this, &client](const Event& event) { handle(client, event); });
  }
}

void Swarm::plan_faults(Duration until) {
  for (std::uint64_t i = dice.below(4); i > 0; --i) {
    const LinkId link = links[dice.below(links.size())];
    const Duration from = between(dice, 0s, until);
    const Duration length = between(dice, 100ms, 10s);
    world.after(from, [this, link] { world.set_plugged(link, false); });
    world.after(std::min(from + length, until), [this, link] { world.set_plugged(link, true); });
    notes.push_back(fmt::format("link {} is cut at {} for {}", link, format_duration(from), format_duration(length)));
  }
  for (std::uint64_t i = dice.below(3); i > 0; --i) {
    const LinkId link = links[dice.below(links.size())];
    const Duration when = between(dice, 0s, until);
    const Direction direction = one_of(dice, {Direction::AToB, Direction::BToA});
    notes.push_back(fmt::format("link {} becomes another at {}:", link, format_duration(when)));
    world.after(when, [this, link, direction, changed = any_link()] { world.set_link(link, direction, changed); });
  }
}

void Swarm::heal() {
  for (const LinkId link : links) {
    world.set_plugged(link, true);
    for (const Direction direction : {Direction::AToB, Direction::BToA}) {
      LinkOptions healthy;
      healthy.delay = world.link(link, direction).options().delay;
      world.set_link(link, direction, healthy);
    }
  }
}

// ---- the work ------------------------------------------------------------------------------------------------------

void Swarm::plan_work(Duration until) {
  const auto count = static_cast<std::uint32_t>(between(dice, 1, 24));
  for (std::uint32_t number = 0; number < count; ++number) {
    all.plans.push_back(any_plan(number, until));
    notes.push_back(all.plans.back().to_string());
  }
  for (const ConversationPlan& plan : all.plans) {
    world.after(plan.start, [this, &plan] { start(plan); });
  }
}

ConversationPlan Swarm::any_plan(std::uint32_t number, Duration until) {
  using Plan = ConversationPlan;
  Plan plan;
  plan.number = number;
  plan.client = dice.below(clients.size());
  const std::size_t server = dice.below(servers.size());
  const auto& addresses = server_addresses[plan.client * servers.size() + server];
  plan.may_find_no_room = servers[server].backlog < kAmpleBacklog;
  plan.server = dice.chance(0.5) ? addresses.first : addresses.second;
  plan.start = between(dice, 0s, until / 2);
  plan.request_size = Plan::kHeaderSize + any_size(dice, 100'000);
  plan.response_size = dice.chance(0.1) ? 0 : any_size(dice, 200'000);
  plan.fast_open = one_of(dice, {FastOpenMode::Off, FastOpenMode::Now, FastOpenMode::Now, FastOpenMode::OnFirstWrite});
  plan.no_cookie = dice.chance(0.1);
  plan.no_delay = dice.chance(0.3);
  if (dice.chance(0.7))
    plan.data_in_connect = static_cast<std::uint32_t>(std::min<std::uint64_t>(plan.request_size, dice.below(4000)));
  plan.half_close = dice.chance(0.4);
  plan.respond = one_of(dice, {Plan::Respond::AtOnce, Plan::Respond::WhenComplete, Plan::Respond::WhenComplete,
                               plan.half_close ? Plan::Respond::AfterFin : Plan::Respond::WhenComplete});
  plan.server_half_closes = dice.chance(0.2);
  plan.server_closes_first = dice.chance(0.5) || plan.server_half_closes;
  plan.write_piece =
      static_cast<std::uint32_t>(one_of<std::uint64_t>(dice, {100, 1460, 16384, between(dice, 1, 70'000)}));
  plan.write_slices = dice.chance(0.5);
  plan.read_piece = static_cast<std::uint32_t>(one_of<std::uint64_t>(dice, {65536, 65536, between(dice, 500, 5000)}));
  if (dice.chance(0.2)) plan.client_read_pause = between(dice, 1ms, 50ms);
  if (dice.chance(0.2)) plan.server_read_pause = between(dice, 1ms, 50ms);
  if (dice.chance(0.2)) plan.client_stall = between(dice, 100ms, 10s);
  if (dice.chance(0.2)) plan.server_stall = between(dice, 100ms, 10s);
  if (dice.chance(0.3)) {
    plan.ending = one_of(dice, {Plan::Ending::ClientAborts, Plan::Ending::ClientLeaves, Plan::Ending::ServerAborts,
                                Plan::Ending::ServerLeaves, Plan::Ending::ClientStopsReading});
    plan.ends_after = one_of<Duration>(dice, {between(dice, 0s, 100ms), between(dice, 0s, 2s), between(dice, 0s, 20s)});
  }
  return plan;
}

void Swarm::start(const ConversationPlan& plan) {
  Member& client = clients[plan.client];
  ConnectOptions connect;
  connect.remote = plan.server;
  connect.fast_open = plan.fast_open;
  connect.fast_open_no_cookie = plan.no_cookie;
  connect.options.no_delay = plan.no_delay;
  std::string data;
  for (std::uint32_t i = 0; i < plan.data_in_connect; ++i) data += static_cast<char>(byte_of(plan.number, true, i));
  connect.data = Slice::adopt(std::move(data));
  const auto id = world.stack(client.host).connect(world.now(), connect);
  if (!id) return fail(fmt::format("conversation {} cannot connect: {}", plan.number, to_string(id.error())));
  add_talker(client, Talker::Role::Client, *id, &plan);
  if (plan.orderly()) return;
  world.after(plan.ends_after, [this, &plan] {
    for (const auto& talker : talkers) {
      if (talker->plan() == &plan) talker->end_as_planned();
    }
  });
}

void Swarm::add_talker(Member& member, Talker::Role role, ConnectionId id, const ConversationPlan* plan) {
  Talker& talker = *talkers.emplace_back(std::make_unique<Talker>(all, member.host, role, id, plan));
  if (!member.talkers.emplace(std::pair(id.index, id.generation), &talker).second) {
    return fail("two connections have the same handle");
  }
  talker.work();
}

void Swarm::handle(Member& member, const Event& event) {
  if ((event.bits & event_bits::kAcceptable) != 0) {
    if (member.accepts_after == Duration::zero()) return accept_all(member);
    world.after(member.accepts_after, [this, &member] { accept_all(member); });
    return;
  }
  const auto found = member.talkers.find({event.connection.index, event.connection.generation});
  if (found == member.talkers.end()) {
    if (event.connection != leaked) fail("an event names a connection that nobody knows");
    return;
  }
  found->second->handle(event);
}

void Swarm::accept_all(Member& member) {
  while (const auto id = world.stack(member.host).accept(member.listener)) {
    add_talker(member, Talker::Role::Server, *id, nullptr);
  }
}

// ---- the run, and what must hold at its end ------------------------------------------------------------------------

void Swarm::run() {
  build();
  world.run_until(world.now() + 20s);  // every fault is over by then
  check_progress();
  world.run_until(world.now() + 30s);
  check_conversations();
  if (options.sabotage == Sabotage::LeakASocket) leak();
  for (const auto& talker : talkers) talker->wind_up();
  check_leaks();
}

void Swarm::leak() {
  ConnectOptions connect;
  connect.remote = all.plans.front().server;
  leaked = world.stack(clients[all.plans.front().client].host).connect(world.now(), connect).value_or(ConnectionId{});
}

// The numbers of orderly conversations of which a side is not complete.
std::vector<std::uint32_t> Swarm::unfinished() const {
  std::vector<bool> asked(all.plans.size()), answered(all.plans.size());
  for (const auto& talker : talkers) {
    if (talker->complete()) (talker->is_client() ? asked : answered)[talker->plan()->number] = true;
    if (talker->found_no_room()) asked[talker->plan()->number] = answered[talker->plan()->number] = true;
  }
  std::vector<std::uint32_t> result;
  for (const ConversationPlan& plan : all.plans) {
    if (plan.orderly() && !(asked[plan.number] && answered[plan.number])) result.push_back(plan.number);
  }
  return result;
}

void Swarm::check_progress() {
  if (world.run_while([this] { return !unfinished().empty(); }, kPatience)) return;
  std::string stuck = fmt::format("no progress within {} on a healthy network:", format_duration(kPatience));
  for (const std::uint32_t number : unfinished()) {
    stuck += "\n  " + all.plans[number].to_string();
    for (const auto& talker : talkers) {
      if (talker->plan() != nullptr && talker->plan()->number == number) stuck += "\n    " + talker->describe();
    }
  }
  fail(stuck);
}

// Nobody may have been served twice, unless by a SYN with data that the network had repeated.
void Swarm::check_conversations() {
  std::vector<int> served(all.plans.size());
  for (const auto& talker : talkers) {
    const ConversationPlan* plan = talker->plan();
    if (plan == nullptr || !plan->orderly() || talker->is_client() || talker->by_fast_open()) continue;
    if (++served[plan->number] == 2) fail(fmt::format("conversation {} was served twice", plan->number));
  }
}

bool Swarm::nothing_open() const {
  for (HostId host = 0; host < world.host_count(); ++host) {
    const Stack::Population population = world.inspect(host).population();
    if (population.connections + population.requests > 0) return false;
  }
  return true;
}

void Swarm::check_leaks() {
  if (!world.run_while([this] { return !nothing_open(); }, kPatience)) fail("connections or requests are left over");
  if (!world.run_until_idle(kLastTimers)) fail("timers still run when all is over");
  for (HostId host = 0; host < world.host_count(); ++host) {
    if (world.inspect(host).population().time_waits > 0) fail(world.name(host) + " has TIME_WAIT entries left over");
  }
}

}  // namespace

SwarmResult run_swarm(const SwarmOptions& options) {
  Swarm swarm(options);
  if (!options.capture.empty()) {
    auto file = FileSink::create(options.capture);
    if (!file) throw std::runtime_error(file.error());
    swarm.file = *std::move(file);
    swarm.writer.emplace(*swarm.file);
  }
  swarm.run();
  SwarmResult result;
  result.failure = swarm.world.failure();
  result.scenario = fmt::format("{}", fmt::join(swarm.notes, "\n"));
  result.packets = swarm.world.counts().packets;
  result.steps = swarm.world.counts().steps;
  result.conversations = swarm.all.plans.size();
  for (const auto& talker : swarm.talkers) result.by_fast_open += talker->by_fast_open() ? 1 : 0;
  return result;
}

}  // namespace ff::sim
