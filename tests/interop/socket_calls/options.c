/* Options: what they are at first, what they may be set to, and what comes back. */
#include "calls.h"

#define OPTION(level, name) {level, name, #name}

struct option {
  int level, name;
  const char* text;
};

static const struct option kNumbers[] = {
    OPTION(SOL_SOCKET, SO_REUSEADDR),
    OPTION(SOL_SOCKET, SO_REUSEPORT),
    OPTION(SOL_SOCKET, SO_KEEPALIVE),
    OPTION(SOL_SOCKET, SO_OOBINLINE),
    OPTION(SOL_SOCKET, SO_SNDBUF),
    OPTION(SOL_SOCKET, SO_RCVBUF),
    OPTION(SOL_SOCKET, SO_SNDBUFFORCE),
    OPTION(SOL_SOCKET, SO_RCVBUFFORCE),
    OPTION(SOL_SOCKET, SO_RCVLOWAT),
    OPTION(SOL_SOCKET, SO_SNDLOWAT),
    OPTION(SOL_SOCKET, SO_MAX_PACING_RATE),
    OPTION(SOL_SOCKET, SO_TYPE),
    OPTION(SOL_SOCKET, SO_DOMAIN),
    OPTION(SOL_SOCKET, SO_PROTOCOL),
    OPTION(SOL_SOCKET, SO_ERROR),
    OPTION(SOL_SOCKET, SO_ACCEPTCONN),
    OPTION(SOL_SOCKET, SO_TIMESTAMP),
    OPTION(SOL_SOCKET, SO_TIMESTAMPNS),
    OPTION(SOL_SOCKET, SO_TIMESTAMPING),
    OPTION(SOL_SOCKET, SO_ZEROCOPY),
    OPTION(SOL_SOCKET, SO_MARK),
    OPTION(SOL_SOCKET, 9999),
    OPTION(IPPROTO_IP, IP_TOS),
    OPTION(IPPROTO_IP, IP_TTL),
    OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
    OPTION(IPPROTO_IP, IP_MTU),
    OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
    OPTION(IPPROTO_IP, IP_HDRINCL),
    OPTION(IPPROTO_IP, IP_FREEBIND),
    OPTION(IPPROTO_IP, IP_RECVERR),
    OPTION(IPPROTO_IP, 9999),
    OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS),
    OPTION(IPPROTO_IPV6, IPV6_RECVERR),
    OPTION(IPPROTO_IPV6, IPV6_MTU),
    OPTION(IPPROTO_IPV6, 9999),
    OPTION(IPPROTO_TCP, TCP_NODELAY),
    OPTION(IPPROTO_TCP, TCP_MAXSEG),
    OPTION(IPPROTO_TCP, TCP_CORK),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(IPPROTO_TCP, TCP_SYNCNT),
    OPTION(IPPROTO_TCP, TCP_LINGER2),
    OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
    OPTION(IPPROTO_TCP, TCP_WINDOW_CLAMP),
    OPTION(IPPROTO_TCP, TCP_QUICKACK),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
    OPTION(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE),
    OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
    OPTION(IPPROTO_TCP, TCP_SAVE_SYN),
    OPTION(IPPROTO_TCP, TCP_INQ),
    OPTION(IPPROTO_TCP, TCP_TX_DELAY),
    OPTION(IPPROTO_TCP, 9999),
    OPTION(IPPROTO_UDP, 1),
    OPTION(9999, 1),
};

static const int kValues[] = {0, 1, 2, 7, 64, 127, 128, 255, 256, 1000, 32767, 32768, 65536, 100000000, -1, -2};

