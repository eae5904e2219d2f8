// The filters of `ff ss`, in the language of ss(8):
//
//   [state NAME]... [exclude NAME]... EXPRESSION
//   EXPRESSION: dst ADDRESS, src ADDRESS, dport OP :PORT, sport OP :PORT, joined by and, or, not and parentheses;
//               two of them side by side must both hold; "and" binds closer than "or".
//   ADDRESS:    192.0.2.1, 192.0.2.0/24, 192.0.2.1:80, 2001:db8::/32, [2001:db8::1]:443, *:80, :80
//   OP:         = != < <= > >=, or eq ne lt le gt ge
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "cli/options.hpp"
#include "firstflight/sockets.hpp"

namespace ff::cli {

using SocketPredicate = std::function<bool(const SocketInfo&)>;

struct SocketFilter {
  std::uint32_t states = 0;  // a sum of SocketCursor::bit()
  SocketPredicate matches;
};

// Those of `ss` without options, of -l, and of -a.
inline constexpr std::uint32_t kListeningStates =
    SocketCursor::bit(TcpState::Listen) | SocketCursor::bit(TcpState::Closed);
inline constexpr std::uint32_t kConnectedStates = SocketCursor::kAllStates & ~kListeningStates &
                                                  ~SocketCursor::bit(TcpState::TimeWait) &
                                                  ~SocketCursor::bit(TcpState::SynReceived);

// `states`: those wanted where the filter names none. The error says what was wrong, where, and what would work.
Parsed<SocketFilter> parse_socket_filter(std::string_view text, std::uint32_t states);

}  // namespace ff::cli
