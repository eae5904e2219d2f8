/* poll() and epoll: what is ready when, by level, by edge and once. */
#include "calls.h"

static void say_ready(int epoll, const char* when) {
  struct epoll_event events[8];
  memset(events, 0, sizeof events);
  const int count = epoll_wait(epoll, events, 8, 0);
  unsigned all = 0, data = 0;
  for (int i = 0; i < count; ++i) {
    all |= events[i].events;
    data |= events[i].data.u32;
  }
  tell("%s: %d ready, events %x, data %x", when, count, all, data);
}

static void test_triggers(const char* name, unsigned how) {
  char data[16];
  const struct pair p = must_pair("127.0.0.1");
  const int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | how, .data = {.u32 = 5}};
  begin("epoll %s", name);
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.b, &event));
  say_ready(epoll, "nothing");
  send(p.a, "one", 3, 0);
  await(p.b, POLLIN);
  say_ready(epoll, "one");
  say_ready(epoll, "one, again");
  send(p.a, "two", 3, 0);
  say_ready(epoll, "two");
  say_ready(epoll, "two, again");
  CALL(recv(p.b, data, 2, 0));
  say_ready(epoll, "some read");
  CALL(recv(p.b, data, sizeof data, 0));
  say_ready(epoll, "all read");
  send(p.a, "three", 5, 0);
  say_ready(epoll, "three");
  CALL(epoll_ctl(epoll, EPOLL_CTL_MOD, p.b, &event));
  say_ready(epoll, "changed");
  say_ready(epoll, "changed, again");
  event.events |= EPOLLOUT;
  CALL(epoll_ctl(epoll, EPOLL_CTL_MOD, p.b, &event));
  say_ready(epoll, "for writing, too");
  say_ready(epoll, "again");
  shutdown(p.a, SHUT_WR);
  await(p.b, POLLRDHUP);
  say_ready(epoll, "half-closed");
  say_ready(epoll, "half-closed, again");
  close(p.a);
  shutdown(p.b, SHUT_WR);
  say_ready(epoll, "closed");
  say_ready(epoll, "closed, again");
  close(p.b);
  say_ready(epoll, "gone");
  close(epoll);
}

static void test_bad_calls(void) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = 1}}, events[2];
  const struct pair p = must_pair("127.0.0.1");
  const int epoll = OPEN(epoll_create1(EPOLL_CLOEXEC));
  const int other = epoll_create1(0);
  begin("epoll, wrongly");
  OPEN(epoll_create1(1));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, -1, &event));
  CALL(epoll_ctl(-1, EPOLL_CTL_ADD, p.a, &event));
  CALL(epoll_ctl(p.b, EPOLL_CTL_ADD, p.a, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.a, NULL));
  CALL(epoll_ctl(epoll, 77, p.a, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_MOD, p.a, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_DEL, p.a, NULL));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.a, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.a, &event));
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  CALL(epoll_ctl(epoll, EPOLL_CTL_MOD, p.a, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.b, &event));
  event.events = EPOLLIN;
  CALL(epoll_ctl(epoll, EPOLL_CTL_MOD, p.b, &event));
  CALL(epoll_ctl(epoll, EPOLL_CTL_DEL, p.b, &event));
  event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.b, &event));
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &event));
  event.events = EPOLLIN;
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &event));
  CALL(epoll_ctl(other, EPOLL_CTL_ADD, epoll, &event));
  CALL(epoll_wait(epoll, events, 0, 0));
  CALL(epoll_wait(epoll, events, -1, 0));
  CALL(epoll_wait(p.a, events, 2, 0));
  CALL(epoll_wait(-1, events, 2, 0));
  CALL(epoll_wait(epoll, events, 2, 10));
  char byte;
  CALL(read(epoll, &byte, 1));
  CALL(listen(epoll, 1));
  CALL(epoll_ctl(epoll, EPOLL_CTL_DEL, p.a, NULL));
  CALL(epoll_ctl(epoll, EPOLL_CTL_DEL, p.a, NULL));
  close(p.a);
  close(p.b);
  close(other);
  CALL(close(epoll));
  CALL(epoll_wait(epoll, events, 2, 0));
}

