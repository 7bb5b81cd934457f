/* A publisher over HTTP/1.1: each connection sends its next request as soon as its last one was answered.
 *
 *   postload PORT CONNECTIONS < REQUESTS
 *
 * REQUESTS: each is its length, four bytes with the lowest first, and its bytes. Faults as `posting.h` has them.
 */
#include <sys/epoll.h>
#include <sys/resource.h>

#include "measure.h"
#include "posting.h"

#define EVENTS_AT_ONCE 256

static unsigned char *requests;
static size_t next, size;

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
    post(c, p + 4, length);
    return 1;
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
