#include "lab/lab.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "lab/names.hpp"
#include "sim/quantities.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"

namespace ff::lab {
namespace {

constexpr Instant kStart{1000s};

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

std::string_view errno_name(Error error) {
  switch (to_errno(error)) {
    case EAGAIN:
      return "EAGAIN";
    case EINVAL:
      return "EINVAL";
    case EBADF:
      return "EBADF";
    case EADDRINUSE:
      return "EADDRINUSE";
    case EADDRNOTAVAIL:
      return "EADDRNOTAVAIL";
    case ENETUNREACH:
      return "ENETUNREACH";
    case EHOSTUNREACH:
      return "EHOSTUNREACH";
    case ECONNREFUSED:
      return "ECONNREFUSED";
    case ECONNRESET:
      return "ECONNRESET";
    case EPIPE:
      return "EPIPE";
    case ENOTCONN:
      return "ENOTCONN";
    case ETIMEDOUT:
      return "ETIMEDOUT";
    case ENOBUFS:
      return "ENOBUFS";
    default:
      return to_string(error);
  }
}

}  // namespace

std::string to_text(std::optional<Error> error) {
  return error ? std::string(errno_name(*error)) : std::string("no error");
}

Connected connected(Lab& lab, ConnectOptions options) {
  Connected both;
  both.listener = lab.server.listen({.backlog = 16});
  both.client = lab.client.connect(std::move(options));
  lab.run(4 * kDelay);
  both.server = lab.server.accept(both.listener);
  return both;
}

Lab::Lab(const Scenario& scenario, const Wishes& wishes)
    : world({.seed = wishes.seed, .start = kStart}),
      client(*this, 0, "client"),
      server(*this, 1, "server"),
      scenario_(scenario),
      wishes_(wishes),
      start_(kStart) {
  set_up(client, "10.0.0.1", "10.0.0.11", "fd00::1", "fd00::11");
  set_up(server, "10.0.0.2", "10.0.0.12", "fd00::2", "fd00::12");
  link_ = world.connect(client.attachment_, server.attachment_, {.delay = kDelay});
  world.on_packet(client.attachment_, [this](PcapngWriter::Direction direction, const Slice& packet) {
    const bool sent = direction == PcapngWriter::Direction::Outbound;
    const bool forged = std::ranges::any_of(forged_, [&](const Slice& other) { return other.data() == packet.data(); });
    see_frame(sent, packet, forged ? "forged" : "");
  });
  world.set_middlebox(link_, sim::Direction::AToB, [this](const Slice& packet) { return on_path(client, packet); });
  world.set_middlebox(link_, sim::Direction::BToA, [this](const Slice& packet) { return on_path(server, packet); });
}

void Lab::set_up(Host& host, const char* v4, const char* v4_second, const char* v6, const char* v6_second) {
  sim::HostOptions options{.name = host.name_};
  options.initial_sequence_number = scenario_.initial_sequence_number;
  host.id_ = world.add_host(std::move(options));
  InterfaceConfig interface;
  interface.name = "eth0";
  for (const char* text : {v4, v4_second}) interface.addresses.push_back({address(text), 24});
  for (const char* text : {v6, v6_second}) interface.addresses.push_back({address(text), 64});
  interface.gateways = {address("10.0.0.254"), address("fd00::fe")};
  if (scenario_.ethernet) interface.mac = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(host.id_ + 1)}};
  host.address_ = interface.addresses[wishes_.v6 ? 2 : 0].address;
  host.second_address_ = interface.addresses[wishes_.v6 ? 3 : 1].address;
  host.attachment_ = world.add_interface(host.id_, interface);
  host.take_wishes(wishes_);
  world.on_event(host.id_, [&host](const Event& event) { host.handle(event); });
}

IpAddress Lab::router() const { return address(wishes_.v6 ? "fd00::fe" : "10.0.0.254"); }

IpAddress Lab::stranger(std::uint8_t number) const {
  std::array<std::uint8_t, 16> bytes{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, number};
  return wishes_.v6 ? IpAddress::v6(bytes) : IpAddress::v4(10, 0, 1, number);
}

