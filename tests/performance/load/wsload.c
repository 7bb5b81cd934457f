/* Many subscribers in one process: WebSocket, SSE or NATS over WebSocket.
 *
 *     wsload PORT PATH CONNECTIONS ws|deflate|sse|nats [AT_ONCE]
 *
 * Every frame or event block is parsed. A message is a JSON text with `"seq":LANE*10^12+N` and `"ns":T`; for each lane
 * the N must come one after the other, and T is when it was sent (CLOCK_MONOTONIC). AT_ONCE bounds the handshakes under
 * way at a time. When all connections are open or refused, one line of JSON is printed; then commands are read from
 * standard input: `reset` begins a window, `report` prints it, end of file ends the program.
 */
#define _GNU_SOURCE
#include "subscriber.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define EVENTS_AT_ONCE 512

static const char *path;
static uint16_t port;
static int epoll_fd;
static struct conn *conns;
static unsigned total, started, at_once;
static uint64_t storm_begun, window_begun, cpu_begun;

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void begin_window(void)
{
    memset(&window, 0, sizeof window);
    window_begun = now_ns();
    cpu_begun = cpu_ns();
}

static void start(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct linger reset = {1, 0}; /* no TIME_WAIT: the next run has all the ports */
    int yes = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->begun = now_ns();
    c->state = CONNECTING;
    memset(c->next, 0xff, sizeof c->next);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        perror("socket");
        exit(1);
    }
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        finish(c, strerror(errno));
        return;
    }
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void ask(struct conn *c)
{
    static const char upgrade[] = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char request[1024];
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s%s\r\n", path, port,
                          kind == SSE ? "Accept: text/event-stream\r\n" : upgrade,
                          kind == DEFLATE ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    if (error || send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
        finish(c, error ? strerror(error) : "cannot write");
        return;
    }
    c->state = HEAD;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void report(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < total; i++)
        if (conns[i].state == OPEN && conns[i].received < least)
            least = conns[i].received;
    const struct window *w = &window;
    printf("{\"seconds\":%.6f,\"messages\":%lu,\"reads\":%lu,\"bytes\":%lu,\"lost\":%lu,\"repeated\":%lu,\"bad\":%lu,\"other\":%lu,"
           "\"closed\":%lu,\"open\":%u,\"least\":%lu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
           "\"cpu\":%.3f}\n",
           (double)(now_ns() - window_begun) / 1e9, w->messages, w->reads, w->bytes, w->lost, w->repeated, w->bad, w->other,
           w->closed, open_count, least == UINT64_MAX ? 0 : least, quantile_ms(&w->ages, .5), quantile_ms(&w->ages, .9),
           quantile_ms(&w->ages, .99), (double)w->ages.max / 1e6, (double)(cpu_ns() - cpu_begun) / 1e9);
}

static void connected(void)
{
    printf("{\"open\":%u,\"refused\":%u,\"first_refusal\":\"%s\",\"seconds\":%.6f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"max_ms\":%.3f}\n",
           open_count, refused, first_refusal, (double)(storm_ended - storm_begun) / 1e9, quantile_ms(&handshakes, .5),
           quantile_ms(&handshakes, .99), (double)handshakes.max / 1e6);
    begin_window();
}

/* Answers 0 at the end of standard input. */
static int obey(void)
{
    char commands[256];
    ssize_t got = read(0, commands, sizeof commands - 1);
    if (got <= 0)
        return 0;
    commands[got] = 0;
    for (char *line = strtok(commands, "\n"); line; line = strtok(NULL, "\n")) {
        if (!strcmp(line, "reset"))
            begin_window();
        if (!strcmp(line, "report"))
            report();
    }
    return 1;
}

int main(int count, char **words)
{
    static const char *const kinds[] = {"ws", "deflate", "sse", "nats"};
    if (count < 5)
        return fprintf(stderr, "wsload PORT PATH CONNECTIONS ws|deflate|sse|nats [AT_ONCE]\n"), 2;
    port = (uint16_t)atoi(words[1]);
    path = words[2];
    total = (unsigned)atoi(words[3]);
    while (strcmp(words[4], kinds[kind]))
        if (++kind > NATS)
            return fprintf(stderr, "no such kind: %s\n", words[4]), 2;
    at_once = count > 5 ? (unsigned)atoi(words[5]) : 256;
    struct rlimit files = {total + 64, total + 64}, now;
    getrlimit(RLIMIT_NOFILE, &now);
    if (now.rlim_cur < files.rlim_cur && setrlimit(RLIMIT_NOFILE, &files))
        return perror("RLIMIT_NOFILE"), 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    conns = calloc(total, sizeof *conns);
    epoll_fd = epoll_create1(0);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_AT_ONCE];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
    storm_begun = now_ns();
    for (int told = 0;;) {
        while (started < total && started - ended < at_once)
            start(&conns[started++]);
        if (ended == total && !told++)
            connected();
        int ready = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                if (!obey())
                    return 0;
            } else if (c->state == CONNECTING)
                ask(c);
            else if (c->state != CLOSED)
                take_bytes(c);
        }
    }
}
