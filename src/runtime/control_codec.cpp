#include "runtime/control_codec.hpp"

#include <array>
#include <type_traits>
#include <utility>

namespace ff::control {
namespace {

// ---- names of values -----------------------------------------------------------------------------------------------

constexpr std::array<std::string_view, kTcpStates> kStates{"UNCONN",  "LISTEN",     "SYN-SENT",   "SYN-RECV",
                                                           "ESTAB",   "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
                                                           "CLOSING", "LAST-ACK",   "TIME-WAIT"};

template <typename Enum>
std::optional<Enum> named(std::string_view name, Enum last, std::string_view (*name_of_value)(Enum) noexcept) {
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (name_of_value(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  return std::nullopt;
}

std::string_view text_of(SocketProtocol protocol) noexcept { return protocol == SocketProtocol::Tcp ? "tcp" : "udp"; }
std::string_view text_of(TcpState state) noexcept { return ss_name(state); }
std::string_view text_of(SocketTimer timer) noexcept { return to_string(timer); }
std::string_view text_of(CaState state) noexcept { return to_string(state); }
std::string_view text_of(FastOpenOutcome outcome) noexcept { return name_of(outcome); }

constexpr SocketProtocol last_of(SocketProtocol) { return SocketProtocol::Udp; }
constexpr TcpState last_of(TcpState) { return TcpState::TimeWait; }
constexpr SocketTimer last_of(SocketTimer) { return SocketTimer::Persist; }
constexpr CaState last_of(CaState) { return CaState::Loss; }
constexpr FastOpenOutcome last_of(FastOpenOutcome) { return FastOpenOutcome::SynRepeated; }

// ---- one value -----------------------------------------------------------------------------------------------------

struct Writer {
  Json& json;
  Instant now;

  template <typename T>
  void operator()(const char* name, const T& value) {
    if constexpr (std::is_enum_v<T>) {
      json[name] = text_of(value);
    } else if constexpr (std::is_same_v<T, Duration>) {
      json[name] = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
    } else if constexpr (std::is_same_v<T, Instant>) {
      if (value == Instant{}) return;  // it never happened
      json[name] = std::chrono::duration_cast<std::chrono::milliseconds>(now - value).count();
    } else if constexpr (std::is_same_v<T, Endpoint> || std::is_same_v<T, IpAddress>) {
      json[name] = value.to_string();
    } else {
      json[name] = value;
    }
  }
};

struct Reader {
  const Json& json;
  Instant now;
  bool good = true;

  template <typename T>
  void operator()(const char* name, T& value) {
    const auto found = json.find(name);
    if constexpr (std::is_same_v<T, Instant>) {
      if (found == json.end()) return;
    }
    if (found == json.end() || !read(*found, value)) good = false;
  }

 private:
  template <typename T>
  bool read(const Json& from, T& value) {
    if constexpr (std::is_enum_v<T>) {
      const auto* text = from.get_ptr<const std::string*>();
      const auto known =
          text == nullptr ? std::nullopt : named<T>(*text, last_of(T{}), [](T v) noexcept { return text_of(v); });
      if (known) value = *known;
      return known.has_value();
    } else if constexpr (std::is_same_v<T, Endpoint> || std::is_same_v<T, IpAddress>) {
      const auto* text = from.get_ptr<const std::string*>();
      const auto parsed = text == nullptr ? std::nullopt : T::parse(*text);
      if (parsed) value = *parsed;
      return parsed.has_value();
    } else if constexpr (std::is_same_v<T, std::string>) {
      const auto* text = from.get_ptr<const std::string*>();
      if (text != nullptr) value = *text;
      return text != nullptr;
    } else if constexpr (std::is_same_v<T, bool>) {
      if (from.is_boolean()) value = from.get<bool>();
      return from.is_boolean();
    } else {
      if (!from.is_number_integer()) return false;
      if constexpr (std::is_same_v<T, Duration>) {
        value = std::chrono::microseconds(from.get<std::int64_t>());
      } else if constexpr (std::is_same_v<T, Instant>) {
        value = now - std::chrono::milliseconds(from.get<std::int64_t>());
      } else {
        value = from.get<T>();
      }
      return true;
    }
  }
};

// ---- the fields, once for both directions

template <typename Visitor, typename Socket>
void visit_socket(Visitor& visit, Socket& socket) {
  visit("protocol", socket.protocol);
  visit("state", socket.state);
  visit("local", socket.tuple.local);
  visit("remote", socket.tuple.remote);
  visit("ipv6_only", socket.ipv6_only);
  visit("id", socket.id);
  visit("recv_queue", socket.recv_queue);
  visit("send_queue", socket.send_queue);
  visit("timer", socket.timer);
  visit("timer_left_us", socket.timer_left);
  visit("timer_retries", socket.timer_retries);
}

template <typename Visitor, typename Memory>
void visit_memory(Visitor& visit, Memory& memory) {
  visit("rmem_alloc", memory.rmem_alloc);
  visit("rcvbuf", memory.rcvbuf);
  visit("wmem_alloc", memory.wmem_alloc);
  visit("sndbuf", memory.sndbuf);
  visit("wmem_queued", memory.wmem_queued);
  visit("drops", memory.drops);
}

template <typename Visitor, typename Info>
void visit_path(Visitor& visit, Info& info) {
  visit("fast_open", info.fast_open);
  visit("syn_data_bytes", info.syn_data_bytes);
  visit("early_bytes", info.early_bytes);
  visit("syn_waits_for_write", info.syn_waits_for_write);
  visit("fastopen_client_fail", info.fastopen_client_fail);
  visit("timestamps", info.timestamps);
  visit("sack", info.sack);
  visit("ecn", info.ecn);
  visit("ecn_seen", info.ecn_seen);
  visit("no_delay", info.no_delay);
  visit("mark", info.mark);
  visit("snd_wscale", info.snd_wscale);
  visit("rcv_wscale", info.rcv_wscale);
  visit("snd_mss", info.snd_mss);
  visit("rcv_mss", info.rcv_mss);
  visit("advmss", info.advmss);
  visit("pmtu", info.pmtu);
  visit("rtt_us", info.rtt);
  visit("rttvar_us", info.rttvar);
  visit("min_rtt_us", info.min_rtt);
  visit("rto_us", info.rto);
  visit("ato_us", info.ato);
  visit("congestion_control", info.congestion_control);
  visit("ca_state", info.ca_state);
  visit("snd_cwnd", info.snd_cwnd);
  visit("snd_ssthresh", info.snd_ssthresh);
  visit("pacing_rate", info.pacing_rate);
  visit("delivery_rate", info.delivery_rate);
  visit("delivery_rate_app_limited", info.delivery_rate_app_limited);
  visit("unacked", info.unacked);
  visit("lost", info.lost);
  visit("sacked", info.sacked);
  visit("retransmits", info.retransmits);
  visit("backoff", info.backoff);
  visit("probes", info.probes);
}

template <typename Visitor, typename Info>
void visit_flow(Visitor& visit, Info& info) {
  visit("snd_wnd", info.snd_wnd);
  visit("rcv_wnd", info.rcv_wnd);
  visit("rcv_ssthresh", info.rcv_ssthresh);
  visit("rcv_space", info.rcv_space);
  visit("notsent", info.notsent);
  visit("unread", info.unread);
  visit("bytes_sent", info.bytes_sent);
  visit("bytes_acked", info.bytes_acked);
  visit("bytes_received", info.bytes_received);
  visit("bytes_retrans", info.bytes_retrans);
  visit("segs_out", info.segs_out);
  visit("segs_in", info.segs_in);
  visit("data_segs_out", info.data_segs_out);
  visit("data_segs_in", info.data_segs_in);
  visit("delivered", info.delivered);
  visit("delivered_ce", info.delivered_ce);
  visit("retrans", info.retrans);
  visit("total_retrans", info.total_retrans);
  visit("dsack_dups", info.dsack_dups);
  visit("reordering", info.reordering);
  visit("reord_seen", info.reord_seen);
  visit("rcv_ooopack", info.rcv_ooopack);
  visit("rcv_drops", info.rcv_drops);
  visit("total_rto", info.total_rto);
  visit("total_rto_recoveries", info.total_rto_recoveries);
  visit("total_rto_time_us", info.total_rto_time);
  visit("busy_time_us", info.busy_time);
  visit("rwnd_limited_us", info.rwnd_limited);
  visit("sndbuf_limited_us", info.sndbuf_limited);
  visit("last_data_sent_ms", info.last_data_sent);
  visit("last_data_recv_ms", info.last_data_recv);
  visit("last_ack_recv_ms", info.last_ack_recv);
}

template <typename Visitor, typename Path>
void visit_known_path(Visitor& visit, Path& path) {
  visit("destination", path.metrics.destination);
  visit("source", path.metrics.source);
  visit("age_ms", path.metrics.updated);
  visit("ssthresh", path.metrics.ssthresh);
  visit("cwnd", path.metrics.cwnd);
  visit("reordering", path.metrics.reordering);
  visit("rtt_us", path.metrics.rtt);
  visit("rttvar_us", path.metrics.rttvar);
  visit("fo_mss", path.fo_mss);
  visit("fo_syn_drops", path.fo_syn_drops);
  visit("fo_cookie", path.fo_cookie);
  visit("fo_partition", path.fo_partition);
}

}  // namespace

std::string_view ss_name(TcpState state) noexcept { return kStates[static_cast<std::size_t>(state)]; }

std::string to_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json encode(const SocketInfo& socket, Instant now) {
  Json json;
  Writer write{json, now};
  visit_socket(write, socket);
  Json memory;
  Writer write_memory{memory, now};
  visit_memory(write_memory, socket.memory);
  json["memory"] = std::move(memory);
  if (socket.connection) {
    Json info;
    Writer write_info{info, now};
    visit_path(write_info, *socket.connection);
    visit_flow(write_info, *socket.connection);
    json["info"] = std::move(info);
  }
  return json;
}

std::optional<SocketInfo> decode(const Json& json, Instant now) {
  if (!json.is_object() || !json.contains("memory") || !json["memory"].is_object()) return std::nullopt;
  SocketInfo socket;
  Reader read{json, now};
  visit_socket(read, socket);
  Reader read_memory{json["memory"], now};
  visit_memory(read_memory, socket.memory);
  bool good = read.good && read_memory.good;
  if (const auto info = json.find("info"); info != json.end()) {
    if (!info->is_object()) return std::nullopt;
    ConnectionInfo& connection = socket.connection.emplace();
    connection.tuple = socket.tuple;
    connection.state = socket.state;
    Reader read_info{*info, now};
    visit_path(read_info, connection);
    visit_flow(read_info, connection);
    good = good && read_info.good;
  }
  return good ? std::optional(socket) : std::nullopt;
}

Json encode(const KnownPath& path, Instant now) {
  Json json;
  Writer write{json, now};
  visit_known_path(write, path);
  return json;
}

std::optional<KnownPath> decode_path(const Json& json, Instant now) {
  if (!json.is_object()) return std::nullopt;
  KnownPath path;
  Reader read{json, now};
  visit_known_path(read, path);
  return read.good ? std::optional(path) : std::nullopt;
}

Json encode(const Counters& counters) {
  Json json = Json::object();
  for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::kCount); ++i) {
    const auto counter = static_cast<Counter>(i);
    json[std::string(group_of(counter))][std::string(name_of(counter))] = counters[counter];
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(DropReason::kCount); ++i) {
    const auto reason = static_cast<DropReason>(i);
    json["drops"][std::string(name_of(reason))] = counters[reason];
  }
  for (std::size_t i = 0; i < kFastOpenOutcomes; ++i) {
    const auto outcome = static_cast<FastOpenOutcome>(i);
    json["fast_open"][std::string(name_of(outcome))] = counters[outcome];
  }
  return json;
}

}  // namespace ff::control
