#include "firstflight/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace ff {
namespace {

// ---- values ------------------------------------------------------------------------------------------------------

constexpr std::string_view kBlank = " \t\r\n";

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// As Linux's sysctl reads numbers: 0x for hexadecimal, a leading 0 for octal.
std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Exactly `count` numbers between `min` and `max`, apart by blanks.
template <std::size_t count>
std::optional<std::array<std::uint32_t, count>> parse_numbers(std::string_view text, std::uint32_t min,
                                                              std::uint32_t max) noexcept {
  std::array<std::uint32_t, count> values;
  for (std::uint32_t& value : values) {
    text = trim(text);
    const std::size_t end = std::min(text.find_first_of(kBlank), text.size());
    const auto number = parse_number(text.substr(0, end));
    if (!number || *number < min || *number > max) return std::nullopt;
    value = static_cast<std::uint32_t>(*number);
    text.remove_prefix(end);
  }
  if (!text.empty()) return std::nullopt;
  return values;
}

// ---- the table ---------------------------------------------------------------------------------------------------

struct Setting {
  SettingInfo info;
  std::string (*get)(const Settings&);
  // False when the text is not acceptable; nothing has changed then. The text has no blanks around it.
  bool (*set)(Settings&, std::string_view);
  // Where what is allowed depends: what that is now.
  std::string (*allowed_now)(const Settings&) = nullptr;
};

constexpr std::uint32_t kIntMax = 0x7fffffff;

template <std::uint32_t Settings::* member, std::uint32_t min, std::uint32_t max>
constexpr Setting number(std::string_view name, std::string_view allowed, std::string_view meaning) {
  return {{name, allowed, meaning},
          [](const Settings& settings) { return std::to_string(settings.*member); },
          [](Settings& settings, std::string_view text) {
            const auto value = parse_numbers<1>(text, min, max);
            if (value) settings.*member = (*value)[0];
            return value.has_value();
          }};
}

template <bool Settings::* member>
constexpr Setting flag(std::string_view name, std::string_view meaning) {
  return {{name, "0 (off) or 1 (on)", meaning},
          [](const Settings& settings) { return std::string(settings.*member ? "1" : "0"); },
          [](Settings& settings, std::string_view text) {
            const auto value = parse_numbers<1>(text, 0, 1);
            if (value) settings.*member = (*value)[0] == 1;
            return value.has_value();
          }};
}

template <BufferSizes Settings::* member>
constexpr Setting buffer_sizes(std::string_view name, std::string_view meaning) {
  return {{name, "three whole numbers of bytes, min, default and max, from 1 to 2147483647, none below the one before",
           meaning},
          [](const Settings& settings) {
            const BufferSizes& sizes = settings.*member;
            return std::to_string(sizes.min) + "\t" + std::to_string(sizes.initial) + "\t" + std::to_string(sizes.max);
          },
          [](Settings& settings, std::string_view text) {
            const auto values = parse_numbers<3>(text, 1, kIntMax);
            if (!values || !std::is_sorted(values->begin(), values->end())) return false;
            settings.*member = {(*values)[0], (*values)[1], (*values)[2]};
            return true;
          }};
}

std::string get_memory_limits(const Settings& settings) {
  const MemoryLimits& limits = settings.tcp_mem;
  return std::to_string(limits.low) + "\t" + std::to_string(limits.pressure) + "\t" + std::to_string(limits.high);
}

bool set_memory_limits(Settings& settings, std::string_view text) {
  const auto values = parse_numbers<3>(text, 0, kIntMax);
  if (!values || !std::is_sorted(values->begin(), values->end())) return false;
  settings.tcp_mem = {(*values)[0], (*values)[1], (*values)[2]};
  return true;
}

std::string get_port_range(const Settings& settings) {
  const PortRange& range = settings.ip_local_port_range;
  return std::to_string(range.first) + "\t" + std::to_string(range.last);
}

bool set_port_range(Settings& settings, std::string_view text) {
  const auto values = parse_numbers<2>(text, 1, 65535);
  if (!values || (*values)[0] > (*values)[1]) return false;
  settings.ip_local_port_range = {static_cast<std::uint16_t>((*values)[0]), static_cast<std::uint16_t>((*values)[1])};
  return true;
}

std::string get_reserved_ports(const Settings& settings) {
  std::string text;
  for (const PortRange& range : settings.ip_local_reserved_ports) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.first);
    if (range.last != range.first) text += '-' + std::to_string(range.last);
  }
  return text;
}

