/* A publisher over HTTP/1.1: each connection sends its next request as soon as its last one was answered.
 *
 *   postload PORT CONNECTIONS < REQUESTS
 *
 * REQUESTS: each is its length, four bytes with the lowest first, and its bytes. Any status but 202, a head of more
 * than 4 kB or an end of the connection ends the program with 1 and one line on standard error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define HEAD_BYTES 4096
#define EVENTS_AT_ONCE 256

struct conn {
    int fd;
    size_t got;        /* of the head; the body is only counted */
    long long missing; /* bytes of the body still to come; -1 until the head is whole */
    char head[HEAD_BYTES + 1];
};

static unsigned char *requests;
static size_t next, size;

static void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

static void read_requests(void)
{
    size_t room = 1 << 20;
    ssize_t got;
    requests = malloc(room);
    while (requests && (got = read(0, requests + size, room - size)) > 0)
        if ((size += (size_t)got) == room)
            requests = realloc(requests, room *= 2);
    if (!requests)
        fail("no memory for the requests");
}

/* Answers 0 when there is none left. */
static int send_next(struct conn *c)
{
    if (next == size)
        return 0;
    const unsigned char *p = requests + next;
    size_t length = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (size - next < 4 + length)
        fail("the last request is cut off");
    next += 4 + length;
    c->got = 0;
    c->missing = -1;
    for (p += 4; length;) {
        ssize_t sent = send(c->fd, p, length, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("cannot send: %s", strerror(errno));
        p += sent;
        length -= (size_t)sent;
    }
    return 1;
}

/* The head is whole: what follows of the body? */
static void read_head(struct conn *c, const char *end)
{
    if (strncmp(c->head, "HTTP/1.1 202", 12))
        fail("%s", c->head);
    for (const char *line = c->head; line < end; line = strchr(line, '\n') + 1)
        if (!strncasecmp(line, "content-length:", 15))
            c->missing = atoll(line + 15);
    if (c->missing < 0)
        fail("no Content-Length: %s", c->head);
    c->missing -= (long long)(c->got - (size_t)(end + 4 - c->head));
}

/* Answers 1 when what has come completes the answer. */
static int receive(struct conn *c)
{
    static char body[1 << 18];
    int in_head = c->missing < 0;
    ssize_t got = recv(c->fd, in_head ? c->head + c->got : body, in_head ? HEAD_BYTES - c->got : sizeof body, 0);
    if (got <= 0)
        fail("the connection ended: %s", got ? strerror(errno) : "closed");
    if (in_head) {
        c->got += (size_t)got;
        c->head[c->got] = 0;
        const char *end = strstr(c->head, "\r\n\r\n");
        if (end)
            read_head(c, end);
        else if (c->got == HEAD_BYTES)
            fail("a head of more than %d bytes", HEAD_BYTES);
    } else
        c->missing -= got;
    return c->missing == 0;
}

static void join(struct conn *c, uint16_t port)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server))
        fail("cannot connect: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **words)
{
    if (count != 3)
        return fprintf(stderr, "postload PORT CONNECTIONS < REQUESTS\n"), 2;
    unsigned total = (unsigned)atoi(words[2]), busy = 0;
    struct conn *conns = calloc(total, sizeof *conns);
    int epoll_fd = epoll_create1(0);
    read_requests();
    for (unsigned i = 0; i < total; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
        join(&conns[i], (uint16_t)atoi(words[1]));
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conns[i].fd, &event);
    }
    double cpu = cpu_seconds();
    uint64_t begun = now_ns();
    for (unsigned i = 0; i < total; i++)
        busy += (unsigned)send_next(&conns[i]);
    while (busy) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int ready = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < ready; i++)
            if (receive(events[i].data.ptr) && !send_next(events[i].data.ptr))
                busy--;
    }
    printf("{\"seconds\":%.6f,\"cpu\":%.6f}\n", (double)(now_ns() - begun) / 1e9, cpu_seconds() - cpu);
    return 0;
}
