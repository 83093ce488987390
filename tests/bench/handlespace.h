/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of bench-handlespace share: pools to measure, plain arrays of the same elements,
 * and a naive handlespace, which is a sorted array under a mutex.
 */
#ifndef RSP_TESTS_BENCH_HANDLESPACE_H
#define RSP_TESTS_BENCH_HANDLESPACE_H

#include <pthread.h>

#include "common/rnd.h"
#include "handlespace/handlespace.h"
#include "handlespace/policy.h"
#include "tests/bench/bench.h"

/** How long a measurement takes, and how often it is repeated; the best round counts. */
struct effort {
    uint32_t n; /* elements */
    int64_t ns;
    int rounds;
};

/** An element with made up load, weight …, one IPv4 and, when `both`, one IPv6 address. */
enum hs_result bench_register(struct hs *hs, const char *pool, uint32_t policy, uint32_t pe_id,
                              uint32_t value, bool both);
/** One pool "p" of n elements under a policy. */
struct hs *bench_pool(uint32_t policy, uint32_t n);
/** All that an element says, but for its addresses. */
struct bench_entry {
    uint32_t pe_id;
    struct hs_element element;
    struct transport user, asap;
    struct policy policy;
};
/** Copies of its elements, one after the other. */
struct bench_entry *bench_array(struct hs *hs, uint32_t n);
/** The i-th identifier: all different, in no order. */
uint32_t bench_id(uint32_t i);

/** What is measured: `count` operations. */
typedef void (*bench_fn)(void *ctx, uint32_t count);
/**
 * Operations per second of the processor's time, for about `ns` of it: what else the machine does
 * is not counted, what the operation leaves to liburcu's thread is.
 */
double bench_rate(bench_fn fn, void *ctx, int64_t ns);
/** The same by another clock: CLOCK_THREAD_CPUTIME_ID where other threads have work of their own.
 */
double bench_rate_by(clockid_t clock, bench_fn fn, void *ctx, int64_t ns);
int64_t bench_cpu_ns(clockid_t clock);

/** Selects one element, again and again. */
void bench_select(void *ctx, uint32_t count);
struct bench_picker {
    const struct bench_entry *array;
    uint32_t n;
    struct rnd rnd;
};
/** Picks a random entry of an array, again and again. */
void bench_pick(void *picker, uint32_t count);

/** The naive one. */
struct naive {
    pthread_mutex_t lock;
    const struct policy_info *policy;
    uint32_t n, size;
    uint64_t clock;
    struct naive_entry {
        uint64_t key, since;
        uint32_t id;
    } * at;
};
void naive_init(struct naive *naive, uint32_t policy, uint32_t size);
void naive_put(struct naive *naive, uint32_t id, uint32_t value);
/** Makes one of `n` elements, as bench_pool() does of ours. */
void naive_fill(struct naive *naive, uint32_t policy, uint32_t n);
/** Looks an element up, which must be there. */
void naive_find(struct naive *naive, uint32_t id);
/** Takes it out and in again with another value. */
void naive_update(struct naive *naive, uint32_t id, uint32_t value);
void naive_select(void *naive, uint32_t count);
void naive_done(struct naive *naive);

/** What the compiler must not see through. */
extern volatile uint64_t bench_sink;

/** The parts; each prints its rows. */
void bench_selection(const struct effort *effort);
void bench_beside_writer(const struct effort *effort);
void bench_readers(const struct effort *effort);
void bench_registration(const struct effort *effort);
void bench_growth(const struct effort *effort);
void bench_pools(const struct effort *effort);
void bench_memory(const struct effort *effort);

/** Rounds of a figure, and what it is compared with. */
struct row {
    double value, baseline, naive;
};
static inline void row_best(struct row *best, struct row next)
{
    best->value = next.value > best->value ? next.value : best->value;
    best->baseline = next.baseline > best->baseline ? next.baseline : best->baseline;
    best->naive = next.naive > best->naive ? next.naive : best->naive;
}
/** Target 0: none is set. */
void row_print(const char *name, const char *unit, const char *what, const char *baseline_what,
               double target, struct row row);

#endif
