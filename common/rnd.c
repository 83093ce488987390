/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SplitMix64: one word of state, passes the usual batteries, any seed is a good seed. */
#include "common/rnd.h"

void rnd_seed(struct rnd *rnd, uint64_t seed)
{
    rnd->state = seed;
}

uint64_t rnd_next(struct rnd *rnd)
{
    uint64_t z = (rnd->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rnd_below(struct rnd *rnd, uint64_t bound)
{
    /* Reject the short last stretch of the range, so that every residue is equally likely. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do {
        value = rnd_next(rnd);
    } while (value >= limit);
    return value % bound;
}

uint32_t rnd_identifier(struct rnd *rnd)
{
    return (uint32_t)(1 + rnd_below(rnd, 0xfffffffeu));
}

int64_t rnd_jitter(struct rnd *rnd, int64_t value, unsigned percent)
{
    int64_t width = value * (int64_t)percent / 100;
    if (width <= 0) {
        return value;
    }
    return value - width + (int64_t)rnd_below(rnd, (uint64_t)(2 * width + 1));
}
