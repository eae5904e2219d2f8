/* Data: flags, sizes, half-closes, urgent bytes, many pieces, files. */
#include "calls.h"

static void close_both(struct pair pair) {
  close(pair.a);
  close(pair.b);
}

static void test_flags(void) {
  char data[64];
  const struct pair p = must_pair("127.0.0.1");
  begin("flags");
  memset(data, 0, sizeof data);
  CALL(send(p.a, "abcdef", 6, 0));
  await(p.b, POLLIN);
  CALL(recv(p.b, data, 3, MSG_PEEK));
  CALL(recv(p.b, data, sizeof data, MSG_PEEK));
  CALL(recv(p.b, data, 2, MSG_TRUNC));
  CALL(recv(p.b, data, 1, 0));
  tell("%c", data[0]);
  CALL(send(p.a, "ghi", 3, MSG_MORE));
  CALL(send(p.a, "jkl", 3, 0));
  await(p.b, POLLIN);
  CALL(recv(p.b, data, sizeof data, MSG_DONTWAIT));
  tell("%.9s", data);
  CALL(recv(p.b, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(p.b, data, sizeof data, MSG_DONTWAIT | MSG_ERRQUEUE));
  CALL(recv(p.b, NULL, 0, MSG_DONTWAIT));
  CALL(send(p.a, "x", 1, 0));
  CALL(recv(p.b, NULL, 0, MSG_DONTWAIT));
  CALL(recv(p.b, data, 0, 0));
  CALL(recv(p.b, data, 1, MSG_WAITALL));
  CALL(send(p.a, NULL, 0, 0));
  CALL(write(p.a, "12", 2));
  CALL(write(p.a, "34", 2));
  CALL(read(p.b, data, 2));
  CALL(recv(p.b, data, 2, MSG_WAITALL));
  CALL(sendto(p.a, "x", 1, 0, (struct sockaddr*)data, 0));
  CALL(sendto(p.a, "x", 1, 0, (struct sockaddr*)data, 3));
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  CALL(recvfrom(p.b, data, 1, 0, (struct sockaddr*)&from, &length));
  tell("length %u", (unsigned)length);
  close_both(p);
}

static void test_pieces(void) {
  char one[3] = {0}, two[5] = {0}, three[9] = {0};
  struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdefgh", 6}};
  struct iovec in[3] = {{one, 2}, {two, 4}, {three, 8}};
  const struct pair p = must_pair("::1");
  begin("pieces");
  CALL(writev(p.a, out, 3));
  await(p.b, POLLIN);
  CALL(readv(p.b, in, 3));
  tell("%s %s %s", one, two, three);
  CALL(writev(p.a, out, 0));
  CALL(writev(p.a, out, -1));
  CALL(writev(p.a, out, 2000));
  CALL(readv(p.b, in, -1));
  CALL(writev(p.a, NULL, 1));
  struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
  CALL(sendmsg(p.a, &message, 0));
  message.msg_iov = in;
  message.msg_flags = 77;
  CALL(recvmsg(p.b, &message, MSG_PEEK));
  tell("flags %d", message.msg_flags);
  message.msg_iovlen = 1;
  CALL(recvmsg(p.b, &message, 0));
  tell("flags %d, name %u, control %zu", message.msg_flags, (unsigned)message.msg_namelen, message.msg_controllen);
  message.msg_iovlen = 2000;
  CALL(recvmsg(p.b, &message, MSG_DONTWAIT));
  CALL(sendmsg(p.a, &message, MSG_DONTWAIT));
  close_both(p);
}

static void test_half_closes(void) {
  char data[16];
  const struct pair p = must_pair("127.0.0.1");
  begin("half-closes");
  CALL(send(p.a, "last", 4, 0));
  CALL(shutdown(p.a, SHUT_WR));
  await(p.b, POLLRDHUP);
  CALL(recv(p.b, data, 2, MSG_WAITALL));
  CALL(recv(p.b, data, sizeof data, MSG_WAITALL));
  CALL(recv(p.b, data, sizeof data, 0));
  CALL(send(p.b, "answer", 6, 0));
  await(p.a, POLLIN);
  CALL(recv(p.a, data, sizeof data, 0));
  CALL(send(p.a, "x", 1, 0));
  CALL(shutdown(p.b, SHUT_RDWR));
  CALL(recv(p.a, data, sizeof data, 0));
  CALL(recv(p.b, data, sizeof data, 0));
  close_both(p);

  const struct pair q = must_pair("127.0.0.1");
  begin("shut for reading");
  CALL(send(q.a, "early", 5, 0));
  await(q.b, POLLIN);
  CALL(shutdown(q.b, SHUT_RD));
  CALL(recv(q.b, data, sizeof data, 0));
  CALL(recv(q.b, data, sizeof data, 0));
  CALL(send(q.a, "late", 4, 0));
  CALL(recv(q.b, data, sizeof data, MSG_DONTWAIT));
  CALL(recv(q.b, data, sizeof data, MSG_DONTWAIT));
  CALL(send(q.b, "still", 5, 0));
  CALL(recv(q.a, data, sizeof data, 0));
  close_both(q);
}

static void test_data_after_shutdown(void) {
  char data[16];
  const struct pair p = must_pair("127.0.0.1");
  begin("data for one that has shut both");
  CALL(shutdown(p.b, SHUT_RDWR));
  await(p.a, POLLRDHUP);
  CALL(send(p.a, "x", 1, 0));
  tell("events %x", (unsigned)await(p.a, POLLHUP));
  CALL(recv(p.a, data, sizeof data, 0));
  CALL(send(p.a, "x", 1, 0));
  CALL(recv(p.b, data, sizeof data, 0));
  int error = 0;
  socklen_t length = sizeof error;
  CALL(getsockopt(p.b, SOL_SOCKET, SO_ERROR, &error, &length));
  tell("SO_ERROR %d", error);
  close_both(p);
}

static void test_unread_close(void) {
  char data[16];
  const struct pair p = must_pair("127.0.0.1");
  begin("close with unread data");
  CALL(send(p.a, "unread", 6, 0));
  await(p.b, POLLIN);
  CALL(close(p.b));
  await(p.a, POLLERR);
  CALL(recv(p.a, data, sizeof data, 0));
  CALL(recv(p.a, data, sizeof data, 0));
  CALL(send(p.a, "x", 1, 0));
  CALL(send(p.a, "x", 1, 0));
  close(p.a);

  const struct pair q = must_pair("127.0.0.1");
  begin("write to one that is closed");
  CALL(close(q.b));
  CALL(send(q.a, "x", 1, 0));
  await(q.a, POLLHUP);
  int error = 0;
  socklen_t length = sizeof error;
  CALL(getsockopt(q.a, SOL_SOCKET, SO_ERROR, &error, &length));
  tell("SO_ERROR %d", error);
  CALL(send(q.a, "x", 1, 0));
  CALL(recv(q.a, data, sizeof data, 0));
  close(q.a);
}

static void test_urgent(void) {
  char data[16] = {0};
  const int one = 1;
  struct pair p = must_pair("127.0.0.1");
  begin("urgent");
  CALL(recv(p.b, data, 1, MSG_OOB));
  CALL(send(p.a, "abc", 3, MSG_OOB));
  tell("events %x", (unsigned)await(p.b, POLLPRI));
  CALL(send(p.a, "def", 3, 0));
  int value = -1;
  CALL(ioctl(p.b, SIOCINQ, &value));
  tell("%d", value);
  CALL(ioctl(p.b, SIOCATMARK, &value));
  tell("%d", value);
  CALL(recv(p.b, data, sizeof data, 0));
  CALL(ioctl(p.b, SIOCATMARK, &value));
  tell("%d", value);
  CALL(recv(p.b, data, 1, MSG_OOB));
  tell("%c", data[0]);
  CALL(recv(p.b, data, 1, MSG_OOB));
  CALL(recv(p.b, data, sizeof data, 0));
  tell("%.3s", data);
  close_both(p);

  p = must_pair("127.0.0.1");
  begin("urgent, in line");
  CALL(setsockopt(p.b, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one));
  CALL(send(p.a, "abc", 3, MSG_OOB));
  await(p.b, POLLPRI);
  CALL(recv(p.b, data, 1, MSG_OOB));
  CALL(recv(p.b, data, sizeof data, 0));
  CALL(ioctl(p.b, SIOCATMARK, &value));
  tell("%d", value);
  CALL(recv(p.b, data, sizeof data, 0));
  close_both(p);
}

static void test_inq(void) {
  char data[16];
  char control[64];
  const int one = 1;
  const struct pair p = must_pair("127.0.0.1");
  struct iovec piece = {data, 4};
  begin("TCP_INQ");
  CALL(setsockopt(p.b, IPPROTO_TCP, TCP_INQ, &one, sizeof one));
  CALL(send(p.a, "0123456789", 10, 0));
  await(p.b, POLLIN);
  for (int round = 0; round < 4; ++round) {
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (round == 2) CALL(shutdown(p.a, SHUT_WR));
    if (round == 2) await(p.b, POLLRDHUP);
    CALL(recvmsg(p.b, &message, 0));
    const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != NULL)
      tell("level %d, type %d, length %zu, %d", header->cmsg_level, header->cmsg_type, (size_t)header->cmsg_len,
           *(const int*)CMSG_DATA(header));
    message.msg_controllen = 4;
    CALL(recvmsg(p.b, &message, MSG_DONTWAIT | MSG_PEEK));
    tell("flags %x, control %zu", (unsigned)message.msg_flags, message.msg_controllen);
  }
  close_both(p);
}

