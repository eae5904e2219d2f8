/* Lets a C program keep the names of the system calls: included behind the system's headers (or by the compiler's
 * -include), it makes calls by those names calls of firstflight. */
#ifndef FIRSTFLIGHT_POSIX_NAMES_H
#define FIRSTFLIGHT_POSIX_NAMES_H

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "firstflight/posix.h"

/* With arguments, so that members and variables of these names stay what they are. */
#define socket(...) ff_socket(__VA_ARGS__)
#define bind(...) ff_bind(__VA_ARGS__)
#define listen(...) ff_listen(__VA_ARGS__)
#define accept(...) ff_accept(__VA_ARGS__)
#define accept4(...) ff_accept4(__VA_ARGS__)
#define connect(...) ff_connect(__VA_ARGS__)
#define shutdown(...) ff_shutdown(__VA_ARGS__)
#define close(...) ff_close(__VA_ARGS__)
#define dup(...) ff_dup(__VA_ARGS__)
#define getsockname(...) ff_getsockname(__VA_ARGS__)
#define getpeername(...) ff_getpeername(__VA_ARGS__)
#define setsockopt(...) ff_setsockopt(__VA_ARGS__)
#define getsockopt(...) ff_getsockopt(__VA_ARGS__)
#define fcntl(...) ff_fcntl(__VA_ARGS__)
#define ioctl(...) ff_ioctl(__VA_ARGS__)
#define read(...) ff_read(__VA_ARGS__)
#define readv(...) ff_readv(__VA_ARGS__)
#define recv(...) ff_recv(__VA_ARGS__)
#define recvfrom(...) ff_recvfrom(__VA_ARGS__)
#define recvmsg(...) ff_recvmsg(__VA_ARGS__)
#define write(...) ff_write(__VA_ARGS__)
#define writev(...) ff_writev(__VA_ARGS__)
#define send(...) ff_send(__VA_ARGS__)
#define sendto(...) ff_sendto(__VA_ARGS__)
#define sendmsg(...) ff_sendmsg(__VA_ARGS__)
#define sendfile(...) ff_sendfile(__VA_ARGS__)
#define splice(...) ff_splice(__VA_ARGS__)
#define poll(...) ff_poll(__VA_ARGS__)
#define ppoll(...) ff_ppoll(__VA_ARGS__)
#define select(...) ff_select(__VA_ARGS__)
#define pselect(...) ff_pselect(__VA_ARGS__)
#define epoll_create1(...) ff_epoll_create1(__VA_ARGS__)
#define epoll_ctl(...) ff_epoll_ctl(__VA_ARGS__)
#define epoll_wait(...) ff_epoll_wait(__VA_ARGS__)

#endif
