/* select(), pselect() and ppoll(), and splice(). */
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "calls.h"

static void tell_sets(int fd, const fd_set* read, const fd_set* write, const fd_set* except) {
  tell("read %d, write %d, except %d", FD_ISSET(fd, read) ? 1 : 0, FD_ISSET(fd, write) ? 1 : 0,
       FD_ISSET(fd, except) ? 1 : 0);
}

static void select_all(int fd, const char* when) {
  fd_set read, write, except;
  struct timeval none = {0, 0};
  begin("select(), %s", when);
  FD_ZERO(&read);
  FD_ZERO(&write);
  FD_ZERO(&except);
  FD_SET(fd, &read);
  FD_SET(fd, &write);
  FD_SET(fd, &except);
  CALL(select(fd + 1, &read, &write, &except, &none));
  tell_sets(fd, &read, &write, &except);
  FD_SET(fd, &read);
  CALL(select(fd + 1, &read, NULL, NULL, &none));
  tell("read %d", FD_ISSET(fd, &read) ? 1 : 0);
  FD_SET(fd, &except);
  CALL(select(fd + 1, NULL, NULL, &except, &none));
  tell("except %d", FD_ISSET(fd, &except) ? 1 : 0);
  FD_SET(fd, &read);
  CALL(select(fd, &read, NULL, NULL, &none)); /* one too few */
}

static void test_select_states(void) {
  const int closed = must_socket(AF_INET, SOCK_STREAM);
  select_all(closed, "closed");
  close(closed);
  const int listener = must_listen("127.0.0.1", 1);
  select_all(listener, "listening");
  struct pair pair = {must_connect("127.0.0.1", port_of(listener)), -1};
  await(listener, POLLIN);
  select_all(listener, "one waits");
  pair.b = must_accept(listener);
  close(listener);
  select_all(pair.b, "connected");
  if (send(pair.a, "x", 1, 0) != 1) exit(1);
  await(pair.b, POLLIN);
  select_all(pair.b, "something came");
  if (send(pair.a, "u", 1, MSG_OOB) != 1) exit(1);
  await(pair.b, POLLPRI);
  select_all(pair.b, "something urgent came");
  close(pair.a);
  await(pair.b, POLLRDHUP);
  select_all(pair.b, "the peer has closed");
  close(pair.b);
}

static void test_select_times(void) {
  const struct pair pair = must_pair("127.0.0.1");
  fd_set read;
  struct timeval time = {0, 30000};
  begin("select(), waiting");
  FD_ZERO(&read);
  FD_SET(pair.a, &read);
  CALL(select(pair.a + 1, &read, NULL, NULL, &time));
  tell("set %d, left %d", FD_ISSET(pair.a, &read) ? 1 : 0, (int)(time.tv_sec + time.tv_usec));
  FD_SET(pair.a, &read);
  time.tv_sec = -1;
  CALL(select(pair.a + 1, &read, NULL, NULL, &time));
  CALL(select(-1, &read, NULL, NULL, NULL));
  if (send(pair.b, "x", 1, 0) != 1) exit(1);
  time = (struct timeval){5, 0};
  CALL(select(pair.a + 1, &read, NULL, NULL, &time));
  tell("set %d, left much: %d", FD_ISSET(pair.a, &read) ? 1 : 0, time.tv_sec >= 3);

  const struct timespec none = {0, 0}, soon = {0, 20000000}, wrong = {0, 1000000000}, negative = {-1, 0};
  sigset_t all;
  sigfillset(&all);
  begin("pselect() and ppoll()");
  CALL(pselect(pair.a + 1, &read, NULL, NULL, &none, &all));
  CALL(pselect(pair.a + 1, &read, NULL, NULL, &wrong, NULL));
  struct pollfd entry = {pair.a, POLLIN, 0};
  CALL(ppoll(&entry, 1, &none, &all));
  tell("%x", (unsigned)entry.revents);
  CALL(ppoll(&entry, 1, &wrong, NULL));
  CALL(ppoll(&entry, 1, &negative, NULL));
  entry.events = POLLPRI;
  CALL(ppoll(&entry, 1, &soon, NULL));
  entry.events = POLLIN;
  CALL(ppoll(&entry, 1, NULL, NULL));

  int ends[2];
  if (pipe(ends) != 0) exit(1);
  begin("select() with a pipe among them");
  const int most = (ends[0] > pair.a ? ends[0] : pair.a) + 1;
  FD_ZERO(&read);
  FD_SET(ends[0], &read);
  FD_SET(pair.a, &read);
  CALL(select(most, &read, NULL, NULL, NULL));
  tell("pipe %d, socket %d", FD_ISSET(ends[0], &read) ? 1 : 0, FD_ISSET(pair.a, &read) ? 1 : 0);
  if (write(ends[1], "x", 1) != 1) exit(1);
  FD_SET(ends[0], &read);
  CALL(select(most, &read, NULL, NULL, NULL));
  tell("pipe %d, socket %d", FD_ISSET(ends[0], &read) ? 1 : 0, FD_ISSET(pair.a, &read) ? 1 : 0);
  close(ends[0]);
  FD_SET(ends[0], &read);
  CALL(select(most, &read, NULL, NULL, NULL));
  close(ends[1]);
  close(pair.a);
  close(pair.b);
}

static void test_splice(void) {
  struct pair pair = must_pair("127.0.0.1");
  int ends[2];
  char data[16];
  if (pipe(ends) != 0) exit(1);
  begin("splice()");
  set_nonblocking(pair.a);
  CALL(splice(pair.a, NULL, ends[1], NULL, 5, 0));
  if (fcntl(pair.a, F_SETFL, 0) != 0) exit(1);
  if (send(pair.b, "hello world", 11, 0) != 11) exit(1);
  await(pair.a, POLLIN);
  CALL(splice(pair.a, NULL, ends[1], NULL, 5, 0));
  CALL(read(ends[0], data, sizeof data));
  tell("%.5s", data);
  CALL(splice(pair.a, NULL, ends[1], NULL, 100, 0));
  CALL(splice(ends[0], NULL, pair.a, NULL, 100, 0));
  CALL(recv(pair.b, data, sizeof data, 0));
  tell("%.6s", data);
  CALL(splice(ends[0], NULL, pair.a, NULL, 100, SPLICE_F_NONBLOCK));
  loff_t offset = 0;
  CALL(splice(pair.a, &offset, ends[1], NULL, 5, 0));
  CALL(splice(pair.a, NULL, pair.b, NULL, 5, 0));
  CALL(splice(pair.a, NULL, 0x7777, NULL, 5, 0));
  close(pair.b);
  await(pair.a, POLLIN);
  CALL(splice(pair.a, NULL, ends[1], NULL, 5, 0));
  close(ends[1]);
  CALL(splice(ends[0], NULL, pair.a, NULL, 100, 0));
  close(ends[0]);
  close(pair.a);
}

void test_select(void) {
  test_select_states();
  test_select_times();
  test_splice();
}
