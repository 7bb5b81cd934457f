/* A publisher that sends each event alone, at a steady rate: a lane is a connection with one request under way at a time.
 *
 *   singles PORT PATH LANES
 *
 * To each line "drive RATE SECONDS" on standard input it publishes so many events a second for so long, at most for
 * twice as long, and answers {"sent":…} when the last one is on its way. An event is stamped with the time at which it
 * was due, so that a publisher who is held up counts as delay. Faults as `posting.h` has them.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "measure.h"
#include "posting.h"

#define LANES 64
#define LANE_SIZE 1000000000000ull
#define SECOND 1e9

static struct conn conns[LANES];
static struct pollfd polled[LANES];
static uint64_t next[LANES];
static int busy[LANES];
static unsigned lanes;
static const char *path;
static char run[17];

/* The events of `publishers.py`: an identity of its own for each, and a sequence without a gap in each lane. */
static void publish(unsigned lane, uint64_t due)
{
    static const char *const models[] = {"gpt-4o-mini", "claude-sonnet", "mistral-large", "llama-3.1-70b", "phi-4-mini"};
    char event[512], request[1024];
    unsigned long seq = lane * LANE_SIZE + next[lane]++, dice = seq * 2654435761u & 0xffffffffu;
    int size = snprintf(event, sizeof event,
                        "{\"specversion\":\"1.0\",\"id\":\"%s-%lu\",\"source\":\"/bench\",\"type\":\"bench.tick\","
                        "\"data\":{\"seq\":%lu,\"ns\":%lu,\"model\":\"%s\",\"latency_ms\":%lu,\"input_tokens\":%lu,"
                        "\"output_tokens\":%lu}}",
                        run, seq, seq, due, models[dice % 5], dice % 4999, dice % 3989, dice % 997);
    int length = snprintf(request, sizeof request,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                          "Content-Length: %d\r\n\r\n%s",
                          path, size, event);
    if (length >= (int)sizeof request)
        fail("the path is too long");
    post(&conns[lane], request, (size_t)length);
    busy[lane] = 1;
}

/* Wait for an answer or the end of `ns`, and take what has come. */
static void take_answers(uint64_t ns)
{
    struct timespec most = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    if (ppoll(polled, lanes, &most, NULL) < 0 && errno != EINTR)
        fail("cannot wait: %s", strerror(errno));
    for (unsigned lane = 0; lane < lanes; lane++)
        if (polled[lane].revents && receive(&conns[lane]))
            busy[lane] = 0;
}

/* A lane that is free, the one after the last one first; `lanes` when there is none. */
static unsigned free_lane(void)
{
    static unsigned last;
    for (unsigned i = 1; i <= lanes; i++)
        if (!busy[(last + i) % lanes])
            return last = (last + i) % lanes;
    return lanes;
}

static unsigned long drive(double rate, double seconds)
{
    uint64_t begun = now_ns(), end = begun + (uint64_t)(2 * seconds * SECOND);
    unsigned long total = (unsigned long)(rate * seconds + .5), sent = 0;
    while (sent < total) {
        uint64_t due = begun + (uint64_t)((double)sent * SECOND / rate), now = now_ns();
        if (now > end)
            break;
        if (now < due) {
            take_answers(due - now);
            continue;
        }
        unsigned lane = free_lane();
        if (lane == lanes)
            take_answers(end - now);
        else
            publish(lane, due), sent++;
    }
    return sent;
}

/* Answers that come between two drives wait in the sockets; an end of standard input is the end. */
int main(int count, char **words)
{
    if (count != 4 || (lanes = (unsigned)atoi(words[3])) < 1 || lanes > LANES)
        return fprintf(stderr, "singles PORT PATH LANES (at most %d)\n", LANES), 2;
    path = words[2];
    snprintf(run, sizeof run, "%lx", now_ns());
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned lane = 0; lane < lanes; lane++) {
        join(&conns[lane], (uint16_t)atoi(words[1]));
        polled[lane] = (struct pollfd){.fd = conns[lane].fd, .events = POLLIN};
    }
    char line[128];
    double rate, seconds;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "drive %lf %lf", &rate, &seconds) != 2)
            fail("what is %s", line);
        printf("{\"sent\":%lu}\n", drive(rate, seconds));
    }
    return 0;
}