// Ranges may come in any order and meet: what counts is the set.
bool set_reserved_ports(Settings& settings, std::string_view text) {
  std::vector<PortRange> ranges;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    if (item.size() + 1 == text.size()) return false;  // nothing behind the last comma
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    const std::size_t dash = std::min(item.find('-'), item.size());
    const auto first = parse_numbers<1>(item.substr(0, dash), 1, 65535);
    const auto last = dash == item.size() ? first : parse_numbers<1>(item.substr(dash + 1), 1, 65535);
    if (!first || !last || (*first)[0] > (*last)[0]) return false;
    ranges.push_back({static_cast<std::uint16_t>((*first)[0]), static_cast<std::uint16_t>((*last)[0])});
  }
  std::ranges::sort(ranges, {}, &PortRange::first);
  settings.ip_local_reserved_ports.clear();
  for (const PortRange& range : ranges) {
    std::vector<PortRange>& merged = settings.ip_local_reserved_ports;
    if (merged.empty() || range.first > merged.back().last + 1) {
      merged.push_back(range);
    } else {
      merged.back().last = std::max(merged.back().last, range.last);
    }
  }
  return true;
}

std::string get_fast_open_key(const Settings& settings) {
  return settings.tcp_fastopen_key ? settings.tcp_fastopen_key->to_string() : std::string();
}

bool set_fast_open_key(Settings& settings, std::string_view text) {
  if (text.empty()) {
    settings.tcp_fastopen_key.reset();
    return true;
  }
  const auto keys = FastOpenKeys::parse(text);
  if (keys) settings.tcp_fastopen_key = keys;
  return keys.has_value();
}

std::string get_available_congestion_control(const Settings& settings) {
  std::string text;
  for (const std::string& name : settings.tcp_available_congestion_control) text += (text.empty() ? "" : " ") + name;
  return text;
}

// It cannot be changed; what was read may be written back, as a file of all settings does.
bool set_available_congestion_control(Settings& settings, std::string_view text) {
  return text == get_available_congestion_control(settings);
}

bool set_congestion_control(Settings& settings, std::string_view text) {
  const auto& names = settings.tcp_available_congestion_control;
  if (std::ranges::find(names, text) == names.end()) return false;
  settings.tcp_congestion_control = text;
  return true;
}

constexpr std::string_view kCount = "a whole number from 0 to 2147483647";
constexpr std::string_view kSmallCount = "a whole number from 0 to 255";