static void test_numbers(int family) {
  for (size_t i = 0; i < sizeof kNumbers / sizeof *kNumbers; ++i) {
    const struct option* o = &kNumbers[i];
    const int fd = must_socket(family, SOCK_STREAM);
    int value = -77;
    socklen_t length = sizeof value;
    begin("%s, level %d, family %d", o->text, o->level, family);
    if (CALL(getsockopt(fd, o->level, o->name, &value, &length)) == 0) tell("%d, length %u", value, (unsigned)length);
    for (size_t v = 0; v < sizeof kValues / sizeof *kValues; ++v) {
      const int is_buffer = o->level == SOL_SOCKET && (o->name == SO_SNDBUF || o->name == SO_RCVBUF);
      if (is_buffer && (kValues[v] > 65536 || kValues[v] < 0)) continue; /* the most is a setting of the machine */
      begin("%s %d, level %d, family %d", o->text, kValues[v], o->level, family);
      if (CALL(setsockopt(fd, o->level, o->name, &kValues[v], sizeof kValues[v])) != 0) continue;
      length = sizeof value;
      if (CALL(getsockopt(fd, o->level, o->name, &value, &length)) == 0) tell("%d", value);
    }
    close(fd);
  }
}

/* Lengths that do not fit. */
static void test_lengths(void) {
  static const struct option kThese[] = {OPTION(SOL_SOCKET, SO_KEEPALIVE),  OPTION(IPPROTO_TCP, TCP_NODELAY),
                                         OPTION(IPPROTO_IP, IP_TTL),        OPTION(IPPROTO_IP, IP_TOS),
                                         OPTION(IPPROTO_IPV6, IPV6_V6ONLY), OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS)};
  static const int kLengths[] = {0, 1, 2, 3, 4, 5, 8, -1};
  for (size_t i = 0; i < sizeof kThese / sizeof *kThese; ++i) {
    const struct option* o = &kThese[i];
    const int fd = must_socket(AF_INET6, SOCK_STREAM);
    for (size_t l = 0; l < sizeof kLengths / sizeof *kLengths; ++l) {
      const char on[8] = {1};
      char value[8] = {0};
      socklen_t length = (socklen_t)kLengths[l];
      begin("%s, length %d", o->text, kLengths[l]);
      CALL(setsockopt(fd, o->level, o->name, on, length));
      if (CALL(getsockopt(fd, o->level, o->name, value, &length)) == 0)
        tell("length %u, %d %d %d %d", (unsigned)length, value[0], value[1], value[2], value[3]);
    }
    socklen_t length = 4;
    CALL(setsockopt(fd, o->level, o->name, NULL, 4));
    CALL(getsockopt(fd, o->level, o->name, NULL, &length));
    CALL(getsockopt(fd, o->level, o->name, &length, NULL));
    close(fd);
  }
}

static void test_times(void) {
  static const struct timeval kTimes[] = {{0, 0}, {1, 0}, {0, 200000}, {5, 990000}, {0, 1000000}, {0, -1}, {-1, 0}};
  const int fd = must_socket(AF_INET, SOCK_STREAM);
  for (size_t i = 0; i < sizeof kTimes / sizeof *kTimes; ++i) {
    struct timeval value = {-7, -7};
    socklen_t length = sizeof value;
    begin("SO_RCVTIMEO %ld.%06ld", (long)kTimes[i].tv_sec, (long)kTimes[i].tv_usec);
    CALL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kTimes[i], sizeof kTimes[i]));
    CALL(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, &length));
    /* Linux counts in ticks. */
    tell("%ld.%02ld, length %u", (long)value.tv_sec, (long)value.tv_usec / 10000, (unsigned)length);
  }
  begin("SO_SNDTIMEO");
  CALL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kTimes[1], 4));
  CALL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kTimes[1], 3));
  CALL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kTimes[1], sizeof kTimes[1]));

  static const struct linger kLingers[] = {{1, 5}, {0, 9}, {1, 0}, {2, 3}, {1, -1}};
  for (size_t i = 0; i < sizeof kLingers / sizeof *kLingers; ++i) {
    struct linger value = {-7, -7};
    socklen_t length = sizeof value;
    begin("SO_LINGER %d %d", kLingers[i].l_onoff, kLingers[i].l_linger);
    CALL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &kLingers[i], sizeof kLingers[i]));
    CALL(getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &length));
    tell("%d, length %u", value.l_onoff, (unsigned)length);
    if (kLingers[i].l_linger >= 0 && kLingers[i].l_onoff != 0) tell("%d", value.l_linger);
    CALL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &kLingers[i], 4));
  }
  close(fd);
}

