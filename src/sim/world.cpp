#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <span>
#include <stdexcept>
#include <utility>

#include "device/segmenter.hpp"
#include "sim/quantities.hpp"

namespace ff::sim {
namespace {

// What a device hands to its stack at a time, at most.
constexpr int kReceiveBatch = 64;
// Steps without time going on, after which something is caught in a circle.
constexpr std::uint64_t kStandstill = 2'000'000;

constexpr std::uint64_t kHostSeeds = 0;
constexpr std::uint64_t kLinkSeeds = 1;
constexpr std::uint64_t kApplicationSeed = 2;

std::optional<IpAddress> destination_of(ByteSpan packet) {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return IpAddress::v4(packet.subspan<16, 4>());
  if (packet.size() >= 40 && packet[0] >> 4 == 6) return IpAddress::v6(packet.subspan<24, 16>());
  return std::nullopt;
}

std::uint64_t capture_time(Instant when) { return static_cast<std::uint64_t>(when.time_since_epoch().count()); }

}  // namespace

World::World(const WorldOptions& options)
    : options_(options),
      now_(options.start),
      random_(random_from(derived_seed(options.seed, kApplicationSeed))),
      slabs_(kEthernetHeader + UINT16_MAX) {}

// ---- the network ---------------------------------------------------------------------------------------------------

HostId World::add_host(HostOptions options) {
  const auto id = static_cast<HostId>(hosts_.size());
  StackConfig config;
  config.seed = options.seed.value_or(Seed::from_number(derived_seed(derived_seed(options_.seed, kHostSeeds), id)));
  config.settings = std::move(options.settings);
  config.max_connections = options.max_connections;
  config.initial_sequence_number = options.initial_sequence_number;
  hosts_.push_back(std::make_unique<Host>(std::move(options.name), config));
  return id;
}

Attachment World::add_interface(HostId host, InterfaceConfig config) {
  Port port{.name = config.name, .config = config};
  const auto id = stack(host).add_interface(std::move(config));
  if (!id) throw std::invalid_argument(fmt::format("interface {}: {}", port.name, to_string(id.error())));
  std::vector<Port>& ports = hosts_[host]->ports;
  if (ports.size() <= *id) ports.resize(*id + std::size_t{1});
  ports[*id] = std::move(port);
  return {host, *id};
}

LinkId World::connect(const std::vector<Attachment>& a, const std::vector<Attachment>& b, const LinkOptions& a_to_b,
                      const LinkOptions& b_to_a) {
  const auto add = [&](const std::vector<Attachment>& senders, std::vector<Attachment> receivers, LinkOptions options) {
    const auto index = static_cast<std::uint32_t>(channels_.size());
    options.seed = derived_seed(derived_seed(options_.seed, kLinkSeeds), options.seed ^ derived_seed(index, 0));
    Channel& channel = channels_.emplace_back(options);
    channel.receivers = std::move(receivers);
    for (const Attachment& to : channel.receivers) {
      for (const Cidr& own : hosts_[to.host]->ports[to.interface].config.addresses)
        channel.by_address[own.address] = to;
    }
    for (const Attachment& from : senders) hosts_[from.host]->ports[from.interface].channel = index;
  };
  const auto link = static_cast<LinkId>(channels_.size() / 2);
  add(a, b, a_to_b);
  add(b, a, b_to_a);
  return link;
}

void World::set_link(LinkId link, Direction direction, const LinkOptions& options) {
  const std::uint32_t index = channel_of(link, direction);
  Channel& channel = channels_[index];
  channel.link.set_options(now_, options);
  schedule(channel, channel.link.next_deadline(), Kind::Channel, index);
}

void World::set_link(LinkId link, const LinkOptions& each_way) {
  set_link(link, Direction::AToB, each_way);
  set_link(link, Direction::BToA, each_way);
}

void World::set_plugged(LinkId link, bool plugged) {
  channels_[channel_of(link, Direction::AToB)].link.set_plugged(now_, plugged);
  channels_[channel_of(link, Direction::BToA)].link.set_plugged(now_, plugged);
}

const Link& World::link(LinkId link, Direction direction) const { return channels_[channel_of(link, direction)].link; }

void World::capture(Attachment interface, PcapngWriter& writer) {
  Host& host = *hosts_[interface.host];
  Port& port = host.ports[interface.interface];
  port.capture = &writer;
  port.capture_interface =
      writer.add_interface(fmt::format("{}/{}", host.name, port.name), port.config.mac.has_value());
}

void World::on_packet(Attachment interface, PacketHandler handler) {
  hosts_[interface.host]->ports[interface.interface].on_packet = std::move(handler);
}

void World::set_middlebox(LinkId link, Direction direction, Middlebox middlebox) {
  channels_[channel_of(link, direction)].middlebox = std::move(middlebox);
}

void World::inject(LinkId link, Direction direction, Slice packet) {
  put_on_link(channel_of(link, direction), std::move(packet));
}

// ---- the agenda ----------------------------------------------------------------------------------------------------

Stack& World::stack(HostId host) {
  touch(host);
  return hosts_[host]->stack;
}

void World::restart(HostId id) {
  Host& host = *hosts_[id];
  host.stack = Stack(host.config);
  for (const Port& port : host.ports) (void)host.stack.add_interface(port.config);
  touch(id);
}

void World::on_event(HostId host, std::function<void(const Event&)> handler) {
  hosts_[host]->on_event = std::move(handler);
}

void World::at(Instant when, std::function<void()> action) {
  const std::uint32_t index = next_action_++;
  actions_.emplace(index, std::move(action));
  agenda_.push({std::max(when, now_), next_number_++, Kind::Action, index});
}

// An entry is never taken out again: one that came too early is noticed when its time has come, and one for which an
// earlier one was added is skipped.
void World::schedule(Clocked& clocked, Instant when, Kind kind, std::uint32_t index) {
  if (when >= clocked.scheduled) return;
  clocked.scheduled = std::max(when, now_);
  agenda_.push({clocked.scheduled, next_number_++, kind, index});
}

void World::run_until(Instant until) {
  while (step(until)) {
  }
  if (failure_.empty()) now_ = std::max(now_, until);
}

bool World::run_until_idle(Duration limit) {
  const Instant until = now_ + limit;
  while (step(until)) {
  }
  return failure_.empty() && agenda_.empty();
}

bool World::run_while(const std::function<bool()>& condition, Duration limit) {
  const Instant until = now_ + limit;
  while (condition()) {
    if (!step(until)) return false;
  }
  return failure_.empty();
}

void World::fail(const std::string& what) {
  if (failure_.empty()) failure_ = fmt::format("at {}: {}", format_duration(now_ - options_.start), what);
}

// The next thing that happens, if it happens by `until`. False when there is none.
bool World::step(Instant until) {
  drive_touched();
  while (failure_.empty() && !agenda_.empty() && agenda_.top().when <= until) {
    const Entry entry = agenda_.top();
    agenda_.pop();
    notice_standstill(entry.when);
    now_ = entry.when;
    if (!perform(entry)) continue;
    ++counts_.steps;
    drive_touched();
    return true;
  }
  return false;
}

void World::notice_standstill(Instant when) {
  if (when > now_) {
    steps_at_this_time_ = 0;
  } else if (++steps_at_this_time_ > kStandstill) {
    fail("time stands still: hosts and links find something to do for ever");
  }
}

// False when the entry was no longer valid, or came too early.
bool World::perform(const Entry& entry) {
  if (entry.kind == Kind::Action) {
    auto action = actions_.extract(entry.index);
    action.mapped()();
    return true;
  }
  const bool is_host = entry.kind == Kind::Host;
  Clocked& clocked = is_host ? static_cast<Clocked&>(*hosts_[entry.index]) : channels_[entry.index];
  if (clocked.scheduled != entry.when) return false;
  clocked.scheduled = kNever;
  const Instant due =
      is_host ? hosts_[entry.index]->stack.next_deadline() : channels_[entry.index].link.next_deadline();
  if (due <= now_ && is_host) {
    stack(entry.index).handle_deadline(now_);
    return true;  // driven on and scheduled anew as one that was touched
  }
  if (due <= now_) deliver(channels_[entry.index]);
  const Instant next = is_host ? due : channels_[entry.index].link.next_deadline();
  schedule(clocked, next, entry.kind, entry.index);
  return due <= now_;
}

// ---- packets -------------------------------------------------------------------------------------------------------

void World::deliver(Channel& channel) {
  for (int i = 0; i < kReceiveBatch; ++i) {
    std::optional<Slice> packet = channel.link.dequeue(now_);
    if (!packet) return;
    const std::optional<Attachment> to = receiver_of(channel, packet->span());
    if (!to) {
      ++counts_.unroutable;
      continue;
    }
    show(hosts_[to->host]->ports[to->interface], PcapngWriter::Direction::Inbound, *packet);
    RxPacket received;
    received.bytes = *std::move(packet);
    if (hosts_[to->host]->ports[to->interface].config.mac) received.link_header_size = kEthernetHeader;
    stack(to->host).handle_packet(now_, to->interface, std::move(received));
  }
}

std::optional<Attachment> World::receiver_of(const Channel& channel, ByteSpan packet) const {
  if (channel.receivers.size() == 1) return channel.receivers.front();
  const auto address = destination_of(packet);
  if (!address) return std::nullopt;
  const auto found = channel.by_address.find(*address);
  if (found == channel.by_address.end()) return std::nullopt;
  return found->second;
}

// Hands tx_ to the link, as the packets that a wire carries.
void World::send(Host& host) {
  const Port& port = host.ports[tx_.interface];
  if (port.channel == kNowhere) {
    ++counts_.unconnected;
    return;
  }
  for (Segmenter segmenter(tx_); segmenter.remaining() > 0;) {
    const std::uint32_t link_size = tx_.link_header_size;
    std::uint8_t* room = slabs_.reserve(link_size + segmenter.next_size());
    std::ranges::copy(tx_.link_header(), room);
    Slice packet = slabs_.commit(0, link_size + segmenter.next(room + link_size));
    show(port, PcapngWriter::Direction::Outbound, packet);
    std::optional<Slice> forwarded = std::move(packet);
    if (const Middlebox& middlebox = channels_[port.channel].middlebox) forwarded = middlebox(*forwarded);
    if (forwarded) put_on_link(port.channel, *std::move(forwarded));
  }
}

void World::show(const Port& port, PcapngWriter::Direction direction, const Slice& packet) const {
  if (port.on_packet) port.on_packet(direction, packet);
  if (port.capture == nullptr) return;
  port.capture->write_packet(port.capture_interface, capture_time(now_), direction, packet.span());
  port.capture->flush_if_large();
}

void World::put_on_link(std::uint32_t index, Slice packet) {
  Channel& channel = channels_[index];
  channel.link.enqueue(now_, std::move(packet));
  ++counts_.packets;
  schedule(channel, channel.link.next_deadline(), Kind::Channel, index);
}

// ---- hosts ---------------------------------------------------------------------------------------------------------

void World::touch(HostId host) {
  if (std::exchange(hosts_[host]->touched, true)) return;
  touched_.push_back(host);
}

void World::drive_touched() {
  while (!touched_.empty() && failure_.empty()) {
    const HostId host = touched_.front();
    drive(host);
    touched_.pop_front();
    hosts_[host]->touched = false;
  }
}

// The order that firstflight/stack.hpp asks for: events and the commands they give rise to, then packets.
void World::drive(HostId id) {
  Host& host = *hosts_[id];
  for (bool busy = true; busy;) {
    busy = false;
    while (const std::optional<Event> event = host.stack.poll_event()) {
      busy = true;
      if (host.on_event) host.on_event(*event);
    }
    while (host.stack.poll_transmit(now_, tx_)) {
      busy = true;
      send(host);
    }
  }
  tx_.clear();
  if (options_.check) {
    if (const std::string wrong = host.stack.check(); !wrong.empty()) fail(fmt::format("{}: {}", host.name, wrong));
  }
  schedule(host, host.stack.next_deadline(), Kind::Host, id);
}

}  // namespace ff::sim
