/* A connection that posts over HTTP/1.1, one request at a time. Whatever goes wrong ends the program with 1 and one line
 * on standard error: any status but 201 and 202, a head of more than 4 kB, an end of the connection.
 */
#ifndef POSTING_H
#define POSTING_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES 4096

struct conn {
    int fd;
    size_t got;        /* of the head; the body is only counted */
    long long missing; /* bytes of the body still to come; -1 until the head is whole */
    char head[HEAD_BYTES + 1];
};

static void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

/* Send a whole request; its answer is awaited from now on. */
static void post(struct conn *c, const void *request, size_t length)
{
    const unsigned char *p = request;
    c->got = 0;
    c->missing = -1;
    while (length) {
        ssize_t sent = send(c->fd, p, length, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("cannot send: %s", strerror(errno));
        p += sent;
        length -= (size_t)sent;
    }
}

/* The head is whole: what follows of the body? */
static void read_head(struct conn *c, const char *end)
{
    if (strncmp(c->head, "HTTP/1.1 201", 12) && strncmp(c->head, "HTTP/1.1 202", 12))
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

#endif