static void test_congestion(void) {
  char name[32];
  const int fd = must_socket(AF_INET, SOCK_STREAM);
  static const char* const kNames[] = {"reno", "cubic", "nosuch", "", "a name that is far too long"};
  for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i) {
    socklen_t length = sizeof name;
    begin("TCP_CONGESTION '%s'", kNames[i]);
    memset(name, 0, sizeof name);
    CALL(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kNames[i], (socklen_t)strlen(kNames[i])));
    CALL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
    tell("%s, length %u", name, (unsigned)length);
  }
  socklen_t length = 3;
  memset(name, 0, sizeof name);
  CALL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
  tell("%s, length %u", name, (unsigned)length);
  length = sizeof name;
  CALL(getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, name, &length));
  tell("length %u", (unsigned)length);
  close(fd);
}

/* Of struct tcp_info what has to be alike on a connection over which little has gone. */
static void test_info(void) {
  struct {
    struct tcp_info info;
    char more[200];
  } all;
  const int listener = must_listen("127.0.0.1", 7);
  const int fd = must_connect("127.0.0.1", port_of(listener));
  socklen_t length = sizeof all;
  begin("TCP_INFO");
  CALL(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &all, &length));
  tell("length %u, state %u, unacked %u, sacked %u", (unsigned)length, all.info.tcpi_state, all.info.tcpi_unacked,
       all.info.tcpi_sacked);
  const int other = must_accept(listener);
  char data[64];
  CALL(send(fd, "hello", 5, 0));
  await(other, POLLIN);
  CALL(recv(other, data, sizeof data, 0));
  CALL(send(other, "good day", 8, 0));
  await(fd, POLLIN);
  for (int end = 0; end < 2; ++end) {
    const struct tcp_info* i = &all.info;
    length = sizeof all;
    begin("TCP_INFO, end %d", end);
    CALL(getsockopt(end == 0 ? fd : other, IPPROTO_TCP, TCP_INFO, &all, &length));
    tell("state %u, ca_state %u, retransmits %u, probes %u, backoff %u, options %u", i->tcpi_state, i->tcpi_ca_state,
         i->tcpi_retransmits, i->tcpi_probes, i->tcpi_backoff, i->tcpi_options);
    tell("app limited %u, fastopen fail %u, sacked %u, lost %u, retrans %u", i->tcpi_delivery_rate_app_limited,
         i->tcpi_fastopen_client_fail, i->tcpi_sacked, i->tcpi_lost, i->tcpi_retrans);
    tell("cwnd %s, ssthresh %u, reordering %u, total retrans %u", i->tcpi_snd_cwnd >= 10 ? "large" : "small",
         i->tcpi_snd_ssthresh, i->tcpi_reordering, i->tcpi_total_retrans);
    tell("bytes acked %llu, received %llu, sent %llu, retrans %llu", i->tcpi_bytes_acked, i->tcpi_bytes_received,
         i->tcpi_bytes_sent, i->tcpi_bytes_retrans);
    tell("data segments in %u, out %u, not sent %u, delivered %u", i->tcpi_data_segs_in, i->tcpi_data_segs_out,
         i->tcpi_notsent_bytes, i->tcpi_delivered);
    tell("rtt %s, min rtt %s, rto %s, mss %s", i->tcpi_rtt > 0 ? "measured" : "none",
         i->tcpi_min_rtt < 1000000 ? "measured" : "none", i->tcpi_rto >= 200000 ? "enough" : "short",
         i->tcpi_snd_mss > 536 ? "large" : "small");
  }
  static const socklen_t kLengths[] = {0, 1, 8, 104, 232, 400};
  for (size_t i = 0; i < sizeof kLengths / sizeof *kLengths; ++i) {
    length = kLengths[i];
    begin("TCP_INFO, length %u", (unsigned)kLengths[i]);
    CALL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &all, &length));
    tell("length %u", (unsigned)length);
  }
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_INFO, &all, sizeof all));
  close(fd);
  close(other);
  close(listener);
}

