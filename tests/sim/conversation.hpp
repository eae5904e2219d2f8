// What the applications of the swarm do: a client sends a request, a server sends a response, and each checks every
// byte that it gets. A plan says how much, how fast, and how it ends.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/world.hpp"

namespace ff::sim {

struct ConversationPlan {
  // A request says in its first bytes which conversation it belongs to.
  static constexpr std::uint64_t kHeaderSize = 8;

  // When the server begins to respond: at once, with the whole request, or with the client's FIN (needs half_close).
  enum class Respond : std::uint8_t { AtOnce, WhenComplete, AfterFin };
  // Orderly: whoever closes has got everything. The others end it at some moment, by RST or by close(); what is then
  // under way may be lost, but nothing that arrives may be wrong.
  enum class Ending : std::uint8_t {
    Orderly,
    ClientAborts,
    ClientLeaves,
    ServerAborts,
    ServerLeaves,
    ClientStopsReading
  };

  std::uint32_t number = 0;
  std::size_t client = 0;  // among the clients
  Endpoint server;
  bool may_find_no_room = false;  // the server's queue is so short that a client may try in vain until it gives up
  Duration start{};
  std::uint64_t request_size = kHeaderSize;
  std::uint64_t response_size = 0;
  FastOpenMode fast_open = FastOpenMode::Off;
  bool no_cookie = false;
  bool no_delay = false;
  std::uint32_t data_in_connect = 0;  // bytes of the request that go with connect()
  Respond respond = Respond::WhenComplete;
  bool half_close = false;           // the client's FIN follows its request
  bool server_half_closes = false;   // the server's FIN follows its response, and it reads on
  bool server_closes_first = false;  // otherwise the server waits for the client's FIN
  std::uint32_t write_piece = 16384;
  bool write_slices = false;
  std::uint32_t read_piece = 65536;
  Duration client_read_pause{};  // between two pieces
  Duration server_read_pause{};
  Duration client_stall{};  // behind the first piece
  Duration server_stall{};
  Ending ending = Ending::Orderly;
  Duration ends_after{};  // after the start, for those that are not orderly

  [[nodiscard]] bool orderly() const noexcept { return ending == Ending::Orderly; }
  [[nodiscard]] std::string to_string() const;
};

// What the checks themselves are tested with.
enum class Sabotage : std::uint8_t { None, ChangeAByte, LoseAByte, LeakASocket };

// The swarm's world, and all that is said in it.
struct Conversations {
  World& world;
  std::vector<ConversationPlan> plans;
  Sabotage sabotage = Sabotage::None;
  std::set<std::uint32_t> found_no_room{};  // the numbers of those whose client did not get in
};

// One side of one conversation.
class Talker {
 public:
  enum class Role : std::uint8_t { Client, Server };

  // A server learns from the request which plan is its own.
  Talker(Conversations& all, HostId host, Role role, ConnectionId id, const ConversationPlan* plan);
  Talker(const Talker&) = delete;
  Talker& operator=(const Talker&) = delete;

  void handle(const Event& event);
  // Does what can be done now.
  void work();
  // The end of a conversation that does not end in order.
  void end_as_planned();
  // Gives up whatever is still open.
  void wind_up();

  [[nodiscard]] const ConversationPlan* plan() const noexcept { return plan_; }
  [[nodiscard]] bool is_client() const noexcept { return role_ == Role::Client; }
  // The handle is given up.
  [[nodiscard]] bool gone() const noexcept { return gone_; }
  // Everything was sent and received, and no error told of.
  [[nodiscard]] bool complete() const noexcept;
  // The server's queue was full each time that the client knocked.
  [[nodiscard]] bool found_no_room() const noexcept { return found_no_room_; }
  // The data came in a SYN, which a network may repeat after the connection has gone (RFC 7413 §2.1).
  [[nodiscard]] bool by_fast_open() const noexcept { return by_fast_open_; }
  [[nodiscard]] std::string describe();

 private:
  [[nodiscard]] std::uint64_t to_send() const noexcept;
  [[nodiscard]] std::uint64_t to_receive() const noexcept;
  [[nodiscard]] bool may_send() const noexcept;
  [[nodiscard]] bool may_close() const noexcept;
  [[nodiscard]] bool half_closes() const noexcept;
  [[nodiscard]] std::string outgoing(std::uint64_t count) const;
  [[nodiscard]] Duration next_pause() noexcept;
  void read_on();
  void take(ByteSpan bytes);
  void take_header(std::uint8_t byte);
  void take_end();
  void write_on();
  void end_with(Error error);
  void give_up(bool abort);
  void complain(const std::string& what);
  Stack& stack() { return all_.world.stack(host_); }
  [[nodiscard]] Instant now() const noexcept { return all_.world.now(); }

  Conversations& all_;
  HostId host_;
  Role role_;
  ConnectionId id_;
  const ConversationPlan* plan_;
  std::uint32_t header_number_ = 0;  // as far as it has come
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  bool read_end_ = false;     // the peer's FIN was read
  bool write_ended_ = false;  // our FIN is behind what was written
  bool pausing_ = false;      // reading
  bool has_stalled_ = false;
  bool stopped_reading_ = false;
  bool established_ = false;
  bool over_ = false;  // the stack says that the connection is over
  bool gone_ = false;
  bool by_fast_open_ = false;
  bool found_no_room_ = false;
  std::optional<Error> error_;
};

// The bytes of a conversation's request or response: byte `offset` follows from all three, so that none can be mistaken
// for another.
std::uint8_t byte_of(std::uint32_t conversation, bool request, std::uint64_t offset) noexcept;

}  // namespace ff::sim
