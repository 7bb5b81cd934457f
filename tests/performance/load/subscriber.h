/* One subscriber: what it has received, and the parsers of the three protocols. */
#ifndef SUBSCRIBER_H
#define SUBSCRIBER_H

#include "measure.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define LANES 64
#define LANE_SIZE 1000000000000ull
#define UNSEEN UINT32_MAX
#define BUFFER (4u << 20)

enum kind { WS, DEFLATE, SSE, NATS };
enum state { IDLE, CONNECTING, HEAD, GREETING, OPEN, CLOSED };

struct conn {
    int fd;
    enum state state;
    uint64_t begun, received;
    uint32_t next[LANES];
    unsigned char *rest; /* what is not parsed yet: text of the stream, then bytes of the wire */
    uint32_t text, wire;
    z_stream *inflater;
};

static enum kind kind;
static unsigned ended, open_count, refused;
static char first_refusal[160];
static unsigned char buffer[BUFFER], inflated[BUFFER];
static struct window window;
static struct histogram handshakes;
static uint64_t storm_ended;

/* A key of the messages, and how far from where it was looked for the last one was: mostly the next one is there too. */
struct key {
    const char *text;
    size_t size, last;
};

static const unsigned char *found_key(struct key *key, const unsigned char *from, const unsigned char *end)
{
    size_t room = (size_t)(end - from);
    if (key->last + key->size <= room && !memcmp(from + key->last, key->text, key->size))
        return from + key->last;
    const unsigned char *at = memmem(from, room, key->text, key->size);
    if (at)
        key->last = (size_t)(at - from);
    return at;
}

/* The number behind `key`; `*from` moves behind it. Answers 0 when the key is not there. */
static int number_after(const unsigned char **from, const unsigned char *end, struct key *key, uint64_t *value)
{
    const unsigned char *at = found_key(key, *from, end);
    if (!at)
        return 0;
    at += key->size;
    while (at < end && *at == ' ')
        at++;
    uint64_t found = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        found = found * 10 + (uint64_t)(*at - '0');
    *value = found;
    *from = at;
    return 1;
}

static void take_message(struct conn *c, const unsigned char *data, size_t size, uint64_t now)
{
    static struct key seq_key = {"\"seq\":", 6, 0}, ns_key = {"\"ns\":", 5, 0};
    const unsigned char *end = data + size;
    uint64_t seq, sent;
    if (!number_after(&data, end, &seq_key, &seq) || !number_after(&data, end, &ns_key, &sent)) {
        window.other++;
        return;
    }
    uint64_t lane = seq / LANE_SIZE;
    uint32_t n = (uint32_t)(seq % LANE_SIZE);
    if (lane >= LANES) {
        window.bad++;
        return;
    }
    if (c->next[lane] == UNSEEN || n == c->next[lane]) {
        c->next[lane] = n + 1;
    } else if (n > c->next[lane]) {
        window.lost += n - c->next[lane];
        c->next[lane] = n + 1;
    } else {
        window.repeated++;
        return;
    }
    c->received++;
    window.messages++;
    record(&window.ages, now > sent ? now - sent : 0);
}

static void finish(struct conn *c, const char *why)
{
    if (c->state == CLOSED)
        return;
    if (c->state == OPEN) {
        window.closed++;
        open_count--;
    } else {
        refused++;
        ended++;
        if (!*first_refusal)
            snprintf(first_refusal, sizeof first_refusal, "%s", why);
    }
    c->state = CLOSED;
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->text = c->wire = 0;
    if (c->inflater)
        inflateEnd(c->inflater), free(c->inflater), c->inflater = NULL;
}

/* A short masked frame; the mask is zero, which the protocol allows. */
static void say(struct conn *c, unsigned opcode, const void *data, size_t size)
{
    unsigned char frame[6 + 125] = {(unsigned char)(0x80 | opcode), (unsigned char)(0x80 | size)};
    memcpy(frame + 6, data, size);
    if (send(c->fd, frame, 6 + size, MSG_NOSIGNAL) != (ssize_t)(6 + size))
        finish(c, "cannot write");
}

static void inflate_message(struct conn *c, unsigned char *data, size_t size, uint64_t now)
{
    static const unsigned char tail[4] = {0, 0, 0xff, 0xff};
    if (!c->inflater) {
        c->inflater = calloc(1, sizeof *c->inflater);
        inflateInit2(c->inflater, -15);
    }
    z_stream *z = c->inflater;
    z->next_out = inflated;
    z->avail_out = BUFFER;
    z->next_in = data;
    z->avail_in = (unsigned)size;
    int first = inflate(z, Z_SYNC_FLUSH);
    z->next_in = (unsigned char *)tail;
    z->avail_in = sizeof tail;
    int second = inflate(z, Z_SYNC_FLUSH);
    if (first < Z_OK || (second < Z_OK && second != Z_BUF_ERROR) || !z->avail_out) {
        window.bad++;
        return;
    }
    take_message(c, inflated, BUFFER - z->avail_out, now);
}

