/* Every call in every state. */
#include "calls.h"

struct ends {
  int fd;    /* what is asked about */
  int other; /* its peer, or what else must stay open */
  int third;
};

static const char* const kAddress = "127.0.0.1";
static int port_without_listener;

static struct ends none(void) { return (struct ends){-1, -1, -1}; }

static struct ends a_file(void) { return (struct ends){open("/dev/null", O_RDWR), -1, -1}; }

static struct ends fresh(void) { return (struct ends){must_socket(AF_INET, SOCK_STREAM), -1, -1}; }

static struct ends bound(void) {
  const struct sockaddr_storage address = address_of(kAddress, 0);
  const struct ends ends = fresh();
  bind(ends.fd, A(address));
  return ends;
}

static struct ends listening(void) { return (struct ends){must_listen(kAddress, 5), -1, -1}; }

static struct ends connected(void) {
  struct ends ends = {-1, -1, must_listen(kAddress, 5)};
  ends.fd = must_connect(kAddress, port_of(ends.third));
  ends.other = must_accept(ends.third);
  return ends;
}

/* The accept queue is full, and the SYN goes unanswered. */
static struct ends connecting(void) {
  struct ends ends = {-1, -1, must_listen(kAddress, 0)};
  const struct sockaddr_storage address = address_of(kAddress, port_of(ends.third));
  ends.other = must_connect(kAddress, port_of(ends.third));
  ends.fd = must_socket(AF_INET, SOCK_STREAM);
  set_nonblocking(ends.fd);
  connect(ends.fd, A(address));
  return ends;
}

static struct ends refused(void) {
  const struct sockaddr_storage address = address_of(kAddress, port_without_listener);
  const struct ends ends = fresh();
  connect(ends.fd, A(address));
  return ends;
}

/* The same without waiting: nobody has been told yet. */
static struct ends refused_behind(void) {
  const struct sockaddr_storage address = address_of(kAddress, port_without_listener);
  const struct ends ends = fresh();
  set_nonblocking(ends.fd);
  connect(ends.fd, A(address));
  await(ends.fd, POLLOUT);
  return ends;
}

static struct ends with_data(void) {
  const struct ends ends = connected();
  send(ends.other, "hello", 5, 0);
  await(ends.fd, POLLIN);
  return ends;
}

static struct ends peer_shut(void) {
  const struct ends ends = with_data();
  shutdown(ends.other, SHUT_WR);
  await(ends.fd, POLLRDHUP);
  return ends;
}

static struct ends shut_write(void) {
  const struct ends ends = connected();
  shutdown(ends.fd, SHUT_WR);
  await(ends.other, POLLRDHUP);
  return ends;
}

static struct ends shut_read(void) {
  const struct ends ends = connected();
  shutdown(ends.fd, SHUT_RD);
  return ends;
}

static struct ends shut_both(void) {
  const struct ends ends = connected();
  shutdown(ends.fd, SHUT_RDWR);
  await(ends.other, POLLRDHUP);
  return ends;
}

static struct ends both_closed(void) {
  struct ends ends = connected();
  shutdown(ends.fd, SHUT_WR);
  await(ends.other, POLLRDHUP);
  close(ends.other);
  ends.other = -1;
  await(ends.fd, POLLHUP);
  return ends;
}

