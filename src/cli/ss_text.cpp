#include "cli/ss_text.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "runtime/control_codec.hpp"

namespace ff::cli {
namespace {

// ---- ports and addresses -------------------------------------------------------------------------------------------

class ServiceNames {
 public:
  std::string operator()(SocketProtocol protocol, std::uint16_t port) {
    const auto [known, is_new] = names_.try_emplace({protocol, port});
    if (is_new) {
      const char* protocol_name = protocol == SocketProtocol::Tcp ? "tcp" : "udp";
      const servent* service = ::getservbyport(htons(port), protocol_name);
      known->second = service != nullptr ? std::string(service->s_name) : std::to_string(port);
    }
    return known->second;
  }

 private:
  std::map<std::pair<SocketProtocol, std::uint16_t>, std::string> names_;
};

// :: that takes IPv4 too is "*", as ss writes it.
std::string address_text(const SocketInfo& socket, const IpAddress& address) {
  const bool listens = socket.tuple.remote.port == 0;
  if (address == IpAddress::any_v6()) return listens && !socket.ipv6_only ? "*" : "[::]";
  return address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
}

// ---- the line's parts ----------------------------------------------------------------------------------------------

std::string timer_text(const SocketInfo& socket) {
  if (socket.timer == SocketTimer::None) return {};
  return fmt::format("timer:({},{},{})", to_string(socket.timer), ss_duration(socket.timer_left), socket.timer_retries);
}

// f, o and bl of ss are not there: no memory is set aside, no packet waits for a lock.
std::string memory_text(const SocketMemory& memory) {
  return fmt::format("skmem:(r{},rb{},t{},tb{},f0,w{},o0,bl0,d{})", memory.rmem_alloc, memory.rcvbuf, memory.wmem_alloc,
                     memory.sndbuf, memory.wmem_queued, memory.drops);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!text.empty()) text += ' ';
    text += part;
  }
  return text;
}

// What stands in the last column, and what in a line of its own below.
struct Extras {
  std::string beside, below;
};

Extras extras_of(const SocketInfo& socket, const SsStyle& style, Instant now) {
  std::vector<std::string> beside;
  if (!style.process.empty()) beside.push_back(fmt::format("users:(({}))", style.process));
  if (style.timers || style.extended) beside.push_back(timer_text(socket));
  if (style.extended) beside.push_back(fmt::format("sk:{:x}", socket.id));
  if (style.extended && socket.connection && socket.connection->mark != 0)
    beside.push_back(fmt::format("fwmark:{:#x}", socket.connection->mark));
  std::vector<std::string> below;
  if (style.memory) below.push_back(memory_text(socket.memory));
  if (style.info) below.push_back(ss_info(socket, now));
  if (style.one_line) {
    beside.push_back(joined(below));
    below.clear();
  }
  return {joined(beside), joined(below)};
}

// ---- the table -----------------------------------------------------------------------------------------------------

enum Column : std::size_t { kNetid, kState, kRecvQ, kSendQ, kLocal, kLocalPort, kPeer, kPeerPort, kExtra, kColumns };
using Row = std::array<std::string, kColumns>;

constexpr std::array<std::string_view, kColumns> kHeader{
    "Netid", "State", "Recv-Q", "Send-Q", "Local Address:", "Port", "Peer Address:", "Port", "Process"};

bool is_right_aligned(std::size_t column) { return column == kLocal || column == kPeer; }
// A port stands directly behind its address.
bool is_attached(std::size_t column) { return column == kLocalPort || column == kPeerPort; }

class Layout {
 public:
  Layout(const std::vector<Row>& rows, const SsStyle& style) : style_(style) {
    for (const Row& row : rows)
      for (std::size_t i = 0; i < kColumns; ++i) widths_[i] = std::max(widths_[i], row[i].size());
    if (style.width > 0) spread();
  }

  [[nodiscard]] std::string line(const Row& row) const {
    std::string text;
    bool first = true;
    for (std::size_t i = 0; i < kColumns; ++i) {
      if (!shown(i)) continue;
      if (!first && !is_attached(i)) text += ' ';
      first = false;
      text +=
          is_right_aligned(i) ? fmt::format("{:>{}}", row[i], widths_[i]) : fmt::format("{:<{}}", row[i], widths_[i]);
    }
    text.resize(text.find_last_not_of(' ') + 1);
    return text + '\n';
  }

