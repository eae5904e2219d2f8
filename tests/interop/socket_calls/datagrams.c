/* UDP: connected and not, sizes, errors that the network reports, control messages. */
#include "calls.h"

static int bound(const char* address) {
  const struct sockaddr_storage own = address_of(address, 0);
  const int fd = must_socket(own.ss_family, SOCK_DGRAM);
  if (bind(fd, A(own)) != 0) exit(1);
  return fd;
}

static void test_unconnected(const char* text) {
  char data[64];
  const int a = bound(text), b = bound(text);
  const struct sockaddr_storage address = address_of(text, port_of(b));
  begin("datagrams at %s", text);
  CALL(send(a, "x", 1, 0));
  CALL(write(a, "x", 1));
  CALL(sendto(a, "hello", 5, 0, A(address)));
  CALL(sendto(a, "", 0, 0, A(address)));
  CALL(sendto(a, "third", 5, 0, A(address)));
  await(b, POLLIN);
  int value = -1;
  CALL(ioctl(b, SIOCINQ, &value));
  tell("%d", value);
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  CALL(recvfrom(b, data, 2, MSG_PEEK, (struct sockaddr*)&from, &length));
  tell("%s, length %u", text_of(&from), (unsigned)length);
  CALL(recv(b, data, 2, MSG_PEEK | MSG_TRUNC));
  CALL(recv(b, data, 2, MSG_TRUNC));
  CALL(ioctl(b, SIOCINQ, &value));
  tell("%d", value);
  CALL(recv(b, data, sizeof data, 0));
  struct iovec piece = {data, 3};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &piece, .msg_iovlen = 1};
  CALL(recvmsg(b, &message, 0));
  tell("flags %x, name %u", (unsigned)message.msg_flags, (unsigned)message.msg_namelen);
  CALL(recv(b, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(b, data, sizeof data, MSG_DONTWAIT | MSG_ERRQUEUE));
  CALL(sendto(a, "x", 1, MSG_OOB, A(address)));
  CALL(sendto(a, "x", 1, 0, (const struct sockaddr*)&address, 3));
  CALL(listen(a, 1));
  OPEN(accept(a, NULL, NULL));
  CALL(shutdown(a, SHUT_RD));
  CALL(recv(a, data, sizeof data, 0));
  CALL(shutdown(a, SHUT_WR));
  CALL(sendto(a, "x", 1, 0, A(address)));
  CALL(getpeername(a, (struct sockaddr*)&from, &length));
  const struct sockaddr_storage nowhere = address_of(text, 0);
  CALL(sendto(b, "x", 1, 0, A(nowhere)));
  close(a);
  close(b);
}

