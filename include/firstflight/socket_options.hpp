// What an application may ask of one socket: setsockopt()'s names, units, ranges and meaning, after Linux's tcp(7) and
// socket(7). A connection has its listener's options when it is accepted.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "firstflight/network.hpp"

namespace ff {

// The name of a congestion control: at most 15 characters, as with Linux (TCP_CA_NAME_MAX). Of a longer one 16 are
// kept, which is nobody's name.
class CongestionName {
 public:
  constexpr CongestionName() noexcept = default;
  // NOLINTBEGIN(google-explicit-constructor): it stands for the text
  constexpr CongestionName(std::string_view name) noexcept {
    for (std::size_t i = 0; i < std::min(name.size(), text_.size()); ++i) text_[i] = name[i];
  }
  constexpr CongestionName(const char* name) noexcept : CongestionName(std::string_view(name)) {}
  CongestionName(const std::string& name) noexcept : CongestionName(std::string_view(name)) {}
  // NOLINTEND(google-explicit-constructor)
  [[nodiscard]] constexpr bool empty() const noexcept { return text_[0] == '\0'; }
  [[nodiscard]] constexpr std::string_view view() const noexcept {
    return {text_.data(), static_cast<std::size_t>(std::find(text_.begin(), text_.end(), '\0') - text_.begin())};
  }
  friend constexpr bool operator==(const CongestionName&, const CongestionName&) noexcept = default;

 private:
  std::array<char, 16> text_{};
};

struct SocketOptions {
  // ---- SOL_SOCKET ----
  bool reuse_addr = false;  // SO_REUSEADDR: bind() beside sockets that have it too and do not listen
  bool reuse_port = false;  // SO_REUSEPORT: sockets that all have it share a port; SYNs are spread
  bool keepalive = false;   // SO_KEEPALIVE
  // SO_LINGER, seconds: how long close() waits for the peer to acknowledge everything, see Stack::close(). 0: it
  // resets, and leaves no TIME_WAIT.
  std::optional<std::uint32_t> linger{};
  bool oob_inline = false;            // SO_OOBINLINE: urgent bytes stay where they are in the stream
  std::uint32_t rcvbuf = 0;           // SO_RCVBUF, bytes of window; 0: tcp_rmem, growing
  std::uint32_t sndbuf = 0;           // SO_SNDBUF, bytes of memory (SocketMemory::sndbuf); 0: tcp_wmem, growing
  std::uint64_t max_pacing_rate = 0;  // SO_MAX_PACING_RATE, bytes a second; 0: no bound
  std::uint32_t mark = 0;             // SO_MARK: for whoever looks at sockets (`ff ss -e`)
  bool receive_stamps = false;        // SO_TIMESTAMP and the like: Stack::last_arrival() can tell

  // ---- IPPROTO_IP, IPPROTO_IPV6 ----
  std::uint32_t tos = 0;        // IP_TOS, IPV6_TCLASS: DSCP; the two bits of ECN are TCP's own
  std::uint32_t ttl = 0;        // IP_TTL, IPV6_UNICAST_HOPS; 0: ip_default_ttl
  bool receive_errors = false;  // IP_RECVERR: the application hears of ICMP errors that end nothing
  bool freebind = false;        // IP_FREEBIND: bind() also to what is no address of ours (yet)
  PathMtuDiscovery path_mtu_discovery = PathMtuDiscovery::Want;  // IP_MTU_DISCOVER, over IPv4

  // ---- IPPROTO_TCP ----
  bool no_delay = false;            // TCP_NODELAY
  bool cork = false;                // TCP_CORK: short segments wait, 200 ms at most
  std::uint32_t keepidle = 0;       // TCP_KEEPIDLE, seconds; 0: tcp_keepalive_time
  std::uint32_t keepintvl = 0;      // TCP_KEEPINTVL, seconds; 0: tcp_keepalive_intvl
  std::uint32_t keepcnt = 0;        // TCP_KEEPCNT; 0: tcp_keepalive_probes
  std::uint32_t user_timeout = 0;   // TCP_USER_TIMEOUT, milliseconds; 0: tcp_retries2
  std::int32_t linger2 = 0;         // TCP_LINGER2, seconds; 0: tcp_fin_timeout; negative: no FIN_WAIT_2
  std::uint32_t syncnt = 0;         // TCP_SYNCNT; 0: tcp_syn_retries, tcp_synack_retries
  std::uint32_t defer_accept = 0;   // TCP_DEFER_ACCEPT, seconds; listeners
  std::uint32_t maxseg = 0;         // TCP_MAXSEG, bytes; 0: what the path's MTU allows
  CongestionName congestion{};      // TCP_CONGESTION; empty: tcp_congestion_control, on a connection what it has
  std::uint32_t notsent_lowat = 0;  // TCP_NOTSENT_LOWAT, bytes; 0: tcp_notsent_lowat
  std::uint32_t save_syn = 0;       // TCP_SAVE_SYN; listeners. 2: with the header of the link
  std::uint32_t window_clamp = 0;   // TCP_WINDOW_CLAMP, bytes: the most that is offered at a time; 0: no bound
  std::uint32_t tx_delay = 0;       // TCP_TX_DELAY, microseconds: how long each packet is kept before it goes out

  friend bool operator==(const SocketOptions&, const SocketOptions&) noexcept = default;
};

// One sentence that names the option, the value and what is allowed, where one is not.
std::expected<void, std::string> check(const SocketOptions&);

}  // namespace ff
