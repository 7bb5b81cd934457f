/* What is counted over a window: messages, faults, ages. One thread; no locks. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SUB_BITS 5 /* 32 steps for each power of two: an age is known to 3 % */
#define BUCKETS (64 << SUB_BITS)

struct histogram {
    uint64_t count, max;
    uint64_t buckets[BUCKETS];
};

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline unsigned bucket_of(uint64_t value)
{
    if (value < (1u << SUB_BITS))
        return (unsigned)value;
    unsigned top = 63u - (unsigned)__builtin_clzll(value);
    return ((top - SUB_BITS + 1) << SUB_BITS) + (unsigned)((value >> (top - SUB_BITS)) & ((1u << SUB_BITS) - 1));
}

/* The largest value that falls into a bucket. */
static inline uint64_t bucket_end(unsigned bucket)
{
    if (bucket < (1u << SUB_BITS))
        return bucket;
    unsigned shift = (bucket >> SUB_BITS) - 1;
    uint64_t lead = (bucket & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS);
    return ((lead + 1) << shift) - 1;
}

static inline void record(struct histogram *h, uint64_t ns)
{
    h->count++;
    h->buckets[bucket_of(ns / 1000)]++;
    if (ns > h->max)
        h->max = ns;
}

/* Milliseconds below which the given share of what was recorded lies. */
static inline double quantile_ms(const struct histogram *h, double share)
{
    uint64_t seen = 0, wanted = (uint64_t)(share * (double)h->count);
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > wanted || (seen == h->count && seen))
            return (double)bucket_end(i) / 1000.0;
    }
    return 0;
}

struct window {
    uint64_t messages, reads, bytes, lost, repeated, bad, other, closed;
    struct histogram ages;
};

#endif
