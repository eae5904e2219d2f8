/* TCP Fast Open as an application asks for it. */
#include "calls.h"

static int listener_with(int queue) {
  const int listener = must_listen("127.0.0.1", 8);
  setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue);
  return listener;
}

static void say_info(int fd) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  memset(&info, 0, sizeof info);
  CALL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
  tell("state %u, data in the SYN %u, fail %u", info.tcpi_state, (info.tcpi_options & 32u) != 0,
       info.tcpi_fastopen_client_fail);
}

static void say_data(int listener) {
  char data[64] = {0};
  await(listener, POLLIN);
  const int fd = OPEN(accept(listener, NULL, NULL));
  if (fd < 0) return;
  await(fd, POLLIN);
  CALL(recv(fd, data, sizeof data, MSG_DONTWAIT));
  tell("%.8s", data);
  say_info(fd);
  close(fd);
}

/* The first asks for a cookie, the second has it. */
static void test_sendto(int flags) {
  const int listener = listener_with(5);
  const struct sockaddr_storage address = address_of("127.0.0.1", port_of(listener));
  for (int round = 0; round < 3; ++round) {
    begin("sendto MSG_FASTOPEN, flags %x, round %d", (unsigned)flags, round);
    const int fd = must_socket(AF_INET, SOCK_STREAM);
    CALL(sendto(fd, "hello", 5, MSG_FASTOPEN | flags, A(address)));
    CALL(sendto(fd, "again", 5, MSG_FASTOPEN | flags, A(address)));
    tell("events %x", (unsigned)await(fd, POLLOUT));
    CALL(sendto(fd, "more", 4, MSG_FASTOPEN | flags, A(address)));
    CALL(send(fd, "plain", 5, 0));
    CALL(connect(fd, A(address)));
    CALL(connect(fd, A(address)));
    say_info(fd);
    say_data(listener);
    close(fd);
  }
  close(listener);
}

static void test_connect_option(void) {
  const int one = 1;
  char data[8];
  const int listener = listener_with(5);
  const struct sockaddr_storage address = address_of("127.0.0.1", port_of(listener));
  for (int nonblocking = 0; nonblocking < 2; ++nonblocking) {
    begin("TCP_FASTOPEN_CONNECT, %s", nonblocking != 0 ? "without waiting" : "waiting");
    const int fd = must_socket(AF_INET, SOCK_STREAM);
    if (nonblocking != 0) set_nonblocking(fd);
    CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one));
    CALL(connect(fd, A(address)));
    struct pollfd entry = {fd, POLLIN | POLLOUT, 0};
    CALL(poll(&entry, 1, 0));
    tell("revents %x", (unsigned)entry.revents);
    say_info(fd);
    CALL(recv(fd, data, sizeof data, MSG_DONTWAIT));
    if (nonblocking != 0) CALL(connect(fd, A(address))); /* otherwise Linux would wait for ever */
    CALL(getpeername(fd, NULL, NULL));
    int value = -1;
    CALL(ioctl(fd, SIOCOUTQ, &value));
    tell("%d", value);
    CALL(send(fd, "hello", 5, 0));
    tell("events %x", (unsigned)await(fd, POLLOUT));
    CALL(send(fd, "more", 4, 0));
    CALL(connect(fd, A(address)));
    say_info(fd);
    say_data(listener);
    close(fd);
  }

  begin("TCP_FASTOPEN_CONNECT, closed before a write");
  int fd = must_socket(AF_INET, SOCK_STREAM);
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one));
  CALL(connect(fd, A(address)));
  CALL(shutdown(fd, SHUT_WR));
  close(fd);

  begin("TCP_FASTOPEN_CONNECT, nobody listens");
  close(listener);
  fd = must_socket(AF_INET, SOCK_STREAM);
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one));
  CALL(connect(fd, A(address)));
  CALL(send(fd, "x", 1, 0));
  CALL(send(fd, "x", 1, 0));
  CALL(recv(fd, data, sizeof data, 0));
  close(fd);
}

static void test_without_cookie(void) {
  const int one = 1;
  const int listener = listener_with(5);
  const struct sockaddr_storage address = address_of("127.0.0.2", port_of(listener));
  begin("no cookie, and none is wanted");
  const int fd = must_socket(AF_INET, SOCK_STREAM);
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one, sizeof one));
  CALL(sendto(fd, "hello", 5, MSG_FASTOPEN | MSG_DONTWAIT, A(address)));
  close(fd);
  close(listener);
}

static void test_bad_calls(void) {
  const int listener = listener_with(5);
  struct sockaddr_storage address = address_of("127.0.0.1", port_of(listener));
  const int fd = must_socket(AF_INET, SOCK_STREAM);
  begin("MSG_FASTOPEN, wrongly");
  CALL(sendto(fd, "x", 1, MSG_FASTOPEN, NULL, 0));
  CALL(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr*)&address, 3));
  const struct sockaddr_storage v6 = address_of("::1", 9);
  CALL(sendto(fd, "x", 1, MSG_FASTOPEN, A(v6)));
  address.ss_family = AF_UNSPEC;
  CALL(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr*)&address, sizeof(struct sockaddr_in)));
  CALL(sendto(listener, "x", 1, MSG_FASTOPEN, (struct sockaddr*)&v6, 0));
  close(fd);
  close(listener);
}

static void test_keys(void) {
  unsigned char key[40];
  memset(key, 7, sizeof key);
  const int fd = must_socket(AF_INET, SOCK_STREAM);
  static const socklen_t kLengths[] = {0, 4, 15, 16, 17, 31, 32, 33, 40};
  for (size_t i = 0; i < sizeof kLengths / sizeof *kLengths; ++i) {
    begin("TCP_FASTOPEN_KEY, length %u", (unsigned)kLengths[i]);
    unsigned char back[40] = {0};
    socklen_t length = sizeof back;
    if (CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, kLengths[i])) != 0) continue;
    CALL(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &length));
    tell("length %u, %s", (unsigned)length, memcmp(key, back, length) == 0 ? "the same" : "another");
    length = 10;
    CALL(getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, back, &length));
    tell("length %u", (unsigned)length);
  }
  close(fd);
}

/* Another key: the cookies of the one before are good no more. */
static void test_changed_key(void) {
  unsigned char key[16] = {1};
  const int listener = listener_with(5);
  const struct sockaddr_storage address = address_of("127.0.0.1", port_of(listener));
  for (int round = 0; round < 4; ++round) {
    begin("TCP_FASTOPEN_KEY changes, round %d", round);
    if (round != 1) {
      key[0] = (unsigned char)(round + 1);
      CALL(setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, sizeof key));
    }
    const int fd = must_socket(AF_INET, SOCK_STREAM);
    const long sent = sendto(fd, "hello", 5, MSG_FASTOPEN, A(address));
    tell("%ld", sent);
    say_info(fd);
    say_data(listener);
    close(fd);
  }
  close(listener);
}

void test_fast_open(void) {
  test_sendto(MSG_DONTWAIT);
  test_sendto(0);
  test_connect_option();
  test_without_cookie();
  test_bad_calls();
  test_keys();
  test_changed_key();
}
