#include "calls.h"

#include <signal.h>
#include <stdarg.h>

static char place[128];
static const char* last_call = "";
static int broken_pipes;

static void count_broken_pipe(int signal) {
  (void)signal;
  ++broken_pipes;
}

void begin(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(place, sizeof place, format, arguments);
  va_end(arguments);
}

static const char* name_of(int number) {
  const char* name = strerrorname_np(number);
  return name == NULL ? "?" : name;
}

long report(const char* call, long result) {
  const int error = errno;
  printf("%s: %s = %ld%s%s%s\n", place, call, result, result < 0 ? " " : "", result < 0 ? name_of(error) : "",
         broken_pipes > 0 ? ", SIGPIPE" : "");
  broken_pipes = 0;
  last_call = call;
  errno = error;
  return result;
}

int report_descriptor(const char* call, int result) {
  const int error = errno;
  last_call = call;
  if (result >= 0) {
    printf("%s: %s = a descriptor\n", place, call);
  } else {
    printf("%s: %s = -1 %s\n", place, call, name_of(error));
  }
  errno = error;
  return result;
}

void tell(const char* format, ...) {
  va_list arguments;
  printf("%s: %s: ", place, last_call);
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

struct sockaddr_storage address_of(const char* text, int port) {
  struct sockaddr_storage storage;
  struct sockaddr_in* in = (struct sockaddr_in*)&storage;
  struct sockaddr_in6* in6 = (struct sockaddr_in6*)&storage;
  memset(&storage, 0, sizeof storage);
  if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
  } else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
  }
  return storage;
}

socklen_t length_of(const struct sockaddr_storage* address) {
  return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

int port_of(int fd) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  if (getsockname(fd, (struct sockaddr*)&name, &length) != 0) return -1;
  if (name.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6*)&name)->sin6_port);
  return ntohs(((struct sockaddr_in*)&name)->sin_port);
}

const char* text_of(const struct sockaddr_storage* address) {
  static char text[INET6_ADDRSTRLEN];
  const void* bytes = &((const struct sockaddr_in*)address)->sin_addr;
  if (address->ss_family == AF_INET6) bytes = &((const struct sockaddr_in6*)address)->sin6_addr;
  if (inet_ntop(address->ss_family, bytes, text, sizeof text) == NULL) return "none";
  return text;
}

static int must(int result, const char* what) {
  if (result >= 0) return result;
  printf("%s: cannot go on: %s: %s\n", place, what, name_of(errno));
  exit(1);
}

int must_socket(int family, int type) { return must(socket(family, type, 0), "socket"); }

int must_listen(const char* text, int backlog) {
  const struct sockaddr_storage address = address_of(text, 0);
  const int fd = must_socket(address.ss_family, SOCK_STREAM);
  must(bind(fd, A(address)), "bind");
  must(listen(fd, backlog), "listen");
  return fd;
}

int must_connect(const char* text, int port) {
  const struct sockaddr_storage address = address_of(text, port);
  const int fd = must_socket(address.ss_family, SOCK_STREAM);
  must(connect(fd, A(address)), "connect");
  return fd;
}

int must_accept(int listener) { return must(accept(listener, NULL, NULL), "accept"); }

struct pair must_pair(const char* address) {
  const int listener = must_listen(address, 1);
  struct pair pair = {must_connect(address, port_of(listener)), -1};
  pair.b = must_accept(listener);
  close(listener);
  return pair;
}

void set_nonblocking(int fd) { must(fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl"); }

int await(int fd, int events) {
  struct pollfd entry = {fd, (short)events, 0};
  poll(&entry, 1, 2000);
  return entry.revents;
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  signal(SIGPIPE, count_broken_pipe);
#ifdef FIRSTFLIGHT
  /* As the test sets it for the kernel: what one connection finds out is not to show in the next. */
  ff_sysctl("net.ipv4.tcp_no_metrics_save", "1");
#endif
  test_states();
  test_addresses();
  test_transfer();
  test_options();
  test_fast_open();
  test_datagrams();
  test_readiness();
  test_waiting();
  test_control();
  test_reports();
  test_select();
  return 0;
}
