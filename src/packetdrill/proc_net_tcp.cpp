#include "packetdrill/proc_net_tcp.hpp"

#include <netinet/tcp.h>

#include <array>
#include <cstdio>
#include <cstring>

namespace ff::packetdrill {
namespace {

int state_number(TcpState state) noexcept {
  switch (state) {
    case TcpState::Closed:
      return TCP_CLOSE;
    case TcpState::Listen:
      return TCP_LISTEN;
    case TcpState::SynSent:
      return TCP_SYN_SENT;
    case TcpState::SynReceived:
      return TCP_SYN_RECV;
    case TcpState::Established:
      return TCP_ESTABLISHED;
    case TcpState::FinWait1:
      return TCP_FIN_WAIT1;
    case TcpState::FinWait2:
      return TCP_FIN_WAIT2;
    case TcpState::CloseWait:
      return TCP_CLOSE_WAIT;
    case TcpState::Closing:
      return TCP_CLOSING;
    case TcpState::LastAck:
      return TCP_LAST_ACK;
    case TcpState::TimeWait:
      return TCP_TIME_WAIT;
  }
  return 0;
}

// As the kernel prints it: in words of the machine's byte order.
std::string end_text(const Endpoint& end, bool v4) {
  const std::span<const std::uint8_t> bytes =
      v4 ? std::span<const std::uint8_t>(end.address.v4_bytes()) : std::span<const std::uint8_t>(end.address.bytes());
  std::string text;
  std::array<char, 16> part;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    std::snprintf(part.data(), part.size(), "%08X", word);
    text += part.data();
  }
  std::snprintf(part.data(), part.size(), ":%04X", end.port);
  return text + part.data();
}

}  // namespace

std::string proc_net_tcp(std::span<const SocketInfo> sockets, bool v4) {
  const char* const gap = v4 ? "" : "                        ";
  std::string text = std::string("  sl  local_address ") + gap + "rem_address   " + gap +
                     "st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  int line = 0;
  for (const SocketInfo& socket : sockets) {
    if (socket.protocol != SocketProtocol::Tcp || socket.tuple.local.address.is_v4() != v4) continue;
    std::array<char, 128> rest;
    std::snprintf(rest.data(), rest.size(), " %02X %08X:%08X 00:00000000 %08X     0        0 0\n",
                  static_cast<unsigned>(state_number(socket.state)), socket.send_queue, socket.recv_queue,
                  static_cast<unsigned>(socket.timer_retries));
    std::array<char, 16> number;
    std::snprintf(number.data(), number.size(), "%4d: ", line++);
    text += number.data();
    // What is not connected has no other end.
    Endpoint remote = socket.tuple.remote;
    if (remote.port == 0) remote.address = v4 ? IpAddress::any_v4() : IpAddress::any_v6();
    text += end_text(socket.tuple.local, v4) + " " + end_text(remote, v4) + rest.data();
  }
  return text;
}

}  // namespace ff::packetdrill