std::string Lab::parameter(std::string_view name) {
  const auto knob = std::ranges::find(scenario_.knobs, name, &Knob::name);
  if (knob == scenario_.knobs.end()) throw Stopped(fmt::format("the scenario has no parameter {}", name));
  SettingUsed setting{.host = "", .name = knob->name, .value = knob->values.front()};
  for (const auto& [wish, value] : wishes_.set) {
    if (wish != name) continue;
    setting.value = value;
    setting.by_user = true;
  }
  used(setting);
  return setting.value;
}

// ---- time ----------------------------------------------------------------------------------------------------------

void Lab::run(Duration span) { world.run_until(world.now() + span); }

bool Lab::run_until(const std::function<bool()>& condition, Duration limit) {
  return world.run_while([&] { return !condition(); }, limit);
}

// ---- telling and checking ------------------------------------------------------------------------------------------

void Lab::remark(Remark::Kind kind, std::string text) {
  outcome_.story.push_back({.time = world.now(), .kind = kind, .text = std::move(text)});
}

void Lab::expect(bool holds, std::string_view claim) {
  remark(holds ? Remark::Kind::Held : Remark::Kind::Failed, std::string(claim));
}

void Lab::expect_equal(std::string_view what, std::uint64_t actual, std::uint64_t expected) {
  expect_equal(what, std::to_string(actual), std::to_string(expected));
}

void Lab::expect_equal(std::string_view what, std::string_view actual, std::string_view expected) {
  expect(actual == expected, actual == expected ? fmt::format("{}: {}", what, actual)
                                                : fmt::format("{}: {}; it should be {}", what, actual, expected));
}

void Lab::expect_about(std::string_view what, Duration actual, Duration expected, Duration tolerance) {
  const bool holds = actual >= expected - tolerance && actual <= expected + tolerance;
  expect(holds, holds ? fmt::format("{}: {}", what, sim::format_duration(actual))
                      : fmt::format("{}: {}; it should be about {}", what, sim::format_duration(actual),
                                    sim::format_duration(expected)));
}

void Lab::expect_error(std::string_view what, std::optional<Error> actual, std::optional<Error> expected) {
  expect_equal(what, to_text(actual), to_text(expected));
}

void Lab::expect_state(std::string_view what, TcpState actual, TcpState expected) {
  expect_equal(what, to_string(actual), to_string(expected));
}

// ---- the path ------------------------------------------------------------------------------------------------------

void Lab::path(const sim::LinkOptions& each_way) { world.set_link(link_, each_way); }

void Lab::unplug() {
  plugged_ = false;
  world.set_plugged(link_, false);
}

void Lab::plug() {
  plugged_ = true;
  world.set_plugged(link_, true);
}

void Lab::lose(const Host& from, Kind kind, int count) { losses_.push_back({&from, kind, count}); }

void Lab::meddle(const Host& from, Edit edit) { edits_[&from] = std::move(edit); }

void Lab::narrow_path(std::uint16_t mtu, bool says_so) {
  narrow_mtu_ = mtu;
  narrow_says_so_ = says_so;
}

void Lab::forge(const Host& from, const Segment& segment) { forge(from, packet_of(segment)); }

void Lab::forge(const Host& from, const Slice& packet) {
  const bool from_client = &from == &client;
  if (from_client) {
    see(true, packet, "forged");
  } else {
    forged_.push_back(packet);
  }
  world.inject(link_, from_client ? sim::Direction::AToB : sim::Direction::BToA, packet);
}

std::optional<Slice> Lab::on_path(const Host& from, const Slice& packet) {
  if (const auto held = held_up_.find(&from); held != held_up_.end()) {
    held->second->push_back(packet);
    return swallow(from, packet, "held up");
  }
  auto segment = parse_segment(packet.span());
  if (segment && segment->destination.address == segment->source.address) {
    // To itself: what a loopback interface would do.
    world.inject(link_, &from == &client ? sim::Direction::BToA : sim::Direction::AToB, packet);
    return std::nullopt;
  }
  if (!plugged_) return swallow(from, packet, "lost: no cable");
  if (narrow_mtu_ != 0 && packet.size() > narrow_mtu_) {
    if (narrow_says_so_)
      forge(other(from), icmp_error(wire::IcmpKind::PacketTooBig, router(), narrow_mtu_, packet.span()));
    return swallow(from, packet, "lost: too big");
  }
  if (!segment) return packet;
  for (Loss& loss : losses_) {
    if (loss.from != &from || loss.left == 0 || !loss.kind(*segment)) continue;
    --loss.left;
    return swallow(from, packet, "lost");
  }
  const auto edit = edits_.find(&from);
  if (edit == edits_.end()) return packet;
  const bool goes_on = edit->second(*segment);
  if (!goes_on) return swallow(from, packet, "lost");
  Slice edited = packet_of(*segment);
  if (edited.text() != packet.text() && &from == &client) outcome_.packets.back().fate = "changed on the path";
  return edited;
}

