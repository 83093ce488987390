/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/registrar/meter.h"

#define LONG_AGO_MS 1000000000 /* more does not matter, and fits */

void meter_init(struct meter *meter, struct meter_limit limit, struct tm_us now)
{
    *meter = (struct meter){.tokens = limit.burst * 1000, .refill = now};
}

enum meter_verdict meter_take(struct meter *meter, uint32_t cost, struct meter_limit limit,
                              struct tm_us now)
{
    int64_t most = limit.burst * 1000;
    int64_t price = (int64_t)cost * 1000 < most ? (int64_t)cost * 1000 : most;
    int64_t passed = tm_diff_ms(now, meter->refill);
    if (passed > 0) {
        meter->tokens += limit.rate * (passed < LONG_AGO_MS ? passed : LONG_AGO_MS);
        meter->tokens = meter->tokens < most ? meter->tokens : most;
        meter->refill = now;
        meter->over = meter->tokens == most ? 0 : meter->over;
    }
    if (meter->tokens >= price) {
        meter->tokens -= price;
        return METER_FITS;
    }
    meter->over += price;
    if (meter->over <= limit.flood * 1000) {
        return METER_OVER;
    }
    meter->over = 0;
    return METER_FLOOD;
}

bool bucket_take(struct bucket *bucket, uint32_t burst, uint32_t each_ms, struct tm_us now)
{
    int64_t due = tm_diff_ms(now, bucket->refill) / each_ms;
    if (due > 0) {
        uint32_t room = burst - bucket->tokens;
        bucket->tokens += due < room ? (uint32_t)due : room;
        bucket->refill = now;
    }
    if (bucket->tokens == 0) {
        return false;
    }
    bucket->tokens--;
    return true;
}
