/* recvmsg(MSG_ERRQUEUE): stamps of what was sent (SO_TIMESTAMPING) and the ends of copies spared (MSG_ZEROCOPY). */
#include <time.h>

#include "calls.h"
/* behind <time.h>, which it needs */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

/* One message of the error queue; false: there was none. */
static int next_report(int fd, size_t room) {
  char data[2048], controls[512];
  struct sockaddr_storage name;
  memset(&name, 0, sizeof name);
  struct iovec piece = {data, room};
  struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &piece, .msg_iovlen = 1,
                           .msg_control = controls, .msg_controllen = sizeof controls};
  if (CALL(recvmsg(fd, &message, MSG_ERRQUEUE)) < 0) return 0;
  tell("flags %x, name %u", (unsigned)message.msg_flags, (unsigned)message.msg_namelen);
  for (struct cmsghdr* c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_SOCKET) {
      struct timespec times[3];
      memcpy(times, CMSG_DATA(c), sizeof times);
      const int now = times[0].tv_sec > time(NULL) - 60 && times[0].tv_sec <= time(NULL) + 1;
      tell("type %d: %s, %d", c->cmsg_type, now ? "now" : "not now", (int)times[2].tv_sec);
      continue;
    }
    struct sock_extended_err e;
    memcpy(&e, CMSG_DATA(c), sizeof e);
    tell("level %d, type %d, %zu bytes: errno %u, origin %u, type %u, code %u, info %u, data %u", c->cmsg_level,
         c->cmsg_type, (size_t)c->cmsg_len, e.ee_errno, e.ee_origin, e.ee_type, e.ee_code, e.ee_info, e.ee_data);
  }
  return 1;
}

static void all_reports(int fd) {
  struct pollfd error = {fd, 0, 0};
  poll(&error, 1, 30);
  while (next_report(fd, 0)) continue;
  tell("events %x", (unsigned)await(fd, POLLOUT));
}

/* Until everything is acknowledged. */
static void settle(int fd) {
  for (int i = 0; i < 200; ++i) {
    int left = 0;
    ioctl(fd, SIOCOUTQ, &left);
    if (left == 0) return;
    poll(NULL, 0, 5);
  }
}

static void send_and_read(const struct pair* pair, size_t size, int flags) {
  static char data[65536];
  size_t done = 0;
  CALL(send(pair->a, data, size, flags));
  while (done < size) {
    const ssize_t count = recv(pair->b, data, sizeof data, 0);
    if (count <= 0) exit(1);
    done += (size_t)count;
  }
  settle(pair->a);
}

static void test_stream_stamps(const char* address) {
  const int kAll = SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK |
                   SOF_TIMESTAMPING_OPT_TSONLY;
  const int kFlags[] = {kAll | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID,
                        kAll | SOF_TIMESTAMPING_SOFTWARE,
                        kAll | SOF_TIMESTAMPING_OPT_ID,
                        SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
                            SOF_TIMESTAMPING_OPT_TSONLY,
                        SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE,
                        SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                            SOF_TIMESTAMPING_OPT_TSONLY,
                        SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID};
  for (size_t i = 0; i < sizeof kFlags / sizeof *kFlags; ++i) {
    const struct pair pair = must_pair(address);
    begin("stamps at %s, flags %x", address, (unsigned)kFlags[i]);
    if (i == 1) send_and_read(&pair, 77, 0); /* what was sent before counts for nothing */
    CALL(setsockopt(pair.a, SOL_SOCKET, SO_TIMESTAMPING, &kFlags[i], sizeof kFlags[i]));
    send_and_read(&pair, 1, 0);
    send_and_read(&pair, 5000, 0);
    all_reports(pair.a);
    send_and_read(&pair, 100, 0);
    all_reports(pair.a);
    close(pair.a);
    close(pair.b);
  }
}

static void test_stamps_by_call(const char* address) {
  const int flags = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
  const struct pair pair = must_pair(address);
  begin("stamps by the call, at %s", address);
  CALL(setsockopt(pair.a, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));
  for (int i = 0; i < 3; ++i) {
    char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec piece = {(char*)"hello", 5};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr* header = (struct cmsghdr*)room;
    const int wanted = i == 0 ? SOF_TIMESTAMPING_TX_ACK : i == 1 ? SOF_TIMESTAMPING_TX_SCHED : 0;
    header->cmsg_len = CMSG_LEN(sizeof wanted);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SO_TIMESTAMPING;
    memcpy(CMSG_DATA(header), &wanted, sizeof wanted);
    CALL(sendmsg(pair.a, &message, 0));
    settle(pair.a);
  }
  all_reports(pair.a);
  close(pair.a);
  close(pair.b);
}

/* Without OPT_TSONLY what was sent comes back, too; with how many headers, is each system's own affair. */
static void test_stamps_with_data(void) {
  const int flags = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE;
  const struct pair pair = must_pair("127.0.0.1");
  begin("stamps with what was sent");
  CALL(setsockopt(pair.a, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));
  send_and_read(&pair, 100, 0);
  next_report(pair.a, 60);
  send_and_read(&pair, 100, 0);
  next_report(pair.a, 200);
  next_report(pair.a, 200);
  close(pair.a);
  close(pair.b);
}

