/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/registrar/meter.h"

#define BURST_MS 2000
#define FLOOD_MS 5000

void meter_init(struct meter *meter, int64_t rate, struct tm_us now)
{
    *meter = (struct meter){.tokens = rate * BURST_MS, .refill = now};
}

enum meter_verdict meter_take(struct meter *meter, int64_t rate, struct tm_us now)
{
    int64_t most = rate * BURST_MS;
    int64_t passed = tm_diff_ms(now, meter->refill);
    if (passed > 0) {
        meter->tokens = passed < BURST_MS ? meter->tokens + rate * passed : most;
        meter->tokens = meter->tokens < most ? meter->tokens : most;
        meter->refill = now;
        meter->over = meter->tokens == most ? 0 : meter->over;
    }
    if (meter->tokens >= 1000) {
        meter->tokens -= 1000;
        return METER_FITS;
    }
    meter->over += 1000;
    if (meter->over <= rate * FLOOD_MS) {
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