 private:
  [[nodiscard]] bool shown(std::size_t column) const {
    return (column != kNetid || style_.show_protocol) && (column != kState || style_.show_state);
  }
  // Gives every column but the last its share of what the terminal has to spare.
  void spread() {
    std::size_t used = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < kColumns; ++i) {
      if (!shown(i)) continue;
      used += widths_[i] + (is_attached(i) ? 0 : 1);
      count += i != kExtra ? 1 : 0;
    }
    if (used >= style_.width) return;
    const std::size_t share = (style_.width - used) / count;
    for (std::size_t i = 0; i < kExtra; ++i) widths_[i] += share;
  }

  const SsStyle& style_;
  std::array<std::size_t, kColumns> widths_{};
};

Row header_row() {
  Row row;
  std::ranges::copy(kHeader, row.begin());
  return row;
}

// ---- struct tcp_info -----------------------------------------------------------------------------------------------

class InfoText {
 public:
  template <typename... Arguments>
  void put(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (!text_.empty()) text_ += ' ';
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
  }
  template <typename T>
  void put_nonzero(std::string_view name, T value) {
    if (value != 0) put("{}:{}", name, value);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

std::uint32_t segments(std::uint32_t bytes, std::uint32_t mss) { return mss == 0 ? 0 : (bytes + mss - 1) / mss; }

void put_options(InfoText& text, const ConnectionInfo& info) {
  if (info.timestamps) text.put("ts");
  if (info.sack) text.put("sack");
  if (info.ecn) text.put("ecn");
  if (info.ecn_seen) text.put("ecnseen");
  // Linux's TCPI_OPT_SYN_DATA: the data in the SYN arrived.
  if (info.fast_open == FastOpenOutcome::Accepted) text.put("fastopen");
  text.put("{}", info.congestion_control);
  if (info.snd_wscale != 0 || info.rcv_wscale != 0) text.put("wscale:{},{}", info.snd_wscale, info.rcv_wscale);
}

void put_path(InfoText& text, const ConnectionInfo& info) {
  text.put("rto:{:g}", milliseconds(info.rto));
  text.put_nonzero("backoff", +info.backoff);
  if (info.rtt > Duration::zero()) text.put("rtt:{:g}/{:g}", milliseconds(info.rtt), milliseconds(info.rttvar));
  if (info.ato > Duration::zero()) text.put("ato:{:g}", milliseconds(info.ato));
  text.put_nonzero("mss", info.snd_mss);
  text.put_nonzero("pmtu", info.pmtu);
  text.put_nonzero("rcvmss", info.rcv_mss);
  text.put_nonzero("advmss", info.advmss);
}

void put_congestion(InfoText& text, const ConnectionInfo& info) {
  const std::uint32_t mss = std::max(info.snd_mss, 1u);
  text.put("cwnd:{}", info.snd_cwnd / mss);
  if (info.snd_ssthresh < 1u << 30) text.put("ssthresh:{}", info.snd_ssthresh / mss);
}

void put_totals(InfoText& text, const ConnectionInfo& info) {
  text.put_nonzero("bytes_sent", info.bytes_sent);
  text.put_nonzero("bytes_retrans", info.bytes_retrans);
  text.put_nonzero("bytes_acked", info.bytes_acked);
  text.put_nonzero("bytes_received", info.bytes_received);
  text.put_nonzero("segs_out", info.segs_out);
  text.put_nonzero("segs_in", info.segs_in);
  text.put_nonzero("data_segs_out", info.data_segs_out);
  text.put_nonzero("data_segs_in", info.data_segs_in);
}

void put_times(InfoText& text, const ConnectionInfo& info, Instant now) {
  if (info.rtt > Duration::zero())
    text.put("send {:.0f}bps", info.snd_cwnd * 8.0 / std::chrono::duration<double>(info.rtt).count());
  const auto age = [&](std::string_view name, Instant at) {
    if (at != Instant{})
      text.put("{}:{}", name, std::chrono::duration_cast<std::chrono::milliseconds>(now - at).count());
  };
  age("lastsnd", info.last_data_sent);
  age("lastrcv", info.last_data_recv);
  age("lastack", info.last_ack_recv);
}

std::int64_t whole_milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

void put_share(InfoText& text, std::string_view name, Duration part, Duration whole) {
  if (part == Duration::zero()) return;
  text.put("{}:{}ms({:.1f}%)", name, whole_milliseconds(part), 100 * milliseconds(part) / milliseconds(whole));
}

void put_recovery(InfoText& text, const ConnectionInfo& info) {
  if (info.pacing_rate != 0) text.put("pacing_rate {}bps", info.pacing_rate * 8);
  if (info.delivery_rate != 0) text.put("delivery_rate {}bps", info.delivery_rate * 8);
  text.put_nonzero("delivered", info.delivered);
  if (info.delivery_rate_app_limited) text.put("app_limited");
  if (info.busy_time > Duration::zero()) {
    text.put("busy:{}ms", whole_milliseconds(info.busy_time));
    put_share(text, "rwnd_limited", info.rwnd_limited, info.busy_time);
    put_share(text, "sndbuf_limited", info.sndbuf_limited, info.busy_time);
  }
  text.put_nonzero("unacked", segments(info.unacked, info.snd_mss));
  if (info.retransmits != 0 || info.total_retrans != 0) text.put("retrans:{}/{}", info.retransmits, info.total_retrans);
  text.put_nonzero("lost", segments(info.lost, info.snd_mss));
  text.put_nonzero("sacked", segments(info.sacked, info.snd_mss));
  text.put_nonzero("dsack_dups", info.dsack_dups);
  if (info.ca_state != CaState::Open) text.put("ca_state:{}", to_string(info.ca_state));
}

void put_windows(InfoText& text, const ConnectionInfo& info) {
  text.put_nonzero("rcv_space", info.rcv_space);
  text.put_nonzero("rcv_ssthresh", info.rcv_ssthresh);
  text.put_nonzero("notsent", info.notsent);
  if (info.min_rtt > Duration::zero()) text.put("minrtt:{:g}", milliseconds(info.min_rtt));
  text.put_nonzero("reord_seen", info.reord_seen);
  text.put_nonzero("rcv_ooopack", info.rcv_ooopack);
  text.put_nonzero("snd_wnd", info.snd_wnd);
  text.put_nonzero("rcv_wnd", info.rcv_wnd);
  if (info.total_rto != 0)
    text.put("total_rto:{} total_rto_recoveries:{} total_rto_time:{}ms", info.total_rto, info.total_rto_recoveries,
             whole_milliseconds(info.total_rto_time));
  text.put_nonzero("fastopen_client_fail", +info.fastopen_client_fail);
  if (info.fast_open != FastOpenOutcome::NotTried) text.put("fastopen_outcome:{}", name_of(info.fast_open));
  text.put_nonzero("syn_data", info.syn_data_bytes);
}

}  // namespace

// ss leaves out what is small beside the rest: minutes alone above nine, no milliseconds above nine seconds.
std::string ss_duration(Duration duration) {
  const auto whole = std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(), 0);
  const std::int64_t minutes = whole / 60'000;
  const std::int64_t seconds = minutes > 9 ? 0 : whole / 1000 % 60;
  const std::int64_t rest = minutes > 0 || seconds > 9 ? 0 : whole % 1000;
  std::string text;
  if (minutes > 0) text += fmt::format("{}min", minutes);
  if (seconds > 0) text += fmt::format("{}{}", seconds, rest > 0 ? "." : "sec");
  if (rest > 0) text += fmt::format("{:03}ms", rest);
  return text;
}