/* Take one frame off the wire. Answers its whole size, 0 when it is not complete; data of NATS is kept in `*text`. */
static size_t take_frame(struct conn *c, unsigned char *p, size_t size, unsigned char **text, uint64_t now)
{
    if (size < 2)
        return 0;
    size_t head = 2, length = p[1] & 0x7f;
    if (length == 126) {
        head = 4;
        if (size < head)
            return 0;
        length = (size_t)p[2] << 8 | p[3];
    } else if (length == 127) {
        head = 10;
        if (size < head)
            return 0;
        length = 0;
        for (unsigned i = 2; i < 10; i++)
            length = length << 8 | p[i];
    }
    if (length > BUFFER / 2 || p[1] & 0x80) {
        window.bad++;
        finish(c, "bad frame");
        return 0;
    }
    if (size < head + length)
        return 0;
    unsigned opcode = p[0] & 0x0f;
    if (opcode == 9)
        say(c, 10, p + head, length);
    else if (opcode == 8)
        finish(c, "closed");
    else if (opcode == 10)
        ;
    else if (kind == NATS) {
        memmove(*text, p + head, length);
        *text += length;
    } else if (!(p[0] & 0x80) || opcode == 0 || (p[0] & 0x40 && kind != DEFLATE))
        window.bad++;
    else if (p[0] & 0x40)
        inflate_message(c, p + head, length, now);
    else
        take_message(c, p + head, length, now);
    return head + length;
}

static size_t take_blocks(struct conn *c, unsigned char *p, size_t size, uint64_t now)
{
    size_t done = 0;
    unsigned char *end;
    while ((end = memmem(p + done, size - done, "\n\n", 2))) {
        take_message(c, p + done, (size_t)(end - p) - done, now);
        done = (size_t)(end - p) + 2;
    }
    return done;
}

static void opened(struct conn *c, uint64_t now)
{
    c->state = OPEN;
    open_count++;
    ended++;
    storm_ended = now;
    record(&handshakes, now - c->begun);
}

static size_t take_nats(struct conn *c, unsigned char *p, size_t size, uint64_t now)
{
    size_t done = 0;
    unsigned char *end;
    while (c->state != CLOSED && (end = memmem(p + done, size - done, "\r\n", 2))) {
        unsigned char *line = p + done;
        size_t after = (size_t)(end - p) + 2;
        if (!memcmp(line, "MSG ", 4)) {
            unsigned char *digits = memrchr(line, ' ', (size_t)(end - line));
            size_t length = strtoul((char *)digits + 1, NULL, 10);
            if (size < after + length + 2)
                break;
            take_message(c, p + after, length, now);
            after += length + 2;
        } else if (!memcmp(line, "PING", 4))
            say(c, 2, "PONG\r\n", 6);
        else if (!memcmp(line, "PONG", 4) && c->state == GREETING)
            opened(c, now);
        done = after;
    }
    return done;
}

/* The head of the answer. Answers its size, 0 when it is not complete or not what was asked for. */
static size_t take_head(struct conn *c, unsigned char *p, size_t size, uint64_t now)
{
    unsigned char *end = memmem(p, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *wanted = kind == SSE ? "HTTP/1.1 200" : "HTTP/1.1 101";
    if (memcmp(p, wanted, strlen(wanted)) || (kind == SSE && memmem(p, (size_t)(end - p), "chunked", 7))) {
        char line[160];
        snprintf(line, sizeof line, "%.*s", (int)strcspn((char *)p, "\r\n"), p);
        finish(c, line);
        return 0;
    }
    if (kind == NATS) {
        c->state = GREETING;
        static const char hello[] = "CONNECT {\"verbose\":false}\r\nSUB bench 1\r\nPING\r\n";
        say(c, 2, hello, sizeof hello - 1);
    } else
        opened(c, now);
    return (size_t)(end - p) + 4;
}

static void keep(struct conn *c, const unsigned char *text, size_t text_size, const unsigned char *wire, size_t wire_size)
{
    free(c->rest);
    c->rest = NULL;
    c->text = (uint32_t)text_size;
    c->wire = (uint32_t)wire_size;
    if (text_size + wire_size == 0)
        return;
    c->rest = malloc(text_size + wire_size);
    memcpy(c->rest, text, text_size);
    memcpy(c->rest + text_size, wire, wire_size);
}

static void take_bytes(struct conn *c)
{
    size_t text_size = c->text, wire_size = c->wire;
    if (c->rest)
        memcpy(buffer, c->rest, text_size + wire_size);
    ssize_t got = recv(c->fd, buffer + text_size + wire_size, BUFFER / 2 - text_size - wire_size - 1, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            finish(c, got ? strerror(errno) : "closed during the handshake");
        return;
    }
    uint64_t now = now_ns();
    window.bytes += (uint64_t)got;
    window.reads++;
    unsigned char *text = buffer + text_size, *wire = text, *end = wire + wire_size + got;
    *end = 0;
    if (c->state == HEAD)
        wire += take_head(c, wire, (size_t)(end - wire), now);
    int streaming = c->state == OPEN || c->state == GREETING;
    if (streaming && kind == SSE) {
        wire += take_blocks(c, wire, (size_t)(end - wire), now);
    } else if (streaming) {
        size_t size;
        while (c->state != CLOSED && (size = take_frame(c, wire, (size_t)(end - wire), &text, now)))
            wire += size;
    }
    size_t done = kind == NATS && c->state != CLOSED ? take_nats(c, buffer, (size_t)(text - buffer), now) : 0;
    if (c->state != CLOSED)
        keep(c, buffer + done, (size_t)(text - buffer) - done, wire, (size_t)(end - wire));
}

#endif
