/* A program of socket calls, good and bad ones, that prints what each returned: built once with the kernel's sockets
 * and once with firstflight's, whose prints test_socket_calls.py compares line by line. One file for each topic.
 *
 * What the two choose freely (descriptors, ports) is not printed. */
#ifndef CALLS_H
#define CALLS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef FIRSTFLIGHT
#include "firstflight/posix_names.h"
#endif

/* Prints the call and what it returned, and gives that back. */
#define CALL(expression) (errno = 0, report(#expression, (long)(expression)))
/* The same for calls that return a descriptor, whose number is not told. */
#define OPEN(expression) (errno = 0, report_descriptor(#expression, (expression)))

long report(const char* call, long result);
int report_descriptor(const char* call, int result);
/* What else came of the last call, with printf's arguments: a line of its own. */
void tell(const char* format, ...) __attribute__((format(printf, 1, 2)));
/* Begins a topic, or a state: the lines that follow are told apart by it. */
void begin(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* Addresses of either family; port in host order. */
struct sockaddr_storage address_of(const char* text, int port);
socklen_t length_of(const struct sockaddr_storage* address);
#define A(storage) ((struct sockaddr*)&(storage)), length_of(&(storage))
int port_of(int fd);
/* "127.0.0.1", without the port. */
const char* text_of(const struct sockaddr_storage* address);

/* These make what the test takes for granted, and end the program when it does not come about. */
int must_socket(int family, int type);
int must_listen(const char* address, int backlog);
/* Connected to a listener's port. */
int must_connect(const char* address, int port);
int must_accept(int listener);
void set_nonblocking(int fd);
/* Two ends of a connection over `address`. */
struct pair {
  int a, b;
};
struct pair must_pair(const char* address);
/* Until poll() has one of these events, 2 s at most; says which there are. */
int await(int fd, int events);

void test_states(void);
void test_addresses(void);
void test_transfer(void);
void test_options(void);
void test_fast_open(void);
void test_datagrams(void);
void test_readiness(void);
void test_waiting(void);
void test_control(void);
void test_reports(void);
void test_select(void);

#endif
