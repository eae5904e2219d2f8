#include "flood/site.hpp"

#include <array>
#include <cstdlib>
#include <utility>

#include "wire/ip.hpp"

namespace ff::flood {

namespace {

constexpr std::string_view kQuestion = "Is anybody there?";

Stack make_stack(std::uint64_t seed, const Settings& settings, const IpAddress& address) {
  StackConfig config;
  config.seed = Seed::from_number(seed);
  config.settings = settings;
  Stack stack(std::move(config));
  InterfaceConfig interface;
  interface.name = "wire";
  interface.addresses = {{address, 24}};
  interface.gateways = {IpAddress::v4(address.v4_bytes()[0], address.v4_bytes()[1], address.v4_bytes()[2], 254)};
  if (!stack.add_interface(std::move(interface))) std::abort();
  return stack;
}

ListenerId listen_at(Stack& stack, std::uint16_t port, std::uint32_t fast_open_queue, std::uint32_t backlog) {
  ListenOptions options;
  options.local = {IpAddress::any_v4(), port};
  options.fast_open_queue = fast_open_queue;
  options.backlog = backlog;
  options.user_data = port;
  return stack.listen(options).value();
}

IpAddress destination_of(const TxPacket& packet) {
  return IpAddress::v4(std::span<const std::uint8_t, 4>(packet.header_bytes.data() + 16, 4));
}

std::uint32_t word_at(const TxPacket& packet, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | packet.header_bytes[offset + i];
  return value;
}

}  // namespace

Site::Site(Settings server_settings, std::uint32_t fast_open_queue, std::uint32_t backlog)
    : server_(make_stack(1, server_settings, server_at(0).address)),
      client_(make_stack(2, {}, client_address())),
      echo_(listen_at(server_, kEcho, fast_open_queue, backlog)),
      mute_(listen_at(server_, kMute, fast_open_queue, backlog)) {}

// ---- honest clients ------------------------------------------------------------------------------------------------

ConnectionId Site::ask(FastOpenMode fast_open) {
  ConnectOptions options;
  options.remote = server_at(kEcho);
  options.fast_open = fast_open;
  options.data = Slice::adopt(std::string(kQuestion));
  const ConnectionId id = client_.connect(now_, options).value();
  echoed_[id.index] = 0;
  ended_.erase(id.index);
  settle();
  return id;
}

void Site::ask_again(ConnectionId id) {
  echoed_[id.index] = 0;
  if (!client_.write(now_, id, as_bytes(kQuestion))) return;  // served() stays false then
  settle();
}

bool Site::served(ConnectionId id) const {
  const auto found = echoed_.find(id.index);
  return found != echoed_.end() && found->second == kQuestion.size();
}

std::optional<Error> Site::failure_of(ConnectionId id) const {
  const auto found = ended_.find(id.index);
  return found == ended_.end() ? std::nullopt : found->second;
}

// ---- the attacker --------------------------------------------------------------------------------------------------

void Site::attack(const Forged& forged) {
  tx_.clear();
  if (!forged.data.empty()) {
    tx_.payload_pieces[0] = Slice::adopt(std::string(forged.data));
    tx_.payload_piece_count = 1;
    tx_.payload_size = static_cast<std::uint32_t>(forged.data.size());
  }
  tcp::SegmentToSend segment;
  segment.seq = Seq(forged.seq);
  segment.ack = Seq(forged.ack);
  segment.flags.bits = forged.flags;
  segment.window.raw = forged.window;
  segment.options = forged.options;
  tcp::emit({forged.tuple.remote, forged.tuple.local}, {}, segment, UINT32_MAX, tx_);
  give(server_, tx_);
  settle();
}

void Site::attack_raw(ByteSpan packet) {
  RxPacket received;
  std::uint8_t* room = slabs_.reserve(static_cast<std::uint32_t>(packet.size()));
  std::memcpy(room, packet.data(), packet.size());
  received.bytes = slabs_.commit(0, static_cast<std::uint32_t>(packet.size()));
  server_.handle_packet(now_, 0, std::move(received));
  settle();
}

std::optional<std::uint32_t> Site::attack_connect(const FourTuple& tuple, std::uint32_t isn) {
  watched_ = tuple;
  seen_.reset();
  attack({.tuple = tuple, .flags = wire::TcpFlags::kSyn, .seq = isn});
  watched_.reset();
  if (!seen_) return std::nullopt;
  attack({.tuple = tuple, .flags = wire::TcpFlags::kAck, .seq = isn + 1, .ack = *seen_ + 1});
  return *seen_ + 1;
}

// ---- the world -----------------------------------------------------------------------------------------------------

void Site::advance(Duration span) {
  const Instant until = now_ + span;
  for (;;) {
    const Instant next = std::min(server_.next_deadline(), client_.next_deadline());
    if (next > until) break;
    now_ = std::max(now_, next);
    server_.handle_deadline(now_);
    client_.handle_deadline(now_);
    settle();
  }
  now_ = until;
}

// As from a device: into a slab that many packets share.
void Site::give(Stack& to, const TxPacket& packet) {
  std::uint8_t* room = slabs_.reserve(packet.size());
  std::uint8_t* end = room;
  std::memcpy(end, packet.header_bytes.data(), packet.header_size);
  end += packet.header_size;
  for (const Slice& piece : packet.payload()) {
    std::memcpy(end, piece.data(), piece.size());
    end += piece.size();
  }
  RxPacket received;
  received.bytes = slabs_.commit(0, packet.size());
  received.checksum = RxChecksum::Verified;
  to.handle_packet(now_, 0, std::move(received));
}

bool Site::server_transmits() {
  if (!server_.poll_transmit(now_, tx_)) return false;
  if (destination_of(tx_) == client_address()) {
    give(client_, tx_);
    return true;
  }
  ++answers_to_strangers_;
  const std::size_t tcp = wire::kIpv4HeaderSize;
  const bool is_tcp = tx_.header_bytes[9] == wire::protocol::kTcp;
  constexpr std::uint8_t kSynAck = wire::TcpFlags::kSyn | wire::TcpFlags::kAck;
  if (is_tcp && watched_ && tx_.header_bytes[tcp + 13] == kSynAck && destination_of(tx_) == watched_->remote.address &&
      (word_at(tx_, tcp) & 0xffff) == watched_->remote.port)
    seen_ = word_at(tx_, tcp + 4);
  return true;
}

bool Site::client_transmits() {
  if (!client_.poll_transmit(now_, tx_)) return false;
  give(server_, tx_);
  return true;
}

void Site::run_server() {
  while (const auto event = server_.poll_event()) {
    if ((event->bits & event_bits::kAcceptable) != 0) {
      while (const auto accepted = server_.accept(event->listener)) {
        server_.set_user_data(*accepted, event->user_data);
        if (event->user_data == kMute && closes_mute_) server_.close(now_, *accepted);
      }
      continue;
    }
    if ((event->bits & event_bits::kClosed) != 0) {
      server_.close(now_, event->connection);
      continue;
    }
    if (event->user_data == kMute || (event->bits & event_bits::kReadable) == 0) continue;
    while (auto bytes = server_.read_slice(now_, event->connection)) {
      if (bytes->empty()) {
        server_.close(now_, event->connection);
        break;
      }
      server_.write(now_, event->connection, *std::move(bytes));
    }
  }
}

void Site::run_client() {
  std::array<std::uint8_t, 256> room;
  while (const auto event = client_.poll_event()) {
    while (const auto size = client_.read(now_, event->connection, room)) {
      if (*size == 0) break;
      echoed_[event->connection.index] += *size;
    }
    if ((event->bits & event_bits::kClosed) != 0)
      ended_[event->connection.index] = client_.info(event->connection).value().error;
  }
}

// Until nobody has anything to say.
void Site::settle() {
  for (bool more = true; more;) {
    run_server();
    run_client();
    more = server_transmits() || client_transmits();
  }
}

}  // namespace ff::flood
