// Every socket of a stack, one by one: what `ss` lists.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "firstflight/address.hpp"
#include "firstflight/connection_info.hpp"
#include "firstflight/time.hpp"

namespace ff {

enum class SocketProtocol : std::uint8_t { Tcp, Udp };

// What a socket is waiting for: Linux's idiag_timer.
enum class SocketTimer : std::uint8_t {
  None,
  Retransmit,  // ss says "on"; also of a SYN-ACK
  Keepalive,
  TimeWait,  // the end of TIME_WAIT, or of an orphan in FIN_WAIT_2
  Persist,   // a window probe
};
std::string_view to_string(SocketTimer) noexcept;  // the word of `ss -o`: "on", "timewait"; empty for None

// Bytes, after `ss -m`.
struct SocketMemory {
  std::uint32_t rmem_alloc = 0;  // taken by what is unread or ahead of a gap, as far as nothing else can use it
  std::uint32_t rcvbuf = 0;      // their bound
  std::uint32_t wmem_alloc = 0;  // in flight
  // Written and not acknowledged, and its bound. As Linux counts: each packet takes 1,280 bytes beside its payload, and
  // a packet begun below the bound is filled.
  std::uint32_t sndbuf = 0;
  std::uint32_t wmem_queued = 0;
  std::uint32_t drops = 0;  // packets for which there was no room
};

// One socket. Connections in accept queues are among them, requests in SYN queues (SYN-RECV) and TIME_WAIT entries too.
struct SocketInfo {
  SocketProtocol protocol = SocketProtocol::Tcp;
  // UDP: Closed, or Established when connect() was called.
  TcpState state = TcpState::Closed;
  FourTuple tuple;  // remote: "any" and 0 where there is none
  bool ipv6_only = false;
  std::uint64_t id = 0;  // no other living socket of the stack has it

  // Connection: unread bytes, and bytes written and not acknowledged. Listener: connections that wait to be accepted,
  // and their bound.
  std::uint32_t recv_queue = 0;
  std::uint32_t send_queue = 0;

  SocketTimer timer = SocketTimer::None;
  Duration timer_left{};
  std::uint8_t timer_retries = 0;  // how often it has run out in a row

  SocketMemory memory;
  std::optional<ConnectionInfo> connection;  // of connections alone
};

// Where a listing has got to, and what of it is wanted. Sockets that come or go between two calls may be left out; none
// that stays is.
class SocketCursor {
 public:
  static constexpr std::uint32_t bit(TcpState state) noexcept { return 1u << static_cast<unsigned>(state); }
  static constexpr std::uint32_t kAllStates = (1u << kTcpStates) - 1;

  SocketCursor() noexcept = default;
  // `states`: a sum of bit().
  SocketCursor(std::uint32_t states, bool tcp, bool udp) noexcept : states_(states), tcp_(tcp), udp_(udp) {}

  [[nodiscard]] bool at_end() const noexcept { return kind_ == kKinds; }
  [[nodiscard]] bool wants(SocketProtocol protocol, TcpState state) const noexcept {
    return (protocol == SocketProtocol::Tcp ? tcp_ : udp_) && (states_ & bit(state)) != 0;
  }

 private:
  friend class Stack;
  static constexpr std::uint8_t kKinds = 5;  // listeners, requests, connections, TIME_WAIT entries, datagram sockets

  std::uint32_t states_ = kAllStates;
  bool tcp_ = true;
  bool udp_ = true;
  std::uint8_t kind_ = 0;
  std::uint32_t index_ = 0;
};

}  // namespace ff