std::string ss_info(const SocketInfo& socket, Instant now) {
  if (!socket.connection) return {};
  InfoText text;
  put_options(text, *socket.connection);
  put_path(text, *socket.connection);
  put_congestion(text, *socket.connection);
  put_totals(text, *socket.connection);
  put_times(text, *socket.connection, now);
  put_recovery(text, *socket.connection);
  put_windows(text, *socket.connection);
  return text.take();
}

std::string ss_table(const std::vector<SocketInfo>& sockets, const SsStyle& style, Instant now) {
  std::vector<Row> rows;
  std::vector<std::string> below;
  if (style.header) {
    rows.push_back(header_row());
    below.emplace_back();
  }
  ServiceNames names;
  const auto port = [&](const SocketInfo& socket, std::uint16_t number) {
    if (number == 0) return std::string("*");
    return style.numeric ? std::to_string(number) : names(socket.protocol, number);
  };
  for (const SocketInfo& socket : sockets) {
    Extras extras = extras_of(socket, style, now);
    rows.push_back({socket.protocol == SocketProtocol::Tcp ? "tcp" : "udp", std::string(control::ss_name(socket.state)),
                    std::to_string(socket.recv_queue), std::to_string(socket.send_queue),
                    address_text(socket, socket.tuple.local.address) + ":", port(socket, socket.tuple.local.port),
                    address_text(socket, socket.tuple.remote.address) + ":", port(socket, socket.tuple.remote.port),
                    std::move(extras.beside)});
    below.push_back(std::move(extras.below));
  }
  const Layout layout(rows, style);
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += layout.line(rows[i]);
    if (!below[i].empty()) text += "\t " + below[i] + '\n';
  }
  return text;
}

}  // namespace ff::cli
