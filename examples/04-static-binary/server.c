/* A static binary: HTTP/1.1 keep-alive, one thread a connection, a clean end on SIGTERM.
 *   gcc -O2 -static -pthread -o server server.c && PORT=9000 ./server v1 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, DRAIN_MS_MAX = 2000 };

static const char *version = "v1";
static atomic_int draining, busy;
static int listener;

static int answer(int peer) {
  char out[256], body[64];
  int closing = atomic_load(&draining);
  int length = snprintf(body, sizeof body, "hello from %s\n", version);
  int size = snprintf(out, sizeof out,
                      "HTTP/1.1 200 OK\r\nx-version: %s\r\ncontent-length: %d\r\n%s\r\n%s",
                      version, length, closing ? "connection: close\r\n" : "", body);
  return send(peer, out, size, MSG_NOSIGNAL) == size && !closing;
}

static void *serve(void *given) {
  int peer = (int)(long)given;
  char head[HEAD_MAX + 1];
  size_t have = 0;
  for (;;) {
    ssize_t got = recv(peer, head + have, HEAD_MAX - have, 0);
    if (got <= 0) break;
    have += got;
    head[have] = 0;
    char *end = strstr(head, "\r\n\r\n");
    if (!end && have == HEAD_MAX) break;
    if (!end) continue;
    atomic_fetch_add(&busy, 1);
    int more = answer(peer);
    atomic_fetch_sub(&busy, 1);
    if (!more) break;
    have -= end + 4 - head;
    memmove(head, end + 4, have);
  }
  shutdown(peer, SHUT_RDWR);
  close(peer);
  return NULL;
}

static void *wait_for_sigterm(void *set) {
  int which;
  sigwait(set, &which);
  atomic_store(&draining, 1);
  shutdown(listener, SHUT_RDWR);
  usleep(200 * 1000); /* what is already on the wire is still answered */
  for (int waited = 0; atomic_load(&busy) && waited < DRAIN_MS_MAX; waited++) usleep(1000);
  exit(0);
}

int main(int argc, char **argv) {
  if (argc > 1) version = argv[1];
  const char *port = getenv("PORT");
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8084)};
  inet_pton(AF_INET, "127.0.0.1", &here.sin_addr);
  static sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, NULL);
  pthread_t thread;
  listener = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1024)) {
    perror("cannot listen");
    return 1;
  }
  pthread_create(&thread, NULL, wait_for_sigterm, &stop);
  for (;;) {
    int peer = accept(listener, NULL, NULL);
    if (peer < 0 && atomic_load(&draining)) pause();
    if (peer < 0) continue;
    if (pthread_create(&thread, NULL, serve, (void *)(long)peer)) close(peer);
    else pthread_detach(thread);
  }
}
