/* BSD sockets over firstflight, for C: the calls of <sys/socket.h> and their kin, prefixed with ff_, with the same
 * structures, the same errno and the same meaning as Linux's. firstflight/posix_names.h lets a program keep the names.
 *
 * There is one stack in the process. It has 127.0.0.0/8 and ::1 for itself alone, and whatever ff_add_tun() gives it.
 * Calls may come from any thread. A descriptor that is not a socket or an epoll instance of firstflight's goes to the
 * kernel, so that ff_read(), ff_close(), ff_poll() and so on serve for files, too; an epoll instance of firstflight's
 * watches its own sockets alone. After fork() the child must not use them. */
#ifndef FIRSTFLIGHT_POSIX_H
#define FIRSTFLIGHT_POSIX_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

int ff_socket(int domain, int type, int protocol);
int ff_bind(int fd, const struct sockaddr* address, socklen_t length);
int ff_listen(int fd, int backlog);
int ff_accept(int fd, struct sockaddr* address, socklen_t* length);
int ff_accept4(int fd, struct sockaddr* address, socklen_t* length, int flags);
int ff_connect(int fd, const struct sockaddr* address, socklen_t length);
int ff_shutdown(int fd, int how);
int ff_close(int fd);
int ff_dup(int fd);

int ff_getsockname(int fd, struct sockaddr* address, socklen_t* length);
int ff_getpeername(int fd, struct sockaddr* address, socklen_t* length);
int ff_setsockopt(int fd, int level, int name, const void* value, socklen_t length);
int ff_getsockopt(int fd, int level, int name, void* value, socklen_t* length);
int ff_fcntl(int fd, int command, ...);
int ff_ioctl(int fd, unsigned long request, ...);

ssize_t ff_read(int fd, void* data, size_t size);
ssize_t ff_readv(int fd, const struct iovec* pieces, int count);
ssize_t ff_recv(int fd, void* data, size_t size, int flags);
ssize_t ff_recvfrom(int fd, void* data, size_t size, int flags, struct sockaddr* address, socklen_t* length);
ssize_t ff_recvmsg(int fd, struct msghdr* message, int flags);
ssize_t ff_write(int fd, const void* data, size_t size);
ssize_t ff_writev(int fd, const struct iovec* pieces, int count);
ssize_t ff_send(int fd, const void* data, size_t size, int flags);
ssize_t ff_sendto(int fd, const void* data, size_t size, int flags, const struct sockaddr* address, socklen_t length);
ssize_t ff_sendmsg(int fd, const struct msghdr* message, int flags);
ssize_t ff_sendfile(int fd, int file, off_t* offset, size_t count);
/* Between a socket and a pipe; the bytes are copied. */
ssize_t ff_splice(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t count, unsigned flags);

int ff_poll(struct pollfd* descriptors, nfds_t count, int timeout_ms);
int ff_ppoll(struct pollfd* descriptors, nfds_t count, const struct timespec* timeout, const sigset_t* mask);
int ff_select(int count, fd_set* read, fd_set* write, fd_set* except, struct timeval* timeout);
int ff_pselect(int count, fd_set* read, fd_set* write, fd_set* except, const struct timespec* timeout,
               const sigset_t* mask);
int ff_epoll_create1(int flags);
int ff_epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event);
int ff_epoll_wait(int epoll, struct epoll_event* events, int count, int timeout_ms);

/* A setting, such as "net.ipv4.tcp_fastopen"; docs/settings.md has them. EINVAL: there is none, or not that value. */
int ff_sysctl(const char* name, const char* value);

/* Gives the stack a TUN device, which is made if there is none of that name: `addresses` are its own ("10.0.0.2/24", or
 * several with commas between), `gateways` lead further on (likewise; may be NULL). EINVAL: what is given is not
 * acceptable; ENODEV: the kernel lets us have no such device. */
int ff_add_tun(const char* device, const char* addresses, const char* gateways);

#ifdef __cplusplus
}
#endif

#endif
