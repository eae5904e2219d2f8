#include "firstflight/socket_options.hpp"

namespace ff {

namespace {

struct Range {
  const char* name;
  std::uint32_t SocketOptions::* member;
  std::uint32_t min, max;
};

// As Linux's do_tcp_setsockopt() has them; 0, which stands for "not set", is allowed besides.
constexpr Range kRanges[] = {
    {"SO_RCVBUF", &SocketOptions::rcvbuf, 1, 0x3fffffff},
    {"SO_SNDBUF", &SocketOptions::sndbuf, 1, 0x3fffffff},
    {"IP_TOS", &SocketOptions::tos, 1, 255},
    {"IP_TTL", &SocketOptions::ttl, 1, 255},
    {"TCP_KEEPIDLE", &SocketOptions::keepidle, 1, 32767},
    {"TCP_KEEPINTVL", &SocketOptions::keepintvl, 1, 32767},
    {"TCP_KEEPCNT", &SocketOptions::keepcnt, 1, 127},
    {"TCP_USER_TIMEOUT", &SocketOptions::user_timeout, 1, 0x7fffffff},
    {"TCP_SYNCNT", &SocketOptions::syncnt, 1, 127},
    {"TCP_DEFER_ACCEPT", &SocketOptions::defer_accept, 1, 0x7fffffff},
    {"TCP_MAXSEG", &SocketOptions::maxseg, 88, 32767},
    {"TCP_WINDOW_CLAMP", &SocketOptions::window_clamp, 1, 0xffffffff},
    {"TCP_TX_DELAY", &SocketOptions::tx_delay, 1, (1u << 28) - 1},
    {"TCP_SAVE_SYN", &SocketOptions::save_syn, 1, 2},
    {"TCP_NOTSENT_LOWAT", &SocketOptions::notsent_lowat, 1, 0xffffffff},
};
constexpr std::int32_t kLongestLinger2 = 120;  // Linux's TCP_FIN_TIMEOUT_MAX

}  // namespace

std::expected<void, std::string> check(const SocketOptions& options) {
  for (const Range& range : kRanges) {
    const std::uint32_t value = options.*range.member;
    if (value == 0 || (value >= range.min && value <= range.max)) continue;
    return std::unexpected(std::string(range.name) + " cannot be " + std::to_string(value) + "; allowed is " +
                           std::to_string(range.min) + " to " + std::to_string(range.max) + ", or 0 for the default");
  }
  if (options.linger2 > kLongestLinger2)
    return std::unexpected("TCP_LINGER2 cannot be " + std::to_string(options.linger2) +
                           "; allowed is up to 120, or a negative number for not at all");
  return {};
}

}  // namespace ff
