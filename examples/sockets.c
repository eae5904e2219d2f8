/* BSD sockets over firstflight: a client asks a server twice over the stack's loopback interface, by Fast Open. The
 * first time it gets a cookie; the second time its question rides in the SYN. Exits with 0 if it did. */
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "firstflight/posix_names.h"

static int serve_on(struct sockaddr_in* address) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int queue = 16;
  socklen_t length = sizeof *address;
  setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue);
  if (bind(listener, (struct sockaddr*)address, length) != 0 || listen(listener, 16) != 0) return -1;
  return getsockname(listener, (struct sockaddr*)address, &length) == 0 ? listener : -1;
}

/* Says whether the question was in the SYN; negative: it did not work. */
static int ask(int listener, const struct sockaddr_in* address) {
  static const char kQuestion[] = "what is it?", kAnswer[] = "a socket";
  char text[64] = {0};
  struct tcp_info info;
  socklen_t length = sizeof info;
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  const ssize_t sent =
      sendto(client, kQuestion, sizeof kQuestion, MSG_FASTOPEN, (const struct sockaddr*)address, sizeof *address);
  const int server = accept(listener, NULL, NULL);
  if (sent != sizeof kQuestion || server < 0) return -1;
  if (recv(server, text, sizeof text, 0) != sizeof kQuestion || strcmp(text, kQuestion) != 0) return -1;
  if (write(server, kAnswer, sizeof kAnswer) != sizeof kAnswer || shutdown(server, SHUT_WR) != 0) return -1;
  if (recv(client, text, sizeof text, MSG_WAITALL) != sizeof kAnswer || strcmp(text, kAnswer) != 0) return -1;
  if (getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -1;
  close(client);
  close(server);
  return (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0;
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const int listener = serve_on(&address);
  if (listener < 0) return 1;
  const int first = ask(listener, &address), second = ask(listener, &address);
  printf("the question rode in the SYN: first %s, then %s\n", first == 1 ? "yes" : "no", second == 1 ? "yes" : "no");
  close(listener);
  return first == 0 && second == 1 ? 0 : 1;
}