// The one place that names a setting. Sorted by name; the order of `sysctl -a`.
constexpr Setting kSettings[] = {
    {{"net.core.default_qdisc", "pfifo_fast or fq",
      "fq: every connection is paced, not only those whose congestion control or SO_MAX_PACING_RATE asks for it."},
     [](const Settings& settings) { return std::string(settings.fq ? "fq" : "pfifo_fast"); },
     [](Settings& settings, std::string_view text) {
       if (text != "fq" && text != "pfifo_fast") return false;
       settings.fq = text == "fq";
       return true;
     }},
    number<&Settings::rmem_default, 2304, kIntMax>("net.core.rmem_default",
                                                   "a whole number of bytes from 2304 to 2147483647",
                                                   "Receive buffer of a datagram socket that does not say otherwise."),
    number<&Settings::rmem_max, 2304, kIntMax>("net.core.rmem_max", "a whole number of bytes from 2304 to 2147483647",
                                               "The most that SO_RCVBUF may ask for."),
    number<&Settings::somaxconn, 0, kIntMax>("net.core.somaxconn", kCount,
                                             "Upper bound of every listener's accept queue."),
    number<&Settings::wmem_default, 4608, kIntMax>("net.core.wmem_default",
                                                   "a whole number of bytes from 4608 to 2147483647",
                                                   "Send buffer of a datagram socket that does not say otherwise."),
    number<&Settings::wmem_max, 4608, kIntMax>("net.core.wmem_max", "a whole number of bytes from 4608 to 2147483647",
                                               "The most that SO_SNDBUF may ask for."),
    flag<&Settings::icmp_echo_ignore_all>("net.ipv4.icmp_echo_ignore_all",
                                          "Whether echo requests of both IP versions go unanswered."),
    number<&Settings::icmp_msgs_burst, 0, kIntMax>(
        "net.ipv4.icmp_msgs_burst", kCount, "ICMP errors that may be sent at once, before icmp_msgs_per_sec tells."),
    number<&Settings::icmp_msgs_per_sec, 0, kIntMax>("net.ipv4.icmp_msgs_per_sec", kCount,
                                                     "ICMP errors sent per second, to all hosts together."),
    number<&Settings::icmp_ratelimit, 0, kIntMax>(
        "net.ipv4.icmp_ratelimit", "a whole number of milliseconds from 0 (no limit) to 2147483647",
        "Shortest average time between ICMP messages of the kinds in icmp_ratemask to one host."),
    number<&Settings::icmp_ratemask, 0, kIntMax>("net.ipv4.icmp_ratemask",
                                                 "a sum of bits from 0 to 2147483647, decimal or hexadecimal",
                                                 "ICMP types that are limited, each a bit: type 3 is 8."),
    number<&Settings::ip_default_ttl, 1, 255>("net.ipv4.ip_default_ttl", "a whole number from 1 to 255",
                                              "TTL, or hop limit, of the packets we send."),
    {{"net.ipv4.ip_local_port_range", "two port numbers from 1 to 65535, the first not above the second",
      "Ports given to outgoing connections, both ends included."},
     get_port_range,
     set_port_range},
    {{"net.ipv4.ip_local_reserved_ports",
      "port numbers and ranges from 1 to 65535 with commas between, as in 8080,9000-9010; or nothing",
      "Ports that no connection or socket gets that does not ask for them."},
     get_reserved_ports,
     set_reserved_ports},
    number<&Settings::ipfrag_high_thresh, 0, kIntMax>("net.ipv4.ipfrag_high_thresh",
                                                      "a whole number of bytes from 0 to 2147483647",
                                                      "Memory for fragments that wait to become packets again."),
    number<&Settings::ipfrag_time, 1, 2147483>("net.ipv4.ipfrag_time", "a whole number of seconds from 1 to 2147483",
                                               "How long fragments wait for the others of their packet."),
    number<&Settings::neigh_base_reachable_time_ms, 1, kIntMax>(
        "net.ipv4.neigh.default.base_reachable_time_ms", "a whole number of milliseconds from 1 to 2147483647",
        "How long a neighbour counts as reachable after it proved to be, on average."),
    number<&Settings::neigh_delay_first_probe_time, 0, 2147483>(
        "net.ipv4.neigh.default.delay_first_probe_time", "a whole number of seconds from 0 to 2147483",
        "How long to hope for a sign of life before a stale neighbour is asked."),
    number<&Settings::neigh_gc_stale_time, 0, 2147483>("net.ipv4.neigh.default.gc_stale_time",
                                                       "a whole number of seconds from 0 to 2147483",
                                                       "How long a neighbour that nothing is sent to is remembered."),
    number<&Settings::neigh_gc_thresh1, 0, kIntMax>("net.ipv4.neigh.default.gc_thresh1", kCount,
                                                    "Neighbours up to which none is forgotten."),
    number<&Settings::neigh_gc_thresh2, 0, kIntMax>(
        "net.ipv4.neigh.default.gc_thresh2", kCount,
        "Neighbours from which on those that nobody asked for are not remembered."),
    number<&Settings::neigh_gc_thresh3, 1, kIntMax>("net.ipv4.neigh.default.gc_thresh3",
                                                    "a whole number from 1 to 2147483647",
                                                    "Upper bound of neighbours, of each IP version."),
    number<&Settings::neigh_locktime, 0, kIntMax>("net.ipv4.neigh.default.locktime",
                                                  "hundredths of a second from 0 to 2147483647",
                                                  "How long the first of several answers from different hosts stands."),
    number<&Settings::neigh_mcast_solicit, 1, 255>("net.ipv4.neigh.default.mcast_solicit",
                                                   "a whole number from 1 to 255",
                                                   "How often all hosts are asked for a neighbour that is not known."),
    number<&Settings::neigh_retrans_time_ms, 1, kIntMax>("net.ipv4.neigh.default.retrans_time_ms",
                                                         "a whole number of milliseconds from 1 to 2147483647",
                                                         "Time between two questions for a neighbour."),
    number<&Settings::neigh_ucast_solicit, 0, 255>("net.ipv4.neigh.default.ucast_solicit", kSmallCount,
                                                   "How often a neighbour that was known is asked itself."),
    number<&Settings::neigh_unres_qlen_bytes, 0, kIntMax>("net.ipv4.neigh.default.unres_qlen_bytes",
                                                          "a whole number of bytes from 0 to 2147483647",
                                                          "Packets that wait for a neighbour to be found."),
    number<&Settings::route_min_pmtu, 68, 65535>("net.ipv4.route.min_pmtu", "a whole number of bytes from 68 to 65535",
                                                 "No path is believed to carry less than this."),
    number<&Settings::route_mtu_expires, 1, 2147483>(
        "net.ipv4.route.mtu_expires", "a whole number of seconds from 1 to 2147483",
        "How long a path's MTU that a router told is believed, for both IP versions."),
    flag<&Settings::tcp_abort_on_overflow>("net.ipv4.tcp_abort_on_overflow",
                                           "Whether a full accept queue answers with RST instead of silence."),
    {{"net.ipv4.tcp_available_congestion_control", "nothing but what it is",
      "The congestion controls that there are, by name."},
     get_available_congestion_control,
     set_available_congestion_control},
    number<&Settings::tcp_base_mss, 48, 65535>("net.ipv4.tcp_base_mss", "a whole number of bytes from 48 to 65535",
                                               "Segment size at which tcp_mtu_probing begins."),
    number<&Settings::tcp_challenge_ack_limit, 0, kIntMax>("net.ipv4.tcp_challenge_ack_limit", kCount,
                                                           "Challenge ACKs (RFC 5961) sent per second."),
    {{"net.ipv4.tcp_congestion_control", "a name in tcp_available_congestion_control",
      "Congestion control of new connections that do not ask for one by TCP_CONGESTION."},
     [](const Settings& settings) { return settings.tcp_congestion_control; },
     set_congestion_control,
     get_available_congestion_control},
    number<&Settings::tcp_early_retrans, 0, 4>("net.ipv4.tcp_early_retrans", "a whole number from 0 (off) to 4",
                                               "Tail loss probes (RFC 8985): on, whatever the number but 0."),
    number<&Settings::tcp_ecn, 0, 2>("net.ipv4.tcp_ecn",
                                     "0 (off), 1 (asked for and agreed to) or 2 (agreed to when the peer asks)",
                                     "Explicit Congestion Notification (RFC 3168)."),
    flag<&Settings::tcp_ecn_fallback>("net.ipv4.tcp_ecn_fallback",
                                      "Whether a SYN that is sent again does without asking for ECN."),
    number<&Settings::tcp_fastopen, 0, kIntMax>(
        "net.ipv4.tcp_fastopen", "a whole number from 0 to 0x7fffffff, decimal or hexadecimal",
        "Fast Open, a sum of bits: 1 client, 2 server, 4 client sends data without a cookie, 0x200 server takes data "
        "without a cookie, 0x400 all listeners."),
    number<&Settings::tcp_fastopen_blackhole_timeout_sec, 0, kIntMax>(
        "net.ipv4.tcp_fastopen_blackhole_timeout_sec", "a whole number of seconds from 0 (never) to 2147483647",
        "How long Fast Open is left off on a path that swallowed it; doubles each time that a probe fails, to 64 "
        "times."),
    number<&Settings::tcp_fastopen_cache_expire_sec, 0, kIntMax>(
        "net.ipv4.tcp_fastopen_cache_expire_sec", "a whole number of seconds from 0 (never) to 2147483647",
        "How long a client uses a Fast Open cookie, at most; Linux has no such bound."),
    number<&Settings::tcp_fastopen_cache_max, 0, 1048576>(
        "net.ipv4.tcp_fastopen_cache_max", "a whole number from 0 to 1048576",
        "Paths of which a client remembers cookies; 0 switches the cache, and asking for cookies, off."),
    {{"net.ipv4.tcp_fastopen_key",
      "one key or two with a comma between, each four hexadecimal groups as in 00112233-44556677-8899aabb-ccddeeff; or "
      "nothing",
      "Keys of the Fast Open cookies: the one that grants, and an older one still accepted; without any, the stack "
      "makes "
      "its own."},
     get_fast_open_key,
     set_fast_open_key},
    number<&Settings::tcp_fastopen_replay_filter_kb, 0, 16384>(
        "net.ipv4.tcp_fastopen_replay_filter_kb", "a whole number of KiB from 0 (no filter) to 16384",
        "Memory in which a server notes SYNs with data, to take none of them twice within two minutes."),
    number<&Settings::tcp_fin_timeout, 1, 2147483>("net.ipv4.tcp_fin_timeout",
                                                   "a whole number of seconds from 1 to 2147483",
                                                   "How long a connection that nobody holds stays in FIN_WAIT2."),
    number<&Settings::tcp_frto, 0, 2>("net.ipv4.tcp_frto", "0 (off), 1 or 2 (on)",
                                      "Whether a time-out that proves to have been needless is undone (RFC 5682)."),
    number<&Settings::tcp_invalid_ratelimit, 0, kIntMax>(
        "net.ipv4.tcp_invalid_ratelimit", "a whole number of milliseconds from 0 (no limit) to 2147483647",
        "Shortest time between two ACKs that answer invalid segments of one connection."),
    number<&Settings::tcp_keepalive_intvl, 1, 32767>("net.ipv4.tcp_keepalive_intvl",
                                                     "a whole number of seconds from 1 to 32767",
                                                     "Time between two keepalive probes."),
    number<&Settings::tcp_keepalive_probes, 1, 127>("net.ipv4.tcp_keepalive_probes", "a whole number from 1 to 127",
                                                    "Keepalive probes without an answer that end a connection."),
    number<&Settings::tcp_keepalive_time, 1, 32767>("net.ipv4.tcp_keepalive_time",
                                                    "a whole number of seconds from 1 to 32767",
                                                    "Silence after which a connection with SO_KEEPALIVE is probed."),
    number<&Settings::tcp_max_orphans, 0, kIntMax>(
        "net.ipv4.tcp_max_orphans", kCount, "Upper bound of connections that no application holds; one more is reset."),
    number<&Settings::tcp_max_syn_backlog, 0, kIntMax>("net.ipv4.tcp_max_syn_backlog", kCount,
                                                       "Upper bound of half-open connections of a listener."),
    number<&Settings::tcp_max_tw_buckets, 0, kIntMax>("net.ipv4.tcp_max_tw_buckets", kCount,
                                                      "Upper bound of connections in TIME_WAIT."),
    {{"net.ipv4.tcp_mem",
      "three whole numbers of pages of 4096 bytes, low, pressure and high, from 0 to 2147483647, none below the one "
      "before",
      "Memory of all connections together: above the second, those that hold much must do with less, until it is below "
      "the first; above the third nothing more is taken."},
     get_memory_limits,
     set_memory_limits},
    flag<&Settings::tcp_migrate_req>("net.ipv4.tcp_migrate_req",
                                     "Whether what a closing listener has not accepted goes to one that shares its "
                                     "port by SO_REUSEPORT."),
    number<&Settings::tcp_min_snd_mss, 48, 65535>("net.ipv4.tcp_min_snd_mss",
                                                  "a whole number of bytes from 48 to 65535",
                                                  "Segments are never made smaller than this, whatever a peer asks."),
    number<&Settings::tcp_min_tso_segs, 1, 65535>(
        "net.ipv4.tcp_min_tso_segs", "a whole number from 1 to 65535",
        "Segments that go out at once, if there are so many, however slow the connection is."),
    flag<&Settings::tcp_moderate_rcvbuf>("net.ipv4.tcp_moderate_rcvbuf",
                                         "Whether the receive buffer grows with what the connection carries."),
    number<&Settings::tcp_mtu_probe_floor, 48, 65535>("net.ipv4.tcp_mtu_probe_floor",
                                                      "a whole number of bytes from 48 to 65535",
                                                      "The smallest segment size that tcp_mtu_probing goes down to."),
    number<&Settings::tcp_mtu_probing, 0, 2>(
        "net.ipv4.tcp_mtu_probing", "0 (off), 1 (when a path swallows large packets) or 2 (always)",
        "Whether segments of growing size find out what a path carries, without ICMP (RFC 4821)."),
    flag<&Settings::tcp_no_metrics_save>("net.ipv4.tcp_no_metrics_save",
                                         "Whether nothing is remembered of the paths of connections that have ended."),
    flag<&Settings::tcp_no_ssthresh_metrics_save>(
        "net.ipv4.tcp_no_ssthresh_metrics_save",
        "Whether of a path all is remembered but where slow start ended, and new connections find that out anew."),
    number<&Settings::tcp_notsent_lowat, 0, 0xffffffff>(
        "net.ipv4.tcp_notsent_lowat", "a whole number of bytes from 0 to 4294967295",
        "Bytes written and not yet sent from which on no more are taken."),
    number<&Settings::tcp_orphan_retries, 0, 255>("net.ipv4.tcp_orphan_retries", kSmallCount,
                                                  "Retransmissions of a connection that nobody holds; 0 means 8."),
    number<&Settings::tcp_pacing_ca_ratio, 0, 1000>(
        "net.ipv4.tcp_pacing_ca_ratio", "a whole number of percent from 0 to 1000",
        "How fast a connection is taken to send, of its window in a round trip, when that is no longer doubled; a "
        "millisecond of it goes out at once."),
    number<&Settings::tcp_pacing_ss_ratio, 0, 1000>("net.ipv4.tcp_pacing_ss_ratio",
                                                    "a whole number of percent from 0 to 1000",
                                                    "The same while each round trip doubles the window."),
    number<&Settings::tcp_probe_interval, 0, 2147483>(
        "net.ipv4.tcp_probe_interval", "a whole number of seconds from 0 to 2147483",
        "Time after which tcp_mtu_probing tries again whether a path carries more by now."),
    number<&Settings::tcp_probe_threshold, 0, kIntMax>("net.ipv4.tcp_probe_threshold",
                                                       "a whole number of bytes from 0 to 2147483647",
                                                       "tcp_mtu_probing ends when what it knows is this exact."),
    number<&Settings::tcp_recovery, 0, 7>(
        "net.ipv4.tcp_recovery", "a sum of 1, 2 and 4",
        "RACK (RFC 8985), which is always on; 2: its reordering window does not grow; 4: three segments that arrived "
        "ahead of a gap do not close it."),
    number<&Settings::tcp_reordering, 1, 300>("net.ipv4.tcp_reordering", "a whole number of segments from 1 to 300",
                                              "How many segments ahead of a gap, or duplicate acknowledgements, tell "
                                              "of a loss where no reordering was seen."),
    number<&Settings::tcp_retries1, 0, 255>(
        "net.ipv4.tcp_retries1", kSmallCount,
        "Retransmissions in whose total time a path comes under suspicion; see tcp_mtu_probing."),
    number<&Settings::tcp_retries2, 0, 255>("net.ipv4.tcp_retries2", kSmallCount,
                                            "Retransmissions whose total time ends a connection; 15 is 924.6 seconds."),
    flag<&Settings::tcp_rfc1337>("net.ipv4.tcp_rfc1337", "Whether a RST leaves a connection in TIME_WAIT (RFC 1337)."),
    flag<&Settings::tcp_rfc793_rto>(
        "net.ipv4.tcp_rfc793_rto",
        "Whether new connections estimate the retransmission time-out as RFC 793 did, for comparison."),
    buffer_sizes<&Settings::tcp_rmem>("net.ipv4.tcp_rmem", "Receive buffer of a connection."),
    flag<&Settings::tcp_sack>("net.ipv4.tcp_sack", "Selective acknowledgements (RFC 2018)."),
    flag<&Settings::tcp_slow_start_after_idle>(
        "net.ipv4.tcp_slow_start_after_idle",
        "Whether the congestion window shrinks while nothing is sent (RFC 2861)."),
    flag<&Settings::tcp_stdurg>("net.ipv4.tcp_stdurg",
                                "Whether an urgent pointer that comes names the urgent byte itself, as RFC 1122 has "
                                "it, and not the one behind it."),
    number<&Settings::tcp_syn_linear_timeouts, 0, 127>(
        "net.ipv4.tcp_syn_linear_timeouts", "a whole number from 0 to 127",
        "Retransmissions of a SYN, beside tcp_syn_retries, before the pause between them begins to double."),
    number<&Settings::tcp_syn_retries, 1, 127>("net.ipv4.tcp_syn_retries", "a whole number from 1 to 127",
                                               "Retransmissions of a SYN."),
    number<&Settings::tcp_synack_retries, 0, 255>("net.ipv4.tcp_synack_retries", kSmallCount,
                                                  "Retransmissions of a SYN-ACK."),
    number<&Settings::tcp_syncookies, 0, 2>("net.ipv4.tcp_syncookies",
                                            "0 (never), 1 (when the SYN queue is full) or 2 (always)",
                                            "SYN cookies (RFC 4987)."),
    flag<&Settings::tcp_timestamps>("net.ipv4.tcp_timestamps", "Timestamps (RFC 7323)."),
    number<&Settings::tcp_tso_rtt_log, 0, 255>(
        "net.ipv4.tcp_tso_rtt_log", "a whole number from 0 to 255",
        "More than a millisecond's worth goes out at once where the round trip is short: 64 KiB, halved for each "
        "2^tcp_tso_rtt_log microseconds that it takes."),
    number<&Settings::tcp_tso_win_divisor, 0, 255>(
        "net.ipv4.tcp_tso_win_divisor", "a whole number from 0 to 255",
        "A burst waits for an acknowledgement that is about to come while it would be less than this part of the "
        "window; 0: however large it is."),
    number<&Settings::tcp_tw_reuse, 0, 2>("net.ipv4.tcp_tw_reuse", "0 (off), 1 (on) or 2 (between loopback addresses)",
                                          "Whether an outgoing connection may take the place of one in TIME_WAIT."),
    number<&Settings::tcp_tw_reuse_delay, 1, 60000>("net.ipv4.tcp_tw_reuse_delay",
                                                    "a whole number of milliseconds from 1 to 60000",
                                                    "Age of a TIME_WAIT entry from which on tcp_tw_reuse applies."),
    flag<&Settings::tcp_window_scaling>("net.ipv4.tcp_window_scaling", "Window scaling (RFC 7323)."),
    buffer_sizes<&Settings::tcp_wmem>("net.ipv4.tcp_wmem", "Send buffer of a connection."),
    number<&Settings::icmp6_ratelimit, 0, kIntMax>("net.ipv6.icmp.ratelimit",
                                                   "a whole number of milliseconds from 0 (no limit) to 2147483647",
                                                   "Shortest average time between ICMPv6 errors to one host."),
    number<&Settings::ip6frag_high_thresh, 0, kIntMax>("net.ipv6.ip6frag_high_thresh",
                                                       "a whole number of bytes from 0 to 2147483647",
                                                       "Memory for IPv6 fragments that wait to become packets again."),
    number<&Settings::ip6frag_time, 1, 2147483>("net.ipv6.ip6frag_time", "a whole number of seconds from 1 to 2147483",
                                                "How long IPv6 fragments wait for the others of their packet."),
};
static_assert(std::ranges::is_sorted(kSettings, {}, [](const Setting& setting) { return setting.info.name; }));

