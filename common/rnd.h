/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Randomness as a value that is passed in: tests and simulations seed it, the daemon seeds it from
 * the kernel. Not for secrets.
 */
#ifndef RSP_COMMON_RND_H
#define RSP_COMMON_RND_H

#include <stdint.h>

struct rnd {
    uint64_t state;
};

void rnd_seed(struct rnd *rnd, uint64_t seed);
uint64_t rnd_next(struct rnd *rnd);
/** Uniform in [0, bound), bound ≥ 1; no modulo bias. */
uint64_t rnd_below(struct rnd *rnd, uint64_t bound);
/** A PE or registrar identifier: 1 … 0xfffffffe (parameters.md §4.5). */
uint32_t rnd_identifier(struct rnd *rnd);
/** `value` varied uniformly by ±`percent` %: spreads keep-alives and announces (RFC 5352 §3.5). */
int64_t rnd_jitter(struct rnd *rnd, int64_t value, unsigned percent);

#endif