static void test_full_buffers(void) {
  static char block[1 << 16];
  const struct pair p = must_pair("127.0.0.1");
  begin("full");
  set_nonblocking(p.a);
  long sent = 0;
  for (long count; (count = send(p.a, block, sizeof block, 0)) > 0;) sent += count;
  CALL(send(p.a, block, sizeof block, 0));
  struct pollfd entry = {p.a, POLLOUT, 0};
  CALL(poll(&entry, 1, 0));
  long received = 0;
  set_nonblocking(p.b);
  while (received < sent) {
    await(p.b, POLLIN);
    const long count = recv(p.b, block, sizeof block, 0);
    if (count <= 0) break;
    received += count;
  }
  tell("%s", received == sent ? "all came" : "not all came");
  tell("events %x", (unsigned)await(p.a, POLLOUT));
  CALL(send(p.a, block, 1, 0));
  close_both(p);
}

static void test_sendfile(void) {
  char name[] = "/tmp/socket_calls_XXXXXX";
  char data[64];
  const int file = mkstemp(name);
  unlink(name);
  if (write(file, "0123456789", 10) != 10) exit(1);
  const struct pair p = must_pair("127.0.0.1");
  off_t offset = 3;
  begin("sendfile");
  CALL(sendfile(p.a, file, &offset, 4));
  tell("offset %ld", (long)offset);
  CALL(sendfile(p.a, file, &offset, 100));
  tell("offset %ld", (long)offset);
  CALL(sendfile(p.a, file, &offset, 100));
  lseek(file, 5, SEEK_SET);
  CALL(sendfile(p.a, file, NULL, 2));
  tell("%ld", (long)lseek(file, 0, SEEK_CUR));
  CALL(sendfile(p.a, -1, NULL, 2));
  await(p.b, POLLIN);
  CALL(recv(p.b, data, sizeof data, MSG_DONTWAIT));
  tell("%.9s", data);
  close(file);
  close_both(p);
}

void test_transfer(void) {
  test_flags();
  test_pieces();
  test_half_closes();
  test_data_after_shutdown();
  test_unread_close();
  test_urgent();
  test_inq();
  test_full_buffers();
  test_sendfile();
}