constexpr auto kInfos = [] {
  std::array<SettingInfo, std::size(kSettings)> infos;
  std::ranges::transform(kSettings, infos.begin(), &Setting::info);
  return infos;
}();

// ---- names -------------------------------------------------------------------------------------------------------

// Longer than any name or sensible value; what a user typed beyond it is neither compared nor quoted.
constexpr std::size_t kQuoteLimit = 80;

// Text of any origin, fit to stand in a message.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text.substr(0, kQuoteLimit)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + (text.size() > kQuoteLimit ? "...\"" : "\"");
}

std::string_view without_prefix(std::string_view name) noexcept {
  for (const std::string_view prefix :
       {std::string_view("net.ipv4."), std::string_view("net.core."), std::string_view("net.ipv6.")}) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

// Levenshtein's distance: how many characters to insert, remove or replace.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

std::string_view nearest_name(std::string_view name) {
  const std::string_view shortened = without_prefix(name).substr(0, kQuoteLimit);
  return std::ranges::min(kInfos, {},
                          [&](const SettingInfo& info) { return edit_distance(shortened, without_prefix(info.name)); })
      .name;
}

std::expected<const Setting*, std::string> find(std::string_view name) {
  std::string dotted(trim(name));
  std::ranges::replace(dotted, '/', '.');
  for (const Setting& setting : kSettings) {
    if (dotted == setting.info.name || dotted == without_prefix(setting.info.name)) return &setting;
  }
  return std::unexpected("there is no setting " + quoted(name) + "; the nearest is " +
                         std::string(nearest_name(dotted)));
}

}  // namespace

std::span<const SettingInfo> setting_list() noexcept { return kInfos; }

std::expected<std::string, std::string> get_setting(const Settings& settings, std::string_view name) {
  const auto setting = find(name);
  if (!setting) return std::unexpected(setting.error());
  return (*setting)->get(settings);
}

std::expected<void, std::string> set_setting(Settings& settings, std::string_view name, std::string_view value) {
  const auto setting = find(name);
  if (!setting) return std::unexpected(setting.error());
  if ((*setting)->set(settings, trim(value))) return {};
  std::string allowed((*setting)->info.allowed);
  if ((*setting)->allowed_now != nullptr) allowed += ": " + (*setting)->allowed_now(settings);
  return std::unexpected(std::string((*setting)->info.name) + " cannot be " + quoted(value) + "; allowed is " +
                         allowed);
}

}  // namespace ff
