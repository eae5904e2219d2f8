/* Calls that block: how long, and who wakes them. */
#include <pthread.h>
#include <time.h>

#include "calls.h"

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Whether it took about so long. */
static void say_took(double since, double expected) {
  const double took = now() - since;
  tell("%s", took < expected * 0.8 ? "too short" : took > expected + 0.5 ? "too long" : "as long as it should");
}

static void test_timeouts(void) {
  const struct timeval soon = {0, 100000};
  char byte;
  const int listener = must_listen("127.0.0.1", 0);
  begin("time-outs");
  CALL(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
  double start = now();
  OPEN(accept(listener, NULL, NULL));
  say_took(start, 0.1);

  const int fd = must_connect("127.0.0.1", port_of(listener));
  CALL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
  start = now();
  CALL(recv(fd, &byte, 1, 0));
  say_took(start, 0.1);
  start = now();
  struct pollfd entry = {fd, POLLIN, 0};
  CALL(poll(&entry, 1, 100));
  say_took(start, 0.1);

  /* The queue is full. */
  const struct sockaddr_storage address = address_of("127.0.0.1", port_of(listener));
  const int third = must_socket(AF_INET, SOCK_STREAM);
  CALL(setsockopt(third, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon));
  start = now();
  CALL(connect(third, A(address)));
  say_took(start, 0.1);
  CALL(connect(third, A(address)));
  close(third);

  /* A buffer that nobody empties. */
  static char block[1 << 20];
  const int small = 10000;
  CALL(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
  CALL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon));
  while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0) continue;
  start = now();
  CALL(send(fd, block, sizeof block, 0) > 0); /* what fits, and no more comes */
  say_took(start, 0.1);
  close(fd);

  const int datagrams = must_socket(AF_INET, SOCK_DGRAM);
  CALL(setsockopt(datagrams, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon));
  start = now();
  CALL(recv(datagrams, &byte, 1, 0));
  say_took(start, 0.1);
  close(datagrams);
  close(listener);
}

static int ends[2];

static void* answer_later(void* how) {
  usleep(50000);
  switch (*(const char*)how) {
    case 'd':
      return (void*)send(ends[1], "data", 4, 0);
    case 'f':
      return (void*)(long)shutdown(ends[1], SHUT_WR);
    case 's':
      return (void*)(long)shutdown(ends[0], SHUT_RDWR);
    default:
      return NULL;
  }
}

static void test_wakings(void) {
  static const char* const kWays[] = {"data", "fin", "shutdown"};
  for (size_t i = 0; i < sizeof kWays / sizeof *kWays; ++i) {
    char data[8];
    pthread_t thread;
    const int listener = must_listen("127.0.0.1", 1);
    ends[0] = must_connect("127.0.0.1", port_of(listener));
    ends[1] = must_accept(listener);
    begin("woken by %s", kWays[i]);
    pthread_create(&thread, NULL, answer_later, (void*)kWays[i]);
    const double start = now();
    CALL(recv(ends[0], data, sizeof data, 0));
    say_took(start, 0.05);
    pthread_join(thread, NULL);

    struct pollfd entry = {ends[0], POLLIN | POLLRDHUP, 0};
    pthread_create(&thread, NULL, answer_later, (void*)kWays[i]);
    CALL(poll(&entry, 1, 2000));
    tell("revents %x", (unsigned)entry.revents);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(ends[1]);
    close(listener);
  }
}

static void* watch_later(void* epoll) {
  struct epoll_event event = {.events = EPOLLOUT, .data = {.u32 = 3}};
  usleep(50000);
  return (void*)(long)epoll_ctl(*(int*)epoll, EPOLL_CTL_ADD, ends[0], &event);
}

static void test_watched_later(void) {
  pthread_t thread;
  struct epoll_event event = {0};
  int epoll = epoll_create1(0);
  const int listener = must_listen("127.0.0.1", 1);
  ends[0] = must_connect("127.0.0.1", port_of(listener));
  begin("watched by another thread");
  pthread_create(&thread, NULL, watch_later, &epoll);
  const double start = now();
  CALL(epoll_wait(epoll, &event, 1, 2000));
  tell("events %x, data %u", (unsigned)event.events, (unsigned)event.data.u32);
  say_took(start, 0.05);
  pthread_join(thread, NULL);
  close(ends[0]);
  close(listener);
  close(epoll);
}

static void* read_slowly(void* ignored) {
  static char block[65536];
  (void)ignored;
  long all = 0;
  for (long count; (count = recv(ends[1], block, sizeof block, 0)) > 0;) all += count;
  return (void*)all;
}

static void test_large_write(void) {
  static char block[3000000];
  pthread_t thread;
  void* all = NULL;
  const int listener = must_listen("::1", 1);
  ends[0] = must_connect("::1", port_of(listener));
  ends[1] = must_accept(listener);
  begin("a large write");
  pthread_create(&thread, NULL, read_slowly, NULL);
  CALL(write(ends[0], block, sizeof block));
  CALL(close(ends[0]));
  pthread_join(thread, &all);
  tell("%ld", (long)all);
  close(ends[1]);
  close(listener);
}

static void test_linger(void) {
  const struct linger one_second = {1, 1};
  static char block[1 << 20];
  const int listener = must_listen("127.0.0.1", 1);
  int fd = must_connect("127.0.0.1", port_of(listener));
  int other = must_accept(listener);
  begin("SO_LINGER");
  CALL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &one_second, sizeof one_second));
  double start = now();
  CALL(close(fd));
  say_took(start, 0);
  close(other);

  fd = must_connect("127.0.0.1", port_of(listener));
  other = must_accept(listener);
  begin("SO_LINGER, nobody reads");
  CALL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &one_second, sizeof one_second));
  set_nonblocking(fd);
  while (send(fd, block, sizeof block, 0) > 0) continue;
  start = now();
  CALL(close(fd));
  say_took(start, 1.0);
  close(other);
  close(listener);
}

void test_waiting(void) {
  test_timeouts();
  test_wakings();
  test_watched_later();
  test_large_write();
  test_linger();
}
