// A server, honest clients of it, and an attacker who may send whatever packets he likes, all on virtual time and a
// wire that loses nothing. What the server answers to addresses that are not the clients' reaches nobody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "device/slab_cursor.hpp"
#include "firstflight/stack.hpp"
#include "tcp/emit.hpp"

namespace ff::flood {

using namespace std::chrono_literals;

class Site {
 public:
  static constexpr std::uint16_t kEcho = 7;   // what a client writes comes back
  static constexpr std::uint16_t kMute = 19;  // accepts, and never reads

  explicit Site(Settings server_settings = {}, std::uint32_t fast_open_queue = 16, std::uint32_t backlog = 4096);

  [[nodiscard]] static Endpoint server_at(std::uint16_t port) { return {IpAddress::v4(198, 51, 100, 1), port}; }
  [[nodiscard]] static IpAddress client_address() { return IpAddress::v4(192, 0, 2, 1); }

  // ---- honest clients ----
  // Connects and writes; the connection's name for served().
  ConnectionId ask(FastOpenMode fast_open = FastOpenMode::Off);
  // The echo has come back whole.
  [[nodiscard]] bool served(ConnectionId id) const;
  // Asks once more over a connection that was served before; the echo counts anew.
  void ask_again(ConnectionId id);
  [[nodiscard]] std::optional<Error> failure_of(ConnectionId id) const;
  [[nodiscard]] ConnectionInfo info(ConnectionId id) const { return client_.info(id).value(); }

  // ---- the attacker ----
  struct Forged {
    FourTuple tuple;  // as the server sees it
    std::uint8_t flags = 0;
    std::uint32_t seq = 0, ack = 0;
    std::string_view data{};
    wire::TcpOptions options{};
    std::uint16_t window = 65535;
  };
  void attack(const Forged& segment);
  void attack_raw(ByteSpan packet);
  // A whole handshake by somebody who can see the answers: the next number that the server sends, or nothing.
  std::optional<std::uint32_t> attack_connect(const FourTuple& tuple, std::uint32_t isn);

  // ---- the world ----
  // Lets packets pass and time go by.
  void advance(Duration span);
  [[nodiscard]] Instant now() const { return now_; }
  Stack& server() { return server_; }
  Stack& client() { return client_; }
  [[nodiscard]] std::uint64_t answers_to_strangers() const { return answers_to_strangers_; }
  // The server's application closes every connection at the mute port at once from now on.
  void close_mute_ones() { closes_mute_ = true; }

 private:
  void give(Stack& to, const TxPacket& packet);
  bool server_transmits();
  bool client_transmits();
  void run_server();
  void run_client();
  void settle();

  Instant now_{1000s};
  Stack server_;
  Stack client_;
  SlabCursor slabs_{65536 + kMaxHeader};
  ListenerId echo_, mute_;
  bool closes_mute_ = false;
  std::map<std::uint32_t, std::size_t> echoed_;  // bytes, by the connection's index
  std::map<std::uint32_t, std::optional<Error>> ended_;
  std::optional<FourTuple> watched_;  // whose SYN-ACK the attacker waits for
  std::optional<std::uint32_t> seen_;
  std::uint64_t answers_to_strangers_ = 0;
  TxPacket tx_;
};

}  // namespace ff::flood