// The client's packet has been seen already; the server's would be seen when it arrives, and never does.
std::optional<Slice> Lab::swallow(const Host& from, const Slice& packet, std::string_view fate) {
  if (&from == &server) {
    see_frame(false, packet, std::string(fate));
  } else {
    outcome_.packets.back().fate = fate;
  }
  if (parse_segment(packet.span()) && !segments_.empty()) segments_.back().lost = true;
  return std::nullopt;
}

void Lab::see(bool from_client, const Slice& packet, std::string fate) {
  if (auto segment = parse_segment(packet.span())) {
    segment->time = world.now();
    segment->from_client = from_client;
    segment->forged = fate == "forged";
    segments_.push_back(*std::move(segment));
  }
  outcome_.packets.push_back(
      {.time = world.now(), .from_client = from_client, .bytes = packet, .fate = std::move(fate)});
}

// On an Ethernet: the IP packet in a frame, or what else is in it.
void Lab::see_frame(bool from_client, const Slice& frame, std::string fate) {
  if (!scenario_.ethernet) return see(from_client, frame, std::move(fate));
  const Slice content = frame.sub(kEthernetHeader);
  const auto header = wire::parse_ethernet(frame.span());
  if (!header || header->type != wire::ethertype::kArp) return see(from_client, content, std::move(fate));
  std::string what = "ARP, malformed";
  if (const auto arp = wire::parse_arp(content.span())) {
    what = !arp->request ? fmt::format("ARP {} is at {}", arp->sender.to_string(), arp->sender_mac.to_string())
           : arp->sender == arp->target
               ? fmt::format("ARP announces {}", arp->sender.to_string())
               : fmt::format("ARP who has {}? tell {}", arp->target.to_string(), arp->sender.to_string());
  }
  outcome_.packets.push_back({.time = world.now(),
                              .from_client = from_client,
                              .bytes = content,
                              .fate = std::move(fate),
                              .what = std::move(what)});
}

void Lab::hold_up(const Host& from, std::vector<Slice>& into) { held_up_[&from] = &into; }

void Lab::release(const Host& from, const Slice& packet) {
  world.inject(link_, &from == &client ? sim::Direction::AToB : sim::Direction::BToA, packet);
}

sim::Attachment Lab::add_interface(const Host& host, InterfaceConfig config) {
  const sim::Attachment added = world.add_interface(host.id_, std::move(config));
  world.connect({added}, {}, {}, {});
  return added;
}

std::vector<Slice> Lab::packets(const Host& from) const {
  std::vector<Slice> result;
  for (const SeenPacket& packet : outcome_.packets)
    if (packet.from_client == (&from == &client) && packet.fate != "forged" && packet.what.empty())
      result.push_back(packet.bytes);
  return result;
}

std::vector<wire::IcmpView> Lab::icmp(const Host& from) const {
  std::vector<wire::IcmpView> result;
  for (const Slice& packet : packets(from)) {
    const auto ip = wire::parse_ip(packet.span());
    if (!ip || (ip->header.protocol != wire::protocol::kIcmp && ip->header.protocol != wire::protocol::kIcmp6))
      continue;
    if (const auto message = wire::parse_icmp(ip->header, packet.span().subspan(ip->payload_offset, ip->payload_size)))
      result.push_back(*message);
  }
  return result;
}

std::vector<Segment> Lab::seen(const Host& from, Kind kind) const {
  std::vector<Segment> result;
  std::ranges::copy_if(segments_, std::back_inserter(result), [&](const Segment& segment) {
    return segment.from_client == (&from == &client) && !segment.forged && kind(segment);
  });
  return result;
}