static void test_connected(const char* text) {
  char data[64];
  const int a = must_socket(address_of(text, 0).ss_family, SOCK_DGRAM);
  const int b = bound(text), c = bound(text);
  struct sockaddr_storage address = address_of(text, port_of(b));
  const struct sockaddr_storage third = address_of(text, port_of(c));
  begin("connected datagrams at %s", text);
  CALL(connect(a, A(address)));
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  CALL(getsockname(a, (struct sockaddr*)&name, &length));
  tell("%s, %s port", text_of(&name), port_of(a) != 0 ? "a" : "no");
  CALL(getpeername(a, (struct sockaddr*)&name, &length));
  tell("%s", text_of(&name));
  CALL(send(a, "one", 3, 0));
  CALL(sendto(a, "two", 3, 0, A(third)));
  await(c, POLLIN);
  CALL(recv(b, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(c, data, sizeof data, MSG_DONTWAIT));
  const struct sockaddr_storage back = address_of(text, port_of(a));
  CALL(sendto(c, "stranger", 8, 0, A(back)));
  CALL(sendto(b, "friend", 6, 0, A(back)));
  await(a, POLLIN);
  CALL(recv(a, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(a, data, sizeof data, MSG_DONTWAIT));
  CALL(connect(a, A(third)));
  CALL(send(a, "three", 5, 0));
  CALL(recv(c, data, sizeof data, MSG_DONTWAIT));
  CALL(shutdown(a, SHUT_RDWR));
  struct pollfd entry = {a, POLLIN | POLLOUT | POLLRDHUP, 0};
  CALL(poll(&entry, 1, 0));
  tell("revents %x", (unsigned)entry.revents);
  const struct sockaddr none = {.sa_family = AF_UNSPEC};
  CALL(connect(a, &none, sizeof none));
  CALL(getpeername(a, (struct sockaddr*)&name, &length));
  CALL(getsockname(a, (struct sockaddr*)&name, &length));
  tell("%s", text_of(&name));
  close(a);
  close(b);

  /* Nobody there. */
  const int d = must_socket(address.ss_family, SOCK_DGRAM);
  begin("nobody at %s", text);
  CALL(connect(d, A(address)));
  CALL(send(d, "x", 1, 0));
  tell("events %x", (unsigned)await(d, POLLIN));
  CALL(send(d, "x", 1, 0));
  CALL(send(d, "x", 1, 0));
  tell("events %x", (unsigned)await(d, POLLIN));
  CALL(recv(d, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(d, data, sizeof data, MSG_DONTWAIT));
  CALL(send(d, "x", 1, 0));
  await(d, POLLIN);
  int error = 0;
  length = sizeof error;
  CALL(getsockopt(d, SOL_SOCKET, SO_ERROR, &error, &length));
  tell("SO_ERROR %d", error);
  CALL(recv(d, data, sizeof data, MSG_DONTWAIT));
  close(d);
  const int e = bound(text);
  CALL(sendto(e, "x", 1, 0, A(address)));
  CALL(recv(e, data, sizeof data, MSG_DONTWAIT));
  close(e);
  close(c);
}

static void test_sizes(void) {
  static char data[70000];
  static const int kSizes[] = {0, 1, 1472, 40000, 65507, 65508, 65535, 65536, 70000};
  const int a = bound("127.0.0.1"), b = bound("127.0.0.1");
  const struct sockaddr_storage address = address_of("127.0.0.1", port_of(b));
  for (size_t i = 0; i < sizeof kSizes / sizeof *kSizes; ++i) {
    begin("datagram of %d", kSizes[i]);
    if (CALL(sendto(a, data, (size_t)kSizes[i], 0, A(address))) >= 0) {
      await(b, POLLIN);
      CALL(recv(b, data, sizeof data, MSG_DONTWAIT));
    }
  }
  begin("corked datagram");
  CALL(sendto(a, "one", 3, MSG_MORE, A(address)));
  CALL(recv(b, data, sizeof data, MSG_DONTWAIT));
  CALL(sendto(a, "two", 3, 0, A(address)));
  await(b, POLLIN);
  CALL(recv(b, data, sizeof data, MSG_DONTWAIT));
  close(a);
  close(b);
}

static void test_control_messages(void) {
  static const struct {
    int level, name;
    const char* address;
  } kThese[] = {{IPPROTO_IP, IP_PKTINFO, "127.0.0.1"},    {IPPROTO_IP, IP_RECVTTL, "127.0.0.1"},
                {IPPROTO_IP, IP_RECVTOS, "127.0.0.1"},    {IPPROTO_IPV6, IPV6_RECVPKTINFO, "::1"},
                {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, "::1"}, {IPPROTO_IPV6, IPV6_RECVTCLASS, "::1"}};
  for (size_t i = 0; i < sizeof kThese / sizeof *kThese; ++i) {
    char data[16], control[128];
    const int one = 1, tos = 0x28;
    const int a = bound(kThese[i].address), b = bound(kThese[i].address);
    const struct sockaddr_storage address = address_of(kThese[i].address, port_of(b));
    begin("control message %d of level %d", kThese[i].name, kThese[i].level);
    setsockopt(a, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    setsockopt(a, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
    CALL(setsockopt(b, kThese[i].level, kThese[i].name, &one, sizeof one));
    CALL(sendto(a, "x", 1, 0, A(address)));
    await(b, POLLIN);
    struct iovec piece = {data, sizeof data};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CALL(recvmsg(b, &message, MSG_DONTWAIT));
    const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != NULL) {
      tell("level %d, type %d, length %zu, control %zu", header->cmsg_level, header->cmsg_type,
           (size_t)header->cmsg_len, message.msg_controllen);
      tell("first byte %d", CMSG_DATA(header)[0]);
    }
    close(a);
    close(b);
  }
}

static void test_error_queue(const char* text, int level, int name) {
  char data[16], control[256];
  const int one = 1;
  const int gone = bound(text);
  const struct sockaddr_storage address = address_of(text, port_of(gone));
  close(gone);
  const int fd = must_socket(address.ss_family, SOCK_DGRAM);
  begin("error queue at %s", text);
  CALL(setsockopt(fd, level, name, &one, sizeof one));
  /* What they tell of a datagram they tell of the error, too: traceroute lives on it. */
  setsockopt(fd, level, level == IPPROTO_IP ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &one, sizeof one);
  if (level == IPPROTO_IPV6) setsockopt(fd, level, IPV6_RECVTCLASS, &one, sizeof one);
  CALL(sendto(fd, "lost", 4, 0, A(address)));
  tell("events %x", (unsigned)await(fd, POLLIN));
  struct sockaddr_storage to;
  struct iovec piece = {data, sizeof data};
  struct msghdr message = {.msg_name = &to,
                           .msg_namelen = sizeof to,
                           .msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
  CALL(recvmsg(fd, &message, MSG_ERRQUEUE));
  tell("flags %x, to %s, %.4s", (unsigned)message.msg_flags, text_of(&to), data);
  for (struct cmsghdr* header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    const unsigned char* said = CMSG_DATA(header);
    tell("level %d, type %d, length %zu: %d", header->cmsg_level, header->cmsg_type, (size_t)header->cmsg_len, said[0]);
    if (header->cmsg_type == name) tell("errno %d, origin %d, type %d, code %d", said[0], said[4], said[5], said[6]);
  }
  CALL(recvmsg(fd, &message, MSG_ERRQUEUE));
  CALL(recv(fd, data, sizeof data, MSG_DONTWAIT));
  CALL(sendto(fd, "lost", 4, 0, A(address)));
  await(fd, POLLIN);
  CALL(sendto(fd, "lost", 4, 0, A(address)));
  close(fd);
}

static void test_dual_stack(void) {
  char data[16];
  const int six = bound("::");
  const struct sockaddr_storage v4 = address_of("127.0.0.1", port_of(six));
  const int four = bound("127.0.0.1");
  const struct sockaddr_storage mapped = address_of("::ffff:127.0.0.1", port_of(four));
  const struct sockaddr_storage plain = address_of("127.0.0.1", port_of(four));
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  begin("dual-stack datagrams");
  CALL(sendto(four, "x", 1, 0, A(v4)));
  await(six, POLLIN);
  CALL(recvfrom(six, data, sizeof data, MSG_DONTWAIT, (struct sockaddr*)&from, &length));
  tell("%s", text_of(&from));
  CALL(sendto(six, "y", 1, 0, A(mapped)));
  await(four, POLLIN);
  CALL(recvfrom(four, data, sizeof data, MSG_DONTWAIT, (struct sockaddr*)&from, &length));
  tell("%s", text_of(&from));
  CALL(sendto(six, "y", 1, 0, A(plain)));
  CALL(connect(six, A(mapped)));
  length = sizeof from;
  CALL(getsockname(six, (struct sockaddr*)&from, &length));
  tell("%s", text_of(&from));
  close(six);
  close(four);
}

void test_datagrams(void) {
  test_unconnected("127.0.0.1");
  test_unconnected("::1");
  test_connected("127.0.0.1");
  test_connected("::1");
  test_sizes();
  test_control_messages();
  test_error_queue("127.0.0.1", IPPROTO_IP, IP_RECVERR);
  test_error_queue("::1", IPPROTO_IPV6, IPV6_RECVERR);
  test_dual_stack();
}
