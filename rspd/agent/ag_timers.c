/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All timers of the agent in one binary heap, and the token bucket. */
#include "rspd/agent/ag_internal.h"

#include <errno.h>
#include <stdlib.h>

int ag_timers_reserve(struct ag_timers *timers, uint32_t n)
{
    if (timers->size - timers->reserved < n) {
        uint32_t size = timers->size * 2 + n + 64;
        struct ag_timer **heap =
            (struct ag_timer **)reallocarray(timers->heap, size, sizeof(struct ag_timer *));
        if (heap == NULL) {
            return -ENOMEM;
        }
        timers->heap = heap;
        timers->size = size;
    }
    timers->reserved += n;
    return 0;
}

void ag_timers_release(struct ag_timers *timers, uint32_t n)
{
    timers->reserved -= n;
}

void ag_timers_done(struct ag_timers *timers)
{
    free(timers->heap);
    *timers = (struct ag_timers){0};
}

static void place(struct ag_timers *timers, uint32_t at, struct ag_timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

/* Moves `timer` from the gap at `at` to where it belongs. */
static void sift(struct ag_timers *timers, uint32_t at, struct ag_timer *timer)
{
    while (at > 0 && tm_before(timer->due, timers->heap[(at - 1) / 2]->due)) {
        place(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < timers->used &&
            tm_before(timers->heap[child + 1]->due, timers->heap[child]->due)) {
            child++;
        }
        if (child >= timers->used || !tm_before(timers->heap[child]->due, timer->due)) {
            break;
        }
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, timer);
}

void ag_timer_set(struct ag_timers *timers, struct ag_timer *timer, enum ag_timer_kind kind,
                  struct tm_us due)
{
    timer->kind = kind;
    timer->due = due;
    if (timer->place == 0) {
        sift(timers, timers->used++, timer);
    } else {
        sift(timers, timer->place - 1, timer);
    }
}

void ag_timer_stop(struct ag_timers *timers, struct ag_timer *timer)
{
    if (timer->place == 0) {
        return;
    }
    uint32_t at = timer->place - 1;
    struct ag_timer *last = timers->heap[--timers->used];
    timer->place = 0;
    if (last != timer) {
        sift(timers, at, last);
    }
}

struct ag_timer *ag_timers_take_due(struct ag_timers *timers, struct tm_us now)
{
    if (timers->used == 0 || !tm_due(timers->heap[0]->due, now)) {
        return NULL;
    }
    struct ag_timer *timer = timers->heap[0];
    ag_timer_stop(timers, timer);
    return timer;
}

struct tm_us ag_timers_next(const struct ag_timers *timers)
{
    return timers->used == 0 ? TM_NEVER : timers->heap[0]->due;
}

bool ag_bucket_take(struct ag_bucket *bucket, unsigned per_s, unsigned burst, struct tm_us now)
{
    int64_t full = (int64_t)burst * 1000;
    int64_t passed_ms = tm_diff_ms(now, bucket->filled);
    if (passed_ms > 0) {
        bucket->tokens_milli += passed_ms * (int64_t)per_s;
        bucket->filled = now;
    }
    if (bucket->tokens_milli > full) {
        bucket->tokens_milli = full;
    }
    if (bucket->tokens_milli < 1000) {
        return false;
    }
    bucket->tokens_milli -= 1000;
    return true;
}