static void test_nested(void) {
  const struct pair p = must_pair("127.0.0.1");
  const int inner = epoll_create1(0), outer = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = 1}};
  begin("nested epoll");
  CALL(epoll_ctl(inner, EPOLL_CTL_ADD, p.b, &event));
  event.data.u32 = 2;
  CALL(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
  say_ready(outer, "nothing");
  send(p.a, "x", 1, 0);
  await(p.b, POLLIN);
  say_ready(outer, "data");
  struct pollfd entry = {inner, POLLIN | POLLOUT, 0};
  CALL(poll(&entry, 1, 0));
  tell("revents %x", (unsigned)entry.revents);
  char data[4];
  CALL(recv(p.b, data, sizeof data, 0));
  say_ready(outer, "read");
  close(p.a);
  close(p.b);
  close(inner);
  close(outer);
}

static void test_duplicates(void) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = 1}};
  const struct pair p = must_pair("127.0.0.1");
  const int epoll = epoll_create1(0);
  begin("dup");
  const int copy = OPEN(dup(p.b));
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, p.b, &event));
  event.data.u32 = 2;
  CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, copy, &event));
  send(p.a, "x", 1, 0);
  await(p.b, POLLIN);
  say_ready(epoll, "both");
  CALL(close(p.b));
  say_ready(epoll, "one is closed");
  char data[4];
  CALL(recv(copy, data, sizeof data, 0));
  CALL(send(copy, "y", 1, 0));
  CALL(close(copy));
  say_ready(epoll, "both are closed");
  CALL(recv(p.a, data, sizeof data, 0));
  CALL(recv(p.a, data, sizeof data, 0));
  close(p.a);
  close(epoll);
}

static void test_poll(void) {
  const int listener = must_listen("127.0.0.1", 5);
  struct pollfd entries[3] = {{listener, POLLIN | POLLOUT, 0}, {-1, POLLIN, 0}, {100000, POLLIN, 0}};
  begin("poll");
  CALL(poll(entries, 2, 0));
  tell("revents %x %x", (unsigned)entries[0].revents, (unsigned)entries[1].revents);
  CALL(poll(entries, 3, 0));
  tell("revents %x", (unsigned)entries[2].revents);
  const int fd = must_connect("127.0.0.1", port_of(listener));
  entries[1].fd = fd;
  entries[1].events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLWRBAND | POLLPRI;
  CALL(poll(entries, 2, 1000));
  tell("revents %x %x", (unsigned)entries[0].revents, (unsigned)entries[1].revents);
  entries[1].events = 0;
  CALL(poll(entries, 1, 0));
  const int other = must_accept(listener);
  CALL(poll(entries, 2, 0));
  tell("revents %x %x", (unsigned)entries[0].revents, (unsigned)entries[1].revents);
  const int low = 3;
  CALL(setsockopt(other, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low));
  entries[0] = (struct pollfd){other, POLLIN, 0};
  send(fd, "ab", 2, 0);
  CALL(poll(entries, 1, 20));
  send(fd, "c", 1, 0);
  CALL(poll(entries, 1, 1000));
  /* Beside a file of the kernel's. */
  int pipes[2];
  if (pipe(pipes) != 0) exit(1);
  entries[0] = (struct pollfd){pipes[0], POLLIN, 0};
  entries[1] = (struct pollfd){other, POLLIN, 0};
  CALL(poll(entries, 2, 0));
  tell("revents %x %x", (unsigned)entries[0].revents, (unsigned)entries[1].revents);
  entries[1].fd = fd;
  CALL(poll(entries, 2, 20));
  if (write(pipes[1], "x", 1) != 1) exit(1);
  CALL(poll(entries, 2, 1000));
  tell("revents %x %x", (unsigned)entries[0].revents, (unsigned)entries[1].revents);
  close(pipes[0]);
  close(pipes[1]);
  close(fd);
  close(other);
  close(listener);
}

void test_readiness(void) {
  test_triggers("level", 0);
  test_triggers("edge", EPOLLET);
  test_triggers("once", EPOLLONESHOT);
  test_triggers("edge, once", EPOLLET | EPOLLONESHOT);
  test_bad_calls();
  test_nested();
  test_duplicates();
  test_poll();
}
