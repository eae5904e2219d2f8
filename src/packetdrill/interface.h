/* What packetdrill (google/packetdrill) asks of a stack that it is given as a shared object, `--so_filename`: a table
 * of functions, which packetdrill_interface_init() fills in. The layout is packetdrill's; each function gets `userdata`
 * first, and what has a system call's name returns what the system call does, with errno. */
#ifndef FIRSTFLIGHT_PACKETDRILL_INTERFACE_H
#define FIRSTFLIGHT_PACKETDRILL_INTERFACE_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(modernize-*): C reads it, too. */
struct packetdrill_interface {
  void* userdata;
  void (*free)(void* userdata);
  int (*socket)(void* userdata, int domain, int type, int protocol);
  int (*bind)(void* userdata, int fd, const struct sockaddr* address, socklen_t length);
  int (*listen)(void* userdata, int fd, int backlog);
  int (*accept)(void* userdata, int fd, struct sockaddr* address, socklen_t* length);
  int (*connect)(void* userdata, int fd, const struct sockaddr* address, socklen_t length);
  ssize_t (*read)(void* userdata, int fd, void* data, size_t size);
  ssize_t (*readv)(void* userdata, int fd, const struct iovec* pieces, int count);
  ssize_t (*recv)(void* userdata, int fd, void* data, size_t size, int flags);
  ssize_t (*recvfrom)(void* userdata, int fd, void* data, size_t size, int flags, struct sockaddr* address,
                      socklen_t* length);
  ssize_t (*recvmsg)(void* userdata, int fd, struct msghdr* message, int flags);
  ssize_t (*write)(void* userdata, int fd, const void* data, size_t size);
  ssize_t (*writev)(void* userdata, int fd, const struct iovec* pieces, int count);
  ssize_t (*send)(void* userdata, int fd, const void* data, size_t size, int flags);
  ssize_t (*sendto)(void* userdata, int fd, const void* data, size_t size, int flags, const struct sockaddr* address,
                    socklen_t length);
  ssize_t (*sendmsg)(void* userdata, int fd, const struct msghdr* message, int flags);
  int (*fcntl)(void* userdata, int fd, int command, ...);
  int (*ioctl)(void* userdata, int fd, unsigned long request, ...);
  int (*close)(void* userdata, int fd);
  int (*shutdown)(void* userdata, int fd, int how);
  int (*getsockopt)(void* userdata, int fd, int level, int name, void* value, socklen_t* length);
  int (*setsockopt)(void* userdata, int fd, int level, int name, const void* value, socklen_t length);
  int (*poll)(void* userdata, struct pollfd* descriptors, nfds_t count, int timeout_ms);
  /* A packet for the stack, from the IP header on. 0, or -1. */
  int (*netdev_send)(void* userdata, const void* packet, size_t size);
  /* The next packet that the stack sends: `size` is the room at first and the packet's size then, 0 when none can ever
   * come; `time_us` when it was sent. 0, or -1 to be asked again. */
  int (*netdev_receive)(void* userdata, void* packet, size_t* size, long long* time_us);
  int (*usleep)(void* userdata, useconds_t span_us);
  int (*gettimeofday)(void* userdata, struct timeval* time, struct timezone* zone);
  int (*epoll_create)(void* userdata, int size);
  int (*epoll_ctl)(void* userdata, int epoll, int operation, int fd, struct epoll_event* event);
  int (*epoll_wait)(void* userdata, int epoll, struct epoll_event* events, int count, int timeout_ms);
  int (*pipe)(void* userdata, int ends[2]);
  ssize_t (*splice)(void* userdata, int from, loff_t* from_offset, int to, loff_t* to_offset, size_t size,
                    unsigned int flags);
};
/* NOLINTEND(modernize-*) */

/* `flags` is the text of --so_flags, or a null pointer; docs/packetdrill.md says what may stand there. */
void packetdrill_interface_init(const char* flags, struct packetdrill_interface* interface);

#ifdef __cplusplus
}
#endif

#endif