Segment Lab::next_from(const Host& from, const FourTuple& tuple_of_client) const {
  const bool from_client = &from == &client;
  const Endpoint& source = from_client ? tuple_of_client.local : tuple_of_client.remote;
  const Endpoint& destination = from_client ? tuple_of_client.remote : tuple_of_client.local;
  Segment next;
  next.source = source;
  next.destination = destination;
  next.tcp.flags = {wire::TcpFlags::kAck};
  next.tcp.window = {1000};
  bool sent = false, received = false;
  for (const Segment& segment : segments_) {
    if (segment.forged) continue;
    const bool anew = syn(segment);  // an earlier connection of these addresses and ports says nothing any more
    if (segment.source == source && segment.destination == destination) {
      if (!sent || anew || segment.end() - next.tcp.seq > 0) next.tcp.seq = segment.end();
      if (segment.tcp.options.timestamps) {
        next.tcp.options.timestamps =
            wire::Timestamps{segment.tcp.options.timestamps->value,
                             next.tcp.options.timestamps ? next.tcp.options.timestamps->echo_reply : Timestamp()};
      }
      sent = true;
    } else if (segment.source == destination && segment.destination == source && !segment.lost) {
      if (!received || segment.tcp.flags.syn() || segment.end() - next.tcp.ack > 0) next.tcp.ack = segment.end();
      if (segment.tcp.options.timestamps && next.tcp.options.timestamps)
        next.tcp.options.timestamps->echo_reply = segment.tcp.options.timestamps->value;
      received = true;
    }
  }
  return next;
}

// ---- for the runner and Host ---------------------------------------------------------------------------------------

void Lab::used(const SettingUsed& setting) {
  const auto same = std::ranges::find_if(outcome_.settings, [&](const SettingUsed& known) {
    return known.host == setting.host && known.name == setting.name;
  });
  if (same == outcome_.settings.end()) {
    outcome_.settings.push_back(setting);
  } else {
    *same = setting;
  }
}

void Lab::used(const CounterUsed& counter) {
  const auto same = std::ranges::find_if(outcome_.counters, [&](const CounterUsed& known) {
    return known.host == counter.host && known.name == counter.name;
  });
  if (same == outcome_.counters.end()) {
    outcome_.counters.push_back(counter);
  } else {
    same->value = counter.value;
  }
}

Outcome Lab::finish() {
  if (!world.failure().empty()) remark(Remark::Kind::Failed, world.failure());
  outcome_.lasted = elapsed();
  return std::move(outcome_);
}

Outcome play(const Scenario& scenario, const Wishes& wishes) {
  Lab lab(scenario, wishes);
  try {
    scenario.play(lab);
  } catch (const Stopped& stopped) {
    lab.expect(false, stopped.what());
  }
  return lab.finish();
}

// ---- the list ------------------------------------------------------------------------------------------------------

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> kAll = [] {
    std::vector<Scenario> all;
    for (const auto list :
         {fast_open_scenarios, fast_open_memory_scenarios, opening_scenarios, data_scenarios, resource_scenarios,
          recovery_scenarios, congestion_scenarios, closing_scenarios, vanishing_peer_scenarios, port_scenarios,
          observing_scenarios, datagram_scenarios, network_scenarios, framing_scenarios}) {
      for (Scenario& scenario : list()) all.push_back(std::move(scenario));
    }
    return all;
  }();
  return kAll;
}

std::optional<std::string> why_not(const Scenario& scenario, const std::string& name, const std::string& value) {
  const auto knob = std::ranges::find(scenario.knobs, name, &Knob::name);
  if (knob != scenario.knobs.end() && !knob->meaning.empty()) {
    if (std::ranges::find(knob->values, value) != knob->values.end()) return std::nullopt;
    return fmt::format("{} cannot be \"{}\"; allowed is one of {}", name, value, fmt::join(knob->values, ", "));
  }
  std::string_view setting = name;
  for (const std::string_view prefix : {"client.", "server."})
    if (setting.starts_with(prefix)) setting.remove_prefix(prefix.size());
  if (const std::size_t dot = name.find('.'); setting == name && dot != std::string::npos) {
    const std::string rest = name.substr(dot + 1);
    if (canonical_setting(rest))
      return fmt::format("there is no host \"{}\"; write client.{} or server.{}", name.substr(0, dot), rest, rest);
  }
  Settings scratch;
  if (auto done = set_setting(scratch, setting, value); !done) return done.error();
  return std::nullopt;
}

}  // namespace ff::lab
