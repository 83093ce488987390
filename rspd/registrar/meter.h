/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much one host sends: a token bucket that knows a flood from a burst (security.md §6.3). What
 * is over it is not to be read; too much of that without a pause is a flood. The limit may change
 * between calls.
 *
 * And how often something may be done that is counted one by one: a bucket that starts full.
 */
#ifndef RSP_RSPD_REGISTRAR_METER_H
#define RSP_RSPD_REGISTRAR_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

struct meter_limit {
    int64_t rate;  /* a second */
    int64_t burst; /* at once, after silence */
    int64_t flood; /* not read, before it is a flood */
};

struct meter {
    int64_t tokens; /* may be sent now, in thousandths */
    struct tm_us refill;
    int64_t over; /* not read since it last kept to the rate, in thousandths */
};

enum meter_verdict {
    METER_FITS,
    METER_OVER, /* not to be read */
    METER_FLOOD /* … and neither is what follows; counting begins anew */
};

/** Full. */
void meter_init(struct meter *meter, struct meter_limit limit, struct tm_us now);
/** One message has come that costs so much. What costs more than the burst costs the burst. */
enum meter_verdict meter_take(struct meter *meter, uint32_t cost, struct meter_limit limit,
                              struct tm_us now);

struct bucket {
    uint32_t tokens;
    struct tm_us refill;
};

/** `burst` at once, then one more each `each_ms`, never more than `burst`: takes one, if it is
 * there.
 */
bool bucket_take(struct bucket *bucket, uint32_t burst, uint32_t each_ms, struct tm_us now);

#endif
