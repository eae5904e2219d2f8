// `ff ss`: its filters, and sockets as ss(8) prints them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/ss_filter.hpp"
#include "cli/ss_metrics.hpp"
#include "cli/ss_text.hpp"

namespace ff::cli {
namespace {

using testing::HasSubstr;

SocketInfo tcp(std::string_view local, std::string_view remote, TcpState state = TcpState::Established) {
  SocketInfo socket;
  socket.state = state;
  socket.tuple = {*Endpoint::parse(local), *Endpoint::parse(remote)};
  return socket;
}

bool matches(std::string_view filter, const SocketInfo& socket) {
  const auto parsed = parse_socket_filter(filter, SocketCursor::kAllStates);
  EXPECT_TRUE(parsed) << parsed.error();
  return parsed && parsed->matches(socket);
}

std::string error_of(std::string_view filter) {
  const auto parsed = parse_socket_filter(filter, SocketCursor::kAllStates);
  EXPECT_FALSE(parsed) << filter;
  return parsed ? std::string() : parsed.error();
}

std::uint32_t states_of(std::string_view filter) {
  const auto parsed = parse_socket_filter(filter, kConnectedStates);
  EXPECT_TRUE(parsed) << parsed.error();
  return parsed ? parsed->states : 0;
}

constexpr std::uint32_t bit(TcpState state) { return SocketCursor::bit(state); }

TEST(SsFilter, NothingMatchesEverything) {
  EXPECT_TRUE(matches("", tcp("192.0.2.1:80", "192.0.2.2:1")));
  EXPECT_TRUE(matches("  ", tcp("192.0.2.1:80", "192.0.2.2:1")));
}

TEST(SsFilter, ComparesAddresses) {
  const SocketInfo socket = tcp("192.0.2.1:80", "10.1.2.3:4000");
  EXPECT_TRUE(matches("dst 10.0.0.0/8", socket));
  EXPECT_TRUE(matches("dst = 10.1.2.3", socket));
  EXPECT_TRUE(matches("dst 10.1.2.3:4000", socket));
  EXPECT_FALSE(matches("dst 10.1.2.3:4001", socket));
  EXPECT_FALSE(matches("src 10.0.0.0/8", socket));
  EXPECT_TRUE(matches("src != 10.0.0.0/8", socket));
  EXPECT_TRUE(matches("src *:80", socket));
  EXPECT_TRUE(matches("src :80", socket));
  EXPECT_TRUE(matches("src :http", socket));
  EXPECT_TRUE(matches("src inet:192.0.2.1", socket));
  EXPECT_TRUE(matches("dst *", socket));
  EXPECT_FALSE(matches("dst ::/0", socket));
}

TEST(SsFilter, ComparesIpv6Addresses) {
  const SocketInfo socket = tcp("[2001:db8::1]:80", "[2001:db8::2]:4000");
  EXPECT_TRUE(matches("dst 2001:db8::/32", socket));
  EXPECT_TRUE(matches("dst 2001:db8::2", socket));
  EXPECT_TRUE(matches("dst [2001:db8::2]:4000", socket));
  EXPECT_FALSE(matches("dst [2001:db8::2]:80", socket));
  EXPECT_TRUE(matches("dst [2001:db8::2]", socket));
  EXPECT_FALSE(matches("dst 0.0.0.0/0", socket));
}

TEST(SsFilter, ComparesPorts) {
  const SocketInfo socket = tcp("192.0.2.1:80", "10.1.2.3:4000");
  for (const char* filter :
       {"sport = :80", "sport = 80", "sport=:80", "sport :80", "sport eq :http", "sport == 80", "sport != :81",
        "sport >= :80", "sport <= 80", "sport > :79", "sport lt 81", "dport geq :4000", "dport neq 80"})
    EXPECT_TRUE(matches(filter, socket)) << filter;
  for (const char* filter : {"sport = :81", "sport != 80", "sport > :80", "sport lt 80", "dport leq :3999", "dport 80"})
    EXPECT_FALSE(matches(filter, socket)) << filter;
}

TEST(SsFilter, JoinsConditions) {
  const SocketInfo socket = tcp("192.0.2.1:80", "10.1.2.3:443");
  EXPECT_TRUE(matches("( dport = :443 or dport = :80 )", socket));
  EXPECT_TRUE(matches("(dport=:443||dport=:80)&&src 192.0.2.1", socket));
  EXPECT_FALSE(matches("dport = :443 and sport = :81", socket));
  EXPECT_FALSE(matches("dport = :443 sport = :81", socket));  // side by side is "and"
  EXPECT_TRUE(matches("not dport = :80", socket));
  EXPECT_TRUE(matches("! ! dport = :443", socket));
  EXPECT_FALSE(matches("not ( dport = :443 or sport = :1 )", socket));
  // "and" binds closer than "or".
  EXPECT_TRUE(matches("dport = :443 or sport = :1 and sport = :2", socket));
  EXPECT_FALSE(matches("( dport = :443 or sport = :1 ) and sport = :2", socket));
}

TEST(SsFilter, KnowsTheStatesOfSs) {
  EXPECT_EQ(states_of(""), kConnectedStates);
  EXPECT_EQ(states_of("state established"), bit(TcpState::Established));
  EXPECT_EQ(states_of("state syn-recv state time-wait"), states_of("state bucket"));
  EXPECT_EQ(states_of("state all"), SocketCursor::kAllStates);
  EXPECT_EQ(states_of("exclude listening"), SocketCursor::kAllStates & ~bit(TcpState::Listen));
  EXPECT_EQ(states_of("state connected exclude time-wait"), states_of("state connected") & ~bit(TcpState::TimeWait));
  EXPECT_EQ(states_of("state synchronized"), states_of("state connected") & ~bit(TcpState::SynSent));
  EXPECT_EQ(states_of("state big") & states_of("state bucket"), 0u);
  EXPECT_EQ(states_of("state listening sport = :80"), bit(TcpState::Listen));
}

TEST(SsFilter, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(error_of("state foo"), HasSubstr("'foo' at character 7"));
  EXPECT_THAT(error_of("state establishd"), HasSubstr("did you mean 'established'?"));
  EXPECT_THAT(error_of("state"), HasSubstr("ends too early"));
  EXPECT_THAT(error_of("dst 1.2.3.400"), HasSubstr("'1.2.3.400' at character 5: no address"));
  EXPECT_THAT(error_of("dst 1.2.3.4/33"), HasSubstr("no address"));
  EXPECT_THAT(error_of("dst"), HasSubstr("ends too early: an address"));
  EXPECT_THAT(error_of("dst < 1.2.3.4"), HasSubstr("'<' at character 5"));
  EXPECT_THAT(error_of("sport = :65536"), HasSubstr("':65536' at character 9: no port"));
  EXPECT_THAT(error_of("sport = :nosuchservice"), HasSubstr("no port"));
  EXPECT_THAT(error_of("sport ="), HasSubstr("ends too early: a port"));
  EXPECT_THAT(error_of("( sport = :80"), HasSubstr("a ')' is missing"));
  EXPECT_THAT(error_of("sport = :80 )"), HasSubstr("')' at character 13"));
  EXPECT_THAT(error_of("sport = :80 and"), HasSubstr("ends too early"));
  EXPECT_THAT(error_of("sport = :80 state established"), HasSubstr("states go before"));
  EXPECT_THAT(error_of("sprt = :80"), HasSubstr("did you mean 'sport'?"));
  EXPECT_THAT(error_of("and"), HasSubstr("no condition"));
  EXPECT_THAT(error_of(std::string(100'000, '(')), HasSubstr("too deep"));
  EXPECT_THAT(error_of(std::string(100'000, '!')), HasSubstr("too deep"));
}

// ---- the table: the lines below are those of ss for the same sockets

TEST(SsText, LinesUpAsSsDoes) {
  std::vector<SocketInfo> sockets{tcp("127.0.0.1:8080", "0.0.0.0:0", TcpState::Listen),
                                  tcp("127.0.0.1:8080", "127.0.0.1:58958"),
                                  tcp("127.0.0.1:58960", "127.0.0.1:8080", TcpState::TimeWait)};
  sockets[0].send_queue = 5;
  sockets[1].recv_queue = 100;
  SsStyle style{.numeric = true, .show_protocol = false};
  EXPECT_EQ(ss_table(sockets, style, Instant{}),
            "State     Recv-Q Send-Q Local Address:Port  Peer Address:Port  Process\n"
            "LISTEN    0      5          127.0.0.1:8080       0.0.0.0:*\n"
            "ESTAB     100    0          127.0.0.1:8080     127.0.0.1:58958\n"
            "TIME-WAIT 0      0          127.0.0.1:58960    127.0.0.1:8080\n");
  style.header = false;
  style.show_state = false;
  EXPECT_EQ(ss_table({sockets[1]}, style, Instant{}), "100 0 127.0.0.1:8080 127.0.0.1:58958\n");
}

TEST(SsText, NamesWildcardsAndServicesAsSsDoes) {
  SocketInfo both = tcp("[::]:80", "[::]:0", TcpState::Listen);
  SocketInfo v6_only = both;
  v6_only.ipv6_only = true;
  EXPECT_EQ(ss_table({both, v6_only}, {.header = false}, Instant{}),
            "tcp LISTEN 0 0    *:http    *:*\n"
            "tcp LISTEN 0 0 [::]:http [::]:*\n");
  SocketInfo udp = tcp("192.0.2.1:53", "0.0.0.0:0", TcpState::Closed);
  udp.protocol = SocketProtocol::Udp;
  EXPECT_EQ(ss_table({udp}, {.header = false}, Instant{}), "udp UNCONN 0 0 192.0.2.1:domain 0.0.0.0:*\n");
}

TEST(SsText, SpreadsOverATerminal) {
  const std::string text =
      ss_table({tcp("192.0.2.1:80", "192.0.2.2:4000")}, {.numeric = true, .width = 120}, Instant{});
  EXPECT_GT(text.find('\n'), 100u);
  EXPECT_LE(text.find('\n'), 120u);
}

TEST(SsText, WritesDurationsAsSsDoes) {
  using namespace std::chrono_literals;
  EXPECT_EQ(ss_duration(200ms), "200ms");
  EXPECT_EQ(ss_duration(5ms), "005ms");
  EXPECT_EQ(ss_duration(1s), "1sec");
  EXPECT_EQ(ss_duration(1234ms), "1.234ms");
  EXPECT_EQ(ss_duration(59s + 900ms), "59sec");
  EXPECT_EQ(ss_duration(2min + 3s), "2min3sec");
  EXPECT_EQ(ss_duration(119min + 3s), "119min");
  EXPECT_EQ(ss_duration(-1s), "");
}

TEST(SsText, ShowsAMark) {
  SocketInfo socket = tcp("192.0.2.1:80", "192.0.2.2:4000");
  socket.id = 0x1f;
  socket.connection.emplace().mark = 0x29a;
  const SsStyle style{.numeric = true, .extended = true, .header = false};
  EXPECT_THAT(ss_table({socket}, style, Instant{}), HasSubstr("sk:1f fwmark:0x29a"));
  socket.connection->mark = 0;
  EXPECT_THAT(ss_table({socket}, style, Instant{}), testing::Not(HasSubstr("fwmark")));
}

TEST(SsText, ShowsTimersMemoryAndInfo) {
  using namespace std::chrono_literals;
  const Instant now{1h};
  SocketInfo socket = tcp("192.0.2.1:80", "192.0.2.2:4000");
  socket.timer = SocketTimer::Retransmit;
  socket.timer_left = 200ms;
  socket.timer_retries = 2;
  socket.memory = {.rmem_alloc = 1, .rcvbuf = 2, .wmem_alloc = 3, .sndbuf = 4, .wmem_queued = 5, .drops = 6};
  ConnectionInfo& info = socket.connection.emplace();
  info.timestamps = info.sack = true;
  info.congestion_control = "reno";
  info.snd_mss = 1448;
  info.snd_cwnd = 14480;
  info.snd_ssthresh = 7 * 1448;
  info.rto = 204ms;
  info.rtt = 53us;
  info.rttvar = 30us;
  info.pacing_rate = 2'000'000;
  info.delivery_rate = 1'500'000;
  info.delivered = 12;
  info.delivery_rate_app_limited = true;
  info.unacked = 2000;
  info.retransmits = 2;
  info.total_retrans = 5;
  info.busy_time = 200ms;
  info.rwnd_limited = 50ms;
  info.total_rto = 3;
  info.total_rto_recoveries = 2;
  info.total_rto_time = 900ms;
  info.fastopen_client_fail = 2;
  info.last_data_sent = now - 252ms;
  const SsStyle style{.numeric = true, .timers = true, .memory = true, .info = true, .header = false};
  const std::string text = ss_table({socket}, style, now);
  EXPECT_THAT(text, HasSubstr("4000 timer:(on,200ms,2)\n\t skmem:(r1,rb2,t3,tb4,f0,w5,o0,bl0,d6) ts sack reno rto:204 "
                              "rtt:0.053/0.03 mss:1448 cwnd:10 ssthresh:7 send 2185660377bps lastsnd:252 "
                              "pacing_rate 16000000bps delivery_rate 12000000bps delivered:12 app_limited busy:200ms "
                              "rwnd_limited:50ms(25.0%) unacked:2 retrans:2/5 total_rto:3 total_rto_recoveries:2 "
                              "total_rto_time:900ms fastopen_client_fail:2"));
  SsStyle flat = style;
  flat.one_line = true;
  EXPECT_EQ(std::ranges::count(ss_table({socket}, flat, now), '\n'), 1);
}

// ---- --metrics -----------------------------------------------------------------------------------------------------

control::KnownPath known_path() {
  control::KnownPath path;
  path.metrics = {.destination = *IpAddress::parse("192.0.2.1"),
                  .source = *IpAddress::parse("192.0.2.2"),
                  .updated = Instant(std::chrono::seconds(100))};
  return path;
}
constexpr Instant kLater{std::chrono::milliseconds(102'348)};

TEST(SsMetrics, LookLikeThoseOfIp) {
  control::KnownPath path = known_path();
  path.metrics.cwnd = 10;
  path.metrics.rtt = std::chrono::microseconds(130);
  path.metrics.rttvar = std::chrono::microseconds(110);
  EXPECT_EQ(metrics_line(path, kLater), "192.0.2.1 age 2.348sec cwnd 10 rtt 130us rttvar 110us source 192.0.2.2");
  path.metrics.ssthresh = 7;
  path.metrics.reordering = 12;
  path.fo_mss = 1460;
  path.fo_syn_drops = 2;
  path.fo_cookie = "c1534a1c5db9385a";
  path.fo_partition = 0xab;
  EXPECT_EQ(metrics_line(path, kLater),
            "192.0.2.1 age 2.348sec ssthresh 7 cwnd 10 reordering 12 rtt 130us rttvar 110us fo_mss 1460 fo_syn_drops 2 "
            "fo_cookie c1534a1c5db9385a fo_partition ab source 192.0.2.2");
}

TEST(SsMetrics, LeaveOutWhatIsNotKnown) {
  control::KnownPath path = known_path();
  path.metrics.updated = Instant{};
  EXPECT_EQ(metrics_line(path, kLater), "192.0.2.1 source 192.0.2.2");
}

TEST(SsMetrics, GoOverTheControlSocketAndBack) {
  control::KnownPath path = known_path();
  path.metrics.rtt = std::chrono::milliseconds(80);
  path.metrics.reordering = 5;
  path.fo_cookie = "00112233";
  const control::Json json = control::encode(path, kLater);
  const auto decoded = control::decode_path(json, kLater);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(metrics_line(*decoded, kLater), metrics_line(path, kLater));
  for (const char* name : {"destination", "source", "rtt_us", "fo_cookie"}) {
    control::Json spoilt = json;
    spoilt[name] = control::Json::object();
    EXPECT_FALSE(control::decode_path(spoilt, kLater)) << name;
    spoilt.erase(name);
    EXPECT_FALSE(control::decode_path(spoilt, kLater)) << name;
  }
}

}  // namespace
}  // namespace ff::cli
