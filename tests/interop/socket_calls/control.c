/* Control messages: those that sendmsg() takes, good and bad, and what recvmsg() tells. */
#include <linux/net_tstamp.h>
#include <sys/time.h>
#include <time.h>

#include "calls.h"

#define ROOM 256

struct control {
  char bytes[ROOM] __attribute__((aligned(8)));
  size_t used;
};

static void add(struct control* control, int level, int type, const void* data, size_t size) {
  struct cmsghdr* header = (struct cmsghdr*)(control->bytes + control->used);
  header->cmsg_len = CMSG_LEN(size);
  header->cmsg_level = level;
  header->cmsg_type = type;
  memcpy(CMSG_DATA(header), data, size);
  control->used += CMSG_SPACE(size);
}

static void add_number(struct control* control, int level, int type, int value) {
  add(control, level, type, &value, sizeof value);
}

static long send_with(int fd, struct control* control, const struct sockaddr_storage* to, const char* what) {
  struct iovec piece = {(char*)"hello", 5};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  if (to != NULL) {
    message.msg_name = (void*)to;
    message.msg_namelen = length_of(to);
  }
  message.msg_control = control->bytes;
  message.msg_controllen = control->used;
  const long sent = CALL(sendmsg(fd, &message, 0));
  tell("with %s", what);
  return sent;
}

/* What a stamp says is printed as whether it is of the last minute. */
static const char* of_now(time_t seconds) {
  const time_t now = time(NULL);
  return seconds > now - 60 && seconds <= now + 1 ? "now" : "not now";
}

static void tell_controls(struct msghdr* message) {
  for (struct cmsghdr* c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    const size_t size = c->cmsg_len - CMSG_LEN(0);
    int number = 0;
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) {
      struct timespec times[3];
      memcpy(times, CMSG_DATA(c), sizeof times);
      tell("stamps: %s, %d, %d", of_now(times[0].tv_sec), (int)times[1].tv_sec, (int)times[2].tv_sec);
    } else if (c->cmsg_level == SOL_SOCKET) {
      time_t seconds;
      memcpy(&seconds, CMSG_DATA(c), sizeof seconds);
      tell("stamp %d of %zu bytes: %s", c->cmsg_type, size, of_now(seconds));
    } else if (c->cmsg_type == IP_PKTINFO && c->cmsg_level == IPPROTO_IP) {
      struct in_pktinfo info;
      char own[32], destination[32];
      memcpy(&info, CMSG_DATA(c), sizeof info);
      tell("to %s, for %s, by %d", inet_ntop(AF_INET, &info.ipi_addr, destination, sizeof destination),
           inet_ntop(AF_INET, &info.ipi_spec_dst, own, sizeof own), info.ipi_ifindex);
    } else {
      memcpy(&number, CMSG_DATA(c), size < sizeof number ? size : sizeof number);
      tell("level %d, type %d, %zu bytes: %d", c->cmsg_level, c->cmsg_type, size, number);
    }
  }
}

static void receive(int fd, int flags) {
  char data[64], controls[ROOM];
  struct sockaddr_storage from;
  memset(&from, 0, sizeof from);
  struct iovec piece = {data, sizeof data};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1,
                           .msg_control = controls, .msg_controllen = sizeof controls};
  await(fd, POLLIN);
  if (CALL(recvmsg(fd, &message, MSG_DONTWAIT | flags)) < 0) return;
  tell("from %s, flags %x", message.msg_namelen > 0 ? text_of(&from) : "nobody", (unsigned)message.msg_flags);
  tell_controls(&message);
}

