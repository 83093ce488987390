/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Time inside the program: microseconds of a monotonic clock, as a type of its own so that it
 * cannot be mixed up with wall time or with a duration in another unit. Logic never asks for the
 * time; it is passed in.
 */
#ifndef RSP_COMMON_CLOCK_H
#define RSP_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct tm_us {
    int64_t us;
};

/** Later than every other time: "no timer". */
#define TM_NEVER                                                                                   \
    (struct tm_us)                                                                                 \
    {                                                                                              \
        INT64_MAX                                                                                  \
    }

static inline struct tm_us tm_add_ms(struct tm_us t, int64_t ms)
{
    if (ms > (INT64_MAX - t.us) / 1000) {
        return TM_NEVER;
    }
    return (struct tm_us){t.us + ms * 1000};
}

static inline bool tm_before(struct tm_us a, struct tm_us b)
{
    return a.us < b.us;
}

/** Whether a timer set for `t` is due at `now`. */
static inline bool tm_due(struct tm_us t, struct tm_us now)
{
    return t.us <= now.us;
}

static inline bool tm_is_never(struct tm_us t)
{
    return t.us == INT64_MAX;
}

static inline struct tm_us tm_min(struct tm_us a, struct tm_us b)
{
    return a.us < b.us ? a : b;
}

/** Milliseconds from `b` to `a`, rounded down; negative when `a` is earlier. */
static inline int64_t tm_diff_ms(struct tm_us a, struct tm_us b)
{
    return (a.us - b.us) / 1000;
}

#endif
