/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop's clock, for threads beside the loop. */
#ifndef RSP_RSPD_LOCAL_MONOTONIC_H
#define RSP_RSPD_LOCAL_MONOTONIC_H

#include <time.h>

#include "common/clock.h"

/** Any thread. */
static inline struct tm_us monotonic_now(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct tm_us){(int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

#endif
