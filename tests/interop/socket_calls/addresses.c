/* bind(), connect() and the like with good and bad addresses, of both families. */
#include "calls.h"

static void say_name(int fd) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  memset(&name, 0, sizeof name);
  if (CALL(getsockname(fd, (struct sockaddr*)&name, &length)) == 0)
    tell("%s, %s port", text_of(&name), port_of(fd) != 0 ? "a" : "no");
  length = sizeof name;
  if (CALL(getpeername(fd, (struct sockaddr*)&name, &length)) == 0) tell("%s", text_of(&name));
}

static void test_sockets(void) {
  begin("socket");
  OPEN(socket(AF_INET, SOCK_STREAM, 0));
  OPEN(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
  OPEN(socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP));
  OPEN(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
  OPEN(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  OPEN(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
  OPEN(socket(AF_INET6, SOCK_DGRAM, IPPROTO_TCP));
  OPEN(socket(AF_INET, SOCK_SEQPACKET, 0));
  OPEN(socket(AF_INET, SOCK_STREAM, -1));
  OPEN(socket(AF_INET, SOCK_STREAM, 100000));
  OPEN(socket(AF_INET, 0, 0));
  OPEN(socket(AF_INET, 12, 0));
  OPEN(socket(AF_INET, SOCK_STREAM | 0x100000, 0));
  OPEN(socket(-1, SOCK_STREAM, 0));
  OPEN(socket(AF_UNSPEC, SOCK_STREAM, 0));
  OPEN(socket(1000, SOCK_STREAM, 0));
}

static void test_lengths(int type) {
  struct sockaddr_storage v4 = address_of("127.0.0.1", 0);
  struct sockaddr_storage v6 = address_of("::1", 0);
  const int fd = must_socket(AF_INET, type);
  const int fd6 = must_socket(AF_INET6, type);
  begin("lengths, type %d", type);
  CALL(bind(fd, (struct sockaddr*)&v4, 0));
  CALL(bind(fd, (struct sockaddr*)&v4, 2));
  CALL(bind(fd, (struct sockaddr*)&v4, 15));
  CALL(bind(fd, (struct sockaddr*)&v4, (socklen_t)-1));
  CALL(bind(fd, (struct sockaddr*)&v4, sizeof v4 + 1));
  CALL(bind(fd6, (struct sockaddr*)&v6, 16));
  CALL(bind(fd6, (struct sockaddr*)&v6, 23));
  CALL(bind(fd, A(v6)));
  CALL(bind(fd6, A(v4)));
  CALL(connect(fd, (struct sockaddr*)&v4, 0));
  CALL(connect(fd, (struct sockaddr*)&v4, 1));
  CALL(connect(fd, (struct sockaddr*)&v4, 15));
  CALL(connect(fd, (struct sockaddr*)&v4, (socklen_t)-1));
  CALL(connect(fd6, (struct sockaddr*)&v6, 23));
  CALL(connect(fd, A(v6)));
  v4.ss_family = 77;
  CALL(bind(fd, (struct sockaddr*)&v4, sizeof(struct sockaddr_in)));
  CALL(connect(fd, (struct sockaddr*)&v4, sizeof(struct sockaddr_in)));
  v4.ss_family = AF_UNSPEC;
  CALL(bind(fd, (struct sockaddr*)&v4, sizeof(struct sockaddr_in)));
  v4 = address_of("0.0.0.0", 0);
  v4.ss_family = AF_UNSPEC;
  CALL(bind(fd, (struct sockaddr*)&v4, sizeof(struct sockaddr_in)));
  v6 = address_of("::1", 0);
  CALL(bind(fd6, (struct sockaddr*)&v6, 24));
  CALL(bind(fd6, (struct sockaddr*)&v6, 128));

  struct sockaddr_storage name;
  socklen_t length = 4;
  memset(&name, 0, sizeof name);
  CALL(getsockname(fd, (struct sockaddr*)&name, &length));
  tell("length %u, family %u", (unsigned)length, name.ss_family);
  length = 0;
  CALL(getsockname(fd, (struct sockaddr*)&name, &length));
  tell("length %u", (unsigned)length);
  length = (socklen_t)-1;
  CALL(getsockname(fd, (struct sockaddr*)&name, &length));
  length = 200;
  CALL(getsockname(fd6, (struct sockaddr*)&name, &length));
  tell("length %u", (unsigned)length);
  CALL(getsockname(fd, NULL, NULL));
  close(fd);
  close(fd6);
}

static void test_binds(int type) {
  begin("bind, type %d", type);
  const int first = must_socket(AF_INET, type);
  struct sockaddr_storage address = address_of("127.0.0.1", 0);
  CALL(bind(first, A(address)));
  say_name(first);
  const int port = port_of(first);

  address = address_of("127.0.0.1", port);
  int fd = must_socket(AF_INET, type);
  CALL(bind(fd, A(address)));
  address = address_of("0.0.0.0", port);
  CALL(bind(fd, A(address)));
  address = address_of("127.0.0.2", port);
  CALL(bind(fd, A(address)));
  CALL(bind(fd, A(address)));
  say_name(fd);
  close(fd);

  fd = must_socket(AF_INET6, type);
  address = address_of("::", port);
  CALL(bind(fd, A(address)));
  address = address_of("::ffff:127.0.0.1", port);
  CALL(bind(fd, A(address)));
  const int one = 1;
  CALL(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
  CALL(bind(fd, A(address)));
  address = address_of("::", port);
  CALL(bind(fd, A(address)));
  CALL(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
  say_name(fd);
  close(fd);

  static const char* const kOthers[] = {"192.0.2.1", "2001:db8::1", "255.255.255.255", "224.0.0.1", "::ffff:192.0.2.1"};
  for (size_t i = 0; i < sizeof kOthers / sizeof *kOthers; ++i) {
    address = address_of(kOthers[i], 0);
    begin("bind to %s, type %d", kOthers[i], type);
    fd = must_socket(address.ss_family, type);
    if (type == SOCK_STREAM || i < 2 || i > 3) CALL(bind(fd, A(address)));
    close(fd);
  }
  close(first);
}

static void test_reuse(int type) {
  const int one = 1;
  struct sockaddr_storage address = address_of("127.0.0.1", 0);
  begin("SO_REUSEADDR, type %d", type);
  const int a = must_socket(AF_INET, type), b = must_socket(AF_INET, type);
  setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  CALL(bind(a, A(address)));
  address = address_of("127.0.0.1", port_of(a));
  CALL(bind(b, A(address)));
  setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  CALL(bind(b, A(address)));
  CALL(listen(a, 1));
  CALL(listen(b, 1));
  close(a);
  CALL(listen(b, 1));
  close(b);

  begin("SO_REUSEPORT, type %d", type);
  const int c = must_socket(AF_INET, type), d = must_socket(AF_INET, type);
  setsockopt(c, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  address = address_of("127.0.0.1", 0);
  CALL(bind(c, A(address)));
  address = address_of("127.0.0.1", port_of(c));
  CALL(bind(d, A(address)));
  setsockopt(d, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  CALL(bind(d, A(address)));
  CALL(listen(c, 1));
  CALL(listen(d, 1));
  close(c);
  close(d);
}

/* Connects to what listens at `at`, by the name `by`, and says how both see it. */
static void meet(const char* at, const char* by) {
  const int listener = must_listen(at, 5);
  const struct sockaddr_storage address = address_of(by, port_of(listener));
  const int fd = must_socket(address.ss_family, SOCK_STREAM);
  begin("%s by %s", at, by);
  if (CALL(connect(fd, A(address))) == 0) {
    say_name(fd);
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const int other = OPEN(accept(listener, (struct sockaddr*)&peer, &length));
    tell("%s, length %u", text_of(&peer), (unsigned)length);
    say_name(other);
    close(other);
  }
  close(fd);
  close(listener);
}

static void test_listens_unbound(int family) {
  begin("listen without bind, family %d", family);
  const int fd = must_socket(family, SOCK_STREAM);
  CALL(listen(fd, -1));
  say_name(fd);
  CALL(listen(fd, 3));
  const struct sockaddr_storage address = address_of(family == AF_INET ? "127.0.0.1" : "::1", port_of(fd));
  const int client = must_socket(family, SOCK_STREAM);
  CALL(connect(client, A(address)));
  close(client);
  close(fd);
}

static void test_bound_connects(void) {
  begin("bound connect");
  const int listener = must_listen("127.0.0.1", 5);
  struct sockaddr_storage local = address_of("127.0.0.3", 0);
  const struct sockaddr_storage remote = address_of("127.0.0.1", port_of(listener));
  const int fd = must_socket(AF_INET, SOCK_STREAM);
  CALL(bind(fd, A(local)));
  const int port = port_of(fd);
  CALL(connect(fd, A(remote)));
  say_name(fd);
  tell("%s port", port_of(fd) == port ? "the same" : "another");
  const int again = must_socket(AF_INET, SOCK_STREAM);
  local = address_of("127.0.0.3", port);
  CALL(bind(again, A(local)));
  const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  CALL(connect(fd, &nowhere, sizeof nowhere));
  say_name(fd);
  tell("%s port", port_of(fd) == port ? "the same" : "another");
  CALL(connect(fd, A(remote)));
  tell("%s port", port_of(fd) == port ? "the same" : "another");
  CALL(connect(fd, &nowhere, 2));
  CALL(listen(fd, 1));
  close(again);
  close(fd);

  begin("IP_BIND_ADDRESS_NO_PORT");
  const int late = must_socket(AF_INET, SOCK_STREAM);
  const int one = 1;
  local = address_of("127.0.0.3", 0);
  CALL(setsockopt(late, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one));
  CALL(bind(late, A(local)));
  say_name(late);
  CALL(connect(late, A(remote)));
  say_name(late);
  close(late);
  close(listener);
}

static void test_unreachable(int type) {
  static const char* const kPlaces[] = {"192.0.2.1", "2001:db8::1", "224.0.0.1", "255.255.255.255", "ff02::1"};
  for (size_t i = 0; i < sizeof kPlaces / sizeof *kPlaces; ++i) {
    const struct sockaddr_storage address = address_of(kPlaces[i], 9);
    begin("connect to %s, type %d", kPlaces[i], type);
    const int fd = must_socket(address.ss_family, type);
    if (type == SOCK_STREAM || i < 2) CALL(connect(fd, A(address)));
    if (type == SOCK_STREAM || i < 2) say_name(fd);
    close(fd);
  }
  static const char* const kOwn[] = {"127.0.0.1", "::1"};
  for (size_t i = 0; i < sizeof kOwn / sizeof *kOwn; ++i) {
    const struct sockaddr_storage own = address_of(kOwn[i], 0);
    begin("connect to port 0 of %s, type %d", kOwn[i], type);
    const int to_nobody = must_socket(own.ss_family, type);
    CALL(connect(to_nobody, A(own)));
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    CALL(getpeername(to_nobody, (struct sockaddr*)&peer, &length));
    if (type == SOCK_STREAM) say_name(to_nobody);
    close(to_nobody);
  }
  begin("v6only to v4, type %d", type);
  const int one = 1;
  const struct sockaddr_storage address = address_of("::ffff:127.0.0.1", 9);
  const int fd = must_socket(AF_INET6, type);
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  CALL(connect(fd, A(address)));
  close(fd);
}

static void test_accepts(void) {
  begin("accept");
  const int listener = must_listen("127.0.0.1", 5);
  const int client = must_connect("127.0.0.1", port_of(listener));
  struct sockaddr_storage peer;
  socklen_t length = 4;
  OPEN(accept4(listener, NULL, NULL, 0x4000000));
  int fd = OPEN(accept(listener, (struct sockaddr*)&peer, &length));
  tell("length %u", (unsigned)length);
  CALL(fcntl(fd, F_GETFL) & O_NONBLOCK);
  close(fd);
  close(client);

  const int second = must_connect("127.0.0.1", port_of(listener));
  fd = OPEN(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
  CALL((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CALL(fcntl(fd, F_GETFD));
  close(fd);
  close(second);

  const int third = must_connect("127.0.0.1", port_of(listener));
  length = (socklen_t)-1;
  OPEN(accept(listener, (struct sockaddr*)&peer, &length));
  close(third);

  /* Closed before it was accepted. */
  const int fourth = must_connect("127.0.0.1", port_of(listener));
  const struct linger at_once = {1, 0};
  setsockopt(fourth, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fourth);
  set_nonblocking(listener);
  fd = OPEN(accept(listener, NULL, NULL));
  char byte;
  CALL(recv(fd, &byte, 1, MSG_DONTWAIT));
  CALL(recv(fd, &byte, 1, MSG_DONTWAIT));
  CALL(getpeername(fd, (struct sockaddr*)&peer, &length));
  close(fd);
  OPEN(accept(listener, NULL, NULL));
  CALL(shutdown(listener, SHUT_WR));
  OPEN(accept(listener, NULL, NULL));
  CALL(shutdown(listener, SHUT_RD));
  OPEN(accept(listener, NULL, NULL));
  CALL(listen(listener, 2));
  close(listener);
}

void test_addresses(void) {
  test_sockets();
  for (int type = SOCK_STREAM; type <= SOCK_DGRAM; ++type) {
    test_lengths(type);
    test_binds(type);
    test_reuse(type);
    test_unreachable(type);
  }
  meet("127.0.0.1", "127.0.0.1");
  meet("127.0.0.1", "::ffff:127.0.0.1");
  meet("0.0.0.0", "127.0.0.1");
  meet("0.0.0.0", "0.0.0.0");
  meet("0.0.0.0", "127.9.8.7");
  meet("::1", "::1");
  meet("::", "::1");
  meet("::", "::");
  meet("::", "127.0.0.1");
  meet("::", "::ffff:127.0.0.1");
  meet("::ffff:127.0.0.1", "127.0.0.1");
  meet("127.0.0.1", "127.0.0.2");
  test_listens_unbound(AF_INET);
  test_listens_unbound(AF_INET6);
  test_bound_connects();
  test_accepts();
}
