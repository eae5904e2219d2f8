// The settings of a stack: Linux's sysctl names, units, ranges and defaults.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firstflight/fast_open.hpp"

namespace ff {

// tcp_rmem and tcp_wmem: bytes.
struct BufferSizes {
  std::uint32_t min, initial, max;
};

// tcp_mem: pages of 4096 bytes.
struct MemoryLimits {
  std::uint32_t low;       // below: no pressure any more
  std::uint32_t pressure;  // above: whoever holds more than its share must do with less
  std::uint32_t high;      // above: nothing more is allocated
};

// ip_local_port_range: both ends included.
struct PortRange {
  std::uint16_t first, last;
  friend bool operator==(const PortRange&, const PortRange&) noexcept = default;
};

// Bits of net.ipv4.tcp_fastopen; docs/fast-open.md says what each does.
namespace fast_open_bits {
inline constexpr std::uint32_t kClient = 0x1;
inline constexpr std::uint32_t kServer = 0x2;
inline constexpr std::uint32_t kClientNoCookie = 0x4;
inline constexpr std::uint32_t kServerNoCookie = 0x200;
inline constexpr std::uint32_t kAllListeners = 0x400;
}  // namespace fast_open_bits

// Plain values; change them in a stack through Stack::set_setting, which validates.
struct Settings {
  bool fq = false;                              // net.core.default_qdisc: fq, or pfifo_fast
  std::uint32_t somaxconn = 4096;               // net.core.somaxconn
  std::uint32_t rmem_default = 212992;          // net.core.rmem_default, bytes
  std::uint32_t rmem_max = 212992;              // net.core.rmem_max, bytes
  std::uint32_t wmem_default = 212992;          // net.core.wmem_default, bytes
  std::uint32_t wmem_max = 212992;              // net.core.wmem_max, bytes
  bool icmp_echo_ignore_all = false;            // net.ipv4.icmp_echo_ignore_all; for ICMPv6 too
  std::uint32_t icmp_msgs_burst = 50;           // net.ipv4.icmp_msgs_burst
  std::uint32_t icmp_msgs_per_sec = 1000;       // net.ipv4.icmp_msgs_per_sec
  std::uint32_t icmp_ratelimit = 1000;          // net.ipv4.icmp_ratelimit, milliseconds
  std::uint32_t icmp_ratemask = 6168;           // net.ipv4.icmp_ratemask
  std::uint32_t icmp6_ratelimit = 1000;         // net.ipv6.icmp.ratelimit, milliseconds
  std::uint32_t ip_default_ttl = 64;            // net.ipv4.ip_default_ttl
  PortRange ip_local_port_range{32768, 60999};  // net.ipv4.ip_local_port_range
  // net.ipv4.ip_local_reserved_ports; in order, and none meets the next
  std::vector<PortRange> ip_local_reserved_ports;
  std::uint32_t ipfrag_high_thresh = 4194304;   // net.ipv4.ipfrag_high_thresh, bytes
  std::uint32_t ipfrag_time = 30;               // net.ipv4.ipfrag_time, seconds
  std::uint32_t ip6frag_high_thresh = 4194304;  // net.ipv6.ip6frag_high_thresh, bytes
  std::uint32_t ip6frag_time = 60;              // net.ipv6.ip6frag_time, seconds
  // net.ipv4.neigh.default.*; for IPv6's neighbours too
  std::uint32_t neigh_base_reachable_time_ms = 30000;  // base_reachable_time_ms
  std::uint32_t neigh_delay_first_probe_time = 5;      // delay_first_probe_time, seconds
  std::uint32_t neigh_gc_stale_time = 60;              // gc_stale_time, seconds
  std::uint32_t neigh_gc_thresh1 = 128;                // gc_thresh1
  std::uint32_t neigh_gc_thresh2 = 512;                // gc_thresh2
  std::uint32_t neigh_gc_thresh3 = 1024;               // gc_thresh3
  std::uint32_t neigh_locktime = 100;                  // locktime, hundredths of a second
  std::uint32_t neigh_mcast_solicit = 3;               // mcast_solicit
  std::uint32_t neigh_retrans_time_ms = 1000;          // retrans_time_ms
  std::uint32_t neigh_ucast_solicit = 3;               // ucast_solicit
  std::uint32_t neigh_unres_qlen_bytes = 212992;       // unres_qlen_bytes
  std::uint32_t route_min_pmtu = 552;                  // net.ipv4.route.min_pmtu, bytes
  std::uint32_t route_mtu_expires = 600;               // net.ipv4.route.mtu_expires, seconds; for IPv6 too
  bool tcp_abort_on_overflow = false;                  // net.ipv4.tcp_abort_on_overflow
  // net.ipv4.tcp_available_congestion_control; a stack fills it in
  std::vector<std::string> tcp_available_congestion_control{"reno", "cubic", "bbr"};
  std::uint32_t tcp_base_mss = 1024;                        // net.ipv4.tcp_base_mss, bytes
  std::uint32_t tcp_challenge_ack_limit = 1000;             // net.ipv4.tcp_challenge_ack_limit, per second
  std::string tcp_congestion_control = "cubic";             // net.ipv4.tcp_congestion_control
  std::uint32_t tcp_ecn = 2;                                // net.ipv4.tcp_ecn
  bool tcp_ecn_fallback = true;                             // net.ipv4.tcp_ecn_fallback
  std::uint32_t tcp_fastopen = 0x3;                         // net.ipv4.tcp_fastopen; Linux's default is 0x1
  std::optional<FastOpenKeys> tcp_fastopen_key;             // net.ipv4.tcp_fastopen_key; unset: from the stack's seed
  std::uint32_t tcp_fastopen_blackhole_timeout_sec = 3600;  // net.ipv4...; Linux's default is 0
  // net.ipv4...; these three are none of Linux's
  std::uint32_t tcp_fastopen_cache_expire_sec = 604800;
  std::uint32_t tcp_fastopen_cache_max = 16384;
  std::uint32_t tcp_fastopen_replay_filter_kb = 0;
  std::uint32_t tcp_early_retrans = 3;        // net.ipv4.tcp_early_retrans
  std::uint32_t tcp_fin_timeout = 60;         // net.ipv4.tcp_fin_timeout, seconds
  std::uint32_t tcp_frto = 2;                 // net.ipv4.tcp_frto
  std::uint32_t tcp_invalid_ratelimit = 500;  // net.ipv4.tcp_invalid_ratelimit, milliseconds
  std::uint32_t tcp_keepalive_intvl = 75;     // net.ipv4.tcp_keepalive_intvl
  std::uint32_t tcp_keepalive_probes = 9;     // net.ipv4.tcp_keepalive_probes
  std::uint32_t tcp_keepalive_time = 7200;    // net.ipv4.tcp_keepalive_time
  std::uint32_t tcp_max_orphans = 65536;      // net.ipv4.tcp_max_orphans
  std::uint32_t tcp_max_syn_backlog = 4096;   // net.ipv4.tcp_max_syn_backlog
  std::uint32_t tcp_max_tw_buckets = 131072;  // net.ipv4.tcp_max_tw_buckets
  // net.ipv4.tcp_mem, pages of 4096 bytes. Linux goes by the size of the machine; these are its values for 16 GiB.
  MemoryLimits tcp_mem{196608, 262144, 393216};
  bool tcp_migrate_req = false;                  // net.ipv4.tcp_migrate_req
  std::uint32_t tcp_min_snd_mss = 48;            // net.ipv4.tcp_min_snd_mss, bytes
  std::uint32_t tcp_min_tso_segs = 2;            // net.ipv4.tcp_min_tso_segs
  bool tcp_moderate_rcvbuf = true;               // net.ipv4.tcp_moderate_rcvbuf
  std::uint32_t tcp_mtu_probe_floor = 48;        // net.ipv4.tcp_mtu_probe_floor, bytes
  std::uint32_t tcp_mtu_probing = 0;             // net.ipv4.tcp_mtu_probing
  bool tcp_no_metrics_save = false;              // net.ipv4.tcp_no_metrics_save
  bool tcp_no_ssthresh_metrics_save = true;      // net.ipv4.tcp_no_ssthresh_metrics_save
  std::uint32_t tcp_notsent_lowat = UINT32_MAX;  // net.ipv4.tcp_notsent_lowat, bytes
  std::uint32_t tcp_orphan_retries = 0;          // net.ipv4.tcp_orphan_retries; 0 means 8
  std::uint32_t tcp_pacing_ca_ratio = 120;       // net.ipv4.tcp_pacing_ca_ratio, percent
  std::uint32_t tcp_pacing_ss_ratio = 200;       // net.ipv4.tcp_pacing_ss_ratio, percent
  std::uint32_t tcp_probe_interval = 600;        // net.ipv4.tcp_probe_interval, seconds
  std::uint32_t tcp_probe_threshold = 8;         // net.ipv4.tcp_probe_threshold, bytes
  std::uint32_t tcp_recovery = 1;                // net.ipv4.tcp_recovery
  std::uint32_t tcp_reordering = 3;              // net.ipv4.tcp_reordering, segments
  std::uint32_t tcp_retries1 = 3;                // net.ipv4.tcp_retries1
  std::uint32_t tcp_retries2 = 15;               // net.ipv4.tcp_retries2
  bool tcp_rfc1337 = false;                      // net.ipv4.tcp_rfc1337
  bool tcp_rfc793_rto = false;                   // net.ipv4.tcp_rfc793_rto; Linux has no such setting
  BufferSizes tcp_rmem{4096, 131072, 33554432};  // net.ipv4.tcp_rmem
  std::uint32_t tcp_tso_rtt_log = 9;             // net.ipv4.tcp_tso_rtt_log
  std::uint32_t tcp_tso_win_divisor = 3;         // net.ipv4.tcp_tso_win_divisor
  std::uint32_t tcp_tw_reuse = 2;                // net.ipv4.tcp_tw_reuse
  std::uint32_t tcp_tw_reuse_delay = 1000;       // net.ipv4.tcp_tw_reuse_delay
  BufferSizes tcp_wmem{4096, 16384, 67108864};   // net.ipv4.tcp_wmem
  bool tcp_sack = true;                          // net.ipv4.tcp_sack
  bool tcp_slow_start_after_idle = true;         // net.ipv4.tcp_slow_start_after_idle
  bool tcp_stdurg = false;                       // net.ipv4.tcp_stdurg
  std::uint32_t tcp_syn_linear_timeouts = 0;     // net.ipv4.tcp_syn_linear_timeouts; Linux's default is 4
  std::uint32_t tcp_syn_retries = 6;             // net.ipv4.tcp_syn_retries
  std::uint32_t tcp_synack_retries = 5;          // net.ipv4.tcp_synack_retries
  std::uint32_t tcp_syncookies = 1;              // net.ipv4.tcp_syncookies
  bool tcp_timestamps = true;                    // net.ipv4.tcp_timestamps
  bool tcp_window_scaling = true;                // net.ipv4.tcp_window_scaling
};

struct SettingInfo {
  std::string_view name;     // "net.ipv4.tcp_fin_timeout"
  std::string_view allowed;  // "a whole number from 1 to 2147483, seconds"
  std::string_view meaning;  // one sentence
};

// Every setting, sorted by name.
std::span<const SettingInfo> setting_list() noexcept;

// The value in sysctl's text form; an error sentence when there is no such setting. The prefixes "net.ipv4." and
// "net.core." may be left out, and '/' may stand for '.'.
std::expected<std::string, std::string> get_setting(const Settings&, std::string_view name);

// Changes one setting, or nothing at all: the error is one sentence that names the setting, the value, what is allowed,
// and for an unknown name the nearest known one.
std::expected<void, std::string> set_setting(Settings&, std::string_view name, std::string_view value);

// One line of a file in sysctl.conf's format, or one word NAME=VALUE.
struct SettingAssignment {
  std::string name;
  std::string value;
  bool may_fail = false;  // the line began with '-': if it cannot be done, it is left out
  std::string where{};    // "FILE:LINE", for messages; empty: they name none
};

// Reads sysctl.conf's format (sysctl.conf(5)): NAME = VALUE on each line, '#' and ';' begin comment lines, a '-' before
// the name means that this line may fail. The error names the file and the line.
std::expected<std::vector<SettingAssignment>, std::string> parse_settings_file(std::string_view text,
                                                                               std::string_view file);

// Carries out all of these or, when one is not acceptable, none of them.
std::expected<void, std::string> set_settings(Settings&, std::span<const SettingAssignment> assignments);

}  // namespace ff