static void test_states_of_stamping(void) {
  const int kFlags[] = {SOF_TIMESTAMPING_OPT_ID, SOF_TIMESTAMPING_TX_ACK, 1 << 16, 1 << 20,
                        SOF_TIMESTAMPING_OPT_STATS};
  const int listener = must_listen("127.0.0.1", 1);
  const int closed = must_socket(AF_INET, SOCK_STREAM), datagrams = must_socket(AF_INET, SOCK_DGRAM);
  for (size_t i = 0; i < sizeof kFlags / sizeof *kFlags; ++i) {
    begin("SO_TIMESTAMPING %x", (unsigned)kFlags[i]);
    CALL(setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPING, &kFlags[i], sizeof kFlags[i]));
    CALL(setsockopt(closed, SOL_SOCKET, SO_TIMESTAMPING, &kFlags[i], sizeof kFlags[i]));
    CALL(setsockopt(datagrams, SOL_SOCKET, SO_TIMESTAMPING, &kFlags[i], sizeof kFlags[i]));
    CALL(setsockopt(datagrams, SOL_SOCKET, SO_TIMESTAMPING, &kFlags[i], 3));
  }
  close(listener);
  close(closed);
  close(datagrams);
}

static void test_datagram_stamps(void) {
  const int flags = SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK |
                    SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
  const struct sockaddr_storage any = address_of("127.0.0.1", 0);
  const int a = must_socket(AF_INET, SOCK_DGRAM), b = must_socket(AF_INET, SOCK_DGRAM);
  if (bind(b, A(any)) != 0) exit(1);
  const struct sockaddr_storage to = address_of("127.0.0.1", port_of(b));
  begin("stamps of datagrams");
  CALL(setsockopt(a, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));
  for (int i = 0; i < 3; ++i) CALL(sendto(a, "hello", 5, 0, A(to)));
  all_reports(a);
  close(a);
  close(b);
}

/* ---- MSG_ZEROCOPY ---- */

static void test_zero_copy(const char* address) {
  const int on = 1, off = 0, two = 2;
  const struct pair pair = must_pair(address);
  begin("MSG_ZEROCOPY at %s", address);
  CALL(send(pair.a, "hello", 5, MSG_ZEROCOPY)); /* not without SO_ZEROCOPY */
  all_reports(pair.a);
  CALL(setsockopt(pair.a, SOL_SOCKET, SO_ZEROCOPY, &two, sizeof two));
  CALL(setsockopt(pair.a, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on));
  int value = -1;
  socklen_t length = sizeof value;
  CALL(getsockopt(pair.a, SOL_SOCKET, SO_ZEROCOPY, &value, &length));
  tell("%d", value);
  CALL(recv(pair.b, &value, sizeof value, 0));
  CALL(recv(pair.b, &value, sizeof value, 0));
  send_and_read(&pair, 5, MSG_ZEROCOPY);
  all_reports(pair.a);
  send_and_read(&pair, 20000, MSG_ZEROCOPY);
  send_and_read(&pair, 1, MSG_ZEROCOPY);
  send_and_read(&pair, 300, 0);
  send_and_read(&pair, 300, MSG_ZEROCOPY);
  all_reports(pair.a); /* as one range */
  CALL(send(pair.a, "", 0, MSG_ZEROCOPY));
  all_reports(pair.a);
  CALL(setsockopt(pair.a, SOL_SOCKET, SO_ZEROCOPY, &off, sizeof off));
  send_and_read(&pair, 5, MSG_ZEROCOPY);
  all_reports(pair.a);
  CALL(setsockopt(pair.a, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on));
  CALL(shutdown(pair.a, SHUT_WR));
  CALL(send(pair.a, "hello", 5, MSG_ZEROCOPY));
  all_reports(pair.a);
  close(pair.a);
  close(pair.b);

  const int closed = must_socket(AF_INET, SOCK_STREAM);
  begin("MSG_ZEROCOPY without a connection");
  CALL(setsockopt(closed, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on));
  CALL(send(closed, "hello", 5, MSG_ZEROCOPY));
  all_reports(closed);
  close(closed);
}

static void test_zero_copy_datagrams(void) {
  const int on = 1;
  const struct sockaddr_storage any = address_of("127.0.0.1", 0);
  const int a = must_socket(AF_INET, SOCK_DGRAM), b = must_socket(AF_INET, SOCK_DGRAM);
  char data[8];
  if (bind(b, A(any)) != 0) exit(1);
  const struct sockaddr_storage to = address_of("127.0.0.1", port_of(b));
  begin("MSG_ZEROCOPY, datagrams");
  CALL(setsockopt(a, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on));
  for (int i = 0; i < 2; ++i) {
    CALL(sendto(a, "hello", 5, MSG_ZEROCOPY, A(to)));
    CALL(recv(b, data, sizeof data, 0));
  }
  all_reports(a);
  CALL(sendto(a, "hello", 5, 0, A(to)));
  all_reports(a);
  close(a);
  close(b);
}

void test_reports(void) {
  test_stream_stamps("127.0.0.1");
  test_stream_stamps("::1");
  test_stamps_by_call("127.0.0.1");
  test_stamps_with_data();
  test_states_of_stamping();
  test_datagram_stamps();
  test_zero_copy("127.0.0.1");
  test_zero_copy("::1");
  test_zero_copy_datagrams();
}