static void test_datagrams_v4(void) {
  const int on = 1;
  const int a = must_socket(AF_INET, SOCK_DGRAM), b = must_socket(AF_INET, SOCK_DGRAM);
  const struct sockaddr_storage any = address_of("127.0.0.1", 0);
  if (bind(b, A(any)) != 0) exit(1);
  const struct sockaddr_storage to = address_of("127.0.0.1", port_of(b));
  begin("control messages, IPv4");
  CALL(setsockopt(b, IPPROTO_IP, IP_RECVTOS, &on, sizeof on));
  CALL(setsockopt(b, IPPROTO_IP, IP_RECVTTL, &on, sizeof on));
  CALL(setsockopt(b, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
  const int kNumbers[][2] = {{IP_TTL, 7},   {IP_TTL, 0},    {IP_TTL, 256}, {IP_TTL, -1},  {IP_TOS, 0x48},
                             {IP_TOS, 255}, {IP_TOS, 256},  {IP_TOS, -1},  {IP_MTU, 100}, {9999, 1}};
  for (size_t i = 0; i < sizeof kNumbers / sizeof *kNumbers; ++i) {
    struct control control = {.used = 0};
    begin("datagram with IP control %d: %d", kNumbers[i][0], kNumbers[i][1]);
    add_number(&control, IPPROTO_IP, kNumbers[i][0], kNumbers[i][1]);
    if (send_with(a, &control, &to, "a number") > 0) receive(b, 0);
  }
  begin("datagram with controls of wrong sizes");
  const char octet = 0x20;
  struct control control = {.used = 0};
  add(&control, IPPROTO_IP, IP_TOS, &octet, 1);
  if (send_with(a, &control, &to, "IP_TOS of a byte") > 0) receive(b, 0);
  control.used = 0;
  add(&control, IPPROTO_IP, IP_TTL, &octet, 1);
  send_with(a, &control, &to, "IP_TTL of a byte");
  control.used = 0;
  add_number(&control, IPPROTO_IP, IP_TTL, 9);
  add_number(&control, IPPROTO_IP, IP_TOS, 0x10);
  if (send_with(a, &control, &to, "two") > 0) receive(b, 0);
  control.used = 0;
  add_number(&control, IPPROTO_IPV6, IPV6_HOPLIMIT, 9);
  if (send_with(a, &control, &to, "one of IPv6's") > 0) receive(b, 0);
  control.used = 0;
  add_number(&control, 9999, 1, 9);
  if (send_with(a, &control, &to, "one of no level") > 0) receive(b, 0);
  control.used = 0;
  add_number(&control, IPPROTO_UDP, 9999, 9);
  send_with(a, &control, &to, "one of UDP's");
  control.used = 0;
  add_number(&control, IPPROTO_IP, IP_TTL, 9);
  ((struct cmsghdr*)control.bytes)->cmsg_len = 4;
  send_with(a, &control, &to, "a length too short");
  ((struct cmsghdr*)control.bytes)->cmsg_len = 400;
  send_with(a, &control, &to, "a length too long");
  control.used = 8;
  if (send_with(a, &control, &to, "a part of a header") > 0) receive(b, 0);

  begin("datagram with IP_PKTINFO");
  const char* const kSources[] = {"127.0.0.1", "127.0.0.5", "0.0.0.0", "192.0.2.77"};
  for (size_t i = 0; i < sizeof kSources / sizeof *kSources; ++i) {
    struct in_pktinfo info;
    memset(&info, 0, sizeof info);
    inet_pton(AF_INET, kSources[i], &info.ipi_spec_dst);
    control.used = 0;
    add(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    if (send_with(a, &control, &to, kSources[i]) > 0) receive(b, 0);
  }
  struct in_pktinfo info;
  memset(&info, 0, sizeof info);
  control.used = 0;
  add(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info - 1);
  send_with(a, &control, &to, "too few bytes");
  info.ipi_ifindex = 1;
  control.used = 0;
  add(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  if (send_with(a, &control, &to, "the loopback") > 0) receive(b, 0);
  info.ipi_ifindex = 7777;
  control.used = 0;
  add(&control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  send_with(a, &control, &to, "no interface");
  close(a);
  close(b);
}

static void test_datagrams_v6(void) {
  const int on = 1;
  const int a = must_socket(AF_INET6, SOCK_DGRAM), b = must_socket(AF_INET6, SOCK_DGRAM);
  const struct sockaddr_storage any = address_of("::1", 0);
  if (bind(b, A(any)) != 0) exit(1);
  const struct sockaddr_storage to = address_of("::1", port_of(b));
  begin("control messages, IPv6");
  CALL(setsockopt(b, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on));
  CALL(setsockopt(b, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on));
  const int kNumbers[][2] = {{IPV6_HOPLIMIT, 7},  {IPV6_HOPLIMIT, 0},   {IPV6_HOPLIMIT, 256}, {IPV6_HOPLIMIT, -1},
                             {IPV6_HOPLIMIT, -2}, {IPV6_TCLASS, 0x48},  {IPV6_TCLASS, 255},   {IPV6_TCLASS, 256},
                             {IPV6_TCLASS, -1},   {IPV6_TCLASS, -2},    {9999, 1}};
  struct control control = {.used = 0};
  for (size_t i = 0; i < sizeof kNumbers / sizeof *kNumbers; ++i) {
    if (kNumbers[i][0] == IPV6_HOPLIMIT && kNumbers[i][1] == 0) continue; /* the kernel sends it to itself all the same */
    begin("datagram with IPv6 control %d: %d", kNumbers[i][0], kNumbers[i][1]);
    control.used = 0;
    add_number(&control, IPPROTO_IPV6, kNumbers[i][0], kNumbers[i][1]);
    if (send_with(a, &control, &to, "a number") > 0) receive(b, 0);
  }
  begin("datagram with IPv6 controls of wrong sizes");
  const char octet = 7;
  control.used = 0;
  add(&control, IPPROTO_IPV6, IPV6_HOPLIMIT, &octet, 1);
  send_with(a, &control, &to, "IPV6_HOPLIMIT of a byte");
  control.used = 0;
  add_number(&control, IPPROTO_IP, IP_TTL, 9);
  if (send_with(a, &control, &to, "one of IPv4's") > 0) receive(b, 0);
  const char* const kSources[] = {"::1", "::", "2001:db8::77"};
  for (size_t i = 0; i < sizeof kSources / sizeof *kSources; ++i) {
    struct in6_pktinfo info;
    memset(&info, 0, sizeof info);
    inet_pton(AF_INET6, kSources[i], &info.ipi6_addr);
    control.used = 0;
    add(&control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    if (send_with(a, &control, &to, kSources[i]) > 0) receive(b, 0);
  }
  close(a);
  close(b);
}

/* Level SOL_SOCKET, and the rest, on a stream. */
static void test_stream(const char* address) {
  const struct pair pair = must_pair(address);
  const int kTypes[] = {SO_MARK, SO_TIMESTAMPING, SO_PRIORITY, SCM_RIGHTS, SO_TYPE, SO_RCVBUF, 9999};
  struct control control = {.used = 0};
  for (size_t i = 0; i < sizeof kTypes / sizeof *kTypes; ++i) {
    begin("stream at %s, SOL_SOCKET control %d", address, kTypes[i]);
    control.used = 0;
    add_number(&control, SOL_SOCKET, kTypes[i], 2);
    send_with(pair.a, &control, NULL, "2");
    control.used = 0;
    add(&control, SOL_SOCKET, kTypes[i], "abcdefgh", 8);
    send_with(pair.a, &control, NULL, "eight bytes");
  }
  begin("stream at %s, other controls", address);
  control.used = 0;
  add_number(&control, SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_SOFTWARE);
  send_with(pair.a, &control, NULL, "SOF_TIMESTAMPING_SOFTWARE");
  control.used = 0;
  add_number(&control, IPPROTO_IP, IP_TTL, 999);
  send_with(pair.a, &control, NULL, "IP_TTL");
  control.used = 0;
  add_number(&control, IPPROTO_TCP, 999, 999);
  send_with(pair.a, &control, NULL, "one of TCP's");
  ((struct cmsghdr*)control.bytes)->cmsg_len = 4;
  send_with(pair.a, &control, NULL, "a length too short");
  close(pair.a);
  close(pair.b);
}

/* SO_TIMESTAMP and the like, as they are told with what comes in. */
static void test_receive_stamps(int type) {
  const int kOptions[][2] = {{SO_TIMESTAMP, 1},
                             {SO_TIMESTAMPNS, 1},
                             {SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE},
                             {SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE},
                             {SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE}};
  for (size_t i = 0; i < sizeof kOptions / sizeof *kOptions; ++i) {
    struct pair pair;
    begin("stamps of what comes, type %d, option %d: %d", type, kOptions[i][0], kOptions[i][1]);
    if (type == SOCK_STREAM) {
      pair = must_pair("127.0.0.1");
    } else {
      const struct sockaddr_storage any = address_of("127.0.0.1", 0);
      pair.a = must_socket(AF_INET, SOCK_DGRAM);
      pair.b = must_socket(AF_INET, SOCK_DGRAM);
      if (bind(pair.b, A(any)) != 0) exit(1);
      const struct sockaddr_storage to = address_of("127.0.0.1", port_of(pair.b));
      if (connect(pair.a, A(to)) != 0) exit(1);
    }
    CALL(setsockopt(pair.b, SOL_SOCKET, kOptions[i][0], &kOptions[i][1], sizeof(int)));
    int value[2] = {-1, -1};
    socklen_t length = sizeof value;
    CALL(getsockopt(pair.b, SOL_SOCKET, kOptions[i][0], value, &length));
    tell("%d, length %u", value[0], (unsigned)length);
    poll(NULL, 0, 50); /* the kernel is slow to begin with it */
    CALL(send(pair.a, "hello", 5, 0));
    receive(pair.b, MSG_PEEK);
    receive(pair.b, 0);
    CALL(send(pair.a, "again", 5, 0));
    receive(pair.b, 0);
    close(pair.a);
    close(pair.b);
  }
}

void test_control(void) {
  test_datagrams_v4();
  test_datagrams_v6();
  test_stream("127.0.0.1");
  test_stream("::1");
  test_receive_stamps(SOCK_STREAM);
  test_receive_stamps(SOCK_DGRAM);
}