static struct ends reset(void) {
  struct ends ends = connected();
  const struct linger at_once = {1, 0};
  setsockopt(ends.other, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(ends.other);
  ends.other = -1;
  await(ends.fd, POLLHUP);
  return ends;
}

static struct ends reset_with_data(void) {
  struct ends ends = with_data();
  const struct linger at_once = {1, 0};
  setsockopt(ends.other, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(ends.other);
  ends.other = -1;
  await(ends.fd, POLLHUP);
  return ends;
}

static struct ends disconnected(void) {
  const struct ends ends = connected();
  const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  connect(ends.fd, &nowhere, sizeof nowhere);
  return ends;
}

static struct ends accepted(void) {
  const struct ends ends = connected();
  return (struct ends){ends.other, ends.fd, ends.third};
}

static const struct {
  const char* name;
  struct ends (*make)(void);
} kStates[] = {
    {"no descriptor", none},
    {"a file", a_file},
    {"fresh", fresh},
    {"bound", bound},
    {"listening", listening},
    {"connecting", connecting},
    {"refused", refused},
    {"refused, not told", refused_behind},
    {"connected", connected},
    {"accepted", accepted},
    {"with data", with_data},
    {"peer has shut", peer_shut},
    {"shut for writing", shut_write},
    {"shut for reading", shut_read},
    {"shut for both", shut_both},
    {"both have closed", both_closed},
    {"reset", reset},
    {"reset, with data", reset_with_data},
    {"disconnected", disconnected},
};

static void try_bind(int fd) {
  const struct sockaddr_storage address = address_of(kAddress, 0);
  CALL(bind(fd, A(address)));
}
static void try_listen(int fd) { CALL(listen(fd, 5)); }
static void try_accept(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFL, O_NONBLOCK);
  OPEN(accept(fd, NULL, NULL));
}
static void try_connect(int fd) {
  const struct sockaddr_storage address = address_of(kAddress, port_without_listener);
  CALL(connect(fd, A(address)));
  CALL(connect(fd, A(address)));
}
static void try_disconnect(int fd) {
  const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  CALL(connect(fd, &nowhere, sizeof nowhere));
}
static void try_send(int fd) { CALL(send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL)); }
static void try_send_with_signal(int fd) { CALL(send(fd, "x", 1, MSG_DONTWAIT)); }
static void try_send_nothing(int fd) { CALL(send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL)); }
static void try_send_twice(int fd) {
  CALL(send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
  CALL(send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
}
static void try_sendto(int fd) {
  const struct sockaddr_storage address = address_of(kAddress, port_without_listener);
  CALL(sendto(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, A(address)));
}
static void try_recv(int fd) {
  char data[16];
  CALL(recv(fd, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(fd, data, sizeof data, MSG_DONTWAIT));
}
static void try_recv_nothing(int fd) { CALL(recv(fd, NULL, 0, MSG_DONTWAIT)); }
static void try_peek(int fd) {
  char data[16];
  CALL(recv(fd, data, sizeof data, MSG_DONTWAIT | MSG_PEEK));
}
static void try_recv_urgent(int fd) {
  char data[16];
  CALL(recv(fd, data, sizeof data, MSG_DONTWAIT | MSG_OOB));
}
static void try_shutdown_read(int fd) { CALL(shutdown(fd, SHUT_RD)); }
static void try_shutdown_write(int fd) {
  CALL(shutdown(fd, SHUT_WR));
  CALL(shutdown(fd, SHUT_WR));
}
static void try_shutdown_both(int fd) { CALL(shutdown(fd, SHUT_RDWR)); }
static void try_shutdown_wrongly(int fd) { CALL(shutdown(fd, 3)); }
static void try_names(int fd) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  memset(&name, 0, sizeof name);
  if (CALL(getsockname(fd, (struct sockaddr*)&name, &length)) == 0)
    tell("%s, %s port, length %u", text_of(&name), port_of(fd) != 0 ? "a" : "no", (unsigned)length);
  length = sizeof name;
  if (CALL(getpeername(fd, (struct sockaddr*)&name, &length)) == 0)
    tell("%s, length %u", text_of(&name), (unsigned)length);
}
static void try_error(int fd) {
  int value = -1;
  socklen_t length = sizeof value;
  if (CALL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length)) == 0) tell("SO_ERROR %d", value);
  if (CALL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length)) == 0) tell("SO_ERROR %d", value);
}
static void try_state(int fd) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  memset(&info, 0, sizeof info);
  if (CALL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length)) == 0) tell("tcpi_state %u", info.tcpi_state);
  int value = -1;
  length = sizeof value;
  if (CALL(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length)) == 0) tell("SO_ACCEPTCONN %d", value);
}
static void try_poll(int fd) {
  struct pollfd entry = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
  if (fd >= 0 && CALL(poll(&entry, 1, 0)) >= 0) tell("revents %x", (unsigned)entry.revents);
}
static void try_ioctl(int fd) {
  int value = -1;
  if (CALL(ioctl(fd, SIOCINQ, &value)) == 0) tell("%d", value);
  if (CALL(ioctl(fd, SIOCOUTQ, &value)) == 0) tell("%d", value);
  if (CALL(ioctl(fd, SIOCATMARK, &value)) == 0) tell("%d", value);
}
static void try_options(int fd) {
  const int one = 1;
  CALL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one));
  CALL(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one, sizeof one));
}
static void try_fast_open(int fd) {
  const struct sockaddr_storage address = address_of(kAddress, port_without_listener);
  CALL(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, A(address)));
}
static void try_close(int fd) {
  CALL(close(fd));
  CALL(close(fd));
}

static void (*const kCalls[])(int fd) = {
    try_bind,          try_listen,
    try_accept,        try_connect,
    try_disconnect,    try_send,
    try_send_nothing,  try_send_twice,
    try_sendto,        try_send_with_signal,
    try_recv,          try_recv_nothing,
    try_peek,          try_recv_urgent,
    try_shutdown_read, try_shutdown_write,
    try_shutdown_both, try_shutdown_wrongly,
    try_names,         try_error,
    try_state,         try_poll,
    try_ioctl,         try_options,
    try_fast_open,     try_close,
};

void test_states(void) {
  const int listener = must_listen(kAddress, 1);
  port_without_listener = port_of(listener);
  close(listener);
  for (size_t state = 0; state < sizeof kStates / sizeof *kStates; ++state) {
    for (size_t call = 0; call < sizeof kCalls / sizeof *kCalls; ++call) {
      const struct ends ends = kStates[state].make();
      begin("%s", kStates[state].name);
      kCalls[call](ends.fd);
      if (kCalls[call] != try_close && ends.fd >= 0) close(ends.fd);
      if (ends.other >= 0) close(ends.other);
      if (ends.third >= 0) close(ends.third);
    }
  }
}