static void test_saved_syn(void) {
  unsigned char syn[200];
  const int one = 1;
  const int listener = must_listen("127.0.0.1", 7);
  begin("TCP_SAVE_SYN");
  CALL(setsockopt(listener, IPPROTO_TCP, TCP_SAVE_SYN, &one, sizeof one));
  const int fd = must_connect("127.0.0.1", port_of(listener));
  const int other = must_accept(listener);
  socklen_t length = 4;
  CALL(getsockopt(other, IPPROTO_TCP, TCP_SAVED_SYN, syn, &length));
  tell("length %u", (unsigned)length);
  length = sizeof syn;
  CALL(getsockopt(other, IPPROTO_TCP, TCP_SAVED_SYN, syn, &length));
  tell("length %u, begins with %x, flags %x", (unsigned)length, syn[0], syn[33]);
  length = sizeof syn;
  CALL(getsockopt(other, IPPROTO_TCP, TCP_SAVED_SYN, syn, &length));
  tell("length %u", (unsigned)length);
  length = sizeof syn;
  CALL(getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &length));
  tell("length %u", (unsigned)length);
  close(fd);
  close(other);
  close(listener);
}

/* What the listener's are is the connection's. */
static void test_inheritance(void) {
  static const struct option kThese[] = {OPTION(SOL_SOCKET, SO_KEEPALIVE), OPTION(SOL_SOCKET, SO_RCVLOWAT),
                                         OPTION(SOL_SOCKET, SO_RCVBUF),    OPTION(SOL_SOCKET, SO_SNDBUF),
                                         OPTION(SOL_SOCKET, SO_REUSEADDR), OPTION(SOL_SOCKET, SO_ACCEPTCONN),
                                         OPTION(IPPROTO_IP, IP_TOS),       OPTION(IPPROTO_IP, IP_TTL),
                                         OPTION(IPPROTO_TCP, TCP_NODELAY), OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
                                         OPTION(IPPROTO_TCP, TCP_KEEPCNT), OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
                                         OPTION(IPPROTO_TCP, TCP_LINGER2), OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
                                         OPTION(IPPROTO_TCP, TCP_INQ)};
  const int listener = must_listen("127.0.0.1", 7);
  const int values[] = {1, 5, 20000, 30000, 1, 0, 8, 33, 1, 99, 5, 7000, 9, 4000, 1};
  begin("inherited");
  for (size_t i = 0; i < sizeof kThese / sizeof *kThese; ++i)
    setsockopt(listener, kThese[i].level, kThese[i].name, &values[i], sizeof values[i]);
  const int fd = must_connect("127.0.0.1", port_of(listener));
  const int other = must_accept(listener);
  for (size_t i = 0; i < sizeof kThese / sizeof *kThese; ++i) {
    int value = -77;
    socklen_t length = sizeof value;
    begin("inherited %s", kThese[i].text);
    CALL(getsockopt(other, kThese[i].level, kThese[i].name, &value, &length));
    tell("%d", value);
  }
  close(fd);
  close(other);
  close(listener);
}

static void test_on_connection(void) {
  const int listener = must_listen("::1", 7);
  const int fd = must_connect("::1", port_of(listener));
  const int one = 1;
  int value = 0;
  socklen_t length = sizeof value;
  begin("options of a connection");
  CALL(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
  CALL(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one));
  CALL(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof one));
  CALL(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length));
  tell("%d", value);
  CALL(getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, &length));
  tell("%d", value);
  CALL(ioctl(fd, 0x1234, &value));
  CALL(fcntl(fd, 9999, 0));
  close(fd);
  close(listener);
}

void test_options(void) {
  test_numbers(AF_INET);
  test_numbers(AF_INET6);
  test_lengths();
  test_times();
  test_congestion();
  test_info();
  test_saved_syn();
  test_inheritance();
  test_on_connection();
}
